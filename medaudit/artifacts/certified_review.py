"""What a certificate says when people cleared flags: how many, who by the name given, how well they see, and why."""

from collections.abc import Iterator, Set

from medaudit.artifacts.records import RateRecord, Record
from medaudit.artifacts.review import REASONS, AgreementOfTwo, NamedAs, Reason, Review

LEAST_SENSITIVITY = 0.5  # a bar under this would clear flags on the word of someone who tosses a coin
_ROUNDING = 1e-9


class CertifiedReviewer(Record):
    """A reviewer by the name or role given for the outside, and the controls."""

    named_as: NamedAs
    sensitivity: RateRecord | None
    specificity: RateRecord | None
    trusted: bool


class CertifiedReview(Record):
    """The part of the certificate about flags that people cleared; no row, no note, no reviewer's own name."""

    review_id: str
    cleared: int
    reviewers: list[CertifiedReviewer]
    agreement: list[AgreementOfTwo]
    required_reviewers: int
    required_sensitivity: float
    reasons: dict[Reason, int]  # answers by reason


def certified_review(review: Review, review_id: str, withheld: Set[int]) -> CertifiedReview:
    """What of a review goes into the certificate of a release without the rows `withheld`: of what goes out alone."""
    out = [one for one in review.images if one.decision == "cleared" and one.synthetic_id not in withheld]
    said = [
        given.reason
        for one in out
        for pair in one.pairs
        for given in pair.answers
        if given.reason is not None
    ]
    return CertifiedReview(
        review_id=review_id,
        cleared=len(out),
        reviewers=[
            CertifiedReviewer(**{name: getattr(one, name) for name in CertifiedReviewer.model_fields})
            for one in review.reviewers
        ],
        agreement=review.agreement,
        required_reviewers=review.required_reviewers,
        required_sensitivity=review.required_sensitivity,
        reasons={reason: said.count(reason) for reason in sorted(set(said))},
    )


def wrong_review(review: CertifiedReview) -> Iterator[str]:
    """What does not hold in it: counts, limits and votes are checked again from the numbers themselves."""
    if review.cleared < 1 or review.required_reviewers < 1:
        yield "clears flags without anyone to do so"
    if not LEAST_SENSITIVITY <= review.required_sensitivity < 1:
        yield "asks of its reviewers less than a coin shows"
    for one in review.reviewers:
        rates = [rate for rate in (one.sensitivity, one.specificity) if rate is not None]
        if not all(map(_holds, rates)) or one.trusted != _trusts(one, review.required_sensitivity):
            yield "states numbers of a reviewer that do not fit together"
    if sum(one.trusted for one in review.reviewers) < review.required_reviewers:
        yield "clears flags by fewer reviewers than it asks for"
    if not set(review.reasons) <= set(REASONS) or sum(review.reasons.values()) < review.cleared * len(
        review.reviewers
    ):
        yield "clears flags without a reason for each"


def _trusts(one: CertifiedReviewer, required: float) -> bool:
    return one.sensitivity is not None and one.sensitivity.low >= required


def _holds(rate: RateRecord) -> bool:
    if rate.of < 1 or not 0 <= rate.count <= rate.of or not 0.5 <= rate.confidence < 1:
        return False
    from medaudit.stats.intervals import (
        clopper_pearson,
    )  # a release without a review is verified without scipy

    again = clopper_pearson(rate.count, rate.of, rate.confidence)
    apart = (again.value - rate.value, again.low - rate.low, again.high - rate.high)
    return all(abs(one) <= _ROUNDING for one in apart)
