"""The page of a review as a text: hostile words cannot leave the place where they stand; pictures come back whole."""

import io
import json
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from medaudit.render.png import grey_png
from medaudit.render.review_page import Shown, print_page, script_json
from medaudit.writers.raster import grey_webp

HOSTILE = "</script><script>alert(1)</script><!--<script>&amp;\u2028'\"<img src=x onerror=alert(1)>"


class Reader(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.blocks: list[str] = []
        self.inside = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.inside = tag == "script"
        if self.inside:
            self.blocks.append("")

    def handle_endtag(self, tag: str) -> None:
        self.inside = False

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.blocks[-1] += data


def picture(seed: int = 0) -> np.ndarray:
    return np.random.Generator(np.random.Philox(seed)).integers(0, 256, (11, 7)).astype(np.uint8)


def test_hostile_words_stay_words() -> None:
    shown = [Shown("0" * 16, picture(), picture(1), picture(2), HOSTILE)]
    page = print_page(HOSTILE, shown, {"anatomy": HOSTILE}, HOSTILE, (2000, 80), grey_webp)
    found = Reader(page)
    assert found.tags.count("script") == 2 and found.tags.count("img") == 4
    data = json.loads(found.blocks[0])
    assert data["page"] == data["schema"] == data["items"][0]["done"] == data["reasons"][0][1] == HOSTILE
    assert "onerror=alert" not in page.replace("\\u003cimg src=x onerror=alert", "").replace("&lt;img", "")


@given(st.text(), st.dictionaries(st.text(), st.none() | st.integers() | st.text()))
def test_what_a_script_reads_is_what_was_written(text: str, facts: dict[str, object]) -> None:
    written = script_json([text, facts])
    assert json.loads(written) == [text, facts]
    assert written.isascii() and not set("<>&") & set(written)


def test_a_picture_comes_back_pixel_by_pixel() -> None:
    pixels = picture()
    read = Image.open(io.BytesIO(grey_png(pixels)))
    assert read.mode == "L" and read.size == (7, 11) and not read.info
    assert np.array_equal(np.asarray(read), pixels)
    for wrong in (pixels.astype(np.uint16), pixels[None]):
        with pytest.raises(ValueError):
            grey_png(wrong)
