"""Vectors on a few principal axes, with what is left over as a length: bounds on distances for little work.

Axes: N vectors, P poses, T tiles, D values per tile, A coarse and F fine axes of a tile.

Let V have orthonormal columns, p = V^T a and r = |a - V p|. Then |a - b|^2 is |p_a - p_b|^2 and the square of the gap
between what is left over of both, hence at least |p_a - p_b|^2 + (r_a - r_b)^2: a lower bound whatever the axes, and
(p, r) is a vector of its own whose norm is |a|. Radiographs of one body part are so alike that some 128 axes hold
nine tenths of what tells them apart. Axes are computed and applied in float64, so that rounding to float32 is the
only error (`precision.slack`).
"""

from dataclasses import dataclass

import numpy as np
import torch

from medaudit.search.precision import TINY, slack

_SAMPLE = 1024  # references that the axes are drawn from
_COARSE = 128  # axes of all tiles together in the first look
_LEAST = 16  # axes of a tile at least
_FINER = 4  # times as many in the second look
_TOGETHER = (
    8 << 20
)  # bytes of float64 that are projected at once: memory that is used again, not asked for anew
_TRIED = 48  # references of the sample that ask on trial
# What a pair costs, in float32 multiplications of a matrix product: each value of a vector that is fetched and
# subtracted in float32, and in float64. Measured on two cores; they only choose between plans that are all exact.
_FETCHED, _SUBTRACTED = 25.0, 60.0


