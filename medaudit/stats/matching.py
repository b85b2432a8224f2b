"""From distances to statements about images: who is who, what the runner-up scored, which detector speaks.

Axes: M rows of a cohort, N images that were searched for, K neighbours, E detectors, (T, D) a description.
A larger score is more copy-like; +inf is an exact copy.
"""

from collections.abc import Sequence

import numpy as np

from medaudit.stats.reference import adaptive_ratio, copy_score

RATIO_ALPHA = 0.5  # Carlini et al. 2023, sec. 5.1
FEWEST_NEIGHBOURS = 3  # of a tiny cohort
MATCH_SHARE = 0.01  # of unseen people come nearer than the match radius
EXCESS_SHARE = 0.05  # of unseen people lie beyond the line of the excess copy rate


def patient_codes(patients: np.ndarray) -> np.ndarray:
    """(M,) patient ids → (M,) int64 codes by first appearance; a row whose patient is None is a person of its own."""
    seen: dict[object, int] = {}
    keys = [(row,) if patient is None else patient for row, patient in enumerate(patients)]
    return np.array([seen.setdefault(key, len(seen)) for key in keys], dtype=np.int64)


def usable_neighbours(asked: int, groups: np.ndarray) -> tuple[int, bool]:
    """k for a training cohort with patient codes (M,), and whether its own patients can be asked as if unseen.

    A quarter of a small cohort, so that "the k nearest" stay near; and no more images than remain when the patient
    with the most is left out, so that every search can use the same k. When fewer than two remain the training
    patients cannot take part, because a ratio to one neighbour is the same for everyone.
    Raises ValueError for fewer than two images.
    """
    if groups.size < 2:
        raise ValueError("a ratio to neighbours needs at least two training images")
    k = max(2, min(asked, max(FEWEST_NEIGHBOURS, groups.size // 4), groups.size))
    left = groups.size - int(np.bincount(groups).max())
    return (min(k, left), True) if left >= 2 else (k, False)


def copy_scores(distances: np.ndarray, runner_up: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N, K) distances, ascending, and (N,) of the best other patient → scores (N,) and runner-up scores (N,).

    Both are -log of a ratio to the same mean of the K nearest; where there is no other patient (inf) it is -inf.
    """
    score = copy_score(adaptive_ratio(distances, RATIO_ALPHA))
    filled = np.isfinite(distances)
    mean = np.where(filled, distances, 0.0).sum(axis=1) / np.maximum(1, filled.sum(axis=1))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = runner_up / (RATIO_ALPHA * mean)
    return score, copy_score(np.where(runner_up == 0, 0.0, ratio))


def lone_flags(
    p: np.ndarray, upper_p: np.ndarray | None, count: int, alpha_familywise: float, alpha_fdr: float
) -> np.ndarray:
    """(N,) bool: which images would be flagged if they were the only copy in a release of `count` images.

    The family-wise rule does not depend on the others; Benjamini-Hochberg flags a lone image when p * count <= q.
    """
    flagged = p * count <= alpha_fdr
    return flagged if upper_p is None else flagged | (upper_p * count <= alpha_familywise)


def plant_rows(groups: np.ndarray, avoid: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """(M,) patient codes → at most `count` rows to plant copies of, no row twice, ascending.

    Each patient gives one image before any gives a second, and all patients are equally likely to be among those who
    give, however many images they have: power is counted over patients. Patients in `avoid` give none, unless nobody
    else is left.
    """
    rows = np.flatnonzero(~np.isin(groups, avoid))
    rows = rng.permutation(rows if rows.size else np.arange(groups.size))
    order = np.argsort(groups[rows], kind="stable")
    codes = groups[rows][order]
    turn = np.empty(rows.size, dtype=np.int64)
    turn[order] = np.arange(rows.size) - np.searchsorted(codes, codes)  # 0 for a patient's first image, 1, …
    # By turn, then at random: in the order of `rows` a patient with many images would come early in the first turn.
    return np.sort(rows[np.lexsort((rng.random(rows.size), turn))[:count]])


def donor_rows(groups: np.ndarray, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(M,) patient codes and (n,) rows → (n,) rows of other patients, drawn by chance.

    Raises ValueError where all rows belong to one patient.
    """
    order = np.argsort(groups, kind="stable")
    ranked = groups[order]
    first, last = np.searchsorted(ranked, groups[rows]), np.searchsorted(ranked, groups[rows], side="right")
    others = len(groups) - (last - first)  # (n,)
    if (others < 1).any():
        raise ValueError("there is no other patient")
    step = (rng.random(len(rows)) * others).astype(np.int64)
    return order[(last + step) % len(groups)]


def right_and_flagged(named: np.ndarray, true: np.ndarray, flagged: np.ndarray) -> np.ndarray:
    """(n,) bool: flagged, and the patient named is the one whose image it is."""
    return flagged & (named == true)


def promised_false_alarms(count: int, alpha_familywise: float, alpha_fdr: float, detectors: int) -> float:
    """The largest share of unseen people that `cross_fit_flags` may flag if all promises hold, over the detectors.

    Family-wise each person is flagged with probability alpha / count at most; Benjamini-Hochberg flags anyone at all
    among those who pose together with probability q at most.
    """
    if count < 1 or detectors < 1:
        raise ValueError("counts must be at least 1")
    return min(1.0, detectors * (alpha_familywise / count + alpha_fdr))


def rows_of_speakers(
    flagged: Sequence[np.ndarray], upper_p: Sequence[np.ndarray], p: Sequence[np.ndarray]
) -> np.ndarray:
    """E arrays (N,) of flags, upper limits and p-values → (N,) rows among the E * N, one detector after the other.

    For each image the detector that speaks for it: one that flags it before one that does not; then the smallest
    upper limit, the smallest p, the first.
    """
    flags = np.stack(flagged)  # (E, N)
    speaker = np.lexsort((np.stack(p), np.stack(upper_p), ~flags), axis=0)[0]
    return speaker * flags.shape[1] + np.arange(flags.shape[1])


def match_radius(distances: np.ndarray) -> float:
    """(R,) distances of unseen people to the cohort → the distance that MATCH_SHARE of them do not exceed."""
    return float(np.quantile(distances, MATCH_SHARE, method="lower"))


def excess_line(reference: np.ndarray) -> float:
    """(R,) scores of unseen people → the score above which EXCESS_SHARE of them lie at most."""
    return float(np.quantile(reference, 1 - EXCESS_SHARE, method="higher"))


def nearest_people(
    distance_train: np.ndarray,
    person_train: np.ndarray,
    distance_holdout: np.ndarray,
    person_holdout: np.ndarray,
    n_train: int,
    n_holdout: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The nearest patient of T and H together, from (N,) distances to and patient codes in each.

    Returns (N,) codes (T's patients first, then H's), (P,) bool whether a patient is in T, and (N,) the images in
    order of their distance, nearest first. A tie between T and H counts for H, against a finding.
    """
    closer = distance_train < distance_holdout
    person = np.where(closer, person_train, n_train + person_holdout)
    order = np.argsort(np.where(closer, distance_train, distance_holdout), kind="stable")
    return person, np.arange(n_train + n_holdout) < n_train, order


def union(flags: Sequence[np.ndarray]) -> np.ndarray:
    """Arrays (N,) bool of several detectors → (N,) bool: flagged by any."""
    return np.any(np.stack(flags), axis=0)
