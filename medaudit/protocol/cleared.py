"""What the ledger knows of flags that people decided, and of flags on images that are out already.

A flag that people cleared does not stand again for the same pair; one that nobody cleared stands until they do, or
until the release is withdrawn. A pair is a row of a synthetic cohort and a row of T, so it is the same only beside the
same T. What a review decided is in its own row of the ledger, or in that of the release that rests on it.
"""

from collections.abc import Iterator, Sequence, Set
from typing import Any

from medaudit.artifacts.ledger import Event
from medaudit.artifacts.review import Review
from medaudit.protocol.history import withdrawn
from medaudit.stats.review import NOT_A_COPY

Pair = tuple[int, int]  # a row of a synthetic cohort, a row of T


def review_facts(review: Review, verdicts: Sequence[str], withheld: Set[int] = frozenset()) -> dict[str, Any]:
    """What the ledger says of a review: counts, hashes of the files of verdicts, and the pairs as they were decided.

    `withheld`: rows of S that the release left out; their pairs are not among the cleared.
    """
    shown = [(one, pair) for one in review.images for pair in one.pairs]
    kept = [  # somebody saw a copy or was not sure; too few reviewers doubt nothing
        [one.synthetic_id, pair.train_id]
        for one, pair in shown
        if any(given.answer != NOT_A_COPY for given in pair.answers)
    ]
    cleared = [
        [one.synthetic_id, pair.train_id]
        for one, pair in shown
        if one.decision == "cleared" and one.synthetic_id not in withheld
    ]
    return {
        "verdicts": list(verdicts),
        "reviewers": len(review.reviewers),
        "flagged": review.flagged,
        "cleared": review.cleared,
        "stands": review.stands,
        "withheld": review.withheld,
        "pairs": {"cleared": cleared, "kept": kept},
    }


def cleared_pairs(events: Sequence[Event], synthetic: str, train: str) -> set[Pair]:
    """Pairs of these two cohorts that people cleared and that nobody in any review of the ledger doubted."""
    cleared: set[Pair] = set()
    kept: set[Pair] = set()
    for body in _reviews(events):
        if (body.get("synthetic"), body.get("train")) == (synthetic, train):
            cleared |= _pairs(body["pairs"]["cleared"])
            kept |= _pairs(body["pairs"]["kept"])
    return cleared - kept


def standing_flags(events: Sequence[Event], synthetic: str, inside: Set[int]) -> set[Pair]:
    """Pairs of a released cohort that an audit flagged after they went out and that people did not clear since.

    `inside`: its rows that no release let out.
    """
    flags: set[Pair] = set()
    for event in events:
        body = event.body if event.kind == "audit" else {}
        found = {
            pair
            for pair in _pairs(body.get("flagged_released", {}).get(synthetic, ()))
            if pair[0] not in inside
        }
        flags |= found - (cleared_pairs(events, synthetic, body["train"]) if found else set())
    return flags


def _reviews(events: Sequence[Event]) -> Iterator[dict[str, Any]]:
    """The facts of every review that names its pairs: of its own row, or of a release that was not withdrawn."""
    gone = withdrawn(events, "release")
    for event in events:
        if event.kind == "review" and "pairs" in event.body:
            yield event.body
        elif event.kind == "release" and event.subject not in gone and event.body.get("review"):
            body = event.body
            yield {"synthetic": body["synthetic"], "train": body["train"], **body["review"]}


def _pairs(listed: Sequence[Sequence[int]]) -> set[Pair]:
    return {(image, film) for image, film in listed}
