"""Histograms that give nobody away."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from medaudit.render.histogram import SMALLEST_CELL, quantise, resolvable_quantile, suppress


@given(st.lists(st.integers(0, 200), min_size=2, max_size=40))
def test_no_shown_count_is_small_and_no_hidden_one_follows_from_the_total(counts: list[int]) -> None:
    shown = suppress(np.array(counts))
    assert all(count is None or count >= SMALLEST_CELL for count in shown)
    assert shown.count(None) != 1
    assert all(got in (None, true) for got, true in zip(shown, counts, strict=True))


def test_a_lone_copy_cannot_be_seen() -> None:
    rng = np.random.default_rng(3)
    clean = rng.normal(1.7, 0.08, 300).clip(0, 2)
    unseen = rng.normal(1.7, 0.08, 211).clip(0, 2)
    ordinary = quantise(clean, unseen, top=2.0, hide=True)
    with_copy = quantise(np.append(clean[1:], 0.01), unseen, top=2.0, hide=True)
    assert ordinary is not None and with_copy is not None
    left = len(ordinary.edges) // 2
    assert ordinary.synthetic[:left] == with_copy.synthetic[:left] == (None,) * left
    seen = quantise(np.append(clean[1:], 0.01), unseen, top=2.0, hide=False)
    assert seen is not None and seen.synthetic[0] == 1 and not seen.hides


def test_counts_are_those_of_numpy() -> None:
    rng = np.random.default_rng(4)
    ours, theirs = rng.uniform(0, 2, 700), rng.uniform(0.5, 3, 90)
    found = quantise(ours, theirs, top=2.0, hide=False)
    assert found is not None and found.top_open
    assert sum(count or 0 for count in found.synthetic) == 700
    assert sum(count or 0 for count in found.unseen) == 90
    for low, high, count in zip(found.edges, found.edges[1:-1], found.unseen, strict=False):
        assert count == int(((theirs >= low) & (theirs < high)).sum())


def test_the_axis_ends_at_a_rounded_quantile_not_at_the_extreme() -> None:
    rng = np.random.default_rng(5)
    ours = np.append(rng.uniform(0, 0.1, 500), 0.7654321)
    found = quantise(ours, rng.uniform(0, 0.1, 123), top=None, hide=True)
    assert found is not None
    assert found.edges[-1] == 0.1 and found.top_open


def test_nothing_finite_gives_no_histogram() -> None:
    assert quantise(np.array([np.inf]), np.array([1.0]), top=2.0, hide=True) is None


def test_quantiles_stand_on_ten_values() -> None:
    ours, theirs = np.arange(1000.0), np.arange(140.0)
    share, values = resolvable_quantile(ours, theirs)
    assert share == 0.08 and values is not None
    assert (ours < values[0]).sum() >= 10 and (theirs < values[1]).sum() >= 10
    assert resolvable_quantile(ours, theirs[:19]) == (None, None)
