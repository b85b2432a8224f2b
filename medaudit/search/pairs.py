"""All pairs of one set that lie close together: the edges of a graph of repeats.

Axes: N descriptions, T tiles, D values per tile, E pairs.
"""

import numpy as np

from medaudit.progress import SILENT, Progress
from medaudit.search.engine import Asking, Search, bytes_per_query
from medaudit.search.index import Index
from medaudit.search.precision import checked, full_precision


def pairs_within(
    descriptions: np.ndarray,
    radius: float,
    *,
    device: str = "cpu",
    memory_bytes: int = 1 << 30,
    progress: Progress = SILENT,
) -> tuple[np.ndarray, np.ndarray]:
    """Descriptions (N, T, D) → pairs (E, 2) int64, smaller row first, in order, at most `radius` apart, and their
    distances (E,) float64. Exact as `nearest` is. Raises ValueError for values that are not finite.
    """
    descriptions = checked(descriptions, "descriptions")
    first: list[np.ndarray] = [np.zeros(0, dtype=np.int64)]
    second: list[np.ndarray] = [np.zeros(0, dtype=np.int64)]
    apart: list[np.ndarray] = [np.zeros(0)]

    queries, index = descriptions[:, None], Index.of(descriptions)
    search = Search(index, np.arange(len(descriptions)), device)
    step = max(1, memory_bytes // bytes_per_query(queries.shape, 1))
    progress.start("pairing", len(descriptions))
    for start in range(0, len(descriptions), step):

        def keep(asked: np.ndarray, rows: np.ndarray, distance: np.ndarray, begin: int = start) -> None:
            later = rows > asked + begin
            first.append(asked[later] + begin)
            second.append(rows[later])
            apart.append(distance[later])

        part = slice(start, start + step)
        with full_precision():
            search.within(Asking.of(queries[part], index), np.full(len(queries[part]), radius), keep)
        progress.advance(len(queries[part]))
    pairs = np.stack([np.concatenate(first), np.concatenate(second)], axis=1)
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    return pairs[order], np.concatenate(apart)[order]
