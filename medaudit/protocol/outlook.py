"""What follows from an audit: whether withholding is enough, and what would change the verdict.

The words are stats/next_steps'.
"""

from collections.abc import Sequence

from medaudit.artifacts.findings import Audit
from medaudit.artifacts.second_looks import Remainder
from medaudit.images.plants import KIND_WORDS
from medaudit.protocol.audit_record import Case, audit_record
from medaudit.protocol.controls import Plants
from medaudit.protocol.described import Machine
from medaudit.protocol.examination import Examined
from medaudit.protocol.grounds import promised, without_line
from medaudit.protocol.remainder import look_again
from medaudit.protocol.utility import judge_utility
from medaudit.stats.intervals import Rate
from medaudit.stats.next_steps import Rest, Standing, next_steps, remainder_wording
from medaudit.stats.reasons import CohortEvidence, one_id_sentences


def whole_record(
    case: Case, examined: Sequence[Examined], plants: Plants, withheld: list[int], seed: int, machine: Machine
) -> Audit:
    """audit.json: the record, the outcome of the second look where there is one, the next steps, and usefulness."""
    again = look_again(case, examined, plants, withheld, seed, machine)
    record = _with_outlook(audit_record(case, examined, withheld), again, case)
    found = judge_utility(case.synthetic, case.holdout, seed, machine.progress)
    return record.model_copy(update={"utility": found})


def _with_outlook(record: Audit, looked: tuple[Audit, CohortEvidence] | None, case: Case) -> Audit:
    again = None if looked is None else looked[0]
    rest = None if looked is None else _rest(*looked)
    counts, most = record.counts, case.most_of_one
    short = without_line(record.detectors)
    standing = Standing(
        verdict=record.verdict,
        synthetic=counts.synthetic,
        flagged=counts.flagged,
        patients_exposed=counts.patients_exposed,
        train_patients=counts.train_patients,
        holdout_patients=counts.holdout_patients,
        cohort=case.cohort[0],
        rest=rest,
        second_look=case.alpha_spent > 0,
        power=case.controls.power,
        kind_words=KIND_WORDS,
        required_power=case.settings.required_power,
        negative_broken=case.controls.negative.low > promised(record),
        without_line=bool(short),
        reference=min((detector.reference_size for detector in short), default=None),
        duplicates_in_train=record.duplicates.across_patients_in_train,
        duplicates_across=record.duplicates.across_train_and_holdout,
        one_id=bool(
            one_id_sentences(
                (counts.train_images, counts.train_patients, most[0]),
                (counts.holdout_images, counts.holdout_patients, most[1]),
            )
        ),
        source_differs=record.source is not None and record.source.differs,
        patient_level=record.patient_level,
        distinct=case.variety.distinct,
    )
    remainder = None if again is None or rest is None else _remainder(record, again, rest)
    return record.model_copy(update={"remainder": remainder, "next_steps": next_steps(standing)})


def _rest(again: Audit, cohort: CohortEvidence) -> Rest:
    return Rest(
        verdict=again.verdict,
        reasons=tuple(again.reasons),
        synthetic=again.counts.synthetic,
        flagged=again.counts.flagged,
        cohort_rejects=again.cohort_test.rejects,
        alpha=again.budget["alpha"] - again.budget["alpha_spent"],
        power={one.kind: Rate(**one.power.model_dump()) for one in again.controls.planted if one.required},
        distinct=again.variety.distinct if again.variety else None,
        cohort=cohort,
    )


def _remainder(record: Audit, again: Audit, rest: Rest) -> Remainder:
    counts, test = again.counts, again.cohort_test
    return Remainder(
        verdict=again.verdict,
        reasons=again.reasons,
        withheld=record.counts.flagged,
        synthetic=counts.synthetic,
        distinct=again.variety.distinct if again.variety else counts.synthetic,
        flagged=counts.flagged,
        suspects=counts.suspects,
        cohort_rejects=test.rejects,
        excess_p=test.excess_p,
        run_p=test.run_p,
        minimum_power=again.controls.minimum_power,
        hidden_copies=again.bounds.hidden_copies,
        alpha=rest.alpha,
        enough=rest.enough,
        wording=remainder_wording(record.counts.flagged, rest),
    )
