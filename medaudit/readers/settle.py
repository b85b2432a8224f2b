"""What becomes of a chunk of images once they are read: pseudonyms, duplicates, refusals.

Axes: n images of a chunk that stay, (Y, X) pixels.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medaudit.artifacts.identities import identity_line
from medaudit.artifacts.pseudonyms import pseudonym
from medaudit.readers import refusals
from medaudit.readers.batch import DIGEST_BYTES, NO_DIGEST, Outcome, Recipe
from medaudit.readers.records import Entry

_OWNER = 8  # bytes of a ledger record


@dataclass(frozen=True)
class Names:
    """How a cohort names what its source names, so that no name and no id of the source stands in it.

    Under a key: keyed pseudonyms. Without one (synthetic images): files by their place in the source, because an image
    may be called after the patient whose report was its prompt; patients and studies are left out.
    """

    key: bytes | None
    source: str  # digest of the source, hex

    def file(self, name: str, place: int) -> str:
        """The name of the source's file number `place`."""
        if self.key is None:
            return f"source-{self.source[:8]}/{place:07d}"
        return pseudonym(self.key, shown(name), kind="file")

    def row(self, row: Mapping[str, Any], place: int) -> tuple[dict[str, Any], list[bytes]]:
        """The row with these names, and the lines for the identity file that say which patient and study they are."""
        named = {**row, "file": self.file(row["file"], place), "patient": None, "study": None}
        lines: list[bytes] = []
        if self.key is None:
            return named, lines
        patient, study = (shown(row[part]) if row[part] else None for part in ("patient", "study"))
        if patient:
            named["patient"] = pseudonym(self.key, patient)
            lines.append(identity_line("patient", named["patient"], patient))
        if study:
            # a study's number may be unique only together with its patient
            named["study"] = pseudonym(self.key, f"{patient or ''}\x1f{study}", kind="study")
            whose = {"patient": named["patient"]} if patient else {}
            lines.append(identity_line("study", named["study"], study, **whose))
        return named, lines

    def files(self, entries: Iterable[Entry]) -> Iterator[tuple[str, str]]:
        """(name in the cohort, name in the source as text) of every file of a source, refused or not."""
        for place, entry in enumerate(entries):
            yield self.file(entry.file, place), shown(entry.file)


def shown(name: str) -> str:
    """A name as text that any record can hold: bytes that are no UTF-8 become \\udcXX."""
    return name.encode("utf-8", "backslashreplace").decode()


@dataclass(frozen=True)
class Settled:
    """A chunk as the cohort takes it: pixels (n, Y, X), n rows, (file, reason) of its refusals, all under its names.

    `identities` are the lines that say what the names stand for.
    """

    pixels: np.ndarray
    rows: list[dict[str, Any]]
    refused: list[tuple[str, str]]
    identities: list[bytes]


def settle(chunk: Sequence[Outcome], ledger: "Ledger", names: Names, recipe: Recipe) -> Settled:
    """A chunk of images with pseudonyms for names; the first of two equal files stays."""
    first = ledger.entries
    named = [names.row(read.row, first + i) if read.row else None for i, read in enumerate(chunk)]
    owners = [one[0]["patient"] if one else None for one in named]
    doubles = ledger.enter([read.digest for read in chunk], owners)
    reasons = [read.reason or double for read, double in zip(chunk, doubles, strict=True)]
    kept = [i for i, reason in enumerate(reasons) if reason is None]
    pixels = np.zeros((len(kept), recipe.size, recipe.size), np.dtype(recipe.dtype))
    for position, i in enumerate(kept):
        pixels[position] = chunk[i].pixels
    return Settled(
        pixels,
        [one[0] for i in kept if (one := named[i]) is not None],
        [(names.file(chunk[i].file, first + i), reason) for i, reason in enumerate(reasons) if reason],
        [line for one in named if one is not None for line in one[1]],
    )


class Ledger:
    """Which file bytes were seen and whose they were, kept beside a draft so that a resumed run knows too.

    24 bytes an entry: the head of the file's SHA-256 (zeros: refused, or an image of an npz) and of its owner's.
    """

    def __init__(self, path: Path, entries_done: int) -> None:
        record = DIGEST_BYTES + _OWNER
        known = path.read_bytes()[: entries_done * record] if path.exists() else b""
        self.entries = len(known) // record  # how many were entered
        self._seen: dict[bytes, bytes] = {}
        for start in range(0, len(known), record):
            self._first_owner(
                known[start : start + DIGEST_BYTES], known[start + DIGEST_BYTES : start + record]
            )
        self._path = path
        with path.open("r+b" if path.exists() else "w+b") as stream:
            stream.truncate(len(known))

    def enter(self, digests: Sequence[bytes], owners: Sequence[str | None]) -> list[str | None]:
        """For each entry of a chunk, why it is a duplicate, or None. Written to disk before it returns."""
        reasons: list[str | None] = []
        records = []
        for digest, owner in zip(digests, owners, strict=True):
            mark = (owner or "").encode()[-_OWNER:].ljust(_OWNER, b"\0")
            before = self._first_owner(digest, mark)
            if before is None:
                reasons.append(None)
            else:
                reasons.append(refusals.DUPLICATE if before == mark else refusals.DUPLICATE_OTHER_PATIENT)
            records.append(digest + mark)
        with self._path.open("ab") as stream:
            stream.write(b"".join(records))
            stream.flush()
            os.fsync(stream.fileno())
        self.entries += len(records)
        return reasons

    def _first_owner(self, digest: bytes, owner: bytes) -> bytes | None:
        """The owner under which these bytes were seen before; None for the first time."""
        if digest == NO_DIGEST:
            return None
        before = self._seen.get(digest)
        if before is None:
            self._seen[digest] = owner
        return before
