"""How improbable is a score beyond the reference? A generalised Pareto tail with its bootstrap upper limit.

Axes: N scores to judge, R reference scores (unseen people, one each), B bootstrap replicates, k tail points.

What is promised holds on average over references: the chance that a clean release gets any flag is at most alpha.
`benchmarks/flag_simulation.py` measures it. Four things make it so: the shape is not below 0 (a score never becomes
impossible); many tail points, since with few the shape is hardly known; the bootstrap's own bias of the shape is
taken out; and below 150 people the limit is stricter, because a bootstrap of few people underrates its own doubt.
The price is power: a small reference asks for copies further out.
"""

import math
from dataclasses import dataclass

import numpy as np

from medaudit.stats.intervals import clopper_pearson
from medaudit.stats.reference import checked_scores

MIN_REFERENCE = 40  # finite scores
MIN_DISTINCT = 15  # different values among the tail points
TAIL_SHARE = 0.6  # tail points: this share of a small reference,
TAIL_ROOT = 10  # and so many times the root of a large one, so that the share falls as people are added
DOUBT = 0.05  # of the upper limit, one-sided, from FULL_REFERENCE people on
FULL_REFERENCE = 150
_MAX_SHAPE = 0.95  # the mean of the tail must exist
_CELLS = 1 << 22  # cells of a block of (replicates, scores)


