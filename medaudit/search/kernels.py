"""The loops that run once a pair: compiled, because what they skip is what makes the search fast.

Axes: Q queries of a chunk, P poses, T tiles, D values, A coarse and F fine axes, B references of a block,
M references, W kept bounds, K neighbours, E groups left out.

Sums are in the compiler's order (`reassoc`), which is the same for one processor; nothing depends on it but the last
digit of a distance, and an exact copy is at 0 in any order.
"""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

_CHUNK = 64  # bounds looked at together: most of the time none of them is small enough
_PIECE = 128  # values summed before it is asked whether the sum is too large already
_ROUNDING = 1.0 + 1e-9  # far above the relative error of a float64 subtraction and sum
_SUM_32 = 1e-4  # far above the relative error of a float32 sum of a thousand squares
_UNIT = 2.0**-22  # four times the unit roundoff of float32
_UNDERFLOW = 2.0**-110  # far above what a thousand squares lose below float32's range


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile without the interpreter's lock; kept for the next process where there is a place to keep it."""
    options: Any = {"nogil": True, "fastmath": {"reassoc", "contract", "nsz"}, "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # a read-only installation and no home
        return numba.njit(**options)(function)


@compiled
def _inside(group: int, absent: np.ndarray) -> bool:
    for code in absent:  # noqa: SIM110 - a compiled loop
        if code >= 0 and code == group:
            return True
    return False


@compiled
def _halve(values: np.ndarray, rows: np.ndarray, size: int, keep: int) -> None:
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
def keep_smallest(
    low: np.ndarray, start: int, group: np.ndarray, absent: np.ndarray, best: np.ndarray, rows: np.ndarray,
    filled: np.ndarray, limit: np.ndarray,
) -> None:  # fmt: skip
    """Take a tile of bounds (Q, B) of references from `start` into each query's smallest so far.

    best and rows (Q, 2 W) hold `filled` (Q,) of them; whatever is not held is no smaller than `limit` (Q,) float32.
    """
    width = best.shape[1] // 2
    for query in range(low.shape[0]):
        line, most = low[query], limit[query]
        for first in range(0, line.shape[0], _CHUNK):
            last = min(first + _CHUNK, line.shape[0])
            hits = 0
            for column in range(first, last):
                hits += line[column] < most
            if hits == 0:
                continue
            for column in range(first, last):
                if line[column] < most and not _inside(group[start + column], absent[query]):
                    size = filled[query]
                    best[query, size] = line[column]
                    rows[query, size] = start + column
                    filled[query] = size + 1
                    if size + 1 == 2 * width:
                        _halve(best[query], rows[query], 2 * width, width)
                        filled[query] = width
                        most = best[query, width - 1]
                        limit[query] = most


@compiled
def _bound_exceeds(
    point: np.ndarray, coarse: np.ndarray, fine: np.ndarray, places: int, squared: float
) -> bool:
    """Whether the second look (T, A + F + 1) against one reference shows more than `squared`, a sum over D."""
    for tile in range(point.shape[0]):
        norms = (
            np.sqrt(np.float64(coarse[tile, places + 1])) * 2.0
        )  # of reference; the query's is as good as bounded
        allowed = np.sqrt(squared)
        margin = (2.0 * norms + allowed) * _UNIT
        ceiling = (allowed + margin) / (1.0 - _SUM_32)
        ceiling = ceiling * ceiling + _UNDERFLOW
        total = np.float32(0.0)
        for column in range(places):
            gap = point[tile, column] - coarse[tile, column]
            total += gap * gap
        if total > ceiling:
            return True
        for first in range(0, fine.shape[1], _PIECE):
            for column in range(first, min(first + _PIECE, fine.shape[1])):
                gap = point[tile, places + column] - fine[tile, column]
                total += gap * gap
            if total > ceiling:
                return True
    return False


@compiled
def _exact(query: np.ndarray, vector: np.ndarray, most: float) -> float:
    """Largest over tiles of the mean squared difference (T, D), by subtraction in float64; inf once above `most`."""
    values = vector.shape[1]
    ceiling = most * values
    worst = 0.0
    for tile in range(vector.shape[0]):
        total = 0.0
        for first in range(0, values, _PIECE):
            for column in range(first, min(first + _PIECE, values)):
                gap = np.float64(query[tile, column]) - np.float64(vector[tile, column])
                total += gap * gap
            if total > ceiling:
                return np.inf
        worst = max(worst, total)
    return worst / values


@compiled
def _pair(
    query: np.ndarray, point: np.ndarray, coarse: np.ndarray, fine: np.ndarray, vector: np.ndarray, places: int,
    most: float,
) -> float:  # fmt: skip
    """Smallest over poses (P, T, .) of the distance to one reference, squared; inf where it is above `most`."""
    nearest = np.inf
    for pose in range(query.shape[0]):
        reach = min(most, nearest) * _ROUNDING
        if fine.shape[1] and _bound_exceeds(point[pose], coarse, fine, places, reach * vector.shape[1]):
            continue
        nearest = min(nearest, _exact(query[pose], vector, reach))
    return nearest if nearest <= most else np.inf


@compiled
def _insert(squared: np.ndarray, rows: np.ndarray, value: float, row: int) -> None:
    """Into one query's list (K,), ascending by distance and then by row, when it belongs there."""
    last = squared.shape[0] - 1
    if value > squared[last] or (value == squared[last] and (np.isinf(value) or row > rows[last])):
        return
    place = last
    while place > 0 and (
        squared[place - 1] > value or (squared[place - 1] == value and rows[place - 1] > row)
    ):
        squared[place] = squared[place - 1]
        rows[place] = rows[place - 1]
        place -= 1
    squared[place] = value
    rows[place] = row


@compiled
def settle(
    query: np.ndarray, point: np.ndarray, low: np.ndarray, kept: np.ndarray, coarse: np.ndarray, fine: np.ndarray,
    vectors: np.ndarray, places: int, squared: np.ndarray, rows: np.ndarray,
) -> None:  # fmt: skip
    """Measure what was kept of each query, nearest bound first, until no bound can beat the K-th (Seidl, Kriegel 1998).

    query (Q, P, T, D), point (Q, P, T, A + F + 1), low and kept (Q, W) ascending, -1 where unfilled; references coarse
    (M, T, A + 3), fine (M, T, F + 1 or 0), vectors (M, T, D); squared and rows (Q, K) are filled.
    """
    values = vectors.shape[2]
    for asked in range(query.shape[0]):
        for place in range(kept.shape[1]):
            row, most = kept[asked, place], squared[asked, -1]
            if row < 0 or low[asked, place] > most * values * _ROUNDING:
                break
            found = _pair(query[asked], point[asked], coarse[row], fine[row], vectors[row], places, most)
            _insert(squared[asked], rows[asked], found, row)


@compiled
def gather_hits(
    low: np.ndarray, start: int, group: np.ndarray, absent: np.ndarray, ceiling: np.ndarray, query: np.ndarray,
    row: np.ndarray,
) -> int:  # fmt: skip
    """Places of a tile of bounds (Q, B) that are at most `ceiling` (Q,), query by query, and how many they are."""
    count = 0
    for asked in range(low.shape[0]):
        line, most = low[asked], ceiling[asked]
        for first in range(0, line.shape[0], _CHUNK):
            last = min(first + _CHUNK, line.shape[0])
            hits = 0
            for column in range(first, last):
                hits += line[column] <= most
            if hits == 0:
                continue
            for column in range(first, last):
                if line[column] <= most and not _inside(group[start + column], absent[asked]):
                    query[count] = asked
                    row[count] = start + column
                    count += 1
    return count


@compiled
def settle_hits(
    query: np.ndarray, point: np.ndarray, asked: np.ndarray, kept: np.ndarray, coarse: np.ndarray, fine: np.ndarray,
    vectors: np.ndarray, places: int, limit: np.ndarray, squared: np.ndarray, rows: np.ndarray,
) -> None:  # fmt: skip
    """Measure pairs (n,) of `gather_hits`; those within `limit` (Q,) enter their query's list (Q, K)."""
    for place in range(len(asked)):
        one, row = asked[place], kept[place]
        most = min(limit[one], squared[one, -1])
        found = _pair(query[one], point[one], coarse[row], fine[row], vectors[row], places, most)
        _insert(squared[one], rows[one], found, row)


@compiled
def measure_hits(
    query: np.ndarray, point: np.ndarray, asked: np.ndarray, kept: np.ndarray, coarse: np.ndarray, fine: np.ndarray,
    vectors: np.ndarray, places: int, limit: np.ndarray, squared: np.ndarray,
) -> None:  # fmt: skip
    """squared (n,): the distances of such pairs, inf where they are above `limit` (Q,)."""
    for place in range(len(asked)):
        one, row = asked[place], kept[place]
        squared[place] = _pair(
            query[one], point[one], coarse[row], fine[row], vectors[row], places, limit[one]
        )
