"""The record of an audit: audit.json from what was found. The words of the verdict are stats/verdict's."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from medaudit.artifacts.findings import (
    AgreementRecord,
    Audit,
    Bounds,
    CohortTest,
    Counts,
    Duplicates,
    LikenessRecord,
    SourceCheck,
    VarietyRecord,
)
from medaudit.artifacts.second_looks import WithoutFlags
from medaudit.artifacts.store import Artifact
from medaudit.config import AuditSettings
from medaudit.protocol.closeness import DETECTOR, Beside
from medaudit.protocol.controls import Evidence
from medaudit.protocol.duplicates import Doubles
from medaudit.protocol.examination import Examined, detector_record
from medaudit.protocol.generative import Generated
from medaudit.protocol.grounds import grounds_of
from medaudit.protocol.reidentification import Related
from medaudit.protocol.sides import Side
from medaudit.readers.refusals import unread
from medaudit.stats.agreement import agreement, agreement_sentence
from medaudit.stats.bounds import hidden_copies, model_rate_upper, sources_needed
from medaudit.stats.duplicates import Variety, variety
from medaudit.stats.intervals import Rate
from medaudit.stats.likeness import likeness_sentences
from medaudit.stats.matching import union
from medaudit.stats.reasons import CohortEvidence, generative_sentences, zero_found_wording
from medaudit.stats.verdict import INCONCLUSIVE, RELEASE_SUPPORTED, Grounds, decide

_PAIRS = 100  # of duplicates that are listed


@dataclass(frozen=True)
class Case:
    """All that an audit looked at and found beside the detectors' results."""

    train: Side
    holdout: Side
    synthetic: Side
    settings: AuditSettings
    alpha_spent: float
    doubles: Doubles
    beside: Beside  # S and people against H
    cohort: tuple[CohortEvidence, CohortTest]
    controls: Evidence
    generated: Generated | str  # copies by an over-trained model, or why there are none
    groups: np.ndarray  # (N,) group of near-identical images that each image of S belongs to
    source: SourceCheck | None
    related: Related

    @property
    def patient_level(self) -> bool:
        """Whether images can be counted as people."""
        known = self.train.cohort.has_patients and self.holdout.cohort.has_patients
        return known or self.settings.one_image_one_patient

    @property
    def variety(self) -> Variety:
        """How many different images S holds."""
        return variety(self.groups)

    @property
    def most_of_one(self) -> tuple[int, int]:
        """Images of the patient with the most, in T and in H."""
        return int(np.bincount(self.train.groups).max()), int(np.bincount(self.holdout.groups).max())


def audit_record(case: Case, examined: Sequence[Examined], withheld: list[int]) -> Audit:
    """audit.json, with the verdict and its reasons; what follows from them is protocol/outlook's."""
    counts = _counts(case, examined)
    weakest = case.controls.weakest
    bounds = bounds_of(
        counts,
        case.variety.distinct,
        weakest[1] if weakest else 0.0,
        case.settings.alpha,
        withheld=bool(withheld),
    )
    budget = examined[0].bench.budget
    flagged = union([seen.judged.flagged for seen in examined])
    alike = case.beside.likeness(_own_faces(case, flagged))
    undecided = Audit(
        schema_="medaudit.audit/1",
        verdict=INCONCLUSIVE,
        reasons=[],
        counts=counts,
        cohort_test=case.cohort[1],
        detectors=[detector_record(seen) for seen in examined],
        controls=case.controls.record,
        bounds=bounds,
        duplicates=_duplicates(case),
        patient_level=case.patient_level,
        budget={"alpha": case.settings.alpha, "alpha_spent": case.alpha_spent, **budget.as_dict()},
        withheld=withheld,
        variety=VarietyRecord(**asdict(case.variety)),
        source=case.source,
        likeness=None if alike is None else LikenessRecord(detector=DETECTOR.name, **asdict(alike)),
        agreement=_agreement(case, examined),
        reidentification=case.related.record,
        most_of_one=case.most_of_one,
    )
    grounds = grounds_of(undecided, case.settings)
    verdict, reasons = decide(grounds)
    remarks = [*_generative(case), *likeness_sentences(alike), *_unread(case), *_known_again(case)]
    return undecided.model_copy(
        update={
            "verdict": verdict,
            "reasons": [*reasons, *remarks],
            "without_flags": without_flags(grounds),
        }
    )


def _own_faces(case: Case, flagged: np.ndarray) -> np.ndarray:
    """Places of images that copy nobody, one of each group of twins: what can be compared with people."""
    places = np.flatnonzero(~flagged)
    return np.sort(places[np.unique(case.groups[places], return_index=True)[1]])


