"""A cohort: N images and N rows. Position is identity; a row is marked, never dropped or reordered.

Axes: N rows, (Y, X) pixels.
"""

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from medaudit.artifacts.store import Artifact, Draft, open_artifact
from medaudit.errors import ArtifactBroken, EmptyCohort

ROWS = "rows.parquet"
PIXELS = "pixels.npy"
_HEADER_BYTES = 128
_ROWS_AT_ONCE = 4096

ROW_SCHEMA = pa.schema(
    [
        pa.field("row_id", pa.int64(), nullable=False),
        pa.field(
            "file", pa.string(), nullable=False
        ),  # keyed name; older cohorts: name relative to the source
        pa.field("patient", pa.string()),  # keyed pseudonym
        pa.field("study", pa.string()),  # keyed pseudonym
        pa.field("view", pa.string()),  # PA, AP, LATERAL, ...
        pa.field("split", pa.string()),  # the split the source itself named
        pa.field("labels", pa.list_(pa.string()), nullable=False),
        pa.field("facts", pa.string(), nullable=False),  # JSON: what the source file said of itself
        pa.field("route", pa.string(), nullable=False),  # rescale, percentile, full range, generated
        pa.field("mark", pa.string()),  # why the row is set aside; null when it is in use
    ]
)


@dataclass(frozen=True)
class Cohort:
    """An open cohort: `pixels` (N, Y, X) uint8 or uint16, memory-mapped; `rows` a table of N rows."""

    artifact: Artifact
    rows: pa.Table
    pixels: np.ndarray

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def id(self) -> str:
        """The artifact's id."""
        return self.artifact.id

    @property
    def image_shape(self) -> tuple[int, int]:
        """(Y, X) in pixels."""
        return self.pixels.shape[1], self.pixels.shape[2]

    @property
    def key(self) -> str | None:
        """Fingerprint of the key of its pseudonyms; None where it is not known."""
        return self.artifact.manifest.get("key") or self.artifact.settings.get("key")

    @cached_property
    def patients(self) -> np.ndarray:
        """(N,) object array of pseudonyms; None where the source named no patient."""
        return np.array(self.rows.column("patient").to_pylist(), dtype=object)

    @cached_property
    def has_patients(self) -> bool:
        """Whether every row in use names a patient."""
        return all(self.patients[i] is not None for i in self.in_use)

    @cached_property
    def in_use(self) -> np.ndarray:
        """(n,) int64 positions of the rows that are not set aside."""
        marks = self.rows.column("mark").to_pylist()
        return np.array([i for i, mark in enumerate(marks) if mark is None], dtype=np.int64)

    @cached_property
    def labels(self) -> list[list[str]]:
        """Labels of each row."""
        return self.rows.column("labels").to_pylist()

    def unit(self, rows: Sequence[int] | np.ndarray | slice) -> np.ndarray:
        """(n, Y, X) float32 in [0, 1] for the rows named."""
        return to_unit(np.asarray(self.pixels[rows]))


def to_unit(pixels: np.ndarray) -> np.ndarray:
    """uint8 or uint16 of any shape → float32 in [0, 1]."""
    return pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)


def open_cohort(path: Path, *, verify: bool = True) -> Cohort:
    """Open a cohort artifact. Raises ArtifactBroken when rows and pixels disagree, EmptyCohort for no rows."""
    artifact = open_artifact(path, "cohort", verify=verify)
    rows = pq.read_table(artifact.file(ROWS))
    pixels = np.load(artifact.file(PIXELS), mmap_mode="r", allow_pickle=False)
    if pixels.ndim != 3 or len(rows) != len(pixels):
        raise ArtifactBroken(f"{path}: rows and pixels do not match; make the cohort again")
    cohort = Cohort(artifact, rows, pixels)
    if len(cohort.in_use) == 0:
        raise EmptyCohort(f"{path} has no image in use")
    return cohort


