"""Cohorts as an audit looks at them: rows in use, and who is who.

Axes: M rows in use, (Y, X) pixels.
"""

import mmap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medaudit.artifacts.cohort import Cohort
from medaudit.errors import EmptyCohort, UsageProblem
from medaudit.stats.matching import patient_codes


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
        made = self.cohort.unit(self.rows[which])
        _let_go(self.cohort.pixels)
        return made


def _let_go(pixels: np.ndarray) -> None:
    """Take what was looked at of a mapped file off the process's resident memory; it stays in the system's cache."""
    if isinstance(pixels.base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        pixels.base.madvise(mmap.MADV_DONTNEED)


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