def without_flags(grounds: Grounds) -> WithoutFlags | None:
    """The same rule on the same grounds, were every flag cleared; a supported verdict then states no bound."""
    if not grounds.flagged:
        return None
    verdict, reasons = decide(replace(grounds, flagged=0, patients_exposed=0, same_person=0))
    return WithoutFlags(verdict=verdict, reasons=reasons[1:] if verdict == RELEASE_SUPPORTED else reasons)  # type: ignore[arg-type]


def _generative(case: Case) -> list[str]:
    """The generative control is required of nobody; where its power is low the reader is told."""
    found = case.controls.record.generative
    if found is None or found.power is None:
        return []
    rate = Rate(**found.power.model_dump())
    return generative_sentences(rate, found.patients, case.settings.required_power)


def _unread(case: Case) -> list[str]:
    """Training files that were refused matter when a model from elsewhere may have seen them."""
    source = case.train.cohort.artifact
    count = refused_images(source)
    if not count or case.synthetic.cohort.artifact.lineage.get("train") == source.id:
        return []
    return [
        f"{count:,} files of the training source could not be read; if the model was trained on them elsewhere, "
        "copies of them cannot be found."
    ]


def refused_images(cohort: Artifact) -> int:
    """Images that were refused when the source of a cohort was ingested; files that are no image do not count."""
    return unread(cohort.manifest.get("refused", {}).get("counts", {}))


def _known_again(case: Case) -> list[str]:
    """How surely another film of a training patient gives the patient away."""
    known = case.related.record.known_again
    return [known.wording] if known else []


def _counts(case: Case, examined: Sequence[Examined]) -> Counts:
    flagged = union([seen.judged.flagged for seen in examined])
    suspect = union([seen.judged.suspect for seen in examined])
    exposed = {
        int(person) for seen in examined for person in case.train.groups[seen.found.row[seen.judged.flagged]]
    }
    train, holdout = case.train.cohort.artifact, case.holdout.cohort.artifact
    one_source = train.lineage.get("cohort") is not None and train.lineage["cohort"] == holdout.lineage.get(
        "cohort"
    )
    return Counts(
        synthetic=len(case.synthetic),
        train_images=len(case.train),
        train_patients=case.train.people,
        holdout_images=len(case.holdout),
        holdout_patients=case.holdout.people,
        flagged=int(flagged.sum()),
        suspects=int((suspect & ~flagged).sum()),
        patients_exposed=len(exposed),
        train_unread=refused_images(train),
        holdout_unread=0 if one_source else refused_images(holdout),
    )


def _agreement(case: Case, examined: Sequence[Examined]) -> AgreementRecord:
    names = [seen.bench.detector.name for seen in examined]
    named = [case.train.groups[seen.found.row] for seen in examined]
    found = agreement([seen.judged.flagged for seen in examined], named)
    flagged = np.flatnonzero(found.detectors)
    return AgreementRecord(
        detectors=names,
        both=found.both.tolist(),
        alone=found.alone.tolist(),
        by_number=found.by_number.tolist(),
        several=found.several,
        one_patient=found.one_patient,
        images=[(int(case.synthetic.rows[place]), int(found.detectors[place])) for place in flagged],
        wording=agreement_sentence(found, names),
    )


def bounds_of(
    counts: Counts, distinct: int | None, power_low: float, alpha: float, *, withheld: bool
) -> Bounds:
    """Only where nothing was flagged; and where copies were taken out before, the rest bounds no rate of the model.

    Images that are one and the same are one look at the model: the rate is bounded by the `distinct` ones. A model
    that copies one film over and over can be missed as a whole, so the rate holds from `sources` copied films on.
    power_low: the smallest lower limit of power among the required kinds, 0 where none was measured.
    """
    if counts.flagged:
        wording = "copies were found, so no bound for a release without any applies"
        return Bounds(model_rate_upper=None, sources=None, hidden_copies=None, alpha=alpha, wording=wording)
    looks = counts.synthetic if distinct is None else distinct
    sources = None if withheld else sources_needed(looks, power_low, alpha)
    rate = None if sources is None else model_rate_upper(looks, power_low, alpha, sources)
    hidden = hidden_copies(power_low, alpha)
    wording = zero_found_wording(counts.synthetic, rate, hidden, alpha, distinct, sources)
    return Bounds(model_rate_upper=rate, sources=sources, hidden_copies=hidden, alpha=alpha, wording=wording)


def _duplicates(case: Case) -> Duplicates:
    doubles, train, holdout = case.doubles, case.train.rows, case.holdout.rows
    pairs = [("train and holdout", int(train[a]), int(holdout[b])) for a, b in doubles.across.places]
    pairs += [("train", int(train[a]), int(train[b])) for a, b in doubles.train.places]
    return Duplicates(
        across_patients_in_train=len(doubles.train),
        across_train_and_holdout=len(doubles.across),
        pairs=pairs[:_PAIRS],
        lines=doubles.lines,
        people_left_out=len(doubles.in_train) + len(doubles.in_holdout),
    )
