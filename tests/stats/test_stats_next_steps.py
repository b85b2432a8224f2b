"""What would change the verdict: each situation by itself, and sentences that a hospital can act on."""

import dataclasses
import re
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medaudit.stats.cohort_test import smallest_detectable_run
from medaudit.stats.intervals import clopper_pearson
from medaudit.stats.next_steps import (
    NOTHING_LEFT,
    WITHHOLD,
    Rest,
    Standing,
    needed_holdout,
    needed_plants,
    next_steps,
    ordered_steps,
    remainder_wording,
)
from medaudit.stats.reasons import CohortEvidence
from medaudit.stats.step_codes import CONTRADICTIONS, Code
from medaudit.stats.verdict import DO_NOT_RELEASE, INCONCLUSIVE, RELEASE_SUPPORTED

CALM = CohortEvidence(
    nearest_in_train=260, of=500, expected=250.0, excess_p=0.2, excess_alpha=0.01, run_length=1, run_patients=1,
    run_p=0.5, run_alpha=0.01, run_detectable=7, run_needed=7,
)  # fmt: skip
RUN = dataclasses.replace(CALM, run_length=40, run_patients=31, run_p=1e-12)
DOUBTFUL = Standing(
    verdict=INCONCLUSIVE, synthetic=500, flagged=0, patients_exposed=0, train_patients=120, holdout_patients=110,
    cohort=CALM, power={"flip": clopper_pearson(100, 100)},
)  # fmt: skip
PASSES = Rest(RELEASE_SUPPORTED, ("0 of 488 images were found.",), 488, 0, False, 0.025)
FLAGGED = dataclasses.replace(DOUBTFUL, verdict=DO_NOT_RELEASE, flagged=12, patients_exposed=5, rest=PASSES)

SITUATIONS = {
    "leak": ({"duplicates_across": 2}, "Run dedup on the whole real cohort, split it again"),
    "twins in T": ({"duplicates_in_train": 1}, "1 pair of training films stand"),
    "one id": ({"one_id": True}, "Read the patient ids again"),
    "no ids": ({"patient_level": False}, "Ingest again with patient ids"),
    "source": ({"source_differs": True}, "Ingest the films of training and hold-out together"),
    "blind": (
        {"holdout_patients": 2, "cohort": dataclasses.replace(CALM, run_detectable=None, run_needed=None)},
        "with at least 5 more held-out patients",
    ),
    "over half": (
        {"holdout_patients": 4, "cohort": dataclasses.replace(CALM, run_detectable=81, run_needed=81)},
        "with at least 3 more held-out patients",
    ),
    "few images": (
        {"distinct": 3, "cohort": dataclasses.replace(CALM, run_detectable=None)},
        "Generate and audit more different images: the set holds 3, and the cohort test needs 7.",
    ),
    "few people": (
        {"without_line": True, "train_patients": 11, "holdout_patients": 9},
        "with at least 20 more held-out patients",
    ),
    "few people of one detector": (
        {"without_line": True, "train_patients": 900, "reference": 15},
        "with at least 25 more held-out patients",
    ),
    "few different people": ({"without_line": True}, "half and half is best"),
    "plants": ({"power": {"flip": clopper_pearson(20, 20)}}, "at least 36 of each kind"),
    "power": ({"power": {"flip": clopper_pearson(80, 100)}}, "it missed too many copies flip"),
    "no power": ({"power": {}}, "Name the kinds of copies"),
    "false alarms": ({"negative_broken": True}, "Look at the unseen people who were flagged"),
}


@pytest.mark.parametrize("name", SITUATIONS)
def test_each_doubt_has_its_step(name):
    change, words = SITUATIONS[name]
    steps = next_steps(dataclasses.replace(DOUBTFUL, **change))
    assert len(steps) == 1 and words in steps[0]


def test_nothing_to_do():
    assert next_steps(dataclasses.replace(DOUBTFUL, verdict=RELEASE_SUPPORTED, duplicates_in_train=3)) == []


def test_flags_that_withholding_mends():
    steps = next_steps(FLAGGED)
    assert steps[0] == "Withhold the 12 flagged images: they are marked `flagged` in matches.parquet."
    assert steps[1] == (
        "Withholding the 12 flagged images would be enough: the remaining 488 images pass the same audit with the "
        "0.025 of alpha that a second look has; release with --withhold-flagged writes them."
    )
    assert steps[2].startswith("5 training patients of 120 account for the flags") and len(steps) == 3


