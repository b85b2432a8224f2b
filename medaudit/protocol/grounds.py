"""The numbers that decide the verdict of an audit, taken from its record.

An audit decides by it when it is made, and whoever opens the findings later decides by it again (protocol/recheck).
"""

from collections.abc import Sequence

from medaudit.artifacts.findings import Audit, CohortTest, DetectorRecord
from medaudit.artifacts.store import Artifact
from medaudit.config import AuditSettings, check_settings
from medaudit.errors import ArtifactBroken, ConfigProblem
from medaudit.images.plants import KIND_WORDS
from medaudit.stats.budget import Budget
from medaudit.stats.cohort_test import smallest_detectable_run
from medaudit.stats.intervals import Rate
from medaudit.stats.matching import promised_false_alarms
from medaudit.stats.reasons import CohortEvidence, SourceDoubt
from medaudit.stats.verdict import Grounds


def settings_of(audit: Artifact) -> AuditSettings:
    """The settings that an audit ran with. Raises ArtifactBroken for what no audit can have run with."""
    stated = {name: audit.settings[name] for name in AuditSettings.model_fields if name in audit.settings}
    try:
        return check_settings(stated, AuditSettings, str(audit.path))
    except ConfigProblem:
        raise ArtifactBroken(
            f"{audit.path}: the settings in its manifest.json are no audit's; run the audit again"
        ) from None


def budget_of(record: Audit) -> Budget:
    """How alpha was spent over the tests of this audit."""
    parts = record.budget
    return Budget(
        parts["cohort_excess"],
        parts["cohort_run"],
        parts["familywise_each"],
        parts["fdr_each"],
        int(parts["detectors"]),
    )


def promised(record: Audit) -> float:
    """The share of held-out patients that the flag rules promise to flag at most."""
    budget = budget_of(record)
    return promised_false_alarms(
        record.counts.synthetic, budget.familywise_each, budget.fdr_each, budget.detectors
    )


def without_line(records: Sequence[DetectorRecord]) -> list[DetectorRecord]:
    """The detectors under which no single image can be flagged: no tail, or exact duplicates in the reference."""
    return [record for record in records if record.tail_points is None or record.score_line is None]


def grounds_of(record: Audit, settings: AuditSettings) -> Grounds:
    """The input of `decide`; the verdict and reasons of the record itself are not used."""
    counts, controls, found = record.counts, record.controls, record.variety
    budget, short = budget_of(record), without_line(record.detectors)
    rates = {planted.kind: planted.power for planted in controls.planted}
    related, source = record.reidentification, record.source
    return Grounds(
        synthetic=counts.synthetic,
        train_images=counts.train_images,
        train_patients=counts.train_patients,
        holdout_images=counts.holdout_images,
        holdout_patients=counts.holdout_patients,
        flagged=counts.flagged,
        patients_exposed=counts.patients_exposed,
        same_person=related.same_person if related else 0,
        suspects=counts.suspects,
        expected_suspects=sum(one.expected_suspects for one in record.detectors),
        cohort=_cohort_evidence(record.cohort_test, record, budget),
        power={kind: Rate(**rates[kind].model_dump()) for kind in settings.required_kinds if kind in rates},
        required_power=settings.required_power,
        negative=Rate(**controls.negative.model_dump()),
        negative_promise=promised(record),
        detectors_without_line=tuple(one.name for one in short),
        detectors_blind=tuple(one.name for one in short if one.fdr_needs > counts.synthetic),
        detectors=budget.detectors,
        duplicates_in_train=record.duplicates.across_patients_in_train,
        duplicates_across=record.duplicates.across_train_and_holdout,
        most_of_one=record.most_of_one,
        source=SourceDoubt(source.feature, source.p_value, source.level)
        if source and source.differs
        else None,
        distinct=found.distinct if found else None,
        largest_group=found.largest if found else 1,
        patient_level=record.patient_level,
        rate_upper=record.bounds.model_rate_upper,
        hidden=record.bounds.hidden_copies,
        sources=record.bounds.sources,
        alpha=settings.alpha,
        kind_words=KIND_WORDS,
        unplanted=tuple(kind for kind in controls.not_planted if kind in settings.required_kinds),
    )


def _cohort_evidence(test: CohortTest, record: Audit, budget: Budget) -> CohortEvidence:
    counts = record.counts
    return CohortEvidence(
        nearest_in_train=test.nearest_in_train,
        of=test.of,
        expected=test.expected,
        excess_p=test.excess_p,
        excess_alpha=budget.cohort_excess,
        run_length=test.run_length,
        run_patients=test.run_patients,
        run_p=test.run_p,
        run_alpha=budget.cohort_run,
        run_detectable=test.smallest_detectable_run,
        run_needed=smallest_detectable_run(counts.train_patients, counts.holdout_patients, budget.cohort_run),
    )
