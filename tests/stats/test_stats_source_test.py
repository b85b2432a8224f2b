"""T and H of one source or of two: the permutation test's size, its power, a brute-force twin, and real films.

Axes: P patients, F features, B draws.
"""

import itertools
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm, rankdata

from medaudit import seeds
from medaudit.images.acquisition import acquisition
from medaudit.images.transforms import blur, gamma
from medaudit.stats.reference import draw_one_per_patient
from medaudit.stats.source_test import SOURCE_LEVEL, source_test


def halves(count: int, inside: int, rng: np.random.Generator) -> np.ndarray:
    return rng.permutation(np.arange(count) < inside)


def test_the_p_value_against_all_relabellings() -> None:
    """7 patients, 3 of them in T, F = 2: 35 sets, each as likely."""
    rng = seeds.generator(1, "twin")
    features = rng.standard_normal((7, 2))
    in_train = np.array([True, False, True, False, False, True, False])
    scores = norm.ppf(rankdata(features, axis=0) / 8)
    columns = np.concatenate([scores, scores**2], axis=1)
    columns = (columns - columns.mean(axis=0)) / np.where(columns.std(axis=0) > 0, columns.std(axis=0), 1)

    def statistic(chosen: list[int]) -> float:
        others = [row for row in range(7) if row not in chosen]
        return float(np.abs(columns[chosen].mean(axis=0) - columns[others].mean(axis=0)).max())

    seen = statistic([0, 2, 5])
    share = np.mean([statistic(list(c)) >= seen - 1e-9 for c in itertools.combinations(range(7), 3)])
    found = source_test(features, in_train, draws=20_000, rng=rng)
    assert found.p_value == pytest.approx(share, abs=0.015)


@pytest.mark.parametrize(("patients", "inside"), [(31, 9), (120, 70)])
def test_halves_of_one_source_are_told_apart_no_more_often_than_promised(patients: int, inside: int) -> None:
    """Skewed, tied and correlated features; 400 splits at three levels."""
    rng = seeds.generator(2, "size", patients)
    p = []
    for _ in range(400):
        features = rng.exponential(size=(patients, 5))
        features[:, 1] = np.round(features[:, 0])
        p.append(source_test(features, halves(patients, inside, rng), draws=199, rng=rng).p_value)
    for level in (0.01, 0.05, 0.2):
        assert np.mean(np.array(p) <= level) <= level + 3 * np.sqrt(level * (1 - level) / 400)


@pytest.mark.parametrize("what", ["place", "width"])
def test_a_feature_that_differs_is_named(what: str) -> None:
    rng = seeds.generator(3, what)
    features, in_train = rng.standard_normal((90, 5)), halves(90, 40, rng)
    features[in_train, 3] = features[in_train, 3] * (4 if what == "width" else 1) + (what == "place") * 1.5
    found = source_test(features, in_train, draws=1999, rng=rng)
    assert found.rejects and found.feature == 3 and found.p_value <= SOURCE_LEVEL
    if what == "place":
        assert 0.5 < found.difference < 1.7
        assert source_test(features, ~in_train, draws=1999, rng=rng).difference == pytest.approx(
            -found.difference
        )


def test_what_cannot_be_compared() -> None:
    rng = seeds.generator(4)
    features = np.zeros((6, 2))
    constant = source_test(features, np.arange(6) < 2, draws=50, rng=rng)
    assert constant.p_value == 1 and constant.difference == 0
    for bad, chosen in (
        (features, np.ones(6, dtype=bool)),
        (features, np.zeros(6, dtype=bool)),
        (features, np.arange(5) < 2),
        (features + np.nan, np.arange(6) < 2),
    ):
        with pytest.raises(ValueError):
            source_test(bad, chosen, draws=50, rng=rng)
    with pytest.raises(ValueError):
        source_test(features, np.arange(6) < 2, draws=0, rng=rng)


def rejected(own: np.ndarray, other: np.ndarray, patient: np.ndarray, people: int, splits: int) -> float:
    """Share of random splits of `people` a side rejected when the held-out side has the rows of `other`."""
    hits = 0
    for split in range(splits):
        rng = seeds.generator(split, "split", people)
        rows = draw_one_per_patient(patient, rng)
        rows = rng.permutation(rows)[: 2 * people]
        in_train = np.arange(len(rows)) < people
        features = np.where(in_train[:, None], own[rows], other[rows])
        hits += source_test(features, in_train, draws=1999, rng=rng).rejects
    return hits / splits


@pytest.mark.real
def test_real_films_size_and_power(real_data: Path) -> None:
    """Children's films at 28 px: halves of one source; then one half blurred by half a pixel, or gamma 0.9."""
    with np.load(real_data / "pneumoniamnist" / "pneumoniamnist_dev.npz", allow_pickle=False) as archive:
        images, names = archive["images"].astype(np.float32) / 255, archive["patient_id"]
    patient = np.unique(names, return_inverse=True)[1].astype(np.int64)
    own = acquisition(images)
    assert rejected(own, own, patient, 300, 200) <= 0.01
    assert rejected(own, acquisition(np.stack([blur(i, 0.5) for i in images])), patient, 60, 10) == 1
    assert rejected(own, acquisition(np.stack([gamma(i, 0.9) for i in images])), patient, 900, 10) >= 0.9
