"""T as a detector sees it, ready to be asked: one door for every kind of detector.

Axes: M images of T, G images that ask, N matched rows.
"""

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from medaudit.detectors import AnyDetector, Detector, Structure
from medaudit.protocol.described import Described, Machine
from medaudit.protocol.found import Found
from medaudit.protocol.registered import Registered
from medaudit.protocol.sides import Side


class Index(Protocol):
    """A side under one detector."""

    @property
    def side(self) -> Side: ...

    @property
    def detector(self) -> Detector: ...

    def portions(self, count: int, machine: Machine) -> Iterator[slice]:
        """Parts of `count` images that ask at once."""
        ...

    def ask(self, images: np.ndarray, k: int, leave_out: np.ndarray | None, machine: Machine) -> Found:
        """(G, Y, X) → what each finds in T, without the patient `leave_out` (G,)."""
        ...

    def crowd(self, rows: np.ndarray, radius: float, machine: Machine) -> tuple[np.ndarray, np.ndarray]:
        """(N,) rows of T → images (N,) and patients (N,) of T within the radius of each, itself included."""
        ...


def open_index(detector: AnyDetector, side: Side, machine: Machine) -> Index:
    """Make a side ready to be asked under a detector."""
    if isinstance(detector, Structure):
        return Registered.of(side, detector, machine)
    return Described.of(side, detector, machine)
