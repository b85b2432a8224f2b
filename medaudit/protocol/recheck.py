"""Findings checked against themselves: flags, counts and verdict are computed again from the tables of matches.

Every command that acts on findings does this first, so that an edited verdict, count or flag is refused. Edited scores
are not noticed here; the authentication code of the findings shows them (artifacts/authentication).
Axes: N images of S and of earlier releases, R reference patients, E detectors.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from medaudit.artifacts.authentication import require_authentic
from medaudit.artifacts.findings import (
    DETECTOR_MATCHES,
    MATCHES,
    REFERENCE,
    RELEASED_BY_DETECTOR,
    Audit,
    Bounds,
    DetectorRecord,
    Extraction,
    open_audit,
    open_extraction,
    read_matches,
)
from medaudit.artifacts.store import Artifact
from medaudit.config import AuditSettings
from medaudit.errors import FindingsContradict
from medaudit.protocol.audit_record import bounds_of, without_flags
from medaudit.protocol.extract_record import evidence_of
from medaudit.protocol.grounds import grounds_of, settings_of
from medaudit.protocol.matching_repeats import REPLICATES, half_of_alpha
from medaudit.protocol.scoring import tail_of
from medaudit.stats.budget import split_alpha
from medaudit.stats.extraction import decide_extraction
from medaudit.stats.flags import Judged, judge, score_line
from medaudit.stats.matching import rows_of_speakers
from medaudit.stats.relation import COPY, SAME_PERSON
from medaudit.stats.verdict import decide

# What a table or a number of another type or range makes numpy, pyarrow and the rules raise.
_DAMAGE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, pa.ArrowException)
_CLOSE = 1e-6  # relative: another processor's rounding of a p-value is no contradiction


def open_trusted_audit(path: Path, key: Path | None, near: Iterable[Path]) -> tuple[Artifact, Audit]:
    """An audit that carries its authentication code and agrees with itself.

    key: the file of the site's key, or None to look for it beside the artifacts of `near` and beside the audit. Raises
    FindingsNotAuthentic, FindingsContradict, UsageProblem when no key is at hand, and what `open_audit` raises.
    """
    artifact, record = open_audit(path)
    require_authentic(artifact, key, near)
    require_consistent(artifact, record)
    return artifact, record


def open_trusted_extraction(
    path: Path, key: Path | None, near: Iterable[Path]
) -> tuple[Artifact, Extraction]:
    """The same for an extraction."""
    artifact, record = open_extraction(path)
    require_authentic(artifact, key, near)
    _refuse(artifact, extraction_contradictions(artifact, record))
    return artifact, record


def require_consistent(artifact: Artifact, record: Audit) -> None:
    """Decide the audit again from its tables. Raises FindingsContradict with the first thing that differs."""
    _refuse(artifact, contradictions(artifact, record))


def _refuse(artifact: Artifact, problems: Iterator[str]) -> None:
    problem = next(problems, None)
    if problem is not None:
        raise FindingsContradict(
            f"{artifact.path}: {problem}; the findings were edited or are not whole: make them again"
        )


def extraction_contradictions(artifact: Artifact, record: Extraction) -> Iterator[str]:
    """The contradictions between extract.json and its own tables; none when all agrees."""
    try:
        table, groups = read_matches(artifact, DETECTOR_MATCHES), read_matches(artifact, MATCHES)
        reference = read_matches(artifact, REFERENCE)
        names = list(dict.fromkeys(table.column("detector").to_pylist()))
        budget, short = half_of_alpha(record.alpha), []
        for name in names:
            own, scores = _of(table, name), _of(reference, name).column("score").to_numpy()
            tail = tail_of(scores, name, REPLICATES, artifact.manifest["seed"])
            short += [name] if tail is None else []
            rule = (record.generated, budget.familywise_each, budget.fdr_each)
            again = judge(own.column("score").to_numpy(), scores, tail, *rule)
            if (own.column("flagged").to_numpy(zero_copy_only=False) != again.flagged).any():
                yield f"the flags of detector {name} are not what its scores give"
        rows = [part.filter(part.column("flagged")) for part in (table, groups)]
        images = np.unique(rows[0].column("synthetic_id").to_numpy())
        counts = (len(images), len(rows[1]), short)
        if counts != (record.flagged_images, record.matched_cliques, record.detectors_without_line):
            yield "extract.json counts other images or groups that match than its tables"
        if record.alpha != artifact.settings["alpha"] or len(names) != budget.detectors:
            yield "the thresholds are not those of the extraction's settings"
        verdict, reasons = decide_extraction(evidence_of(record))
        if (record.verdict, record.reasons) != (verdict, reasons):
            yield f"extract.json says {record.verdict}, its own numbers {verdict}"
        if bool(record.patients_extracted) != bool(record.flagged_images or record.matched_cliques):
            yield "extract.json counts other patients than its tables"
    except _DAMAGE:
        yield "a table or a number of the findings is missing or is none"


def contradictions(artifact: Artifact, record: Audit) -> Iterator[str]:
    """The contradictions between audit.json and its own tables and thresholds, in words; none when all agrees."""
    try:
        settings = settings_of(artifact)
        yield from _budget(record, settings)
        if record.withheld != artifact.settings["withheld"]:
            yield "audit.json names other withheld rows than the settings"
        everything = read_matches(artifact, DETECTOR_MATCHES)
        table = _all_images(artifact, everything)
        images = np.unique(table.column("synthetic_id").to_numpy(zero_copy_only=False), axis=0)
        if len(images) != record.counts.synthetic:
            yield f"audit.json counts {record.counts.synthetic} images, its tables {len(images)}"
            return
        reference = read_matches(artifact, REFERENCE)
        for detector in record.detectors:
            own, score = _of(table, detector.name), _of(reference, detector.name).column("score").to_numpy()
            if len(own) != len(images) or len(score) != detector.reference_size:
                yield f"the rows of detector {detector.name} are not those that audit.json counts"
                return
            seen = _judged(own, score, detector, artifact.manifest["seed"], settings, record.counts.synthetic)
            yield from _detector(own, seen, detector)
        yield from _counts(table, record)
        yield from _speakers(everything, read_matches(artifact, MATCHES))
        yield from _verdict(record, settings)
    except _DAMAGE:
        yield "a table or a number of the findings is missing or is none"


def _of(table: pa.Table, detector: str) -> pa.Table:
    """The rows of one detector."""
    return table.filter(pc.equal(table.column("detector"), detector))


def _budget(record: Audit, settings: AuditSettings) -> Iterator[str]:
    """Alpha as the settings spend it is what the record and every detector say."""
    spent = record.budget["alpha_spent"]
    due = split_alpha(settings.alpha - spent, settings.cohort_share, len(record.detectors)).as_dict()
    stated = {"alpha": settings.alpha, "alpha_spent": spent, **due}
    each = [(one.alpha_familywise, one.alpha_fdr) for one in record.detectors]
    if record.budget != stated or any(pair != (due["familywise_each"], due["fdr_each"]) for pair in each):
        yield "the thresholds are not those of the audit's settings"


def _all_images(artifact: Artifact, own: pa.Table) -> pa.Table:
    """The matches of all detectors, of S (`own`) and then of earlier releases; `cleared`: flags that reviewers cleared.

    The id of an image is one number: at least 0 for a row of S, below 0 for one of an earlier release.
    """
    own = own.append_column("cleared", pa.array(np.zeros(len(own), dtype=bool)))
    if RELEASED_BY_DETECTOR not in artifact.manifest["files"]:
        return own
    before = read_matches(artifact, RELEASED_BY_DETECTOR)
    ids = pc.dictionary_encode(before.column("release")).combine_chunks().indices.to_numpy().astype(np.int64)
    place = before.schema.get_field_index("synthetic_id")
    unique = -1 - (before.column("synthetic_id").to_numpy() + (ids << 32))  # below 0: no row of S
    before = before.set_column(place, before.schema.field(place), pa.array(unique))
    return pa.concat_tables([own, before.drop_columns(["release"])])


def _judged(
    own: pa.Table,
    reference: np.ndarray,
    detector: DetectorRecord,
    seed: int,
    settings: AuditSettings,
    count: int,
) -> Judged:
    """One detector's images judged again: from the scores of its images and of its reference alone."""
    tail = tail_of(reference, detector.name, settings.bootstrap, seed)
    scores = own.column("score").to_numpy()
    again = judge(scores, reference, tail, count, detector.alpha_familywise, detector.alpha_fdr)
    cleared = own.column("cleared").to_numpy(zero_copy_only=False)
    line = score_line(tail, count, detector.alpha_familywise)
    points = None if tail is None else tail.points
    stated = np.inf if detector.score_line is None else detector.score_line
    if points != detector.tail_points or not np.isclose(stated, line, rtol=_CLOSE, atol=0):
        raise ValueError("another threshold")
    return again.without(cleared)


