"""The verdict: every condition of STATISTICS 7 by itself, what comes before what, and sentences a board can read."""

import dataclasses
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medaudit.stats.intervals import clopper_pearson
from medaudit.stats.reasons import CohortEvidence, SourceDoubt, zero_found_wording
from medaudit.stats.verdict import DO_NOT_RELEASE, INCONCLUSIVE, RELEASE_SUPPORTED, Grounds, decide


def decided(**grounds: object) -> tuple[str, list[str]]:
    """The verdict on grounds by name."""
    return decide(Grounds(**grounds))


CALM = CohortEvidence(
    nearest_in_train=2510,
    of=5000,
    expected=2500.0,
    excess_p=0.41,
    excess_alpha=0.01,
    run_length=1,
    run_patients=1,
    run_p=0.5,
    run_alpha=0.01,
    run_detectable=7,
)
EXCESS = dataclasses.replace(CALM, nearest_in_train=4100, excess_p=1 / 10_001)
RUN = dataclasses.replace(CALM, run_length=40, run_patients=31, run_p=1e-12)
CLEAN = {
    "synthetic": 5000,
    "train_images": 1200,
    "train_patients": 700,
    "holdout_images": 1150,
    "holdout_patients": 690,
    "flagged": 0,
    "patients_exposed": 0,
    "suspects": 0,
    "expected_suspects": 3.6,
    "cohort": CALM,
    "power": {"identity": clopper_pearson(100, 100), "mirror": clopper_pearson(97, 100)},
    "required_power": 0.90,
    "negative": clopper_pearson(0, 1390),
    "negative_promise": 0.005,
    "rate_upper": 0.000806,
    "hidden": 1,
}
FLAGS = {"flagged": 231, "patients_exposed": 44}
DOUBTS = {
    "search": ({"searched_whole": False}, "Not every image was compared"),
    "leak": ({"duplicates_across": 3}, "in the training and in the held-out cohort"),
    "no ids": ({"patient_level": False}, "no patient ids"),
    "one id": ({"holdout_patients": 1}, "All 1,150 held-out images carry one patient id"),
    "most of one id": (
        {"most_of_one": (601, 3)},
        "601 of 1,200 training images carry one and the same patient id",
    ),
    "source": (
        {"source": SourceDoubt("sharpness", 1 / 10_001, 0.001)},
        "not of one source: they differ in sharpness (p = 0.0001, allowed 0.001)",
    ),
    "few images": (
        {"distinct": 3, "cohort": dataclasses.replace(CALM, run_detectable=None, run_needed=7)},
        "The set holds only 3 different images, and no fewer than 7",
    ),
    "tiny hold-out": (
        {"cohort": dataclasses.replace(CALM, run_detectable=351, run_needed=351)},
        "only when 351 training patients are copied, more than half of them; add held-out patients",
    ),
    "one id in training": ({"train_patients": 1}, "All 1,200 training images carry one patient id"),
    "no tail": ({"detectors_without_line": ("rmse", "tile")}, "(rmse, tile)"),
    "too many detectors": (
        {"detectors_blind": ("rmse", "copynet"), "detectors": 40},
        "With alpha shared by 40 detectors rmse, copynet could flag no image, however alike and however many; use",
    ),
    "one blind detector": (
        {"detectors_blind": ("rmse",)},
        "With this alpha rmse could flag no image, however alike and however many; add held-out patients",
    ),
    "no run": ({"cohort": dataclasses.replace(CALM, run_detectable=None)}, "no run of training matches"),
    "power": ({"power": {"mirror": clopper_pearson(80, 100)}}, "80 of 100 planted copies"),
    "no power": ({"power": {}}, "No kind of planted copy was required"),
    "false alarms": ({"negative": clopper_pearson(30, 1390)}, "30 of 1,390 unseen people were flagged"),
}


def test_a_clean_audit_is_supported_with_its_numbers():
    verdict, reasons = decided(**CLEAN)
    assert verdict == RELEASE_SUPPORTED
    assert (
        "0 of 5,000" in reasons[0]
        and "0.081 %" in reasons[0]
        and "copies of at most 1 training film were missed" in reasons[0]
    )
    assert "2,510 of 5,000" in reasons[1] and "p = 0.41" in reasons[1]
    assert "97 of 100 were found: power is at least 91.4 %, and 90.0 % is required" in reasons[2]


