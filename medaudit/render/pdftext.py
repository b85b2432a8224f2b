"""Reads back what a PDF of ours says: page text, tag and metadata strings, raster images.

Enough of PDF (ISO 32000-1) for files that typst writes: uncompressed object dictionaries, Flate streams, and fonts
with a ToUnicode map. Used to look for leaks in the finished file, so it errs on the side of reading too much: a
glyph string is decoded with every font's map when its own is not known.
"""

import re
import zlib
from collections.abc import Iterator

_OBJECT = re.compile(rb"(?<!\d)(\d+) 0 obj\b(.*?)\bendobj", re.DOTALL)
_STREAM = re.compile(rb"stream\r?\n(.*)\r?\nendstream", re.DOTALL)
_FONT = re.compile(rb"/(f\d+)\s+(\d+) 0 R")
_TO_UNICODE = re.compile(rb"/ToUnicode\s+(\d+) 0 R")
_BFCHAR = re.compile(rb"beginbfchar(.*?)endbfchar", re.DOTALL)
_BFRANGE = re.compile(rb"beginbfrange(.*?)endbfrange", re.DOTALL)
_LITERAL = rb"\((?:[^\\()]|\\.)*\)"
_TEXT_OPERATOR = re.compile(rb"/(f\d+)\s+[\d.]+\s+Tf|(" + _LITERAL + rb")|<([0-9A-Fa-f]+)>", re.DOTALL)
_ESCAPE = re.compile(rb"\\([0-7]{1,3}|.|\n)", re.DOTALL)
_NAMED = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f", b"\n": b""}


def readable(pdf: bytes) -> str:
    """Everything in the file that reads as text: pages (without spaces between lines), strings, metadata."""
    objects = {int(number): body for number, body in _OBJECT.findall(pdf)}
    streams = {number: _inflated(body) for number, body in objects.items() if _STREAM.search(body)}
    maps = {
        font: _unicode_map(streams[int(to_unicode.group(1))])
        for font, to_unicode in _fonts(objects)
        if int(to_unicode.group(1)) in streams
    }
    parts: list[str] = []
    for number, body in objects.items():
        dictionary = _STREAM.sub(b"", body)
        parts.extend(_string(token) for token in re.findall(_LITERAL, dictionary, re.DOTALL))
        parts.extend(
            bytes.fromhex(token.decode()).decode("utf-16-be", "ignore")
            for token in re.findall(rb"<(FEFF(?:[0-9A-Fa-f]{4})*)>", dictionary)
        )
        stream = streams.get(number, b"")
        if b"/FontFile" in dictionary or not stream:
            continue
        if b" Tf" in stream:
            parts.append("".join(_page_text(stream, maps)))
        parts.append(stream.decode("latin-1"))
    return "\n".join(parts)


def image_count(pdf: bytes) -> int:
    """Number of raster images (XObjects and inline ones) in the file."""
    found = len(re.findall(rb"/Subtype\s*/Image\b", pdf))
    for body in (match.group(2) for match in _OBJECT.finditer(pdf)):
        if _STREAM.search(body):
            found += len(re.findall(rb"(?<!\w)BI\s.*?\sID\s", _inflated(body), re.DOTALL))
    return found


def _fonts(objects: dict[int, bytes]) -> Iterator[tuple[bytes, re.Match[bytes]]]:
    for body in objects.values():
        for name, number in _FONT.findall(_STREAM.sub(b"", body)):
            to_unicode = _TO_UNICODE.search(objects.get(int(number), b""))
            if to_unicode:
                yield name, to_unicode


def _inflated(body: bytes) -> bytes:
    match = _STREAM.search(body)
    if match is None:
        return b""
    if b"/FlateDecode" not in body[: match.start()]:
        return match.group(1)
    try:
        return zlib.decompress(match.group(1))
    except zlib.error:
        return zlib.decompressobj().decompress(match.group(1))


def _unicode_map(cmap: bytes) -> dict[int, str]:
    """Glyph code → text, from the bfchar and bfrange sections of a ToUnicode map (ISO 32000-1, 9.10.3)."""
    found = {}
    for section in _BFCHAR.findall(cmap):
        for code, text in re.findall(rb"<([0-9A-Fa-f]+)>\s*<([0-9A-Fa-f]+)>", section):
            found[int(code, 16)] = bytes.fromhex(text.decode()).decode("utf-16-be", "replace")
    for section in _BFRANGE.findall(cmap):
        for first, last, text in re.findall(
            rb"<([0-9A-Fa-f]+)>\s*<([0-9A-Fa-f]+)>\s*<([0-9A-Fa-f]+)>", section
        ):
            start = int(text, 16)
            for offset in range(int(last, 16) - int(first, 16) + 1):
                found[int(first, 16) + offset] = chr(start + offset)
    return found


def _page_text(stream: bytes, maps: dict[bytes, dict[int, str]]) -> Iterator[str]:
    current: dict[int, str] = {}
    for font, literal, digits in _TEXT_OPERATOR.findall(stream):
        if font:
            current = maps.get(font, {})
            continue
        codes = (
            _unescaped(literal[1:-1])
            if literal
            else bytes.fromhex((digits + b"0" * (len(digits) % 2)).decode())
        )
        for place in range(0, len(codes) - 1, 2):
            yield current.get(codes[place] << 8 | codes[place + 1], "")


def _unescaped(literal: bytes) -> bytes:
    def plain(match: re.Match[bytes]) -> bytes:
        token = match.group(1)
        if token.isdigit() and token[:1] in b"01234567":
            return bytes([int(token, 8) & 0xFF])
        return _NAMED.get(token, token)

    return _ESCAPE.sub(plain, literal)


def _string(token: bytes) -> str:
    raw = _unescaped(token[1:-1])
    return raw[2:].decode("utf-16-be", "ignore") if raw.startswith(b"\xfe\xff") else raw.decode("latin-1")
