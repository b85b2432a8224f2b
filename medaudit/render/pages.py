"""The two pages that a review board reads: built from a Summary, and so from the allow-list alone."""

from collections.abc import Callable

from medaudit.render import wording as say
from medaudit.render.changes import changes
from medaudit.render.charts import leak_chart, power_figure, ratio_chart
from medaudit.render.document import Block, Bullets, Paragraph, Section
from medaudit.render.facts import AuditFacts, CountFacts, ExtractionFacts, Summary
from medaudit.render.key_numbers import key_numbers, leading
from medaudit.render.reviewed import review_section
from medaudit.render.second_page import conditions, next_steps, not_tested, sign_off, withheld
from medaudit.render.utility import utility_warning

_REASONS = 6  # on the first page, beside the key numbers and a chart


def title(summary: Summary) -> str:
    """The report's title."""
    if summary.audit is None:
        return "Extraction test of a generative model"
    return "Release audit of a synthetic radiograph cohort"


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
    if not counts.synthetic:
        return "The cohort holds no synthetic image, so nothing was tested."
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
        if not counts.synthetic:
            blocks.append(
                Paragraph(text="Nothing: the cohort holds no synthetic image. What follows is the setting.")
            )
        blocks.append(
            Paragraph(
                text=f"All {say.counted(counts.synthetic, 'synthetic image')} were searched against all "
                f"{say.counted(counts.train_images, 'training image')} of "
                f"{say.counted(counts.train_patients, 'training patient')}, and against all "
                f"{say.counted(counts.holdout_images, 'image')} of "
                f"{say.counted(counts.holdout_patients, 'unseen patient')}"
                f"{' from the same source' if audit.one_source else ''}. "
                f"Nothing on the real side was sampled{_unread(counts)}. "
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


def _unread(counts: CountFacts) -> str:
    """What of the real side was not searched: images that were refused when their source was read."""
    sides = ((counts.train_unread, "training"), (counts.holdout_unread, "held-out"))
    parts = [f"{say.counted(count, 'more image')} of the {side} source" for count, side in sides if count]
    if not parts:
        return ""
    verb = "was" if sum(count for count, _ in sides) == 1 else "were"
    return f", but {' and '.join(parts)} could not be read and {verb} not searched"


def reasons(summary: Summary) -> Section:
    """Why the verdict is what it is, in the words of the audit: what decides, as much as the first page holds."""
    first, rest = _split_reasons(summary)
    if rest:
        first = (*first, f"{say.counted(len(rest), 'further remark')} in the appendix.")
    return Section(title="Why", blocks=(Bullets(items=tuple(map(say.together, first))),), page="first")


def further_reasons(summary: Summary) -> Section | None:
    """What the first page had no room for."""
    rest = _split_reasons(summary)[1]
    return (
        Section(title="Further remarks", blocks=(Bullets(items=tuple(map(say.together, rest))),))
        if rest
        else None
    )


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


# What a first page and a second page hold, in order; a new section is one line here.
def reviewed(summary: Summary) -> Section | None:
    """What people decided on the flags."""
    return None if summary.review is None else review_section(summary.review, summary.release)


SECTIONS: tuple[Callable[[Summary], Section | None], ...] = (
    reasons,
    checked,
    key_numbers,
    closeness,
    power,
    utility_warning,
    not_tested,
    reviewed,
    withheld,
    changes,
    next_steps,
    conditions,
    sign_off,
)


def two_pages(summary: Summary) -> list[Section]:
    """The sections of the first two pages, in order; those that have nothing to say are left out."""
    found = (section(summary) for section in SECTIONS)
    return [section for section in found if section is not None]
