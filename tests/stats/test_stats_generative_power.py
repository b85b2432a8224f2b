"""Clear copies and power over patients. Axes: n images, k films, unequal."""

import numpy as np
import pytest

from medaudit.stats.controls import clear_copies, power_over_patients
from medaudit.stats.intervals import clopper_pearson


def test_clear_copies_against_a_twin() -> None:
    distance = np.random.default_rng(1).gamma(1.0, 1.0, (23, 4))
    film, ratio, clear = clear_copies(distance)
    for row, nearest, share, is_clear in zip(distance.tolist(), film, ratio, clear, strict=True):
        first, second = sorted(row)[:2]
        assert row.index(first) == nearest and share == first / second and is_clear == (first <= second / 3)
    assert 0 < clear.sum() < 23


def test_an_exact_copy_is_clear_and_one_of_two_equal_films_is_not() -> None:
    film, ratio, clear = clear_copies(np.array([[0.4, 0.0, 0.5], [0.0, 0.0, 0.5], [0.2, 0.7, 0.9]]))
    assert (
        film.tolist() == [1, 0, 0] and ratio[:2].tolist() == [0, 1] and clear.tolist() == [True, False, True]
    )
    with pytest.raises(ValueError, match="two films"):
        clear_copies(np.ones((3, 1)))


def test_the_interval_is_over_patients() -> None:
    patient = np.repeat([5, 2, 9, 7], [6, 1, 3, 2])
    whole = power_over_patients(np.ones(12, dtype=bool), patient)
    assert (whole.value, whole.low, whole.high) == (1, clopper_pearson(4, 4).low, 1)
    some = np.ones(12, dtype=bool)
    some[7:10] = False  # all of patient 9
    some[0] = False  # one of patient 5
    rate = power_over_patients(some, patient)
    assert (rate.count, rate.of, rate.value) == (8, 12, 8 / 12)
    assert (rate.low, rate.high) == (clopper_pearson(2, 4).low, clopper_pearson(3, 4).high)
    none = power_over_patients(np.zeros(12, dtype=bool), patient)
    assert (none.value, none.low, none.high) == (0, 0, clopper_pearson(0, 4).high)


def test_the_interval_covers_when_a_patients_copies_stand_or_fall_together() -> None:
    """Nine patients with eight copies each, all found or none; an interval over images would miss far more often."""
    rng, truth = np.random.default_rng(4), 0.8
    patient = np.repeat(np.arange(9), 8)
    outside = {"patients": 0, "images": 0}
    for _ in range(400):
        found = (rng.random(9) < truth)[patient]
        for name, rate in (
            ("patients", power_over_patients(found, patient)),
            ("images", clopper_pearson(int(found.sum()), 72)),
        ):
            outside[name] += not rate.low <= truth <= rate.high
    assert outside["patients"] <= 0.05 * 400 < outside["images"]


@pytest.mark.parametrize(
    "found", [np.zeros(0, dtype=bool), np.ones(3), np.ones((3, 1), dtype=bool), np.ones(4, dtype=bool)]
)
def test_what_is_no_answer(found: np.ndarray) -> None:
    with pytest.raises(ValueError, match="one-dimensional"):
        power_over_patients(found, np.arange(3) if found.size else np.zeros(0))
