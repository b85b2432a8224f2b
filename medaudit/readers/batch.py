"""From an entry of a listing to one row of a cohort: decode, square, depth.

Axes: (Y, X) pixels of a cohort image, Y = X = size.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from medaudit.images.intensity import Fit, fit_square, to_depth
from medaudit.readers import files, npz, refusals
from medaudit.readers.pool import Workers, chunked
from medaudit.readers.records import Entry, Film, ImageArray, Listing, fill
from medaudit.readers.refusals import Refused

_CHUNK_BYTES = 8 << 20
_MOST_IN_CHUNK = 256
DIGEST_BYTES = 16
NO_DIGEST = b"\0" * DIGEST_BYTES


@dataclass(frozen=True)
class Recipe:
    """How every image of a cohort is made; with the listing it decides the bytes."""

    root: Path
    accept: frozenset[str]
    header_patient: bool
    size: int
    fit: Fit
    dtype: str  # uint8 or uint16
    source_bytes: int = 0  # of one image of an npz, which travels to the process that reads it

    @property
    def chunk(self) -> int:
        """Films per chunk: up to 256, and no more than 8 MiB of pixels. Does not depend on the machine."""
        film_bytes = max(self.size * self.size * np.dtype(self.dtype).itemsize, self.source_bytes)
        return max(1, min(_MOST_IN_CHUNK, _CHUNK_BYTES // film_bytes))


@dataclass(frozen=True)
class Outcome:
    """One entry, read or refused. `row` has the ids as the source states them; `digest` is of the file's bytes."""

    file: str
    reason: str | None = None
    pixels: np.ndarray | None = None  # (Y, X)
    row: dict[str, Any] | None = None
    digest: bytes = NO_DIGEST


def read_all(
    listing: Listing, recipe: Recipe, workers: Workers, chunks_done: int = 0
) -> Iterator[list[Outcome]]:
    """Chunks of outcomes in the order of the listing, from chunk `chunks_done` on; the same for any `workers`."""
    if listing.npz_path is not None:
        blocks = _npz_chunks(listing, recipe.chunk, chunks_done)
        yield from workers.run_chunks(_Array(recipe, listing.arrays), blocks, _array_crashed)
        return
    entries = listing.entries[chunks_done * recipe.chunk :]
    yield from workers.run_chunks(_File(recipe), chunked(entries, recipe.chunk), _crashed)


@dataclass(frozen=True)
class _File:
    """Reads one entry of a folder."""

    recipe: Recipe

    def __call__(self, entry: Entry) -> Outcome:
        if entry.refuse:
            return Outcome(entry.file, entry.refuse)
        try:
            film, digest = files.read_file(self.recipe.root, entry.file, self.recipe.accept)
            return _made(film, entry, self.recipe, digest[:DIGEST_BYTES])
        except Refused as refused:
            return Outcome(entry.file, refused.reason)
        except MemoryError:
            return Outcome(entry.file, refusals.TOO_MANY_PIXELS)


@dataclass(frozen=True)
class _Array:
    """Reads one image of an npz, already cut out of its array."""

    recipe: Recipe
    arrays: tuple[ImageArray, ...]

    def __call__(self, item: tuple[Entry, int, np.ndarray]) -> Outcome:
        entry, array, values = item
        if entry.refuse:
            return Outcome(entry.file, entry.refuse)
        try:
            return _made(npz.film(values, npz.look(self.arrays[array])), entry, self.recipe, NO_DIGEST)
        except Refused as refused:
            return Outcome(entry.file, refused.reason)


def _made(film: Film, entry: Entry, recipe: Recipe, digest: bytes) -> Outcome:
    pixels = to_depth(fit_square(film.unit, recipe.size, recipe.fit), np.dtype(recipe.dtype))
    known = fill(entry, film.look, header_patient=recipe.header_patient)
    row = {
        "file": entry.file,
        "patient": known.patient,
        "study": known.study,
        "view": known.view,
        "split": known.split,
        "labels": list(known.labels),
        "facts": dict(film.look.facts),
        "route": film.route,
    }
    return Outcome(entry.file, None, pixels, row, digest)


def _npz_chunks(
    listing: Listing, size: int, chunks_done: int
) -> Iterator[list[tuple[Entry, int, np.ndarray]]]:
    """Films of all arrays in one row, cut into chunks that pay no heed to where an array ends."""
    return chunked(_npz_films(listing, size, chunks_done * size), size)


def _npz_films(listing: Listing, size: int, first: int) -> Iterator[tuple[Entry, int, np.ndarray]]:
    assert listing.npz_path is not None
    position = 0
    for number, array in enumerate(listing.arrays):
        count = array.shape[0]
        part = listing.entries[position : position + count]
        refused = _refused(array)
        if refused:  # too large to be worth reading
            for entry in part[max(first - position, 0) :]:
                yield replace(entry, refuse=entry.refuse or refused), number, np.zeros((1, 1), np.uint8)
            position += count
            continue
        skipped = min(max(first - position, 0), count)
        at = position + skipped
        if skipped < count:
            for block in npz.blocks(listing.npz_path, array, size, skipped):
                for values in block:
                    yield listing.entries[at], number, values
                    at += 1
        position += count
    for entry in listing.entries[max(position, first) :]:  # what a manifest named and the archive lacks
        yield entry, 0, np.zeros((1, 1), np.uint8)


def _refused(array: ImageArray) -> str | None:
    try:
        npz.look(array)
    except Refused as refused:
        return refused.reason
    return None


def _crashed(entry: Entry) -> Outcome:
    return Outcome(entry.file, refusals.DECODER_CRASHED)


def _array_crashed(item: tuple[Entry, int, np.ndarray]) -> Outcome:
    return _crashed(item[0])
