"""Films that stand twice. Axes: N pairs, T tiles, D values, M rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medaudit.stats.duplicates import (
    Variety,
    components,
    duplicate_line,
    groups_across,
    nearest_in_pairs,
    pair_distances,
    unordered_pairs,
    variety,
)

ROWS = 11
PAIRS = st.lists(st.tuples(st.integers(0, ROWS - 1), st.integers(0, ROWS - 1)), max_size=14)


def test_pair_distances_against_the_definition() -> None:
    rng = np.random.Generator(np.random.Philox(1))
    left, right = rng.random((2, 5, 3, 7), dtype=np.float32)  # N=5, T=3, D=7
    found = pair_distances(left, right)
    for n in range(5):
        tiles = [
            np.sqrt(np.mean((left[n, t].astype(float) - right[n, t].astype(float)) ** 2)) for t in range(3)
        ]
        assert found[n] == pytest.approx(max(tiles))
    assert (pair_distances(left, left) == 0).all()


def test_the_line_is_the_re_encoding_but_never_near_strangers() -> None:
    reencoded = np.linspace(0.01, 0.02, 101)
    assert duplicate_line(reencoded, np.full(9, 0.4)) == pytest.approx(0.0199)
    assert duplicate_line(reencoded, np.array([0.0, 0.03, 0.03])) == pytest.approx(0.015)
    assert duplicate_line(reencoded, np.full(3, np.inf)) == pytest.approx(0.0199)
    assert duplicate_line(reencoded, np.zeros(3)) == 0  # exact copies only


@given(PAIRS)
def test_unordered_pairs(pairs: list[tuple[int, int]]) -> None:
    both = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    found = unordered_pairs(both[:, 0], both[:, 1])
    assert found.shape[1:] == (2,)
    assert [tuple(pair) for pair in found.tolist()] == sorted({(min(p), max(p)) for p in pairs})


@given(PAIRS)
def test_components_against_a_walk(pairs: list[tuple[int, int]]) -> None:
    reach = np.eye(ROWS, dtype=bool)
    for left, right in pairs:
        reach[left, right] = reach[right, left] = True
    for _ in range(ROWS):
        reach = reach @ reach
    assert components(ROWS, pairs).tolist() == [int(np.flatnonzero(row)[0]) for row in reach]


def test_nearest_in_pairs() -> None:
    found = nearest_in_pairs(5, np.array([[0, 2], [2, 4]]), np.array([0.3, 0.1]))
    assert found.tolist() == [0.3, np.inf, 0.1, np.inf, 0.1]
    assert nearest_in_pairs(2, np.zeros((0, 2), dtype=np.int64), np.zeros(0)).tolist() == [np.inf, np.inf]


def test_groups_across() -> None:
    group, patient = np.array([0, 1, 0, 1, 4]), np.array([5, 6, 7, 6, 5])
    assert groups_across(group, patient).tolist() == [True, False, True, False, False]


def test_twins_are_counted_once() -> None:
    assert variety(np.array([0, 1, 2])) == Variety(distinct=3, repeated=0, groups=0, largest=1)
    assert variety(np.array([0, 1, 0, 3, 1, 0, 6])) == Variety(distinct=4, repeated=5, groups=2, largest=3)
    assert variety(np.zeros(9, dtype=int)) == Variety(distinct=1, repeated=9, groups=1, largest=9)
    with pytest.raises(ValueError):
        variety(np.zeros(0, dtype=int))
