"""Pixel data of a DICOM data set → values that grow with density, and which of them are image.

Axes: (Y, X) rows and columns of pixels. The route is: stored values, modality LUT, polarity once. Only the order of
the values counts further on (percentiles), so that a slope's size and an intercept drop out.
"""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.pixels import pixel_array
from pydicom.pixels.utils import get_j2k_parameters

from medaudit.readers import notes, refusals, repair
from medaudit.readers.pixel_checks import gray_of
from medaudit.readers.records import MAX_PIXELS, unfolds_too_far
from medaudit.readers.refusals import Refused

_JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"
_RLE = "1.2.840.10008.1.2.5"


@dataclass(frozen=True)
class Decoded:
    """`stored` (Y, X) int32; `padding` (Y, X) bool, where the file says there is no image, or None; `notes`."""

    stored: np.ndarray
    padding: np.ndarray | None
    notes: tuple[str, ...]


def decoded(ds: Dataset) -> Decoded:
    """Stored values as BitsStored and PixelRepresentation mean them; the header is put right first. Raises Refused."""
    return parsed(lambda: _decoded(ds))


def modality_values(ds: Dataset, stored: np.ndarray) -> tuple[np.ndarray, str, tuple[str, ...]]:
    """Stored values (Y, X) → values that grow with density, float64 (Y, X), the route taken, and notes.

    Raises Refused for a modality LUT that cannot be read.
    """
    return parsed(lambda: _modality_values(ds, stored))


def parsed(work: Callable[[], Any]) -> Any:
    """Run a call of pydicom in silence (its warnings quote tag values) and turn its many errors into Refused."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return work()
        except InvalidDicomError:
            raise Refused(refusals.NOT_IMAGE) from None
        except EOFError:
            raise Refused(refusals.TRUNCATED) from None
        except (MemoryError, OSError, Refused):
            raise
        except Exception:  # a broken file raises anything from struct.error to RecursionError
            raise Refused(refusals.UNDECODABLE) from None


def _decoded(ds: Dataset) -> Decoded:
    if "PixelData" not in ds:  # the header saw the element, so the file ends inside it
        raise Refused(refusals.TRUNCATED)
    bits = int(ds.get("BitsStored") or ds.BitsAllocated)
    found = repair.repair(ds)
    frame, said = found.frame, list(found.notes)
    pixels = int(ds.Rows) * int(ds.Columns)  # codecs make room for what the frame states
    if pixels > MAX_PIXELS or (frame is not None and unfolds_too_far(pixels, len(ds.PixelData))):
        raise Refused(refusals.TOO_MANY_PIXELS)
    if frame is None:
        _check_length(ds)
    array = _pixels(ds, encapsulated=frame is not None)
    if array.ndim == 3:
        if array.shape[2] not in (3, 4):
            raise Refused(refusals.COLOUR)
        array, nearly = gray_of(array[:, :, :3])
        said += [notes.NEARLY_GRAY] if nearly else []
    if frame is not None and repair.syntax_of(ds) != _RLE:
        stored = _of_codec(ds, array, frame)
        said += [notes.WIDER] if stored.max() >= 1 << bits else []
        return Decoded(stored, _padding(ds, array, stored), tuple(said))
    stored, wider = _of_cells(ds, array)
    return Decoded(stored, _padding(ds, array, stored), (*said, notes.WIDER) if wider else tuple(said))


def _modality_values(ds: Dataset, stored: np.ndarray) -> tuple[np.ndarray, str, tuple[str, ...]]:
    # PS3.3 C.7.6.3.1.2 and C.11.6: both say that the smallest value is white; either or both turn the image once
    said: tuple[str, ...] = ()
    shape = str(ds.get("PresentationLUTShape") or "").strip(" \0").upper()
    first = ds.PhotometricInterpretation == "MONOCHROME1"
    if shape in ("IDENTITY", "INVERSE") and (shape == "INVERSE") != first:
        said = (notes.TWO_POLARITIES,)
    sign = -1.0 if first or shape == "INVERSE" else 1.0
    if ds.get("ModalityLUTSequence"):
        return sign * _looked_up(ds, stored), "rescale", said
    if ds.get_item("RescaleSlope") is None:
        return sign * stored, "percentile", said
    slope = _decimal(ds, "RescaleSlope")
    if slope is None:  # a slope of 0 or of no number would leave nothing of the image
        return sign * stored, "percentile", (*said, notes.CORRECTED)
    return sign * math.copysign(1.0, slope) * stored, "rescale", said


def _check_length(ds: Dataset) -> None:
    """Native pixel data that would hold a second frame is not what its header describes."""
    samples = int(ds.SamplesPerPixel)
    frame_bytes = int(ds.Rows) * int(ds.Columns) * samples * int(ds.BitsAllocated) // 8
    if len(ds.PixelData) >= 2 * frame_bytes > 0:
        raise Refused(refusals.EXCESS_PIXELS)


def _pixels(ds: Dataset, *, encapsulated: bool) -> np.ndarray:
    """(Y, X) or (Y, X, C) as the codec gives them. Raises Refused."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # pydicom would wrap what lies past BitsStored; _of_cells decides about that
            return pixel_array(ds, correct_unused_bits=False)
    except MemoryError:
        raise
    except Exception as error:  # each codec raises its own types
        raise Refused(_decoding_reason(ds, encapsulated, error)) from None


