"""References made ready to be searched: their principal axes and what they are on them, in memory or in files.

Axes: M references, B of a block, T tiles, D values, A coarse and F fine axes. Bytes: 4 M T (A + F + 4), that is 2 KB a
film for one tile and for sixteen tiles 4 KB; `stored` keeps them in files. In memory, M T D more for the third look
(`octets`), and half of the former again where the first look is in bfloat16.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import torch

from medaudit.search import halves
from medaudit.search.octets import Octets, pays
from medaudit.search.precision import checked
from medaudit.search.projection import Basis, sample_rows

_TOGETHER = 1024  # references that are turned into bfloat16 at once


@dataclass(frozen=True)
class Index:
    """The references (M, T, D) and their first and second look, (M, T, A + 3) and (M, T, F + 1), float32."""

    vectors: np.ndarray
    basis: Basis
    coarse: np.ndarray
    fine: np.ndarray

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def index(self) -> "Index":
        """Itself: an index can be searched as it is."""
        return self

    @classmethod
    def of(cls, vectors: np.ndarray) -> "Index":
        """Project (M, T, D) float32. Raises ValueError for values that are not finite."""
        vectors = checked(vectors, "references")
        basis = Basis.of(vectors[sample_rows(len(vectors))])
        return cls(vectors, basis, *basis.references(vectors))

    @cached_property
    def halves(self) -> torch.Tensor:
        """(T, M, C) bfloat16: all references for a first look on all axes, made when first asked for."""
        count, tiles = self.coarse.shape[:2]
        made = torch.empty(
            tiles, count, halves.columns(self.basis.coarse + self.basis.fine), dtype=torch.bfloat16
        )
        for start in range(0, count, _TOGETHER):
            part = slice(start, start + _TOGETHER)
            made[:, part] = halves.of_references(self.coarse[part], self.fine[part])
        return made

    @cached_property
    def octets(self) -> Octets:
        """All references for a third look, made when first asked for; nothing where it would not pay."""
        tiles, values = self.vectors.shape[1:]
        if self.in_files or not pays(tiles, values):
            return Octets.nothing(tiles, values)
        return Octets.of(self.vectors, self.vectors[sample_rows(len(self))])

    @property
    def in_files(self) -> bool:
        """Whether parts of it are read when needed, rather than looked at where they lie."""
        return False

    def coarse_part(self, start: int, stop: int) -> np.ndarray:
        """(B, T, A + 3) of the references [start, stop)."""
        return self.coarse[start:stop]

    def looks(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """(B, T, A + 3) and (B, T, F + 1) of the references [start, stop)."""
        return self.coarse[start:stop], self.fine[start:stop]

    def looks_at(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The same of the references `rows` (B,), ascending."""
        return self.coarse[rows], self.fine[rows]

    def part(self, start: int, stop: int) -> "Index":
        """The references [start, stop) on the same axes, in memory."""
        return Index(self.vectors[start:stop], self.basis, self.coarse[start:stop], self.fine[start:stop])

    def at(self, rows: np.ndarray, looks: bool = True) -> "Index":
        """The references (B,), in memory; without what the looks need where they are done."""
        return Index(self.vectors[rows], self.basis, self.coarse[rows], self.fine[rows])


class References(Protocol):
    """What can be searched: it has an index, made when first asked for."""

    @property
    def index(self) -> Index: ...


class ArrayBlocks:
    """References that lie in one array (M, T, D) float32, in memory or memory-mapped."""

    def __init__(self, vectors: np.ndarray) -> None:
        self.vectors = vectors

    def __len__(self) -> int:
        return len(self.vectors)

    @cached_property
    def index(self) -> Index:
        """Made when first asked for, and kept."""
        return Index.of(self.vectors)
