"""Bounds on many distances at once from one matrix product in float32.

Axes: Q queries, P poses, T tiles, B references of a block, D values per tile.

|a - b|^2 = |a|^2 + |b|^2 - 2 a.b is fast and blurs small distances, so nothing here is an answer: every value is a
bound that the float64 subtraction of `measure` is certain to respect.

The inner product of two float32 vectors, summed in any order, with or without fused steps, errs by at most
gamma_D |a| |b| with gamma_D = D u / (1 - D u) and u = 2^-24 (Higham 2002, eq. 3.5, and Cauchy-Schwarz). The three
terms are one inner product of vectors with D + 2 entries; because 2 |a| |b| <= |a|^2 + |b|^2, its error is at most
`slack(D)` times |a|^2 + |b|^2, and scaling the norms by 1 - slack turns the estimate into a lower bound at no cost.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

_UNIT = 2.0**-24  # unit roundoff of float32
TINY = 2.0**-120  # covers gradual underflow of one product, with room


def slack(values: int) -> float:
    """Relative error of |a|^2 + |b|^2 - 2 a.b in float32 for vectors of `values` entries.

    gamma_(D + 2) times |a|^2 + |b|^2 + 2 |a| |b|, which is at most twice |a|^2 + |b|^2; 32 u for centring both vectors
    (4 u) and rounding the norms (2 u), with room to spare.
    """
    product = (values + 2) * _UNIT / (1.0 - (values + 2) * _UNIT)
    return 2.0 * product + 32.0 * _UNIT


@contextmanager
def full_precision() -> Iterator[None]:
    """Keep matrix products in true float32 (no TF32, no bfloat16), whatever the process asked for elsewhere."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.inference_mode():
            yield
    finally:
        torch.set_float32_matmul_precision(before)


@dataclass(frozen=True)
class Plan:
    """How much is held at once: `rows` references to a block, `queries` to a product."""

    rows: int
    queries: int

    @classmethod
    def fit(cls, shape: tuple[int, ...], memory_bytes: int) -> "Plan":
        """For queries of `shape` (G, P, T, D) and `memory_bytes` of working memory.

        A block stands three times (as read, centred, on the device), a query chunk twice, their bounds three times.
        """
        count, poses, tiles, values = shape
        vector = 4 * tiles * values
        rows = max(1, min(8192, memory_bytes // 4 // (3 * vector)))
        queries = max(1, memory_bytes // 2 // (poses * (2 * vector + 12 * rows)))
        return cls(rows, min(queries, max(1, count)))


class Side:
    """Vectors on the device, centred, with two entries more: queries (Q, P, T, D) or references (B, 1, T, D).

    A query is (a, |a|^2, 1) and a reference (-2 b, 1, |b|^2), with the norms scaled by 1 - slack: their inner product
    is the lower bound, and the product is all there is to compute.
    """

    def __init__(self, vectors: np.ndarray, centre: np.ndarray, device: str, *, asking: bool) -> None:
        count, self.poses, self.tiles, values = vectors.shape
        centred = (vectors - centre).reshape(count * self.poses, self.tiles, values)
        norms = np.einsum("ntd,ntd->nt", centred, centred, dtype=np.float64) * (1.0 - slack(values))
        wide = np.empty((self.tiles, len(centred), values + 2), dtype=np.float32)
        if not asking:
            centred *= -2.0
        wide[:, :, :values] = centred.swapaxes(0, 1)
        wide[:, :, values + (not asking)] = norms.T - asking * TINY * values
        wide[:, :, values + asking] = 1.0
        self.vectors = torch.from_numpy(wide).to(device)  # (T, Q P, D + 2)


def bounds(queries: Side, references: Side) -> torch.Tensor:
    """(Q, B) float32 lower bound on min over poses of max over tiles of |a - b|^2 (the sum over D, not the mean)."""
    worst = queries.vectors[0] @ references.vectors[0].T  # (Q P, B)
    for tile in range(1, queries.tiles):
        torch.maximum(worst, queries.vectors[tile] @ references.vectors[tile].T, out=worst)
    if queries.poses == 1:
        return worst
    return worst.view(-1, queries.poses, worst.shape[1]).amin(dim=1)
