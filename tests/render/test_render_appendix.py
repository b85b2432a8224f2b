"""The appendix says where power falls and what was not planted."""

import report_samples as samples

from medaudit.render.appendix import controls
from medaudit.render.document import Paragraph


def paragraphs(**said: object) -> list[str]:
    section = controls(samples.summary(controls=samples.audit().controls.model_copy(update=said)))
    assert section is not None
    return [block.text for block in section.blocks if isinstance(block, Paragraph)]


def test_weak_strengths_and_missing_kinds_are_named() -> None:
    second = samples.audit().controls.planted[1]
    plain = paragraphs()
    extra = paragraphs(
        falls_under={"noise": second.strength}, not_planted=["blend-0.5"], given_up=["crop-75", "three"]
    )
    assert set(plain) < set(extra) and len(extra) == len(plain) + 3
    falls, missing, left = (sentence for sentence in extra if sentence not in plain)
    assert "under 80 %" in falls
    assert "could not be planted" in missing and "blended" in missing
    assert "controls: quick" in left and "75 %" in left
