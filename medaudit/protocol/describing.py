"""Many films as a detector describes them, a part at a time. Axes: n films, T tiles, D values."""

from collections.abc import Callable

import numpy as np

from medaudit.detectors import VectorDetector

_PORTION = 256  # films described at once


def describe_films(
    detector: VectorDetector, images: Callable[[np.ndarray], np.ndarray], places: np.ndarray
) -> np.ndarray:
    """Places (n,) of films behind `images` → (n, T, D) float32; n is at least 1."""
    first = detector.describe(images(places[:_PORTION]))
    made = np.empty((len(places), *first.shape[1:]), dtype=np.float32)
    made[:_PORTION] = first
    for start in range(_PORTION, len(places), _PORTION):
        made[start : start + _PORTION] = detector.describe(images(places[start : start + _PORTION]))
    return made
