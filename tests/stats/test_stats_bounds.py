"""Bounds, budget and controls: the numbers of STATISTICS 5 and 6, and what they mean by simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medaudit.seeds import generator
from medaudit.stats.bounds import (
    chao1,
    good_turing,
    hidden_copies,
    model_rate_upper,
    sources_needed,
    zero_found_upper,
)
from medaudit.stats.budget import split_alpha
from medaudit.stats.controls import minimum_power, power
from medaudit.stats.intervals import clopper_pearson


@pytest.mark.parametrize(("n", "percent"), [(1000, 0.2991), (10_000, 0.02995), (1, 95.0)])
def test_zero_found_upper_gives_the_printed_values(n, percent):
    assert 100 * zero_found_upper(n, 0.05) == pytest.approx(percent, rel=1e-3)


def test_model_rate_upper_splits_alpha_and_divides_by_power():
    assert model_rate_upper(1000, 1.0, 0.05) == pytest.approx(1 - 0.025 ** (1 / 1000))
    assert model_rate_upper(1000, 0.915, 0.05) == pytest.approx((1 - 0.025 ** (1 / 1000)) / 0.915)
    assert model_rate_upper(1000, 0.0, 0.05) is None
    assert model_rate_upper(1, 0.5, 0.05) is None  # would be above 1


def test_model_rate_upper_is_wrong_at_most_as_often_as_promised():
    """Where nothing was found, the true rate is above the bound in at most alpha of all audits (worst rate)."""
    rng = generator(1, "bounds")
    n, power_true, alpha = 500, 0.9, 0.05
    for rate in (0.002, 0.005, 0.01, 0.02):
        plants = rng.binomial(100, power_true, 20_000)
        found = rng.binomial(n, rate * power_true, 20_000)
        limits = {count: clopper_pearson(int(count), 100, 1 - alpha).low for count in np.unique(plants)}
        bound = np.array([model_rate_upper(n, limits[count], alpha) for count in plants])
        assert np.mean((found == 0) & (bound < rate)) <= alpha


def test_rate_bound_of_one_source_by_hand():
    """Missed with 1 - b, else unseen with (1 - r)^n: solved for r."""
    n, low, alpha = 1000, 0.993, 0.05
    by_hand = 1 - ((alpha / 2 - (1 - low)) / low) ** (1 / n)
    assert model_rate_upper(n, low, alpha, sources=1) == pytest.approx(by_hand, rel=1e-9)
    assert (
        model_rate_upper(n, 0.964, alpha, sources=1) is None
    )  # may be missed as a whole more often than alpha / 2


def test_rate_bound_of_many_sources_comes_down_to_that_without():
    bounds = [model_rate_upper(700, 0.91, 0.05, sources) for sources in (2, 3, 5, 11, 400)]
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[-1] == pytest.approx(model_rate_upper(700, 0.91, 0.05), rel=2e-3)
    assert min(bounds) > model_rate_upper(700, 0.91, 0.05)


def wrong_share(sources, rate, bound_sources, power_true=0.93, n=300, alpha=0.05, models=20_000):
    """Share of audits that find nothing and bound the rate under the truth; each source is found always or never."""
    rng = generator(3, "sources", sources)
    plants = rng.binomial(100, power_true, models)
    limits = {count: clopper_pearson(int(count), 100, 1 - alpha).low for count in np.unique(plants)}
    bounds = {count: model_rate_upper(n, low, alpha, bound_sources) for count, low in limits.items()}
    bound = np.array([np.inf if bounds[count] is None else bounds[count] for count in plants])
    findable = rng.binomial(sources, power_true, models)
    nothing = rng.random(models) < (1 - rate * findable / sources) ** n
    return np.mean(nothing & (bound < rate))


@pytest.mark.parametrize("sources", [1, 2, 3, 7])
@pytest.mark.parametrize("rate", [0.013, 0.02, 0.05, 0.3, 1.0])
def test_rate_bound_of_sources_is_wrong_at_most_as_often_as_promised(sources, rate):
    assert wrong_share(sources, rate, sources) <= 0.05


def test_rate_bound_for_many_sources_is_wrong_for_a_model_that_copies_one_film():
    """Why `sources` exists: the film may be missed as a whole."""
    assert wrong_share(1, 0.3, None) > 0.06


def test_sources_needed_is_the_fewest():
    for n, low, slack in ((1000, 0.964, 1.25), (1000, 0.915, 1.25), (150, 0.9, 1.1), (1000, 0.993, 1.25)):
        needed, many = sources_needed(n, low, 0.05, slack), model_rate_upper(n, low, 0.05)
        assert model_rate_upper(n, low, 0.05, needed) <= slack * many
        fewer = model_rate_upper(n, low, 0.05, needed - 1) if needed > 1 else None
        assert fewer is None or fewer > slack * many
    assert sources_needed(1000, 0.993, 0.05) == 1
    assert sources_needed(1000, 0.0, 0.05) is None  # no bound at all
    assert sources_needed(1000, 0.5, 0.05, slack=1.001, most=2) is None


@pytest.mark.parametrize(("low", "copies"), [(0.91, 1), (0.964, 0), (0.95, 1), (0.5, 4), (1.0, 0)])
def test_hidden_copies(low, copies):
    assert hidden_copies(low, 0.05) == copies


@given(st.floats(0.001, 0.999), st.floats(0.001, 0.5))
def test_hidden_copies_is_the_largest(low, alpha):
    copies = hidden_copies(low, alpha)
    assert (1 - low) ** copies >= alpha > (1 - low) ** (copies + 1)


def test_hidden_copies_without_power_has_no_limit():
    assert hidden_copies(0.0, 0.05) is None


def test_good_turing_predicts_the_next_generations():
    rng = generator(2, "turing")
    chances = rng.dirichlet(np.ones(300)) * 0.5  # each generation extracts some patient half the time
    predicted, seen_new = [], []
    for _ in range(300):
        drawn = rng.choice(301, size=400, p=[*chances, 1 - chances.sum()])
        counts = np.bincount(drawn, minlength=301)[:300]
        predicted.append(good_turing(counts, 400))
        seen_new.append(chances[counts == 0].sum())
    assert np.mean(predicted) == pytest.approx(np.mean(seen_new), rel=0.05)


def test_good_turing_and_chao1_by_hand():
    counts = np.array([1, 1, 1, 2, 2, 5, 0])
    assert good_turing(counts, 12) == 0.25
    assert chao1(counts) == 6 + 9 / 4
    assert chao1(np.array([1, 1, 1, 4])) == 4 + 3
    assert (chao1(np.zeros(0, dtype=int)), good_turing(np.zeros(0, dtype=int), 5)) == (0, 0)


def test_bounds_refuse_what_makes_no_sense():
    for call in (
        lambda: zero_found_upper(0, 0.05),
        lambda: zero_found_upper(5, 1.0),
        lambda: model_rate_upper(5, 1.1, 0.05),
        lambda: model_rate_upper(5, 0.9, 0.05, sources=0),
        lambda: model_rate_upper(0, 0.9, 0.05, sources=2),
        lambda: hidden_copies(0.5, 0),
        lambda: good_turing(np.array([1]), 0),
        lambda: chao1(np.array([0.5])),
        lambda: chao1(np.array([-1])),
    ):
        with pytest.raises(ValueError):
            call()


@given(st.floats(0.001, 0.499), st.floats(0.01, 0.99), st.integers(1, 7))
def test_budget_spends_all_of_alpha(alpha, share, detectors):
    budget = split_alpha(alpha, share, detectors)
    assert budget.total == pytest.approx(alpha, rel=1e-12)
    assert budget.cohort_excess + budget.cohort_run == pytest.approx(alpha * share)
    assert budget.as_dict()["familywise_each"] == budget.fdr_each == budget.familywise_each


def test_budget_of_the_default_settings():
    budget = split_alpha(0.05, 0.4, 3)
    assert budget.cohort_excess == pytest.approx(0.01)
    assert budget.familywise_each == pytest.approx(0.005)


@pytest.mark.parametrize(("alpha", "share", "detectors"), [(0, 0.4, 3), (0.05, 1, 3), (0.05, 0.4, 0)])
def test_budget_refuses(alpha, share, detectors):
    with pytest.raises(ValueError):
        split_alpha(alpha, share, detectors)


def test_power_counts_and_its_minimum():
    rates = {
        "noise": power(np.arange(100) < 97),
        "flip": power(np.arange(100) < 60),
        "blur": power(np.ones(5, bool)),
    }
    assert (rates["noise"].count, rates["noise"].of) == (97, 100)
    assert rates["noise"].low == pytest.approx(0.915, abs=5e-4)
    assert minimum_power(rates, ("noise", "blur")) == ("blur", rates["blur"].low)
    assert minimum_power(rates, ("noise", "flip"))[0] == "flip"
    assert minimum_power(rates, ()) is None
    with pytest.raises(ValueError):
        minimum_power(rates, ("noise", "shift"))
    for found in (np.zeros(0, bool), np.array([1, 0])):
        with pytest.raises(ValueError):
            power(found)
