"""Tail fit: estimator against its formula, bootstrap against plain resampling, edges, and the promise by simulation."""

import math
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from medaudit.seeds import generator
from medaudit.stats.flags import familywise, score_line
from medaudit.stats.reference import adaptive_ratio, copy_score, draw_one_per_patient
from medaudit.stats.tail import TailFit, _bootstrap_top, default_points, fit_tail, weighted_moments


def fitted(reference, **options) -> TailFit:
    tail = fit_tail(np.asarray(reference), **{"replicates": 400, "rng": generator(0, "tail"), **options})
    assert tail is not None
    return tail


@pytest.mark.parametrize("shape", [0.0, 0.2, 0.4])
def test_weighted_moments_recover_a_known_tail(shape):
    excess = stats.genpareto(shape, scale=2.0).rvs((20, 20_000), random_state=generator(1, "gpd"))
    mean, found = weighted_moments(-np.sort(-excess, axis=1))
    assert found.mean() == pytest.approx(shape, abs=0.02)
    assert mean.mean() == pytest.approx(2 / (1 - shape), rel=0.03)


def test_weighted_moments_equal_their_definition():
    excess = np.array([5.0, 3.0, 2.0, 0.5])
    a0 = sum(excess) / 4
    a1 = sum(x * below for x, below in zip(excess, (0, 1 / 3, 2 / 3, 1), strict=True)) / 4
    mean, shape = weighted_moments(excess[None])
    assert (mean[0], shape[0]) == pytest.approx((a0, 2 - a0 / (a0 - 2 * a1)))


def test_bootstrap_top_has_the_law_of_plain_resampling():
    rng = generator(2, "top")
    values = -np.sort(-rng.normal(size=23))
    fast = _bootstrap_top(values, 5, 20_000, rng)
    plain = -np.sort(-values[rng.integers(0, 23, (20_000, 23))], axis=1)[:, :5]
    assert (np.diff(fast, axis=1) <= 0).all()
    for place in range(5):
        assert stats.ks_2samp(fast[:, place], plain[:, place]).pvalue > 1e-3
    assert np.corrcoef(fast.T) == pytest.approx(np.corrcoef(plain.T), abs=0.03)


def test_upper_p_equals_a_loop_over_replicates():
    tail = fitted(generator(3, "loop").exponential(size=130), replicates=80)
    for score in (0.1, 1.0, 3.0, 12.0):
        p = []
        for u, scale, shape in zip(tail.threshold, tail.scale, tail.shape, strict=True):
            beyond = stats.genpareto(shape, scale=scale).sf(score - u)
            p.append(1.0 if score < u else tail.fraction * beyond)
        assert tail.upper_p(np.array([score]))[0] == pytest.approx(sorted(p)[math.ceil(tail.level * 80) - 1])


def test_upper_p_limits_the_true_p_value_for_nearly_every_reference():
    """At a fixed far score the 95 % upper limit lies above the truth for 95 % of references, or more."""
    above = []
    for cohort in range(150):
        rng = generator(4, "coverage", cohort)
        tail = fitted(rng.exponential(size=400), rng=rng, replicates=200)
        above.append(tail.upper_p(np.array([9.0]))[0] >= math.exp(-9.0))
    assert np.mean(above) >= 0.93


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(40, 300))
def test_upper_p_falls_with_the_score_and_meets_its_line(seed, size):
    rng = generator(seed, "monotone")
    tail = fitted(rng.gumbel(size=size), rng=rng, replicates=100)
    scores = np.array([-np.inf, *np.sort(rng.uniform(-5, 40, 50)), np.inf])
    p = tail.upper_p(scores)
    assert (np.diff(p) <= 0).all()
    assert (p[0], p[-1]) == (1.0, 0.0)
    line = score_line(tail, 256, 0.005)
    flags = familywise(
        tail.upper_p(np.array([np.nextafter(line, -np.inf), line, line + 1, np.inf])), 256, 0.005
    )
    assert flags[1:].all()
    assert not familywise(tail.upper_p(np.array([line - 1e-6])), 256, 0.005)[0]
    assert score_line(tail, 1000, 0.005) > line > score_line(tail, 256, 0.05)