class CohortWriter:
    """Grows a cohort in a draft, chunk by chunk, so that a killed command goes on after its last whole chunk.

    `chunks_done` says how many chunks stand already. Rows are dicts with the fields of ROW_SCHEMA but row_id;
    absent fields are null (labels: empty, facts: {}).
    """

    def __init__(self, draft: Draft, image_shape: tuple[int, int], dtype: np.dtype | type) -> None:
        self.draft = draft
        self.image_shape = image_shape
        self.dtype = np.dtype(dtype)
        if self.dtype not in (np.dtype(np.uint8), np.dtype(np.uint16)):
            raise ValueError("cohort pixels are uint8 or uint16")
        self._journal_path = draft.scratch("rows.jsonl")
        self._pixel_path = draft.file(PIXELS)
        self.chunks_done, self.rows_done = self._recover()
        self._pixels: BinaryIO = self._pixel_path.open("r+b")
        self._pixels.seek(0, os.SEEK_END)
        self._journal: BinaryIO = self._journal_path.open("ab")

    def close(self) -> None:
        """Close the files; what was appended stands for the next call."""
        self._pixels.close()
        self._journal.close()

    def __del__(self) -> None:
        if hasattr(self, "_journal"):
            with suppress(OSError):  # a full disk, which was told when it was met
                self.close()

    def append(
        self,
        pixels: np.ndarray,
        rows: Sequence[Mapping[str, Any]],
        refused: Sequence[tuple[str, str]] = (),
    ) -> None:
        """Add one chunk: pixels (n, Y, X) of the cohort's dtype, n rows, and (file, reason) of what was refused.

        A file is called by its name in the cohort, never by its name in the source.
        """
        if len(pixels) != len(rows) or (len(pixels) and pixels.shape[1:] != self.image_shape):
            raise ValueError("pixels and rows of a chunk do not match")
        if len(pixels):
            self._pixels.write(np.ascontiguousarray(pixels, dtype=self.dtype).tobytes())
        self._pixels.flush()
        os.fsync(self._pixels.fileno())
        line = json.dumps({"rows": [dict(row) for row in rows], "refused": [list(r) for r in refused]})
        self._journal.write(line.encode() + b"\n")
        self._journal.flush()
        os.fsync(self._journal.fileno())
        self.chunks_done += 1
        self.rows_done += len(rows)

    def rows(self) -> Iterator[dict[str, Any]]:
        """The rows that stand, those of a call before among them."""
        for chunk in self._chunks():
            yield from chunk["rows"]

    def refused(self) -> list[tuple[str, str]]:
        """(file, reason) of everything refused so far, by killed calls as well."""
        return [(file, reason) for chunk in self._chunks() for file, reason in chunk["refused"]]

    def finish(
        self, *, note: Mapping[str, Any] | None = None, refused: Mapping[str, Any] | None = None
    ) -> Artifact:
        """Write header and rows, count the refusals, commit. Raises EmptyCohort when no row was added.

        `refused`: of the cohort that this one was taken from, as its manifest tells them.
        """
        self.close()
        tables: list[pa.Table] = []
        pending: list[dict[str, Any]] = []
        count = 0
        for chunk in self._chunks():
            pending.extend(chunk["rows"])
            if len(pending) >= _ROWS_AT_ONCE:  # as dicts, 100,000 rows would take 200 MiB
                tables.append(row_table(pending, first=count))
                count += len(pending)
                pending = []
        tables.append(row_table(pending, first=count))
        count += len(pending)
        if not count:
            raise EmptyCohort(f"{self.draft.out} would have no image; nothing was written")
        with self._pixel_path.open("r+b") as stream:
            stream.write(_npy_header((count, *self.image_shape), self.dtype))
        pq.write_table(pa.concat_tables(tables), self.draft.file(ROWS))
        return self.draft.commit(
            refused=dict(refused) if refused is not None else _refusals(self.refused()),
            rows=count,
            image_shape=list(self.image_shape),
            dtype=self.dtype.name,
            **dict(note or {}),
        )

    def _chunks(self) -> Iterator[dict[str, Any]]:
        with self._journal_path.open("rb") as stream:
            for line in stream:
                yield json.loads(line)

    def _recover(self) -> tuple[int, int]:
        """Cut journal and pixels back to the last whole chunk; return chunks and rows that stand."""
        chunks = rows = kept_bytes = 0
        row_bytes = self.image_shape[0] * self.image_shape[1] * self.dtype.itemsize
        if self._journal_path.exists() and self._pixel_path.exists():
            rows_on_disk = (self._pixel_path.stat().st_size - _HEADER_BYTES) // row_bytes
            with self._journal_path.open("rb") as stream:
                for line in stream:
                    count = len(json.loads(line)["rows"]) if line.endswith(b"\n") else 0
                    if not line.endswith(b"\n") or rows + count > rows_on_disk:
                        break
                    chunks += 1
                    rows += count
                    kept_bytes += len(line)
        mode = "r+b" if self._pixel_path.exists() else "w+b"
        with self._pixel_path.open(mode) as stream:
            stream.write(_npy_header((0, *self.image_shape), self.dtype))
            stream.truncate(_HEADER_BYTES + rows * row_bytes)
        with self._journal_path.open("ab") as stream:
            stream.truncate(kept_bytes)
        return chunks, rows


