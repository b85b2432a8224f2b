"""An index in files: it grows by portions, goes on after a kill, takes further references, and knows whose it is.

A folder holds `vectors.f32`, `coarse.f32` and `fine.f32` (raw little-endian float32, one reference after the other),
`axes.npy` and `centre.npy`, and `index.json`, which is written after what it speaks of has reached the disk: whatever
stands beyond the rows it names is left over from a kill and is cut off.

Axes: M references, T tiles, D values, A coarse and F fine axes.
"""

import hashlib
import json
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from medaudit.artifacts.store import file_sha256, locked, write_whole
from medaudit.errors import IndexMismatch
from medaudit.progress import SILENT, Progress
from medaudit.search.index import Index
from medaudit.search.precision import checked
from medaudit.search.projection import Basis, sample_rows

SCHEMA = "medaudit.index/1"
PORTION = 1024  # references that are described and written together
_HEADER = "index.json"
_FILES = ("vectors", "coarse", "fine")
_BETWEEN_SAVES = 16  # portions
_BETWEEN_BYTES = (
    1 << 15
)  # between two rows that are read although nobody asked for them: less than a call costs
_RUN_ROWS = 256  # rows of a run read at once

Describe = Callable[[np.ndarray], np.ndarray]  # places (n,) of references → (n, T, D) float32
Source = Callable[[int, int], bytes]  # what references [start, stop) are made from, to know them again


@dataclass(frozen=True)
class Header:
    """What an index says of itself: `of` whose it is, `by` what described it, and SHA-256 of each portion's source."""

    of: str
    by: str
    shape: tuple[int, int]  # (T, D)
    coarse: int
    fine: int
    rows: int = 0
    portions: tuple[str, ...] = ()
    files: tuple[str, ...] = ()  # SHA-256 of the three files, once all is there
    schema: str = SCHEMA

    @property
    def widths(self) -> tuple[int, int, int]:
        """Values of a reference in each file."""
        tiles = self.shape[0]
        return prod(self.shape), tiles * (self.coarse + 3), tiles * (self.fine + 1)


