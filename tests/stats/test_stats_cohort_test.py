"""Cohort tests: exact twins by enumeration, level under shared patients, and the printed smallest runs."""

import itertools
import math
import time

import numpy as np
import pytest

from medaudit.seeds import generator
from medaudit.stats.cohort_test import excess_copy_rate, excess_test, leading_run, smallest_detectable_run


def every_split(patients: int, n_train: int):
    """All ways to call n_train of the patients training, as (P,) bool."""
    for chosen in itertools.combinations(range(patients), n_train):
        in_train = np.zeros(patients, dtype=bool)
        in_train[list(chosen)] = True
        yield in_train


@pytest.mark.parametrize(("n_train", "seed"), [(3, 1), (5, 2), (6, 3)])
def test_excess_p_equals_enumeration(n_train, seed):
    rng = generator(seed, "excess")
    nearest = rng.integers(0, 9, 14)
    in_train = np.isin(np.arange(9), rng.permutation(9)[:n_train])
    observed = in_train[nearest].sum()
    splits = [split[nearest].sum() for split in every_split(9, n_train)]
    excess = excess_test(nearest, in_train, draws=20_000, rng=rng)
    assert (excess.count, excess.of) == (observed, 14)
    assert excess.expected == pytest.approx(np.mean(splits))
    assert excess.p_value == pytest.approx(np.mean(np.array(splits) >= observed), abs=0.012)


def test_excess_holds_its_level_when_images_share_a_few_patients():
    rng = generator(4, "level")
    p = []
    for _ in range(2000):
        popular = rng.choice(40, 5, replace=False)
        nearest = rng.choice(popular, 60)  # 60 images, 5 patients: a binomial would reject nearly always
        in_train = np.isin(np.arange(40), rng.permutation(40)[:20])
        p.append(excess_test(nearest, in_train, draws=199, rng=rng).p_value)
    assert np.mean(np.array(p) <= 0.05) <= 0.065


def test_excess_finds_a_memorizing_model_and_never_reports_zero():
    in_train = np.arange(100) < 50
    nearest = np.arange(60) % 50  # every image lies at a training patient
    excess = excess_test(nearest, in_train, draws=999, rng=generator(5, "excess"))
    assert (excess.count, excess.expected, excess.p_value) == (60, 30.0, 1 / 1000)


def test_excess_is_the_same_for_permuted_images():
    rng = generator(6, "excess")
    nearest, in_train = rng.integers(0, 30, 50), rng.random(30) < 0.4
    one = excess_test(nearest, in_train, draws=500, rng=generator(7, "draws"))
    two = excess_test(rng.permutation(nearest), in_train, draws=500, rng=generator(7, "draws"))
    assert one == two


def test_excess_draws_ten_thousand_in_a_second():
    rng = generator(8, "speed")
    nearest, in_train = rng.integers(0, 1400, 5000), np.arange(1400) < 700
    start = time.perf_counter()
    excess_test(nearest, in_train, draws=10_000, rng=rng)
    assert time.perf_counter() - start < 5  # measured 0.01 s; the margin is for a busy machine


def test_leading_run_equals_enumeration():
    nearest = np.array([2, 2, 4, 0, 5, 1, 2])
    in_train = np.array([True, False, True, False, True, False, True, True])
    run = leading_run(nearest, in_train, 0.05)
    assert (run.length, run.patients) == (4, 3)  # images at 2, 2, 4, 0; then 5 is held out

    def length(split):
        return next((i for i, patient in enumerate(nearest) if not split[patient]), nearest.size)

    splits = [length(split) >= run.length for split in every_split(8, 5)]
    assert run.p_value == pytest.approx(np.mean(splits))


def test_leading_run_of_nothing_and_of_everything():
    in_train = np.array([True, True, False])
    assert leading_run(np.array([2, 0]), in_train, 0.05).p_value == 1.0
    everything = leading_run(np.array([0, 1, 0]), in_train, 0.5)
    assert (everything.length, everything.patients) == (3, 2)
    assert everything.p_value == pytest.approx(1 / 3)


@pytest.mark.parametrize(("share", "expected"), [(1.0, 5), (0.2, 17), (0.1, 32)])
def test_smallest_detectable_run_in_the_limit(share, expected):
    n_train = 1_000_000
    assert smallest_detectable_run(n_train, int(share * n_train), 0.05) == expected
    assert math.ceil(math.log(0.05) / math.log(1 / (1 + share))) >= expected - 1


def test_smallest_detectable_run_in_small_cohorts():
    assert smallest_detectable_run(2, 2, 0.05) is None  # both of T: 1 / 6
    assert smallest_detectable_run(3, 3, 0.05) == 3  # 1 / 20
    assert leading_run(np.array([0, 1]), np.arange(6) < 3, 0.05).smallest_detectable is None  # two images


@pytest.mark.parametrize(
    ("nearest", "in_train"),
    [
        ([], [True, False]),
        ([2], [True, False]),
        ([-1], [True, False]),
        ([0], [True, True]),
        ([0.5], [True, False]),
    ],
)
def test_cohort_tests_refuse(nearest, in_train):
    nearest = np.array(nearest, dtype=np.int64 if not nearest else None)
    with pytest.raises(ValueError):
        excess_test(nearest, np.array(in_train), draws=10, rng=generator(0, "x"))
    with pytest.raises(ValueError):
        leading_run(nearest, np.array(in_train), 0.05)


def test_excess_copy_rate_equals_its_formula_and_covers():
    rng = generator(9, "rate")
    covered = []
    for _ in range(200):
        clusters = np.repeat(np.arange(80), 4)
        copied = rng.random(80) < 0.3  # patients that the model copies
        generated = np.where(copied[clusters], True, rng.random(320) < 0.1)
        reference = rng.random(150) < 0.1
        rate = excess_copy_rate(generated, clusters, reference, replicates=300, rng=rng)
        expected = (generated.mean() - reference.mean()) / (1 - reference.mean())
        assert rate.value == pytest.approx(max(0, expected))
        covered.append(rate.low <= 0.3 <= rate.high)
    assert np.mean(covered) >= 0.9


def test_excess_copy_rate_keeps_doubt_when_nothing_is_beyond():
    rng = generator(10, "rate")
    none, people = np.zeros(200, dtype=bool), np.zeros(100, dtype=bool)
    few = excess_copy_rate(none, np.arange(200) % 8, people, replicates=200, rng=rng)
    many = excess_copy_rate(none, np.arange(200), people, replicates=200, rng=rng)
    assert few.value == few.low == many.low == 0
    assert few.high > 0.3 > 0.03 > many.high > 0  # 8 patients say little, 200 say more
    assert excess_copy_rate(none, np.arange(200), ~people, replicates=200, rng=rng) is None


def test_excess_copy_rate_is_not_negative():
    rng = generator(11, "rate")
    reference = np.arange(50) < 25
    rate = excess_copy_rate(np.arange(40) < 4, np.arange(40), reference, replicates=200, rng=rng)
    assert (rate.value, rate.low) == (0.0, 0.0)
