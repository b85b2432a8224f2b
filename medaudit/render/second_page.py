"""The second page: what was not tested, what is released and withheld, under which conditions, and who signs."""

from medaudit.artifacts.records import Verdict
from medaudit.render import wording as say
from medaudit.render.document import Block, Bullets, Facts, Paragraph, Section, SignOff
from medaudit.render.facts import Summary
from medaudit.render.image_facts import image_items


def not_tested(summary: Summary) -> Section:
    """What a passed audit says nothing about."""
    items = [
        "The model's weights. They can give away more than its images; this report does not cover releasing them.",
        "Linkage: whether someone with other data (films, reports, dates) could connect an image to a person.",
        "Membership: whether someone can tell that a given patient was among the training patients.",
        "Copies changed in other ways or more strongly than those planted; parts of a film copied into another.",
        "Other modalities, views and image sizes than those of these cohorts.",
        "Rare findings and subgroups by themselves: "
        + (
            "patients shown are counted by subgroup in the appendix, power is not."
            if summary.subgroups is not None
            else "power and flags are stated for all training patients together."
            if summary.audit is not None
            else "none was looked at."
        ),
    ]
    useful = summary.audit is not None and summary.audit.utility is not None
    if not useful:
        items.append("Usefulness: whether the images are any good for teaching or research.")
    if summary.extraction is None:
        items.insert(
            1, "Attacks on the model: extraction by many generations and by text prompts was not run."
        )
    else:
        items.insert(1, "Attacks by text prompts other than the conditions named in the appendix.")
    if summary.audit is None:
        items.insert(0, "A cohort to be released: only the model was tested.")
    lead = Paragraph(
        text="Passing a test is evidence of resistance to that test only (EDPB Opinion 28/2024). Not covered:"
    )
    blocks: list[Block] = [lead, Bullets(items=tuple(items))]
    if useful:
        measured = "Whether the images are of use was measured: see Usefulness of the images in the appendix."
        blocks.append(Paragraph(text=measured))
    return Section(title="What was not tested", blocks=tuple(blocks), page="second")


def withheld(summary: Summary) -> Section | None:
    """Which images go out and which stay, what changed, and how released files are marked."""
    if summary.audit is None or summary.images is None:
        return None
    audit, review = summary.audit, summary.review
    then = review.then if review is not None else None
    items = (
        *image_items(summary.images, audit.verdict, audit.remainder, then),
        (
            "Changes since the last audit",
            "see the next section" if summary.previous else "no earlier audit was given to this report",
        ),
        (
            "Marking",
            "every released file carries Synthetic Data (0008,001C) = YES, the words SYNTHETIC - NOT FOR DIAGNOSTIC "
            "USE and an invented patient; medaudit verify checks this on the receiver's side",
        ),
    )
    return Section(title="Released, withheld, changed, marked", blocks=(Facts(items=items),), page="second")


_CONDITIONS: dict[Verdict, tuple[str, ...]] = {
    "release-supported": (
        "Only the images of the cohort named above, written by medaudit release, may go out.",
        "More images of the same model, or a model trained again, need an audit of their own, together with "
        "everything released before.",
        "The model's weights stay inside. Receivers agree not to try to recognise anyone, and to report what "
        "looks like a copy.",
    ),
    "do-not-release": (
        "This cohort stays inside. medaudit release will not write it.",
        "The model's weights hold what it copied and stay inside as well.",
    ),
    "inconclusive": (
        "This cohort stays inside until an audit supports its release.",
        "The reasons on the first page name what would settle it: as a rule more unseen patients, patient ids, "
        "or more planted copies.",
    ),
}


_CAN_WITHHOLD = (
    "Without its flagged images the cohort passes an audit of the rest: medaudit release --withhold-flagged writes "
    "that rest and nothing else. Images of a model that copies deserve a second look even then."
)
_CANNOT_WITHHOLD = (
    "Withholding the flagged images does not make the rest fit for release: the audit of the rest says so."
)


_WENT_OUT = (
    "Only the images of the release named in the head went out: what people cleared or a second look supports. The "
    "others of this cohort stay inside.",
    "More images of the same model, or a model trained again, need an audit of their own, together with everything "
    "released before.",
    "The model's weights hold what it copied and stay inside. Receivers agree not to try to recognise anyone, and to "
    "report what looks like a copy.",
)
_MODEL_ONLY = (
    "The audit found no copy in this cohort, but the attack drew patients from its model: whoever decides weighs both. "
    "medaudit release looks at the audit alone.",
    "More images of this model are likely to show patients; train it again on more patients or for less long.",
    "The model's weights hold what it copied and stay inside.",
)
_NO_COHORT = (
    "This report clears no images: each cohort of this model needs an audit of its own before it may go out.",
    "The model's weights stay inside.",
)


def next_steps(summary: Summary) -> Section | None:
    """What would change the verdict, in the words of the audit."""
    if summary.audit is None or not summary.audit.next_steps:
        return None
    return Section(
        title="What would change it",
        blocks=(Bullets(items=tuple(map(say.together, summary.audit.next_steps))),),
        page="second",
    )


def conditions(summary: Summary) -> Section:
    """Under which conditions the verdict stands."""
    items: tuple[str, ...]
    if summary.audit is None:
        items = _NO_COHORT
    elif summary.verdict == "do-not-release" and summary.audit.verdict != "do-not-release":
        items = _MODEL_ONLY
    elif summary.verdict == "do-not-release" and summary.release is not None:
        items = _WENT_OUT
    else:
        items = _CONDITIONS[summary.verdict]
        rest = summary.audit.remainder
        if summary.verdict == "do-not-release" and rest is not None:
            items = (items[0], _CAN_WITHHOLD if rest.enough else _CANNOT_WITHHOLD, *items[1:])
    return Section(title="Conditions", blocks=(Bullets(items=items),), page="second")


def sign_off(summary: Summary) -> Section:
    """The block a named person fills in."""
    block = SignOff(
        lead="The tool recommends; a named person decides.",
        fields=("Name", "Role", "Date", "Signature", "Key fingerprint", "Review again by"),
    )
    return Section(title="Sign-off", blocks=(block,), page="second")
