"""The appendix for the board's expert: how the numbers came about. Built from a Summary alone."""

import math
from collections.abc import Callable

from medaudit.render import wording as say
from medaudit.render.background import commands, data, figure, limits, provenance, text
from medaudit.render.charts import calibration_chart, distance_chart, exposure_chart, leak_chart, ratio_chart
from medaudit.render.document import (
    Block,
    Cell,
    Facts,
    Glossary,
    Paragraph,
    Section,
    Table,
)
from medaudit.render.facts import AgreementFacts, AuditFacts, RateFacts, Summary
from medaudit.render.generative import generative, given_up
from medaudit.render.guidance_map import coverage
from medaudit.render.histogram import SMALLEST_CELL
from medaudit.render.key_numbers import kind_name, leading, share
from medaudit.render.known_again import known_again
from medaudit.render.membership import membership
from medaudit.render.pages import further_reasons
from medaudit.render.subgroups import subgroups
from medaudit.render.utility import utility

_BUDGET_NAMES = {
    "alpha": "all tests together",
    "alpha_spent": "spent by earlier audits",
    "cohort_excess": "excess test of the cohort",
    "cohort_run": "leading run of the cohort",
    "familywise_each": "family-wise flags, each detector",
    "fdr_each": "false-discovery flags, each detector",
}


def results(summary: Summary) -> Section | None:
    """What each detector found, and the histograms."""
    audit = summary.audit
    if audit is None:
        return None
    rows = tuple(
        (
            text(one.name),
            figure(one.flagged_familywise),
            figure(one.flagged_fdr),
            Cell(text=f"{one.suspects} ({say.number(one.expected_suspects, 2)})", value=one.suspects),
            figure(one.close_synthetic),
            figure(one.close_unseen),
        )
        for one in audit.detectors
    )
    shares = {say.level(one.quantile) for one in audit.detectors if one.quantile is not None}
    closest = f"closest {shares.pop()}" if len(shares) == 1 else "closest"
    table = Table(
        caption="What each detector found. Beyond the reference: closer than anyone in it, in brackets the number "
        "expected by chance. An image counts once even when several detectors and rules flag it.",
        columns=(
            "Detector",
            "Flagged, family-wise",
            "Flagged, false discovery",
            "Beyond the reference",
            f"Distance, {closest} of synthetic images",
            f"Distance, {closest} of unseen people",
        ),
        rows=rows,
        numeric=(1, 2, 3, 4, 5),
        weights=(3, 2, 2, 2, 3, 3),
    )
    meanings = Facts(items=tuple((one.name, one.meaning + _weights(one.encoder)) for one in audit.detectors))
    agreed = () if audit.agreement is None else _agreement(audit.agreement)
    return Section(title="Results by detector", blocks=(table, *agreed, meanings, *_histograms(audit)))


def _weights(encoder: str | None) -> str:
    return "" if encoder is None else f" (SHA-256 of its weights: {encoder[:16]})"


def _agreement(found: AgreementFacts) -> tuple[Block, ...]:
    """How many images any two detectors flag, and each alone."""
    rows = tuple(
        (
            text(name),
            *(text("") if other < own else figure(count) for other, count in enumerate(found.both[own])),
            figure(found.alone[own]),
        )
        for own, name in enumerate(found.detectors)
    )
    table = Table(
        caption="Images flagged by both detectors, by row and column; where they are one, by that detector. Last: by "
        "it alone.",
        columns=("Detector", *found.detectors, "Alone"),
        rows=rows,
        numeric=tuple(range(1, len(found.detectors) + 2)),
        weights=(3, *([2] * len(found.detectors)), 2),
    )
    return Paragraph(text=found.wording), table


