"""Membership: that it was not tested, and what that leaves open."""

from medaudit.render.document import Bullets, Paragraph, Section
from medaudit.render.facts import Summary

_OPEN = (
    "Someone who holds a patient's film might learn, from many released images together, that the patient was among "
    "the training patients, although no image copies the film. Where all training patients share a diagnosis, that "
    "alone tells the diagnosis.",
    "Someone who holds the model can ask it about each film; that attack is stronger than any on its images. The "
    "conditions on page two keep the model inside.",
)
_NEAR = (
    "The test of the cohort as a whole comes closest: it asks whether the released images lie nearer to the training "
    "patients than to unseen ones. It looks at the set and not at one patient, so it bounds no one's own risk."
)


def membership(summary: Summary) -> Section:
    """What a board is to know where no attack was run."""
    near = _NEAR if summary.audit is not None else "Nothing in this report stands in for it."
    lead = Paragraph(
        text="Not tested: whether someone can tell that a given patient was among the training patients, better than "
        f"by guessing. No advantage over guessing is stated, because none was measured. {near}"
    )
    return Section(title="Membership", blocks=(lead, Bullets(items=_OPEN)))
