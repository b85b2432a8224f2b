"""The page on which a reviewer looks at pairs: one HTML file with its pictures, style and script inside.

The page knows opaque items and nothing of what they are. Its policy lets nothing load and nothing be sent; verdicts
leave it as a file that the reviewer saves. Axes: (Y, X) pixels.
"""

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from medaudit.render.alone import print_alone
from medaudit.render.png import grey_png


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
    data = {
        "page": page,
        "schema": schema,
        "reasons": [list(one) for one in reasons.items()],
        "items": [_item(one) for one in pairs],
    }
    return print_alone(
        "review",
        script="review.js",
        page=page,
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
