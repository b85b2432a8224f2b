"""Files as accidents and enemies leave them: seeded edits of bytes, of text, and of JSON and YAML values.

Every function takes a `random.Random` and gives the same file for the same state of it.
"""

import copy
import json
import random
import struct
import zlib
from collections.abc import Callable, Sequence
from typing import Any

_EDGES = (
    0,
    1,
    2,
    7,
    8,
    127,
    128,
    255,
    256,
    32767,
    32768,
    65535,
    65536,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**63 - 1,
)
_LONGEST = 1 << 20  # bytes of a mutated file


def flip_bits(data: bytes, draw: random.Random) -> bytes:
    """One to sixteen bits turned."""
    out = bytearray(data)
    for _ in range(draw.choice((1, 2, 4, 16))):
        if out:
            out[draw.randrange(len(out))] ^= 1 << draw.randrange(8)
    return bytes(out)


def set_bytes(data: bytes, draw: random.Random) -> bytes:
    """A few bytes replaced by noise."""
    out = bytearray(data)
    at, count = _range(data, draw, 32)
    out[at : at + count] = draw.randbytes(count)
    return bytes(out)


def delete(data: bytes, draw: random.Random) -> bytes:
    """A range left out."""
    at, count = _range(data, draw, draw.choice((1, 8, 64, 4096)))
    return data[:at] + data[at + count :]


def duplicate(data: bytes, draw: random.Random) -> bytes:
    """A range written twice or many times."""
    at, count = _range(data, draw, draw.choice((4, 64, 512)))
    return data[:at] + data[at : at + count] * draw.choice((2, 2, 3, 50)) + data[at + count :]


def insert(data: bytes, draw: random.Random) -> bytes:
    """Noise, zeros or ones put in between."""
    at = draw.randrange(len(data) + 1)
    count = draw.choice((1, 2, 16, 300))
    new = draw.choice((draw.randbytes(count), bytes(count), b"\xff" * count))
    return data[:at] + new + data[at:]


def truncate(data: bytes, draw: random.Random) -> bytes:
    """Cut at the end, or at the beginning."""
    at = draw.randrange(len(data) + 1)
    return data[:at] if draw.random() < 0.8 else data[at:]


def number(data: bytes, draw: random.Random) -> bytes:
    """An integer of two, four or eight bytes replaced by one at the edge of its range; half of them near the head."""
    width = draw.choice((2, 4, 4, 8))
    if len(data) < width:
        return data
    most = len(data) - width
    at = draw.randrange(min(most, 400) + 1) if draw.random() < 0.5 else draw.randrange(most + 1)
    value = draw.choice(_EDGES) % (1 << 8 * width)
    return data[:at] + value.to_bytes(width, draw.choice(("little", "big"))) + data[at + width :]


def swap(data: bytes, draw: random.Random) -> bytes:
    """Two ranges exchanged."""
    if len(data) < 16:
        return data
    a, b = sorted(draw.sample(range(len(data) - 8), 2))
    count = min(draw.choice((4, 16, 64)), b - a, len(data) - b)
    return data[:a] + data[b : b + count] + data[a + count : b] + data[a : a + count] + data[b + count :]


def splice(data: bytes, other: bytes, draw: random.Random) -> bytes:
    """The beginning of one file and the end of another."""
    return data[: draw.randrange(len(data) + 1)] + other[draw.randrange(len(other) + 1) :]


BYTES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    flip_bits,
    flip_bits,
    set_bytes,
    delete,
    delete,
    duplicate,
    insert,
    truncate,
    number,
    number,
    number,
    swap,
)


def side(data: bytes, sides: Sequence[int], draw: random.Random) -> bytes:
    """The size of an image replaced, wherever a header states one of its sides, mostly by a huge one."""
    width, order = draw.choice((2, 2, 4)), draw.choice(("little", "big"))
    new = draw.choice((0, 1, 13, 1000, 10_000, 30_000, 65_535, 2**31 - 1, 2**32 - 1)) % (1 << 8 * width)
    for one in draw.sample(sides, draw.choice((1, 2, len(sides)))):
        data = data.replace(one.to_bytes(width, order), new.to_bytes(width, order), draw.choice((1, 2)))
    return data


def mutated(seeds: Sequence[bytes], draw: random.Random, sides: Sequence[int] = ()) -> bytes:
    """One of the seeds after one to four edits; every eighth is spliced with another, or states another size."""
    data = draw.choice(seeds)
    if sides and draw.random() < 0.15:
        data = side(data, sides, draw)
        if draw.random() < 0.5:
            return data
    if draw.random() < 0.125:
        data = splice(data, draw.choice(seeds), draw)
    for _ in range(draw.choice((1, 1, 2, 4))):
        data = draw.choice(BYTES)(data, draw)
    return data[:_LONGEST]


def png_repaired(data: bytes) -> bytes:
    """The same PNG with checksums that fit, so that what comes after them is reached."""
    out, at = data[:8], 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        body = data[at + 4 : at + 8 + length]
        if at + 12 + length > len(data):
            break
        out += data[at : at + 4] + body + struct.pack(">I", zlib.crc32(body))
        at += 12 + length
    return out + data[at:]


