"""A cohort as the structure detector sees it. Memory: a quarter of `memory_bytes` for the films' bands where they fit,
else they are made again for each candidate; 1,000 bytes a film for the sweep, 2,600 while films are read.

Axes: M images, G images that ask.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from medaudit.detectors import Structure
from medaudit.detectors.structure import Aligned, StructureIndex
from medaudit.protocol.described import Machine
from medaudit.protocol.found import Found
from medaudit.protocol.sides import Side

_PORTION = 64  # images that ask at once: few enough to see it move


@dataclass(frozen=True)
class Registered:
    """A side whose films can be aligned with those that ask."""

    side: Side
    detector: Structure
    index: StructureIndex

    @classmethod
    def of(cls, side: Side, detector: Structure, machine: Machine) -> "Registered":
        """Read the whole side once."""
        machine.progress.start(f"{detector.name}: reading", 1)
        hold = machine.memory_bytes // 4
        index = detector.index(side.images, side.groups, device=machine.device, hold_bytes=hold)
        machine.progress.advance()
        return cls(side, detector, index)

    def portions(self, count: int, machine: Machine) -> Iterator[slice]:
        """Parts of `count` images that ask at once."""
        return (slice(start, min(start + _PORTION, count)) for start in range(0, count, _PORTION))

    def ask(self, images: np.ndarray, k: int, leave_out: np.ndarray | None, machine: Machine) -> Found:
        """(G, Y, X) → the film of T that each resembles most once aligned."""
        return _found(self.index.ask(images, leave_out))

    def ask_beside(self, images: np.ndarray, barred: np.ndarray) -> Found:
        """(G, Y, X) → the same, without the films that are `barred` (G, M) bool."""
        return _found(self.index.ask(images, barred=barred))

    def crowd(self, rows: np.ndarray, radius: float, machine: Machine) -> tuple[np.ndarray, np.ndarray]:
        """(N,) rows of T → images (N,) and patients (N,) among its candidates within the radius, itself included."""
        matched, back = np.unique(rows, return_inverse=True)
        images = np.ones(len(matched), dtype=np.int64)
        people = np.ones(len(matched), dtype=np.int64)
        machine.progress.start(f"{self.detector.name}-eidetic", len(matched))
        for part in self.portions(len(matched), machine):
            seen = self.index.ask(self.side.images(matched[part]))
            for place, own in enumerate(matched[part]):
                near = seen.candidates[place][seen.distances[place] <= radius]
                around = np.union1d(near, [own])
                images[part.start + place] = len(around)
                people[part.start + place] = len(np.unique(self.side.groups[around]))
            machine.progress.advance(part.stop - part.start)
        return images[back], people[back]


def _found(seen: Aligned) -> Found:
    return Found(seen.row, seen.distance, seen.score, seen.runner_up, seen.runner_up_score)
