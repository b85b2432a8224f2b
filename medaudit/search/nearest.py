"""Exact nearest neighbours: bounds discard pairs in float32, what is left is measured by subtraction in float64.

Axes: G queries, P poses, T tiles, D values per tile, M references, K neighbours.

The distance of a query to a reference is the smallest over the query's poses of the largest over tiles of
sqrt(mean((a - b)^2)). How the search is exact: see `engine`.

Memory beside queries and references: the index (`index`), about 3 KB a reference with one tile, 6 KB with sixteen
(held, or in files that the system may take back); and of each query its places on the axes (4 KB a pose and tile)
and its bounds (16 bytes for each of 8 K + 192 at most), so many queries at once as `memory_bytes` allows.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from medaudit.progress import SILENT, Progress
from medaudit.search.engine import Asking, Search, bytes_per_query
from medaudit.search.groups import own_codes
from medaudit.search.index import ArrayBlocks, Index, References
from medaudit.search.precision import checked, full_precision
from medaudit.search.settling import Listed

__all__ = ["ArrayBlocks", "Index", "Neighbours", "References", "count_within", "nearest"]

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
    queries: np.ndarray | slice,
    references: References,
    k: int,
    *,
    reference_group: np.ndarray,
    leave_out: np.ndarray | None = None,
    device: str = "cpu",
    memory_bytes: int = 1 << 30,
    progress: Progress = SILENT,
) -> Neighbours:
    """The k nearest references of each query (G, P, T, D); ties go to the lower row, exact copies are at 0.

    A slice of rows lets the references ask themselves, as they are in the index: nothing is computed of them anew.
    `reference_group` (M,) int64 names the patient of each reference; a reference with code -1 is a patient of its
    own. `leave_out` (G,) int64 is the group each query must not be compared with, -1 for none. Working memory stays
    near `memory_bytes` beside the queries themselves. Raises ValueError for values that are not finite.
    """
    index = references.index
    asking = _asking(queries, index)
    if k < 1:
        raise ValueError("k is at least 1")
    absent = np.full(asking.count, _NOBODY) if leave_out is None else np.asarray(leave_out, dtype=np.int64)
    if absent.shape != (asking.count,):
        raise ValueError("leave_out has one code per query")
    absent = np.where(absent < 0, _NOBODY, absent)
    search = Search(index, _groups(reference_group, len(index), absent), device)
    parts = []
    progress.start("searching", asking.count)
    for part in _portions(asking.count, asking.shape, k, memory_bytes):
        parts.append(_ask(search, asking.part(part), k, absent[part]))
        progress.advance(part.stop - part.start)
    return _joined(parts, k)


@dataclass(frozen=True)
class _Queries:
    """So many queries, each (P, T, D), and how a part of them is made ready."""

    count: int
    shape: tuple[int, ...]
    part: Callable[[slice], Asking]


def _asking(queries: np.ndarray | slice, index: Index) -> _Queries:
    """Raises ValueError for values that are not finite and for another shape than that of the references."""
    if isinstance(queries, slice):
        first, stop, step = queries.indices(len(index))
        if step != 1:
            raise ValueError("references ask one after the other")
        own = lambda part: Asking.own(index, first + part.start, first + part.stop)  # noqa: E731
        return _Queries(max(0, stop - first), (1, *index.vectors.shape[1:]), own)
    queries = checked(queries, "queries")
    if queries.ndim != 4:
        raise ValueError("queries have the axes (G, P, T, D)")
    _check_fit(index, queries)
    return _Queries(len(queries), queries.shape[1:], lambda part: Asking.of(queries[part], index))


def _joined(parts: list[Neighbours], k: int) -> Neighbours:
    none = Neighbours(
        np.zeros((0, k), dtype=np.int64), np.zeros((0, k)), np.zeros(0, dtype=np.int64), np.zeros(0)
    )
    columns = zip(*(vars(part).values() for part in [none, *parts]), strict=True)
    return Neighbours(*(np.concatenate(column) for column in columns))


def _ask(search: Search, queries: Asking, k: int, absent: np.ndarray) -> Neighbours:
    """One portion of the queries; `absent` (G,)."""
    with full_precision():
        # One more than asked for: with few neighbours that one is mostly the nearest image of somebody else.
        found = search.run(queries, k + 1, absent[:, None])
        runner, apart, open_still = _other_group(found, search.group, len(search.index))
        if len(open_still):
            both = np.stack([absent[open_still], search.group[found.rows[open_still, 0]]], axis=1)
            second = search.run(queries.at(open_still), 1, both)
            runner[open_still], apart[open_still] = second.rows[:, 0], second.distance[:, 0]
    return Neighbours(found.rows[:, :k], found.distance[:, :k], runner, apart)


def count_within(
    queries: np.ndarray,
    references: References,
    radius: float | np.ndarray,
    reference_group: np.ndarray,
    *,
    device: str = "cpu",
    memory_bytes: int = 1 << 30,
    progress: Progress = SILENT,
) -> tuple[np.ndarray, np.ndarray]:
    """References at most `radius` (one value, or one per query) away: images (G,) int64 and groups (G,) int64."""
    queries = checked(queries, "queries")
    index = references.index
    _check_fit(index, queries)
    group = _groups(reference_group, len(index))
    limit = np.broadcast_to(np.asarray(radius, dtype=np.float64), (len(queries),))
    images = np.zeros(len(queries), dtype=np.int64)
    members: list[set[int]] = [set() for _ in range(len(queries))]
    search = Search(index, group, device)
    progress.start("counting neighbours", len(queries))
    for part in _portions(len(queries), queries.shape[1:], 1, memory_bytes):

        def count(asked: np.ndarray, rows: np.ndarray, distance: np.ndarray, first: int = part.start) -> None:
            for query, code in zip(asked + first, group[rows].tolist(), strict=True):
                images[query] += 1
                members[query].add(code)

        with full_precision():
            search.within(Asking.of(queries[part], index), limit[part], count)
        progress.advance(part.stop - part.start)
    return images, np.array([len(found) for found in members], dtype=np.int64)


def _check_fit(index: Index, queries: np.ndarray) -> None:
    """Raises ValueError where queries are of another shape than the references."""
    if len(index) and index.vectors.shape[1:] != queries.shape[2:]:
        raise ValueError("queries and references do not have the same tiles and values")


def _portions(count: int, shape: tuple[int, ...], k: int, memory_bytes: int) -> Iterator[slice]:
    """Parts of `count` queries (P, T, D) that are asked at once."""
    step = max(1, memory_bytes // bytes_per_query((count, *shape), k))
    return (slice(start, min(start + step, count)) for start in range(0, count, step))


def _groups(reference_group: np.ndarray, count: int, leave_out: np.ndarray | None = None) -> np.ndarray:
    """(M,) int64, a group of its own for each -1. Raises ValueError for another number of codes."""
    group = np.asarray(reference_group, dtype=np.int64)
    if group.shape != (count,):
        raise ValueError("reference_group has one code per reference")
    return own_codes(group, leave_out)


def _other_group(found: Listed, group: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The first listed reference of another group than the first's, its distance, and the queries for which there may
    be one beyond the list of `count` references."""
    lines = np.arange(len(found.rows))
    if not count:
        return np.full(len(lines), -1, dtype=np.int64), np.full(len(lines), np.inf), lines[:0]
    codes = np.where(found.rows >= 0, group[found.rows], _NOBODY)
    other = (found.rows >= 0) & (codes != codes[:, :1])
    place, some = other.argmax(axis=1), other.any(axis=1)
    row = np.where(some, found.rows[lines, place], -1)
    distance = np.where(some, found.distance[lines, place], np.inf)
    return row, distance, np.flatnonzero(~some & (found.rows[:, -1] >= 0))