@dataclass(frozen=True)
class FileIndex(Index):
    """An index whose parts are read when needed. Its arrays are mapped, and a look at one place of a mapped file may
    make a megabyte around it resident; what is read is as much as was asked for."""

    files: tuple[Path, ...]  # vectors, coarse, fine

    @property
    def in_files(self) -> bool:
        """Always."""
        return True

    def coarse_part(self, start: int, stop: int) -> np.ndarray:
        """(B, T, A + 3) of the references [start, stop)."""
        return _read_part(self.files[1], self.coarse, start, stop)

    def looks(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """(B, T, A + 3) and (B, T, F + 1) of the references [start, stop)."""
        return (
            _read_part(self.files[1], self.coarse, start, stop),
            _read_part(self.files[2], self.fine, start, stop),
        )

    def part(self, start: int, stop: int) -> Index:
        """The references [start, stop) on the same axes, in memory."""
        arrays = (self.vectors, self.coarse, self.fine)
        vectors, coarse, fine = (
            _read_part(file, array, start, stop) for file, array in zip(self.files, arrays, strict=True)
        )
        return Index(vectors, self.basis, coarse, fine)

    def looks_at(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The same of the references `rows` (B,), ascending."""
        _, coarse, fine = self.files
        return _read_rows(coarse, self.coarse, rows), _read_rows(fine, self.fine, rows)

    def at(self, rows: np.ndarray, looks: bool = True) -> Index:
        """The references (B,), ascending, in memory; without what the looks need where they are done."""
        arrays = (self.vectors, self.coarse, self.fine)
        vectors, coarse, fine = (
            _read_rows(file, array, rows if looks or array is self.vectors else rows[:0])
            for file, array in zip(self.files, arrays, strict=True)
        )
        return Index(vectors, self.basis, coarse, fine)


def _read_part(file: Path, array: np.ndarray, start: int, stop: int) -> np.ndarray:
    part = np.empty((max(0, min(stop, len(array)) - start), *array.shape[1:]), dtype=np.float32)
    with file.open("rb", buffering=0) as stream:
        _read_into(stream.fileno(), part, start * array[:1].nbytes)
    return part


def _read_rows(file: Path, array: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Rows (B,), ascending; those that lie near each other are read at once, with what lies between them."""
    made = np.empty((len(rows), *array.shape[1:]), dtype=np.float32)
    size = max(1, array[:1].nbytes)
    breaks = np.flatnonzero(np.diff(rows) > 1 + _BETWEEN_BYTES // size) + 1
    with file.open("rb", buffering=0) as stream:
        for run in np.split(np.arange(len(rows)), breaks) if len(rows) else ():
            for first in range(run[0], run[-1] + 1, _RUN_ROWS):
                asked = rows[first : min(first + _RUN_ROWS, run[-1] + 1)]
                span = int(asked[-1] - asked[0]) + 1
                if span == len(asked):
                    _read_into(stream.fileno(), made[first : first + span], int(asked[0]) * size)
                    continue
                part = np.empty((span, *array.shape[1:]), dtype=np.float32)
                _read_into(stream.fileno(), part, int(asked[0]) * size)
                np.take(part, asked - asked[0], axis=0, out=made[first : first + len(asked)])
    return made


def _read_into(descriptor: int, values: np.ndarray, offset: int) -> None:
    """Fill an array from a file. Raises IndexMismatch where the file ends before."""
    view = memoryview(values.reshape(-1).view(np.uint8).data)
    done = 0
    while done < len(view):
        count = os.preadv(descriptor, [view[done:]], offset + done)
        if not count:
            raise IndexMismatch("an index was cut while it was read; make it again")
        done += count


def read_header(folder: Path) -> Header | None:
    """What the index in a folder says of itself; None where there is none. Raises IndexMismatch for another version."""
    path = folder / _HEADER
    if not path.is_file():
        return None
    try:
        known: dict[str, Any] = json.loads(path.read_bytes())
        if known["schema"] != SCHEMA:
            raise IndexMismatch(
                f"{folder} was written with schema {known['schema']!r}; this version reads {SCHEMA}"
            )
        fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in known.items()}
        return Header(**fields)
    except (ValueError, KeyError, TypeError):
        raise IndexMismatch(
            f"{folder}: index.json cannot be read; remove the folder and make the index again"
        ) from None


def open_index(folder: Path, of: str, by: str, count: int, *, verify: bool = True) -> Index:
    """The index of `count` references in a folder, mapped; `verify` hashes its files.

    Raises IndexMismatch where it is another cohort's or detector's, is not complete, or was changed.
    """
    header = read_header(folder)
    if header is None or header.rows != count or not header.files:
        raise IndexMismatch(f"{folder} is not complete; run `medaudit index` on the cohort again")
    _check_owner(folder, header, of, by)
    for name, digest, width in zip(_FILES, header.files, header.widths, strict=True):
        path = folder / f"{name}.f32"
        whole = path.is_file() and path.stat().st_size == 4 * width * header.rows
        if not whole or (verify and file_sha256(path) != digest):
            raise IndexMismatch(
                f"{folder}: {path.name} was changed or cut; remove the folder and make the index again"
            )
    return _mapped(folder, header)


def grow(
    folder: Path, of: str, by: str, count: int, describe: Describe, source: Source, *, progress: Progress = SILENT,
    seal: bool = True,
) -> Index:  # fmt: skip
    """Bring the index in a folder to `count` references: from nothing, after a kill, or when references were added.

    What stands is kept as far as its sources are the same; of another cohort that is what both begin with. `seal`
    hashes the files at the end, for `open_index` to check. Raises IndexMismatch for another detector's or version's.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _locked(folder):
        return _grown(folder, of, by, count, describe, source, progress, seal)


def _grown(
    folder: Path,
    of: str,
    by: str,
    count: int,
    describe: Describe,
    source: Source,
    progress: Progress,
    seal: bool,
) -> Index:
    header = read_header(folder)
    if header is None:
        header = _begin(folder, of, by, describe(sample_rows(count)))
    if header.by != by:
        raise IndexMismatch(f"{folder} was made by another detector or version; remove the folder")
    if header.of == of and header.rows == count and header.files:
        return _mapped(folder, header)
    header = replace(_kept(header, count, source), of=of, files=())
    basis = _basis(folder, header)
    progress.start("indexing", count)
    progress.advance(header.rows)
    streams = [
        _opened(folder / f"{name}.f32", 4 * width * header.rows)
        for name, width in zip(_FILES, header.widths, strict=True)
    ]
    try:
        for number, start in enumerate(range(header.rows, count, PORTION), 1):
            stop = min(start + PORTION, count)
            vectors = checked(describe(np.arange(start, stop)), "references")
            for stream, values in zip(streams, (vectors, *basis.references(vectors)), strict=True):
                stream.write(values.tobytes())
            digest = hashlib.sha256(source(start, stop)).hexdigest()
            header = replace(header, rows=stop, portions=(*header.portions, digest))
            if number % _BETWEEN_SAVES == 0:
                _save(folder, header, streams)
            progress.advance(stop - start)
        _save(folder, header, streams)
    finally:
        for stream in streams:
            stream.close()
    if seal:
        header = replace(header, files=tuple(file_sha256(folder / f"{name}.f32") for name in _FILES))
        write_whole(folder / _HEADER, json.dumps(asdict(header)).encode())
    return _mapped(folder, header)


def _locked(folder: Path) -> AbstractContextManager[None]:
    """One writer at a time."""
    taken = IndexMismatch(f"another medaudit process is writing {folder}; wait for it")
    return locked(folder / "lock", taken)


def _begin(folder: Path, of: str, by: str, sample: np.ndarray) -> Header:
    basis = Basis.of(checked(sample, "references"))
    np.save(folder / "centre.npy", basis.centre)
    if basis.axes is not None:
        np.save(folder / "axes.npy", basis.axes)
    header = Header(of, by, (sample.shape[1], sample.shape[2]), basis.coarse, basis.fine)
    write_whole(folder / _HEADER, json.dumps(asdict(header)).encode())
    return header


def _kept(header: Header, count: int, source: Source) -> Header:
    """The header cut to the whole portions whose sources are still the same."""
    same = 0
    for number, digest in enumerate(header.portions):
        start, stop = number * PORTION, min((number + 1) * PORTION, header.rows)
        whole = stop - start == PORTION or stop == count
        if stop > count or not whole or hashlib.sha256(source(start, stop)).hexdigest() != digest:
            break
        same = number + 1
    return replace(header, rows=min(same * PORTION, header.rows), portions=header.portions[:same])


def _check_owner(folder: Path, header: Header, of: str, by: str) -> None:
    if header.of != of:
        raise IndexMismatch(
            f"{folder} belongs to another cohort; remove the folder and run `medaudit index` again"
        )
    if header.by != by:
        raise IndexMismatch(f"{folder} was made by another detector or version; remove the folder")


def _opened(path: Path, size: int) -> BinaryIO:
    """The file cut to what is known to be whole, ready to be appended to. Raises IndexMismatch when it is shorter."""
    stream = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b")
    if path.stat().st_size < size:
        stream.close()
        raise IndexMismatch(f"{path.parent}: {path.name} was cut; remove the folder and make the index again")
    stream.truncate(size)
    stream.seek(size)
    return stream


def _save(folder: Path, header: Header, streams: list[BinaryIO]) -> None:
    for stream in streams:
        stream.flush()
        os.fsync(stream.fileno())
    write_whole(folder / _HEADER, json.dumps(asdict(header)).encode())


def _basis(folder: Path, header: Header) -> Basis:
    axes = np.load(folder / "axes.npy", allow_pickle=False) if (folder / "axes.npy").is_file() else None
    return Basis(np.load(folder / "centre.npy", allow_pickle=False), axes, header.coarse)


def _mapped(folder: Path, header: Header) -> Index:
    tiles, values = header.shape
    shapes = ((tiles, values), (tiles, header.coarse + 3), (tiles, header.fine + 1))
    # Mapped copy-on-write, since what computes on them asks for arrays it could write to; nothing does.
    vectors, coarse, fine = (
        np.asarray(np.memmap(folder / f"{name}.f32", np.float32, "c", shape=(header.rows, *shape)))
        for name, shape in zip(_FILES, shapes, strict=True)
    )
    files = tuple(folder / f"{name}.f32" for name in _FILES)
    return FileIndex(vectors, _basis(folder, header), coarse, fine, files)
