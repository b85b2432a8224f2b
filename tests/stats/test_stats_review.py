"""What reviewers' answers decide: sensitivity and specificity with their limits, and a rule that keeps in doubt."""

import itertools

import pytest

from medaudit.stats.review import ANSWERS, CLEARED, STANDS, WITHHELD, Bar, decide, sensitivity, specificity

BAR = Bar(reviewers=2, sensitivity=0.8)
NO, YES, PERSON, UNSURE = "not-a-copy", "copy", "same-person", "unsure"


def test_controls_are_counted_with_unsure_as_a_miss() -> None:
    found = sensitivity([YES] * 20 + [PERSON] * 5 + [UNSURE] + [NO])
    assert (found.count, found.of) == (25, 27)
    assert specificity([NO] * 9 + [UNSURE, YES]).count == 9


def test_a_bar_is_passed_by_the_lower_limit() -> None:
    """27 planted copies allow one miss; 16 of 16 are too few to show 0.8, 17 of 17 are enough."""
    assert BAR.trusts(sensitivity([YES] * 26 + [NO])) and not BAR.trusts(sensitivity([YES] * 25 + [NO] * 2))
    assert BAR.trusts(sensitivity([YES] * 17)) and not BAR.trusts(sensitivity([YES] * 16))
    assert not BAR.trusts(None)


def test_only_all_of_enough_trusted_reviewers_clear() -> None:
    """Every table of answers to two pairs by two reviewers: one alone clears."""
    cleared = []
    tables = list(itertools.product(ANSWERS, repeat=4))
    assert len(tables) == 256
    for one in tables:
        decision, why = decide([one[:2], one[2:]], False, "", [True, True], BAR)
        assert why
        if decision == CLEARED:
            cleared.append(one)
    assert cleared == [(NO,) * 4]


@pytest.mark.parametrize(
    ("answers", "withhold", "kept", "trusted", "decision", "why"),
    [
        ([[NO, NO]], False, "", [True, True], CLEARED, "every reviewer"),
        ([[NO, NO]], True, "", [True, True], WITHHELD, "leave it out"),
        ([[YES, NO]], True, "", [True, True], STANDS, "differ"),
        ([[NO, NO]], False, "an exact copy", [True, True], STANDS, "exact copy"),
        ([[NO, NO]], False, "", [True, False], STANDS, "planted copies"),
        ([[NO]], False, "", [True], STANDS, "too few reviewers looked"),
        ([[NO, NO, NO]], False, "", [True, False, True], CLEARED, "every reviewer"),
        ([[NO, NO, UNSURE]], False, "", [True, True, False], STANDS, "differ"),
        ([[UNSURE, UNSURE]], False, "", [True, True], STANDS, "nobody is sure"),
        ([[YES, PERSON]], False, "", [True, True], STANDS, "seen as a copy"),
        ([[PERSON, PERSON]], False, "", [True, True], STANDS, "same person"),
        ([], False, "", [True, True], STANDS, "not shown"),
    ],
)
def test_the_rule(
    answers: list[list[str]], withhold: bool, kept: str, trusted: list[bool], decision: str, why: str
) -> None:
    found = decide(answers, withhold, kept, trusted, BAR)
    assert found[0] == decision and why in found[1]
