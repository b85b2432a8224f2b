"""What the audit would have seen: power on planted copies. STATISTICS 5.

Axes: n planted copies of one kind, or n generated images; k films that a model learnt.
"""

from collections.abc import Iterable, Mapping

import numpy as np

from medaudit.stats.intervals import Rate, clopper_pearson

CLEAR = 1 / 3  # a clear copy of a film is three times nearer to it than to any other


def power(found: np.ndarray, confidence: float = 0.95) -> Rate:
    """(n,) bool, found with the right patient named → the share found, with its Clopper-Pearson interval."""
    found = np.asarray(found)
    if found.ndim != 1 or found.size == 0 or found.dtype != np.bool_:
        raise ValueError("found must be a one-dimensional bool array and not empty")
    return clopper_pearson(int(found.sum()), found.size, confidence)


def clear_copies(distance: np.ndarray, line: float = CLEAR) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(n, k) distances of images to k films → (n,) nearest film, (n,) ratio to the next nearest, (n,) bool clear.

    Who is copied is known without any detector: the model saw k films only, so an image that is far nearer to one of
    them than to every other is a copy of it (after Carlini et al. 2023, sec. 5.1: near relative to the neighbours).
    """
    if distance.ndim != 2 or distance.shape[1] < 2:
        raise ValueError("distances to at least two films are needed")
    film = distance.argmin(axis=1)
    near, other = np.sort(distance, axis=1)[:, :2].T
    ratio = np.divide(near, other, out=np.ones(len(distance)), where=other > 0)
    return film, ratio, ratio <= line


def power_over_patients(found: np.ndarray, patient: np.ndarray, confidence: float = 0.95) -> Rate:
    """(n,) bool, found, and (n,) patient copied → the share found, with an interval over the patients.

    Copies of one patient resemble each other, so they may all be found or all be missed together. A patient whose
    copies were all found bounds the power from below, one of whom any copy was found from above: the ends are the
    exact limits of these two counts of patients (Clopper & Pearson 1934), whatever the copies of one patient have in
    common. A bootstrap over patients would give no interval at all when every copy is found.
    """
    found = np.asarray(found)
    if found.ndim != 1 or found.size == 0 or found.dtype != np.bool_ or found.shape != np.shape(patient):
        raise ValueError("found and patient must be one-dimensional, of one length and not empty")
    people, code = np.unique(patient, return_inverse=True)
    hits, copies = np.bincount(code, weights=found), np.bincount(code)
    value = float(found.mean())
    low = clopper_pearson(int((hits == copies).sum()), people.size, confidence).low
    high = clopper_pearson(int((hits > 0).sum()), people.size, confidence).high
    return Rate(value, min(low, value), max(high, value), int(found.sum()), found.size, confidence)


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
