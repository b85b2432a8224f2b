"""Exact nearest neighbours: search fast in float32, measure the winners again by subtraction in float64.

Axes: G queries, P poses, T tiles, D values per tile, M references, K neighbours.

The distance of a query to a reference is the smallest over the query's poses of the largest over tiles of
sqrt(mean((a - b)^2)). How the search is exact: see `engine`.
"""

from dataclasses import dataclass

import numpy as np

from medaudit.progress import SILENT, Progress
from medaudit.search.engine import ArrayBlocks, Blocks, Listed, Search
from medaudit.search.gemm import full_precision
from medaudit.search.measure import checked

__all__ = ["ArrayBlocks", "Blocks", "Neighbours", "count_within", "nearest"]

_NOBODY = -1


@dataclass(frozen=True)
class Neighbours:
    """The k nearest references of each query, nearest first, and the nearest image of another patient.

    index (G, K) int64 and distance (G, K) float64; places that no reference fills are -1 and inf.
    runner_up_index (G,) and runner_up_distance (G,): the nearest image of the best group other than that of
    index[:, 0]; -1 and inf where there is none.
    """

    index: np.ndarray
    distance: np.ndarray
    runner_up_index: np.ndarray
    runner_up_distance: np.ndarray


def nearest(
    queries: np.ndarray,
    references: Blocks,
    k: int,
    *,
    reference_group: np.ndarray,
    leave_out: np.ndarray | None = None,
    device: str = "cpu",
    memory_bytes: int = 1 << 30,
    progress: Progress = SILENT,
) -> Neighbours:
    """The k nearest references of each query (G, P, T, D); ties go to the lower row, exact copies are at 0.

    `reference_group` (M,) int64 names the patient of each reference; a reference with code -1 is a patient of its
    own. `leave_out` (G,) int64 is the group each query must not be compared with, -1 for none. Working memory stays
    near `memory_bytes` beside the queries themselves. Raises ValueError for values that are not finite.
    """
    queries = checked(queries, "queries")
    if k < 1 or queries.ndim != 4:
        raise ValueError("k is at least 1 and queries have the axes (G, P, T, D)")
    count = len(queries)
    absent = np.full(count, _NOBODY) if leave_out is None else np.asarray(leave_out, dtype=np.int64)
    if absent.shape != (count,):
        raise ValueError("leave_out has one code per query")
    absent = np.where(absent < 0, _NOBODY, absent)
    group = _own_codes(np.asarray(reference_group, dtype=np.int64), len(references), absent)
    with full_precision():
        search = Search(references, group, device, memory_bytes, progress)
        found = search.run(queries, k, absent[:, None])
        runner, runner_squared = _other_group(found, group, k)
        missing = np.flatnonzero((runner < 0) & np.isfinite(found.reach))
        if len(missing):
            both = np.stack([absent[missing], group[found.rows[missing, 0]]], axis=1)
            second = search.run(queries[missing], 1, both)
            runner[missing], runner_squared[missing] = second.rows[:, 0], second.squared[:, 0]
    return Neighbours(found.rows[:, :k], np.sqrt(found.squared[:, :k]), runner, np.sqrt(runner_squared))


def count_within(
    queries: np.ndarray,
    references: Blocks,
    radius: float | np.ndarray,
    reference_group: np.ndarray,
    *,
    device: str = "cpu",
    memory_bytes: int = 1 << 30,
    progress: Progress = SILENT,
) -> tuple[np.ndarray, np.ndarray]:
    """References at most `radius` (one value, or one per query) away: images (G,) int64 and groups (G,) int64."""
    queries = checked(queries, "queries")
    group = np.asarray(reference_group, dtype=np.int64)
    group = _own_codes(group, len(references), group)
    limit = np.broadcast_to(np.asarray(radius, dtype=np.float64), (len(queries),))
    images = np.zeros(len(queries), dtype=np.int64)
    members: list[set[int]] = [set() for _ in range(len(queries))]

    def count(query: int, rows: np.ndarray, distances: np.ndarray) -> None:
        images[query] += len(rows)
        members[query].update(group[rows].tolist())

    with full_precision():
        search = Search(references, group, device, memory_bytes, progress)
        search.within(queries, limit, count, "counting neighbours")
    return images, np.array([len(found) for found in members], dtype=np.int64)


def _own_codes(group: np.ndarray, count: int, others: np.ndarray) -> np.ndarray:
    """(M,) codes in which every -1 has become a group of its own, under a code that none of `others` has."""
    if group.shape != (count,):
        raise ValueError("reference_group has one code per reference")
    free = max(group.max(initial=0), others.max(initial=0)) + 1
    return np.where(group < 0, free + np.arange(count), group)


def _other_group(found: Listed, group: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The first listed reference of another group than the first's, where the list is certain so far."""
    if not len(group):
        return np.full(len(found.rows), -1, dtype=np.int64), np.full(len(found.rows), np.inf)
    codes = np.where(found.rows >= 0, group[found.rows], -1)
    certain = (found.squared < found.reach[:, None]) | (np.arange(found.rows.shape[1]) < k)
    other = (found.rows >= 0) & (codes != codes[:, :1]) & certain
    place = other.argmax(axis=1)
    line = np.arange(len(place))
    some = other[line, place]
    return (
        np.where(some, found.rows[line, place], -1),
        np.where(some, found.squared[line, place], np.inf),
    )
