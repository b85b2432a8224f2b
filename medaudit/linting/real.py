"""What a real cohort at hand makes known: names of its files, hashes of it and of its films, blocks of their pixels.

Axes: N films, (Y, X) pixels.
"""

import hashlib
from collections.abc import Iterable, Iterator

import numpy as np

from medaudit.artifacts.cohort import Cohort
from medaudit.artifacts.identities import is_keyed_file
from medaudit.linting.blocks import Blocks
from medaudit.linting.known import Known
from medaudit.linting.words import Words, telling_parts

_FILMS_AT_ONCE = 256
_DIGESTS = (hashlib.sha256, hashlib.sha1, hashlib.md5)


def known_of(
    ids: Iterable[str],
    cohorts: Iterable[Cohort],
    forbidden: Iterable[str] = (),
    identities: Iterable[tuple[str, str, str]] = (),
    *,
    blocks: bool = True,
) -> Known:
    """What must not go out: `ids` of the real cohorts (hex), the cohorts at hand, words that the site forbids.

    `identities` (kind, name, original) say what the pseudonyms stand for: all files, patients and studies of the site
    are looked for, of these cohorts or not. Without `blocks` pixels are not learnt: where no picture may stand at all,
    none is compared.
    """
    cohorts = list(cohorts)
    files, parts = set[str](), set[str]()
    for kind, name, original in identities:
        if kind != "file" or is_keyed_file(name):  # names of synthetic images are nobody's
            parts |= telling_parts([original])
            files.add(name)
    nameless = 0
    words, digests = set(forbidden) | parts, {bytes.fromhex(one) for one in ids}
    for cohort in cohorts:
        refused = [file for file, _ in cohort.artifact.manifest.get("refused", {}).get("files", [])]
        named = {*cohort.rows.column("file").to_pylist(), *refused}
        keyed = {name for name in named if is_keyed_file(name)}
        words |= telling_parts(named - keyed)  # a cohort of an earlier version holds its files' own names
        nameless += len(keyed - files)
        digests |= {bytes.fromhex(one) for one in (cohort.id, *cohort.artifact.manifest["files"].values())}
        digests |= {make(film.tobytes()).digest() for film in _films([cohort]) for make in _DIGESTS}
    pixels = Blocks(_films(cohorts)) if blocks and cohorts else None
    return Known(Words(words), frozenset(digests), pixels, nameless=nameless)


def _films(cohorts: Iterable[Cohort]) -> Iterator[np.ndarray]:
    """Each film in use, (Y, X), read a few hundred at a time."""
    for cohort in cohorts:
        rows = cohort.in_use
        for start in range(0, len(rows), _FILMS_AT_ONCE):
            yield from np.asarray(cohort.pixels[rows[start : start + _FILMS_AT_ONCE]])
