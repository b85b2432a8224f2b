"""A cohort as the structure detector sees it. Memory: a quarter of `memory_bytes` for the films' bands where they fit,
else, and by an engine's workers always, they are made again for each candidate; 1,000 bytes a film for the sweep, 2,600
while films are read.

Axes: M images, G images that ask.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from medaudit.detectors import Structure
from medaudit.detectors.structure import Aligned, StructureIndex
from medaudit.detectors.structure.detector import TOGETHER
from medaudit.protocol.described import Machine
from medaudit.protocol.found import Found
from medaudit.protocol.shared import SharedFilms
from medaudit.protocol.sides import Side

_PORTION = 64  # images that ask at once: few enough to see it move


@dataclass(frozen=True)
class Registered:
    """A side whose films can be aligned with those that ask."""

    side: Side
    detector: Structure
    index: StructureIndex
    asked: Any  # the index as the engine's workers have it, published

    @classmethod
    def of(cls, side: Side, detector: Structure, machine: Machine) -> "Registered":
        """Read the whole side once."""
        machine.progress.start(f"{detector.name}: reading", 1)
        hold = machine.memory_bytes // 4
        index = detector.index(side.images, side.groups, device=machine.device, hold_bytes=hold)
        machine.progress.advance()
        light = index.with_images(SharedFilms.of(side)) if machine.engine.apart else index
        return cls(side, detector, index, machine.engine.publish(light))

    def portions(self, count: int, machine: Machine) -> Iterator[slice]:
        """Parts of `count` images that ask at once."""
        step = _PORTION * machine.engine.workers
        return (slice(start, min(start + step, count)) for start in range(0, count, step))

    def ask(self, images: np.ndarray, k: int, leave_out: np.ndarray | None, machine: Machine) -> Found:
        """(G, Y, X) → the film of T that each resembles most once aligned."""
        return _found(self._aligned(images, machine, leave_out=leave_out))

    def ask_beside(self, images: np.ndarray, barred: np.ndarray, machine: Machine) -> Found:
        """(G, Y, X) → the same, without the films that are `barred` (G, M) bool."""
        return _found(self._aligned(images, machine, barred=barred))

    def crowd(self, rows: np.ndarray, radius: float, machine: Machine) -> tuple[np.ndarray, np.ndarray]:
        """(N,) rows of T → images (N,) and patients (N,) among its candidates within the radius, itself included."""
        matched, back = np.unique(rows, return_inverse=True)
        images = np.ones(len(matched), dtype=np.int64)
        people = np.ones(len(matched), dtype=np.int64)
        machine.progress.start(f"{self.detector.name}-eidetic", len(matched))
        for part in self.portions(len(matched), machine):
            seen = self._aligned(self.side.images(matched[part]), machine)
            for place, own in enumerate(matched[part]):
                near = seen.candidates[place][seen.distances[place] <= radius]
                around = np.union1d(near, [own])
                images[part.start + place] = len(around)
                people[part.start + place] = len(np.unique(self.side.groups[around]))
            machine.progress.advance(part.stop - part.start)
        return images[back], people[back]

    def _aligned(
        self,
        images: np.ndarray,
        machine: Machine,
        leave_out: np.ndarray | None = None,
        barred: np.ndarray | None = None,
    ) -> Aligned:
        """The films that ask, an equal part of them to each worker; parts begin where the index begins a batch."""
        batches = -(-len(images) // (TOGETHER * machine.engine.workers))
        step = TOGETHER * max(1, batches)
        parts = []
        for start in range(0, len(images), step):
            part = slice(start, start + step)
            without = None if leave_out is None else leave_out[part]
            parts.append((images[part], without, None if barred is None else barred[part]))
        return Aligned.joined(machine.engine.spread(_ask, self.asked, parts))


def _ask(
    index: StructureIndex, images: np.ndarray, leave_out: np.ndarray | None, barred: np.ndarray | None
) -> Aligned:
    """One part of `Registered._aligned`, wherever it runs."""
    return index.ask(images, leave_out, barred)


def _found(seen: Aligned) -> Found:
    return Found(seen.row, seen.distance, seen.score, seen.runner_up, seen.runner_up_score)
