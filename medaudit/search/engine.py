"""One set of references, streamed in blocks past the queries: the part that every search shares.

Axes: G queries, Q of them in a chunk, P poses, T tiles, D values per tile, M references, B of them in a block,
K neighbours, W bounds kept, E groups left out.

A first look on few axes (`looks`) gives a lower bound on every distance, and each query keeps the W references with
the smallest. These are measured nearest bound first, after a second look on more axes and a third at 8 bits of every
value (`octets`), until no bound left can beat the K-th distance (`kernels.settle`), for queries that look alike
together, so that what they share is fetched once.
The answer is certain when that distance lies under every bound that was not kept. A query for which it does not
(ties, many duplicates) is swept again, and everything whose bound allows it to be among the K nearest is measured.
Nothing is approximate.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import torch

from medaudit.search import kernels, scanning
from medaudit.search.index import Index
from medaudit.search.looks import Look, look_at, most_kept
from medaudit.search.settling import Listed, seen_again, settle_in_files

_WIDTH = 256  # products of queries and poses computed together: bounds stay in the processor's second cache
_BLOCK = 1024  # references of a block, for the same reason
_DEVICE_CELLS = 1 << 26  # bounds at once on another device than the processor
_TOGETHER_BYTES = 1 << 20  # of queries that are settled together: what they are stays in the second cache
_SAMPLE_RANK = 8  # bounds of a sample that lie below the first limit
_SAMPLE_MOST = 1 << 15  # references of a sample: beyond, memory would not be flat
_MORE = 3  # halves of W that are expected below it
_PIVOTS = 256  # queries that the others are brought together by
_LEADING = 64  # axes that tell how near to these they are

# Queries, first reference, bounds (Q, B), and the references of the tile in memory, read when first asked for.
Visit = Callable[[slice, int, np.ndarray, Callable[[], Index]], None]


@dataclass(frozen=True)
class Asking:
    """Queries (G, P, T, D) as they are, and in the first (G, P, T, A + 3) and second look (G, P, T, A + F + 1)."""

    vectors: np.ndarray
    asking: np.ndarray
    point: np.ndarray

    @classmethod
    def of(cls, queries: np.ndarray, index: Index) -> "Asking":
        """Project the queries."""
        flat = queries.reshape(-1, *queries.shape[2:])
        asking, point = index.basis.queries(flat)
        shape = queries.shape[:3]
        return cls(queries, asking.reshape(*shape, -1), point.reshape(*shape, -1))

    @classmethod
    def own(cls, index: Index, start: int, stop: int) -> "Asking":
        """The references [start, stop) themselves, as they are in the index."""
        part = index.part(start, stop)
        return cls(
            part.vectors[:, None], *(look[:, None] for look in index.basis.asked(part.coarse, part.fine))
        )

    def __len__(self) -> int:
        return len(self.vectors)

    def at(self, which: np.ndarray) -> "Asking":
        """Some of them."""
        return Asking(self.vectors[which], self.asking[which], self.point[which])


class Search:
    """An index being asked."""

    def __init__(self, index: Index, group: np.ndarray, device: str) -> None:
        self.index = index
        self.group = group
        self.device = device

    def _look(self, queries: Asking) -> Look:
        return look_at(self.index, self.device, len(queries) * queries.asking.shape[1])

    def run(self, queries: Asking, k: int, absent: np.ndarray) -> Listed:
        """The k nearest of each query, leaving out the groups `absent` (G, E)."""
        look = self._look(queries)
        low, kept, reach = self._smallest_bounds(queries, look, k, absent)
        found = self._settled(queries, look, low, kept, k)
        values = queries.vectors.shape[-1]
        unsure = np.flatnonzero(np.square(found.distance[:, -1]) * values * (1 + 1e-9) >= reach)
        unsure = unsure[np.isfinite(reach[unsure])]
        if len(unsure):
            reach = found.distance[unsure, -1] * (1 + 1e-12)  # measured again, it may be another last digit
            again = self._sweep(queries.at(unsure), look, reach, k, absent[unsure])
            found.rows[unsure], found.distance[unsure] = again.rows, again.distance
        return found

    def within(
        self, queries: Asking, limit: np.ndarray, found: Callable[[np.ndarray, np.ndarray, np.ndarray], None]
    ) -> None:
        """Call `found` with queries (n,), rows (n,) and distances (n,) of the pairs at most `limit` (G,) apart.

        Once for each tile, in the order of rows for every query; no group is left out.
        """
        nobody = np.zeros((len(queries), 0), dtype=np.int64)
        look = self._look(queries)

        def visit(part: slice, asked: np.ndarray, row: np.ndarray, index: Index, start: int) -> None:
            distance = np.empty(len(asked))
            kernels.measure_hits(
                queries.vectors[part], queries.point[part], asked, row, index.coarse, seen_again(index, look.second),
                index.vectors, limit[part], distance,
            )  # fmt: skip
            near = distance <= limit[part][asked]
            if near.any():
                found(asked[near] + part.start, row[near] + start, distance[near])

        self._hits(queries, look, limit, nobody, visit, threads=1)

    def _tiles(self, asking: torch.Tensor, look: Look, visit: Visit, threads: int | None = None) -> None:
        """Call `visit` with every tile of bounds; a chunk of queries sees its blocks in order, in one thread."""
        count = len(self.index)
        block = _BLOCK if self.device == "cpu" else 1 << 16

        def run(lane: list[slice]) -> None:
            for start in range(0, count, block):
                references = look.references(start, start + block)
                whole = cache(partial(self.index.part, start, start + block))
                for part in lane:
                    visit(part, start, look.bounds(asking[part], references), whole)

        self._in_lanes(asking, run, threads)

    def _in_lanes(
        self, asking: torch.Tensor, run: Callable[[list[slice]], None], threads: int | None = None
    ) -> None:
        """Call `run` in each thread with its chunks of the queries (G, P, T, C)."""
        count, poses = asking.shape[:2]
        cells = _WIDTH
        if self.device != "cpu":
            cells = max(_WIDTH, _DEVICE_CELLS // max(1, min(len(self.index), 1 << 16)))
        chunk = max(1, cells // poses)
        chunks = [slice(first, min(first + chunk, count)) for first in range(0, count, chunk)]
        threads = threads or torch.get_num_threads()
        lanes = [chunks[lane::threads] for lane in range(min(threads, len(chunks)))]

        def alone(lane: list[slice]) -> None:
            with torch.inference_mode():
                run(lane)

        with _one_thread_each():
            if len(lanes) <= 1 or self.device != "cpu":
                for lane in lanes:
                    alone(lane)
            else:
                with ThreadPoolExecutor(len(lanes), initializer=torch.set_num_threads, initargs=(1,)) as pool:
                    for _ in pool.map(alone, lanes):
                        pass

    def _smallest_bounds(
        self, queries: Asking, look: Look, k: int, absent: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The smallest bounds of each query (G, W), their rows (inf and -1 where unfilled), and what the bounds that
        were not kept are at least (G,)."""
        count, none = len(queries), np.iinfo(look.kind).max
        width = max(1, min(look.kept(k), len(self.index)))
        best = np.empty((count, 2 * width), dtype=look.kind)
        rows = np.empty((count, 2 * width), dtype=np.int32)
        filled = np.zeros(count, dtype=np.int64)
        asking = look.queries(queries.asking, queries.point)
        limit = np.full(count, none, dtype=look.kind)
        self._first_limits(asking, look, width, absent, limit)

        def keep(part: slice, start: int, low: np.ndarray, whole: Callable[[], Index]) -> None:
            scanning.keep_smallest(
                low, start, self.group, absent[part], best[part], rows[part], filled[part], limit[part]
            )

        self._tiles(asking, look, keep)
        scanning.cut_to_width(best, rows, filled, limit)
        reach = np.where(limit == none, np.inf, look.numbers(limit).astype(np.float64))
        rows = rows[:, :width]
        return np.where(rows >= 0, look.numbers(best[:, :width]), np.float32(np.inf)), rows, reach

    def _first_limits(
        self, asking: torch.Tensor, look: Look, width: int, absent: np.ndarray, limit: np.ndarray
    ) -> None:
        """Lower `limit` (G,), above which no bound is kept, to where a sample says that some more than W lie below.

        Where the sample was wrong, fewer are kept, and the query is swept again if these do not settle it.
        """
        count = len(self.index)
        size = -(-_SAMPLE_RANK * count // (_MORE * width // 2))
        if not 0 < size <= min(count // 4, _SAMPLE_MOST) or self.device != "cpu":
            return
        sample = np.linspace(0, count - 1, size).astype(np.int64)
        references = look.sample(sample)

        def run(lane: list[slice]) -> None:
            for part in lane:
                low = look.bounds(asking[part], references)
                scanning.limits(low, sample, self.group, absent[part], _SAMPLE_RANK, limit[part])

        self._in_lanes(asking, run)

    def _settled(self, queries: Asking, look: Look, low: np.ndarray, kept: np.ndarray, k: int) -> Listed:
        found = Listed.nothing(len(queries), k)

        if self.index.in_files:
            settle_in_files(self.index, look.second, queries.vectors, queries.point, low, kept, found)
            return found

        octets = self.index.octets

        def held(part: np.ndarray) -> None:
            asked = octets.like(queries.vectors, part)
            kernels.settle(
                part, queries.vectors, queries.point, low, kept, self.index.coarse, seen_again(self.index, look.second),
                self.index.vectors, asked.values, asked.taken, octets.values, octets.taken, octets.unit,
                found.distance, found.rows,
            )  # fmt: skip

        step = _settled_together(queries.vectors)
        order = _alike_together(queries.point, step)
        parts = [order[first : first + step] for first in range(0, len(queries), step)]
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            for _ in pool.map(held, parts):
                pass
        return found

    def _sweep(self, queries: Asking, look: Look, known: np.ndarray, k: int, absent: np.ndarray) -> Listed:
        """Measure every reference whose bound does not exceed the k-th distance `known` (G,) so far."""
        found = Listed.nothing(len(queries), k)

        def visit(part: slice, asked: np.ndarray, row: np.ndarray, index: Index, start: int) -> None:
            kernels.settle_pairs(
                queries.vectors[part], queries.point[part], asked, row, np.arange(start, start + len(index)),
                index.coarse, seen_again(index, look.second), index.vectors, known[part], found.distance[part],
                found.rows[part],
            )  # fmt: skip

        self._hits(queries, look, known, absent, visit)
        return found

    def _hits(
        self, queries: Asking, look: Look, distance: np.ndarray, absent: np.ndarray,
        visit: Callable[[slice, np.ndarray, np.ndarray, Index, int], None], threads: int | None = None,
    ) -> None:  # fmt: skip
        """Call `visit` with the pairs of each tile whose bound allows `distance` (G,): queries of a part and rows of
        an index that begins at a reference."""
        values = queries.vectors.shape[-1]
        ceiling = look.bits(np.square(distance) * values * (1 + 1e-9))

        def see(part: slice, start: int, low: np.ndarray, whole: Callable[[], Index]) -> None:
            asked = np.empty(low.size, dtype=np.int64)
            row = np.empty(low.size, dtype=np.int64)
            count = scanning.gather_hits(low, start, self.group, absent[part], ceiling[part], asked, row)
            if count:
                visit(
                    part,
                    asked[:count],
                    row[:count] - start,
                    whole(),
                    start,
                )

        self._tiles(look.queries(queries.asking, queries.point), look, see, threads)


def bytes_per_query(shape: tuple[int, ...], k: int) -> int:
    """Working memory of one of the queries (G, P, T, D): its places on the axes, as many in float64, and its bounds."""
    _, poses, tiles, values = shape
    return poses * tiles * 4 * min(4 * values, 4096) + 16 * most_kept(k)


def _settled_together(vectors: np.ndarray) -> int:
    """Queries (G, P, T, D) of one part: few enough to stay in the second cache, and to give every thread its share."""
    share = len(vectors) // (4 * torch.get_num_threads())
    return max(1, min(_TOGETHER_BYTES // max(1, vectors[:1].nbytes), share))


def _alike_together(point: np.ndarray, together: int) -> np.ndarray:
    """The order (G,) in which queries (G, P, T, A + F + 1) are settled: those near one pivot one after another."""
    count, _, tiles, _ = point.shape
    if together == 1 or count <= 2 * together:
        return np.arange(count)
    place = point[:, 0, :, : max(1, _LEADING // tiles)].reshape(count, -1)
    pivots = place[np.linspace(0, count - 1, min(count, _PIVOTS)).astype(np.int64)]
    nearest = (np.square(pivots).sum(1) - 2 * place @ pivots.T).argmin(axis=1)
    return np.argsort(nearest, kind="stable")


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Chunks of queries share the processors among them; a product must not try to have them all."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)
