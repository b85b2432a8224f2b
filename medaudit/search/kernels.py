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
_ROUND = 8  # references of each query that are measured in a round
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
def _inside(group: int, absent: np.ndarray, query: int) -> bool:
    for place in range(absent.shape[1]):  # noqa: SIM110 - a compiled loop
        if absent[query, place] >= 0 and absent[query, place] == group:
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
def _next_under(low: np.ndarray, query: int, first: int, limit: float) -> int:
    """The first column from `first` on, a multiple of _CHUNK, whose chunk holds a bound of at most `limit`."""
    count, size = low.shape[1], low.shape[1] - low.shape[1] % _CHUNK
    while first < size:
        hits = 0
        for place in range(_CHUNK):
            hits += low[query, np.uint64(first) + np.uint64(place)] <= limit
        if hits:
            return first
        first += _CHUNK
    return first if first < count else count


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
        most = limit[query]
        first = _next_under(low, query, 0, most)
        while first < low.shape[1]:
            for column in range(first, min(first + _CHUNK, low.shape[1])):
                if low[query, column] < most and not _inside(group[start + column], absent, query):
                    size = filled[query]
                    best[query, size] = low[query, column]
                    rows[query, size] = start + column
                    filled[query] = size + 1
                    if size + 1 == 2 * width:
                        _halve(best[query], rows[query], 2 * width, width)
                        filled[query] = width
                        most = best[query, width - 1]
                        limit[query] = most
            first = _next_under(low, query, first + _CHUNK, most)


@compiled
def _second_look(
    point: np.ndarray, asked: int, pose: int, coarse: np.ndarray, fine: np.ndarray, row: int, most: float
) -> float:
    """Lower bound, a sum over D, on the squared distance of a query in one pose to a reference; inf above `most`.

    Computed coordinates are off by at most _UNIT (|a| + |b|) as a vector, and |a| <= |b| + distance.
    """
    worst, places = 0.0, coarse.shape[2] - 3
    for tile in range(point.shape[2]):
        norm = np.sqrt(np.float64(coarse[row, tile, places + 1]))
        ceiling = (np.sqrt(most) * (1.0 + _UNIT) + 3.0 * _UNIT * norm) / (1.0 - _SUM_32)
        ceiling = ceiling * ceiling + _UNDERFLOW
        total = np.float32(0.0)
        for column in range(places):
            gap = point[asked, pose, tile, column] - coarse[row, tile, column]
            total += gap * gap
        if total > ceiling:
            return np.inf
        for column in range(fine.shape[2]):
            gap = point[asked, pose, tile, np.uint64(places) + np.uint64(column)] - fine[row, tile, column]
            total += gap * gap
        if total > ceiling:
            return np.inf
        least = np.sqrt(max(0.0, np.float64(total) - _UNDERFLOW)) * (1.0 - _SUM_32) - 3.0 * _UNIT * norm
        if least > 0.0:
            least /= 1.0 + _UNIT
            worst = max(worst, least * least)
    return worst


@compiled
def _exact(query: np.ndarray, asked: int, pose: int, vectors: np.ndarray, row: int, most: float) -> float:
    """Largest over tiles of the mean squared difference, by subtraction in float64; inf once above `most`."""
    values = vectors.shape[2]
    ceiling = most * values
    worst = 0.0
    for tile in range(vectors.shape[1]):
        total = 0.0
        for column in range(values):
            gap = np.float64(query[asked, pose, tile, column]) - np.float64(vectors[row, tile, column])
            total += gap * gap
        if total > ceiling:
            return np.inf
        worst = max(worst, total)
    return worst / values


@compiled
def _pair(
    query: np.ndarray, point: np.ndarray, asked: int, coarse: np.ndarray, fine: np.ndarray, vectors: np.ndarray,
    row: int, most: float,
) -> float:  # fmt: skip
    """Smallest over poses of the distance of a query to a reference; inf where it is above `most`.

    Distances are compared, not their squares: two squares may have one root, and ties must be ties to everyone.
    """
    nearest, values, allowed = np.inf, vectors.shape[2], most * most * _ROUNDING
    for pose in range(query.shape[1]):
        reach = min(allowed, nearest) * _ROUNDING
        if fine.shape[2] and _second_look(point, asked, pose, coarse, fine, row, reach * values) == np.inf:
            continue
        nearest = min(nearest, _exact(query, asked, pose, vectors, row, reach))
    distance = np.sqrt(nearest)
    return distance if distance <= most else np.inf


@compiled
def _insert(distance: np.ndarray, rows: np.ndarray, asked: int, value: float, row: int) -> None:
    """Into one query's list (Q, K), ascending by distance and then by row, when it belongs there."""
    place = distance.shape[1] - 1
    last = distance[asked, place]
    if value > last or (value == last and (np.isinf(value) or row > rows[asked, place])):
        return
    while place > 0:
        before = distance[asked, place - 1]
        if before < value or (before == value and rows[asked, place - 1] < row):
            break
        distance[asked, place] = before
        rows[asked, place] = rows[asked, place - 1]
        place -= 1
    distance[asked, place] = value
    rows[asked, place] = row


@compiled
def cut_to_width(best: np.ndarray, rows: np.ndarray, filled: np.ndarray, limit: np.ndarray) -> None:
    """Bring the W smallest of what `keep_smallest` holds (G, 2 W) to the front; what is unfilled is inf and -1."""
    width = best.shape[1] // 2
    for query in range(best.shape[0]):
        size = filled[query]
        for place in range(size, 2 * width):
            best[query, place] = np.inf
            rows[query, place] = -1
        if size > width:
            _halve(best[query], rows[query], size, width)
            for place in range(width, size):
                limit[query] = min(limit[query], best[query, place])


