"""The files of a review: the key of a page, the verdicts that come back from it, and what they decide.

The page that a reviewer opens knows opaque items only; `key.json`, which stays with whoever made the page, says which
item is a flagged pair and which a control. Verdicts come from a browser and are read as from a stranger.
"""

import re
from datetime import date as calendar_date
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, ValidationError

from medaudit.artifacts.identifying import holds_pseudonym
from medaudit.artifacts.records import RateRecord, Record
from medaudit.artifacts.store import Artifact, open_artifact
from medaudit.errors import ArtifactBroken, ReviewMismatch

PAGE, KEY, REVIEW_JSON = "page.html", "key.json", "review.json"
VERDICTS_SCHEMA = "medaudit.verdicts/1"

Said = Literal["copy", "same-person", "not-a-copy", "unsure"]
Control = Literal["", "planted", "different"]
Decision = Literal["cleared", "stands", "withheld"]

# Why a pair is not a copy. Only these words leave the hospital; notes stay inside.
REASONS = {
    "anatomy": "the anatomy differs (ribs, heart, lungs, soft tissue)",
    "objects": "devices, lines, implants or markers differ",
    "position": "alike only in position and exposure",
    "nobody": "the synthetic image shows no recognisable person",
    "other": "another reason, in the reviewer's note",
}
Reason = Literal["anatomy", "objects", "position", "nobody", "other"]

LONGEST_NOTE, LONGEST_NAME = 2000, 80
_MOST_BYTES = 16 << 20
R = TypeVar("R", bound=Record)
_CODE = re.compile(
    r"[0-9a-f]{16}", re.IGNORECASE
)  # no role or name needs one, be it a pseudonym's or a hash's
_NAMED = re.compile(r"[\w .,'()&-]*")  # no slash, no @, nothing that a page or a path could be made of
_LONG_NUMBER = re.compile(r"\d{5}|\d{2,4}-\d{1,2}-\d{1,4}|\d{1,2}\.\d{1,2}\.\d{2,4}")


def _printable(text: str) -> str:
    """Refuses control characters and marks that turn the direction of writing."""
    if any(not (one.isprintable() or one in "\n\t") for one in text):
        raise ValueError("a text holds a character that cannot be printed")
    return text


def _is_day(text: str) -> str:
    if text:
        calendar_date.fromisoformat(text)
    return text


def _publishable(text: str) -> str:
    """A role or name for the outside: no pseudonym, path, address, date or long number."""
    if not _NAMED.fullmatch(text) or _CODE.search(text) or holds_pseudonym(text) or _LONG_NUMBER.search(text):
        raise ValueError("not a role or a name")
    return text


Note = Annotated[str, StringConstraints(max_length=LONGEST_NOTE), AfterValidator(_printable)]
Name = Annotated[
    str,
    StringConstraints(min_length=1, max_length=LONGEST_NAME, strip_whitespace=True),
    AfterValidator(_printable),
]
NamedAs = Annotated[
    str,
    StringConstraints(max_length=LONGEST_NAME, strip_whitespace=True),
    AfterValidator(_printable),
    AfterValidator(_publishable),
]
ItemId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
Day = Annotated[str, StringConstraints(max_length=10), AfterValidator(_is_day)]  # YYYY-MM-DD or empty


class Item(Record):
    """One pair of a page, and what it is."""

    item: ItemId
    control: Control  # "": a flagged pair
    synthetic_id: int | None  # row of S; None for a control
    train_id: int  # row of T beside it
    made_of: int | None = None  # row of T that the image of a control was made of
    plant: str | None = None  # the edit it went through


class Key(Record):
    """The whole of `key.json`, items in the order of the page."""

    schema_: Literal["medaudit.review-key/1"] = Field("medaudit.review-key/1", alias="schema")
    page: str
    items: list[Item]

    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class Answer(Record):
    """What a reviewer said of one item."""

    item: ItemId
    answer: Said
    reason: Reason | None = None  # of not-a-copy
    note: Note = ""
    withhold: bool = False


