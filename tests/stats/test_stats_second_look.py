"""Two looks, one promise: why a second look at the images that were not flagged keeps the false alarms within alpha.

The argument is in protocol/remainder; here its steps are simulated and counted out. Axes: N images, n of them clean.
"""

import itertools
import math

import numpy as np
import pytest

from medaudit.stats.budget import split_alpha
from medaudit.stats.cohort_test import leading_run
from medaudit.stats.flags import benjamini_hochberg, familywise

ALPHA, SPENT = 0.2, 0.1  # large, so that a broken promise shows


def flags(p: np.ndarray, alpha: float, detectors: int = 3) -> np.ndarray:
    """(E, N) p-values → (N,) flagged by any detector and rule; no cohort test, which gets next to nothing."""
    budget = split_alpha(alpha, 1e-9, detectors)
    each = [
        (benjamini_hochberg(row) <= budget.fdr_each) | familywise(row, row.size, budget.familywise_each)
        for row in p
    ]
    return np.any(each, axis=0)


@pytest.mark.parametrize(("clean", "copies", "strength"), [(40, 0, 0), (40, 13, 9), (25, 60, 5), (60, 30, 3)])
def test_a_clean_rest_is_refused_no_more_often_than_alpha(clean: int, copies: int, strength: float) -> None:
    rng = np.random.Generator(np.random.Philox(7))
    refused, trials, looked = 0, 1500, 0
    for _ in range(trials):
        p = rng.random((3, clean + copies))
        p[:, clean:] *= 10.0 ** -rng.uniform(0, strength, copies)
        first = flags(p, ALPHA)
        if copies == 0 and not first.any():
            continue
        rest = ~first
        looked += 1
        # Wrong when every image that is left is clean and some is flagged all the same.
        if rest.any() and not rest[clean:].any():
            refused += bool(flags(p[:, rest], ALPHA - SPENT).any())
    assert looked > 100
    assert refused / trials <= ALPHA + 3 * math.sqrt(ALPHA / trials)


def excess_p(nearest: np.ndarray, in_train: np.ndarray) -> float:
    """The excess test's p counted out over every choice of T."""
    weights = np.bincount(nearest, minlength=in_train.size)
    count = weights[in_train].sum()
    sets = itertools.combinations(range(in_train.size), int(in_train.sum()))
    return float(np.mean([weights[list(chosen)].sum() >= count for chosen in sets]))


def test_leaving_out_what_is_nearest_to_t_never_makes_the_cohort_test_reject() -> None:
    rng = np.random.Generator(np.random.Philox(8))
    compared = 0
    for _ in range(150):
        in_train = rng.permutation(np.arange(9) < 4)
        nearest = rng.integers(0, 9, 14)
        drop = (rng.random(14) < 0.4) & in_train[nearest]
        if drop.all() or not drop.any():
            continue
        compared += 1
        assert excess_p(nearest[~drop], in_train) >= excess_p(nearest, in_train) - 1e-12
        whole, rest = (leading_run(codes, in_train, 0.05) for codes in (nearest, nearest[~drop]))
        assert rest.p_value >= whole.p_value - 1e-12
    assert compared > 100


def test_a_flag_of_the_rest_at_half_of_alpha_is_a_flag_of_all_clean_images_at_alpha() -> None:
    """As long as at least half of them remain, whichever went."""
    rng = np.random.Generator(np.random.Philox(9))
    fired = 0
    for _ in range(4000):
        p = rng.random((3, 12)) ** 2.5
        rest = rng.permutation(12) < rng.integers(6, 12)
        if flags(p[:, rest], ALPHA - SPENT).any():
            fired += 1
            assert flags(p, ALPHA).any()
    assert fired > 200
