"""Intervals: known table values, coverage by exact enumeration, and the cluster bootstrap against its formula."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from medaudit.seeds import generator
from medaudit.stats.intervals import clopper_pearson, cluster_bootstrap


@pytest.mark.parametrize(
    ("count", "of", "low", "high"),
    [
        (97, 100, 0.9148, 0.9938),
        (100, 100, 0.9638, 1.0),
        (500, 500, 0.9926, 1.0),
        (0, 10, 0.0, 0.3085),  # Clopper & Pearson 1934, chart for 0.95
        (5, 10, 0.1871, 0.8129),
        (1, 20, 0.0013, 0.2487),
    ],
)
def test_clopper_pearson_gives_the_table_values(count, of, low, high):
    rate = clopper_pearson(count, of)
    assert (rate.low, rate.high) == pytest.approx((low, high), abs=1e-4)
    assert (rate.value, rate.count, rate.of, rate.confidence) == (count / of, count, of, 0.95)


@given(
    st.integers(1, 400).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))), st.floats(0.5, 0.999)
)
def test_clopper_pearson_equals_scipy(case, confidence):
    count, of = case
    rate = clopper_pearson(count, of, confidence)
    other = binomtest(count, of).proportion_ci(confidence, method="exact")
    assert rate.low == pytest.approx(other.low, abs=1e-9)
    assert rate.high == pytest.approx(other.high, abs=1e-9)
    assert 0 <= rate.low <= rate.value <= rate.high <= 1


@pytest.mark.parametrize("share", [0.003, 0.1, 0.5, 0.97])
def test_clopper_pearson_covers_at_each_end(share):
    of = 37
    rates = [clopper_pearson(count, of) for count in range(of + 1)]
    chance = binom.pmf(np.arange(of + 1), of, share)
    assert chance[[rate.low > share for rate in rates]].sum() <= 0.025
    assert chance[[rate.high < share for rate in rates]].sum() <= 0.025


@pytest.mark.parametrize(("count", "of", "confidence"), [(1, 0, 0.9), (-1, 5, 0.9), (6, 5, 0.9), (1, 5, 1.0)])
def test_clopper_pearson_refuses_what_is_no_rate(count, of, confidence):
    with pytest.raises(ValueError):
        clopper_pearson(count, of, confidence)


def test_cluster_bootstrap_spreads_with_clusters_not_rows():
    rng = generator(3, "bootstrap")
    clusters = np.repeat(np.arange(50), 20)
    values = np.repeat(rng.random(50) < 0.4, 20).astype(float)  # every cluster speaks with one voice
    means = cluster_bootstrap(values, clusters, replicates=4000, rng=rng)
    share = values.mean()
    assert means.mean() == pytest.approx(share, abs=0.01)
    assert means.std() == pytest.approx(math.sqrt(share * (1 - share) / 50), rel=0.1)


def test_cluster_bootstrap_weighs_unequal_clusters_by_their_rows():
    values, clusters = np.array([1.0, 1, 1, 1, 0]), np.array([7, 7, 7, 7, 2])
    means = cluster_bootstrap(values, clusters, replicates=3000, rng=generator(4, "bootstrap"))
    assert set(np.unique(means)) == {0.0, 0.8, 1.0}
    assert np.mean(means == 0.8) == pytest.approx(0.5, abs=0.05)


def test_cluster_bootstrap_refuses_empty_and_unequal_input():
    rng = generator(0, "bootstrap")
    with pytest.raises(ValueError):
        cluster_bootstrap(np.zeros(0), np.zeros(0), replicates=10, rng=rng)
    with pytest.raises(ValueError):
        cluster_bootstrap(np.zeros(3), np.zeros(2), replicates=10, rng=rng)
