"""Cohorts as an audit looks at them: rows in use, who is who, and how a detector sees them.

Axes: M rows in use, (Y, X) pixels, T tiles, D values per tile.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from medaudit.artifacts.cohort import Cohort
from medaudit.detectors import Detector
from medaudit.errors import EmptyCohort, UsageProblem
from medaudit.stats.matching import patient_codes

_PORTION = 256  # images described or asking at once where nothing larger is needed


@dataclass(frozen=True)
class Side:
    """The rows of a cohort that take part."""

    cohort: Cohort
    rows: np.ndarray  # (M,) int64 positions in the cohort
    names: np.ndarray  # (M,) pseudonyms, None where there is none
    groups: np.ndarray  # (M,) int64 patient codes from 0; a row without a pseudonym is a person of its own

    @classmethod
    def of(cls, cohort: Cohort, leave_out: Sequence[int] = ()) -> "Side":
        """The rows in use but those named. Raises UsageProblem for unknown rows, EmptyCohort when none is left."""
        unknown = np.setdiff1d(np.array(leave_out, dtype=np.int64), cohort.in_use)
        if unknown.size:
            raise UsageProblem(f"{unknown.size} of the rows to withhold are not rows in use of the cohort")
        rows = np.setdiff1d(cohort.in_use, np.array(leave_out, dtype=np.int64))
        if not rows.size:
            raise EmptyCohort(f"{cohort.artifact.path}: every image is withheld; nothing is left to audit")
        names = cohort.patients[rows]
        return cls(cohort, rows, names, patient_codes(names))

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def people(self) -> int:
        """Number of distinct patients."""
        return len(np.unique(self.groups))

    @property
    def bits(self) -> int:
        """Bits of a stored pixel, 8 or 16."""
        return 8 * self.cohort.pixels.dtype.itemsize

    def at(self, places: np.ndarray) -> "Side":
        """The side that consists of these places only, in this order."""
        return Side(self.cohort, self.rows[places], self.names[places], self.groups[places])

    def images(self, which: np.ndarray | slice) -> np.ndarray:
        """(n, Y, X) float32 in [0, 1] for places among the rows in use."""
        return self.cohort.unit(self.rows[which])


@dataclass(frozen=True)
class Picked:
    """Some places of a side."""

    side: Side
    places: np.ndarray

    def __len__(self) -> int:
        return len(self.places)

    def images(self, which: np.ndarray | slice) -> np.ndarray:
        """(n, Y, X) float32 in [0, 1]."""
        return self.side.images(self.places[which])


@dataclass(frozen=True)
class Described:
    """A side as one detector sees it: held in memory when it is small, else made from the memory map in blocks."""

    side: Side
    detector: Detector
    held: np.ndarray | None

    @classmethod
    def of(cls, side: Side, detector: Detector, memory_bytes: int) -> "Described":
        """Hold the whole in at most a quarter of `memory_bytes`, or none of it."""
        one = detector.describe(side.images(slice(0, 1)))
        if len(side) * one.nbytes > memory_bytes // 4:
            return cls(side, detector, None)
        held = np.empty((len(side), *one.shape[1:]), dtype=np.float32)
        for start in range(0, len(side), _PORTION):
            part = slice(start, start + _PORTION)
            held[part] = detector.describe(side.images(part))
        return cls(side, detector, held)

    def __len__(self) -> int:
        return len(self.side)

    def block(self, start: int, stop: int) -> np.ndarray:
        """(B, T, D) float32."""
        if self.held is not None:
            return self.held[start:stop]
        return self.detector.describe(self.side.images(slice(start, stop)))

    def portions(self, count: int, first: np.ndarray, memory_bytes: int) -> Iterator[slice]:
        """Parts of `count` images that may ask at once: as many as fit a quarter of the memory, three times over.

        Where the side is held, smaller parts cost nothing and let the progress move.
        """
        fitting = max(1, memory_bytes // 4 // (3 * self.detector.poses(first).nbytes))
        step = fitting if self.held is None else min(fitting, _PORTION)
        for start in range(0, count, step):
            yield slice(start, min(start + step, count))
