"""Placement of unseen people: uniform where they are like the reference, seen where they are not."""

import numpy as np
import pytest
from scipy.stats import betabinom

from medaudit.stats.placement import placement, ranks


def draw(seed: int, count: int, shift: float = 0.0) -> np.ndarray:
    return np.random.Generator(np.random.Philox(seed)).standard_normal(count) + shift


def test_ranks_by_hand() -> None:
    reference = np.array([1.0, 2.0, 3.0, 4.0])
    assert ranks(np.array([5.0, 4.0, 2.5, 0.0]), reference) == pytest.approx([1 / 5, 2 / 5, 3 / 5, 1.0])


def test_people_alike_stay_inside_and_others_do_not() -> None:
    outside = 0
    points = 0
    for seed in range(60):
        found = placement(draw(3 * seed, 90), draw(3 * seed + 1, 70), draw(3 * seed + 2, 130))
        assert found is not None and len(found.expected) == 8
        assert (found.low <= found.high).all() and (np.diff(found.unseen) >= 0).all()
        outside += found.outside
        points += len(found.expected)
    assert 0 < outside / points < 0.08  # 5 % is promised, and the counts are discrete
    shifted = placement(draw(1, 90, shift=0.8), draw(2, 70), draw(3, 130))
    assert shifted is not None and shifted.outside >= 5


def test_the_interval_is_that_of_simulated_ranks() -> None:
    found = placement(draw(1, 60), draw(2, 40), draw(3, 110))
    assert found is not None
    place = round(found.expected[2] * 61)
    made = [np.sort(ranks(draw(500 + s, 60), draw(9000 + s, 110)))[place - 1] for s in range(2000)]
    assert np.mean((found.low[2] <= made) & (made <= found.high[2])) == pytest.approx(0.96, abs=0.02)
    assert betabinom(110, place, 61 - place).mean() == pytest.approx(110 * place / 61)


def test_too_few_people_are_not_placed() -> None:
    assert placement(draw(1, 29), draw(2, 40), draw(3, 110)) is None
    assert placement(draw(1, 60), draw(2, 19), draw(3, 110)) is None
    assert placement(draw(1, 60), draw(2, 40), draw(3, 19)) is None
