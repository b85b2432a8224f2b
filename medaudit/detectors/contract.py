"""What a detector offers.

Most detectors describe an image by vectors, which the exact search compares; the structure detector compares films
pair by pair (`structure`). Either has a name and a sentence that says what is measured.

Axes: N images, P poses, T tiles, D values per tile. The distance of two descriptions is the largest over tiles of
the root of the mean squared difference; the distance of an image to a reference is the smallest over the image's
poses. With one tile and one pose this is the RMSE.
"""

from typing import Protocol

import numpy as np


class Detector(Protocol):
    """A named way to compare images; `meaning` is the sentence a report prints.

    `id`: SHA-256 of what a learnt detector's weights are, "" where nothing was learnt.
    """

    name: str
    meaning: str
    id: str


class VectorDetector(Detector, Protocol):
    """A detector that describes images one by one."""

    def describe(self, images: np.ndarray) -> np.ndarray:
        """(N, Y, X) float32 in [0, 1] → (N, T, D) float32, the side that is searched."""
        ...

    def poses(self, images: np.ndarray) -> np.ndarray:
        """(N, Y, X) float32 in [0, 1] → (N, P, T, D) float32, the side that asks: the image in each pose."""
        ...


def label(detector: Detector) -> str:
    """The name, with what tells two encoders of one name apart: for files that must not be mistaken."""
    return f"{detector.name}-{detector.id[:16]}" if detector.id else detector.name
