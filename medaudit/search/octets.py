"""Vectors in 8 bits a value: a third look, at a quarter of the memory that a measurement fetches.

Let q be a vector moved to the nearest of 256 steps in each value and e = |x - q|. Then |a - b| lies within e_a + e_b of
|q_a - q_b|, which is computed exactly in whole numbers. Pixels of 8 bits lose nothing, and all that is left to be
measured in float64 are the nearest themselves.

Axes: M references, N vectors, P poses, T tiles, D values.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch

from medaudit.search import kernels

_LEAST = 1024  # values of a vector, below which fetching it whole costs no more


@dataclass(frozen=True)
class Octets:
    """Vectors as bytes (..., T, D) uint8, on steps of `unit` from `origin`, and what that took from each (..., T)."""

    values: np.ndarray
    taken: np.ndarray
    origin: float
    unit: float

    @classmethod
    def of(cls, vectors: np.ndarray, sample: np.ndarray) -> "Octets":
        """(M, T, D) float32, on the range of a sample of them; pixels of 8 bits on their own grey values."""
        low, high = (float(sample.min()), float(sample.max())) if sample.size else (0.0, 0.0)
        if low >= 0.0 and 0.5 < high <= 1.0:
            low, high = 0.0, 1.0
        return _made(vectors, low, (high - low) / 255.0 or 1.0)

    @classmethod
    def nothing(cls, tiles: int, values: int) -> "Octets":
        """Of no references: there is no third look."""
        return _made(np.empty((0, tiles, values), dtype=np.float32), 0.0, 1.0)

    def like(self, queries: np.ndarray, which: np.ndarray) -> "Octets":
        """Some (N,) of the queries (G, P, T, D) on the same steps; none where there is no third look."""
        return _made(queries[which if len(self.values) else which[:0]], self.origin, self.unit)


def pays(tiles: int, values: int) -> bool:
    """Whether a third look costs less than it saves. Not with several tiles: to measure these ends with the first that
    is too far."""
    return tiles == 1 and values >= _LEAST


def _made(vectors: np.ndarray, origin: float, unit: float) -> Octets:
    values = np.empty(vectors.shape, dtype=np.uint8)
    taken = np.empty(vectors.shape[:-1], dtype=np.float32)
    flat, made = (array.reshape(-1, vectors.shape[-1]) for array in (vectors, values))
    left = taken.reshape(-1)
    step = max(1, -(-len(flat) // torch.get_num_threads()))

    def make(first: int) -> None:
        part = slice(first, first + step)
        kernels.in_octets(flat[part], origin, unit, made[part], left[part])

    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        for _ in pool.map(make, range(0, len(flat), step)):
            pass
    return Octets(values, taken, origin, unit)
