"""The line between a copy and another picture of the person: its promise, its floor, the AUC against a twin."""

import numpy as np
import pytest

from medaudit.stats.intervals import Interval, clopper_pearson
from medaudit.stats.relation import (
    COPY,
    SAME_PERSON,
    auc_by_patient,
    closeness,
    copy_line,
    known_again_sentence,
    relations,
    same_person_sentence,
)


def rng(seed: int = 3) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(seed))


def test_closeness_is_that_of_the_band_that_speaks_loudest() -> None:
    at_line = np.tanh([[2.2, 0.95], [2.2, 0.0], [0.0, 0.95], [2.5, 0.0], [0.0, 1.1], [-9.0, -9.0]])
    assert closeness(at_line, 64)[:5] == pytest.approx([0, 0, 0, 1, 1], abs=1e-9)
    assert closeness(at_line, 64)[5] < -5
    same, opposite = closeness(np.array([[1.0, 1.0], [-1.0, -1.0]]), 64)
    assert np.isfinite([same, opposite]).all() and same > 30 > -15 > opposite


def test_more_pixels_ask_for_less_detail() -> None:
    pair = np.array([[0.0, 0.7]])
    found = [closeness(pair, pixels)[0] for pixels in (28, 64, 96, 128, 512)]
    assert found == sorted(found) and found[0] < 0 < found[3] == found[4]


def test_the_line_is_exceeded_by_one_follow_up_in_a_hundred_at_most() -> None:
    draw = rng()
    called = []
    for _ in range(400):
        sample = draw.standard_normal(150) + 5
        line = copy_line(sample[:149]).line
        called.append(sample[149] > line)
    assert np.mean(called) <= 0.02  # 0.0067 expected: the largest of 149
    many = copy_line(np.arange(1.0, 400.0))  # 399: the third largest fits 0.01 * 400 = 4, so the fourth
    assert many.line == 396.0 and many.highest == 399.0 and many.source == "follow-ups" and many.pairs == 399


def test_enough_follow_ups_set_the_line_alone() -> None:
    just_short, enough = copy_line(np.linspace(-5, -1, 98)), copy_line(np.linspace(-5, -1, 99))
    assert (just_short.line, just_short.source) == (0.0, "fixed")
    assert (enough.line, enough.source) == (-1.0, "follow-ups")
    doubled = copy_line(np.concatenate([np.linspace(-5, -1, 198), [9.0]]))  # one radiograph stored twice
    assert (doubled.line, doubled.highest) == (-1.0, 9.0)


def test_few_follow_ups_cannot_lower_the_line() -> None:
    none = copy_line(np.zeros(0))
    assert (none.line, none.source, none.pairs, none.highest) == (0.0, "fixed", 0, None)
    low = copy_line(np.array([-3.0, -2.0]))
    assert (low.line, low.source, low.pairs, low.highest) == (0.0, "fixed", 2, -2.0)
    high = copy_line(np.array([-3.0, 1.5]))
    assert (high.line, high.source) == (1.5, "follow-ups")
    with pytest.raises(ValueError, match="closeness"):
        copy_line(np.array([np.nan]))


def test_the_same_pixels_are_a_copy_whatever_the_line() -> None:
    found = relations(np.array([0.9, 1.0, 1.1, -5.0]), np.array([False, False, False, True]), 1.0)
    assert found.tolist() == [SAME_PERSON, SAME_PERSON, COPY, COPY]


def test_auc_is_the_share_of_pairs_in_order() -> None:
    draw = rng()
    follow, unseen = draw.integers(0, 6, 11).astype(float), draw.integers(0, 6, 7).astype(float)
    found = auc_by_patient(follow, np.arange(11), unseen, np.arange(5, 12), replicates=300, rng=draw)
    twin = np.mean([1.0 if a > b else 0.5 if a == b else 0.0 for a in follow for b in unseen])
    assert found.value == pytest.approx(twin)
    assert 0 <= found.low <= found.value <= found.high <= 1 and found.low < found.high


def test_the_auc_interval_draws_patients_not_films() -> None:
    draw = rng()
    level = draw.standard_normal(12)  # of a patient, on both sides alike
    follow, unseen = level + 0.3, level
    together = auc_by_patient(follow, np.arange(12), unseen, np.arange(12), replicates=1500, rng=rng(4))
    apart = auc_by_patient(follow, np.arange(12), unseen, np.arange(12, 24), replicates=1500, rng=rng(4))
    assert together.high - together.low < apart.high - apart.low
    thrice = auc_by_patient(
        np.repeat(follow, 3), np.repeat(np.arange(12), 3), np.repeat(unseen, 3), np.repeat(np.arange(12), 3),
        replicates=1500, rng=rng(4),
    )  # fmt: skip
    assert (thrice.low, thrice.high) == pytest.approx((together.low, together.high))


def test_separated_scores_have_auc_1() -> None:
    found = auc_by_patient(
        np.array([3.0, 4.0]),
        np.array([0, 1]),
        np.array([1.0, 2.0]),
        np.array([0, 2]),
        replicates=50,
        rng=rng(),
    )
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(0.0125 ** (1 / 2) * 0.0125 ** (1 / 2))  # two patients on either side


def test_one_tie_leaves_the_interval_to_the_bootstrap() -> None:
    scores = np.arange(10.0)
    found = auc_by_patient(scores + 9, np.arange(10), scores, np.arange(10, 20), replicates=200, rng=rng())
    assert found.value == pytest.approx(1 - 0.5 / 100) and found.low > 0.9


def test_the_sentences_count_right() -> None:
    assert same_person_sentence(238, 12).startswith("12 of 238 flagged images are no closer to a film")
    assert "1 of 2 flagged images is no closer" in same_person_sentence(2, 1)
    assert same_person_sentence(1, 1).startswith("The flagged image is no closer")
    for sentence in (same_person_sentence(238, 12), same_person_sentence(1, 1)):
        assert "another picture of the same person" in sentence and "all the same" in sentence
    said = known_again_sentence(Interval(0.831, 0.76, 0.9, 0.95), clopper_pearson(46, 64))
    assert "of 64 real follow-up films" in said and "46 named the right patient" in said
    assert "0.83 (0.76 to 0.90)" in said
