"""The document: what a report says, before it is a page. HTML, PDF and JSON print the same one.

A document is sections of blocks, all inert records. A number stands beside its text (`Cell.value`), so that the
JSON holds every number of the page. Figures carry their pictures here and only their digest into the JSON.
"""

import base64
import hashlib
import json
import math
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from medaudit.artifacts.records import Verdict

SCHEMA = "medaudit.report/1"

Edition = Literal["shareable", "confidential"]
EDITIONS: tuple[Edition, ...] = ("shareable", "confidential")
DRAWING = "image/svg+xml"
Number = int | float | None


def _finite(value: Number) -> Number:
    return value if value is None or math.isfinite(value) else None


class Part(BaseModel):
    """A part of a document: frozen, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Cell(Part):
    """One cell of a table: its text, and the number behind it where there is one."""

    text: str
    value: Annotated[Number, AfterValidator(_finite)] = None


class Paragraph(Part):
    """Running text; `quiet` is small print."""

    kind: Literal["paragraph"] = "paragraph"
    text: str
    quiet: bool = False


class Bullets(Part):
    """A list of short sentences."""

    kind: Literal["bullets"] = "bullets"
    items: tuple[str, ...]


class KeyNumber(Part):
    """A number of the first page with its interval and the value it is to be held against."""

    name: str
    value: Cell
    interval: str = ""
    reference: Cell = Cell(text="")
    low: Number = None
    high: Number = None


class KeyNumbers(Part):
    """The table of key numbers."""

    kind: Literal["key-numbers"] = "key-numbers"
    caption: str
    rows: tuple[KeyNumber, ...]


class Table(Part):
    """A table, under a `title` where it has one; `numeric` names the columns set flush right, `weights` their relative
    widths."""

    kind: Literal["table"] = "table"
    title: str = ""
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    numeric: tuple[int, ...] = ()
    weights: tuple[int, ...] = ()


class Facts(Part):
    """Names and values, for headers and provenance; `code` sets the values in fixed width."""

    kind: Literal["facts"] = "facts"
    items: tuple[tuple[str, str], ...]
    code: bool = False


class Figure(Part):
    """A picture with its words. `picture` is an SVG or PNG file; `data` holds the numbers it was drawn from."""

    kind: Literal["figure"] = "figure"
    name: str  # of the file, letters and hyphens
    title: str
    caption: str
    alt: str
    media: Literal["image/svg+xml", "image/png"]
    picture: bytes = Field(repr=False)
    data: Table | None = None
    wide: bool = False

    @property
    def digest(self) -> str:
        """SHA-256 of the picture's bytes, hex."""
        return hashlib.sha256(self.picture).hexdigest()

    @property
    def data_uri(self) -> str:
        """The picture as a data URI."""
        return f"data:{self.media};base64,{base64.b64encode(self.picture).decode()}"


class SignOff(Part):
    """The block that a named person fills in by hand."""

    kind: Literal["sign-off"] = "sign-off"
    lead: str
    fields: tuple[str, ...] = ("Name", "Role", "Date", "Signature")
    decisions: tuple[str, ...] = ("Release", "Do not release", "More work needed")
    comment: str = "Comment"


class Glossary(Part):
    """Terms and their plain-language lines."""

    kind: Literal["glossary"] = "glossary"
    entries: tuple[tuple[str, str], ...]


class Commands(Part):
    """Lines to type."""

    kind: Literal["commands"] = "commands"
    lines: tuple[str, ...]


Block = Annotated[
    Paragraph | Bullets | KeyNumbers | Table | Facts | Figure | SignOff | Glossary | Commands,
    Field(discriminator="kind"),
]


class Section(Part):
    """A heading and its blocks; `page` says which side of the report it belongs to."""

    title: str
    blocks: tuple[Block, ...]
    page: Literal["first", "second", "appendix"] = "appendix"


class Document(Part):
    """A whole report. `header` and `verdict_sentence` open it; `numbers` are the facts it was written from."""

    title: str
    edition: Edition
    verdict: Verdict
    verdict_label: str
    verdict_sentence: str
    header: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]
    numbers: dict[str, Any]

    def figures(self) -> Iterator[Figure]:
        """Every figure, in order."""
        for section in self.sections:
            for block in section.blocks:
                if isinstance(block, Figure):
                    yield block

    def stated(self) -> Iterator[str]:
        """Hashes and dates that the report names on purpose: ids of its parents, and what the site states."""
        for group in ("origin", "site", "release", "previous"):
            values = self.numbers.get(group) or {}
            yield from (str(value) for value in values.values() if isinstance(value, str | int))
        for detector in (self.numbers.get("audit") or {}).get("detectors", ()):
            if detector["encoder"]:
                yield detector["encoder"]

    def body(self) -> dict[str, Any]:
        """The document as plain values: pictures replaced by their digests."""
        plain = self.model_dump(mode="python")
        for section in plain["sections"]:
            for block in section["blocks"]:
                if block["kind"] == "figure":
                    block["sha256"] = hashlib.sha256(block.pop("picture")).hexdigest()
        return plain

    def digest(self) -> str:
        """SHA-256 over the document's canonical JSON: the report's hash, printed in its own header and footer."""
        text = json.dumps(self.body(), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def to_json(self) -> str:
        """The file report.json: schema `medaudit.report/1`."""
        body = {"schema": SCHEMA, "document_sha256": self.digest(), **self.body()}
        return json.dumps(body, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