def test_the_line_of_a_mild_alpha_is_the_threshold():
    tail = fitted(generator(5, "mild").normal(size=100))
    line = score_line(tail, 1, 0.9)
    assert np.sort(tail.threshold)[math.ceil(tail.level * 400) - 1] == line
    assert familywise(tail.upper_p(np.array([line])), 1, 0.9)[0]


def test_line_moves_with_location_and_scale():
    reference = generator(6, "scale").gumbel(size=200)
    plain = score_line(fitted(reference), 256, 0.005)
    assert score_line(fitted(0.2 + 0.15 * reference), 256, 0.005) == pytest.approx(0.2 + 0.15 * plain)


def test_order_of_the_reference_does_not_matter():
    rng = generator(7, "order")
    reference = rng.normal(size=90)
    one, two = fitted(reference), fitted(rng.permutation(reference))
    assert (one.upper_p(reference) == two.upper_p(reference)).all()


def test_too_small_or_too_coarse_a_reference_gives_no_tail_and_no_line():
    rng = generator(8, "small")
    assert fit_tail(rng.normal(size=39), replicates=50, rng=rng) is None
    assert fit_tail(np.r_[rng.normal(size=39), np.inf], replicates=50, rng=rng) is None
    assert fit_tail(np.ones(200), replicates=50, rng=rng) is None
    assert fit_tail(rng.integers(0, 5, 200).astype(float), replicates=50, rng=rng) is None
    assert score_line(None, 256, 0.005) == math.inf


def test_ties_are_borne():
    reference = np.round(generator(9, "ties").normal(size=300), 1)
    tail = fitted(reference)
    assert np.isfinite(score_line(tail, 256, 0.005))
    assert tail.upper_p(np.array([reference.max() + 30]))[0] < 1e-4


def test_exact_duplicates_among_unseen_people_forbid_every_flag():
    """Where unseen people come back exact, an exact copy proves nothing."""
    tail = fitted(np.r_[generator(10, "duplicates").normal(size=700), np.inf])
    assert tail.atom > 1 / 701
    assert tail.upper_p(np.array([np.inf]))[0] == tail.atom
    assert score_line(tail, 48, 0.005) == math.inf
    assert np.isfinite(score_line(tail, 1, 0.05))  # one image at 5 %: the duplicates are rarer than that


@pytest.mark.parametrize("reference", [[], [np.nan] * 50, [-np.inf] * 50, [[1.0] * 50]])
def test_fit_tail_refuses(reference):
    with pytest.raises(ValueError):
        fit_tail(np.array(reference), replicates=50, rng=generator(0, "x"))


def test_fit_tail_refuses_impossible_numbers_of_points():
    reference = generator(0, "x").normal(size=50)
    for points in (4, 50):
        with pytest.raises(ValueError):
            fit_tail(reference, replicates=50, rng=generator(0, "x"), tail_points=points)
    assert fitted(reference, tail_points=20).points == 20


def test_default_points():
    assert [default_points(size) for size in (40, 130, 400, 1400, 10_000)] == [24, 78, 200, 374, 1000]


@pytest.mark.parametrize("size", [60, 130, 400])
@pytest.mark.parametrize(
    "law", [stats.norm(), stats.expon(), stats.lognorm(1.0), stats.logistic()], ids=lambda law: law.dist.name
)
def test_a_clean_release_is_flagged_no_more_often_than_promised(law, size):
    """The chance over references, exact in the release. benchmarks/flag_simulation.py does this at length."""
    alpha, cohorts = 0.005, 60
    chance = np.empty((cohorts, 3))
    for cohort in range(cohorts):
        rng = generator(11, "promise", law.dist.name, size, cohort)
        tail = fitted(law.rvs(size, random_state=rng), rng=rng, replicates=200)
        lines = [score_line(tail, images, alpha) for images in (48, 256, 1000)]
        chance[cohort] = -np.expm1(np.array([48, 256, 1000]) * np.log1p(-law.sf(lines)))
    error = chance.std(axis=0) / math.sqrt(cohorts)
    assert (chance.mean(axis=0) <= alpha + 2 * error).all()