def _decoding_reason(ds: Dataset, encapsulated: bool, error: Exception) -> str:
    if isinstance(error, NotImplementedError):
        return refusals.SYNTAX
    if not encapsulated:
        return refusals.TRUNCATED if isinstance(error, ValueError) else refusals.UNDECODABLE
    if repair.syntax_of(ds) == _JPEG_EXTENDED and int(ds.get("BitsStored", 0)) > 8:
        return refusals.JPEG_12_BIT
    return refusals.UNDECODABLE


def _of_codec(ds: Dataset, array: np.ndarray, frame: bytes) -> np.ndarray:
    """Decoded values (Y, X) int32 as the frame states depth and sign; BitsStored cuts nothing off."""
    stream = get_j2k_parameters(frame)
    if stream.get("is_signed") and not ds.PixelRepresentation:
        # the decoder's cells hold two's complement of the stream's depth
        return _extended(array.astype(np.int32), int(stream["precision"]))
    return array.astype(np.int32)


def _of_cells(ds: Dataset, array: np.ndarray) -> tuple[np.ndarray, bool]:
    """Values (Y, X) int32 of cells of BitsAllocated, and whether they reach past BitsStored.

    PS3.5 8.1.1: bits past BitsStored are no part of the value; old overlays lie there. Where a header states too
    few bits, though, leaving them away wraps the image into contours. The smoother of the two readings is the image.
    """
    allocated, bits = int(ds.BitsAllocated), int(ds.BitsStored)
    spare = int(ds.get("HighBit", bits - 1)) + 1 - bits  # PS3.3 C.7.6.3.1.1
    signed = bool(ds.PixelRepresentation)
    cells = array.astype(np.int32)
    if 0 < spare <= allocated - bits:
        cells >>= spare
    narrow = cells & ((1 << bits) - 1)
    if signed:
        narrow = _extended(narrow, bits)
    if _embedded_overlay(ds) or np.array_equal(narrow, cells):
        return narrow, False
    padding = _padding(ds, array, narrow)
    if _roughness(cells, padding) < _roughness(narrow, padding):
        return cells, True
    return narrow, False


def _extended(values: np.ndarray, bits: int) -> np.ndarray:
    """The lowest `bits` of integers as two's complement."""
    sign = 1 << (bits - 1)
    return ((values & ((1 << bits) - 1)) ^ sign) - sign


def _roughness(values: np.ndarray, padding: np.ndarray | None) -> int:
    """Sum of the steps between neighbours, those at padding left aside."""
    total = 0
    for axis in (0, 1):
        steps = np.abs(np.diff(values, axis=axis))
        if padding is not None:
            steps = steps[~(np.delete(padding, -1, axis) | np.delete(padding, 0, axis))]
        total += int(steps.sum(dtype=np.int64))
    return total


def _embedded_overlay(ds: Dataset) -> bool:
    """Whether an overlay lies in the unused bits of the pixels (retired): it has a bit position, no data."""
    for group in range(0x6000, 0x6020, 2):
        position = ds.get((group, 0x0102))
        if position is not None and position.value and (group, 0x3000) not in ds:
            return True
    return False


def _padding(ds: Dataset, array: np.ndarray, stored: np.ndarray) -> np.ndarray | None:
    """(Y, X) bool, where the file says there is no image; None without padding. PS3.3 C.7.5.1.1.2."""
    first, limit = ds.get("PixelPaddingValue"), ds.get("PixelPaddingRangeLimit")
    if not isinstance(first, int):
        return None
    # The value has the sign of the pixels (PS3.3 C.7.5.1.1.2), yet many files state it with the other: cells agree.
    cell = (1 << 8 * array.dtype.itemsize) - 1
    padding = (array.astype(np.int64) & cell) == (first & cell)  # (Y, X)
    signed = bool(ds.PixelRepresentation)
    low = _signed_as(first, signed, cell)
    high = _signed_as(limit, signed, cell) if isinstance(limit, int) else low
    padding |= (stored >= min(low, high)) & (stored <= max(low, high))
    return padding if padding.any() and not padding.all() else None


def _signed_as(value: int, signed: bool, cell: int) -> int:
    value &= cell
    return value - cell - 1 if signed and value > cell // 2 else value


def _looked_up(ds: Dataset, stored: np.ndarray) -> np.ndarray:
    """Values of the modality LUT (Y, X) float64; values outside it take its first or last entry."""
    item = ds.ModalityLUTSequence[0]
    count, first, _ = (int(number) for number in item.LUTDescriptor)  # PS3.3 C.11.1.1
    count = count or 1 << 16
    first = _signed_as(first, bool(ds.PixelRepresentation), 0xFFFF)
    data = item.LUTData
    if isinstance(data, bytes):
        order = "<" if ds.original_encoding[1] in (True, None) else ">"
        # 8-bit entries may fill a byte each or a word each
        table = np.frombuffer(data, f"{order}u2") if len(data) >= 2 * count else np.frombuffer(data, np.uint8)
    else:
        table = np.atleast_1d(np.asarray(data, dtype=np.int64))
    table = table[:count]
    return table.astype(np.float64)[np.clip(stored - first, 0, len(table) - 1)]


def _decimal(ds: Dataset, name: str) -> float | None:
    """A decimal string as writers spell it, a comma for the point among others; None for 0 and for no number."""
    value = ds.get_item(name).value
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)
    try:
        number = float(text.split("\\")[0].strip(" \0").replace(",", "."))
    except ValueError:
        return None
    return number if math.isfinite(number) and number else None
