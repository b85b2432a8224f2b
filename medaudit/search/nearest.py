"""Exact nearest neighbours: search fast in float32, measure the winners again by subtraction in float64.

Axes: G queries, P poses, T tiles, D values per tile, M references, K neighbours.

The distance of a query to a reference is the smallest over the query's poses of the largest over tiles of
sqrt(mean((a - b)^2)). A first pass keeps, for each query, the references with the smallest *lower bound* on their
distance (`gemm`); these are measured by subtraction (`measure`). The answer is certain when the k-th measured
distance lies under every bound that was not kept. A query for which it does not (ties, many duplicates) is swept
again, and everything whose bound allows it to be among the k nearest is measured. Nothing is approximate.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from medaudit.progress import SILENT, Progress
from medaudit.search.gemm import Plan, Side, bounds, full_precision
from medaudit.search.measure import checked, squared_distances

_ROUNDING = 1.0 + 1e-9  # far above the relative error of a float64 subtraction and sum
_SPARE = 32  # references kept beyond k, so that few queries need the second sweep
_NOBODY = -1


class Blocks(Protocol):
    """References that can be read in parts: `block(start, stop)` is (B, T, D) float32."""

    def __len__(self) -> int: ...

    def block(self, start: int, stop: int) -> np.ndarray: ...


class ArrayBlocks:
    """References that lie in one array (M, T, D), in memory or memory-mapped."""

    def __init__(self, vectors: np.ndarray) -> None:
        self.vectors = vectors

    def __len__(self) -> int:
        return len(self.vectors)

    def block(self, start: int, stop: int) -> np.ndarray:
        """(B, T, D) float32."""
        return np.asarray(self.vectors[start:stop], dtype=np.float32)


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


@dataclass(frozen=True)
class _Listed:
    """Candidates in order: every reference nearer than `reach` is listed, and the first k are certain."""

    rows: np.ndarray  # (G, C) int64, -1 where unfilled
    squared: np.ndarray  # (G, C) float64
    reach: np.ndarray  # (G,) float64


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
    group = _own_codes(np.asarray(reference_group, dtype=np.int64), len(references))
    absent = np.full(count, _NOBODY) if leave_out is None else np.asarray(leave_out, dtype=np.int64)
    if absent.shape != (count,):
        raise ValueError("leave_out has one code per query")
    absent = np.where(absent < 0, _NOBODY, absent)
    with full_precision():
        search = _Search(references, group, device, memory_bytes, progress)
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
    group = _own_codes(np.asarray(reference_group, dtype=np.int64), len(references))
    _, dense = np.unique(group, return_inverse=True)
    limit = np.broadcast_to(np.asarray(radius, dtype=np.float64), (len(queries),))
    images = np.zeros(len(queries), dtype=np.int64)
    members: list[set[int]] = [set() for _ in range(len(queries))]

    def count(which: np.ndarray, start: int, block: np.ndarray, reference: Side, query: Side) -> None:
        ceiling = _ceiling(np.square(limit[which]), queries.shape[-1]).to(device)
        maybe = (bounds(query, reference, upper=False) <= ceiling[:, None]).cpu().numpy()
        for place in np.flatnonzero(maybe.any(axis=1)):
            row = which[place]
            columns = np.flatnonzero(maybe[place])
            measured = np.sqrt(squared_distances(queries[row], block[columns]))
            columns = columns[measured <= limit[row]]
            images[row] += len(columns)
            members[row].update(dense[start + columns].tolist())

    with full_precision():
        _Search(references, group, device, memory_bytes, progress).stream(
            queries, count, "counting neighbours"
        )
    return images, np.array([len(found) for found in members], dtype=np.int64)


_Visit = Callable[[np.ndarray, int, np.ndarray, Side, Side], None]


class _Search:
    """One set of references: streams its blocks past the queries."""

    def __init__(
        self, references: Blocks, group: np.ndarray, device: str, memory_bytes: int, progress: Progress
    ) -> None:
        self.references = references
        self.group = group
        self.device = device
        self.memory_bytes = memory_bytes
        self.progress = progress
        self._held: dict[int, np.ndarray] = {}

    def run(self, queries: np.ndarray, k: int, absent: np.ndarray) -> _Listed:
        """The k nearest of each query (G, P, T, D), leaving out the groups `absent` (G, E)."""
        keep = k + _SPARE
        low, rows = self._smallest_bounds(queries, keep, absent)
        squared = self._measure(queries, rows)
        order = np.lexsort((rows, squared), axis=-1)
        rows, squared = np.take_along_axis(rows, order, 1), np.take_along_axis(squared, order, 1)
        reach = low[:, -1] / queries.shape[-1] / _ROUNDING
        unsure = np.flatnonzero(np.isfinite(reach) & (squared[:, k - 1] >= reach))
        if len(unsure):
            rows[unsure], squared[unsure] = self._sweep(
                queries[unsure], squared[unsure, k - 1], k, keep, absent[unsure]
            )
            reach[unsure] = squared[unsure, k - 1]
        return _Listed(rows, squared, reach)

    def stream(self, queries: np.ndarray, visit: _Visit, name: str) -> None:
        """Call `visit` for every chunk of queries against every block of references; each block is read once."""
        plan = Plan.fit(queries.shape, self.memory_bytes)
        total = queries.sum(axis=(0, 1), dtype=np.float64)  # (T, D)
        centre = (total / max(1, len(queries) * queries.shape[1])).astype(np.float32)
        starts = range(0, len(self.references), plan.rows)
        chunks = range(0, len(queries), plan.queries)
        self.progress.start(name, len(starts) * len(chunks))
        for start in starts:
            block = self._block(start, min(start + plan.rows, len(self.references)), queries.shape[2:])
            reference = Side(block[:, None], centre, self.device)
            for first in chunks:
                which = np.arange(first, min(first + plan.queries, len(queries)))
                visit(which, start, block, reference, Side(queries[which], centre, self.device))
                self.progress.advance()

    def _block(self, start: int, stop: int, shape: tuple[int, ...]) -> np.ndarray:
        """References [start, stop), kept for the next pass when all of them fit a quarter of the memory."""
        held = self._held.get(start)
        if held is not None and len(held) == stop - start:
            return held
        block = checked(self.references.block(start, stop), "references")
        if block.shape != (stop - start, *shape):
            raise ValueError("queries and references do not have the same tiles and values")
        if len(self.references) * block[0].nbytes <= self.memory_bytes // 4:
            self._held[start] = block
        return block

    def _allowed(self, low: torch.Tensor, start: int, absent: np.ndarray) -> torch.Tensor:
        """`low` (Q, B) with inf where the reference belongs to a group left out (Q, E)."""
        group = torch.from_numpy(self.group[start : start + low.shape[1]]).to(low.device)
        for column in absent.T:
            if (column >= 0).any():
                out = torch.from_numpy(np.ascontiguousarray(column)).to(low.device)
                low.masked_fill_(out[:, None] == group[None, :], torch.inf)
        return low

    def _smallest_bounds(
        self, queries: np.ndarray, keep: int, absent: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The `keep` smallest lower bounds of each query, ascending, and their rows (-1 where unfilled)."""
        best = torch.full((len(queries), keep), torch.inf, device=self.device)
        rows = torch.full((len(queries), keep), -1, dtype=torch.int64, device=self.device)

        def merge(which: np.ndarray, start: int, block: np.ndarray, reference: Side, query: Side) -> None:
            low = self._allowed(bounds(query, reference, upper=False), start, absent[which])
            value, place = torch.topk(low, min(keep, low.shape[1]), dim=1, largest=False)
            part = slice(int(which[0]), int(which[-1]) + 1)
            value = torch.cat([best[part], value], dim=1)
            place = torch.cat([rows[part], place + start], dim=1)
            best[part], order = torch.topk(value, keep, dim=1, largest=False)
            rows[part] = place.gather(1, order)

        self.stream(queries, merge, "searching")
        rows[torch.isinf(best)] = -1
        return best.cpu().double().numpy(), rows.cpu().numpy()

    def _measure(self, queries: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """(G, C) float64 squared distances to the rows named; inf for -1."""
        squared = np.full(rows.shape, np.inf)
        step = Plan.fit(queries.shape, self.memory_bytes).rows
        starts = range(0, len(self.references), step)
        self.progress.start("measuring", len(starts))
        for start in starts:
            stop = min(start + step, len(self.references))
            inside = (rows >= start) & (rows < stop)
            hit = np.flatnonzero(inside.any(axis=1))
            block = self._block(start, stop, queries.shape[2:]) if len(hit) else None
            for query in hit:
                columns = np.flatnonzero(inside[query])
                assert block is not None
                squared[query, columns] = squared_distances(
                    queries[query], block[rows[query, columns] - start]
                )
            self.progress.advance()
        return squared

    def _sweep(
        self, queries: np.ndarray, squared_kth: np.ndarray, k: int, width: int, absent: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Measure every reference whose bound does not exceed the k-th distance known so far; (G, width) each."""
        rows = np.full((len(queries), width), -1, dtype=np.int64)
        squared = np.full((len(queries), width), np.inf)
        ceiling = _ceiling(squared_kth, queries.shape[-1]).to(self.device)

        def visit(which: np.ndarray, start: int, block: np.ndarray, reference: Side, query: Side) -> None:
            low = self._allowed(bounds(query, reference, upper=False), start, absent[which])
            maybe = (low <= ceiling[which][:, None]).cpu().numpy()
            for place in np.flatnonzero(maybe.any(axis=1)):
                row = which[place]
                columns = np.flatnonzero(maybe[place])
                both_rows = np.concatenate([rows[row, :k], start + columns])
                both = np.concatenate([squared[row, :k], squared_distances(queries[row], block[columns])])
                order = np.lexsort((both_rows, both))[:k]
                rows[row, : len(order)], squared[row, : len(order)] = both_rows[order], both[order]

        self.stream(queries, visit, "settling ties")
        return rows, squared


def _ceiling(squared: np.ndarray, values: int) -> torch.Tensor:
    """(G,) float32, no smaller than `values` times the mean square `squared`, whichever way it rounds."""
    wide = squared * values * _ROUNDING
    return torch.from_numpy(np.nextafter(wide.astype(np.float32), np.float32(np.inf)))


def _own_codes(group: np.ndarray, count: int) -> np.ndarray:
    """(M,) codes in which every -1 has become a group of its own."""
    if group.shape != (count,):
        raise ValueError("reference_group has one code per reference")
    nobody = group < 0
    return np.where(nobody, group.max(initial=0) + 1 + np.arange(count), group)


def _other_group(found: _Listed, group: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
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