def test_the_promise_holds_in_full_simulation_at_a_large_alpha():
    """The same with scores that are really drawn and flagged, at an alpha that 400 releases can resolve."""
    alpha, images, flagged = 0.2, 100, 0
    for cohort in range(400):
        rng = generator(12, "release", cohort)
        tail = fitted(rng.exponential(size=150), rng=rng, replicates=200)
        flagged += familywise(tail.upper_p(rng.exponential(size=images)), images, alpha).any()
    assert 0 < flagged <= alpha * 400


def test_plain_extrapolation_would_break_the_promise():
    """Why the upper limit: the fitted tail itself, without its doubt, flags clean releases too often."""
    alpha, images = 0.005, 1000
    chance = []
    for cohort in range(150):
        rng = generator(13, "plug-in", cohort)
        reference = -np.sort(-rng.exponential(size=130))
        mean, shape = weighted_moments((reference[:30] - reference[30])[None])
        shape = max(0.0, float(shape[0]))
        law = stats.genpareto(shape, scale=mean[0] * (1 - shape))
        line = reference[30] + law.isf(alpha / images / (30 / 130))
        chance.append(-math.expm1(images * math.log1p(-math.exp(-line))))
    assert np.mean(chance) > 2 * alpha


@pytest.mark.parametrize(("size", "score", "share"), [(130, 2.2, 0.9), (400, 1.7, 0.9), (1400, 1.5, 0.9)])
def test_far_out_copies_are_flagged(size, score, share):
    """A reference with mean 0.2 and standard deviation 0.15, 256 images: a copy at this score is seen."""
    found = []
    for cohort in range(40):
        rng = generator(14, "power", size, cohort)
        tail = fitted(rng.normal(0.2, 0.15, size), rng=rng, replicates=200)
        found.append(familywise(tail.upper_p(np.array([score])), 256, 0.005)[0])
    assert np.mean(found) >= share


@pytest.mark.real
def test_unseen_children_are_flagged_no_more_often_than_promised():
    """Real films, RMSE at 28 x 28 with the adaptive ratio: 130 children in training, 300 unseen, 200 posing."""
    path = Path(os.environ.get("MEDAUDIT_REAL_DATA", Path(__file__).parents[3] / "shared" / "data"))
    film = path / "pneumoniamnist" / "pneumoniamnist_dev.npz"
    if not film.is_file():
        pytest.skip("the real films of MEDAUDIT_REAL_DATA are not here")
    with np.load(film, allow_pickle=False) as source:
        images, patients = source["images"].reshape(len(source["images"]), -1) / 255.0, source["patient_id"]
    alpha, posing, any_flag = 0.2, 200, []
    for split in range(3):
        rng = generator(15, "real", split)
        people = rng.permutation(draw_one_per_patient(patients, rng))
        train, others = images[people[:130]], images[people[130:]]
        squared = (others**2).mean(1)[:, None] + (train**2).mean(1) - 2 * others @ train.T / train.shape[1]
        nearest = np.sort(np.sqrt(np.maximum(squared, 0)), axis=1)[:, :32]
        scores = copy_score(adaptive_ratio(nearest))
        for _ in range(60):
            drawn = rng.permutation(scores)[: 300 + posing]
            tail = fitted(drawn[:300], rng=rng, replicates=200)
            any_flag.append(familywise(tail.upper_p(drawn[300:]), posing, alpha).any())
    assert len(any_flag) == 180
    assert np.mean(any_flag) <= alpha
