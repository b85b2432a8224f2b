"""Cliques against enumeration by hand, planted ones, and graphs that would explode."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medaudit.search.cliques import disjoint_cliques


def edges(joined: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Symmetric (N, N) bool → pairs and random distances."""
    pairs = np.argwhere(np.triu(joined, 1))
    return pairs, np.random.Generator(np.random.Philox(seed)).random(len(pairs))


def graph(count: int, share: float, seed: int) -> np.ndarray:
    joined = np.random.Generator(np.random.Philox(seed)).random((count, count)) < share
    joined = np.triu(joined, 1)
    return joined | joined.T


def is_clique(joined: np.ndarray, rows: tuple[int, ...]) -> bool:
    return all(joined[a, b] for a, b in combinations(rows, 2))


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 11), st.sampled_from([0.3, 0.6, 0.9]), st.integers(0, 10**6), st.sampled_from([2, 3]))
def test_the_largest_first_and_none_left(count: int, share: float, seed: int, size: int) -> None:
    joined = graph(count, share, seed)
    found = disjoint_cliques(*edges(joined), size)
    left = set(range(count))
    for members in found.members:  # each is as large as any clique among the images not yet taken
        assert set(members) <= left and is_clique(joined, members) and list(members) == sorted(members)
        larger = combinations(sorted(left), len(members) + 1)
        assert not any(is_clique(joined, rows) for rows in larger)
        left -= set(members)
    assert not any(is_clique(joined, rows) for rows in combinations(sorted(left), size))
    assert found.not_enumerated == 0


def test_a_chain_of_strangers_is_no_clique() -> None:
    chain = np.stack([np.arange(9), np.arange(1, 10)], axis=1)
    assert disjoint_cliques(chain, np.ones(9), 3).members == ()


def test_the_medoid_is_closest_to_the_others() -> None:
    pairs = np.array([[2, 5], [2, 9], [5, 9]])
    assert disjoint_cliques(pairs, np.array([0.1, 0.5, 0.1]), 3).medoids == (5,)
    assert disjoint_cliques(pairs, np.array([0.1, 0.1, 0.1]), 3).medoids == (2,)  # a tie: the lower row


@pytest.mark.parametrize("count", [60, 300])
def test_dense_clusters_end_and_say_so(count: int) -> None:
    """The complement of a perfect matching has 2^(count / 2) maximal cliques."""
    joined = ~np.eye(count, dtype=bool)
    joined[np.arange(0, count, 2), np.arange(1, count, 2)] = False
    joined[np.arange(1, count, 2), np.arange(0, count, 2)] = False
    found = disjoint_cliques(*edges(joined), 4)
    assert found.not_enumerated == 1
    assert [len(members) for members in found.members] == [count // 2, count // 2]
    assert all(is_clique(joined, members) for members in found.members)


def test_a_hub_without_a_clique_hides_nothing() -> None:
    """A star's centre has most neighbours; the clique beside it must be found though nothing is enumerated."""
    star = [(0, leaf) for leaf in range(1, 30)]
    clique = list(combinations([29, *range(30, 34)], 2))
    found = disjoint_cliques(np.array(star + clique), np.ones(len(star) + len(clique)), 4, limit=1)
    assert found.members == ((29, 30, 31, 32, 33),)


def test_planted_groups_among_noise() -> None:
    joined = graph(200, 0.01, 3)
    for start, length in ((10, 12), (50, 7), (90, 4)):
        joined[start : start + length, start : start + length] = True
    np.fill_diagonal(joined, False)
    found = disjoint_cliques(*edges(joined), 4)
    assert [members[:4] for members in found.members] == [
        (10, 11, 12, 13),
        (50, 51, 52, 53),
        (90, 91, 92, 93),
    ]


def test_no_edge_and_bad_size() -> None:
    none = np.zeros((0, 2), dtype=np.int64)
    assert disjoint_cliques(none, np.zeros(0), 2).members == ()
    with pytest.raises(ValueError, match="at least two"):
        disjoint_cliques(none, np.zeros(0), 1)
