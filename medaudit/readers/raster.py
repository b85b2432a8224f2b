"""PNG, JPEG, TIFF, JPEG 2000, BMP, GIF and WebP → what the header says, or an image in [0, 1].

Axes: (Y, X) rows and columns of pixels. 8-bit files are display images and keep their full range; deeper ones
are scaled by percentiles, never clipped: 10- and 12-bit values lie in 16-bit PNG at both ends of the range.
Gamma and colour profiles are left aside: the stored numbers are what a model is trained on.
"""

import io
import struct
import warnings
from dataclasses import replace
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from medaudit.images.intensity import full_range_unit, percentile_unit
from medaudit.readers import notes, refusals
from medaudit.readers.pixel_checks import gray_of, is_sheet
from medaudit.readers.records import MAX_PIXELS, Film, Look, unfolds_too_far
from medaudit.readers.refusals import Refused

_FORMATS = ("PNG", "JPEG", "TIFF", "JPEG2000", "BMP", "GIF", "WEBP")
_MAGIC = (
    b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+",
    b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51", b"GIF87a", b"GIF89a",
)  # fmt: skip
_GRAY = frozenset({"1", "L", "I", "F", "I;16", "I;16B", "I;16L"})
_COLOUR = frozenset({"LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "La", "RGBa"})
_REDUCED, _BITS, _PHOTOMETRIC, _SAMPLE_FORMAT = 254, 258, 262, 339  # TIFF 6.0 section 8
_ORIENTATION = 274  # of EXIF and TIFF
_MOST_PAGES = 16  # of an image pyramid: 2**16 pixels a side

# EXIF 2.32, 4.6.4 A: where the 0th row and the 0th column lie → what makes them top and left
_TURNS = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.T,
    6: lambda a: a[::-1].T,
    7: lambda a: a[::-1, ::-1].T,
    8: lambda a: a.T[::-1],
}


def is_raster(head: bytes) -> bool:
    """Whether a file opens like one of the formats that are read."""
    bitmap = head[:2] == b"BM" and head[6:10] == bytes(4)  # the reserved words
    return head.startswith(_MAGIC) or bitmap or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")


def look(stream: BinaryIO) -> Look:
    """Read the header; a colour file is decoded at once, since only its pixels tell gray from colour."""
    with _opened(stream) as image:
        found = _judge(image, _size(stream))
        if image.mode in _COLOUR:
            _gray(image)
        return found


def read(data: bytes) -> Film:
    """Decode an image. Raises Refused."""
    with _opened(io.BytesIO(data)) as image:
        found = _judge(image, len(data))
        turn = _TURNS.get(_orientation(image))
        white_is_zero = _white_is_zero(image)
        values, nearly = _gray(image)  # (Y, X)
    if not np.isfinite(values).all():
        raise Refused(refusals.NOT_FINITE)
    if values.min() == values.max():
        raise Refused(refusals.CONSTANT)
    said = ([notes.NEARLY_GRAY] if nearly else []) + ([notes.TURNED] if turn else [])
    if turn:
        values = np.ascontiguousarray(turn(values))
    rows, columns = values.shape
    facts = notes.noted({**found.facts, "rows": rows, "columns": columns}, said)
    found = replace(found, rows=rows, columns=columns, facts=facts)
    if values.dtype == np.uint8:
        unit, route = full_range_unit(values, 8), "full range"
    else:  # Pillow turns 8 bits itself, and leaves deeper values as they are
        deep = values.astype(np.float64)
        unit, route = percentile_unit(-deep if white_is_zero else deep), "percentile"
    if is_sheet(unit):
        raise Refused(refusals.SEVERAL_IMAGES)
    return Film(unit, route, found)


class _opened:
    """A Pillow image, silent, whose errors come out as Refused; Pillow's own bomb guard gives way to MAX_PIXELS."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._silence = warnings.catch_warnings()

    def __enter__(self) -> Image.Image:
        self._silence.__enter__()
        warnings.simplefilter("ignore")
        try:
            self._image = Image.open(self._stream, formats=_FORMATS)
        except BaseException as error:
            self._silence.__exit__(None, None, None)
            if isinstance(error, UnidentifiedImageError) and self._is_raster():
                raise Refused(
                    refusals.UNDECODABLE
                ) from None  # damaged, or a variant that Pillow does not know
            _raise_refused(error)
            raise
        return self._image

    def _is_raster(self) -> bool:
        self._stream.seek(0)
        return is_raster(self._stream.read(16))

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._silence.__exit__(None, None, None)
        if error is not None:
            _raise_refused(error)


def _raise_refused(error: BaseException) -> None:
    """Turn what Pillow raises for broken files into Refused; leave alone what is not about the file."""
    if isinstance(error, Image.DecompressionBombError):
        raise Refused(refusals.TOO_MANY_PIXELS) from None
    if isinstance(error, UnidentifiedImageError):
        raise Refused(refusals.NOT_IMAGE) from None
    if isinstance(error, OSError) and error.errno is not None:
        return  # the disk's own error
    if isinstance(error, OSError | SyntaxError | EOFError | struct.error):
        cut = any(
            word in str(error).lower()
            for word in ("truncated", "not enough", "end of file", "unrecognized data")
        )
        raise Refused(
            refusals.TRUNCATED if cut or isinstance(error, EOFError) else refusals.UNDECODABLE
        ) from None
    if isinstance(error, ValueError | TypeError | KeyError | IndexError | AttributeError | OverflowError):
        raise Refused(refusals.UNDECODABLE) from None


def _size(stream: BinaryIO) -> int:
    """Bytes of a file whose place is kept."""
    at = stream.tell()
    size = stream.seek(0, io.SEEK_END)
    stream.seek(at)
    return size


def _judge(image: Image.Image, stored_bytes: int) -> Look:
    columns, rows = image.size
    if rows * columns > MAX_PIXELS or unfolds_too_far(rows * columns, stored_bytes):
        raise Refused(refusals.TOO_MANY_PIXELS)
    kind = "JPEG" if image.format == "MPO" else str(image.format)  # a camera's JPEG with a preview behind it
    if kind != "JPEG" and getattr(image, "n_frames", 1) > 1 and not _only_reduced(image):
        raise Refused(refusals.MULTI_FRAME)
    if image.mode not in _GRAY | _COLOUR or _loses_depth(image):
        raise Refused(refusals.BIT_DEPTH)
    bits = 8 if image.mode in _COLOUR or image.mode in ("1", "L") else 16
    facts: dict[str, object] = {"format": kind, "bits_stored": bits, "rows": rows, "columns": columns}
    return Look(kind, rows, columns, bits, kind, facts)


def _only_reduced(image: Image.Image) -> bool:
    """Whether all pages of a TIFF after the first are smaller copies of it, as scanners and pyramids add."""
    pages = getattr(image, "n_frames", 1)
    if image.format != "TIFF" or pages > _MOST_PAGES:
        return False
    reduced = True
    for page in range(1, pages):
        image.seek(page)
        reduced = reduced and bool(int(_tag(image, _REDUCED) or 0) & 1)
    image.seek(0)
    return reduced


def _loses_depth(image: Image.Image) -> bool:
    """Whether Pillow would cut 16-bit channels to their upper 8 bits, where 12-bit values leave next to nothing."""
    if image.mode not in _COLOUR:
        return False
    if image.format == "PNG":
        return any(
            len(tile) > 3 and "16" in str(tile[3]) for tile in getattr(image, "tile", ())
        )  # the raw mode, as RGB;16B
    depths = _tag(image, _BITS)
    return depths is not None and max(depths if isinstance(depths, tuple) else (depths,)) > 8


def _gray(image: Image.Image) -> tuple[np.ndarray, bool]:
    """(Y, X) uint8, uint16, int32, uint32 or float32, and whether colours were only nearly gray. Raises Refused."""
    if image.mode == "1":
        return np.asarray(image.convert("L")), False
    if image.mode not in _COLOUR:
        return _typed(image, np.asarray(image)), False
    if image.mode == "CMYK":
        raise Refused(refusals.COLOUR)
    if image.mode == "RGB" and "transparency" not in image.info:
        return gray_of(np.asarray(image))
    pixels = np.asarray(image.convert("RGBA"))  # (Y, X, 4)
    _check_alpha(pixels)
    return gray_of(pixels[:, :, :3])


def _typed(image: Image.Image, values: np.ndarray) -> np.ndarray:
    """Values as the file means them: either byte order; signed bytes; unsigned words, which Pillow gives signed."""
    if values.dtype.kind == "u" and values.dtype.itemsize == 2:
        return values.astype(np.uint16)
    if image.format != "TIFF":
        return values
    kind = _tag(image, _SAMPLE_FORMAT)
    kind = kind[0] if isinstance(kind, tuple) else kind
    if values.dtype == np.int32 and kind in (None, 1) and _tag(image, _BITS) in (32, (32,)):
        return values.view(np.uint32)
    if values.dtype == np.uint8 and kind == 2:
        return values.view(np.int8).astype(np.int32)
    return values


def _check_alpha(pixels: np.ndarray) -> None:
    """Refuse (Y, X, 4) pixels where transparency hides something: some tools show it and others do not."""
    alpha = pixels[:, :, 3]
    hidden = pixels[alpha < alpha.max()][:, :3]  # (n, 3)
    if hidden.size and (hidden != hidden[0]).any():
        raise Refused(refusals.TRANSPARENT)


def _orientation(image: Image.Image) -> int:
    """EXIF orientation 1 to 8; 1 where none is given, or Pillow turns the image itself, as it does a TIFF."""
    if image.format == "TIFF":
        return 1
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except (MemoryError, KeyboardInterrupt):
        raise
    except Exception:  # a damaged EXIF block says nothing and damages no pixel
        return 1


def _white_is_zero(image: Image.Image) -> bool:
    return _tag(image, _PHOTOMETRIC) == 0


def _tag(image: Image.Image, number: int) -> Any:
    """A tag of a TIFF, None of another format."""
    tags = getattr(image, "tag_v2", None)
    return None if tags is None else tags.get(number)
