"""The loops over tiles of bounds: which are small enough to be looked at again.

Bounds come as the integers that their bits make (`looks`): in the same order, half as long where they are bfloat16.
What is below nought counts as nought.

Axes: Q queries of a chunk, B references of a block, S references of a sample, W kept bounds, E groups left out.
"""

from typing import Any

import numpy as np

from medaudit.search.compiling import compiled

_CHUNK = 64  # bounds looked at together: most of the time none of them is small enough


@compiled
def _inside(group: int, absent: np.ndarray, query: int) -> bool:
    for place in range(absent.shape[1]):  # noqa: SIM110 - a compiled loop
        if absent[query, place] >= 0 and absent[query, place] == group:
            return True
    return False


@compiled
def halve(values: np.ndarray, rows: np.ndarray, size: int, keep: int) -> None:
    """Bring the `keep` smallest of the first `size` values to the front, the largest of them last (quickselect)."""
    low, high, wanted = 0, size - 1, keep - 1
    while low < high:
        middle = values[(low + high) // 2]
        left, right = low, high
        while left <= right:
            while values[left] < middle:
                left += 1
            while values[right] > middle:
                right -= 1
            if left <= right:
                values[left], values[right] = values[right], values[left]
                rows[left], rows[right] = rows[right], rows[left]
                left += 1
                right -= 1
        if wanted <= right:
            high = right
        elif wanted >= left:
            low = left
        else:
            return


@compiled
def _under(low: np.ndarray, query: int, limit: int, columns: np.ndarray) -> int:
    """columns (B + 1,): those of a query's bounds that are at most `limit`, ascending, and how many they are.

    Where a chunk holds any, every column is written and the next place is moved on or not: branches that nobody can
    foresee cost more.
    """
    count: Any = np.uint64(0)  # never below 0, which spares a check
    size = low.shape[1] - low.shape[1] % _CHUNK
    for first in range(0, size, _CHUNK):
        hits = np.int16(0)  # as narrow as the narrowest bounds, so that as many are compared at once
        for place in range(_CHUNK):
            hits = np.int16(hits + np.int16(low[query, np.uint64(first) + np.uint64(place)] <= limit))
        if hits:
            for place in range(_CHUNK):
                column = np.uint64(first) + np.uint64(place)
                columns[count] = column
                count += np.uint64(low[query, column] <= limit)
    for last in range(size, low.shape[1]):
        columns[count] = last
        count += np.uint64(low[query, last] <= limit)
    return int(count)


@compiled
def limits(
    low: np.ndarray, sample: np.ndarray, group: np.ndarray, absent: np.ndarray, rank: int, limit: np.ndarray
) -> None:
    """limit (Q,): just above the `rank`-th smallest of a sample's bounds (Q, S), so that its ties are kept too; as it
    was where fewer than that count.

    sample (S,): the rows of the sample.
    """
    values, rows = np.empty(low.shape[1], dtype=low.dtype), np.empty(low.shape[1], dtype=np.int32)
    for query in range(low.shape[0]):
        size = 0
        for column in range(low.shape[1]):
            if not _inside(group[sample[column]], absent, query):
                values[size] = low[query, column]
                size += 1
        if size >= rank:
            halve(values, rows, size, rank)
            limit[query] = max(values[rank - 1], 0) + 1


@compiled
def keep_smallest(
    low: np.ndarray, start: int, group: np.ndarray, absent: np.ndarray, best: np.ndarray, rows: np.ndarray,
    filled: np.ndarray, limit: np.ndarray,
) -> None:  # fmt: skip
    """Take a tile of bounds (Q, B) of references from `start` into each query's smallest so far.

    best and rows (Q, 2 W) hold `filled` (Q,) of them; whatever is not held is no smaller than `limit` (Q,).
    """
    width, columns = best.shape[1] // 2, np.empty(low.shape[1] + 1, dtype=np.int32)
    for query in range(low.shape[0]):
        most, size = limit[query], filled[query]
        for place in range(_under(low, query, most, columns)):
            column = columns[place]
            if low[query, column] < most and not _inside(group[start + column], absent, query):
                best[query, size] = max(low[query, column], 0)
                rows[query, size] = start + column
                size += 1
                if size == 2 * width:
                    halve(best[query], rows[query], size, width)
                    size, most = width, best[query, width - 1]
        limit[query], filled[query] = most, size


@compiled
def cut_to_width(best: np.ndarray, rows: np.ndarray, filled: np.ndarray, limit: np.ndarray) -> None:
    """Bring the W smallest of what `keep_smallest` holds (G, 2 W) to the front, and leave rows of -1 where unfilled."""
    width = best.shape[1] // 2
    for query in range(best.shape[0]):
        size = filled[query]
        for place in range(size, width):
            best[query, place] = 0
            rows[query, place] = -1
        if size > width:
            halve(best[query], rows[query], size, width)
            for place in range(width, size):
                limit[query] = min(limit[query], best[query, place])


@compiled
def gather_hits(
    low: np.ndarray, start: int, group: np.ndarray, absent: np.ndarray, ceiling: np.ndarray, query: np.ndarray,
    row: np.ndarray,
) -> int:  # fmt: skip
    """Places of a tile of bounds (Q, B) that are at most `ceiling` (Q,), query by query, and how many they are."""
    count, columns = 0, np.empty(low.shape[1] + 1, dtype=np.int32)
    for asked in range(low.shape[0]):
        for place in range(_under(low, asked, ceiling[asked], columns)):
            column = columns[place]
            if not _inside(group[start + column], absent, asked):
                query[count] = asked
                row[count] = start + column
                count += 1
    return count
