"""From distances to statements about images. Axes: M rows, N images, K neighbours, E detectors; all unequal."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from medaudit.stats.flags import benjamini_hochberg
from medaudit.stats.matching import (
    copy_scores,
    excess_line,
    lone_flags,
    match_radius,
    nearest_people,
    patient_codes,
    plant_rows,
    promised_false_alarms,
    right_and_flagged,
    rows_of_speakers,
    union,
    usable_neighbours,
)

IDS = st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1, max_size=15)


def generator(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(seed))


@given(IDS)
def test_patient_codes_by_first_appearance(ids: list[str | None]) -> None:
    codes = patient_codes(np.array(ids, dtype=object))
    for i, left in enumerate(ids):
        for j, right in enumerate(ids):
            assert (codes[i] == codes[j]) == (i == j or (left is not None and left == right))
    _, first = np.unique(codes, return_index=True)
    assert codes.dtype == np.int64 and (np.diff(codes[np.sort(first)]) == 1).all() and codes[0] == 0


def test_an_id_that_looks_like_a_row_is_not_one() -> None:
    assert patient_codes(np.array([0, None, 1, None], dtype=object)).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("asked", "sizes", "k", "usable"),
    [
        (50, [1] * 400, 50, True),
        (50, [1] * 50, 12, True),
        (50, [1] * 3, 2, True),  # three patients: two are left
        (50, [1, 1], 2, False),  # one is left: its ratio is the same for everyone
        (50, [8], 3, False),  # one patient only
        (50, [60, 4], 4, True),  # four images are left when the large patient is
        (1, [1] * 40, 2, True),  # a ratio needs two
    ],
)
def test_usable_neighbours(asked: int, sizes: list[int], k: int, usable: bool) -> None:
    groups = np.repeat(np.arange(len(sizes)), sizes)
    assert usable_neighbours(asked, groups) == (k, usable)


@given(st.integers(1, 60), st.lists(st.integers(1, 9), min_size=1, max_size=12))
def test_every_search_can_fill_its_neighbours(asked: int, sizes: list[int]) -> None:
    groups = np.repeat(np.arange(len(sizes)), sizes)
    if groups.size < 2:
        with pytest.raises(ValueError, match="two training images"):
            usable_neighbours(asked, groups)
        return
    k, usable = usable_neighbours(asked, groups)
    assert 2 <= k <= groups.size
    assert k <= groups.size - max(sizes) or not usable


def test_copy_scores_by_hand() -> None:
    distances = np.array([[0.1, 0.3, 0.5], [0.0, 0.2, 0.4], [0.0, 0.0, 0.0], [0.2, 0.4, np.inf]])
    score, runner_up = copy_scores(distances, np.array([0.3, 0.2, 0.0, np.inf]))
    assert score[0] == pytest.approx(-np.log(0.1 / (0.5 * 0.3)))
    assert runner_up[0] == pytest.approx(-np.log(0.3 / (0.5 * 0.3)))
    assert score[1] == np.inf and runner_up[1] == pytest.approx(-np.log(0.2 / (0.5 * 0.2)))
    assert score[2] == runner_up[2] == np.inf
    assert score[3] == pytest.approx(-np.log(0.2 / (0.5 * 0.3))) and runner_up[3] == -np.inf


@given(
    arrays(np.float64, (5, 3), elements=st.floats(0.001, 9)), arrays(np.float64, 5, elements=st.floats(0, 9))
)
def test_a_runner_up_never_scores_above_the_match(distances: np.ndarray, further: np.ndarray) -> None:
    distances = np.sort(distances, axis=1)
    score, runner_up = copy_scores(distances, distances[:, 0] + further)
    assert (runner_up <= score).all()


@given(st.integers(1, 60), st.integers(1, 500))
def test_a_lone_flag_is_what_benjamini_hochberg_says_of_one_copy(count: int, people: int) -> None:
    p = np.ones(count)
    p[-1] = 1 / (people + 1)
    flagged = benjamini_hochberg(p) <= 0.02
    assert lone_flags(p[-1:], None, count, 0.01, 0.02)[0] == flagged[-1]


def test_a_lone_flag_by_either_rule() -> None:
    p, upper = np.array([0.5, 0.0001, 0.5]), np.array([0.0001, 0.5, 0.5])
    assert lone_flags(p, upper, 10, 0.01, 0.01).tolist() == [True, True, False]
    assert lone_flags(p, None, 10, 0.01, 0.01).tolist() == [False, True, False]


@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=14),
    st.integers(1, 16),
    st.integers(0, 999),
    st.sets(st.integers(0, 4)),
)
def test_plants_come_from_each_patient_in_turn(
    codes: list[int], count: int, seed: int, avoid: set[int]
) -> None:
    groups = np.array(codes)
    rows = plant_rows(groups, np.array(sorted(avoid)), count, generator(seed))
    allowed = [row for row, code in enumerate(codes) if code not in avoid] or list(range(len(codes)))
    assert len(rows) == min(count, len(allowed)) and len(set(rows.tolist())) == len(rows)
    assert set(rows.tolist()) <= set(allowed)
    taken = {code: int((groups[rows] == code).sum()) for code in set(groups[allowed].tolist())}
    for code, number in taken.items():
        left = int((groups[allowed] == code).sum()) - number
        assert left == 0 or all(number >= other - 1 for other in taken.values())


def test_plants_come_from_every_patient_equally_often() -> None:
    """Not more often from whoever has many images: 11 patients, of whom one has 40."""
    groups = np.repeat(np.arange(11), [40, *[1] * 7, 3, 3, 3])
    drawn = np.zeros(11)
    images = np.zeros(40)
    for seed in range(3000):
        rows = plant_rows(groups, np.zeros(0, dtype=np.int64), 4, generator(seed))
        drawn[groups[rows]] += 1
        images[rows[groups[rows] == 0]] += 1
    assert drawn / 3000 == pytest.approx(np.full(11, 4 / 11), abs=0.04)
    assert images.max() < 3 * images.mean()  # and every image of a patient


def test_found_means_flagged_and_the_right_patient() -> None:
    found = right_and_flagged(np.array([1, 2, 3]), np.array([1, 2, 9]), np.array([True, False, True]))
    assert found.tolist() == [True, False, False]


def test_promise() -> None:
    assert promised_false_alarms(100, 0.01, 0.02, 3) == pytest.approx(3 * (0.0001 + 0.02))
    assert promised_false_alarms(1, 0.4, 0.4, 3) == 1
    with pytest.raises(ValueError, match="at least 1"):
        promised_false_alarms(0, 0.01, 0.01, 1)


def test_the_detector_that_speaks() -> None:
    flags = [np.array([False, True, False, False]), np.array([True, True, False, False])]
    upper = [np.array([0.0, 0.2, 0.5, 0.5]), np.array([0.9, 0.1, 0.5, 0.5])]
    p = [np.array([0.1, 0.1, 0.3, 0.2]), np.array([0.1, 0.1, 0.2, 0.2])]
    assert rows_of_speakers(flags, upper, p).tolist() == [4 + 0, 4 + 1, 4 + 2, 0 + 3]
    assert union(flags).tolist() == [True, True, False, False]


@given(arrays(np.float64, st.integers(1, 300), elements=st.floats(0, 9)))
def test_lines_let_no_more_through_than_they_say(values: np.ndarray) -> None:
    assert np.mean(values > excess_line(values)) <= 0.05 + 1e-9
    radius = match_radius(values)
    assert radius in values and np.mean(values < radius) <= 0.01 + 1e-9


def test_nearest_people() -> None:
    person, in_train, order = nearest_people(
        np.array([0.3, 0.2, 0.5, 0.0]),
        np.array([1, 0, 1, 2]),
        np.array([0.4, 0.2, 0.1, 0.0]),
        np.array([0, 1, 1, 0]),
        3,
        2,
    )
    assert person.tolist() == [1, 4, 4, 3]  # a tie counts for H
    assert in_train.tolist() == [True, True, True, False, False]
    assert order.tolist() == [3, 2, 1, 0]
