"""What people's answers to flagged pairs decide. Conservative: whatever is not cleared by all stays flagged.

Axes: R reviewers; P pairs of one flagged image (detectors may name different films); n controls.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from medaudit.stats.intervals import Rate, clopper_pearson

COPY, SAME_PERSON, NOT_A_COPY, UNSURE = ANSWERS = ("copy", "same-person", "not-a-copy", "unsure")
CLEARED, STANDS, WITHHELD = "cleared", "stands", "withheld"


def sensitivity(answers: Sequence[str], confidence: float = 0.95) -> Rate:
    """(n,) answers to planted copies → the share called a copy, or the same person; `unsure` is a miss."""
    return clopper_pearson(sum(one in (COPY, SAME_PERSON) for one in answers), len(answers), confidence)


def specificity(answers: Sequence[str], confidence: float = 0.95) -> Rate:
    """(n,) answers to pairs of different people → the share called not a copy; `unsure` is a miss."""
    return clopper_pearson(sum(one == NOT_A_COPY for one in answers), len(answers), confidence)


@dataclass(frozen=True)
class Bar:
    """What it takes to clear a flag: so many reviewers, each with a sensitivity whose lower limit is this or more."""

    reviewers: int
    sensitivity: float

    def trusts(self, found: Rate | None) -> bool:
        """Whether a reviewer's controls carry a vote; without controls nothing is known of the reviewer."""
        return found is not None and found.low >= self.sensitivity


def decide(
    answers: Sequence[Sequence[str]], withhold: bool, kept: str, trusted: Sequence[bool], bar: Bar
) -> tuple[str, str]:
    """(P, R) answers about one image → the decision and why.

    withhold: a reviewer wants the image left out whatever the answer. kept: why the flag is none that people may
    clear, or "". trusted: (R,) whether each reviewer's controls carry a vote; the vote of one whose do not can keep
    a flag and not clear it.
    """
    said = {one for pair in answers for one in pair}
    votes = [
        all(pair[place] == NOT_A_COPY for pair in answers) and ok for place, ok in enumerate(trusted)
    ]  # (R,)
    if not said:
        return STANDS, "it was not shown to a reviewer"
    if said != {NOT_A_COPY}:
        return STANDS, _doubt(said)
    if kept:
        return STANDS, kept
    if withhold:
        return WITHHELD, "a reviewer asked to leave it out"
    if sum(votes) >= bar.reviewers:
        return CLEARED, "every reviewer says that it is not a copy"
    if len(trusted) < bar.reviewers:
        return STANDS, "too few reviewers looked at it"
    return STANDS, "too few reviewers are shown, on the planted copies, to see copies well enough"


def _doubt(said: set[str]) -> str:
    """Why a flag stands of which not everyone says that it is no copy."""
    if NOT_A_COPY in said:
        return "the answers differ"
    if said == {UNSURE}:
        return "nobody is sure"
    return "it is seen as a copy" if COPY in said else "it is seen as the same person"
