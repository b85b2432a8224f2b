"""All pairs of one set that lie close together: the edges of a graph of repeats.

Axes: N descriptions, T tiles, D values per tile, E pairs.
"""

import numpy as np

from medaudit.progress import SILENT, Progress
from medaudit.search.engine import ArrayBlocks, Search
from medaudit.search.gemm import full_precision
from medaudit.search.measure import checked


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

    def keep(query: int, rows: np.ndarray, distances: np.ndarray) -> None:
        later = rows > query
        first.append(np.full(int(later.sum()), query, dtype=np.int64))
        second.append(rows[later])
        apart.append(distances[later])

    with full_precision():
        search = Search(
            ArrayBlocks(descriptions), np.arange(len(descriptions)), device, memory_bytes, progress
        )
        search.within(descriptions[:, None], np.full(len(descriptions), radius), keep, "pairing")
    pairs = np.stack([np.concatenate(first), np.concatenate(second)], axis=1)
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    return pairs[order], np.concatenate(apart)[order]
