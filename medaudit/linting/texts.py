"""Whether a text names someone: pseudonyms, paths, dates, hashes of real files, words that were forbidden.

A text is looked at as it stands and with what is packed into it: base64 runs are decoded, compressed ones inflated.
"""

import base64
import binascii
import re
import zlib
from collections.abc import Iterator

from medaudit.artifacts.identifying import DATE, FILE_PATH, holds_pseudonym
from medaudit.linting.known import Known

# Not paths: addresses, and signatures and keys in base64, which end in padding.
_NO_PATHS = re.compile(r"https?://\S+|xmlns\S*|[A-Za-z0-9+/]{40,}={1,2}")
_HEX = re.compile(r"(?<![0-9A-Za-z])(?:[0-9a-fA-F]{32}|[0-9a-fA-F]{40}|[0-9a-fA-F]{64})(?![0-9A-Za-z])")
_NIGHTLY = re.compile(r"\.dev\d{8}\b")  # of a version; eight digits of it, or of a hash, are no date
_BASE64 = re.compile(r"(?<![A-Za-z0-9+/_-])(?:[A-Za-z0-9+/]{22,}|[A-Za-z0-9_-]{22,})={0,2}")
_PICTURES = (b"\x89PNG\r\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"GIF8", b"BM", b"\x93NUMPY", b"PK\x03\x04")
_DIGEST_BYTES = (16, 20, 32)  # MD5, SHA-1, SHA-256
_DEEPEST = 3


def found_in(
    text: str, known: Known, *, own: frozenset[str] = frozenset(), paths: bool = True, dates: bool = True
) -> str | None:
    """What `text` must not hold, in words without the thing itself; None when all is well.

    `own` are file names, dates and hashes that the output is allowed to hold: its own. Without `paths` and `dates`
    these are not looked for, as in text that was cut or run together.
    """
    return next(_complaints(text, known, own, paths, dates, 0), None)


def _complaints(
    text: str, known: Known, own: frozenset[str], paths: bool, dates: bool, depth: int
) -> Iterator[str]:
    if holds_pseudonym(text):
        yield "a pseudonym"
    plain = _NO_PATHS.sub("", text)
    if paths and any(match.group() not in own for match in FILE_PATH.finditer(plain)):
        yield "a file's path"
    dated = _NIGHTLY.sub("", _HEX.sub("", plain))
    if dates and any(match.group() not in own for match in DATE.finditer(dated)):
        yield "a date"
    if known.names(text):
        yield "a word that stands in the real cohort or among the forbidden ones"
    if known.hashes(text):
        yield "a plain hash of a real file"
    if known.strict and any(match.group().lower() not in own for match in _HEX.finditer(text)):
        yield "a hash that is none of its own"
    for match in _BASE64.finditer(text):
        yield from _unpacked(match.group(), known, own, depth)


def _unpacked(run: str, known: Known, own: frozenset[str], depth: int) -> Iterator[str]:
    """What a base64 run holds: a digest, a picture, or text, perhaps compressed."""
    try:
        data = base64.b64decode(run.rstrip("=") + "=" * (-len(run.rstrip("=")) % 4), altchars=_alphabet(run))
    except (binascii.Error, ValueError):
        return
    if len(data) in _DIGEST_BYTES and data in known.digests:
        yield "a plain hash of a real file"
    data = inflated(data)
    if data.startswith(_PICTURES) or data[128:132] == b"DICM":
        yield "an encoded picture"
    elif depth < _DEEPEST and _is_text(data):
        yield from _complaints(data.decode("utf-8", "replace"), known, own, False, True, depth + 1)


def _alphabet(run: str) -> bytes | None:
    return b"-_" if "-" in run or "_" in run else None


def inflated(data: bytes) -> bytes:
    """The bytes, decompressed where they are a zlib or gzip stream (at most 16 MiB of it)."""
    if data[:1] == b"\x78" or data[:2] == b"\x1f\x8b":
        try:
            return zlib.decompressobj(wbits=47).decompress(data, 1 << 24)
        except zlib.error:
            return data
    return data


def _is_text(data: bytes) -> bool:
    """Whether the bytes read as text: hardly any control character among them."""
    sample = data[:4096]
    strange = sum(byte < 9 or 13 < byte < 32 or byte > 126 for byte in sample)
    return len(sample) > 0 and strange <= 0.05 * len(sample)
