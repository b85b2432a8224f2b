"""What the audit would have seen: power on planted copies. STATISTICS 5.

Axes: n planted copies of one kind.
"""

from collections.abc import Iterable, Mapping

import numpy as np

from medaudit.stats.intervals import Rate, clopper_pearson


def power(found: np.ndarray, confidence: float = 0.95) -> Rate:
    """(n,) bool, found with the right patient named → the share found, with its Clopper-Pearson interval."""
    found = np.asarray(found)
    if found.ndim != 1 or found.size == 0 or found.dtype != np.bool_:
        raise ValueError("found must be a one-dimensional bool array and not empty")
    return clopper_pearson(int(found.sum()), found.size, confidence)


def minimum_power(rates: Mapping[str, Rate], required: Iterable[str]) -> tuple[str, float] | None:
    """The required kind with the smallest lower limit of power, and that limit; None when no kind is required.

    Of equal limits the first required kind is named. Raises ValueError for a required kind that was not planted.
    """
    required = list(required)
    missing = [kind for kind in required if kind not in rates]
    if missing:
        raise ValueError(f"no planted copies of the required kind {missing[0]!r}")
    if not required:
        return None
    weakest = min(required, key=lambda kind: rates[kind].low)
    return weakest, rates[weakest].low
