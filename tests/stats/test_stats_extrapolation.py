"""The forecast of a leak curve: what it must equal at its ends, and that it predicts a simulated second half."""

import numpy as np
import pytest

from medaudit.stats.extrapolation import patients_after


def test_it_starts_where_the_curve_ends_and_approaches_the_total() -> None:
    found = patients_after(33, 2000, 0.0015, 36.2, np.array([0, 2000, 10**7]))
    assert found is not None
    assert found[0] == pytest.approx(33) and found[2] == pytest.approx(36.2, abs=1e-6)
    by_hand = 33 + 3.2 * (1 - (1 - 3 / (2000 * 3.2 + 3)) ** 2000)
    assert found[1] == pytest.approx(by_hand)


def test_it_predicts_what_a_second_half_brings() -> None:
    rng = np.random.Generator(np.random.Philox(4))
    errors = []
    for _ in range(40):
        weights = rng.gamma(0.8, size=120)
        drawn = rng.choice(120, 400, p=weights / weights.sum())
        first, counts = drawn[:200], np.bincount(drawn[:200], minlength=120)
        once, twice, seen = int((counts == 1).sum()), int((counts == 2).sum()), len(set(first))
        total = seen + once * (once - 1) / (2 * (twice + 1))
        expected = patients_after(seen, 200, once / 200, total, np.array([200]))
        assert expected is not None
        errors.append(float(expected[0]) - len(set(drawn)))
    assert abs(np.mean(errors)) < 3


@pytest.mark.parametrize("case", [(33, 2000, 0.0, 40.0), (33, 2000, 0.1, 33.0), (0, 0, 0.1, 5.0)])
def test_without_singles_or_unseen_patients_there_is_no_forecast(case: tuple[int, int, float, float]) -> None:
    assert patients_after(*case, np.array([10])) is None