@pytest.mark.parametrize("name", DOUBTS)
def test_each_doubt_alone_makes_it_inconclusive(name):
    change, words = DOUBTS[name]
    verdict, reasons = decided(**{**CLEAN, "kind_words": {"mirror": "mirrored"}, **change})
    assert verdict == INCONCLUSIVE
    assert words in reasons[0]
    assert len(reasons) == 1 + ("distinct" in change)  # twins are told beside the doubt


@pytest.mark.parametrize("name", ["nothing", *DOUBTS])
def test_a_standing_flag_comes_before_every_doubt(name):
    change, words = DOUBTS.get(name, ({}, "231 of 5,000"))
    verdict, reasons = decided(**{**CLEAN, **change, **FLAGS})
    assert verdict == DO_NOT_RELEASE
    patients = "1" if name == "one id in training" else "700"
    assert reasons[0].startswith("231 of 5,000 images copy a training patient's scan")
    assert f"44 patients of {patients} would be exposed" in reasons[0]
    assert any(words in reason for reason in reasons)


@pytest.mark.parametrize(
    ("cohort", "words"),
    [
        (EXCESS, "4,100 of 5,000 images lie nearest to a training image"),
        (RUN, "of 31 patients (p below 0.0001"),
    ],
)
def test_a_rejecting_cohort_test_refuses(cohort, words):
    verdict, reasons = decided(**{**CLEAN, "cohort": cohort})
    assert (verdict, len(reasons)) == (DO_NOT_RELEASE, 1)
    assert words in reasons[0]


VOIDS = ("leak", "one id", "one id in training", "most of one id", "source")
ABOUT_COHORT = ("no run", "few images", "tiny hold-out")  # these set the cohort evidence themselves


@pytest.mark.parametrize("name", VOIDS)
def test_what_makes_the_null_meaningless_voids_the_cohort_test_but_not_a_flag(name):
    change, words = DOUBTS[name]
    verdict, reasons = decided(**{**CLEAN, **change, "cohort": RUN})
    assert verdict == INCONCLUSIVE and words in reasons[0] and "all match training images" in reasons[1]
    assert decided(**{**CLEAN, **change, "cohort": RUN, **FLAGS})[0] == DO_NOT_RELEASE


def test_twins_are_counted_once_and_told():
    for distinct, largest, words in (
        (1, 5000, "All 5,000 images are one and the same: the set has no variety"),
        (
            40,
            4961,
            "4,961 of 5,000 images are one and the same, so the set has little variety; it holds 40 different",
        ),
        (4990, 3, "5,000 images are 4,990 different ones: the others repeat them"),
    ):
        verdict, reasons = decided(**{**CLEAN, "distinct": distinct, "largest_group": largest})
        assert verdict == RELEASE_SUPPORTED and words in reasons[-1]
        assert reasons[0].startswith(f"0 of 5,000 images ({distinct:,} of them different) were found")
    assert not any("different" in reason for reason in decided(**{**CLEAN, "distinct": 5000})[1])


def test_people_in_both_cohorts_void_the_cohort_test_but_not_a_flag():
    leak = {"cohort": EXCESS, "duplicates_across": 1}
    verdict, reasons = decided(**{**CLEAN, **leak})
    assert verdict == INCONCLUSIVE
    assert reasons[0].startswith("1 pair of images is nearly the same")
    assert any("too close" in reason for reason in reasons[1:])
    assert decided(**{**CLEAN, **leak, **FLAGS})[0] == DO_NOT_RELEASE


def test_other_doubts_do_not_void_the_cohort_test():
    for change, _ in (value for key, value in DOUBTS.items() if key not in (*VOIDS, *ABOUT_COHORT)):
        assert decided(**{**CLEAN, **change, "cohort": RUN})[0] == DO_NOT_RELEASE


def test_p_equal_to_its_part_of_alpha_rejects():
    edge = dataclasses.replace(CALM, excess_p=0.01)
    assert edge.rejects and not CALM.rejects
    assert not dataclasses.replace(CALM, excess_p=0.0101, run_p=0.0101).rejects


