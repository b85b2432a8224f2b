"""A look at 8 bits of every value: between its bounds lies the distance, whatever the values are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from medaudit.search import kernels
from medaudit.search.octets import Octets, pays

T, D = 3, 5  # tiles, values

real = st.floats(-1e6, 1e6, width=32)


def bounds(query: Octets, references: Octets, row: int) -> tuple[float, float]:
    return kernels._third_look(
        query.values, query.taken, 0, references.values, references.taken, references.unit, row
    )


@settings(max_examples=200, deadline=None)
@given(
    arrays.arrays(np.float32, (4, T, D), elements=real),
    arrays.arrays(np.float32, (1, 2, T, D), elements=real),
)
def test_the_distance_lies_between_its_bounds(references: np.ndarray, query: np.ndarray) -> None:
    octets = Octets.of(
        references, references[:2]
    )  # values beyond the sample are cut, and what was cut is counted
    asked = octets.like(query, np.arange(1))
    gap = query[0, None].astype(np.float64) - references[:, None]  # (4, 2, T, D)
    apart = np.sqrt(np.square(gap).sum(-1).max(-1).min(-1))
    for row in range(4):
        low, high = bounds(asked, octets, row)
        assert low <= apart[row] * (1 + 1e-12) and apart[row] <= high * (1 + 1e-12)


def test_pixels_of_8_bits_lose_nearly_nothing() -> None:
    rng = np.random.Generator(np.random.Philox(3))
    grey = rng.integers(0, 256, (6, T, 700), dtype=np.uint8)
    grey[0, 0, :2] = 0, 255
    references = (grey / 255).astype(np.float32)
    octets = Octets.of(references, references)
    assert np.array_equal(octets.values, grey)
    assert octets.taken.max() < 1e-5
    low, high = bounds(octets.like(references[None, :1], np.arange(1)), octets, 4)
    apart = np.sqrt(np.square(references[0].astype(np.float64) - references[4]).sum(-1).max())
    assert low == pytest.approx(apart, rel=1e-5) and high == pytest.approx(apart, rel=1e-5)


def test_many_values_do_not_run_over() -> None:
    black, white = np.zeros((1, 1, 70_000), dtype=np.float32), np.ones((1, 1, 70_000), dtype=np.float32)
    octets = Octets.of(white, np.concatenate([black, white]))
    low, high = bounds(octets.like(black[None], np.arange(1)), octets, 0)
    assert low == pytest.approx(np.sqrt(70_000)) and high == pytest.approx(np.sqrt(70_000))


def test_films_that_are_all_alike_have_a_unit() -> None:
    flat = np.full((3, T, D), 0.25, dtype=np.float32)
    octets = Octets.of(flat, flat)
    assert octets.unit > 0 and bounds(octets.like(flat[None, :1], np.arange(1)), octets, 2)[0] <= 0.0


def test_nothing_is_looked_at_where_vectors_are_short_or_there_are_none() -> None:
    assert pays(1, 4096) and not pays(1, 512) and not pays(16, 4096)
    nothing = Octets.nothing(T, D)
    assert len(nothing.values) == 0
    assert len(nothing.like(np.zeros((4, 2, T, D), dtype=np.float32), np.arange(3)).values) == 0
