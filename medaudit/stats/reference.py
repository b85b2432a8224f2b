"""What unseen people score: the reference sample, the copy score, and p-values against the reference.

Axes: M rows of a cohort, n patients, N scores to judge, R reference scores (one per patient), K neighbours.
A larger score is more copy-like; +inf is an exact copy.
"""

import numpy as np


def draw_one_per_patient(patients: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(M,) patient ids → (n,) int64 rows, one at random per patient, in the order of the patients' first rows.

    Raises ValueError when there is no row, or a row without a patient.
    """
    patients = np.asarray(patients)
    if patients.ndim != 1 or patients.size == 0:
        raise ValueError("patients must be one-dimensional and not empty")
    codes = np.empty(patients.size, dtype=np.int64)
    seen: dict[object, int] = {}
    for row, patient in enumerate(patients.tolist()):
        if patient is None or patient != patient:  # a missing id: None or NaN
            raise ValueError("every row needs a patient; rows without one must be left out or named first")
        codes[row] = seen.setdefault(patient, len(seen))
    order = np.lexsort((rng.random(codes.size), codes))  # by patient, in random order within one
    first = np.flatnonzero(np.r_[True, np.diff(codes[order]) > 0])
    return order[first].astype(np.int64)


def conformal_p_values(scores: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """(N,) scores and (R,) reference → (N,) p-values (1 + #{reference >= score}) / (R + 1).

    Valid for a score that is exchangeable with the reference; ties count against it. Bates et al. 2023, eq. 1.
    """
    scores = checked_scores(scores, "scores")
    reference = np.sort(checked_scores(reference, "reference"))
    at_least = reference.size - np.searchsorted(reference, scores, side="left")  # (N,)
    return (1 + at_least) / (reference.size + 1)


def adaptive_ratio(distances: np.ndarray, alpha: float = 0.5) -> np.ndarray:
    """(N, K) distances to the K nearest, ascending → (N,) nearest / (alpha * mean of the K).

    Infinite distances are unfilled places and do not enter the mean. An exact copy has ratio 0, also when all
    its neighbours are exact copies. Carlini et al. 2023, sec. 5.1.
    Raises ValueError when K < 2 (the ratio would be 1 / alpha for everyone) or a row has no neighbour.
    """
    distances = np.asarray(distances, dtype=np.float64)
    if distances.ndim != 2 or distances.shape[0] == 0 or distances.shape[1] < 2:
        raise ValueError("distances must be (images, neighbours) with at least one image and two neighbours")
    if np.isnan(distances).any() or (distances < 0).any():
        raise ValueError("distances must be at least 0")
    if (distances[:, :-1] > distances[:, 1:]).any():
        raise ValueError("distances must ascend along each row")
    if not alpha > 0:
        raise ValueError("alpha must be above 0")
    filled = np.isfinite(distances)
    number = filled.sum(axis=1)  # (N,)
    if (number == 0).any():
        raise ValueError("every row needs at least one neighbour")
    mean = np.where(filled, distances, 0.0).sum(axis=1) / number
    return np.where(mean > 0, distances[:, 0] / (alpha * np.where(mean > 0, mean, 1.0)), 0.0)


def copy_score(ratio: np.ndarray) -> np.ndarray:
    """(N,) adaptive ratios → (N,) scores -log(ratio): larger is more copy-like, ratio 0 gives +inf.

    Where distances have a lower tail like t^m (m the local dimension of the data), the scores of people who were
    not copied have an exponential upper tail. Amsaleg et al. 2015 (local intrinsic dimensionality).
    """
    ratio = np.asarray(ratio, dtype=np.float64)
    if np.isnan(ratio).any() or (ratio < 0).any():
        raise ValueError("ratios must be at least 0")
    with np.errstate(divide="ignore"):
        return -np.log(ratio) + 0.0  # + 0.0 turns -0.0 into 0.0


def checked_scores(scores: np.ndarray, name: str) -> np.ndarray:
    """A one-dimensional float64 array without NaN and not empty, or ValueError naming it."""
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim != 1 or scores.size == 0:
        raise ValueError(f"{name} must be one-dimensional and not empty")
    if np.isnan(scores).any():
        raise ValueError(f"{name} must not hold NaN")
    return scores
