"""The appendix section about persons rather than films: what flagged images are, and how surely a person is known."""

from medaudit.render import wording as say
from medaudit.render.document import Facts, Paragraph, Section
from medaudit.render.facts import ReidentificationFacts, Summary
from medaudit.stats.relation import ENOUGH_PAIRS


def known_again(summary: Summary) -> Section | None:
    """Flagged images by what they are, the line between, and real follow-up films as a test."""
    if summary.audit is None or summary.audit.reidentification is None:
        return None
    found = summary.audit.reidentification
    items = (
        ("Flagged images that copy a film", say.whole(found.copies)),
        ("Flagged images that are another picture of the person", say.whole(found.same_person)),
        ("Patients with follow-up films, one pair each", say.whole(found.follow_up_pairs)),
        ("Line between the two", _line(found)),
        *_test(found),
    )
    lead = Paragraph(
        text="A flagged image is called a copy when it is more alike to its film, once both are aligned, than real "
        "follow-up films of one patient are to each other. One that is not may be another picture of the same person, "
        "or a copy that was altered heavily; it gives the person away all the same and counts in the verdict."
    )
    return Section(title="Copies of films and pictures of persons", blocks=(lead, Facts(items=items)))


def _line(found: ReidentificationFacts) -> str:
    if not found.follow_up_pairs:
        return "fixed: no patient of these cohorts has two films that differ"
    if found.line_source == "fixed":
        return (
            "fixed; the follow-up films of these cohorts ask for no higher one, and are too few to lower it"
        )
    if found.follow_up_pairs < ENOUGH_PAIRS:
        return "the most alike of the follow-up films of these cohorts"
    return "drawn by the follow-up films of these cohorts: at most 1 in 100 would be called a copy"


def _test(found: ReidentificationFacts) -> tuple[tuple[str, str], ...]:
    known = found.known_again
    if known is None:
        return (("Re-identification of follow-up films", say.NOT_RESOLVABLE),)
    named, flagged = known.named, known.flagged
    return (
        (
            "Follow-up films that named the right patient",
            f"{say.whole(named.count)} of {say.whole(named.of)} ({say.span(named.low, named.high)})",
        ),
        (
            "Follow-up films that would be flagged",
            f"{say.whole(flagged.count)} of {say.whole(flagged.of)} ({say.span(flagged.low, flagged.high)})",
        ),
        (
            "AUC of follow-up films against unseen people",
            f"{say.number(known.auc)} ({say.number(known.auc_low)} to {say.number(known.auc_high)}), detector "
            f"{known.detector}",
        ),
    )
