"""Embeddings kept on disk, so that films are described once and those that come later are added.

One safetensors file: a JSON header and N rows of D float32 values. The header names the encoder and, part by part,
the cohort that the rows come from. A file is always replaced whole. Axes: N rows, D values, n rows of a block.
"""

import hashlib
import json
import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from medaudit.artifacts.store import locked
from medaudit.errors import EmbeddingsMismatch, OutputExists

SCHEMA = "medaudit.embeddings/1"
_TENSOR = "embeddings"
_COPIED_AT_ONCE = 8 << 20  # bytes
_HEADER_MOST = 8 << 20  # bytes; a longer header is no header


@dataclass(frozen=True)
class Part:
    """Rows of one cohort, in its order."""

    cohort: str
    rows: int


@dataclass(frozen=True)
class Embeddings:
    """An open file: `rows` (N, D) float32, memory-mapped, one part after the other."""

    encoder: str
    parts: tuple[Part, ...]
    rows: np.ndarray

    def of(self, cohort: str) -> np.ndarray:
        """(n, D) rows of one cohort. Raises EmbeddingsMismatch when it has none here."""
        start = 0
        for part in self.parts:
            if part.cohort == cohort:
                return self.rows[start : start + part.rows]
            start += part.rows
        raise EmbeddingsMismatch(
            "the saved embeddings hold none of this cohort; append them, or remove the file"
        )


def write_embeddings(
    path: Path, encoder: str, cohort: str, count: int, values: int, blocks: Iterable[np.ndarray]
) -> Embeddings:
    """Write `count` rows of `values`, given in blocks (n, D); an existing file is replaced."""
    with _locked(path):
        _replace(path, encoder, (Part(cohort, count),), values, None, blocks)
    return open_embeddings(path, encoder)


def append_embeddings(
    path: Path, encoder: str, cohort: str, count: int, blocks: Iterable[np.ndarray]
) -> Embeddings:
    """Add the `count` rows of another cohort, given in blocks (n, D), behind those that stand.

    Raises EmbeddingsMismatch when another encoder made the file, or when it holds this cohort already.
    """
    with _locked(path):
        standing = open_embeddings(path, encoder)
        if any(part.cohort == cohort for part in standing.parts):
            raise EmbeddingsMismatch(f"{path} holds this cohort already; nothing was added")
        parts = (*standing.parts, Part(cohort, count))
        _replace(path, encoder, parts, standing.rows.shape[1], standing.rows, blocks)
    return open_embeddings(path, encoder)


def open_embeddings(
    path: Path, encoder: str | None = None, cohorts: Sequence[str] | None = None
) -> Embeddings:
    """Open a file and check its hash; with `encoder` and `cohorts` only if these made it, in this order.

    Raises EmbeddingsMismatch when it is not whole or made by another encoder or from other cohorts.
    """
    if not path.is_file():
        raise EmbeddingsMismatch(f"{path} is not a file; write the embeddings first")
    shape, start, facts = _header(path)
    parts = tuple(Part(part["cohort"], int(part["rows"])) for part in facts["parts"])
    if encoder is not None and facts["encoder"] != encoder:
        raise EmbeddingsMismatch(f"{path} was made by another encoder; remove it and embed the films again")
    if cohorts is not None and [part.cohort for part in parts] != list(cohorts):
        raise EmbeddingsMismatch(f"{path} was made from other cohorts; remove it and embed the films again")
    whole = path.stat().st_size == start + 4 * shape[0] * shape[1]
    if not whole or sum(part.rows for part in parts) != shape[0] or _digest(path, start) != facts["sha256"]:
        raise EmbeddingsMismatch(f"{path} is not whole; remove it and embed the films again")
    rows: np.ndarray = (
        np.memmap(path, np.dtype("<f4"), "r", start, shape) if shape[0] else np.empty(shape, np.float32)
    )
    return Embeddings(facts["encoder"], parts, rows)


def _replace(
    path: Path,
    encoder: str,
    parts: Sequence[Part],
    values: int,
    standing: np.ndarray | None,
    blocks: Iterable[np.ndarray],
) -> None:
    """Write a sibling with the rows that stand and the new ones, sync it, rename it into place."""
    count = sum(part.rows for part in parts)
    facts = {
        "schema": SCHEMA,
        "encoder": encoder,
        "parts": [vars(part) for part in parts],
        "sha256": "0" * 64,
    }
    temporary = path.with_name(path.name + ".tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(_header_bytes(facts, count, values))
            old = () if standing is None else _blocks_of(standing)
            facts["sha256"] = _stream_rows(stream, [old, blocks], count, values)
            stream.seek(0)
            stream.write(_header_bytes(facts, count, values))
            stream.flush()
            os.fsync(stream.fileno())
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    temporary.replace(path)


def _stream_rows(stream: BinaryIO, sources: Sequence[Iterable[np.ndarray]], count: int, values: int) -> str:
    """Write the blocks as little-endian float32; returns their SHA-256. Raises ValueError when they do not add up."""
    digest, written = hashlib.sha256(), 0
    for source in sources:
        for block in source:
            if block.ndim != 2 or block.shape[1] != values:
                raise ValueError(f"blocks of embeddings have the shape (n, {values})")
            data = np.ascontiguousarray(block, dtype="<f4").tobytes()
            digest.update(data)
            stream.write(data)
            written += len(block)
    if written != count:
        raise ValueError(f"{count} rows of embeddings were announced and {written} given")
    return digest.hexdigest()


def _blocks_of(rows: np.ndarray) -> Iterator[np.ndarray]:
    step = max(1, _COPIED_AT_ONCE // (4 * rows.shape[1]))
    return (rows[start : start + step] for start in range(0, len(rows), step))


def _header_bytes(facts: dict[str, Any], count: int, values: int) -> bytes:
    """A safetensors header: its length, then JSON padded with spaces to a multiple of 8 bytes."""
    tensor = {"dtype": "F32", "shape": [count, values], "data_offsets": [0, 4 * count * values]}
    body = {"__metadata__": {"medaudit": json.dumps(facts, sort_keys=True)}, _TENSOR: tensor}
    text = json.dumps(body).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text


def _header(path: Path) -> tuple[tuple[int, int], int, dict[str, Any]]:
    """Shape (N, D), the place of the first row, and what the file says of itself."""
    try:
        with path.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            body = json.loads(stream.read(min(length, _HEADER_MOST)))
        count, values = (int(size) for size in body[_TENSOR]["shape"])
        facts = json.loads(body["__metadata__"]["medaudit"])
        known = facts["schema"] == SCHEMA and isinstance(facts["encoder"], str) and facts["sha256"]
        known = known and all(
            isinstance(part["cohort"], str) and int(part["rows"]) >= 0 for part in facts["parts"]
        )
    except (ValueError, KeyError, TypeError, AttributeError, struct.error):
        known = False
    if not known:
        raise EmbeddingsMismatch(f"{path} holds no embeddings of medaudit; give the file it wrote")
    return (count, values), 8 + length, facts


def _digest(path: Path, start: int) -> str:
    with path.open("rb") as stream:
        stream.seek(start)
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _locked(path: Path) -> AbstractContextManager[None]:
    """One writer at a time."""
    taken = OutputExists(f"another medaudit process is writing {path}; wait for it")
    return locked(path.with_name(f".{path.name}.lock"), taken)
