"""A cohort that other processes read for themselves: files by path, no pixels on the way.

Axes: N rows of a cohort, M of them in use, B of a part, T tiles, D values.
"""

from copy import copy
from dataclasses import dataclass
from mmap import mmap
from pathlib import Path

import numpy as np

from medaudit.artifacts.cohort import to_unit
from medaudit.detectors import VectorDetector
from medaudit.detectors.copynet.detector import EncoderDetector
from medaudit.protocol.describing import describe_films
from medaudit.protocol.sides import Side


@dataclass(frozen=True)
class Mapped:
    """A memory-mapped array by path: what of it travels is its name, never its values."""

    path: Path
    offset: int
    shape: tuple[int, ...]
    dtype: str

    @classmethod
    def of(cls, array: np.ndarray) -> "Mapped | np.ndarray":
        """The name of a mapped array's file; an array that is no whole file's as it is."""
        base = array.base
        if isinstance(base, np.memmap) and (base.shape, base.ctypes.data) == (array.shape, array.ctypes.data):
            array = base  # np.asarray of a mapped one
        if not isinstance(array, np.memmap) or not isinstance(array.base, mmap) or array.filename is None:
            return array
        return cls(Path(array.filename).resolve(), array.offset, array.shape, array.dtype.str)

    def open(self) -> np.ndarray:
        """The array, mapped again. Raises FileNotFoundError where it does not lie under the same path."""
        return np.memmap(self.path, np.dtype(self.dtype), "r", self.offset, self.shape)


def _opened(source: Mapped | np.ndarray) -> np.ndarray:
    return source.open() if isinstance(source, Mapped) else source


@dataclass(frozen=True)
class SharedFilms:
    """Rows in use of a cohort, read from its pixel file wherever that is mounted."""

    pixels: Mapped | np.ndarray
    rows: np.ndarray  # (M,) positions in the cohort

    @classmethod
    def of(cls, side: Side) -> "SharedFilms":
        """The films of a side."""
        return cls(Mapped.of(side.cohort.pixels), side.rows)

    def __call__(self, places: np.ndarray) -> np.ndarray:
        """(B,) places among the rows in use → (B, Y, X) float32 in [0, 1]."""
        return to_unit(np.asarray(_opened(self.pixels)[self.rows[places]]))


@dataclass(frozen=True)
class SharedDescriptions:
    """The films as a detector describes them, made where they are asked."""

    films: SharedFilms
    detector: VectorDetector
    shape: tuple[int, ...]  # (T, D)

    @classmethod
    def of(cls, side: Side, detector: VectorDetector, shape: tuple[int, ...]) -> "SharedDescriptions":
        """The descriptions of a side; what an encoder saved of other cohorts stays behind."""
        if isinstance(detector, EncoderDetector):
            detector = copy(detector)
            detector.saved = {}
        return cls(SharedFilms.of(side), detector, shape)

    def __len__(self) -> int:
        return len(self.films.rows)

    def read(self, rows: np.ndarray) -> np.ndarray:
        """(B,) places → (B, T, D) float32."""
        return describe_films(self.detector, self.films, rows)


@dataclass(frozen=True)
class SharedRows:
    """Descriptions (M, T, D) that were saved before."""

    source: Mapped | np.ndarray  # (M, D) or (M, T, D)
    shape: tuple[int, ...]  # (T, D)

    def __len__(self) -> int:
        return self.source.shape[0]

    def read(self, rows: np.ndarray) -> np.ndarray:
        """(B,) places → (B, T, D) float32."""
        return np.array(_opened(self.source)[rows], dtype=np.float32).reshape(len(rows), *self.shape)
