"""Tables beside a set of images: CSV in the spellings people use, joined to files by a key.

A rule says in words which columns make the key and which are wanted; the rest of a table is not kept.
"""

import codecs
import csv
import gzip
import hashlib
import io
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal, TextIO, cast

from medaudit.config import Settings
from medaudit.errors import UsageProblem
from medaudit.readers.naming import inside
from medaudit.readers.records import BLANK, patient_id
from medaudit.regular import open_regular

_FIELD = re.compile(r"\{([^{}]+)\}")


class LabelRule(Settings):
    """Where a table keeps findings: in one column (split or picked apart), or in a column per finding."""

    column: tuple[str, ...] = ()  # the first one present is read
    separator: str = ""  # regular expression between findings
    pattern: str = ""  # regular expression whose first group is one finding
    values: dict[str, str] | None = None  # cell → finding; "*" stands for every other cell
    columns: tuple[str, ...] = ()  # one column per finding
    yes: tuple[str, ...] = ("1", "1.0")  # cells of those columns that mean present


class TableRule(Settings):
    """A table: which file it is, and how its rows find their image."""

    files: tuple[str, ...]  # patterns of the file's name, at any depth
    columns: tuple[str, ...]  # the header must name these
    key: str  # template over columns
    key_pattern: str = ""  # the part of the key that counts
    film_key: str = "{path}"  # template over path, name, stem and the groups of the adapter's path
    required: bool = True  # the layout is not recognised by its tables without this one
    unlisted: Literal["keep", "refuse"] = "keep"  # images it does not name


@dataclass
class Table:
    """Rows of one table by key: the wanted columns, the findings, and keys named with two patients."""

    rule: TableRule
    rows: dict[str, tuple[dict[str, str], tuple[str, ...]]] = field(default_factory=dict)
    conflicts: set[str] = field(default_factory=set)
    outside: dict[str, None] = field(default_factory=dict)  # names that lead out of the source, in order


def fields(template: str) -> list[str]:
    """Names in braces, in order."""
    return _FIELD.findall(template)


def render(template: str, values: Mapping[str, str]) -> str | None:
    """The template with its fields filled in; None when one of them is absent or blank."""
    parts = {name: values.get(name, "").strip() for name in fields(template)}
    if any(part.lower() in BLANK for part in parts.values()):
        return None
    return _FIELD.sub(lambda match: parts[match.group(1)], template)


def first_of(templates: tuple[str, ...], values: Mapping[str, str]) -> str | None:
    """The first template that can be filled in."""
    return next((text for text in (render(t, values) for t in templates) if text), None)


def header(path: Path) -> list[str]:
    """Column names of a CSV file, stripped. Raises UsageProblem when it cannot be read."""
    with _opened(path, whole=False) as stream:
        return [name.strip() for name in next(_reader(path, stream), [])]


def rows(path: Path) -> Iterator[dict[str, str]]:
    """Rows of a CSV file by column name, stripped. Raises UsageProblem when it cannot be read."""
    return _rows(path, ())


def load(
    path: Path, rule: TableRule, wanted: set[str], patient: tuple[str, ...], labels: LabelRule | None
) -> Table:
    """Read a table. Rows under one key are joined: the first one's columns, everyone's findings.

    `patient` are the templates that name the patient: two rows of one key that differ there are a conflict.
    Raises UsageProblem for a table without the rule's columns or that cannot be read.
    """
    table = Table(rule)
    key_pattern = re.compile(rule.key_pattern) if rule.key_pattern else None
    for row in _rows(path, rule.columns):
        key = render(rule.key, row)
        if key is None:
            continue
        if key_pattern:
            found = key_pattern.search(key.replace("\\", "/"))
            if not found:
                continue
            key = found.group(0)
        name = inside(key)
        if name is None:
            table.outside[key] = None
            continue
        key = name
        findings = read_labels(labels, row) if labels else ()
        kept = table.rows.get(key)
        if kept is None:
            table.rows[key] = ({name: row[name] for name in wanted if row.get(name)}, findings)
            continue
        if patient_id(first_of(patient, row)) != patient_id(first_of(patient, kept[0])):
            table.conflicts.add(key)
        table.rows[key] = (kept[0], tuple(dict.fromkeys((*kept[1], *findings))))
    return table


