"""The page on which a reviewer looks at pairs: one HTML file with its pictures, style and script inside.

The page knows opaque items and nothing of what they are. Its policy lets nothing load and nothing be sent; verdicts
leave it as a file that the reviewer saves. Axes: (Y, X) pixels.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain, islice

import numpy as np
from markupsafe import Markup

from medaudit.render.alone import print_alone
from medaudit.render.review_pictures import Encoder, Webp, encoder

_TRIED = 16  # pairs that tell how large pictures get


@dataclass(frozen=True)
class Shown:
    """One pair as the page holds it: pictures (Y, X) uint8; `untouched` is the film as it is where `film` was moved."""

    item: str
    image: np.ndarray
    film: np.ndarray
    untouched: np.ndarray | None
    done: str


def print_page(
    page: str, pairs: Iterable[Shown], reasons: Mapping[str, str], schema: str, limits: tuple[int, int], webp: Webp,
    count: int = 0,
) -> str:  # fmt: skip
    """The page. `page` is its id, `schema` that of the file it exports, `limits` the longest note and name.

    `webp` writes a picture with loss where the page would grow too large. `count` pairs are expected, and the first of
    them tell how the pictures are written; 0: as many as there are.
    """
    coming = iter(pairs)
    first = list(islice(coming, _TRIED if count else None))
    pictures = [one for pair in first for one in _pictures(pair)]
    write = encoder(pictures, len(pictures) * (count or len(first)) // max(1, len(first)), webp)
    data = {
        "page": page,
        "schema": schema,
        "reasons": [list(one) for one in reasons.items()],
        "items": [_item(one, write) for one in chain(first, coming)],
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


def _pictures(one: Shown) -> list[np.ndarray]:
    return [picture for picture in (one.image, one.film, one.untouched) if picture is not None]


def _item(one: Shown, write: Encoder) -> dict[str, str | None]:
    return {
        "item": one.item,
        "image": write(one.image),
        "film": write(one.film),
        "untouched": None if one.untouched is None else write(one.untouched),
        "done": one.done,
    }
