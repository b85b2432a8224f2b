"""Shards merged against three lines of brute force over all references, without any cluster."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from medaudit.search.groups import own_codes
from medaudit.search.nearest import ArrayBlocks, count_within, nearest
from medaudit.search.shards import cut, merge

# M up to 23 references, G=7 queries, D=5 values, T=2 tiles
G, T, D = 7, 2, 5


@st.composite
def cohorts(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Queries, references on a coarse grid (ties and duplicates abound), their groups, and the group left out."""
    rng = np.random.Generator(np.random.Philox(draw(st.integers(0, 2**32))))
    count, levels = draw(st.integers(0, 23)), draw(st.sampled_from([1, 2, 3, 40]))
    values = rng.integers(0, levels, (G + count, T, D)).astype(np.float32)
    queries, references = values[:G, None], values[G:]
    if count:
        queries[0, 0] = references[rng.integers(count)]  # a planted copy
    group = rng.integers(-1, draw(st.integers(1, 6)), count)
    leave_out = rng.integers(-1, 8, G)
    return queries, references, group, leave_out


def brute(queries: np.ndarray, references: np.ndarray) -> np.ndarray:
    difference = queries.astype(np.float64) - references[None]  # (G, M, T, D)
    return np.sqrt(np.square(difference).mean(-1).max(-1))


@settings(max_examples=200, deadline=None)
@given(cohorts(), st.integers(1, 30), st.sampled_from([1, 2, 3, 60]))
def test_merged_shards_equal_brute_force(cohort, shards: int, k: int) -> None:
    queries, references, group, leave_out = cohort
    codes = own_codes(group, leave_out)
    parts = [
        (
            rows,
            nearest(
                queries,
                ArrayBlocks(references[rows]),
                k,
                reference_group=codes[rows],
                leave_out=leave_out,
            ),
        )
        for rows in cut(codes, shards)
    ]
    found = merge(parts, G, k)
    distance = brute(queries, references)
    distance[(leave_out[:, None] >= 0) & (group[None] == leave_out[:, None])] = np.inf
    assert found.index.shape == found.distance.shape == (G, k)
    for row in range(G):
        order = [int(m) for m in np.argsort(distance[row], kind="stable") if np.isfinite(distance[row, m])]
        filled = min(k, len(order))
        assert found.index[row].tolist() == order[:filled] + [-1] * (k - filled)
        assert found.distance[row].tolist() == [*distance[row, order[:filled]], *[np.inf] * (k - filled)]
        others = [m for m in order if codes[m] != codes[order[0]]]
        assert found.runner_up_index[row] == (others[0] if others else -1)
        assert found.runner_up_distance[row] == (distance[row, others[0]] if others else np.inf)


@settings(max_examples=100, deadline=None)
@given(cohorts(), st.integers(1, 30), st.sampled_from([0.0, 1.0, 2.5, 99.0]))
def test_counts_of_shards_add_up(cohort, shards: int, radius: float) -> None:
    queries, references, group, _ = cohort
    codes = own_codes(group)
    images, people = np.zeros(G, dtype=np.int64), np.zeros(G, dtype=np.int64)
    for rows in cut(codes, shards):
        counted = count_within(queries, ArrayBlocks(references[rows]), radius, codes[rows])
        images, people = images + counted[0], people + counted[1]
    near = brute(queries, references) <= radius
    assert images.tolist() == near.sum(axis=1).tolist()
    assert people.tolist() == [len(set(codes[row].tolist())) for row in near]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 9), max_size=40), st.integers(1, 60))
def test_cut_keeps_every_row_once_and_every_group_whole(group: list[int], shards: int) -> None:
    codes = np.array(group, dtype=np.int64)
    parts = cut(codes, shards)
    assert len(parts) <= shards
    assert all(len(rows) for rows in parts)
    assert all(rows.tolist() == sorted(rows) for rows in parts)
    assert sorted(np.concatenate([np.zeros(0, dtype=np.int64), *parts]).tolist()) == list(range(len(codes)))
    seen = [set(codes[rows].tolist()) for rows in parts]
    assert sum(map(len, seen)) == len(set(group))


def test_people_of_one_film_each_are_cut_evenly() -> None:
    assert [len(rows) for rows in cut(np.arange(11), 4)] == [2, 3, 3, 3]
    assert [len(rows) for rows in cut(np.arange(3), 8)] == [1, 1, 1]


def test_nobody_shares_a_code_with_whom_a_query_leaves_out() -> None:
    codes = own_codes(np.array([-1, 2, -1]), np.array([3, -1]))
    assert codes[1] == 2
    assert len({3, *codes.tolist()}) == 4
