"""The plain definitions of likeness, against loops and known values."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medaudit.images import similarity

SMALL = settings(max_examples=40, deadline=None)


def pair(shape: tuple[int, int], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.random(shape).astype(np.float32), rng.random(shape).astype(np.float32)


def test_known_distances() -> None:
    a = np.zeros((2, 6))
    b = np.array([[0.0, 0.0, 0.0, 0.3, 0.0, 0.0], [0.0, 0.0, 0.0, 0.4, 0.0, 0.0]])
    assert similarity.rmse(a, b) == pytest.approx(np.sqrt(0.25 / 12))
    assert similarity.tile_distance(a, b, 2) == pytest.approx(0.4 / np.sqrt(3))  # rows of 1, columns of 3
    assert similarity.rmse(b, b) == 0.0 and similarity.tile_distance(b, b, 2) == 0.0


@SMALL
@given(
    shape=st.tuples(st.integers(4, 13), st.integers(4, 11)), tiles=st.integers(1, 4), seed=st.integers(0, 99)
)
def test_tiles_equal_the_loops(shape: tuple[int, int], tiles: int, seed: int) -> None:
    a, b = pair(shape, seed)

    def cuts(side: int) -> list[int]:
        small, more = divmod(side, tiles)
        return list(np.cumsum([0] + [small + (i < more) for i in range(tiles)]))

    rows, columns = cuts(shape[0]), cuts(shape[1])
    largest = 0.0
    for top, bottom in pairwise(rows):
        for left, right in pairwise(columns):
            largest = max(largest, similarity.rmse(a[top:bottom, left:right], b[top:bottom, left:right]))
    assert similarity.tile_distance(a, b, tiles) == pytest.approx(largest)
    assert similarity.tile_distance(a, b, 1) == pytest.approx(similarity.rmse(a, b))
    assert similarity.tile_distance(a, b, tiles) >= similarity.rmse(a, b) - 1e-12
    assert similarity.tile_distance(a, b, tiles) == similarity.tile_distance(b, a, tiles)


def test_one_float32_step_is_seen() -> None:
    a = np.full((8, 8), 0.7, dtype=np.float32)
    b = a.copy()
    b[3, 4] = np.nextafter(b[3, 4], np.float32(1))
    assert 0 < similarity.rmse(a, b) < 1e-7


def test_correlation_ignores_tone_and_sees_structure() -> None:
    a, b = pair((20, 17))
    assert similarity.local_contrast_correlation(a, a, 5) == pytest.approx(1.0)
    assert similarity.local_contrast_correlation(a, 0.1 + 0.4 * a, 5) == pytest.approx(1.0, abs=1e-6)
    assert similarity.local_contrast_correlation(a, 1.0 - a, 5) == pytest.approx(-1.0, abs=1e-6)
    assert abs(similarity.local_contrast_correlation(a, b, 5)) < 0.25


def test_a_flat_image_correlates_with_nothing() -> None:
    a, _ = pair((12, 9))
    assert similarity.local_contrast_correlation(a, np.full_like(a, 0.3), 5) == 0.0


def test_unequal_shapes_and_too_many_tiles_are_refused() -> None:
    a, b = pair((6, 4))
    for measure in (similarity.rmse, similarity.tile_distance):
        with pytest.raises(ValueError, match="one shape"):
            measure(a, b.T)
    with pytest.raises(ValueError, match="one shape"):
        similarity.local_contrast_correlation(a, b.T, 3)
    with pytest.raises(ValueError, match="pixel a tile"):
        similarity.tile_distance(a, b, 5)