@compiled
def _looked_at(
    point: np.ndarray, asked: int, low: np.ndarray, kept: np.ndarray, coarse: np.ndarray, fine: np.ndarray,
    bound: np.ndarray,
) -> int:  # fmt: skip
    """bound (W,): what is known of each kept reference of a query after the second look; how many there are."""
    size = 0
    for place in range(kept.shape[1]):
        bound[place] = np.inf
        if kept[asked, place] < 0:
            continue
        size += 1
        bound[place] = low[asked, place]
        if fine.shape[2]:
            nearest = np.inf
            for pose in range(point.shape[1]):
                found = _second_look(point, asked, pose, coarse, fine, kept[asked, place], nearest)
                nearest = min(nearest, found)
            bound[place] = nearest
    return size


@compiled
def settle(
    which: np.ndarray, query: np.ndarray, point: np.ndarray, low: np.ndarray, kept: np.ndarray, coarse: np.ndarray,
    fine: np.ndarray, vectors: np.ndarray, distance: np.ndarray, rows: np.ndarray,
) -> None:  # fmt: skip
    """Measure what was kept of the queries `which` (n,), nearest bound first, until no bound can beat the K-th
    (Seidl, Kriegel 1998): in rounds, each in the order of references, so that what queries share is fetched once.

    query (G, P, T, D), point (G, P, T, A + F + 1), low and kept (G, W), -1 where unfilled; references coarse
    (M, T, A + 3), fine (M, T, F + 1 or 0), vectors (M, T, D); distance and rows (G, K) are filled.
    """
    count, width, values, wanted = len(which), kept.shape[1], vectors.shape[2], distance.shape[1]
    bound, order = np.empty((count, width)), np.empty((count, width), dtype=np.int64)
    size, done = np.empty(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
    one, row = np.empty(count * width, dtype=np.int64), np.empty(count * width, dtype=np.int64)
    for place in range(count):
        size[place] = _looked_at(point, which[place], low, kept, coarse, fine, bound[place])
        order[place] = np.argsort(bound[place])
    step = wanted
    while True:
        pairs = 0
        for place in range(count):
            asked = which[place]
            ceiling = distance[asked, -1] * distance[asked, -1] * values * _ROUNDING
            for _ in range(step):
                following = order[place, done[place]] if done[place] < size[place] else -1
                if following < 0 or bound[place, following] > ceiling:
                    break
                one[pairs] = asked
                row[pairs] = kept[asked, following]
                done[place] += 1
                pairs += 1
        if not pairs:
            return
        for pair in np.argsort(row[:pairs]):
            asked, most = one[pair], distance[one[pair], -1]
            found = _pair(query, point, asked, coarse, fine, vectors, row[pair], most)
            _insert(distance, rows, asked, found, row[pair])
        step = _ROUND


@compiled
def gather_hits(
    low: np.ndarray, start: int, group: np.ndarray, absent: np.ndarray, ceiling: np.ndarray, query: np.ndarray,
    row: np.ndarray,
) -> int:  # fmt: skip
    """Places of a tile of bounds (Q, B) that are at most `ceiling` (Q,), query by query, and how many they are."""
    count = 0
    for asked in range(low.shape[0]):
        first = _next_under(low, asked, 0, ceiling[asked])
        while first < low.shape[1]:
            for column in range(first, min(first + _CHUNK, low.shape[1])):
                if low[asked, column] <= ceiling[asked] and not _inside(group[start + column], absent, asked):
                    query[count] = asked
                    row[count] = start + column
                    count += 1
            first = _next_under(low, asked, first + _CHUNK, ceiling[asked])
    return count


@compiled
def settle_hits(
    query: np.ndarray, point: np.ndarray, asked: np.ndarray, kept: np.ndarray, start: int, coarse: np.ndarray,
    fine: np.ndarray, vectors: np.ndarray, limit: np.ndarray, distance: np.ndarray, rows: np.ndarray,
) -> None:  # fmt: skip
    """Measure pairs (n,) of `gather_hits`; those within `limit` (Q,) enter their query's list (Q, K), under rows that
    count from `start`."""
    for place in range(len(asked)):
        one, row = asked[place], kept[place]
        most = min(limit[one], distance[one, -1])
        found = _pair(query, point, one, coarse, fine, vectors, row, most)
        _insert(distance, rows, one, found, start + row)


@compiled
def settle_pairs(
    query: np.ndarray, point: np.ndarray, asked: np.ndarray, place: np.ndarray, named: np.ndarray, coarse: np.ndarray,
    fine: np.ndarray, vectors: np.ndarray, distance: np.ndarray, rows: np.ndarray,
) -> None:  # fmt: skip
    """Measure pairs (n,) of a query and a place among references that were read, whose rows are `named` (B,)."""
    for pair in range(len(asked)):
        one, here = asked[pair], place[pair]
        found = _pair(query, point, one, coarse, fine, vectors, here, distance[one, -1])
        _insert(distance, rows, one, found, named[here])


@compiled
def measure_hits(
    query: np.ndarray, point: np.ndarray, asked: np.ndarray, kept: np.ndarray, coarse: np.ndarray, fine: np.ndarray,
    vectors: np.ndarray, limit: np.ndarray, distance: np.ndarray,
) -> None:  # fmt: skip
    """distance (n,): the distances of such pairs, inf where they are above `limit` (Q,)."""
    for place in range(len(asked)):
        one, row = asked[place], kept[place]
        distance[place] = _pair(query, point, one, coarse, fine, vectors, row, limit[one])