def read_labels(rule: LabelRule, row: Mapping[str, str]) -> tuple[str, ...]:
    """Findings of one row."""
    found = [name for name in rule.columns if row.get(name, "").strip() in rule.yes]
    column = next((name for name in rule.column if row.get(name, "").strip()), None)
    if column is not None:
        cell = row[column].strip()
        if rule.pattern:
            parts = re.findall(rule.pattern, cell)
        elif rule.separator:
            parts = re.split(rule.separator, cell)
        else:
            parts = [cell]
        if rule.values:
            parts = [rule.values.get(part.strip(), rule.values.get("*", part)) for part in parts]
        found += [part.strip() for part in parts if part.strip()]
    return tuple(dict.fromkeys(found))


def content_digest(path: Path) -> str:
    """SHA-256 of a table's bytes, so that an edited table is noticed. Raises UsageProblem when it cannot be read."""
    try:
        with open_regular(path) as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        raise UsageProblem(f"{path.name} cannot be opened; give a CSV file that may be read") from None


def _rows(path: Path, needed: tuple[str, ...]) -> Iterator[dict[str, str]]:
    with _opened(path) as stream:
        reader = _reader(path, stream)
        names = [name.strip() for name in next(reader, [])]
        missing = [name for name in needed if name not in names]
        if missing:
            raise UsageProblem(
                f"{path.name} has no column {missing[0]!r}; it needs {', '.join(needed)} and has {shown(names)}"
            )
        for cells in reader:
            yield {name: cell.strip() for name, cell in zip(names, cells, strict=False)}


def shown(names: list[str]) -> str:
    """Column names for a message, the first dozen. A cell full of digits may be a patient's: it is not repeated."""
    listed = [
        repr(name[:40]) if sum(map(str.isdigit, name)) < 3 else "a value with digits" for name in names[:12]
    ]
    return ", ".join([*listed, f"{len(names) - 12} more"] if len(names) > 12 else listed) or "no columns"


def _reader(path: Path, stream: TextIO) -> Iterator[list[str]]:
    try:
        first = stream.readline()
        stated = re.fullmatch(
            r"\"?sep=(.)\"?\s*", first, re.IGNORECASE
        )  # a line that some spreadsheets put first
        if stated:
            first = stream.readline()
        # spreadsheets write semicolons or tabs in many countries; a quoted cell may hold any of them
        delimiter = (
            stated[1]
            if stated
            else max(",;\t", key=lambda mark: len(next(csv.reader([first], delimiter=mark), [])))
        )
        yield from csv.reader(_chained(first, stream), delimiter=delimiter)
    except (csv.Error, EOFError, OSError, UnicodeError, zlib.error):
        raise UsageProblem(f"{path.name} cannot be read as a CSV table") from None


def _chained(first: str, stream: TextIO) -> Iterator[str]:
    yield first
    yield from stream


def _opened(path: Path, whole: bool = True) -> TextIO:
    """The table as text; `whole`: its encoding is told from all of it, else from its first MiB."""
    try:
        with _unpacked(path) as raw:
            encoding = _encoding(raw, whole)
        return io.TextIOWrapper(_unpacked(path), encoding=encoding, errors="replace", newline="")
    except (OSError, EOFError, zlib.error):
        raise UsageProblem(f"{path.name} cannot be opened; give a CSV file that may be read") from None


def _unpacked(path: Path) -> BinaryIO:
    raw = open_regular(path)
    return cast(BinaryIO, _Gzip(raw)) if path.suffix.lower() == ".gz" else raw


class _Gzip(gzip.GzipFile):
    """A gzip stream that closes the file it reads."""

    def __init__(self, below: BinaryIO) -> None:
        super().__init__(fileobj=below)
        self._below = below

    def close(self) -> None:
        super().close()
        self._below.close()


def _encoding(stream: BinaryIO, whole: bool) -> str:
    """UTF-8 where all of the table is, UTF-16 where it says so, else what Windows writes in western Europe."""
    block = stream.read(1 << 20)
    if block.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        while block:
            decoder.decode(block)
            if not whole:
                return "utf-8-sig"
            block = stream.read(1 << 20)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8-sig"
