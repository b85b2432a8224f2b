"""The two pages that a review board reads: built from a Summary, and so from the allow-list alone."""

from medaudit.artifacts.findings import Verdict
from medaudit.render import wording as say
from medaudit.render.charts import leak_chart, power_figure, ratio_chart
from medaudit.render.document import (
    Block,
    Bullets,
    Facts,
    Paragraph,
    Section,
    SignOff,
)
from medaudit.render.facts import AuditFacts, ExtractionFacts, Summary
from medaudit.render.key_numbers import key_numbers, leading
from medaudit.render.reviewed import review_section

LABELS: dict[Verdict, str] = {
    "release-supported": "Release supported",
    "do-not-release": "Do not release",
    "inconclusive": "Inconclusive",
}

_REASONS = 6  # on the first page, beside the key numbers and a chart


def title(summary: Summary) -> str:
    """The report's title."""
    if summary.audit is None:
        return "Extraction test of a generative model"
    return "Release audit of a synthetic radiograph cohort"


def header(summary: Summary, edition: str) -> tuple[tuple[str, str], ...]:
    """Names and values at the top of the first page; what a person must fill in stays open."""
    origin = summary.origin
    items = [
        (
            "Edition",
            f"{edition}: " + ("may leave the hospital" if edition == "shareable" else "internal only"),
        ),
        ("Institution", summary.institution or "not stated"),
        ("Protocol", summary.protocol or "not stated"),
        ("Tool", f"medaudit {origin.versions.get('medaudit', 'unknown version')}"),
    ]
    for name, identity in (
        ("Audit id", origin.audit_id),
        ("Extraction id", origin.extraction_id),
        ("Cohort id", origin.synthetic_id),
    ):
        if identity:
            items.append((name, identity[:16]))
    items.append(("Date", "see sign-off"))
    return tuple(items)


def verdict_sentence(summary: Summary) -> str:
    """The verdict in one plain sentence with its numbers; a second one when the model itself was attacked."""
    parts = []
    if summary.audit is not None:
        parts.append(_audit_sentence(summary.audit))
    if summary.extraction is not None:
        parts.append(_extraction_sentence(summary.extraction))
    return " ".join(parts)


def _audit_sentence(audit: AuditFacts) -> str:
    counts = audit.counts
    images = say.whole(counts.synthetic)
    if counts.flagged:
        were = "was" if counts.flagged == 1 else "were"
        if audit.same_person:
            copies = counts.flagged - audit.same_person
            return (
                f"{say.whole(counts.flagged)} of {images} synthetic images {were} found to give "
                f"{say.counted(counts.patients_exposed, 'training patient')} away: {say.whole(copies)} as copies of "
                f"radiographs, {say.whole(audit.same_person)} as another picture of the same person."
            )
        return (
            f"{say.whole(counts.flagged)} of {images} synthetic images {were} found to copy radiographs of "
            f"{say.counted(counts.patients_exposed, 'training patient')}."
        )
    none = f"None of {images} synthetic images was found to copy a training patient's radiograph"
    if audit.cohort_test.rejects:
        return (
            f"The cohort as a whole lies closer to the training patients than to unseen patients, although no "
            f"single one of its {images} images could be named as a copy."
        )
    if audit.verdict == "inconclusive":
        return f"{none}, but this audit could not have seen enough to support a release."
    rate = audit.bounds.model_rate_upper
    if rate is None:
        return f"{none}."
    sure, sources = say.level(1 - audit.bounds.alpha), audit.bounds.sources
    several = sources is not None and sources > 1
    who = f"a model that copies {sources} films or more does so" if several else "the model copies"
    return (
        f"{none}; with {sure} confidence {who} in {say.fewer_than(rate)} of its images, for the kinds tested."
    )


def _extraction_sentence(extraction: ExtractionFacts) -> str:
    made = (
        f"In an attack on the model itself, {say.counted(extraction.generated, 'image')} were generated and"
    )
    if extraction.patients_extracted:
        return f"{made} radiographs of {say.counted(extraction.patients_extracted, 'training patient')} came back."
    return f"{made} no training patient's radiograph came back."


