"""The loops that run once a pair: compiled, because what they skip is what makes the search fast.

Axes: G queries, n of them settled together, P poses, T tiles, D values, A coarse and F fine axes, B references of a
block, M references, W kept bounds, K neighbours.
"""

import numpy as np

from medaudit.search.compiling import compiled
from medaudit.search.scanning import halve

_ROUND = 8  # references of each query that are measured in a round
_SORTED = 96  # bounds of a query that are sorted at once
_SUMMED = 16384  # squared gaps of bytes whose sum stays below 2^31
_ROUNDING = 1.0 + 1e-9  # far above the relative error of a float64 subtraction and sum
_SUM_32 = 1e-4  # far above the relative error of a float32 sum of a thousand squares
_UNIT = 2.0**-22  # four times the unit roundoff of float32
_LEAST = 2.0**-148  # the least that float32 can tell from nought, twice
_UNDERFLOW = 2.0**-110  # far above what a thousand squares lose below float32's range


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
def in_octets(vectors: np.ndarray, origin: float, step: float, octets: np.ndarray, error: np.ndarray) -> None:
    """Vectors (N, D) float32 → the nearest of 256 steps from `origin` on, (N, D) uint8, and the length of what that
    took from each, (N,) float32, not too small."""
    for row in range(vectors.shape[0]):
        taken = 0.0
        for column in range(vectors.shape[1]):
            value = np.float64(vectors[row, column]) - origin
            level = np.uint8(np.int32(min(max(value * (1.0 / step) + 0.5, 0.0), 255.0)))
            octets[row, column] = level
            gap = value - step * np.float64(level)
            taken += gap * gap
        error[row] = np.sqrt(taken) * (1.0 + 1e-6) + _LEAST


@compiled
def _in_steps(first: np.ndarray, asked: int, pose: int, second: np.ndarray, row: int, tile: int) -> int:
    """Squared distance of two vectors of bytes."""
    total = 0
    for start in range(0, second.shape[2], _SUMMED):
        part, first_column = np.int32(0), np.uint64(start)
        for column in range(min(second.shape[2] - start, _SUMMED)):
            place = first_column + np.uint64(column)
            gap = np.int16(np.int16(first[asked, pose, tile, place]) - np.int16(second[row, tile, place]))
            part = np.int32(part + np.int32(np.int32(gap) * np.int32(gap)))
        total += int(part)
    return total


@compiled
def _third_look(
    octets: np.ndarray, taken: np.ndarray, asked: int, references: np.ndarray, lost: np.ndarray, step: float, row: int,
) -> tuple[float, float]:  # fmt: skip
    """Between what the distance of a query to a reference lies, in all poses: as lengths over D values."""
    least, most = np.inf, np.inf
    for pose in range(octets.shape[1]):
        low, high = 0.0, 0.0
        for tile in range(references.shape[1]):
            apart = step * np.sqrt(np.float64(_in_steps(octets, asked, pose, references, row, tile)))
            room = np.float64(taken[asked, pose, tile]) + np.float64(lost[row, tile])
            low = max(low, apart / _ROUNDING - room)
            high = max(high, apart * _ROUNDING + room)
        least, most = min(least, low), min(most, high)
    return least, most


@compiled
def _looked_at(
    point: np.ndarray, asked: int, low: np.ndarray, kept: np.ndarray, coarse: np.ndarray, fine: np.ndarray,
    bound: np.ndarray,
) -> None:  # fmt: skip
    """bound (W,): what is known of each kept reference of a query after the second look; inf where unfilled."""
    for place in range(kept.shape[1]):
        bound[place] = np.inf
        if kept[asked, place] < 0:
            continue
        bound[place] = low[asked, place]
        if fine.shape[2]:
            nearest = np.inf
            for pose in range(point.shape[1]):
                found = _second_look(point, asked, pose, coarse, fine, kept[asked, place], nearest)
                nearest = min(nearest, found)
            bound[place] = nearest


@compiled
def _sort_more(bound: np.ndarray, order: np.ndarray, start: int) -> int:
    """Bring the smallest of what `order` (W,) names from `start` on to that place, sorted; up to where it is now.

    Most queries are done with the first few: to sort all would cost more than to look at them.
    """
    size = order.shape[0] - start
    some = min(size, max(_SORTED, start))
    values, names = np.empty(size), order[start:].copy()
    for place in range(size):
        values[place] = bound[names[place]]
    if some < size:
        halve(values, names, size, some)
    first = np.argsort(values[:some])
    for place in range(size):
        order[start + place] = names[first[place]] if place < some else names[place]
    return start + some


@compiled
def _gathered(
    which: np.ndarray, kept: np.ndarray, bound: np.ndarray, order: np.ndarray, ready: np.ndarray, done: np.ndarray,
    ceiling: np.ndarray, step: int, place: np.ndarray, column: np.ndarray, row: np.ndarray,
) -> int:  # fmt: skip
    """The next `step` of what was kept of each query in the order of its bounds, as far as these are at most `ceiling`
    (n,): places in `which`, columns and rows of the pairs, and how many they are.

    order (n, W): the columns, sorted by their bounds up to `ready` (n,) and looked at up to `done` (n,).
    """
    pairs = 0
    for one in range(len(which)):
        for _ in range(step):
            if done[one] == order.shape[1]:
                break
            if done[one] == ready[one]:
                ready[one] = _sort_more(bound[one], order[one], done[one])
            following = order[one, done[one]]
            if kept[which[one], following] < 0 or bound[one, following] > ceiling[one]:
                break
            place[pairs] = one
            column[pairs] = following
            row[pairs] = kept[which[one], following]
            done[one] += 1
            pairs += 1
    return pairs


