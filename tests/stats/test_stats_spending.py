"""Alpha over releases: whatever the number of audits, what is spent stays below alpha."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medaudit.stats.spending import MOST_DRAWS, draws_needed, share


@given(st.floats(1e-6, 0.5), st.integers(1, 3000))
def test_any_number_of_audits_spends_less_than_alpha(alpha: float, audits: int) -> None:
    spent = sum(Fraction(share(alpha, number)) for number in range(1, audits + 1))
    assert spent < Fraction(alpha)
    assert float(spent) == pytest.approx(alpha * audits / (audits + 1), rel=1e-9)


def test_each_takes_a_stated_part_of_what_is_left() -> None:
    left = 0.05
    for number in range(1, 40):
        assert share(0.05, number) == pytest.approx(left / (number + 1))
        left -= share(0.05, number)
    assert [round(share(0.05, number), 5) for number in (1, 2, 3)] == [0.025, 0.00833, 0.00417]


def test_audits_are_counted_from_one() -> None:
    with pytest.raises(ValueError, match="counted from 1"):
        share(0.05, 0)


@pytest.mark.parametrize("number", [1, 2, 8, 20])
def test_the_cohort_test_can_reject_at_its_part(number: int) -> None:
    alpha = share(0.05, number)
    draws = draws_needed(alpha, 0.4)
    assert draws is not None and 1 / (draws + 1) < alpha * 0.2 / 9


def test_too_little_is_left_to_test_with() -> None:
    numbers = [number for number in range(1, 60) if draws_needed(share(0.05, number), 0.4) is None]
    assert numbers == list(range(32, 60))
    assert draws_needed(share(0.05, 31), 0.4) <= MOST_DRAWS  # type: ignore[operator]