@dataclass(frozen=True)
class Basis:
    """Of each tile the centre (T, D) and orthonormal axes (T, D, A + F), float64, those of the first look first.

    Without axes (None) the values themselves are what is looked at.
    """

    centre: np.ndarray
    axes: np.ndarray | None
    coarse: int

    @classmethod
    def of(cls, sample: np.ndarray) -> "Basis":
        """From (N, T, D) references: the plan that would have cost least among themselves, asking a few of the others.

        Where no few axes tell them apart, the axes are the values themselves.
        """
        _, tiles, values = sample.shape
        least, every = _fewest(tiles, values)
        centre = sample.mean(axis=0, dtype=np.float64) if len(sample) else np.zeros((tiles, values))
        axes = np.empty((tiles, values, every))
        for tile in range(tiles):
            axes[tile] = _principal(sample[:, tile].astype(np.float64) - centre[tile], every)
        counts = [least << double for double in range(3) if least << double <= every]
        if len(sample) < 3 or counts == [values]:
            return cls(centre, axes, counts[0])
        left = _left_over(sample, centre, axes, counts)
        costs = {
            count: tiles
            * (count + _FETCHED * left[count] * (every - count) + _SUBTRACTED * left[counts[-1]] * values)
            for count in counts
        }
        if every < values and tiles * values < min(costs.values()):
            return cls(centre, None, values)
        return cls(centre, axes, min(costs, key=lambda count: costs[count]))

    @property
    def fine(self) -> int:
        """F, axes of the second look beyond those of the first."""
        return 0 if self.axes is None else self.axes.shape[2] - self.coarse

    @property
    def columns(self) -> tuple[int, int]:
        """Columns of a reference in the first look (A + 3) and in the second (F + 1)."""
        return self.coarse + 3, self.fine + 1

    def references(self, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(N, T, D) → (N, T, A + 3) as (p, r, |a|^2 less slack, 1) and (N, T, F + 1) as (p of the rest, r of it)."""
        first = np.empty((*vectors.shape[:2], self.coarse + 3), dtype=np.float32)
        second = np.empty((*vectors.shape[:2], self.fine + 1), dtype=np.float32)
        for part in _parts(vectors):
            place, left, rest, norm = self._placed(vectors[part])
            first[part, :, : self.coarse] = place[..., : self.coarse]
            first[part, :, self.coarse] = left
            first[part, :, self.coarse + 1] = norm * (1.0 - slack(self.coarse + 1))
            first[part, :, self.coarse + 2] = 1.0
            second[part, :, : self.fine] = place[..., self.coarse :]
            second[part, :, self.fine] = rest
        return first, second

    def queries(self, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(N, T, D) → (N, T, A + 3), whose inner product with a reference's is the bound, and (N, T, A + F + 1)."""
        asking = np.empty((*vectors.shape[:2], self.coarse + 3), dtype=np.float32)
        point = np.empty((*vectors.shape[:2], self.coarse + self.fine + 1), dtype=np.float32)
        for part in _parts(vectors):
            place, left, rest, norm = self._placed(vectors[part])
            asking[part, :, : self.coarse] = -2.0 * place[..., : self.coarse]
            asking[part, :, self.coarse] = -2.0 * left
            asking[part, :, self.coarse + 1] = 1.0
            asking[part, :, self.coarse + 2] = norm * (1.0 - slack(self.coarse + 1)) - TINY * self.coarse
            point[part, :, :-1] = place
            point[part, :, -1] = rest
        return asking, point

    def asked(self, first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What `references` made, (N, T, A + 3) and (N, T, F + 1), as `queries` would have made it."""
        asking = first.copy()
        asking[..., : self.coarse + 1] *= -2.0
        asking[..., self.coarse + 1] = 1.0
        asking[..., self.coarse + 2] = first[..., self.coarse + 1] - np.float32(TINY * self.coarse)
        return asking, np.concatenate([first[..., : self.coarse], second], axis=-1)

    def _placed(self, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """(n, T, D) → places (n, T, A + F); what the coarse and what all axes leave, and the squared norm, (n, T)."""
        centred = torch.from_numpy(vectors).double().sub_(torch.from_numpy(self.centre))
        norm = centred.square().sum(-1)
        place = centred if self.axes is None else _on_axes(centred, torch.from_numpy(self.axes))
        energy = place.square()
        first = energy[..., : self.coarse].sum(-1)
        left = (norm - first).clamp_(min=0.0).sqrt_()
        rest = (norm - first - energy[..., self.coarse :].sum(-1)).clamp_(min=0.0).sqrt_()
        return place.numpy(), left.numpy(), rest.numpy(), norm.numpy()


def axes_values(tiles: int, values: int) -> int:
    """Values of four bytes that the index of one reference holds, at most: in float32, in bfloat16, and in bytes."""
    _, every = _fewest(tiles, values)
    held = max(values, every + 4) if every < values else every + 4
    return tiles * (held + (held + 4) // 2 + values // 4 + 1)


def _fewest(tiles: int, values: int) -> tuple[int, int]:
    """Axes of a tile in the first look at least, and in both together."""
    least = min(max(_LEAST, _COARSE // tiles), values)
    return least, min(_FINER * least, values)


def sample_rows(count: int) -> np.ndarray:
    """Rows that the axes are drawn from: evenly over all of them."""
    return (
        np.unique(np.linspace(0, count - 1, min(count, _SAMPLE)).astype(np.int64))
        if count
        else np.zeros(0, np.int64)
    )


def _left_over(
    sample: np.ndarray, centre: np.ndarray, axes: np.ndarray, counts: list[int]
) -> dict[int, float]:
    """The share of pairs of the sample that so many axes leave open, where the nearest other is looked for."""
    asking = np.arange(0, len(sample), max(1, len(sample) // _TRIED))
    centred = sample.astype(np.float64) - centre
    distance = _largest_gap(centred[asking], centred)
    distance[np.arange(len(asking)), asking] = np.inf
    nearest = distance.min(axis=1, keepdims=True)
    place = _on_axes(torch.from_numpy(centred), torch.from_numpy(axes)).numpy()
    norm = np.square(centred).sum(-1)
    shares = {}
    for count in counts:
        rest = np.sqrt(np.maximum(norm - np.square(place[..., :count]).sum(-1), 0.0))
        whole = np.concatenate([place[..., :count], rest[..., None]], axis=-1)
        shares[count] = float((_largest_gap(whole[asking], whole) <= nearest).mean())
    return shares


def _on_axes(centred: torch.Tensor, axes: torch.Tensor) -> torch.Tensor:
    """(N, T, D) and (T, D, C) → (N, T, C)."""
    return torch.stack([centred[:, tile] @ axes[tile] for tile in range(len(axes))], dim=1)


def _largest_gap(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(Q, T, C) and (N, T, C) → (Q, N): the largest over tiles of the squared distance."""
    worst = np.full((len(first), len(second)), -np.inf)
    for tile in range(first.shape[1]):
        a, b = first[:, tile], second[:, tile]
        gap = np.square(a).sum(-1)[:, None] + np.square(b).sum(-1) - 2 * a @ b.T
        np.maximum(worst, gap, out=worst)
    return worst


def _principal(centred: np.ndarray, count: int) -> np.ndarray:
    """(N, D) float64 → (D, count) orthonormal: the axes of greatest variance first (Sirovich & Kirby 1987)."""
    number, values = centred.shape
    if values <= number:
        start = np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, :count]
    else:
        vectors = np.linalg.eigh(centred @ centred.T)[1][:, ::-1][:, : min(count, number)]
        start = centred.T @ vectors  # (D, <= count), orthogonal, longest first
    if start.shape[1] < count:
        # Fewer films than axes: any basis of what is left will do. Unit vectors, made orthogonal below.
        start = np.concatenate([start, np.eye(values, count - start.shape[1])], axis=1)
    length = np.sqrt(np.square(start).sum(axis=0))
    axes = np.linalg.qr(start / np.where(length > 0, length, 1.0))[0]
    return axes[:, :count]


def _parts(vectors: np.ndarray) -> list[slice]:
    step = max(1, _TOGETHER // max(1, 8 * vectors[:1].size))
    return [slice(start, start + step) for start in range(0, len(vectors), step)]
