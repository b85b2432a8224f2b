"""The first look at all pairs: one matrix product gives a lower bound on each distance. In float32 on few axes, or,
where the processor multiplies bfloat16 in tiles (AMX), in bfloat16 on all axes, which costs no more and bounds closer
(`halves`).

Axes: G queries, Q of them in a chunk, P poses, T tiles, M references, B of them in a block, A coarse and F fine axes.
"""

from typing import Protocol

import numpy as np
import torch

from medaudit.search import halves
from medaudit.search.index import Index

_SPARE = 192  # bounds kept beyond the multiple of k
_KEPT = 8  # bounds kept for each neighbour asked for
_MOST = 4096  # bounds kept beyond k at most
_CLOSE_SPARE, _CLOSE_KEPT, _CLOSE_LEAST = 128, 4, 256  # the same for bounds on all axes, and at least
_READ = 1024  # references of a sample that are read at once
_WORTH = 64  # products of queries and poses for which references are turned into bfloat16


def most_kept(k: int) -> int:
    """Bounds kept of a query at most."""
    return k + min((_KEPT - 1) * k + _SPARE, _MOST)


class Look(Protocol):
    """A way to bound distances; `second`: whether bounds on more axes would be closer; `kind`: of its integers."""

    second: bool
    kind: type[np.signedinteger]

    def kept(self, k: int) -> int:
        """Bounds kept of each query: enough that the k-th distance nearly always lies under what was not kept."""
        ...

    def queries(self, asking: np.ndarray, point: np.ndarray) -> torch.Tensor:
        """(G, P, T, A + 3) and (G, P, T, A + F + 1), of `Basis.queries` → (G, P, T, C)."""
        ...

    def references(self, start: int, stop: int) -> torch.Tensor:
        """References [start, stop) → (T, B, C)."""
        ...

    def sample(self, rows: np.ndarray) -> torch.Tensor:
        """References `rows` (B,), ascending → (T, B, C)."""
        ...

    def bounds(self, queries: torch.Tensor, references: torch.Tensor) -> np.ndarray:
        """(Q, P, T, C) and (T, B, C) → (Q, B) lower bound on min over poses of max over tiles of |a - b|^2, as the
        integers that its bits make: these are in the order of the bounds, and below 0 where a bound is."""
        ...

    def numbers(self, bits: np.ndarray) -> np.ndarray:
        """Such integers, not below 0, as the float32 bounds that they are."""
        ...

    def bits(self, limit: np.ndarray) -> np.ndarray:
        """(G,) float64 → the largest such integer whose bound is at most `limit`, or the next."""
        ...


class Single:
    """float32 on the coarse axes, on any device."""

    kind = np.int32

    def __init__(self, index: Index, device: str) -> None:
        self.second = index.basis.fine > 0
        self._index = index
        self._device = device

    def kept(self, k: int) -> int:
        """Many: few axes bound loosely."""
        return most_kept(k)

    def queries(self, asking: np.ndarray, point: np.ndarray) -> torch.Tensor:
        """As they are."""
        return torch.from_numpy(asking)

    def references(self, start: int, stop: int) -> torch.Tensor:
        """The coarse axes."""
        return torch.from_numpy(self._index.coarse_part(start, stop)).to(self._device).transpose(0, 1)

    def sample(self, rows: np.ndarray) -> torch.Tensor:
        """The coarse axes."""
        parts = [torch.from_numpy(self._index.looks_at(part)[0]) for part in _parts(rows)]
        return torch.cat(parts).to(self._device).transpose(0, 1)

    def bounds(self, queries: torch.Tensor, references: torch.Tensor) -> np.ndarray:
        """The products."""
        return _worst(queries.to(self._device), references).cpu().numpy().view(np.int32)

    def numbers(self, bits: np.ndarray) -> np.ndarray:
        """The same bits."""
        return bits.view(np.float32)

    def bits(self, limit: np.ndarray) -> np.ndarray:
        """The next float32."""
        return _next_float(limit).view(np.int32)


class Halves:
    """bfloat16 on all axes, on processors with tiles for it."""

    second = False
    kind = np.int16

    def __init__(self, index: Index) -> None:
        self._index = index
        self._all = None if index.in_files else index.halves

    def kept(self, k: int) -> int:
        """Few: what is left to be measured is about twice k."""
        return max(k + min((_CLOSE_KEPT - 1) * k + _CLOSE_SPARE, _MOST), _CLOSE_LEAST)

    def queries(self, asking: np.ndarray, point: np.ndarray) -> torch.Tensor:
        """In bfloat16."""
        return halves.of_queries(point)

    def references(self, start: int, stop: int) -> torch.Tensor:
        """In bfloat16: made once, or read in parts."""
        if self._all is not None:
            return self._all[:, start:stop]
        return halves.of_references(*self._index.looks(start, stop))

    def sample(self, rows: np.ndarray) -> torch.Tensor:
        """In bfloat16."""
        if self._all is not None:
            return self._all[:, torch.from_numpy(rows)]
        parts = [halves.of_references(*self._index.looks_at(part)) for part in _parts(rows)]
        return torch.cat(parts, dim=1)

    def bounds(self, queries: torch.Tensor, references: torch.Tensor) -> np.ndarray:
        """The products as they are."""
        return _worst(queries, references).view(torch.int16).numpy()

    def numbers(self, bits: np.ndarray) -> np.ndarray:
        """The products, less what their own rounding to bfloat16 may have added."""
        return (bits.astype(np.int32) << 16).view(np.float32) * np.float32(halves.SCALE)

    def bits(self, limit: np.ndarray) -> np.ndarray:
        """Cut: a bfloat16 is the first half of a float32."""
        return (_next_float(limit / halves.SCALE).view(np.int32) >> 16).astype(np.int16)


def look_at(index: Index, device: str, products: int) -> Look:
    """The look that suits an index, a device, and so many queries times poses."""
    if device == "cpu" and products >= _WORTH and halves.in_tiles():
        return Halves(index)
    return Single(index, device)


def _parts(rows: np.ndarray) -> list[np.ndarray]:
    """Rows that are read and turned at once."""
    return [rows[first : first + _READ] for first in range(0, len(rows), _READ)]


def _next_float(limit: np.ndarray) -> np.ndarray:
    """(G,) float64 not below 0 → the float32 after the nearest."""
    return np.nextafter(limit.astype(np.float32), np.float32(np.inf))


def _worst(queries: torch.Tensor, references: torch.Tensor) -> torch.Tensor:
    """(Q, P, T, C) and (T, B, C) → (Q, B): largest product over tiles, then smallest over poses."""
    count, poses, tiles, _ = queries.shape
    flat = queries.reshape(count * poses, tiles, -1)
    worst = flat[:, 0] @ references[0].T  # (Q P, B)
    for tile in range(1, tiles):
        torch.maximum(worst, flat[:, tile] @ references[tile].T, out=worst)
    return worst if poses == 1 else worst.view(count, poses, -1).amin(dim=1)