class Verdicts(Record):
    """The file that a page exports."""

    schema_: Literal["medaudit.verdicts/1"] = Field("medaudit.verdicts/1", alias="schema")
    page: Annotated[str, StringConstraints(max_length=64)]
    reviewer: Name
    named_as: NamedAs = ""  # role or name for the outside
    date: Day = ""
    answers: Annotated[list[Answer], Field(max_length=100_000)]

    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class ReviewerRecord(Record):
    """A reviewer, and what the controls say of the reviewer's eye."""

    reviewer: str  # stays inside
    named_as: str
    date: str
    sensitivity: RateRecord | None  # planted copies called a copy or the same person; None: none on the page
    specificity: RateRecord | None  # pairs of different people called not a copy
    trusted: bool  # the lower limit of the sensitivity reaches what is required


class AgreementOfTwo(Record):
    """Cohen's kappa of two reviewers, by place in `reviewers`, over the flagged pairs."""

    first: int
    second: int
    pairs: int
    agreed: int
    kappa: float | None  # None: both gave one and the same answer to every pair
    low: float | None
    high: float | None
    confidence: float


class PairAnswer(Record):
    """One reviewer's answer to one pair, the reviewer by place."""

    reviewer: int
    answer: Said
    reason: Reason | None
    note: str
    withhold: bool


class ReviewedPair(Record):
    """A synthetic image beside one film."""

    train_id: int
    answers: list[PairAnswer]


class ReviewedImage(Record):
    """A flagged image and what becomes of its flag."""

    synthetic_id: int
    decision: Decision
    why: str
    pairs: list[ReviewedPair]


class Review(Record):
    """The whole of `review.json`."""

    schema_: Literal["medaudit.review/1"] = Field("medaudit.review/1", alias="schema")
    page: str
    reviewers: list[ReviewerRecord]
    agreement: list[AgreementOfTwo]
    required_reviewers: int
    required_sensitivity: float
    flagged: int
    cleared: int
    stands: int
    withheld: int
    reasons: dict[Reason, int]  # answers that cleared, by reason
    images: list[ReviewedImage]

    model_config = ConfigDict(extra="forbid", populate_by_name=True)


def read_verdicts(path: Path) -> Verdicts:
    """Read a file that a page exported. Raises ReviewMismatch with what is wrong and none of what it holds."""
    name = path.name
    try:
        if not path.is_file() or path.stat().st_size > _MOST_BYTES:
            raise ReviewMismatch(f"{name} is not a file of verdicts; give the one that the page exported")
        return Verdicts.model_validate_json(path.read_bytes())
    except OSError:
        raise ReviewMismatch(f"{name} cannot be read; give the file that the page exported") from None
    except ValueError as error:
        fields = _places(error)
        raise ReviewMismatch(
            f"{name} does not fit {VERDICTS_SCHEMA}{fields}; export it from the page again"
        ) from None


def _places(error: ValueError) -> str:
    """The fields that did not fit, by our own names only."""
    errors = error.errors() if isinstance(error, ValidationError) else []
    known = {"schema", *Verdicts.model_fields, *Answer.model_fields}
    seen = {str(part) for one in errors for part in one["loc"] if str(part) in known}
    return f" ({', '.join(sorted(seen))})" if seen else ""


def open_page(path: Path) -> tuple[Artifact, Key]:
    """Open the folder of a page and its key."""
    artifact = open_artifact(path, "review")
    return artifact, _record(artifact, KEY, Key)


def open_review(path: Path) -> tuple[Artifact, Review]:
    """Open a review whose verdicts were applied."""
    artifact = open_artifact(path, "reviewed")
    return artifact, _record(artifact, REVIEW_JSON, Review)


def _record(artifact: Artifact, name: str, kind: type[R]) -> R:
    try:
        return kind.model_validate_json(artifact.file(name).read_bytes())
    except (OSError, ValueError):
        raise ArtifactBroken(
            f"{artifact.path}: {name} does not fit its schema; run medaudit review again"
        ) from None
