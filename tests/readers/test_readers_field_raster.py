"""Picture files as the field's bug reports describe them: the pixels that come out are the right ones, by hand."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from field_files import LUMA, NEAR, P8, P12, SIDE, Case, by_percentiles, picture, png_of, raw_png, raw_tiff
from PIL import Image

from medaudit.artifacts.cohort import open_cohort
from medaudit.readers import files, notes, refusals
from medaudit.readers.refusals import Refused
from medaudit.stages import ingest

G8, G12 = P8.astype(np.uint8), P12.astype(np.uint16)
U8, U12 = P8 / 255, by_percentiles(P12)
OPAQUE = np.full_like(G8, 255)
QUARTERS = np.kron(np.array([[200, 40], [90, 0]], np.uint8), np.ones((12, 16), np.uint8))  # no symmetry

# What a viewer shows for EXIF orientations 1 to 8, by numpy's own words.
SHOWN: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: np.transpose,
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(np.transpose(a), 2),
    8: np.rot90,
}


def tiff_of(pixels: np.ndarray, **options: object) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, pixels, **options)
    return stream.getvalue()


def pages(second: int) -> bytes:
    """A TIFF of two pages; the second one has this NewSubfileType."""
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream) as writer:
        writer.write(G12)
        writer.write(G12[::2, ::2], subfiletype=second)
    return stream.getvalue()


def packed_bits(values: np.ndarray, bits: int) -> bytes:
    columns = (values[:, :, None].astype(np.int64) >> np.arange(bits - 1, -1, -1)) & 1
    return np.packbits(columns.astype(np.uint8).reshape(len(values), -1), axis=1).tobytes()


def with_alpha(alpha: np.ndarray, value: np.ndarray = G8) -> bytes:
    return png_of(np.dstack([value, alpha]))


def reversed_palette() -> bytes:
    image = Image.fromarray(255 - G8)
    image.putpalette([level for i in range(256) for level in (255 - i,) * 3])
    return png_of(image)


HOLE = np.where(np.arange(SIDE)[:, None] < 4, 0, G8).astype(np.uint8)
HOLE_ALPHA = np.where(np.arange(SIDE)[:, None] < 4, 0, OPAQUE).astype(np.uint8)
THREE16 = np.repeat(G12[:, :, None], 3, axis=2)
COPY = Image.fromarray(G8[::-1].copy())

CASES: dict[str, Case] = {
    "PNG": (lambda: png_of(G8), U8, 0),
    "PNG of 16 bits": (lambda: png_of(G12), U12, 0),
    "PNG, one value transparent": (lambda: raw_png(G8, 0, 8, (b"tRNS", b"\0\0")), U8, 0),
    "PNG of 16 bits, one value transparent": (lambda: raw_png(G12, 0, 16, (b"tRNS", b"\0\0")), U12, 0),
    "PNG RGB, black transparent": (
        lambda: raw_png(np.repeat(G8[:, :, None], 3, 2), 2, 8, (b"tRNS", bytes(6))), U8, 0,
    ),
    "PNG with gAMA": (lambda: raw_png(G8, 0, 8, (b"gAMA", (100000).to_bytes(4, "big"))), U8, 0),
    "PNG with sRGB": (lambda: raw_png(G8, 0, 8, (b"sRGB", b"\0")), U8, 0),
    "PNG LA": (lambda: with_alpha(OPAQUE), U8, 0),
    "PNG LA, nothing under the holes": (lambda: with_alpha(HOLE_ALPHA, HOLE), HOLE / 255, 0),
    "PNG with a gray palette": (lambda: png_of(Image.fromarray(G8).convert("P")), U8, 0),
    "PNG with a palette from white to black": (reversed_palette, U8, 0),
    "PNG of one bit": (lambda: png_of(Image.fromarray(G8 > 100)), (P8 > 100) * 1.0, 0),
    "PNG RGB, nearly gray": (lambda: png_of(NEAR.astype(np.uint8)), LUMA / 255, 0),
    "JPEG progressive": (lambda: png_of(G8, "JPEG", quality=97, progressive=True), U8, 0.06),
    "JPEG RGB of gray": (lambda: png_of(Image.fromarray(G8).convert("RGB"), "JPEG", quality=97), U8, 0.06),
    "JPEG with a preview behind it": (
        lambda: png_of(Image.fromarray(G8), "MPO", save_all=True, append_images=[COPY], quality=97), U8, 0.06,
    ),
    "TIFF of float32": (lambda: tiff_of((P12 / 7).astype(np.float32)), U12, 2e-6),
    "TIFF of int16": (lambda: tiff_of(P12.astype(np.int16) - 2000), U12, 0),
    "TIFF of int32": (lambda: tiff_of(P12 - 3000), U12, 0),
    "TIFF of uint32": (lambda: tiff_of(P12.astype(np.uint32) * 1_000_000), U12, 0),
    "TIFF of int8": (
        lambda: raw_tiff((P8 - 128).astype(np.int8).tobytes(), 8, sample_format=2), by_percentiles(P8), 0,
    ),
    "TIFF of 12 bits": (lambda: raw_tiff(packed_bits(P12, 12), 12), U12, 0),
    "TIFF white is zero, uint8": (lambda: tiff_of(255 - G8, photometric="miniswhite"), U8, 0),
    "TIFF white is zero, uint16": (lambda: tiff_of(65535 - G12, photometric="miniswhite"), U12, 0),
    "TIFF white is zero, float32": (
        lambda: tiff_of(-P12.astype(np.float32), photometric="miniswhite"), U12, 2e-6,
    ),
    "TIFF white is zero, deflated": (
        lambda: tiff_of(65535 - G12, photometric="miniswhite", compression="zlib"), U12, 0,
    ),
    "TIFF big endian uint16": (lambda: tiff_of(G12, byteorder=">"), U12, 0),
    "TIFF big endian float32": (lambda: tiff_of(G12.astype(np.float32), byteorder=">"), U12, 2e-6),
    "BigTIFF": (lambda: tiff_of(G12, bigtiff=True), U12, 0),
    "TIFF in tiles": (lambda: tiff_of(G12, tile=(16, 16)), U12, 0),
    "TIFF with a predictor": (lambda: tiff_of(G12, compression="zlib", predictor=True), U12, 0),
    "TIFF RGB by planes": (
        lambda: tiff_of(np.stack([G8] * 3), photometric="rgb", planarconfig="separate"), U8, 0,
    ),
    "TIFF with a smaller copy": (lambda: pages(1), U12, 0),
    "BMP": (lambda: png_of(G8, "BMP"), U8, 0),
    "GIF of one frame": (lambda: png_of(G8, "GIF"), U8, 0),
    "WebP": (lambda: png_of(G8, "WEBP", lossless=True), U8, 0),
    "JPEG 2000": (lambda: png_of(G8, "JPEG2000", irreversible=False), U8, 0),
    "JPEG 2000 of 16 bits": (lambda: png_of(G12, "JPEG2000", irreversible=False), U12, 0),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_pixels_are_those_of_the_picture(name: str) -> None:
    data, expected, tolerance = CASES[name]
    film = files.read_data(data(), "a.png")
    assert film.unit.shape == expected.shape
    np.testing.assert_allclose(film.unit, expected, atol=max(tolerance, 2e-6))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", SHOWN)
def test_an_image_is_turned_as_a_viewer_shows_it(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    options: dict[str, object] = {"tiffinfo": {274: orientation}} if kind == "TIFF" else {"exif": exif}
    options |= {"quality": 100} if kind == "JPEG" else {"lossless": True} if kind == "WEBP" else {}
    film = files.read_data(png_of(QUARTERS, kind, **options), "a")
    expected = SHOWN[orientation](QUARTERS / 255)
    assert film.unit.shape == expected.shape == (film.look.rows, film.look.columns)
    np.testing.assert_allclose(film.unit, expected, atol=0.02)
    turned = orientation > 1 and kind != "TIFF"  # Pillow turns a TIFF itself
    assert film.look.facts.get("notes") == ([notes.TURNED] if turned else None)


def test_a_damaged_exif_block_costs_no_image() -> None:
    exif = Image.Exif()
    exif[274] = 6
    data = png_of(QUARTERS, "PNG", exif=exif)
    at = data.index(b"eXIf") + 4
    broken = raw_png(QUARTERS, 0, 8, (b"eXIf", b"\xff" * 20))
    assert data[at : at + 2] in (b"II", b"MM")
    np.testing.assert_allclose(files.read_data(broken, "a").unit, QUARTERS / 255, atol=2e-6)


def sheet(rows: int, columns: int, gap: int, border: int, line: int = 0) -> np.ndarray:
    """A grid of different pictures as torchvision's make_grid lays it out."""
    step = SIDE + gap
    grid = np.full((rows * step - gap + 2 * border, columns * step - gap + 2 * border), line, np.uint8)
    for place in range(rows * columns):
        top, left = border + place // columns * step, border + place % columns * step
        grid[top : top + SIDE, left : left + SIDE] = np.maximum(picture(255, place), 9)
    return grid


REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "PNG RGB of 16 bits": (lambda: raw_png(THREE16, 2, 16), refusals.BIT_DEPTH),
    "PNG LA of 16 bits": (lambda: raw_png(THREE16[:, :, :2], 4, 16), refusals.BIT_DEPTH),
    "TIFF RGB of 16 bits": (lambda: tiff_of(THREE16, photometric="rgb"), refusals.BIT_DEPTH),
    "TIFF of 14 bits": (lambda: raw_tiff(packed_bits(P12, 14), 14), refusals.UNDECODABLE),
    "TIFF of float64": (lambda: tiff_of(P12 / 7), refusals.UNDECODABLE),
    "PNG LA that hides a part": (lambda: with_alpha(HOLE_ALPHA), refusals.TRANSPARENT),
    "PNG LA, half transparent": (
        lambda: with_alpha(np.where(G8 > 100, 255, 128).astype(np.uint8)), refusals.TRANSPARENT,
    ),
    "JPEG CMYK": (
        lambda: png_of(Image.fromarray(np.dstack([G8] * 4), "CMYK"), "JPEG"), refusals.COLOUR,
    ),
    "TIFF of two pages": (lambda: pages(0), refusals.MULTI_FRAME),
    "animated PNG": (
        lambda: png_of(Image.fromarray(G8), "PNG", save_all=True, append_images=[COPY]), refusals.MULTI_FRAME,
    ),
    "animated GIF": (
        lambda: png_of(Image.fromarray(G8), "GIF", save_all=True, append_images=[COPY]), refusals.MULTI_FRAME,
    ),
    "a grid": (lambda: png_of(sheet(2, 3, 2, 2)), refusals.SEVERAL_IMAGES),
    "a grid on white, no border": (lambda: png_of(sheet(3, 3, 4, 0, 255)), refusals.SEVERAL_IMAGES),
    "a grid as JPEG": (lambda: png_of(sheet(4, 4, 8, 8), "JPEG", quality=97), refusals.SEVERAL_IMAGES),
    "one row": (lambda: png_of(sheet(1, 5, 2, 2)), refusals.SEVERAL_IMAGES),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_and_by_which_name(name: str) -> None:
    data, expected = REFUSED[name]
    with pytest.raises(Refused) as caught:
        files.read_data(data(), "a")
    assert caught.value.reason == expected


