"""A copy of a film, or another picture of the same person? The line between them, and how well a person is known again.

An image that is flagged gives a patient away; a real follow-up film of the patient does too and is no copy. What
tells them apart is the likeness of the aligned films where they are less alike (detectors/structure/pairs), held
against follow-up films of the real patients: one film of each asks for the most alike of the patient's others.

Axes: B pairs, R patients with several films, N flagged images, P follow-ups that ask, U unseen people.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from medaudit.stats.intervals import Interval, Rate, clopper_pearson
from medaudit.stats.reference import checked_scores

COPY, SAME_PERSON = "copy", "same-person"
CALLED_COPIES = 0.01  # of follow-up films, at most
ENOUGH_PAIRS = 99  # patients with follow-ups from which on they keep that promise alone
FIXED_LINE = 0.0  # of `closeness`

# artanh of the correlation that follow-ups stay below, and the spread of theirs: set on the films on which
# benchmarks/reidentification.py counts what they do, at 64, 128 and 224 px (224 is compared at 128). Above the line
# came none of 64 patients of ChestX-ray14 (64 px), none of 13 of Winther et al. (128 px), and 3 of 337 of Kermany et
# al. (128 px), of whom one at least is a radiograph stored twice. The more pixels, the more detail a follow-up lacks.
_SMOOTH, _SMOOTH_SPREAD = 2.2, 0.3
_DETAIL_SPREAD = 0.15
_PIXELS, _DETAIL = (28, 64, 128), (1.15, 0.95, 0.7)


def closeness(likeness: np.ndarray, pixels: int) -> np.ndarray:
    """(B, 2) correlations in the bands `smooth` and `detail`, the latter at so many pixels a side → (B,) closeness.

    In spreads of follow-ups beyond the fixed line of the band that speaks loudest; see the constants above.
    """
    strength = np.arctanh(np.clip(likeness, -0.999, 1 - 1e-6))  # (B, 2)
    line = np.array([_SMOOTH, np.interp(pixels, _PIXELS, _DETAIL)])
    return ((strength - line) / np.array([_SMOOTH_SPREAD, _DETAIL_SPREAD])).max(axis=1)


@dataclass(frozen=True)
class CopyLine:
    """A flagged image whose closeness to its film is above `line` is called a copy.

    source: whose line it is; `fixed` where follow-ups are too few to lower it and ask for no higher one.
    """

    line: float
    source: Literal["follow-ups", "fixed"]
    pairs: int  # R
    highest: float | None  # of the most alike follow-up; None without any


def copy_line(follow_ups: np.ndarray, fixed: float = FIXED_LINE) -> CopyLine:
    """(R,) closeness of each patient's most alike films → the line that at most CALLED_COPIES of follow-ups exceed.

    The k-th largest of R is exceeded by one more exchangeable patient with probability k / (R + 1) at most (Vovk et al.
    2005, conformal limits): k is the largest that keeps the promise. Below ENOUGH_PAIRS none does; then the line is
    the highest follow-up, and `fixed` where that is more.
    """
    if len(follow_ups) == 0:
        return CopyLine(fixed, "fixed", 0, None)
    ordered = np.sort(checked_scores(follow_ups, "closeness"))[::-1]
    highest = float(ordered[0])
    if ordered.size >= ENOUGH_PAIRS:
        rank = math.floor(CALLED_COPIES * (ordered.size + 1) + 1e-9)
        return CopyLine(float(ordered[rank - 1]), "follow-ups", int(ordered.size), highest)
    source: Literal["follow-ups", "fixed"] = "follow-ups" if highest > fixed else "fixed"
    return CopyLine(max(highest, fixed), source, int(ordered.size), highest)


def relations(close: np.ndarray, one_film: np.ndarray, line: float) -> np.ndarray:
    """(N,) closeness and (N,) bool "nearly the same pixels" → (N,) COPY or SAME_PERSON."""
    return np.where(one_film | (close > line), COPY, SAME_PERSON)


def auc_by_patient(
    positive: np.ndarray,
    positive_patient: np.ndarray,
    unseen: np.ndarray,
    unseen_patient: np.ndarray,
    *,
    replicates: int,
    rng: np.random.Generator,
    confidence: float = 0.95,
) -> Interval:
    """(P,) scores of follow-ups and (U,) of unseen people → chance that a follow-up scores higher, with its interval.

    Ties count half (Mann & Whitney 1947). Patients are drawn with replacement, with all that is theirs on either side
    (Efron & Tibshirani 1993, sec. 13.3). Where all
    follow-ups score higher than all unseen people the lower end is `_apart`.
    """
    positive, unseen = checked_scores(positive, "scores"), checked_scores(unseen, "scores")
    above = (positive[:, None] > unseen) + 0.5 * (positive[:, None] == unseen)  # (P, U)
    codes = np.unique(np.concatenate([positive_patient, unseen_patient]), return_inverse=True)[1]
    people, of_positive, of_unseen = int(codes.max()) + 1, codes[: positive.size], codes[positive.size :]
    drawn = []
    for _ in range(replicates):
        weight = np.bincount(rng.integers(0, people, people), minlength=people).astype(float)
        left, right = weight[of_positive], weight[of_unseen]
        if left.any() and right.any():
            drawn.append(left @ above @ right / (left.sum() * right.sum()))
    tail = (1 - confidence) / 2
    low, high = np.quantile(drawn or [0.0, 1.0], [tail, 1 - tail])
    if above.min() == 1:
        low = _apart(len(np.unique(positive_patient)), len(np.unique(unseen_patient)), confidence)
    return Interval(float(above.mean()), float(low), float(high), confidence)


def _apart(followed: int, unseen: int, confidence: float) -> float:
    """Lower limit of the AUC where all of so many patients' follow-ups lie above all unseen people; a bootstrap of
    them would always give 1. The AUC is at least P(follow-up above a line) P(unseen below it), each by Clopper-Pearson
    with half of the error."""
    half = 1 - (1 - confidence) / 2
    return clopper_pearson(followed, followed, half).low * clopper_pearson(unseen, unseen, half).low


def same_person_sentence(flagged: int, same_person: int) -> str:
    """What is said of flagged images that are not shown to be copies."""
    of = f"{same_person:,} of {flagged:,} flagged images" if flagged > 1 else "The flagged image"
    several = flagged > 1 and same_person > 1
    one = "are no closer to a film" if several else "is no closer to a film"
    verb = "they give" if several else "it gives"
    return (
        f"{of} {one} than another picture of the same person can be, so no copy of a film is shown; {verb} the person "
        "away all the same."
    )


def known_again_sentence(auc: Interval, named: Rate) -> str:
    """What is said of real follow-up films of training patients, each asked without itself."""
    films = "follow-up film" if named.of == 1 else "follow-up films"
    return (
        f"Another picture of the same person: of {named.of:,} real {films} of training patients, each asked without "
        f"itself, {named.count:,} named the right patient; against unseen people the AUC is {auc.value:.2f} "
        f"({auc.low:.2f} to {auc.high:.2f})."
    )