@pytest.mark.parametrize(
    ("rest", "words"),
    [
        (
            Rest(DO_NOT_RELEASE, ("x",), 488, 3, False, 0.025),
            "among the remaining 488 images, 3 more are flagged.",
        ),
        (Rest(DO_NOT_RELEASE, ("x",), 488, 0, True, 0.025), "the cohort test still rejects."),
        (
            Rest(DO_NOT_RELEASE, ("x",), 1, 1, True, 0.025),
            "1 more is flagged and the cohort test still rejects.",
        ),
        (
            Rest(INCONCLUSIVE, ("x",), 488, 0, True, 0.025),
            "an audit of the remaining 488 images is inconclusive",
        ),
    ],
)
def test_flags_that_withholding_does_not_mend(rest, words):
    sentence = remainder_wording(12, rest)
    assert (
        sentence.startswith("Withholding the 12 flagged images would not be enough: ") and words in sentence
    )
    steps = next_steps(dataclasses.replace(FLAGGED, rest=rest))
    assert steps[0] == sentence and not any(step.startswith(WITHHOLD) for step in steps)
    assert any(step.startswith("Train again so that") for step in steps) == (rest.verdict == DO_NOT_RELEASE)


def test_no_rest_to_judge():
    everything = next_steps(dataclasses.replace(FLAGGED, flagged=500, rest=None))
    assert everything[0].startswith("Every image is flagged")
    again = next_steps(dataclasses.replace(FLAGGED, rest=None, second_look=True))
    assert "withheld once already" in again[0] and not any(step.startswith(WITHHOLD) for step in again)
    whole = next_steps(dataclasses.replace(DOUBTFUL, verdict=DO_NOT_RELEASE, cohort=RUN))
    assert [step.split(":")[0] for step in whole] == ["Train again so that the model remembers less"]


def test_doubts_of_an_undecided_rest_are_told_too():
    rest = Rest(INCONCLUSIVE, ("The audit found 80 of 100 planted mirrored copies.",), 488, 0, False, 0.025)
    steps = next_steps(
        dataclasses.replace(
            FLAGGED, rest=rest, power={"flip": clopper_pearson(80, 100)}, duplicates_in_train=4
        )
    )
    about = "Without the 12 flagged images: "
    assert steps[1] == f"{about}the audit found 80 of 100 planted mirrored copies."
    assert next(step for step in steps if "missed too many copies flip" in step).startswith(about)
    assert any("4 pairs of training films stand" in step for step in steps)


