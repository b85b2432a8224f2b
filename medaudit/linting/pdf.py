"""Reads back what a PDF of ours says: page text, tag and metadata strings, raster images.

Enough of PDF (ISO 32000-1) for files that typst writes: uncompressed object dictionaries, Flate streams, and fonts
with a ToUnicode map. Used to look for leaks in the finished file.
"""

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

_OBJECT = re.compile(rb"(?<!\d)(\d+) 0 obj\b(.*?)\bendobj", re.DOTALL)
_STREAM = re.compile(rb"stream\r?\n(.*)\r?\nendstream", re.DOTALL)
_FONT = re.compile(rb"/(f\d+)\s+(\d+) 0 R")
_TO_UNICODE = re.compile(rb"/ToUnicode\s+(\d+) 0 R")
_BFCHAR = re.compile(rb"beginbfchar(.*?)endbfchar", re.DOTALL)
_BFRANGE = re.compile(rb"beginbfrange(.*?)endbfrange", re.DOTALL)
_TEXT_OPERATOR = re.compile(rb"/(f\d+)\s+[\d.]+\s+Tf|<(?!FEFF)([0-9A-Fa-f]+)>")
_ESCAPE = re.compile(rb"\\([0-7]{1,3}|.|\n)", re.DOTALL)
_REFERENCE = re.compile(rb"(\d+) 0 R")
_INLINE_IMAGE = re.compile(rb"(?<!\w)BI\s.*?\sID\s", re.DOTALL)
_NAMED = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f", b"\n": b""}


@dataclass(frozen=True)
class PdfText:
    """What a PDF says: `pages` in order (no space between lines), `strings` of tags and metadata, and the streams
    as they are; `images` counts raster pictures."""

    pages: tuple[str, ...]
    strings: tuple[str, ...]
    streams: tuple[str, ...]
    images: int


def read_pdf(pdf: bytes) -> PdfText:
    """Take a PDF apart. Raises ValueError when it has no page that can be read."""
    objects = {int(number): body for number, body in _OBJECT.findall(pdf)}
    dictionaries = {number: _STREAM.sub(b"", body) for number, body in objects.items()}
    streams = {number: _inflated(body) for number, body in objects.items() if _STREAM.search(body)}
    strings: list[str] = []
    for dictionary in dictionaries.values():
        strings.extend(_string(literal) for _, _, literal in _literals(dictionary))
        strings.extend(_wide_strings(dictionary))
    for number, stream in streams.items():
        if not _is_font(dictionaries[number]):
            strings.extend(_wide_strings(stream))
    pages = tuple(
        "".join("".join(_page_text(streams[number], maps)) for number in contents if number in streams)
        for contents, maps in _pages(dictionaries, streams)
    )
    if not any(pages):
        raise ValueError("the PDF has no page whose text can be read")
    plain = [body for number, body in streams.items() if not _is_font(dictionaries[number])]
    images = len(re.findall(rb"/Subtype\s*/Image\b", pdf))
    images += sum(len(_INLINE_IMAGE.findall(body)) for body in plain if b"BT" in body or b" cm" in body)
    return PdfText(pages, tuple(strings), tuple(body.decode("latin-1") for body in plain), images)


def _pages(
    dictionaries: dict[int, bytes], streams: dict[int, bytes]
) -> Iterator[tuple[list[int], dict[bytes, dict[int, str]]]]:
    """Content streams and font maps of each page, along the page tree (ISO 32000-1, 7.7.3).

    Font names belong to a page's resources: f0 is another font on another page.
    """
    roots = [
        number
        for number, body in dictionaries.items()
        if re.search(rb"/Type\s*/Pages\b", body) and not re.search(rb"/Parent\b", body)
    ]
    waiting = roots[::-1]
    while waiting:
        body = dictionaries.get(waiting.pop(), b"")
        kids = re.search(rb"/Kids\s*\[([^\]]*)\]", body)
        if kids:
            waiting.extend(int(number) for number in reversed(_REFERENCE.findall(kids.group(1))))
            continue
        contents = re.search(rb"/Contents\s*(\[[^\]]*\]|\d+ 0 R)", body)
        resources = re.search(rb"/Resources\s+(\d+) 0 R", body)
        named = dictionaries.get(int(resources.group(1)), b"") if resources else body
        maps = {}
        for font, number in _FONT.findall(named):
            to_unicode = _TO_UNICODE.search(dictionaries.get(int(number), b""))
            if to_unicode:
                maps[font] = _unicode_map(streams.get(int(to_unicode.group(1)), b""))
        yield [int(number) for number in _REFERENCE.findall(contents.group(1))] if contents else [], maps


def _wide_strings(body: bytes) -> Iterator[str]:
    """Hexadecimal UTF-16 strings with a byte order mark: alt texts and titles that are not plain ASCII."""
    for token in re.findall(rb"<(FEFF(?:[0-9A-Fa-f]{4})*)>", body):
        yield bytes.fromhex(token.decode()).decode("utf-16-be", "ignore")


def _is_font(dictionary: bytes) -> bool:
    return re.search(rb"/Subtype\s*/(?:CIDFontType0C|OpenType|Type1C)\b|/Length1\b", dictionary) is not None


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
    """The glyphs of a content stream as text; every glyph code has two bytes (Identity-H)."""
    pieces, last = [], 0
    for start, end, literal in _literals(stream):
        pieces += [stream[last:start], b"<", _unescaped(literal).hex().encode(), b">"]
        last = end
    current: dict[int, str] = {}
    for font, digits in _TEXT_OPERATOR.findall(b"".join([*pieces, stream[last:]])):
        if font:
            current = maps.get(font, {})
            continue
        codes = bytes.fromhex((digits + b"0" * (len(digits) % 2)).decode())
        for place in range(0, len(codes) - 1, 2):
            yield current.get(codes[place] << 8 | codes[place + 1], "")


def _literals(body: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Start, end and inside of each literal string; parentheses inside may be balanced instead of escaped (7.3.4.2)."""
    depth, start = 0, 0
    for mark in re.finditer(rb"\\.|[()]", body, re.DOTALL):
        if mark.group() == b"(":
            start = start if depth else mark.start()
            depth += 1
        elif mark.group() == b")" and depth:
            depth -= 1
            if depth == 0:
                yield start, mark.end(), body[start + 1 : mark.start()]


def _unescaped(literal: bytes) -> bytes:
    def plain(match: re.Match[bytes]) -> bytes:
        token = match.group(1)
        if token.isdigit() and token[:1] in b"01234567":
            return bytes([int(token, 8) & 0xFF])
        return _NAMED.get(token, token)

    return _ESCAPE.sub(plain, literal)


def _string(literal: bytes) -> str:
    raw = _unescaped(literal)
    return raw[2:].decode("utf-16-be", "ignore") if raw.startswith(b"\xfe\xff") else raw.decode("latin-1")