@dataclass(frozen=True, eq=False)
class TailFit:
    """B fitted tails: beyond threshold u, P(score > s) = fraction * (1 + shape (s - u) / scale)^(-1 / shape)."""

    points: int  # k
    fraction: float  # k / R
    level: float  # one-sided confidence of the upper limit: 0.95, more when the reference is small
    threshold: np.ndarray  # (B,)
    scale: np.ndarray  # (B,)
    shape: np.ndarray  # (B,), at least 0; 0 is the exponential tail
    atom: float  # upper limit of P(score = +inf): above 0 only when the reference holds exact duplicates

    def upper_p(self, scores: np.ndarray) -> np.ndarray:
        """(N,) scores → (N,) upper limits of P(score of an unseen person >= s); 1 below the threshold, 0 at +inf."""
        scores = checked_scores(scores, "scores")
        upper = np.ones(scores.size)
        beyond = np.flatnonzero(scores >= self.threshold.min())  # of an ordinary release a small part
        block = max(1, _CELLS // self.threshold.size)
        for start in range(0, beyond.size, block):
            part = beyond[start : start + block]
            upper[part] = self._replicate_limit(self._tail_p(scores[part]))
        return np.minimum(1.0, upper + self.atom)

    def line(self, p: float) -> float:
        """The score from which the upper limit is at most p; inf when no finite score has so small a limit."""
        if not p > self.atom:
            return math.inf
        log_ratio = max(0.0, math.log(self.fraction / (p - self.atom)))  # below the threshold p is 1
        with np.errstate(over="ignore"):
            stretch = np.where(
                self.shape > 0, np.expm1(self.shape * log_ratio) / _positive(self.shape), log_ratio
            )
        return float(self._replicate_limit((self.threshold + self.scale * stretch)[:, None])[0])

    def _tail_p(self, scores: np.ndarray) -> np.ndarray:
        """(N,) → (B, N) tail p-values of every replicate."""
        threshold, scale, shape = (a[:, None] for a in (self.threshold, self.scale, self.shape))
        with np.errstate(over="ignore"):  # a replicate of equal values has next to no scale
            beyond = np.maximum(scores[None, :] - threshold, 0.0) / scale  # (B, N)
        heavy = np.log1p(shape * np.where(shape > 0, beyond, 0.0)) / _positive(shape)
        exponent = np.where(shape > 0, heavy, beyond)
        return np.where(scores[None, :] < threshold, 1.0, self.fraction * np.exp(-exponent))

    def _replicate_limit(self, values: np.ndarray) -> np.ndarray:
        """(B, N) → (N,) the value that a share `level` of the replicates does not exceed."""
        rank = math.ceil(self.level * values.shape[0]) - 1
        return np.partition(values, rank, axis=0)[rank]


def fit_tail(
    reference: np.ndarray, *, replicates: int, rng: np.random.Generator, tail_points: int | None = None
) -> TailFit | None:
    """(R,) reference scores → bootstrap tails, or None when the reference is too small or too coarse."""
    reference = checked_scores(reference, "reference")
    if (reference == -np.inf).any():
        raise ValueError("a reference score must not be -inf")
    if replicates < 1:
        raise ValueError("at least one bootstrap replicate is needed")
    finite = np.sort(reference[np.isfinite(reference)])[::-1]  # descending
    if finite.size < MIN_REFERENCE:
        return None
    points = default_points(finite.size) if tail_points is None else tail_points
    if not 5 <= points < finite.size:
        raise ValueError("tail points must be at least 5 and fewer than the reference")
    if np.unique(finite[:points]).size < min(points, MIN_DISTINCT):
        return None
    level = 1 - DOUBT * min(1.0, finite.size / FULL_REFERENCE) ** 2
    top = _bootstrap_top(finite, points + 1, replicates, rng)  # (B, k + 1)
    threshold = top[:, -1]
    mean, shape = weighted_moments(top[:, :-1] - threshold[:, None])
    _, sample_shape = weighted_moments((finite[:points] - finite[points])[None])
    # Bias as the bootstrap sees it: the mean of its shapes less that of its sample. Efron & Tibshirani 1993, ch. 10.
    shape = np.clip(shape - (shape.mean() - sample_shape[0]), 0.0, _MAX_SHAPE)
    scale = np.maximum(mean * (1 - shape), np.finfo(float).tiny)  # the mean is scale / (1 - shape)
    duplicates = reference.size - finite.size
    atom = clopper_pearson(duplicates, reference.size, 1 - 2 * DOUBT).high if duplicates else 0.0
    return TailFit(points, points / finite.size, level, threshold, scale, shape, atom)


def default_points(size: int) -> int:
    """Tail points k for a reference of so many people: 78 of 130, 200 of 400, 374 of 1,400, 1,000 of 10,000."""
    return round(min(TAIL_SHARE * size, TAIL_ROOT * math.sqrt(size)))


def weighted_moments(excess: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(B, k) excesses over the threshold, descending → their mean (B,) and generalised Pareto shape (B,).

    Probability-weighted moments a0 = E[x], a1 = E[x (1 - F)]: shape = 2 - a0 / (a0 - 2 a1), below 1.
    Hosking & Wallis 1987, sec. 3 (their k is minus the shape).
    """
    points = excess.shape[1]
    weight = np.arange(points) / (points - 1)  # 0 for the largest, 1 for the smallest: unbiased for 1 - F
    a0 = excess.mean(axis=1)
    a1 = (excess * weight).mean(axis=1)
    return a0, 2 - a0 / np.maximum(a0 - 2 * a1, np.finfo(float).tiny)


def _bootstrap_top(descending: np.ndarray, top: int, replicates: int, rng: np.random.Generator) -> np.ndarray:
    """(R,) → (B, top): the largest values of B samples of R drawn with replacement, descending.

    The largest of R uniform numbers are drawn in turn, U_(1) = V_1^(1/R), U_(2) = U_(1) V_2^(1/(R-1)), …, and index
    the sorted sample: the same law as drawing and sorting all R, at the cost of the top. Devroye 1986, sec. V.3.
    """
    size = descending.size
    log_uniform = np.cumsum(
        -rng.standard_exponential((replicates, top)) / (size - np.arange(top)), axis=1
    )  # (B, top), log of the largest, the second largest, …
    from_top = np.floor(-np.expm1(log_uniform) * size).astype(np.int64)  # 0 is the largest value
    return descending[np.minimum(from_top, size - 1)]


def _positive(shape: np.ndarray) -> np.ndarray:
    """The shape where it is above 0, else 1: a divisor that is never 0."""
    return np.where(shape > 0, shape, 1.0)