def row_table(rows: Sequence[Mapping[str, Any]], first: int = 0) -> pa.Table:
    """Rows (dicts) as a table of ROW_SCHEMA, with row_id the position counted from `first`."""
    columns: dict[str, list[Any]] = {name: [] for name in ROW_SCHEMA.names}
    for position, row in enumerate(rows, start=first):
        for name, values in columns.items():
            if name == "row_id":
                values.append(position)
            elif name == "labels":
                values.append(list(row.get("labels") or []))
            elif name == "facts":
                facts = row.get("facts") or {}
                values.append(facts if isinstance(facts, str) else json.dumps(facts, sort_keys=True))
            elif name == "route":
                values.append(row.get("route") or "full range")
            else:
                values.append(row.get(name))
    return pa.table(columns, schema=ROW_SCHEMA)


def write_subset(draft: Draft, cohort: Cohort, rows: np.ndarray, *, note: Mapping[str, Any]) -> Artifact:
    """Copy the rows named, in that order, into a new cohort; their source rows go into `facts.source_row`.

    How much was refused at ingest is told by the new cohort as well: which part it would have fallen to is not known.
    """
    writer = CohortWriter(draft, cohort.image_shape, cohort.pixels.dtype)
    step = max(1, (32 << 20) // max(1, cohort.pixels[:1].nbytes))
    for start in range(writer.chunks_done * step, len(rows), step):
        part = rows[start : start + step]
        records = cohort.rows.take(pa.array(part)).to_pylist()
        for record, source_row in zip(records, part, strict=True):
            record["facts"] = json.dumps(
                {**json.loads(record["facts"]), "source_row": int(source_row)}, sort_keys=True
            )
            del record["row_id"]
        writer.append(cohort.pixels[part], records)
    refused = cohort.artifact.manifest.get("refused", {}).get("counts", {})
    return writer.finish(note=note, refused={"counts": dict(refused), "files": []})


def _refusals(files: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """What a manifest says of refusals: counts by reason, and each file with its reason."""
    return {"counts": dict(Counter(reason for _, reason in files)), "files": [list(item) for item in files]}


def _npy_header(shape: tuple[int, ...], dtype: np.dtype) -> bytes:
    """A version 1.0 npy header padded to a fixed 128 bytes, so that the shape can be filled in at the end."""
    body = f"{{'descr': '{dtype.str}', 'fortran_order': False, 'shape': {shape!r}, }}"
    padded = body.ljust(_HEADER_BYTES - 10 - 1) + "\n"
    return b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded.encode("latin1")