def checked(summary: Summary) -> Section:
    """What was compared with what."""
    blocks: list[Block] = []
    if summary.audit is not None:
        counts, audit = summary.audit.counts, summary.audit
        blocks.append(
            Paragraph(
                text=f"All {say.counted(counts.synthetic, 'synthetic image')} were searched against all "
                f"{say.counted(counts.train_images, 'training image')} of "
                f"{say.counted(counts.train_patients, 'training patient')}, and against all "
                f"{say.counted(counts.holdout_images, 'image')} of "
                f"{say.counted(counts.holdout_patients, 'unseen patient')}"
                f"{' from the same source' if audit.one_source else ''}. "
                f"Nothing on the real side was sampled. "
                f"Copies were looked for with {say.counted(len(audit.detectors), 'detector')}: "
                f"{say.joined([detector.name for detector in audit.detectors])}."
            )
        )
        if not audit.patient_level:
            blocks.append(
                Paragraph(
                    text="The source names no patients, so every image had to be counted as a person of its own; "
                    "the verdict cannot be better than inconclusive."
                )
            )
    if summary.extraction is not None:
        blocks.append(
            Paragraph(
                text=f"From the model itself {say.counted(summary.extraction.generated, 'image')} were generated; "
                f"images that came back again and again (cliques of at least "
                f"{summary.extraction.clique_size}) were compared with every training image and every image of "
                f"unseen patients."
            )
        )
    return Section(title="What was checked", blocks=tuple(blocks), page="first")


def reasons(summary: Summary) -> Section:
    """Why the verdict is what it is, in the words of the audit: what decides, as much as the first page holds."""
    first, rest = _split_reasons(summary)
    if rest:
        first = (*first, f"{say.counted(len(rest), 'further remark')} in the appendix.")
    return Section(title="Why", blocks=(Bullets(items=first),), page="first")


def further_reasons(summary: Summary) -> Section | None:
    """What the first page had no room for."""
    rest = _split_reasons(summary)[1]
    return Section(title="Further remarks", blocks=(Bullets(items=rest),)) if rest else None


