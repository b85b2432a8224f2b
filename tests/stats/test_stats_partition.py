"""Dividing patients: disjoint, complete, of the size asked for, whatever the spelling."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medaudit.seeds import generator
from medaudit.stats.partition import partition_patients

PEOPLE = st.lists(st.integers(0, 12), min_size=2, max_size=40).filter(lambda rows: len(set(rows)) >= 2)


@given(PEOPLE, st.integers(0, 9))
def test_halves_are_disjoint_and_complete(people: list[int], seed: int) -> None:
    patients = np.array([f"p{i}" for i in people], dtype=object)
    first, second = partition_patients(patients, generator(seed, "split"))
    in_first, in_second = set(patients[first]), set(patients[second])
    assert not in_first & in_second
    assert in_first | in_second == set(patients)
    assert sorted([*first, *second]) == list(range(len(patients)))
    assert abs(len(in_first) - len(in_second)) <= 1
    assert (np.diff(first) > 0).all() and (np.diff(second) > 0).all()


@given(PEOPLE, st.integers(0, 9))
def test_spelling_does_not_matter(people: list[int], seed: int) -> None:
    one = partition_patients(np.array([f"p{i}" for i in people], dtype=object), generator(seed, "split"))
    two = partition_patients(np.array([f"x{97 * i}" for i in people], dtype=object), generator(seed, "split"))
    assert np.array_equal(one[0], two[0]) and np.array_equal(one[1], two[1])


def test_numbers_asked_for() -> None:
    patients = np.array([f"p{i // 3}" for i in range(33)], dtype=object)  # 11 patients
    for first, second, sizes in ((2, 7, (2, 7)), (None, 3, (8, 3)), (4, None, (4, 7))):
        parts = partition_patients(patients, generator(1, "split"), first=first, second=second)
        assert tuple(len(set(patients[part])) for part in parts) == sizes
    parts = partition_patients(patients, generator(1, "split"), fraction=0.2)
    assert tuple(len(set(patients[part])) for part in parts) == (2, 9)


def test_seeds_differ_and_repeat() -> None:
    patients = np.array([f"p{i}" for i in range(40)], dtype=object)
    one, again, other = (partition_patients(patients, generator(seed, "split"))[0] for seed in (3, 3, 4))
    assert np.array_equal(one, again) and not np.array_equal(one, other)


def test_every_patient_is_drawn_about_equally_often() -> None:
    patients = np.array([f"p{i}" for i in range(7)], dtype=object)
    counts = np.zeros(7)
    for seed in range(700):
        counts[partition_patients(patients, generator(seed, "split"), first=3, second=4)[0]] += 1
    assert abs(counts - 300).max() < 60  # 4.6 standard deviations


@pytest.mark.parametrize(
    "options",
    [
        {"fraction": 0.0},
        {"fraction": 1.0},
        {"fraction": 0.01},
        {"first": 5, "second": 7},
        {"first": 11},
        {"second": 0},
    ],
)
def test_what_cannot_be_done(options: dict) -> None:
    with pytest.raises(ValueError, match=r"patient|fraction"):
        partition_patients(
            np.array([f"p{i}" for i in range(11)], dtype=object), generator(0, "split"), **options
        )