@pytest.mark.parametrize(
    "pixels",
    [
        sheet(1, 1, 0, 4),  # a border around one image
        sheet(1, 2, 2, 2),  # two side by side: two views of one examination
        np.where(np.abs(np.arange(64)[:, None] - 31) < 3, 0, picture(255)[np.arange(64) // 2][:, np.arange(64) // 2]),
        G8[:1],
        G8[:, :1],
    ],
)  # fmt: skip
def test_an_image_with_plain_lines_is_no_grid(pixels: np.ndarray) -> None:
    film = files.read_data(png_of(pixels.astype(np.uint8)), "a")
    assert film.unit.shape == pixels.shape


def test_all_kinds_in_one_folder_give_the_right_cohort(tmp_path: Path) -> None:
    """Through ingest, as synthetic images: the notes are told there, too."""
    source = tmp_path / "source"
    source.mkdir()
    suffixes = {"J": ".jpg", "T": ".tif", "B": ".bmp", "G": ".gif", "W": ".webp"}
    for number, (name, (data, _, _)) in enumerate(CASES.items()):
        suffix = ".jp2" if name.startswith("JPEG 2000") else suffixes.get(name[0], ".png")
        (source / f"{number:03d}{suffix}").write_bytes(data())
    outcome = ingest.run(source, tmp_path / "cohort", origin="synthetic", size=SIDE, depth="16")
    cohort = open_cohort(tmp_path / "cohort")
    assert outcome.data["refused"] == {} and len(cohort) == len(CASES)
    for pixels, (name, (_, expected, tolerance)) in zip(cohort.pixels, CASES.items(), strict=True):
        assert np.abs(pixels / 65535 - expected).max() <= tolerance + 1 / 65535, name
    assert outcome.data["warnings"] == [
        f"1 of {len(CASES)} images are stored in colour with nearly equal channels; their luminance was read"
    ]
