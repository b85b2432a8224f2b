"""How far two reviewers agree beyond chance: Cohen's kappa with its interval. Axes: n pairs, K answers."""

import math

import numpy as np
from scipy import stats

from medaudit.stats.intervals import Interval, clopper_pearson


def kappa(first: np.ndarray, second: np.ndarray, confidence: float = 0.95) -> Interval | None:
    """(n,) answers of two reviewers to the same pairs → Cohen's kappa, nominal, with its two-sided interval.

    None when both give one and the same answer to every pair: chance alone would then agree as well, and kappa is
    0 / 0. The interval is the wider of two at each end. That of Fleiss, Cohen & Everitt 1969 is for many pairs and
    has no width where the two agree on all; the other takes the exact limits of the agreement (Clopper & Pearson
    1934) with the agreement expected by chance held fixed. Pairs are taken to be independent. Cohen 1960.
    """
    table = _table(np.asarray(first), np.asarray(second))  # (K, K)
    n = int(table.sum())
    share = table / n
    rows, columns = share.sum(axis=1), share.sum(axis=0)  # (K,)
    expected = float(rows @ columns)
    agreed = int(np.trace(table))
    if len(table) == 1:
        return None
    value = (agreed / n - expected) / (1 - expected)
    half = float(stats.norm.ppf((1 + confidence) / 2)) * _error(share, rows, columns, value, expected, n)
    exact = clopper_pearson(agreed, n, confidence)
    low, high = ((end - expected) / (1 - expected) for end in (exact.low, exact.high))
    return Interval(value, max(-1.0, min(low, value - half)), min(1.0, max(high, value + half)), confidence)


def _table(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(K, K) counts of pairs by the answer of the first and of the second reviewer."""
    if first.ndim != 1 or first.size == 0 or first.shape != second.shape:
        raise ValueError("two reviewers' answers must be one-dimensional, of one length and not empty")
    answers, codes = np.unique(np.concatenate([first, second]), return_inverse=True)
    table = np.zeros((len(answers), len(answers)), dtype=np.int64)
    np.add.at(table, (codes[: first.size], codes[first.size :]), 1)
    return table


def _error(
    share: np.ndarray, rows: np.ndarray, columns: np.ndarray, value: float, expected: float, n: int
) -> float:
    """Standard error of kappa. Fleiss, Cohen & Everitt 1969, eq. 13."""
    both = rows + columns  # (K,)
    same = np.diag(share)
    on = float(same @ (1 - both * (1 - value)) ** 2)
    crossed = (columns[:, None] + rows[None, :]) ** 2  # (K, K), of cell i, j: p_.i + p_j.
    off = float((share * crossed).sum() - same @ np.diag(crossed)) * (1 - value) ** 2
    variance = (on + off - (value - expected * (1 - value)) ** 2) / (n * (1 - expected) ** 2)
    return math.sqrt(max(0.0, variance))
