"""Do T and H come from one source? A permutation test of patients on a few numbers of each film.

Held-out people are a fair comparison only when nothing but chance decided who was trained on. Films from another
scanner, hospital or export differ in tone, sharpness or noise, and then S is nearer to T for its style alone.
Axes: P patients of T and H together, F features, B draws.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm, rankdata

# The check runs in every audit, so it may cast doubt on one honest split in a thousand and no more. What would
# bias an audit moves a feature by a sizeable part of a standard deviation, and then p is far below this already
# for some dozens of patients on each side.
SOURCE_LEVEL = 0.001
_AT_ONCE = 1 << 20  # labels drawn at a time


@dataclass(frozen=True)
class SourceTest:
    """p-value, and the feature (its column) that differs most, by how many standard deviations (T above H: > 0)."""

    p_value: float
    feature: int
    difference: float

    @property
    def rejects(self) -> bool:
        """Whether T and H differ more than halves of one source would."""
        return self.p_value <= SOURCE_LEVEL


def source_test(
    features: np.ndarray, in_train: np.ndarray, *, draws: int, rng: np.random.Generator
) -> SourceTest:
    """(P, F) one row per patient, (P,) bool → whether membership in T explains any feature.

    Each feature enters as its normal score (place: is it larger?) and that score's square (width: is it more
    spread?). The statistic is the largest absolute difference of means over the 2 F columns, each in its own
    standard deviations. When membership is exchangeable every set of n_T patients is equally likely to be T, so
    p = (1 + #{draws at least as large}) / (draws + 1) is exact at any size. Phipson & Smyth 2010.
    Raises ValueError for values that are not finite or when a side is empty.
    """
    features, in_train = np.asarray(features, dtype=np.float64), np.asarray(in_train)
    if features.ndim != 2 or in_train.shape != features.shape[:1] or in_train.dtype != np.bool_:
        raise ValueError("features must be (patients, features) with a bool for each patient")
    if in_train.all() or not in_train.any() or not np.isfinite(features).all():
        raise ValueError("both sides need a patient, and every feature must be finite")
    if draws < 1:
        raise ValueError("at least one draw is needed")
    columns = _scores(features)  # (P, 2 F)
    observed = _differences(columns, in_train[None])[0]  # (2 F,)
    largest = float(np.abs(observed).max())
    as_large, done = 0, 0
    step = max(1, _AT_ONCE // in_train.size)
    while done < draws:
        many = min(step, draws - done)
        drawn = rng.permuted(np.broadcast_to(in_train, (many, in_train.size)), axis=1)  # (B, P)
        # Rounding must not make a relabelling that is as extreme look less so.
        as_large += int((np.abs(_differences(columns, drawn)).max(axis=1) >= largest * (1 - 1e-9)).sum())
        done += many
    feature = int(np.abs(observed).argmax()) % features.shape[1]
    plain = features[in_train, feature].mean() - features[~in_train, feature].mean()
    spread = features[:, feature].std()
    return SourceTest((1 + as_large) / (draws + 1), feature, float(plain / spread) if spread > 0 else 0.0)


def _scores(features: np.ndarray) -> np.ndarray:
    """(P, F) → (P, 2 F) normal scores and their squares, centred, of variance 1; constant columns become 0."""
    ranks = rankdata(features, axis=0)
    scores = norm.ppf(ranks / (len(features) + 1))
    columns = np.concatenate([scores, np.square(scores)], axis=1)
    columns -= columns.mean(axis=0)
    spread = columns.std(axis=0)
    return np.where(spread > 1e-12, columns / np.where(spread > 1e-12, spread, 1.0), 0.0)


def _differences(columns: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(P, C) columns of mean 0, (B, P) bool → (B, C) mean of the chosen less mean of the others."""
    inside = int(labels[0].sum())
    outside = labels.shape[1] - inside
    sums = labels.astype(np.float64) @ columns
    return sums * (1 / inside + 1 / outside)  # the columns sum to 0, so the others' sum is the negative