def _values(depth: int) -> list[Any]:
    return [
        None,
        True,
        False,
        0,
        -1,
        1,
        10**18,
        -(2**63),
        10**400,
        1e308,
        1e-320,
        "",
        "x",
        "NaN",
        "\u202e\x1b[31m",
        "0",
        "a" * 70_000,
        [],
        {},
        [[]],
        {"": {}},
        [1, "a", None],
        {"a": [1]},
        list(range(1000)),
        nested(depth),
        "../../etc/passwd",
        "/etc/passwd",
    ]


def nested(depth: int) -> Any:
    """Lists within lists."""
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


def edited_values(body: Any, draw: random.Random) -> Any:
    """A copy of a JSON value with some places changed: another type, a key gone, doubled or new, deep nesting."""
    body = {"": copy.deepcopy(body)}
    for _ in range(draw.choice((1, 1, 2, 3))):
        holders = list(_holders(body))
        holder = draw.choice(holders)
        keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        if not keys:
            continue
        key, act = draw.choice(keys), draw.random()
        if act < 0.6 or holder is body:
            holder[key] = draw.choice(_values(draw.choice((5, 60, 300))))
        elif act < 0.75:
            del holder[key]
        elif isinstance(holder, dict):
            holder[draw.choice(("", "unknown", "files", "schema", "é\u202e", key + "x"))] = holder[key]
        else:
            holder.append(holder[key])
    return body[""]


def mutated_json(seeds: Sequence[bytes], draw: random.Random) -> bytes:
    """JSON with wrong values, or with wrong text: nesting that no reader goes, numbers of many digits, NaN, bytes."""
    act = draw.random()
    if act < 0.5:
        return json.dumps(edited_values(json.loads(draw.choice(seeds)), draw), indent=1).encode()
    if act < 0.65:
        return _text_edit(draw.choice(seeds), draw)
    return mutated(seeds, draw)


def mutated_text(seeds: Sequence[bytes], draw: random.Random) -> bytes:
    """YAML or CSV: edits of its text, of its lines, or of its bytes."""
    act, data = draw.random(), draw.choice(seeds)
    if act < 0.3:
        return _text_edit(data, draw)
    if act < 0.6:
        return _line_edit(data, draw)
    return mutated(seeds, draw)


def _text_edit(data: bytes, draw: random.Random) -> bytes:
    """A token replaced by one that readers fall over."""
    places = [i for i, byte in enumerate(data) if byte in b" ,:\n[{"] or [0]
    at = draw.choice(places) + 1
    end = next((i for i in range(at, len(data)) if data[i] in b",\n]}"), len(data))
    token = draw.choice(
        (
            b"[" * 100_000,
            b'{"a":' * 50_000,
            b"9" * 100_000,
            b"-" + b"9" * 5000,
            b"1e999",
            b"NaN",
            b".nan",
            b".inf",
            b"Infinity",
            b"0x" + b"f" * 9000,
            b'"' + b"x" * 200_000 + b'"',
            b'"',
            b"'",
            b"\0",
            b"\xff\xfe",
            b"\xed\xa0\x80",
            b"2020-99-99",
            b"&a [*a, *a]",
            b"*b",
            b"<<: {}",
            b"!!python/object:os.system x",
            b"!!int ''",
            b"!!timestamp x",
            b"1:2:3:4",
            b"\r",
            b"\n---\n",
            b"\t",
            b"? [a]\n: b",
            b"| >",
            b"=1+1",
            b"../../x",
            b"\xe2\x80\xae",
            b"true",
            b"null",
            b"~",
        )
    )
    return data[:at] + token + (data[end:] if draw.random() < 0.7 else b"")


def _line_edit(data: bytes, draw: random.Random) -> bytes:
    """Lines left out, doubled, moved, joined, indented or repeated a thousand times; delimiters exchanged."""
    lines = data.split(b"\n")
    at, act = draw.randrange(len(lines)), draw.randrange(8)
    if act == 0:
        del lines[at]
    elif act == 1:
        lines.insert(at, lines[at])
    elif act == 2:
        draw.shuffle(lines)
    elif act == 3:
        lines[at] = b"  " * draw.randrange(1, 60) + lines[at]
    elif act == 4:
        lines[at : at + 1] = [lines[at]] * 1000
    elif act == 5:
        lines = [line.replace(b",", draw.choice((b";", b"\t", b"|", b",,"))) for line in lines]
    elif act == 6:
        lines[at] = lines[at].replace(b'"', b"") + b'"'
    else:
        return draw.choice((b"\r", b"\r\n", b"")).join(lines)
    return b"\n".join(lines)


def _holders(value: Any) -> list[Any]:
    """Every list and mapping within a value, itself first; at most 2000."""
    found, at = [value], 0
    while at < len(found) and len(found) < 2000:
        inner = found[at].values() if isinstance(found[at], dict) else found[at]
        found += [one for one in inner if isinstance(one, dict | list)]
        at += 1
    return found


def _range(data: bytes, draw: random.Random, most: int) -> tuple[int, int]:
    """(start, length) of a range of at most `most` bytes."""
    if not data:
        return 0, 0
    at = draw.randrange(len(data))
    return at, draw.randrange(1, min(most, len(data) - at) + 1)