def _histograms(audit: AuditFacts) -> list[Block]:
    """Every detector's chart but the leading one's, which is on the first page, and the leading one's distances."""
    first = leading(audit)
    charts = [ratio_chart(one) for one in audit.detectors if one is not first] + [distance_chart(first)]
    note = (
        f"The chart of detector {first.name} is on the first page. Each person of the reference counts once."
    )
    if any(one.ratios is not None and one.ratios.hides for one in audit.detectors):
        note += (
            f" Cells with fewer than {SMALLEST_CELL} are not shown, nor a second one where a total would give the "
            "first away, so that nobody's own distance can be read off."
        )
    charts.append(exposure_chart(audit))
    drawn = [chart for chart in charts if chart is not None]
    return [Paragraph(text=note, quiet=True), *drawn] if drawn else []


def calibration(summary: Summary) -> Section | None:
    """The reference, the lines drawn from it, and how alpha was spent."""
    audit = summary.audit
    if audit is None:
        return None
    rows = tuple(
        (
            text(one.name),
            figure(one.reference_size),
            figure(one.smallest_p),
            text("no tail: reference too small") if one.tail_points is None else figure(one.tail_points),
            text(say.NOT_RESOLVABLE) if one.score_line is None else figure(math.exp(-one.score_line)),
            figure(one.fdr_needs),
            figure(one.neighbours),
        )
        for one in audit.detectors
    )
    table = Table(
        caption="The reference: people who were not copied, each training patient searched without their own images "
        "and every unseen patient; for a detector with learnt weights, which may know the training films, unseen "
        "patients only. All lines were drawn from the reference, not from the synthetic images.",
        columns=(
            "Detector",
            "Reference (people)",
            "Smallest p-value",
            "Tail points",
            "Flagging line (relative distance)",
            "Copies needed for false-discovery flags",
            "Neighbours k",
        ),
        rows=rows,
        numeric=(1, 2, 3, 4, 5, 6),
        weights=(3, 2, 2, 2, 2, 2, 2),
    )
    spent = Table(
        caption=f"How alpha = {say.number(audit.settings.alpha)} was spent: the chance of refusing a clean release, "
        "all tests together.",
        columns=("Test", "Part of alpha"),
        rows=tuple(
            (text(_BUDGET_NAMES.get(name, name.replace("_", " "))), figure(value))
            for name, value in audit.budget.items()
            if name != "detectors"
        ),
        numeric=(1,),
        weights=(4, 2),
    )
    chart = calibration_chart(audit)
    return Section(title="Calibration", blocks=(table, spent, *([chart] if chart else [])))


def controls(summary: Summary) -> Section | None:
    """Planted copies by kind and detector, unseen people, and the cohort test."""
    audit = summary.audit
    if audit is None:
        return None
    names = [one.name for one in audit.detectors]
    rows = tuple(
        (
            text(kind_name(one.kind)),
            text(one.strength),
            text("yes" if one.required else "no"),
            share(one.power),
            text(say.span(one.power.low, one.power.high)),
            *(_short(one.by_detector.get(name)) for name in names),
        )
        for one in audit.controls.planted
    )
    planted = Table(
        caption="Planted copies found with the right patient named (power): all detectors together, then each alone.",
        columns=("Kind", "Strength", "Required", "Found", "95 % interval", *names),
        rows=rows,
        numeric=(3, 4, *range(5, 5 + len(names))),
        weights=(3, 3, 2, 3, 3, *([2] * len(names))),
    )
    negative = audit.controls.negative
    said = Paragraph(
        text=f"Negative control: {say.whole(negative.count)} of "
        f"{say.counted(negative.of, 'unseen person', 'unseen people')} posing as synthetic were flagged "
        f"({say.percent(negative.value)}, interval {say.span(negative.low, negative.high)})."
    )
    blocks: list[Block] = [
        planted,
        *_unsure(audit),
        *given_up(audit.controls),
        *generative(audit.controls),
        said,
    ]
    return Section(title="Controls", blocks=tuple(blocks))


def _unsure(audit: AuditFacts) -> list[Paragraph]:
    """Where power falls, and what was not planted."""
    controls, said = audit.controls, []
    if controls.falls_under:
        strengths = set(controls.falls_under.values())
        weak = ", ".join(kind_name(one.kind) for one in controls.planted if one.strength in strengths)
        said.append(f"From these strengths on the lower limit of power is under 80 %: copies {weak}.")
    if controls.not_planted:
        kinds = ", ".join(kind_name(kind) for kind in controls.not_planted)
        said.append(f"Copies that could not be planted, because the training films do not allow it: {kinds}.")
    return [Paragraph(text=sentence) for sentence in said]


