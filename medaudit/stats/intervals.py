"""Rates with their intervals.

Axes: N observations, C clusters (patients), B bootstrap replicates.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv

# Clusters are drawn in blocks of at most this many cells, so that memory stays near 100 MB.
_CELLS = 1 << 22


@dataclass(frozen=True)
class Rate:
    """`count` of `of` as `value`, with its interval [low, high] at `confidence` (two-sided)."""

    value: float
    low: float
    high: float
    count: int
    of: int
    confidence: float


@dataclass(frozen=True)
class Interval:
    """A value that is not a plain proportion, with its interval [low, high] at `confidence` (two-sided)."""

    value: float
    low: float
    high: float
    confidence: float


def clopper_pearson(count: int, of: int, confidence: float = 0.95) -> Rate:
    """The exact two-sided interval of a proportion; each end is wrong with probability (1 - confidence) / 2 at most.

    Raises ValueError unless 0 <= count <= of, of >= 1 and 0 < confidence < 1. Clopper & Pearson 1934.
    """
    if of < 1 or not 0 <= count <= of:
        raise ValueError("a rate needs at least one observation and a count between 0 and their number")
    _check_confidence(confidence)
    tail = (1 - confidence) / 2
    low = 0.0 if count == 0 else float(betaincinv(count, of - count + 1, tail))
    high = 1.0 if count == of else float(betaincinv(count + 1, of - count, 1 - tail))
    return Rate(count / of, low, high, int(count), int(of), confidence)


def cluster_bootstrap(
    values: np.ndarray, clusters: np.ndarray, *, replicates: int, rng: np.random.Generator
) -> np.ndarray:
    """(N,) values and (N,) cluster codes → (B,) means, each over C clusters drawn with replacement.

    Whole clusters are drawn because images of one patient are not independent. Davison & Hinkley 1997, sec. 3.8.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or values.size == 0 or values.shape != np.shape(clusters):
        raise ValueError("values and clusters must be one-dimensional, of one length and not empty")
    if replicates < 1:
        raise ValueError("at least one bootstrap replicate is needed")
    _, codes = np.unique(clusters, return_inverse=True)
    sizes = np.bincount(codes).astype(np.float64)  # (C,)
    sums = np.bincount(codes, weights=values)  # (C,)
    means = np.empty(replicates)
    block = max(1, _CELLS // sizes.size)
    for start in range(0, replicates, block):
        stop = min(start + block, replicates)
        drawn = rng.integers(0, sizes.size, size=(stop - start, sizes.size))  # (b, C)
        means[start:stop] = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    return means


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError("confidence must lie between 0 and 1")
