"""Extraction's arithmetic: the edge line, the leak curve, what would have shown, and every verdict."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medaudit.stats.extraction import (
    EdgeLine,
    ExtractionEvidence,
    decide_extraction,
    edge_line,
    false_edges,
    leak,
    leak_curve,
    pair_count,
    seen_share,
    wording,
)


def test_an_image_has_a_tenth_of_a_false_neighbour() -> None:
    assert pair_count(1) == 0 and pair_count(2) == 1 and pair_count(1000) == 499_500
    assert false_edges(101, 499_500) == 499  # one in a thousand pairs for a hundred others
    assert false_edges(512, 190) == 0  # too few pairs: nothing but what is closer than all of them
    assert false_edges(2, 3) == 0 and false_edges(2, 40) == 4
    with pytest.raises(ValueError):
        false_edges(1, 10)
    with pytest.raises(ValueError):
        false_edges(5, 0)


@given(st.lists(st.integers(0, 6), min_size=2, max_size=30), st.integers(0, 5))
def test_the_line_lets_no_more_pairs_through_than_allowed(values: list[int], allowed: int) -> None:
    distances = np.sort(np.array(values, dtype=np.float64))
    allowed = min(allowed, len(distances) - 1)
    line = edge_line(distances[: allowed + 1], allowed, len(distances))
    under = sum(value < line.threshold for value in values)
    assert under <= allowed
    assert line.false_rate == under / len(values)
    assert sum(value <= line.threshold for value in values) > allowed  # and it is the largest such line


def test_curve_by_hand() -> None:
    assert leak_curve(np.array([3, 3, 10]), 10)[:4] == [(0, 0), (1, 0), (2, 0), (3, 2)]
    assert leak_curve(np.array([3, 3, 10]), 10)[-1] == (10, 3)
    assert leak_curve(np.zeros(0, dtype=np.int64), 10)[-1] == (10, 0)
    long = leak_curve(np.arange(1, 10_001), 10_000)
    assert len(long) == 25 and all(seen == step for step, seen in long)


def test_leak_by_hand() -> None:
    """Patient 7 by images 4 and 2, patient 5 by image 9, patient 8 by a clique whose third image is number 6."""
    found = leak(np.array([4, 2, 9]), np.array([7, 7, 5]), [((1, 6, 3, 8), 8)], 3, 12)
    assert found.patients == 3
    assert dict(found.curve)[3] == 1 and dict(found.curve)[6] == 1
    assert dict(found.curve)[7] == 2 and dict(found.curve)[9] == 2 and dict(found.curve)[10] == 3
    assert found.new_patient_rate == 1 / 12  # only patient 5 was seen once
    assert found.patients_total == 3 + 1 / 2  # f1 = 1, f2 = 1
    none = leak(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), [], 3, 12)
    assert (none.patients, none.new_patient_rate, none.patients_total) == (0, 0.0, 0.0)


def test_an_image_in_two_findings_of_one_patient_counts_once() -> None:
    found = leak(np.array([1, 1, 3]), np.array([8, 8, 8]), [((1, 3, 5), 8), ((1, 3, 5), 8)], 3, 6)
    assert found.patients == 1 and found.new_patient_rate == 0
    assert found.curve[-1] == (6, 1) and dict(found.curve)[2] == 1  # image 1 is the second generated


def test_what_would_have_shown_by_simulation() -> None:
    generated, images, size = 400, 60, 4
    share = seen_share(generated, images, size, 0.05)
    assert share is not None and 0.1 < share < 0.5
    rng = np.random.Generator(np.random.Philox(1))
    shown = [
        np.bincount(rng.integers(0, images, rng.binomial(generated, share)), minlength=images).max() >= size
        for _ in range(2000)
    ]
    assert np.mean(shown) == pytest.approx(0.95, abs=0.03)
    assert seen_share(40, 1000, size, 0.05) is None
    assert seen_share(800, images, size, 0.05) < share  # type: ignore[operator]
    with pytest.raises(ValueError):
        seen_share(40, 1000, 1, 0.05)


CLEAN = ExtractionEvidence(
    generated=2000,
    train_images=100,
    clique_size=4,
    cliques=0,
    matched_cliques=0,
    flagged_images=0,
    patients=0,
    matched_holdout=0,
    cliques_in_holdout=0,
    not_enumerated=0,
    line=EdgeLine(0.0712, 0.0001, 500_000),
    detectors_without_line=(),
    duplicates_across=0,
    patient_level=True,
    seen_share=0.08,
    alpha=0.05,
)


def test_nothing_found_where_something_would_have_shown() -> None:
    verdict, reasons = decide_extraction(CLEAN)
    assert verdict == "release-supported"
    assert "8% or more are copies" in " ".join(reasons) and "tile distance 0.0712" in " ".join(reasons)
    assert wording(CLEAN) == "2,000 generated images gave no training patient away."


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seen_share": None}, "Too few images were generated"),
        ({"seen_share": 0.6}, "60% copies on"),
        ({"detectors_without_line": ("tile",)}, "Too few unseen people"),
        ({"duplicates_across": 2}, "run dedup"),
        ({"matched_holdout": 1}, "may have seen the held-out cohort"),
        ({"patient_level": False}, "without patient ids"),
    ],
)
def test_each_doubt_makes_it_inconclusive(change: dict, words: str) -> None:
    verdict, reasons = decide_extraction(replace(CLEAN, **change))
    assert verdict == "inconclusive" and words in reasons[0]


@pytest.mark.parametrize("change", [{"matched_cliques": 1, "cliques": 3}, {"flagged_images": 1}])
def test_a_finding_comes_before_every_doubt(change: dict) -> None:
    doubtful = replace(CLEAN, seen_share=None, duplicates_across=1, patients=1, not_enumerated=1, **change)
    verdict, reasons = decide_extraction(doubtful)
    assert verdict == "do-not-release" and "1 training patient named" in reasons[0]
    assert any("grown greedily" in reason for reason in reasons)
    assert wording(doubtful) == "2,000 generated images gave away 1 training patient."
