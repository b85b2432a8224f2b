"""The pictures of a review page as data URIs: without loss while the page stays small, else as WebP of one quality.

One rule for the whole page, so that no picture tells by its quality what its pair is, and controls lose what the
flagged pairs lose. Axes: (Y, X) uint8 pixels.
"""

import base64
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from medaudit.render.png import grey_png

Encoder = Callable[[np.ndarray], str]
Webp = Callable[[np.ndarray, int], bytes]  # a picture and a quality, as a file's bytes

MOST_BYTES = 5_000_000  # of a page: more is slow to open and to keep
_QUALITIES = (90, 80, 70, 60, 50, 40)  # of WebP; on chest films at 512 px 43 to 38 dB
_IN_TEXT = 4 / 3  # bytes of base64 for a byte
_MARGIN = 0.9  # the pictures tried are not all


def encoder(tried: Sequence[np.ndarray], count: int, webp: Webp) -> Encoder:
    """How to write `count` pictures like those tried, so that a page of them stays under MOST_BYTES if it can."""
    room = _MARGIN * MOST_BYTES / _IN_TEXT / max(1, count)
    ways: list[Encoder] = [
        lambda one: _uri("png", grey_png(one)),
        *(partial(_lossy, webp, quality) for quality in _QUALITIES),
    ]
    for way in ways[:-1]:
        if np.mean([len(way(one)) / _IN_TEXT for one in tried] or [0]) <= room:
            return way
    return ways[-1]


def _lossy(webp: Webp, quality: int, pixels: np.ndarray) -> str:
    return _uri("webp", webp(pixels, quality))


def _uri(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