def _detector(own: pa.Table, again: Judged, detector: DetectorRecord) -> Iterator[str]:
    """The columns and counts of one detector."""
    for name, value in (("p_value", again.p), ("q_value", again.q), ("p_upper", again.upper)):
        stated = own.column(name)
        if name == "p_upper" and detector.tail_points is None:
            continue
        if not np.allclose(stated.to_numpy(), value, rtol=_CLOSE, atol=1e-300):
            yield f"{name} of detector {detector.name} is not what its scores give"
    flags = own.column("flagged").to_numpy(zero_copy_only=False)
    suspects = own.column("suspect").to_numpy(zero_copy_only=False)
    counted = (int(again.familywise.sum()), int(again.fdr.sum()), int(again.suspect.sum()))
    if (flags != again.flagged).any() or (suspects != again.suspect).any():
        yield f"the flags of detector {detector.name} are not what its scores give"
    elif counted != (detector.flagged_familywise, detector.flagged_fdr, detector.suspects):
        yield f"audit.json counts other flags of detector {detector.name} than its table"


def _counts(table: pa.Table, record: Audit) -> Iterator[str]:
    """Flagged and suspect images, patients exposed, copies and images of the same patient."""
    ids = table.column("synthetic_id").to_numpy()
    flags = table.column("flagged").to_numpy(zero_copy_only=False)
    suspect = table.column("suspect").to_numpy(zero_copy_only=False)
    flagged = np.unique(ids[flags])
    counts = record.counts
    if counts.flagged != len(flagged):
        yield f"audit.json counts {counts.flagged} flagged images, its tables {len(flagged)}"
    if counts.suspects != len(np.setdiff1d(ids[suspect], flagged)):
        yield "audit.json counts other suspects than its tables"
    rows = table.filter(table.column("flagged"))
    names = zip(rows.column("patient").to_pylist(), rows.column("train_id").to_pylist(), strict=True)
    exposed = {patient if patient is not None else row for patient, row in names}
    if counts.patients_exposed != len(exposed):
        yield f"audit.json counts {counts.patients_exposed} exposed patients, its tables {len(exposed)}"
    related = record.reidentification
    if related is not None:
        kinds = dict(
            zip(rows.column("synthetic_id").to_pylist(), rows.column("relation").to_pylist(), strict=True)
        )
        found = [sum(kind == one for kind in kinds.values()) for one in (COPY, SAME_PERSON)]
        if found != [related.copies, related.same_person]:
            yield "audit.json counts other copies, or images of the same patient, than its tables"


