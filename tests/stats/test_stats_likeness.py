"""Likeness: exact under exchangeability, fires when images come nearer to everybody, indifferent to order."""

import math

import numpy as np
import pytest

from medaudit.seeds import generator
from medaudit.stats.likeness import Likeness, likeness, likeness_sentences


def test_by_hand():
    """11 people and 7 images: the top 2 of 18 are images; chance of that is C(7, 2) / C(18, 2)."""
    people, generated = np.arange(11.0), np.r_[20.0, 30.0, -np.arange(1.0, 6.0)]
    found = likeness(generated, people)
    assert (found.count, found.of, found.expected) == (2, 7, pytest.approx(2 * 7 / 18))
    assert found.p_nearer == pytest.approx(math.comb(7, 2) / math.comb(18, 2))
    assert found.p_farther == pytest.approx(1.0)


def test_p_values_hold_their_level_whatever_the_law_of_the_scores():
    rng = generator(1, "likeness")
    for law in (rng.standard_normal, rng.standard_exponential, rng.standard_cauchy):
        found = [likeness(law(70), law(300)) for _ in range(1500)]
        for p in ([one.p_nearer for one in found], [one.p_farther for one in found]):
            for level in (0.01, 0.05, 0.2):
                assert np.mean(np.array(p) <= level) <= level + 3 * math.sqrt(level / 1500)


def test_images_that_are_nearer_or_farther_are_noticed():
    rng = generator(2, "likeness")
    people = rng.normal(0.2, 0.15, 900)
    nearer, farther = (likeness(rng.normal(mean, 0.15, 500), people) for mean in (0.28, 0.12))
    assert nearer.p_nearer < 1e-3 < 0.5 < nearer.p_farther
    assert farther.p_farther < 1e-3 < 0.5 < farther.p_nearer
    assert nearer.count > 1.3 * nearer.expected


def test_a_shift_of_all_scores_and_the_order_change_nothing():
    rng = generator(3, "likeness")
    generated, people = rng.standard_normal(41), rng.standard_normal(130)
    assert likeness(generated, people) == likeness(generated[::-1] + 5, people[::-1] + 5)


def test_ties_with_the_line_are_not_in_the_top():
    found = likeness(np.zeros(20), np.zeros(100))
    assert (found.count, found.expected, found.p_nearer, found.p_farther) == (0, 0.0, 1.0, 1.0)
    copies = likeness(np.full(5, np.inf), np.zeros(100))  # exact copies of unseen films
    assert copies.count == 5 and copies.p_nearer < 1e-3


def test_the_smallest_cohorts_and_refusals():
    assert likeness(np.array([1.0]), np.array([0.0])).count == 1
    for bad in (np.zeros(0), np.array([np.nan]), np.zeros((2, 2))):
        with pytest.raises(ValueError):
            likeness(bad, np.zeros(3))
        with pytest.raises(ValueError):
            likeness(np.zeros(3), bad)


def test_words_are_said_only_on_clear_evidence_and_name_the_direction():
    assert likeness_sentences(None) == likeness_sentences(Likeness(50, 500, 50.0, 0.5, 0.5)) == []
    assert likeness_sentences(Likeness(70, 500, 50.0, 0.0101, 0.99)) == []
    (nearer,) = likeness_sentences(Likeness(80, 500, 50.0, 0.001, 0.999))
    assert nearer.startswith("The images lie nearer") and "80 of 500" in nearer and "50 would be" in nearer
    (farther,) = likeness_sentences(Likeness(3, 500, 50.0, 1.0, 1e-6))
    assert farther.startswith("The images lie farther") and "harder to find" in farther
