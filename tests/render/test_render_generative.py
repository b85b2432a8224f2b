"""What the report says of the generative control and of controls left out, with numbers that can be found again."""

from typing import Any

import report_samples as samples

from medaudit.render import build
from medaudit.render.build import words
from medaudit.render.facts import ControlFacts, GenerativeFacts

POWER = {"value": 93 / 100, "low": 0.6113, "high": 1.0, "count": 93, "of": 100, "confidence": 0.95}
MADE: dict[str, Any] = {
    "films": 16, "steps": 600, "generated": 123, "clear": 100, "patients": 11, "ratio_line": 1 / 3,
    "median_ratio": 0.1472, "median_rmse": 0.0219, "learnt_at": (128, 101), "power": POWER,
    "by_detector": {"rmse": {**POWER, "count": 41, "value": 0.41}},
}  # fmt: skip


def said(**changes: Any) -> str:
    """Every word of a supported report whose controls have these facts."""
    before = samples.summary("supported").audit
    assert before is not None
    controls = ControlFacts.model_validate({**before.controls.model_dump(), **changes})
    document = build.shareable(samples.summary("supported", controls=controls))
    return "\n".join(words(document.body())).replace("\u00a0", " ")


def test_the_power_is_a_key_number_and_the_appendix_tells_the_rest() -> None:
    text = said(generative=GenerativeFacts(**MADE))
    assert "Power for copies by an over-trained model" in text and "61.1 % to 100 %, over 11 patients" in text
    assert text.count("93 of 100 (93.0 %)") == 2 and "41 of 100 (41.0 %)" in text
    assert "101 x 128, so its copies are blurred" in text and "at least 3 times nearer" in text
    assert "23 other images" in text and "0.147" in text and "0.0219" in text
    assert "A small generator that was made to learn a few training films by heart" in text  # the glossary


def test_no_clear_copy_leaves_no_key_number() -> None:
    none = {**MADE, "clear": 0, "patients": 0, "power": None, "by_detector": {}, "median_rmse": None}
    text = said(generative=GenerativeFacts(**none))
    assert "no image was a clear copy" in text and "Power for copies by an over-trained model" not in text


def test_what_was_left_out_and_why() -> None:
    text = said(
        given_up=("blur-3", "generative"), generative_not_run="left out to save time (controls: quick)"
    )
    assert "Left out to save time (controls: quick): " in text
    assert "copies by an over-trained model." in text and "blurred, " in text
    assert "not run; left out to save time" in text
    assert "not run;" not in said() and "Left out to save time" not in said()
