"""Density, coverage and distances against plain twins; what each planted fault is called.

Axes as in the code, all unequal: G=14 images, P=31 people, D=3.
"""

import numpy as np
import pytest

from medaudit.stats import usefulness
from medaudit.stats.utility import (
    FEWEST,
    Described,
    Figures,
    Twin,
    density_coverage,
    figures,
    grey_distance,
    neighbourhoods,
    power_factors,
    squared_distances,
)

FINE = np.array([False, False, True])


def rng(seed: int = 3) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(seed))


def described(count: int, seed: int, labels: int = 0, shift: float = 0.0) -> Described:
    r = rng(seed)
    grey = r.dirichlet(np.ones(8), count)
    power = r.normal(0, 0.1, (count, 3))
    return Described(r.normal(shift, 1, (count, 3)), grey, power, r.random((count, labels)) < 0.5)


def test_density_and_coverage_are_those_of_a_plain_count() -> None:
    films, images, k = rng(1).normal(size=(11, 5)), rng(2).normal(size=(7, 5)), 3
    radius = neighbourhoods(squared_distances(films, films), k)
    inside = [
        [
            np.linalg.norm(image - film)
            <= sorted(np.linalg.norm(film - other) for other in films)[k]  # place 0 is the film itself
            for film in films
        ]
        for image in images
    ]
    density, coverage = density_coverage(squared_distances(images, films), radius, k)
    assert 0 < coverage < 1
    assert density == pytest.approx(sum(map(sum, inside)) / (k * 7))
    assert coverage == pytest.approx(sum(map(any, zip(*inside, strict=True))) / 11)


def test_a_copy_of_the_very_film_that_draws_a_radius_is_inside_it() -> None:
    films = rng(4).normal(size=(9, 200))
    radius = neighbourhoods(squared_distances(films, films), 2)
    inside = squared_distances(films.copy(), films)
    assert density_coverage(inside, radius, 2) == (pytest.approx(1.5), 1.0)  # itself and its two nearest


def test_grey_distance_is_the_mass_times_the_way() -> None:
    left, right = np.zeros(8), np.zeros(8)
    left[1], right[5] = 1, 1
    assert grey_distance(left, right) == pytest.approx(4 / 8)
    assert grey_distance(left, left) == 0


def test_power_factors() -> None:
    assert power_factors(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0]), FINE) == (1.0, 1.0)
    spectrum, detail = power_factors(np.array([0.0, np.nan, -1.0]), np.array([0.0, np.nan, 1.0]), FINE)
    assert spectrum == pytest.approx(10**2**0.5) and detail == pytest.approx(0.01)


def test_people_against_people_reach_what_people_reach() -> None:
    inside = 0
    for seed in range(20):
        found = figures(
            described(20, seed, 2), described(41, 1000 + seed, 2), FINE, halvings=60, rng=rng(seed)
        )
        assert found is not None and found.labels is not None and found.each == 20
        assert found.density.real == pytest.approx(1, abs=0.25)
        inside += found.coverage.low <= found.coverage.real <= found.coverage.high
        assert usefulness.findings(found) in ((), ("labels",))
    assert inside >= 18


def test_every_image_is_drawn_and_no_person_meets_itself() -> None:
    images, people = described(14, 1), described(31, 2)
    found = figures(images, people, FINE, halvings=80, rng=rng())
    assert found is not None and found.each == 14 and found.labels is None
    twice = figures(images, people, FINE, halvings=80, rng=rng())
    assert found == twice
    pairs = Described(np.repeat(people.places, 1, axis=0), people.grey, people.power, people.labels)
    again = figures(pairs, people, FINE, halvings=80, rng=rng())  # images that are the films themselves
    assert again is not None and again.density.value > again.density.real


def test_with_too_few_nothing_is_said() -> None:
    assert figures(described(FEWEST - 1, 1), described(50, 2), FINE, halvings=5, rng=rng()) is None
    assert figures(described(50, 1), described(2 * FEWEST - 1, 2), FINE, halvings=5, rng=rng()) is None
    assert figures(described(FEWEST, 1), described(2 * FEWEST, 2), FINE, halvings=5, rng=rng()) is not None


def twin(value: float, real: float, width: float = 0.1) -> Twin:
    return Twin(value, value * (1 - width), value * (1 + width), real, real * (1 - width), real * (1 + width))


GOOD = {
    "density": twin(1, 1), "coverage": twin(0.95, 0.96), "grey": twin(0.01, 0.01), "spectrum": twin(1.1, 1.05),
    "detail": twin(1, 1), "labels": twin(0.02, 0.03),
}  # fmt: skip
FAULTS = {
    "noise": {"density": twin(0.01, 1), "detail": twin(40, 1), "coverage": twin(0.01, 0.96)},
    "unlike": {"density": twin(0.1, 1), "coverage": twin(0.05, 0.96)},
    "partly unlike": {"density": twin(0.6, 1)},
    "blurred": {"detail": twin(0.1, 1), "density": twin(4, 1)},
    "grainy": {"detail": twin(3, 1)},
    "collapsed": {"coverage": twin(0.2, 0.96)},
    "narrow": {"coverage": twin(0.6, 0.96)},
    "average": {"density": twin(4, 1)},
    "brightness": {"grey": twin(0.2, 0.01)},
    "labels": {"labels": twin(0.3, 0.03)},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_has_its_sentence_and_no_other(fault: str) -> None:
    found = Figures(20, **{**GOOD, **FAULTS[fault]})
    assert usefulness.findings(found) == (fault,)
    (sentence,) = usefulness.sentences(found)
    assert sentence != usefulness.sentences(Figures(20, **GOOD))[0] and "{" not in sentence


def test_an_interval_that_reaches_the_line_is_no_fault() -> None:
    wide = {name: twin(one.value, one.real, 2.5) for name, one in GOOD.items()}
    for fault, changes in FAULTS.items():
        unsure = {name: twin(one.value, one.real, 60) for name, one in changes.items()}
        assert fault not in usefulness.findings(Figures(20, **{**wide, **unsure}))
    assert usefulness.findings(Figures(20, **GOOD)) == ()
    assert set(FAULTS) == set(usefulness._WORDS)
