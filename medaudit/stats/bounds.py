"""What may still be in there when nothing was found, and what more sampling would find. STATISTICS 6.

Axes: I items (patients), each seen a number of times in G generations.
"""

import math

import numpy as np
from scipy import stats


def zero_found_upper(n: int, alpha: float) -> float:
    """Upper limit, wrong with probability alpha at most, of a rate of which nothing was seen in n trials.

    The exact one-sided limit 1 - alpha^(1/n): 0.30 % at n = 1,000 and alpha 0.05 (the "rule of three").
    """
    if n < 1:
        raise ValueError("at least one image is needed")
    _check_alpha(alpha)
    return -math.expm1(math.log(alpha) / n)


def model_rate_upper(n: int, power_low: float, alpha: float, sources: int | None = None) -> float | None:
    """Highest copying rate of the model that is compatible with nothing flagged among n images.

    alpha is spent in halves: one on the zero found, one on the power. `power_low` must therefore be a lower limit
    that is wrong with probability alpha / 2 at most: the lower end of a two-sided interval at 1 - alpha.
    None when the bound excludes nothing (power 0, or a bound of 1 and more).

    sources: how many training films the model copies, each about equally often. None: so many that misses average
    out; a copy is made with rate r and found with probability b, so r * b <= zero_found_upper(n, alpha / 2). A model
    that copies one film over and over is missed as a whole with probability 1 - b, however many images are
    searched. With J sources, each found always or never (the worst case), F ~ binomial(J, b) of them can be found
    and nothing is with probability E[(1 - r F / J)^n]; the bound is the r at which this is alpha / 2.
    """
    _check_power(power_low)
    _check_alpha(alpha)
    if sources is not None:
        return _rate_of_sources(n, power_low, alpha / 2, sources)
    found = zero_found_upper(n, alpha / 2)
    return found / power_low if found < power_low else None


def sources_needed(
    n: int, power_low: float, alpha: float, slack: float = 1.25, most: int = 1000
) -> int | None:
    """Fewest copied films J for which the bound for J sources is at most `slack` times that for many.

    The rate bound without `sources` is then right, up to the slack, for models that copy at least J films about
    equally often. None when there is no bound, or more than `most` would be needed.
    """
    many = model_rate_upper(n, power_low, alpha)
    if many is None:
        return None
    for sources in range(1, most + 1):
        bound = model_rate_upper(n, power_low, alpha, sources)
        if bound is not None and bound <= slack * many:
            return sources
    return None


def _rate_of_sources(n: int, power_low: float, chance: float, sources: int) -> float | None:
    """The rate r at which E[(1 - r F / J)^n], F ~ binomial(J, power_low), falls to `chance`; None if it never does."""
    if sources < 1:
        raise ValueError("a model that copies has at least one source")
    if n < 1:
        raise ValueError("at least one image is needed")
    findable = np.arange(sources + 1)
    law = stats.binom.pmf(findable, sources, power_low)  # (J + 1,)

    def unseen(rate: float) -> float:
        return float(law @ (1 - rate * findable / sources) ** n)

    if unseen(1.0) > chance:
        return None
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if unseen(middle) <= chance else (middle, high)
    return high if high < 1 else None


def hidden_copies(power_low: float, alpha: float) -> int | None:
    """Largest K with (1 - power_low)^K >= alpha: copies of so many films could all have been missed.

    K counts different training films, since those are missed independently. Copies of one film may be missed
    together, and then any number of them counts as one. None when power_low is 0: there is no such limit.
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