def _speakers(everything: pa.Table, best: pa.Table) -> Iterator[str]:
    """matches.parquet holds, of each image of S, the row of the detector that found it most copy-like."""
    names = list(dict.fromkeys(everything.column("detector").to_pylist()))
    parts = [_of(everything, name) for name in names]
    columns = [
        [pc.fill_null(part.column(name), fill).to_numpy(zero_copy_only=False) for part in parts]
        for name, fill in (("flagged", False), ("p_upper", 1.0), ("p_value", 1.0))
    ]
    if not pa.concat_tables(parts).take(pa.array(rows_of_speakers(*columns))).equals(best):
        yield f"{MATCHES} does not hold the matches of {DETECTOR_MATCHES}"


def _verdict(record: Audit, settings: AuditSettings) -> Iterator[str]:
    """The verdict and its reasons, with the flags and without."""
    grounds = grounds_of(record, settings)
    verdict, reasons = decide(grounds)
    if record.verdict != verdict:
        yield f"audit.json says {record.verdict}, its own numbers {verdict}"
    if record.cohort_test.rejects != grounds.cohort.rejects:
        yield "the outcome of the cohort test is not what its numbers give"
    bound = record.bounds.wording
    missing = [reason for reason in reasons if reason not in record.reasons and reason != bound]
    if record.ledger is None and missing:
        yield "the reasons are not those that its numbers give"
    if record.ledger is None and record.bounds != _bounds(record, settings):
        yield "the limits of what was missed are not what its numbers give"
    stated, due = record.without_flags, without_flags(grounds)
    if stated is not None and (due is None or stated.verdict != due.verdict):
        yield "what audit.json says of itself without the flags is not what its numbers give"
    low = {one.kind: one.power.low for one in record.controls.planted if one.required}
    if record.controls.minimum_power != (min(low.values()) if low else None):
        yield "the smallest power is not that of its controls"


def _bounds(record: Audit, settings: AuditSettings) -> Bounds:
    power, found = record.controls.minimum_power or 0.0, record.variety
    distinct = found.distinct if found else None
    return bounds_of(record.counts, distinct, power, settings.alpha, withheld=bool(record.withheld))