@pytest.mark.parametrize(("train", "different"), [(60, 48), (700, 500), (120, 7), (31, 400)])
def test_needed_holdout_is_the_first_that_does(train, different):
    found = needed_holdout(train, different, 0.01)
    most = min(different, train // 2)
    twin = next(n for n in range(1, 5000) if (smallest_detectable_run(train, n, 0.01) or 10**9) <= most)
    assert found == twin


def test_no_holdout_helps_one_image_or_one_patient():
    assert needed_holdout(60, 0, 0.01) is None and needed_holdout(1, 50, 0.01) is None
    nobody = dataclasses.replace(CALM, run_detectable=None, run_needed=None)
    steps = next_steps(dataclasses.replace(DOUBTFUL, train_patients=1, cohort=nobody))
    assert steps == [
        "Bring more people: 1 training patient and 500 different images are too few for any hold-out to help."
    ]


@pytest.mark.parametrize("required", [0.5, 0.8, 0.9, 0.95])
def test_needed_plants_is_the_first_that_does(required):
    twin = next(n for n in range(1, 2000) if clopper_pearson(n, n, 0.95).low >= required)
    assert needed_plants(required, 0.95) == twin


@given(
    st.sampled_from([DO_NOT_RELEASE, INCONCLUSIVE]), st.integers(0, 500), st.sampled_from([None, PASSES]),
    st.sampled_from([CALM, RUN, SITUATIONS["blind"][0]["cohort"]]), st.lists(st.sampled_from(sorted(SITUATIONS))),
)  # fmt: skip
def test_every_step_is_a_sentence(verdict, flagged, rest, cohort, names):
    standing = dataclasses.replace(
        DOUBTFUL, verdict=verdict, flagged=flagged, rest=rest if flagged else None, cohort=cohort
    )
    for name in names:
        standing = dataclasses.replace(standing, **SITUATIONS[name][0])
    for step in next_steps(standing):
        assert step[-1] == "." and (step[0].isupper() or step[0].isdigit()) and len(step) < 400
        assert not re.search(r"nan|None|inf\b|\b1 (images|patients|copies|pairs)\b", step)


ALL_FEW = dataclasses.replace(CALM, run_detectable=None, run_needed=8)
RESTS = [
    None,
    PASSES,
    Rest(DO_NOT_RELEASE, ("Too close.",), 488, 3, True, 0.025),
    Rest(
        INCONCLUSIVE,
        ("The audit found 89 of 100.",),
        488,
        0,
        False,
        0.025,
        {"flip": clopper_pearson(89, 100)},
        488,
        CALM,
    ),
    Rest(INCONCLUSIVE, ("The set holds only 3.",), 3, 0, False, 0.025, {}, 3, ALL_FEW),
]
COMBINATIONS = given(
    st.sampled_from([DO_NOT_RELEASE, INCONCLUSIVE]), st.sampled_from([0, 1, 12, 500]), st.sampled_from(RESTS),
    st.booleans(), st.sampled_from([CALM, RUN, SITUATIONS["blind"][0]["cohort"]]),
    st.lists(st.sampled_from(sorted(SITUATIONS)), unique=True),
)  # fmt: skip


@COMBINATIONS
def test_no_step_is_made_useless_by_another(verdict, flagged, rest, second_look, cohort, names):
    if not flagged or second_look or flagged == 500:
        rest = None  # as look_again has it
    if flagged:
        verdict = DO_NOT_RELEASE  # as decide has it
    standing = dataclasses.replace(
        DOUBTFUL, verdict=verdict, flagged=flagged, rest=rest, second_look=second_look, cohort=cohort
    )
    for name in names:
        standing = dataclasses.replace(standing, **SITUATIONS[name][0])
    found = ordered_steps(standing)
    codes = [step.code for step in found]
    assert len(codes) == len(set(codes))
    assert not [pair for pair in combinations(codes, 2) if frozenset(pair) in CONTRADICTIONS]
    if rest is not None:
        assert (Code.ENOUGH in codes) == rest.enough and (Code.WITHHOLD in codes) == rest.enough
        about_rest = {
            Code.WHY_NOT,
            Code.PLANT_MORE,
            Code.SEE_MORE,
            Code.NAME_KINDS,
            Code.MORE_IMAGES,
            Code.MORE_HELD_OUT,
        }
        for step in found:
            assert step.code not in about_rest or step.text.startswith(f"Without the {flagged} flagged image")


def test_the_power_of_the_rest_and_not_of_the_whole_decides_what_is_advised():
    """Everything was found among all images, 89 of 100 at the half alpha of the rest."""
    standing = dataclasses.replace(FLAGGED, rest=RESTS[3])
    assert [step.code for step in ordered_steps(standing)] == [
        Code.NOT_ENOUGH, Code.WHY_NOT, Code.TRAIN_WITHOUT, Code.SEE_MORE,
    ]  # fmt: skip


def test_the_need_of_the_rest_is_that_of_its_own_alpha():
    """The whole set needs 7 images in a run, the rest with half of alpha 8: one number is told."""
    text = " ".join(next_steps(dataclasses.replace(FLAGGED, rest=RESTS[4])))
    assert "the set holds 3, and the cohort test needs 8" in text and "needs 7" not in text


def test_the_list_of_contradictions_would_fire():
    assert frozenset((Code.WITHHOLD, Code.NOT_ENOUGH)) in CONTRADICTIONS and len(CONTRADICTIONS) > 12
    assert all(len(pair) == 2 and pair <= set(Code) for pair in CONTRADICTIONS)


def test_images_that_are_out_are_not_among_those_that_remain() -> None:
    rest = dataclasses.replace(PASSES, synthetic=40)
    said = remainder_wording(2, rest, 48)
    assert "the remaining 40 images, with the 48 that are out already, pass the same audit" in said
    assert said.endswith("writes the remaining 40 images.") and "them" not in said
    one = dataclasses.replace(rest, verdict=DO_NOT_RELEASE, flagged=1)
    assert remainder_wording(2, one, 1).endswith(
        "among the remaining 40 images, with the 1 that is out already, 1 more is flagged."
    )
    assert remainder_wording(2, PASSES).endswith("writes them.")
    steps = next_steps(dataclasses.replace(FLAGGED, synthetic=12, rest=None))
    assert steps[0] == NOTHING_LEFT and next_steps(FLAGGED)[0].startswith(WITHHOLD)
