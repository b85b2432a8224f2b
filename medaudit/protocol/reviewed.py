"""Verdicts → a review: answers held against the key, controls counted, each flag decided, agreement of reviewers."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import combinations

import numpy as np

from medaudit.artifacts.records import RateRecord
from medaudit.artifacts.review import (
    AgreementOfTwo,
    Answer,
    Key,
    PairAnswer,
    Review,
    ReviewedImage,
    ReviewedPair,
    ReviewerRecord,
    Verdicts,
)
from medaudit.errors import ReviewMismatch
from medaudit.stats.intervals import Rate
from medaudit.stats.kappa import kappa
from medaudit.stats.review import CLEARED, NOT_A_COPY, STANDS, WITHHELD, Bar, decide, sensitivity, specificity

_CONFIDENCE = 0.95

Answers = Mapping[str, Answer]


def answers_of(verdicts: Verdicts, key: Key, name: str) -> Answers:
    """Answers by item. Raises ReviewMismatch unless they are of this page, one an item, each with what it needs."""
    if verdicts.page != key.page:
        raise ReviewMismatch(f"{name} holds verdicts of another page; give the page it came from with --page")
    given: dict[str, Answer] = {}
    for one in verdicts.answers:
        if one.item in given:
            raise ReviewMismatch(f"{name} answers one pair twice; export it from the page again")
        given[one.item] = one
    known = {item.item for item in key.items}
    strange, missing = len(given.keys() - known), len(known - given.keys())
    if strange:
        raise ReviewMismatch(
            f"{name} answers {strange} pairs that are not on the page; export it from the page again"
        )
    if missing:
        raise ReviewMismatch(
            f"{name} leaves {missing} of {len(known)} pairs without an answer; open the page again, finish, export"
        )
    for one in given.values():
        if one.answer == NOT_A_COPY and (
            one.reason is None or (one.reason == "other" and not one.note.strip())
        ):
            raise ReviewMismatch(
                f"{name} says `not a copy` without a reason (for `other`: a note); open the page again and give one"
            )
    return given


def review_of(
    key: Key, verdicts: Sequence[Verdicts], answers: Sequence[Answers], flagged: Sequence[int],
    kept: Mapping[int, str], bar: Bar,
) -> Review:  # fmt: skip
    """Decide every flagged image; `kept` says of which images no reviewer may clear the flag, and why."""
    reviewers = [
        _reviewer(one, given, key, bar, place)
        for place, (one, given) in enumerate(zip(verdicts, answers, strict=True), start=1)
    ]
    trusted = [one.trusted for one in reviewers]
    images = [_image(row, key, answers, kept.get(row, ""), trusted, bar) for row in sorted(flagged)]
    counts = {what: sum(one.decision == what for one in images) for what in (CLEARED, STANDS, WITHHELD)}
    cleared = [
        given.reason
        for one in images if one.decision == CLEARED
        for pair in one.pairs for given in pair.answers if given.reason is not None
    ]  # fmt: skip
    return Review(
        page=key.page,
        reviewers=reviewers,
        agreement=[_agreement(key, answers, a, b) for a, b in combinations(range(len(answers)), 2)],
        required_reviewers=bar.reviewers,
        required_sensitivity=bar.sensitivity,
        flagged=len(images),
        **counts,
        reasons={reason: cleared.count(reason) for reason in sorted(set(cleared))},
        images=images,
    )


def _reviewer(one: Verdicts, given: Answers, key: Key, bar: Bar, place: int) -> ReviewerRecord:
    said = {
        control: [given[item.item].answer for item in key.items if item.control == control]
        for control in ("planted", "different")
    }
    seen = sensitivity(said["planted"], _CONFIDENCE) if said["planted"] else None
    spared = specificity(said["different"], _CONFIDENCE) if said["different"] else None
    return ReviewerRecord(
        reviewer=one.reviewer,
        named_as=one.named_as or f"reviewer {place}",
        date=one.date,
        sensitivity=_rate(seen),
        specificity=_rate(spared),
        trusted=bar.trusts(seen),
    )


def _image(
    row: int, key: Key, answers: Sequence[Answers], kept: str, trusted: Sequence[bool], bar: Bar
) -> ReviewedImage:
    pairs = [
        ReviewedPair(
            train_id=item.train_id,
            answers=[
                PairAnswer(reviewer=place, **given[item.item].model_dump(exclude={"item"}))
                for place, given in enumerate(answers)
            ],
        )
        for item in key.items
        if item.synthetic_id == row
    ]
    said = [[one.answer for one in pair.answers] for pair in pairs]
    withhold = any(one.withhold for pair in pairs for one in pair.answers)
    decision, why = decide(said, withhold, kept, trusted, bar)
    return ReviewedImage(synthetic_id=row, decision=decision, why=why, pairs=pairs)  # type: ignore[arg-type]


def _agreement(key: Key, answers: Sequence[Answers], first: int, second: int) -> AgreementOfTwo:
    items = [item.item for item in key.items if not item.control]
    a, b = (np.array([answers[place][item].answer for item in items]) for place in (first, second))
    found = kappa(a, b, _CONFIDENCE)
    return AgreementOfTwo(
        first=first,
        second=second,
        pairs=len(items),
        agreed=int((a == b).sum()),
        kappa=None if found is None else found.value,
        low=None if found is None else found.low,
        high=None if found is None else found.high,
        confidence=_CONFIDENCE,
    )


def _rate(found: Rate | None) -> RateRecord | None:
    return None if found is None else RateRecord(**asdict(found))
