"""What becomes of a chunk of films once they are read: pseudonyms, duplicates, refusals.

Axes: n films of a chunk that stay, (Y, X) pixels.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medaudit.artifacts.pseudonyms import pseudonym
from medaudit.readers import refusals
from medaudit.readers.batch import DIGEST_BYTES, NO_DIGEST, Outcome, Recipe

_OWNER = 8  # bytes of a ledger record


def settle(
    chunk: Sequence[Outcome], ledger: "Ledger", key: bytes | None, recipe: Recipe
) -> tuple[np.ndarray, list[dict[str, Any]], list[tuple[str, str]]]:
    """Pixels (n, Y, X) and rows of a chunk under pseudonyms, and (file, reason) of its refusals.

    Without a key (synthetic films) rows name no patient. The first of two equal files stays.
    """
    rows = [_pseudonymous(read.row, key) if read.row else None for read in chunk]
    owners = [row["patient"] if row else None for row in rows]
    doubles = ledger.enter([read.digest for read in chunk], owners)
    reasons = [read.reason or double for read, double in zip(chunk, doubles, strict=True)]
    kept = [i for i, reason in enumerate(reasons) if reason is None]
    pixels = np.zeros((len(kept), recipe.size, recipe.size), np.dtype(recipe.dtype))
    for position, i in enumerate(kept):
        pixels[position] = chunk[i].pixels
    refused = [(_shown(read.file), reason) for read, reason in zip(chunk, reasons, strict=True) if reason]
    return pixels, [row for i in kept if (row := rows[i]) is not None], refused


def _shown(name: str) -> str:
    """A file's name as text that any record can hold: bytes that are no UTF-8 become \\udcXX."""
    return name.encode("utf-8", "backslashreplace").decode()


def _pseudonymous(row: dict[str, Any], key: bytes | None) -> dict[str, Any]:
    """The row with pseudonyms for ids."""
    row = {**row, "file": _shown(row["file"])}
    patient, study = row["patient"], row["study"]
    if key is None:
        return {**row, "patient": None, "study": None}
    return {
        **row,
        "patient": pseudonym(key, patient) if patient else None,
        # a study's number may be unique only together with its patient
        "study": pseudonym(key, f"{patient or ''}\x1f{study}", kind="study") if study else None,
    }


class Ledger:
    """Which file bytes were seen and whose they were, kept beside a draft so that a resumed run knows too.

    24 bytes an entry: the head of the file's SHA-256 (zeros: refused, or a film of an npz) and of its owner's.
    """

    def __init__(self, path: Path, entries_done: int) -> None:
        record = DIGEST_BYTES + _OWNER
        known = path.read_bytes()[: entries_done * record] if path.exists() else b""
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
        return reasons

    def _first_owner(self, digest: bytes, owner: bytes) -> bytes | None:
        """The owner under which these bytes were seen before; None for the first time."""
        if digest == NO_DIGEST:
            return None
        before = self._seen.get(digest)
        if before is None:
            self._seen[digest] = owner
        return before
