"""Reference: one row per patient, conformal p-values at their level, ratios and scores at their edges."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medaudit.seeds import generator
from medaudit.stats.reference import adaptive_ratio, conformal_p_values, copy_score, draw_one_per_patient


def test_one_row_per_patient_in_order_of_first_appearance():
    patients = np.array(["b", "a", "b", "c", "a", "b", "d"], dtype=object)
    rows = draw_one_per_patient(patients, generator(1, "draw"))
    assert rows.dtype == np.int64
    assert list(patients[rows]) == ["b", "a", "c", "d"]


def test_every_row_of_a_patient_is_drawn_equally_often():
    patients = np.array(["b", "a", "b", "b"], dtype=object)
    rng = generator(2, "draw")
    first = np.array([draw_one_per_patient(patients, rng)[0] for _ in range(3000)])
    assert np.bincount(first, minlength=4) / 3000 == pytest.approx([1 / 3, 0, 1 / 3, 1 / 3], abs=0.04)


@pytest.mark.parametrize("patients", [[], ["a", None], [1.0, float("nan")]])
def test_rows_without_a_patient_are_refused(patients):
    with pytest.raises(ValueError):
        draw_one_per_patient(np.array(patients, dtype=object), generator(0, "draw"))


@given(
    st.lists(st.integers(-3, 3).map(float) | st.just(np.inf), min_size=1, max_size=9),
    st.lists(st.integers(-3, 3).map(float) | st.just(np.inf), min_size=1, max_size=12),
)
def test_conformal_p_values_equal_the_count(scores, reference):
    p = conformal_p_values(np.array(scores), np.array(reference))
    expected = [(1 + sum(r >= s for r in reference)) / (len(reference) + 1) for s in scores]
    assert p == pytest.approx(expected)


def test_conformal_p_values_hold_their_level():
    rng = generator(5, "conformal")
    p = [conformal_p_values(rng.normal(size=1), rng.normal(size=39))[0] for _ in range(20_000)]
    assert np.mean(np.array(p) <= 0.05) == pytest.approx(0.05, abs=0.006)


def test_conformal_p_values_refuse_empty_and_nan():
    for scores, reference in (([], [1.0]), ([1.0], []), ([np.nan], [1.0]), ([1.0], [np.nan])):
        with pytest.raises(ValueError):
            conformal_p_values(np.array(scores), np.array(reference))


def test_adaptive_ratio_equals_its_formula():
    distances = np.sort(generator(6, "ratio").random((7, 5)), axis=1)
    expected = [row[0] / (0.5 * sum(row) / 5) for row in distances]
    assert adaptive_ratio(distances) == pytest.approx(expected)
    assert adaptive_ratio(distances, alpha=0.25) == pytest.approx([2 * value for value in expected])


def test_adaptive_ratio_knows_copies_and_unfilled_places():
    distances = np.array([[0, 0, 0.0], [0, 1, 2], [1, 3, np.inf], [1, 1, 1]])
    assert list(adaptive_ratio(distances)) == [0.0, 0.0, 1.0, 2.0]
    assert list(copy_score(adaptive_ratio(distances))) == pytest.approx([np.inf, np.inf, 0.0, -np.log(2)])


@pytest.mark.parametrize(
    "distances",
    [[[0.1]], np.empty((0, 3)), [[0.2, 0.1]], [[-1.0, 1.0]], [[np.nan, 1.0]], [[np.inf, np.inf]], [0.1, 0.2]],
)
def test_adaptive_ratio_refuses(distances):
    with pytest.raises(ValueError):
        adaptive_ratio(np.array(distances))


def test_copy_score_refuses_what_is_no_ratio():
    for ratio in (-0.1, np.nan):
        with pytest.raises(ValueError):
            copy_score(np.array([ratio]))
    assert copy_score(np.array([1.0, np.inf])).tolist() == [0.0, -np.inf]
    assert not np.signbit(copy_score(np.array([1.0]))[0])