def _short(rate: RateFacts | None) -> Cell:
    return text("") if rate is None else Cell(text=say.percent(rate.value), value=rate.value)


def cohort_test(summary: Summary) -> Section | None:
    """The test of the cohort as a whole, in full."""
    if summary.audit is None:
        return None
    test = summary.audit.cohort_test
    nearest = () if test.detector is None else (("Detector that says which image is nearest", test.detector),)
    items = (
        *nearest,
        (
            "Nearest to a training patient",
            f"{say.whole(test.nearest_in_train)} of {say.whole(test.of)} images",
        ),
        ("Expected by chance", say.number(test.expected)),
        ("Excess test, p-value", say.chance(test.excess_p)),
        (
            "Leading run",
            f"{say.counted(test.run_length, 'image')} of {say.counted(test.run_patients, 'training patient')}",
        ),
        ("Leading run, p-value", say.chance(test.run_p)),
        (
            "Smallest run that could have been seen",
            say.NOT_RESOLVABLE
            if test.smallest_detectable_run is None
            else say.whole(test.smallest_detectable_run),
        ),
        (
            "Excess copy rate",
            f"{say.percent(test.excess_copy_rate)}, interval "
            f"{say.span(test.excess_copy_rate_low, test.excess_copy_rate_high)}",
        ),
        ("Alpha of this test", say.number(test.alpha)),
        ("Patient permutations", say.whole(test.permutations)),
        ("Outcome", "rejects: closer to T than to H" if test.rejects else "does not reject"),
    )
    return Section(title="The cohort as a whole", blocks=(Facts(items=items),))


def extraction(summary: Summary) -> Section | None:
    """Generate and filter: what came back from the model."""
    found = summary.extraction
    if found is None:
        return None
    items = (
        ("Images generated", say.whole(found.generated)),
        (
            "Conditions used",
            say.whole(found.conditions) if found.conditions else "none: the model takes none",
        ),
        ("Smallest clique", say.counted(found.clique_size, "image")),
        ("Joined when their tile distance is under", say.number(found.edge_threshold)),
        ("Share of pairs of different people under it", say.percent(found.edge_false_rate)),
        ("Cliques", say.whole(found.cliques)),
        ("Cliques that match a training image", say.whole(found.matched_cliques)),
        ("Cliques that match an unseen patient's image", say.whole(found.matched_holdout)),
        ("Cliques among unseen people (negative control)", say.whole(found.cliques_in_holdout)),
        ("Training patients extracted", say.whole(found.patients_extracted)),
        ("New patients per further image (Good-Turing)", say.number(found.new_patient_rate)),
        ("Patients in all, estimated (Chao1)", say.number(found.patients_total_estimate)),
    )
    blocks: list[Block] = [Paragraph(text=found.wording), Facts(items=items)]
    if summary.audit is not None and len(found.leak_curve) > 1:
        blocks.append(leak_chart(found))
    return Section(title="Extraction from the model", blocks=tuple(blocks))


# The appendix in order; a new section is one line here.
SECTIONS: tuple[Callable[[Summary], Section | None], ...] = (
    further_reasons,
    data,
    calibration,
    controls,
    results,
    cohort_test,
    known_again,
    extraction,
    membership,
    subgroups,
    utility,
    coverage,
    limits,
    provenance,
    commands,
)


def appendix(summary: Summary) -> list[Section]:
    """The sections of the appendix, without the glossary, which follows from all the others."""
    found = (section(summary) for section in SECTIONS)
    return [section for section in found if section is not None]


def glossary(entries: tuple[tuple[str, str], ...]) -> Section:
    """The plain-language lines of the terms that occur."""
    return Section(title="Glossary", blocks=(Glossary(entries=entries),))
