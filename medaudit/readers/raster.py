"""PNG, JPEG and TIFF → what the header says, or a film in [0, 1].

Axes: (Y, X) rows and columns of pixels. 8-bit files are display images and keep their full range; deeper ones
are scaled by percentiles, never clipped: 10- and 12-bit values lie in 16-bit PNG at both ends of the range.
"""

import io
import struct
import warnings
from typing import BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from medaudit.images.intensity import full_range_unit, percentile_unit
from medaudit.readers import refusals
from medaudit.readers.records import MAX_PIXELS, Film, Look, unfolds_too_far
from medaudit.readers.refusals import Refused

_FORMATS = ("PNG", "JPEG", "TIFF")
_GRAY = frozenset({"1", "L", "I", "F", "I;16", "I;16B", "I;16L"})
_COLOUR = frozenset({"LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "La", "RGBa"})
_PHOTOMETRIC = 262  # TIFF 6.0 section 8; 0 is white


def is_raster(head: bytes) -> bool:
    """Whether a file opens like PNG, JPEG or TIFF."""
    return head.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"))


def look(stream: BinaryIO) -> Look:
    """Read the header; a colour file is decoded at once, since only its pixels tell gray from colour."""
    with _opened(stream) as image:
        found = _judge(image, _size(stream))
        if image.mode in _COLOUR:
            _gray(image)
        return found


def read(data: bytes) -> Film:
    """Decode a film. Raises Refused."""
    with _opened(io.BytesIO(data)) as image:
        found = _judge(image, len(data))
        values = _gray(image)  # (Y, X)
        white_is_zero = _white_is_zero(image)
    if not np.isfinite(values).all():
        raise Refused(refusals.NOT_FINITE)
    if values.min() == values.max():
        raise Refused(refusals.CONSTANT)
    if white_is_zero and values.dtype == np.uint16:  # Pillow turns 8 bits itself, and leaves 16 as they are
        values = np.uint16(65535) - values
    if values.dtype == np.uint8:
        return Film(full_range_unit(values, 8), "full range", found)
    return Film(percentile_unit(values), "percentile", found)


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
            _raise_refused(error)
            raise
        return self._image

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
    if getattr(image, "n_frames", 1) > 1 and image.format != "JPEG":  # a JPEG's second frame is its preview
        raise Refused(refusals.MULTI_FRAME)
    if image.mode not in _GRAY | _COLOUR:
        raise Refused(refusals.BIT_DEPTH)
    bits = 8 if image.mode in _COLOUR or image.mode in ("1", "L") else 16
    kind = str(image.format)
    facts: dict[str, object] = {"format": kind, "bits_stored": bits, "rows": rows, "columns": columns}
    return Look(kind, rows, columns, bits, kind, facts)


def _gray(image: Image.Image) -> np.ndarray:
    """(Y, X) uint8, uint16, int32 or float32. Raises Refused for colour, or where transparency hides a part."""
    if image.mode == "1":
        return np.asarray(image.convert("L"))
    if image.mode not in _COLOUR:
        values = np.asarray(image)
        if values.dtype.kind == "u" and values.dtype.itemsize == 2:
            return values.astype(np.uint16)  # either byte order
        return values
    if image.mode == "CMYK":
        raise Refused(refusals.COLOUR)
    if image.mode == "RGB" and "transparency" not in image.info:
        bands = [np.asarray(band) for band in image.split()]  # (Y, X) each
        if not all(np.array_equal(bands[0], band) for band in bands[1:]):
            raise Refused(refusals.COLOUR)
        return bands[0]
    pixels = np.asarray(image.convert("RGBA"))  # (Y, X, 4)
    shown = pixels[:, :, 3]
    if (pixels[:, :, :3] != pixels[:, :, :1]).any() or shown.min() != shown.max():
        raise Refused(refusals.COLOUR)
    return np.ascontiguousarray(pixels[:, :, 0])


def _white_is_zero(image: Image.Image) -> bool:
    tags = getattr(image, "tag_v2", None)
    return tags is not None and tags.get(_PHOTOMETRIC) == 0