def test_suspects_and_duplicates_in_training_are_told_but_do_not_decide():
    verdict, reasons = decided(**{**CLEAN, "suspects": 6, "duplicates_in_train": 1})
    assert verdict == RELEASE_SUPPORTED
    assert "6 images lie closer" in reasons[-2] and "3.60 would by chance" in reasons[-2]
    assert reasons[-1].startswith("1 pair of nearly the same images belongs to different training patients")


def test_the_weakest_kind_is_named_first():
    power = {
        "noise": clopper_pearson(90, 100),
        "mirror": clopper_pearson(2, 100),
        "blur": clopper_pearson(100, 100),
    }
    words = {"mirror": "mirrored", "noise": "with noise 0.05"}
    reasons = decided(**{**CLEAN, "power": power, "kind_words": words})[1]
    assert ["mirrored" in reasons[0], "with noise" in reasons[1], len(reasons)] == [True, True, 2]


def test_power_at_the_line_is_enough_and_just_under_it_is_not():
    rate = clopper_pearson(97, 100)
    assert decided(**{**CLEAN, "power": {"mirror": rate}, "required_power": rate.low})[0] == RELEASE_SUPPORTED
    verdict, reasons = decided(**{**CLEAN, "power": {"mirror": rate}, "required_power": rate.low + 1e-6})
    assert verdict == INCONCLUSIVE
    assert "at least 91.4 %" in reasons[0]


@pytest.mark.parametrize(
    ("rate", "hidden", "words"),
    [
        (0.003694, 0, "at most 0.37 % of its images, for copies of the kinds tested; if copies"),
        (0.0036201, 2, "at most 0.37 % of its images"),
        (0.5, 2, "copies of at most 2 training films were missed in this release."),
        (1e-9, 0, "at most 0.00000010 %"),
        (None, 0, "none was missed in this release."),
        (None, None, "the controls are too weak to bound what was missed."),
    ],
)
def test_zero_found_wording(rate, hidden, words):
    sentence = zero_found_wording(5000, rate, hidden, 0.05)
    assert words in sentence
    assert ("with 95 % confidence" in sentence) == (rate is not None)


def test_a_rate_that_holds_from_several_copied_films_on_says_so():
    many = zero_found_wording(5000, 0.002, 0, 0.05, sources=4)
    assert (
        "the model, if it copies 4 training films or more about equally often, copies in at most 0.20 %"
        in many
    )
    assert zero_found_wording(5000, 0.002, 0, 0.05, sources=1) == zero_found_wording(5000, 0.002, 0, 0.05)


@given(
    st.integers(0, 3), st.booleans(), st.sampled_from([CALM, EXCESS, RUN]), st.integers(0, 2), st.booleans(),
    st.integers(0, 100), st.integers(0, 3),
)  # fmt: skip
def test_every_outcome_follows_the_table(flagged, ids, cohort, leaks, whole, found, suspects):
    verdict, reasons = decided(
        **{
            **CLEAN,
            "flagged": flagged,
            "patients_exposed": min(flagged, 1),
            "patient_level": ids,
            "cohort": cohort,
            "duplicates_across": leaks,
            "searched_whole": whole,
            "power": {"blur": clopper_pearson(found, 100)},
            "suspects": suspects,
        }
    )
    weak = clopper_pearson(found, 100).low < 0.9
    if flagged or (cohort.rejects and not leaks):
        assert verdict == DO_NOT_RELEASE
    elif weak or leaks or not ids or not whole:
        assert verdict == INCONCLUSIVE
    else:
        assert verdict == RELEASE_SUPPORTED
    assert reasons
    for reason in reasons:
        assert reason[-1] == "." and (reason[0].isupper() or reason[0].isdigit())
        assert not re.search(r"\d e-|\de[-+]\d|nan|None|inf\b|\b1 (images|patients|copies|pairs)\b", reason)


def test_flags_that_are_other_pictures_refuse_and_are_not_called_copies():
    copied, reasons = decided(**{**CLEAN, "flagged": 3, "patients_exposed": 2})
    assert copied == DO_NOT_RELEASE and "copy a training patient's scan" in reasons[0]
    for flagged, person in ((3, 1), (3, 3), (1, 1)):
        verdict, said = decided(**{**CLEAN, "flagged": flagged, "patients_exposed": 1, "same_person": person})
        assert verdict == DO_NOT_RELEASE
        assert "a training patient away" in said[0] and "scan" not in said[0]
        assert "another picture of the same person" in said[1] and said[2:] == reasons[1:]