@compiled
def _unsorted(count: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """order (n, W), ready (n,) and done (n,) at the beginning of `_gathered`."""
    order = np.empty((count, width), dtype=np.int64)
    order[:] = np.arange(width)
    return order, np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)


@compiled
def _narrowed(
    which: np.ndarray, kept: np.ndarray, bound: np.ndarray, octets: np.ndarray, taken: np.ndarray,
    references: np.ndarray, lost: np.ndarray, step: float, wanted: int, ceiling: np.ndarray,
) -> None:  # fmt: skip
    """Raise `bound` (n, W) by the third look, nearest bound first, and lower `ceiling` (n,) to the largest square that
    the `wanted` nearest can be at most."""
    count, width = bound.shape
    order, ready, done = _unsorted(count, width)
    pairs_at_most = count * width
    place, column = np.empty(pairs_at_most, dtype=np.int64), np.empty(pairs_at_most, dtype=np.int64)
    row = np.empty(pairs_at_most, dtype=np.int64)
    most, nobody = np.full((count, wanted), np.inf), np.zeros((count, wanted), dtype=np.int64)
    following = wanted
    while True:
        pairs = _gathered(which, kept, bound, order, ready, done, ceiling, following, place, column, row)
        if not pairs:
            return
        for pair in np.argsort(row[:pairs]):
            one = place[pair]
            low, high = _third_look(octets, taken, one, references, lost, step, row[pair])
            bound[one, column[pair]] = max(bound[one, column[pair]], max(low, 0.0) ** 2)
            _insert(most, nobody, one, high, 0)
        for one in range(count):
            ceiling[one] = most[one, -1] * most[one, -1] * _ROUNDING
        following = _ROUND


@compiled
def settle(
    which: np.ndarray, query: np.ndarray, point: np.ndarray, low: np.ndarray, kept: np.ndarray, coarse: np.ndarray,
    fine: np.ndarray, vectors: np.ndarray, octets: np.ndarray, taken: np.ndarray, references: np.ndarray,
    lost: np.ndarray, unit: float, distance: np.ndarray, rows: np.ndarray,
) -> None:  # fmt: skip
    """Measure what was kept of the queries `which` (n,), nearest bound first, until no bound can beat the K-th
    (Seidl, Kriegel 1998): in rounds, each in the order of references, so that what queries share is fetched once.

    query (G, P, T, D), point (G, P, T, A + F + 1), low and kept (G, W), -1 where unfilled; references coarse
    (M, T, A + 3), fine (M, T, F + 1 or 0), vectors (M, T, D); in bytes (`octets`) of the queries (n, P, T, D) and
    (n, P, T), of the references (M or 0, T, D) and (M or 0, T), and their unit; distance and rows (G, K) are filled.
    """
    count, width, values, wanted = len(which), kept.shape[1], vectors.shape[2], distance.shape[1]
    bound, ceiling = np.empty((count, width)), np.full(count, np.inf)
    pairs_at_most = count * width
    place, column = np.empty(pairs_at_most, dtype=np.int64), np.empty(pairs_at_most, dtype=np.int64)
    row = np.empty(pairs_at_most, dtype=np.int64)
    for one in range(count):
        _looked_at(point, which[one], low, kept, coarse, fine, bound[one])
    step = wanted
    if len(references):
        _narrowed(which, kept, bound, octets, taken, references, lost, unit, wanted, ceiling)
        step = width  # hardly more than K are left
    order, ready, done = _unsorted(count, width)
    while True:
        pairs = _gathered(which, kept, bound, order, ready, done, ceiling, step, place, column, row)
        if not pairs:
            return
        for pair in np.argsort(row[:pairs]):
            asked = which[place[pair]]
            found = _pair(query, point, asked, coarse, fine, vectors, row[pair], distance[asked, -1])
            _insert(distance, rows, asked, found, row[pair])
        for one in range(count):
            last = distance[which[one], -1]
            ceiling[one] = last * last * values * _ROUNDING
        step = _ROUND


@compiled
def settle_pairs(
    query: np.ndarray, point: np.ndarray, asked: np.ndarray, place: np.ndarray, named: np.ndarray, coarse: np.ndarray,
    fine: np.ndarray, vectors: np.ndarray, limit: np.ndarray, distance: np.ndarray, rows: np.ndarray,
) -> None:  # fmt: skip
    """Measure pairs (n,) of a query and a place among references, whose rows are `named` (B,); those within `limit`
    (Q,) enter their query's list (Q, K)."""
    for pair in range(len(asked)):
        one, here = asked[pair], place[pair]
        most = min(limit[one], distance[one, -1])
        found = _pair(query, point, one, coarse, fine, vectors, here, most)
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
