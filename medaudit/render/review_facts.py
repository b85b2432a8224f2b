"""The allow-list of a review: counts, names given for the outside, reasons from a closed list; no row and no note."""

from pydantic import BaseModel, ConfigDict

from medaudit.artifacts.records import Verdict
from medaudit.artifacts.review import NamedAs, Reason


class _Facts(BaseModel):
    model_config = ConfigDict(frozen=True, from_attributes=True, extra="forbid")


class ShareFacts(_Facts):
    """`count` of `of` controls, with its interval."""

    value: float
    low: float
    high: float
    count: int
    of: int
    confidence: float


class ReviewerFacts(_Facts):
    """A reviewer by the name given for the outside."""

    named_as: NamedAs
    sensitivity: ShareFacts | None
    specificity: ShareFacts | None
    trusted: bool


class TwoReviewersFacts(_Facts):
    """Cohen's kappa of two reviewers, by place; None where it is not defined."""

    first: int
    second: int
    pairs: int
    agreed: int
    kappa: float | None
    low: float | None
    high: float | None
    confidence: float


class ReviewFacts(_Facts):
    """What people decided about the flags of an audit."""

    reviewers: tuple[ReviewerFacts, ...]
    agreement: tuple[TwoReviewersFacts, ...]
    required_reviewers: int
    required_sensitivity: float
    flagged: int
    cleared: int
    stands: int
    withheld: int
    reasons: dict[Reason, int]
    then: Verdict | None = None  # of the audit without its flags, where all are cleared
