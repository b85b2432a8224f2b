"""References cut into shards, and what each shard found put together again: exact, whichever way they were cut.

Axes: G queries, M references, B of them in a shard, S shards, K neighbours.

A group is never cut in two. So the nearest image of another patient than the first's is the best of what the shards
offer, where the shard of the first offers its runner-up and every other shard its first; and the patients within a
radius are the sum of the shards' patients.
"""

from collections.abc import Sequence

import numpy as np

from medaudit.search.nearest import Neighbours


def cut(group: np.ndarray, shards: int) -> list[np.ndarray]:
    """Group codes (M,) → the rows (B,) of at most `shards` shards, ascending, none empty, no group in two of them."""
    order = np.argsort(group, kind="stable")
    ranked = group[order]
    starts = 1 + np.flatnonzero(ranked[1:] != ranked[:-1])  # of every group but the first
    wanted = np.arange(1, shards) * len(group) // shards
    place = np.searchsorted(starts, wanted)
    ends = np.unique(starts[place[place < len(starts)]])
    return [np.sort(rows) for rows in np.split(order, ends) if len(rows)]


def merge(parts: Sequence[tuple[np.ndarray, Neighbours]], queries: int, k: int) -> Neighbours:
    """The rows (B,) of each shard and what it found among them → the k nearest of all, ties to the lower row."""
    if not parts:
        none, far = np.full((queries, k + 1), -1, dtype=np.int64), np.full((queries, k + 1), np.inf)
        return Neighbours(none[:, 1:], far[:, 1:], none[:, 0], far[:, 0])
    index = np.stack([_global(rows, found.index) for rows, found in parts], axis=1)  # (G, S, K)
    distance = np.stack([found.distance for _, found in parts], axis=1)
    runner = np.stack([_global(rows, found.runner_up_index) for rows, found in parts], axis=1)  # (G, S)
    runner_distance = np.stack([found.runner_up_distance for _, found in parts], axis=1)
    first, _ = _smallest(index[:, :, 0], distance[:, :, 0], 1)
    own = (index[:, :, 0] == first) & (first >= 0)  # the shard of the first
    other, away = _smallest(
        np.where(own, runner, index[:, :, 0]), np.where(own, runner_distance, distance[:, :, 0]), 1
    )
    rows, near = _smallest(index.reshape(queries, -1), distance.reshape(queries, -1), k)
    return Neighbours(rows, near, other[:, 0], away[:, 0])


def _global(rows: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Places in a shard → rows of all references; -1 stays."""
    return np.append(rows, -1)[found]


def _smallest(index: np.ndarray, distance: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """(G, n) each → (G, k) each: the smallest distances, ties to the lower row."""
    order = np.lexsort((index, distance), axis=-1)[:, :k]
    return np.take_along_axis(index, order, 1), np.take_along_axis(distance, order, 1)
