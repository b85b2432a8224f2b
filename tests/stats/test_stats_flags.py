"""Flag rules: Benjamini-Hochberg against scipy, what each rule can see, and the negative control."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from medaudit.seeds import generator
from medaudit.stats.flags import (
    benjamini_hochberg,
    cross_fit_flags,
    expected_suspects,
    familywise,
    fdr_needs,
    score_line,
    suspects,
)
from medaudit.stats.reference import conformal_p_values


@given(st.lists(st.floats(0, 1) | st.sampled_from([0.01, 0.02, 1.0]), min_size=1, max_size=40))
def test_benjamini_hochberg_equals_scipy(p):
    q = benjamini_hochberg(np.array(p))
    assert q == pytest.approx(false_discovery_control(p), rel=1e-12, abs=0)


def test_benjamini_hochberg_of_permuted_p_values_is_permuted():
    rng = generator(1, "bh")
    p, order = rng.random(31), rng.permutation(31)
    assert (benjamini_hochberg(p[order]) == benjamini_hochberg(p)[order]).all()


@pytest.mark.parametrize("p", [[], [0.5, 1.1], [-0.1], [np.nan], [[0.5]]])
def test_benjamini_hochberg_refuses(p):
    with pytest.raises(ValueError):
        benjamini_hochberg(np.array(p))


def test_familywise_is_bonferroni_over_the_release():
    assert familywise(np.array([0.0, 0.00005, 0.0001, 1.0]), 100, 0.005).tolist() == [
        True,
        True,
        False,
        False,
    ]
    for p, count, alpha in (([], 1, 0.1), ([0.1], 0, 0.1), ([0.1], 1, 0.0)):
        with pytest.raises(ValueError):
            familywise(np.array(p), count, alpha)
    with pytest.raises(ValueError):
        score_line(None, 0, 0.1)


def test_suspects_lie_beyond_everyone():
    reference = np.array([0.1, 0.7, 0.7, -2.0])
    assert suspects(np.array([0.7, 0.71, np.inf, 0.0]), reference).tolist() == [False, True, True, False]
    assert not suspects(np.array([np.inf]), np.array([0.0, np.inf]))[0]  # an unseen person is as close
    with pytest.raises(ValueError):
        suspects(np.array([1.0]), np.zeros(0))


def test_expected_suspects_is_what_chance_gives():
    rng = generator(2, "suspects")
    number = [suspects(rng.normal(size=50), rng.normal(size=99)).sum() for _ in range(4000)]
    assert np.mean(number) == pytest.approx(expected_suspects(50, 99), abs=0.05)
    assert expected_suspects(50, 99) == 0.5


def test_fdr_needs_the_number_of_the_page():
    assert fdr_needs(500, 1400, 0.05) == 8  # STATISTICS 4: 500 images, 700 + 700 patients; "about 7"
    assert fdr_needs(48, 1400, 0.05) == 1
    assert fdr_needs(256, 130, 0.005) == 391  # more than there are images: it can see none


@given(st.integers(1, 300), st.integers(1, 500), st.sampled_from([0.005, 0.01, 0.05, 0.1]))
def test_fdr_needs_is_when_benjamini_hochberg_begins_to_see(n, reference_size, q):
    needed = fdr_needs(n, reference_size, q)
    reference = np.zeros(reference_size)

    def seen(copies):
        scores = np.where(np.arange(n) < copies, 1.0, -1.0)
        return (benjamini_hochberg(conformal_p_values(scores, reference)) <= q).sum()

    assert seen(needed) >= needed if needed <= n else seen(n) == 0
    if needed > 1:
        assert seen(min(needed - 1, n)) == 0


def test_benjamini_hochberg_on_a_shared_reference_holds_its_rate():
    """Conformal p-values of one reference depend on each other; the chance of any flag stays at q."""
    rng = generator(3, "prds")
    any_flag = []
    for _ in range(3000):
        p = conformal_p_values(rng.normal(size=30), rng.normal(size=400))
        any_flag.append((benjamini_hochberg(p) <= 0.1).any())
    assert 0.03 <= np.mean(any_flag) <= 0.115


def test_cross_fit_flags_outsiders_and_no_one_else():
    rng = generator(4, "cross")
    reference = rng.normal(size=200)
    assert cross_fit_flags(reference, 5, 100, 0.005, 0.005, 200, rng).sum() == 0
    reference[17] = 40.0
    flagged = cross_fit_flags(reference, 5, 100, 0.005, 0.005, 200, rng)
    assert np.flatnonzero(flagged).tolist() == [17]


def test_cross_fit_flags_spare_a_second_group():
    """Many people far out in one place are each other's reference: none of them is out of the ordinary."""
    rng = generator(5, "cross")
    reference = np.r_[rng.normal(size=150), rng.normal(60, 1, size=50)]
    flagged = cross_fit_flags(reference, 4, 10, 0.05, 0.05, 200, rng)
    assert not flagged.any()


def test_cross_fit_flags_without_a_tail_and_with_duplicates():
    rng = generator(6, "cross")
    assert cross_fit_flags(rng.normal(size=20), 5, 10, 0.005, 0.005, 50, rng).sum() == 0
    reference = np.r_[rng.normal(size=100), np.inf]
    flagged = cross_fit_flags(reference, 5, 10, 0.005, 0.005, 100, rng)
    assert np.flatnonzero(flagged).tolist() == [100]  # its own duplicate is not among the others
    for folds in (1, 102):
        with pytest.raises(ValueError):
            cross_fit_flags(reference, folds, 10, 0.005, 0.005, 50, rng)


def test_rules_are_the_same_for_the_same_seed():
    reference = generator(7, "same").normal(size=90)
    one = cross_fit_flags(reference, 3, 10, 0.2, 0.2, 100, generator(8, "rng"))
    two = cross_fit_flags(reference, 3, 10, 0.2, 0.2, 100, generator(8, "rng"))
    assert (one == two).all()
    assert math.isinf(score_line(None, 10, 0.05))
