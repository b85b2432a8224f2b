"""The page on which a reviewer looks at pairs: one HTML file with its pictures, style and script inside.

The page knows opaque items and nothing of what they are. Its policy lets nothing load and nothing be sent; verdicts
leave it as a file that the reviewer saves. Axes: (Y, X) pixels.
"""

import base64
import hashlib
import json
import struct
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup


@dataclass(frozen=True)
class Shown:
    """One pair as the page holds it: pictures (Y, X) uint8; `untouched` is the film as it is where `film` was moved."""

    item: str
    image: np.ndarray
    film: np.ndarray
    untouched: np.ndarray | None
    done: str


def print_page(
    page: str, pairs: Iterable[Shown], reasons: Mapping[str, str], schema: str, limits: tuple[int, int]
) -> str:
    """The page. `page` is its id, `schema` that of the file it exports, `limits` the longest note and name."""
    style, script = _template("review.css"), _template("review.js")
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    data = {
        "page": page,
        "schema": schema,
        "reasons": [list(one) for one in reasons.items()],
        "items": [_item(one) for one in pairs],
    }
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.from_string(_template("review.html.j2")).render(
        page=page,
        policy=policy,
        style=Markup(style),  # ours, no input in it
        script=Markup(script),  # ours, no input in it
        data=Markup(script_json(data)),
        count=len(data["items"]),
        longest_note=limits[0],
        longest_name=limits[1],
    )


def script_json(value: object) -> str:
    """JSON that cannot end the script element it stands in, nor be read as markup or as a line end by a script."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    for mark in "<>&":
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    return text


def _item(one: Shown) -> dict[str, str | None]:
    return {
        "item": one.item,
        "image": _uri(one.image),
        "film": _uri(one.film),
        "untouched": None if one.untouched is None else _uri(one.untouched),
        "done": one.done,
    }


def _uri(pixels: np.ndarray) -> str:
    return f"data:image/png;base64,{base64.b64encode(grey_png(pixels)).decode()}"


def grey_png(pixels: np.ndarray) -> bytes:
    """(Y, X) uint8 → a grey PNG without any text chunk; each row as the difference to the one above (PNG, 9.2: Up)."""
    if pixels.ndim != 2 or pixels.dtype != np.uint8:
        raise ValueError("a (Y, X) uint8 picture is expected")
    height, width = pixels.shape
    above = np.concatenate([np.zeros_like(pixels[:1]), pixels[:-1]])
    rows = np.full((height, 1 + width), 2, dtype=np.uint8)
    rows[:, 1:] = pixels - above
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b""))
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _template(name: str) -> str:
    return files("medaudit.render").joinpath("templates", name).read_text(encoding="utf-8")