def _split_reasons(summary: Summary) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The reasons come with the most decisive first: those for the first page, and the others."""
    audit = summary.audit.reasons if summary.audit is not None else ()
    extraction = summary.extraction.reasons if summary.extraction is not None else ()
    room = _REASONS - min(len(extraction), 1) if audit else _REASONS
    if len(audit) + len(extraction) <= _REASONS:
        return (*audit, *extraction), ()
    seen = (*audit[:room], *extraction[: _REASONS - len(audit[:room])])
    return seen, tuple(one for one in (*audit, *extraction) if one not in seen)


def closeness(summary: Summary) -> Section | None:
    """The picture that most readers look for: synthetic images and unseen people on one axis."""
    if summary.audit is None:
        return _leak(summary.extraction)
    chart = ratio_chart(leading(summary.audit))
    if chart is None:
        return None
    lead = Paragraph(
        text="Each synthetic image is set on the axis by how close it comes to any training film: 0 is the same "
        "image, 2 is no closer than films of different people usually are. Unseen people, who cannot have been "
        "copied, show what is ordinary."
    )
    return Section(title="How close the images come", blocks=(lead, chart), page="first")


def _leak(extraction: ExtractionFacts | None) -> Section | None:
    """The leak curve in the place of the histogram, where no cohort was audited."""
    if extraction is None or len(extraction.leak_curve) < 2:
        return None
    lead = Paragraph(
        text="The more images are drawn from a model that remembers, the more patients come back."
    )
    return Section(title="What the model gives away", blocks=(lead, leak_chart(extraction)), page="first")


def power(summary: Summary) -> Section | None:
    """The smallest copying that this audit could have seen."""
    if summary.audit is None or not summary.audit.controls.planted:
        return None
    lead = Paragraph(
        text="Copies of training films were planted on purpose, changed as named, and sent through the same search. "
        "A planted copy counts as found when it is flagged and the right patient is named."
    )
    return Section(
        title="What this audit could have seen",
        blocks=(lead, Bullets(items=_smallest(summary.audit)), power_figure(summary.audit)),
        page="second",
    )


def _smallest(audit: AuditFacts) -> tuple[str, ...]:
    items = []
    if any(detector.score_line is not None for detector in audit.detectors):
        items.append("A single copy is enough to be flagged when it is closer than the flagging line.")
    fewest = min(detector.fdr_needs for detector in audit.detectors)
    items.append(
        f"Milder copies are flagged together, from about {say.counted(fewest, 'copy', 'copies')} on."
    )
    run = audit.cohort_test.smallest_detectable_run
    if run is None:
        items.append("The leading run could not have shown anything: there are too few unseen patients.")
    else:
        items.append(
            f"The cohort test sees copying when the {say.counted(run, 'most similar image')} "
            f"{'is' if run == 1 else 'are all'} nearest to training patients."
        )
    return tuple(items)


def not_tested(summary: Summary) -> Section:
    """What a passed audit says nothing about."""
    items = [
        "The model's weights. They can give away more than its images; this report does not cover releasing them.",
        "Linkage: whether someone with other data (films, reports, dates) could connect an image to a person.",
        "Membership: whether someone can tell that a given patient was among the training patients.",
        "Copies changed in other ways or more strongly than those planted; parts of a film copied into another.",
        "Rare findings and subgroups by themselves; other modalities, views and image sizes.",
        "Usefulness: whether the images are any good for teaching or research.",
    ]
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
    return Section(title="What was not tested", blocks=(lead, Bullets(items=tuple(items))), page="second")


def withheld(summary: Summary) -> Section | None:
    """Marking, and images held back, as counts."""
    if summary.audit is None:
        return None
    audit = summary.audit
    counts = audit.counts
    as_what = "flagged" if audit.same_person else "flagged as copies"
    flags = (
        f"{say.whole(counts.flagged)} {as_what}, {say.counted(counts.suspects, 'suspect')}, "
        f"{say.whole(audit.withheld)} set aside before this audit"
    )
    items = (
        ("Images held back", flags),
        ("Changes since the last audit", "no earlier audit was given to this report"),
        (
            "Marking",
            "every released file carries Synthetic Data (0008,001C) = YES, the words SYNTHETIC - NOT FOR DIAGNOSTIC "
            "USE and an invented patient; medaudit verify checks this on the receiver's side",
        ),
    )
    return Section(title="Held back, changed, marked", blocks=(Facts(items=items),), page="second")


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
        "The flagged images can be withheld and the rest audited again; images of a model that copies this often "
        "deserve a second look even then.",
        "The model's weights hold what it copied and stay inside as well.",
    ),
    "inconclusive": (
        "This cohort stays inside until an audit supports its release.",
        "The reasons on the first page name what would settle it: as a rule more unseen patients, patient ids, "
        "or more planted copies.",
    ),
}


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
        title="What would change it", blocks=(Bullets(items=summary.audit.next_steps),), page="second"
    )


def conditions(summary: Summary) -> Section:
    """Under which conditions the verdict stands."""
    items: tuple[str, ...]
    if summary.audit is None:
        items = _NO_COHORT
    elif summary.verdict == "do-not-release" and summary.audit.verdict != "do-not-release":
        items = _MODEL_ONLY
    else:
        items = _CONDITIONS[summary.verdict]
    return Section(title="Conditions", blocks=(Bullets(items=items),), page="second")


def sign_off() -> Section:
    """The block a named person fills in."""
    block = SignOff(
        lead="The tool recommends; a named person decides.",
        fields=("Name", "Role", "Date", "Signature", "Key fingerprint", "Review again by"),
    )
    return Section(title="Sign-off", blocks=(block,), page="second")


def two_pages(summary: Summary) -> list[Section]:
    """The sections of the first two pages, in order."""
    sections = [
        reasons(summary),
        checked(summary),
        key_numbers(summary),
        closeness(summary),
        power(summary),
        not_tested(summary),
        review_section(summary.review) if summary.review is not None else None,
        withheld(summary),
        next_steps(summary),
        conditions(summary),
        sign_off(),
    ]
    return [section for section in sections if section is not None]
