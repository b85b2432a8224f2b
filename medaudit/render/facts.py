"""The allow-list: the aggregate numbers that a shareable report may be written from.

Nothing is redacted here; what is not named below simply is not taken over. Each model copies the fields it
declares from the findings and no others, so a field that the findings gain later stays out until someone adds it
here. Free text passes `PlainText`, which refuses anything that looks like a pseudonym or a path.

Axes: N synthetic images, R reference patients, B histogram cells.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from medaudit.artifacts.findings import Audit, DetectorRecord, Extraction
from medaudit.artifacts.records import Verdict
from medaudit.render.allowed import Aggregate, Finite, PlainText
from medaudit.render.drawn_facts import (
    CalibrationFacts,
    ExposureFacts,
    calibration_facts,
    column,
    exposure_facts,
)
from medaudit.render.histogram import Histogram, quantise, resolvable_quantile
from medaudit.render.image_facts import ImageFacts, RemainderFacts
from medaudit.render.review_facts import ReviewFacts
from medaudit.render.site_facts import CohortFacts, PreviousFacts, ReleaseFacts, SiteFacts
from medaudit.render.subgroup_facts import SubgroupFacts
from medaudit.render.utility_facts import UtilityFacts


class RateFacts(Aggregate):
    """`count` of `of` with its interval."""

    value: float
    low: float
    high: float
    count: int
    of: int
    confidence: float


class CountFacts(Aggregate):
    """How much was compared with how much."""

    synthetic: int
    train_images: int
    train_patients: int
    holdout_images: int
    holdout_patients: int
    flagged: int
    suspects: int
    patients_exposed: int
    train_unread: int = 0
    holdout_unread: int = 0


class CohortTestFacts(Aggregate):
    """The test of the cohort as a whole."""

    nearest_in_train: int
    of: int
    expected: float
    excess_p: float
    run_length: int
    run_patients: int
    run_p: float
    smallest_detectable_run: int | None
    excess_copy_rate: Finite
    excess_copy_rate_low: Finite
    excess_copy_rate_high: Finite
    alpha: float
    permutations: int
    rejects: bool
    detector: PlainText | None = None


class DetectorFacts(Aggregate):
    """One detector. Its extremes are given as quantiles that at least ten images or people stand behind."""

    name: PlainText
    meaning: PlainText
    neighbours: int
    reference_size: int
    tail_points: int | None
    smallest_p: float
    alpha_familywise: float
    alpha_fdr: float
    score_line: Finite
    flagged_familywise: int
    flagged_fdr: int
    suspects: int
    expected_suspects: float
    fdr_needs: int
    encoder: PlainText | None = None
    quantile: float | None = None  # the share of images below the two distances that follow
    close_synthetic: float | None = None
    close_unseen: float | None = None
    ratios: Histogram | None = None  # adaptive ratio, exp(-score)
    distances: Histogram | None = None
    calibration: CalibrationFacts | None = None


class PlantedFacts(Aggregate):
    """Planted copies of one kind."""

    kind: PlainText
    strength: PlainText
    required: bool
    power: RateFacts
    by_detector: dict[str, RateFacts]


class GenerativeFacts(Aggregate):
    """Copies that an over-trained model made of a few training films."""

    films: int
    steps: int
    generated: int
    clear: int
    patients: int
    ratio_line: float
    median_ratio: float
    median_rmse: float | None
    learnt_at: tuple[int, int] | None = None
    power: RateFacts | None
    by_detector: dict[str, RateFacts] = Field(default_factory=dict)


class ControlFacts(Aggregate):
    """What the audit would have seen."""

    negative: RateFacts
    planted: tuple[PlantedFacts, ...]
    minimum_power: float | None
    weakest_kind: str | None
    falls_under: dict[str, PlainText] = Field(default_factory=dict)
    not_planted: tuple[PlainText, ...] = ()
    given_up: tuple[PlainText, ...] = ()
    generative: GenerativeFacts | None = None
    generative_not_run: PlainText | None = None


class AgreementFacts(Aggregate):
    """Which detectors flag the same images, as counts; the images themselves stay in the findings."""

    detectors: tuple[PlainText, ...]
    both: tuple[tuple[int, ...], ...]
    alone: tuple[int, ...]
    wording: PlainText


class BoundFacts(Aggregate):
    """What may still be in there."""

    model_rate_upper: float | None
    sources: int | None = None
    hidden_copies: int | None
    alpha: float
    wording: PlainText


class DuplicateFacts(Aggregate):
    """Near-duplicates in the real data, as counts; the rows stay in the findings."""

    across_patients_in_train: int
    across_train_and_holdout: int
    people_left_out: int = 0


class KnownAgainFacts(Aggregate):
    """Real follow-up films of training patients, each asked without itself."""

    auc: float
    auc_low: float
    auc_high: float
    named: RateFacts
    flagged: RateFacts
    detector: PlainText


class ReidentificationFacts(Aggregate):
    """Flagged images by what they are to a film: a copy, or another picture of the person."""

    copies: int
    same_person: int
    line_source: PlainText
    follow_up_pairs: int
    known_again: KnownAgainFacts | None


class SettingFacts(Aggregate):
    """The settings of the audit that a reader needs to repeat it."""

    alpha: float
    cohort_share: float
    neighbours: int
    plants: int
    required_kinds: tuple[str, ...]
    required_power: float
    permutations: int
    bootstrap: int
    controls: PlainText
    one_image_one_patient: bool


class AuditFacts(Aggregate):
    """What a shareable report says of an audit."""

    verdict: Verdict
    reasons: tuple[PlainText, ...]
    counts: CountFacts
    cohort_test: CohortTestFacts
    detectors: tuple[DetectorFacts, ...]
    controls: ControlFacts
    bounds: BoundFacts
    duplicates: DuplicateFacts
    patient_level: bool
    budget: dict[str, float]
    withheld: int
    settings: SettingFacts
    next_steps: tuple[PlainText, ...] = ()
    agreement: AgreementFacts | None = None  # None: nothing was flagged, or not recorded
    reidentification: ReidentificationFacts | None = None
    exposure: ExposureFacts | None = None  # None: nobody is named
    one_source: bool = True  # T and H could not be told apart by how their films were taken
    utility: UtilityFacts | None = None  # None: too few images or people, or an earlier version
    remainder: RemainderFacts | None = None  # None: nothing was flagged, or nothing would be left

    @property
    def same_person(self) -> int:
        """Flagged images that are another picture of the person rather than a copy of a film."""
        return self.reidentification.same_person if self.reidentification else 0


class LeakPointFacts(Aggregate):
    """After `generated` images, `patients` distinct training patients."""

    generated: int
    patients: int


class ExtractionFacts(Aggregate):
    """What a shareable report says of an extraction."""

    verdict: Verdict
    reasons: tuple[PlainText, ...]
    generated: int
    conditions: int  # how many; their names stay in the findings
    edge_threshold: float
    edge_false_rate: float
    clique_size: int
    cliques: int
    cliques_in_holdout: int
    matched_cliques: int
    matched_holdout: int
    patients_extracted: int
    leak_curve: tuple[LeakPointFacts, ...]
    new_patient_rate: Finite
    patients_total_estimate: Finite
    wording: PlainText


class Origin(Aggregate):
    """Where the numbers come from: ids of artifacts (no file of a patient can be recognised in them)."""

    versions: dict[str, str]
    seed: int | None = None
    audit_id: str | None = None
    extraction_id: str | None = None
    synthetic_id: str | None = None
    model_id: str | None = None
    commit: str | None = None  # of medaudit's source, where it is known
    hardware: PlainText | None = None  # kind of machine; None: not recorded by an earlier version
    packages: int = 0  # that medaudit ran on, itself included
    packages_sha256: str | None = None  # over their names and versions


class Summary(Aggregate):
    """Everything that a shareable report is built from."""

    institution: PlainText
    protocol: PlainText
    audit: AuditFacts | None
    extraction: ExtractionFacts | None
    origin: Origin
    site: SiteFacts = SiteFacts()
    release: ReleaseFacts | None = None
    images: ImageFacts | None = None  # None: no cohort was audited
    previous: PreviousFacts | None = None
    cohorts: tuple[CohortFacts, ...] = ()
    review: ReviewFacts | None = None  # None: no one looked at the flags
    subgroups: SubgroupFacts | None = None  # None: T was not given, or its films do not differ

    @property
    def verdict(self) -> Verdict:
        """The graver of the two verdicts; an audit that found nothing does not outweigh an extraction that did."""
        found = {part.verdict for part in (self.audit, self.extraction) if part is not None}
        order: tuple[Verdict, ...] = ("do-not-release", "inconclusive", "release-supported")
        return next(verdict for verdict in order if verdict in found)


def audit_facts(
    audit: Audit,
    settings: Mapping[str, Any],
    matches: pa.Table | None,
    reference: pa.Table | None,
    hide: bool,
) -> AuditFacts:
    """Take over an audit's aggregates.

    `matches` (one row per image and detector) and `reference` (one row per patient and detector) are only counted
    into cells; with `hide` cells under ten are left out, as the shareable edition must.
    """
    return AuditFacts(
        verdict=audit.verdict,
        reasons=tuple(audit.reasons),
        counts=CountFacts.model_validate(audit.counts),
        cohort_test=CohortTestFacts.model_validate(audit.cohort_test),
        detectors=tuple(_detector(record, matches, reference, hide) for record in audit.detectors),
        controls=ControlFacts.model_validate(audit.controls),
        bounds=BoundFacts.model_validate(audit.bounds),
        duplicates=DuplicateFacts.model_validate(audit.duplicates),
        patient_level=audit.patient_level,
        budget=dict(audit.budget),
        withheld=len(audit.withheld),
        settings=SettingFacts(**{name: settings[name] for name in SettingFacts.model_fields}),
        next_steps=tuple(audit.next_steps),
        agreement=AgreementFacts.model_validate(audit.agreement)
        if audit.agreement is not None and audit.agreement.images
        else None,
        reidentification=None
        if audit.reidentification is None
        else ReidentificationFacts.model_validate(audit.reidentification),
        exposure=exposure_facts(matches, hide),
        one_source=audit.source is None or not audit.source.differs,
        utility=None if audit.utility is None else UtilityFacts.model_validate(audit.utility),
        remainder=None if audit.remainder is None else RemainderFacts.model_validate(audit.remainder),
    )


def hardware_facts(recorded: Mapping[str, Any] | None) -> dict[str, Any]:
    """The fields of an Origin that tell on what the findings were made; none where it was not recorded."""
    if not recorded:
        return {}
    words = "{system} on {architecture}, computed by {processor}, Python {python}".format_map(recorded)
    return {
        "hardware": words,
        "packages": recorded["packages"],
        "packages_sha256": recorded["packages_sha256"],
    }


def extraction_facts(extraction: Extraction) -> ExtractionFacts:
    """Take over an extraction's aggregates."""
    taken = {name: getattr(extraction, name) for name in ExtractionFacts.model_fields if name != "conditions"}
    taken["leak_curve"] = tuple(LeakPointFacts.model_validate(point) for point in extraction.leak_curve)
    taken["reasons"] = tuple(extraction.reasons)
    return ExtractionFacts(**taken, conditions=len(extraction.conditions))


def _detector(
    record: DetectorRecord, matches: pa.Table | None, reference: pa.Table | None, hide: bool
) -> DetectorFacts:
    facts = DetectorFacts.model_validate(record)
    if matches is None or reference is None:
        return facts
    ours = matches.filter(pc.equal(matches.column("detector"), record.name))
    theirs = reference.filter(pc.equal(reference.column("detector"), record.name))
    if len(ours) == 0 or len(theirs) == 0:
        return facts
    distances = column(ours, "distance"), column(theirs, "distance")  # (N,), (R,)
    ratios = np.exp(-column(ours, "score")), np.exp(-column(theirs, "score"))
    share, values = resolvable_quantile(*distances)
    return facts.model_copy(
        update={
            "quantile": share,
            "close_synthetic": values[0] if values else None,
            "close_unseen": values[1] if values else None,
            "ratios": quantise(*ratios, top=2.0, hide=hide),
            "distances": quantise(*distances, top=None, hide=hide),
            "calibration": calibration_facts(ours, theirs),
        }
    )
