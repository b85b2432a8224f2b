"""One set of references, streamed in blocks past the queries: the part that every search shares.

Axes: G queries, Q of them in a chunk, P poses, T tiles, D values per tile, M references, B of them in a block,
K neighbours, E groups left out.

A first pass keeps, for each query, the references with the smallest *lower bound* on their distance (`gemm`); these
are measured by subtraction (`measure`). The answer is certain when the k-th measured distance lies under every
bound that was not kept. A query for which it does not (ties, many duplicates) is swept again, and everything whose
bound allows it to be among the k nearest is measured. Nothing is approximate.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from medaudit.progress import Progress
from medaudit.search.gemm import Plan, Side, bounds
from medaudit.search.measure import checked, squared_distances

_ROUNDING = 1.0 + 1e-9  # far above the relative error of a float64 subtraction and sum
_TOGETHER = 256  # queries measured together
_SPARE = 32  # references kept beyond k, so that few queries need the second sweep


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
class Listed:
    """Candidates in order: every reference nearer than `reach` is listed, and the first k are certain."""

    rows: np.ndarray  # (G, C) int64, -1 where unfilled
    squared: np.ndarray  # (G, C) float64
    reach: np.ndarray  # (G,) float64


_Visit = Callable[[np.ndarray, int, np.ndarray, Side, Side], None]


class Search:
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

    def run(self, queries: np.ndarray, k: int, absent: np.ndarray) -> Listed:
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
        return Listed(rows, squared, reach)

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
            reference = Side(block[:, None], centre, self.device, asking=False)
            for first in chunks:
                which = np.arange(first, min(first + plan.queries, len(queries)))
                visit(which, start, block, reference, Side(queries[which], centre, self.device, asking=True))
                self.progress.advance()

    def within(
        self,
        queries: np.ndarray,
        limit: np.ndarray,
        found: Callable[[int, np.ndarray, np.ndarray], None],
        name: str,
    ) -> None:
        """Call `found` with each query that has references at most `limit` (G,) away, their rows and distances.

        Once for each block of references, in order; no group is left out.
        """
        ceiling = _ceiling(np.square(limit), queries.shape[-1]).to(self.device)

        def visit(which: np.ndarray, start: int, block: np.ndarray, reference: Side, query: Side) -> None:
            part = slice(int(which[0]), int(which[-1]) + 1)
            maybe = (bounds(query, reference) <= ceiling[part, None]).cpu().numpy()
            for place in np.flatnonzero(maybe.any(axis=1)):
                row = int(which[place])
                columns = np.flatnonzero(maybe[place])
                measured = np.sqrt(squared_distances(queries[row][None], block, columns[None])[0])
                near = measured <= limit[row]
                if near.any():
                    found(row, start + columns[near], measured[near])

        self.stream(queries, visit, name)

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
            low = self._allowed(bounds(query, reference), start, absent[which])
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
            if len(hit):
                block = self._block(start, stop, queries.shape[2:])
                for part in np.array_split(hit, -(-len(hit) // _TOGETHER)):
                    local = np.where(inside[part], rows[part] - start, -1)
                    squared[part] = np.minimum(squared[part], squared_distances(queries[part], block, local))
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
            low = self._allowed(bounds(query, reference), start, absent[which])
            maybe = (low <= ceiling[int(which[0]) : int(which[-1]) + 1, None]).cpu().numpy()
            for place in np.flatnonzero(maybe.any(axis=1)):
                row = which[place]
                columns = np.flatnonzero(maybe[place])
                both_rows = np.concatenate([rows[row, :k], start + columns])
                measured = squared_distances(queries[row][None], block, columns[None])[0]
                both = np.concatenate([squared[row, :k], measured])
                order = np.lexsort((both_rows, both))[:k]
                rows[row, : len(order)], squared[row, : len(order)] = both_rows[order], both[order]

        self.stream(queries, visit, "settling ties")
        return rows, squared


def _ceiling(squared: np.ndarray, values: int) -> torch.Tensor:
    """(G,) float32, no smaller than `values` times the mean square `squared`, whichever way it rounds."""
    wide = squared * values * _ROUNDING
    return torch.from_numpy(np.nextafter(wide.astype(np.float32), np.float32(np.inf)))
