"""How the pictures of a review page are written: without loss while there is room, one way for all, never too large."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from medaudit.images.phantom import phantom
from medaudit.render.review_page import Shown, print_page
from medaudit.render.review_pictures import MOST_BYTES, encoder
from medaudit.writers.raster import grey_webp


def film(side: int, seed: int = 0) -> np.ndarray:
    return np.round(phantom(seed, 0, (side, side)) * 255).astype(np.uint8)


def opened(uri: str) -> np.ndarray:
    with Image.open(io.BytesIO(base64.b64decode(uri.split(",", 1)[1]))) as picture:
        return np.asarray(picture.convert("L"))


def test_a_small_page_loses_nothing() -> None:
    one = film(48)
    uri = encoder([one], 254 * 3, grey_webp)(one)
    assert uri.startswith("data:image/png;base64,") and np.array_equal(opened(uri), one)


@pytest.mark.parametrize("count", [60, 200, 762])
def test_a_full_page_fits_and_its_pictures_are_close(count: int) -> None:
    one, other = film(512), film(512, 1)
    write = encoder([one], count, grey_webp)
    uri = write(other)
    assert len(uri) * count < MOST_BYTES * 1.05
    assert count < 200 or uri.startswith("data:image/webp;base64,")
    apart = opened(uri).astype(float) - other
    assert 10 * np.log10(255**2 / np.mean(apart**2)) > 36


def test_where_nothing_fits_the_smallest_is_taken_and_no_picture_is_no_fault() -> None:
    noise = np.random.Generator(np.random.Philox(1)).integers(0, 256, (256, 256), dtype=np.uint8)
    assert encoder([noise], 10**6, grey_webp)(noise).startswith("data:image/webp")
    assert encoder([], 0, grey_webp)(noise).startswith("data:image/png")


def test_all_pictures_of_a_page_are_written_alike() -> None:
    rng = np.random.Generator(np.random.Philox(2))
    noise = rng.integers(0, 256, (256, 256), dtype=np.uint8)
    pairs = [Shown(f"{n:016x}", noise, film(64, n), noise if n % 2 else None, "") for n in range(40)]
    for count in (0, len(pairs)):
        html = print_page("ab" * 32, iter(pairs), {}, "s", (9, 9), grey_webp, count)
        assert html.count("data:image/webp;base64,") == 100 and "data:image/png;base64," not in html
        assert len(html) < MOST_BYTES
