"""PNG, JPEG and TIFF: depth, polarity, colour, and what is refused."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from reader_files import ramp

from medaudit.readers import raster, refusals
from medaudit.readers.refusals import Refused


def saved(values: np.ndarray | Image.Image, kind: str = "PNG", **options: object) -> bytes:
    image = values if isinstance(values, Image.Image) else Image.fromarray(values)
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def reason(data: bytes) -> str:
    with pytest.raises(Refused) as caught:
        raster.read(data)
    return caught.value.reason


def by_hand(values: np.ndarray) -> np.ndarray:
    low, high = np.percentile(values, [0.5, 99.5])
    return np.clip((values - low) / (high - low), 0, 1)


GRAY = ramp(top=200).astype(np.uint8)  # (7, 11)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_eight_bits_keep_their_full_range(kind: str) -> None:
    film = raster.read(saved(GRAY, kind))
    np.testing.assert_allclose(film.unit, GRAY / 255, atol=1e-7)
    assert (film.route, film.look.bits, film.look.kind) == ("full range", 8, kind)
    assert film.unit.dtype == np.float32 and film.unit.shape == (7, 11)


@pytest.mark.parametrize("top", [1023, 4095, 65535])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_and_never_clipped(kind: str, top: int) -> None:
    values = ramp(top=top).astype(np.uint16)
    film = raster.read(saved(values, kind))
    np.testing.assert_allclose(film.unit, by_hand(values.astype(float)), atol=1e-6)
    assert (film.route, film.look.bits) == ("percentile", 16)
    assert len(np.unique(film.unit)) >= len(np.unique(values)) - 2  # only the ends may fall together


def test_jpeg_is_near_its_source() -> None:
    smooth = np.linspace(0, 255, 64 * 48).reshape(48, 64).astype(np.uint8)
    film = raster.read(saved(smooth, "JPEG", quality=95))
    assert film.unit.shape == (48, 64)
    assert np.abs(film.unit - smooth / 255).max() < 0.03


def test_jpeg_of_three_equal_channels_is_gray() -> None:
    data = saved(Image.fromarray(np.tile(GRAY, (4, 4))).convert("RGB"), "JPEG")
    assert raster.read(data).unit.shape == (28, 44)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P"])
def test_gray_in_a_colour_mode_is_gray(mode: str) -> None:
    film = raster.read(saved(Image.fromarray(GRAY).convert(mode)))
    np.testing.assert_allclose(film.unit, GRAY / 255, atol=1e-7)


def test_a_bitmap_is_read() -> None:
    film = raster.read(saved(Image.fromarray(GRAY > 100)))
    assert set(np.unique(film.unit)) == {0.0, 1.0}


def test_tiff_where_zero_is_white_is_turned() -> None:
    values = ramp(top=65535).astype(np.uint16)
    plain = raster.read(saved(values, "TIFF"))
    turned = raster.read(saved(65535 - values, "TIFF", tiffinfo={262: 0}))
    assert np.array_equal(plain.unit, turned.unit)


def test_float_tiff_is_scaled() -> None:
    values = (ramp(top=4000) / 7).astype(np.float32)
    np.testing.assert_allclose(raster.read(saved(values, "TIFF")).unit, by_hand(values), atol=1e-5)


def test_colour_is_refused_by_header_and_by_pixels() -> None:
    pixels = np.repeat(GRAY[:, :, None], 3, axis=2)
    pixels[2, 3, 0] ^= 128
    assert reason(saved(pixels)) == refusals.COLOUR
    with pytest.raises(Refused, match=refusals.COLOUR):
        raster.look(io.BytesIO(saved(pixels)))
    hidden = np.dstack([GRAY, GRAY, GRAY, np.full_like(GRAY, 255)])
    assert raster.read(saved(hidden)).unit.shape == (7, 11)
    hidden[0, :2, 3] = 0
    assert reason(saved(hidden)) == refusals.TRANSPARENT


def test_refusals() -> None:
    assert reason(saved(np.full((7, 11), 9, np.uint8))) == refusals.CONSTANT
    spoiled = (ramp() / 7).astype(np.float32)
    spoiled[3, 3] = np.nan
    assert reason(saved(spoiled, "TIFF")) == refusals.NOT_FINITE
    pages = [Image.fromarray(GRAY), Image.fromarray(GRAY[::-1].copy())]
    assert reason(saved(pages[0], "TIFF", save_all=True, append_images=pages[1:])) == refusals.MULTI_FRAME
    assert reason(b"not a picture") == refusals.NOT_IMAGE


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
@pytest.mark.parametrize("kept", [0.5, 0.9])
def test_a_cut_file_is_refused(kind: str, kept: float) -> None:
    noise = np.random.Generator(np.random.Philox(5)).integers(0, 256, (60, 90)).astype(np.uint8)
    data = saved(noise, kind)
    assert raster.read(data).unit.shape == (60, 90)
    assert reason(data[: int(len(data) * kept)]) in (refusals.TRUNCATED, refusals.UNDECODABLE)


def test_a_bomb_is_refused_by_its_header() -> None:
    side = 60_000
    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + head + struct.pack(">I", zlib.crc32(b"IHDR" + head))
    body = zlib.compress(bytes(1 << 16))
    data = struct.pack(">I", len(body)) + b"IDAT" + body + struct.pack(">I", zlib.crc32(b"IDAT" + body))
    assert reason(b"\x89PNG\r\n\x1a\n" + chunk + data) == refusals.TOO_MANY_PIXELS


@given(st.integers(0, 200), st.binary(min_size=1, max_size=5))
def test_a_damaged_file_is_read_or_refused(at: int, patch: bytes) -> None:
    data = bytearray(saved(GRAY))
    data[at : at + len(patch)] = patch
    try:
        unit = raster.read(bytes(data)).unit
        assert np.isfinite(unit).all() and unit.min() >= 0 and unit.max() <= 1
    except Refused as refused:
        assert refused.reason in refusals.REASONS
