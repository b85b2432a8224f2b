"""What may still be in there when nothing was found, and what more sampling would find. STATISTICS 6.

Axes: I items (patients), each seen a number of times in G generations.
"""

import math

import numpy as np


def zero_found_upper(n: int, alpha: float) -> float:
    """Upper limit, wrong with probability alpha at most, of a rate of which nothing was seen in n trials.

    The exact one-sided limit 1 - alpha^(1/n): 0.30 % at n = 1,000 and alpha 0.05 (the "rule of three").
    """
    if n < 1:
        raise ValueError("at least one image is needed")
    _check_alpha(alpha)
    return -math.expm1(math.log(alpha) / n)


def model_rate_upper(n: int, power_low: float, alpha: float) -> float | None:
    """Highest copying rate of the model that is compatible with nothing flagged among n images.

    alpha is spent in halves: one on the zero found, one on the power. `power_low` must therefore be a lower limit
    that is wrong with probability alpha / 2 at most: the lower end of a two-sided interval at 1 - alpha.
    A copy is made with rate r and found with probability b, so r * b <= zero_found_upper(n, alpha / 2).
    None when the bound excludes nothing (power 0, or a bound of 1 and more).
    """
    _check_power(power_low)
    _check_alpha(alpha)
    found = zero_found_upper(n, alpha / 2)
    return found / power_low if found < power_low else None


def hidden_copies(power_low: float, alpha: float) -> int | None:
    """Largest K with (1 - power_low)^K >= alpha: so many copies of the tested kinds could all have been missed.

    None when power_low is 0: there is no such limit.
    """
    _check_power(power_low)
    _check_alpha(alpha)
    if power_low == 0:
        return None
    missed = 1 - power_low
    copies = 0 if missed == 0 else max(0, math.floor(math.log(alpha) / math.log(missed)) - 1)
    while missed ** (copies + 1) >= alpha:  # the logarithms only give the place to start
        copies += 1
    return copies


def good_turing(counts: np.ndarray, generations: int) -> float:
    """(I,) times each item was seen in `generations` → expected new items per further generation, f1 / G.

    f1 is the number of items seen exactly once. Good 1953, eq. 9.
    """
    counts = _checked_counts(counts)
    if generations < 1:
        raise ValueError("at least one generation is needed")
    return float(np.count_nonzero(counts == 1) / generations)


def chao1(counts: np.ndarray) -> float:
    """(I,) times each item was seen → lower estimate of the number of items that could be seen.

    seen + f1^2 / (2 f2), and seen + f1 (f1 - 1) / 2 when nothing was seen exactly twice. Chao 1984.
    """
    counts = _checked_counts(counts)
    seen = int(np.count_nonzero(counts))
    once = int(np.count_nonzero(counts == 1))
    twice = int(np.count_nonzero(counts == 2))
    if twice:
        return seen + once**2 / (2 * twice)
    return seen + once * (once - 1) / 2


def _checked_counts(counts: np.ndarray) -> np.ndarray:
    counts = np.asarray(counts)
    if counts.ndim != 1 or (counts.size and (counts.dtype.kind not in "iu" or counts.min() < 0)):
        raise ValueError("counts must be a one-dimensional array of whole numbers, none below 0")
    return counts


def _check_alpha(alpha: float) -> None:
    if not 0 < alpha < 1:
        raise ValueError("alpha must lie between 0 and 1")


def _check_power(power_low: float) -> None:
    if not 0 <= power_low <= 1:
        raise ValueError("power must lie in [0, 1]")
