"""The verdict and its words: one rule for every audit. STATISTICS 7.

A finding comes before a doubt: copies that were found stay found, however weak the rest of the audit is. Some
doubts come before the cohort test, because its null hypothesis, that chance alone decided who is in T and who in H,
is meaningless: people who are in both, one patient id for most images of a cohort, T and H of different sources.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from medaudit.stats.intervals import Rate
from medaudit.stats.reasons import (
    CohortEvidence,
    SourceDoubt,
    cohort_clear,
    cohort_sentences,
    flag_sentences,
    leak_sentences,
    negative_sentences,
    no_id_sentences,
    notes,
    one_id_sentences,
    power_clear,
    power_sentences,
    reference_sentences,
    search_sentences,
    share_sentences,
    source_sentences,
    unplanted_sentences,
    variety_sentences,
    zero_found_wording,
)

RELEASE_SUPPORTED = "release-supported"
DO_NOT_RELEASE = "do-not-release"
INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, kw_only=True)
class Grounds:
    """All that a verdict rests on; counts are of images unless they say otherwise."""

    synthetic: int
    train_images: int
    train_patients: int
    holdout_images: int
    holdout_patients: int
    flagged: int  # that a flag rule names, neither withheld nor cleared
    patients_exposed: int  # whom they show
    same_person: int = 0  # of them, no closer than another picture of the person can be
    suspects: int
    expected_suspects: float
    cohort: CohortEvidence
    power: Mapping[str, Rate]  # of the required kinds
    required_power: float
    negative: Rate  # unseen people flagged
    negative_promise: float  # the share that the flag rules promise to flag at most
    detectors_without_line: tuple[str, ...] = ()  # whose reference is too small for a tail
    detectors_blind: tuple[
        str, ...
    ] = ()  # of them, whose part of alpha is too small for any number of copies
    detectors: int = 1  # that share alpha
    duplicates_in_train: int = 0
    duplicates_across: int = 0
    most_of_one: tuple[int, int] = (0, 0)  # images of the patient with the most, in T and in H
    source: SourceDoubt | None = None  # how T and H differ when they do
    distinct: int | None = None  # different images of S
    largest_group: int = 1  # images in the largest set of twins of S
    patient_level: bool = True
    searched_whole: bool = True
    rate_upper: float | None = None  # the bounds of a supported release
    hidden: int | None = None
    sources: int | None = None
    alpha: float = 0.05
    kind_words: Mapping[str, str] = field(
        default_factory=dict
    )  # how a kind of planted copy reads after "copies"
    unplanted: tuple[str, ...] = ()  # required kinds that could not be planted


def decide(given: Grounds) -> tuple[str, list[str]]:
    """The verdict, and its reasons with the most decisive first."""
    found = flag_sentences(
        given.synthetic, given.train_patients, given.flagged, given.patients_exposed, given.same_person
    )
    rejected = cohort_sentences(given.cohort)
    different = given.synthetic if given.distinct is None else given.distinct
    train = given.train_images, given.train_patients, given.most_of_one[0]
    holdout = given.holdout_images, given.holdout_patients, given.most_of_one[1]
    voids = (
        leak_sentences(given.duplicates_across)
        + one_id_sentences(train, holdout)
        + source_sentences(given.source)
    )
    doubts = [
        *search_sentences(given.searched_whole),
        *voids,
        *no_id_sentences(given.patient_level),
        *reference_sentences(
            given.detectors_without_line,
            given.cohort,
            different,
            given.train_patients,
            given.holdout_patients,
        ),
        *share_sentences(given.detectors_blind, given.detectors),
        *power_sentences(given.power, given.required_power, given.kind_words),
        *unplanted_sentences(given.unplanted, given.kind_words),
        *negative_sentences(given.negative, given.negative_promise),
    ]
    remarks = notes(given.suspects, given.expected_suspects, given.duplicates_in_train)
    remarks += variety_sentences(given.synthetic, different, given.largest_group)
    if found or (rejected and not voids):
        return DO_NOT_RELEASE, [*found, *rejected, *doubts, *remarks]
    if doubts:
        return INCONCLUSIVE, [*doubts, *rejected, *remarks]
    supported = zero_found_wording(
        given.synthetic, given.rate_upper, given.hidden, given.alpha, different, given.sources
    )
    seen = power_clear(given.power, given.required_power, given.kind_words)
    return RELEASE_SUPPORTED, [supported, cohort_clear(given.cohort), seen, *remarks]
