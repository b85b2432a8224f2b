"""Distances by subtraction in float64: slow, and right down to zero.

Axes: Q queries, P poses, T tiles, D values per tile, B references of a block, C candidates.
"""

import numpy as np
import torch

from medaudit.search.gemm import TINY, slack

_AT_ONCE = 32 << 20  # bytes of float32 that are gathered at once
_IN_CACHE = (
    1 << 20
)  # bytes of float64 that are subtracted at once: three times as fast as what leaves the cache


def squared_distances(queries: np.ndarray, block: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(Q, C) float64: min over poses of max over tiles of mean((a - b)^2) to rows (Q, C) of the block; inf for -1.

    `queries` (Q, P, T, D) and `block` (B, T, D) are float32. An exact copy comes back as exactly 0. With many poses
    a float32 product first rules out those that cannot be the nearest; what is left is subtracted.
    """
    count, poses, tiles, values = queries.shape
    squared = np.full(rows.shape, np.inf)
    step = max(1, _AT_ONCE // (4 * tiles * values * (poses + rows.shape[1])))
    for start in range(0, count, step):
        part = slice(start, start + step)
        maybe = rows[part] >= 0  # (Q, C)
        wanted = maybe[:, None, :] & (
            np.ones((1, 1, 1), dtype=bool)
            if poses == 1
            else _plausible(queries[part], block, rows[part], maybe)
        )
        query, pose, column = np.nonzero(wanted)
        measured = _by_subtraction(queries[part], block, query, pose, rows[part][query, column])
        np.minimum.at(squared[part], (query, column), measured)
    return squared


def _by_subtraction(
    queries: np.ndarray, block: np.ndarray, query: np.ndarray, pose: np.ndarray, row: np.ndarray
) -> np.ndarray:
    """(n,) float64 for n triples of query, pose and reference."""
    measured = np.empty(len(query))
    step = max(1, _IN_CACHE // (8 * block[:1].size))
    for start in range(0, len(query), step):
        part = slice(start, start + step)
        difference = block[row[part]].astype(np.float64)
        difference -= queries[query[part], pose[part]]
        squares = np.einsum("ntd,ntd->nt", difference, difference)
        measured[part] = squares.max(axis=-1) / block.shape[-1]
    return measured


def _plausible(queries: np.ndarray, block: np.ndarray, rows: np.ndarray, maybe: np.ndarray) -> np.ndarray:
    """(Q, P, C) bool: poses whose distance may be the smallest, given the error of the product."""
    centre = queries.mean(axis=(0, 1), dtype=np.float64).astype(np.float32)
    left = torch.from_numpy(queries - centre)  # (Q, P, T, D)
    right = torch.from_numpy(block[np.where(maybe, rows, 0)] - centre)  # (Q, C, T, D)
    values = queries.shape[-1]
    error = 2.0 * slack(values)  # of the product and the sum it is added to, and of the sums of squares
    lowest = highest = torch.full((len(queries), queries.shape[1], rows.shape[1]), -torch.inf)
    for tile in range(queries.shape[2]):
        a, b = left[:, :, tile], right[:, :, tile]
        norms = a.square().sum(-1)[:, :, None] + b.square().sum(-1)[:, None, :]  # (Q, P, C)
        gap = torch.baddbmm(norms, a, b.transpose(1, 2), alpha=-2)
        lowest = torch.maximum(lowest, gap - error * norms - TINY * values)
        highest = torch.maximum(highest, gap + error * norms + TINY * values)
    return (lowest <= highest.amin(dim=1, keepdim=True)).numpy()


def checked(vectors: np.ndarray, what: str) -> np.ndarray:
    """The vectors as float32. Raises ValueError when one is not finite."""
    vectors = np.asarray(vectors, dtype=np.float32)
    if not np.isfinite(vectors).all():
        raise ValueError(f"{what} hold a value that is not finite")
    return vectors
