"""One DICOM file → what its header says, or a film in [0, 1].

Axes: (Y, X) rows and columns of pixels. The route is: stored values, polarity once, modality LUT, percentiles.
The display window is left aside on purpose: it is a choice of display and differs between a film and its copy.
"""

import io
import math
import re
import warnings
import zlib
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.errors import InvalidDicomError
from pydicom.pixels import apply_modality_lut, pixel_array
from pydicom.uid import UID, JPEG2000TransferSyntaxes, JPEGLSTransferSyntaxes, JPEGTransferSyntaxes

from medaudit.images.intensity import invert_monochrome1, percentile_unit
from medaudit.readers import refusals
from medaudit.readers.codestream import stated_size
from medaudit.readers.helper import guarded
from medaudit.readers.records import MAX_PIXELS, Film, Look, most_pixels, unfolds_too_far, view_word
from medaudit.readers.refusals import Refused

_RADIOGRAPHS = frozenset({"CR", "DX", "RG", "MG", "PX", "IO", ""})  # "": de-identified sets drop the modality
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_STRUCTURED_REPORTS = "1.2.840.10008.5.1.4.1.1.88."
_KEY_OBJECTS = "1.2.840.10008.5.1.4.1.1.88.59"
_PRESENTATION_STATES = "1.2.840.10008.5.1.4.1.1.11."
_DICOMDIR = "1.2.840.10008.1.3.10"
_DEFLATED = b"1.2.840.10008.1.2.1.99"
_JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"
_DECODED_IN_C = frozenset({*JPEGTransferSyntaxes, *JPEGLSTransferSyntaxes, *JPEG2000TransferSyntaxes})
_PIXEL_TAGS = (b"\xe0\x7f\x10\x00", b"\x7f\xe0\x00\x10")  # (7FE0,0010), little and big endian
_META_LENGTH_END = 144  # 128 preamble, DICM, and the 12 bytes of (0002,0000)

# Codes of ViewCodeSequence: SNOMED CT, and the SRT codes of older files (PS3.16 CID 4010).
_VIEW_CODES = {
    "272479007": "PA", "R-10214": "PA", "399348003": "AP", "R-10206": "AP",
    "399067008": "LATERAL", "399173006": "LATERAL", "399198007": "LATERAL",
    "R-10236": "LATERAL", "R-10232": "LATERAL", "R-10228": "LATERAL",
}  # fmt: skip


def is_dicom(head: bytes) -> bool:
    """Whether the first 132 bytes of a file are those of DICOM, with the preamble or, as old files, without."""
    # PS3.10 7.1; without a preamble a data set opens with group 0002 or 0008, little endian
    return head[128:132] == b"DICM" or (head[:2] in (b"\x02\x00", b"\x08\x00") and head[3:4] == b"\x00")


def look(stream: BinaryIO, accept: frozenset[str] = frozenset()) -> Look:
    """Read the header only. `accept` names reasons of refusals.ACCEPTABLE that are let pass. Raises Refused.

    A file with three samples per pixel is decoded at once, because only its pixels tell gray from colour.
    """
    ds, room = _header(stream)
    found = _judge(ds, room, accept)
    if _count(ds, "SamplesPerPixel", 1) > 1:
        stream.seek(0)
        _guarded(_stored_alone, stream.read(), ds)
    return found


def read(data: bytes, accept: frozenset[str] = frozenset()) -> Film:
    """Decode a film: polarity so that dense is bright, modality LUT, percentiles 0.5 to 99.5. Raises Refused."""
    ds, room = _header(io.BytesIO(data))
    return _guarded(_decoded, (data, _judge(ds, room, accept)), ds)


def _decoded(item: tuple[bytes, Look]) -> Film:
    data, found = item
    ds = _whole(io.BytesIO(data))
    values, route = _parsed(lambda: _modality_values(ds, _stored(ds)))  # (Y, X)
    if not np.isfinite(values).all():
        raise Refused(refusals.NOT_FINITE)
    if values.min() == values.max():
        raise Refused(refusals.CONSTANT)
    return Film(percentile_unit(values), route, found)


def _stored_alone(data: bytes) -> None:
    _parsed(lambda: _stored(_whole(io.BytesIO(data))))


def _guarded(function: Callable[[Any], Any], item: Any, ds: Dataset) -> Any:
    """`function(item)`; where C decodes what is compressed, a crash is a refusal of this file."""
    if not (_has_syntax(ds) and ds.file_meta.TransferSyntaxUID in _DECODED_IN_C):
        return function(item)
    return guarded(function, item, lambda: Refused(refusals.DECODER_CRASHED))


def referenced_files(data: bytes) -> list[str]:
    """The image files a DICOMDIR lists, relative to it, in its order. Raises Refused when it is none."""
    ds = _parsed(lambda: pydicom.dcmread(io.BytesIO(data)))
    records = ds.get("DirectoryRecordSequence")
    if records is None:
        raise Refused(refusals.NOT_DICOM)
    names = []
    for record in records:
        if record.get("DirectoryRecordType") == "IMAGE" and record.get("ReferencedFileID"):
            parts = record.ReferencedFileID
            names.append("/".join([parts] if isinstance(parts, str) else [str(p) for p in parts]))
    return names


def _header(stream: BinaryIO) -> tuple[Dataset, int | None]:
    """The data set before its pixels, and the bytes from the pixel element to the end; None without pixels."""
    head = stream.read(4096)
    if not is_dicom(head):
        raise Refused(refusals.NOT_IMAGE)
    stream.seek(0)
    if _DEFLATED in head:
        ds = _whole(stream)
        return ds, _parsed(lambda: len(ds.PixelData) if "PixelData" in ds else None)
    force = head[128:132] != b"DICM"
    ds = _parsed(lambda: pydicom.dcmread(stream, stop_before_pixels=True, force=force))
    if force and not ({"SOPClassUID", "Rows"} & set(ds.dir())):
        raise Refused(refusals.NOT_IMAGE)
    start = stream.tell()
    has_pixels = stream.read(4) in _PIXEL_TAGS
    return ds, (stream.seek(0, io.SEEK_END) - start if has_pixels else None)


def _whole(stream: BinaryIO) -> Dataset:
    head = stream.read(4096)
    if _DEFLATED in head:
        _check_inflated_size(head + stream.read())
    stream.seek(0)
    return _parsed(lambda: pydicom.dcmread(stream, force=head[128:132] != b"DICM"))


def _check_inflated_size(data: bytes) -> None:
    """A deflated data set can grow a thousandfold; refuse before it does."""
    start = _META_LENGTH_END + int.from_bytes(data[140:144], "little")
    limit = 2 * min(MAX_PIXELS, most_pixels(len(data))) + (16 << 20)
    inflater, size, rest = zlib.decompressobj(-zlib.MAX_WBITS), 0, data[start:]
    try:
        while rest and size <= limit:
            size += len(inflater.decompress(rest, 16 << 20))
            rest = inflater.unconsumed_tail
    except zlib.error:
        raise Refused(refusals.UNDECODABLE) from None
    if size > limit:
        raise Refused(refusals.TOO_MANY_PIXELS)


def _parsed(work: Callable[[], Any]) -> Any:
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


def _judge(ds: Dataset, room: int | None, accept: frozenset[str]) -> Look:
    """Refuse by what the header says, or describe the film."""
    return _parsed(lambda: _judged(ds, room, accept))


def _judged(ds: Dataset, room: int | None, accept: frozenset[str]) -> Look:
    meta = getattr(ds, "file_meta", Dataset())
    sop_class = str(ds.get("SOPClassUID") or meta.get("MediaStorageSOPClassUID") or "")
    modality = _word(ds.get("Modality"))
    rows, columns = _count(ds, "Rows", 0), _count(ds, "Columns", 0)
    _refuse_other_objects(sop_class, modality, rows * columns > 0 and room is not None, rows > 0)
    if _count(ds, "NumberOfFrames", 1) > 1:
        raise Refused(refusals.MULTI_FRAME)
    synthetic = _text(ds.get((0x0008, 0x001C))) == "YES"  # Synthetic Data, PS3.3 C.7.6.1
    kinds = {str(part).upper() for part in _list(ds.get("ImageType"))}
    checks = {
        refusals.LOCALIZER: bool(kinds & {"LOCALIZER", "SCOUT"}),
        refusals.SECONDARY_CAPTURE: not synthetic and _is_capture(sop_class),
        refusals.OTHER_MODALITY: modality not in _RADIOGRAPHS and not (synthetic and modality == "OT"),
    }
    for reason, true in checks.items():
        if true and reason not in accept:
            raise Refused(reason)
    if rows * columns > MAX_PIXELS or unfolds_too_far(rows * columns, room or 0):
        raise Refused(refusals.TOO_MANY_PIXELS)
    allocated = _count(ds, "BitsAllocated", 0)
    bits = _count(ds, "BitsStored", allocated)
    if allocated not in (8, 16) or not 1 < bits <= allocated:
        raise Refused(refusals.BIT_DEPTH)
    syntax = UID(str(meta.get("TransferSyntaxUID") or "1.2.840.10008.1.2"))
    # one sample only: colour may be subsampled, and its pixels are decoded in any case
    needed = rows * columns * allocated // 8
    if not syntax.is_compressed and room is not None and room < needed and syntax != _DEFLATED.decode():
        raise Refused(refusals.TRUNCATED)
    photometric = _word(ds.get("PhotometricInterpretation"))
    if photometric == "PALETTE COLOR":
        raise Refused(refusals.COLOUR)
    coding = syntax.name if not syntax.is_private and syntax.name != str(syntax) else "private syntax"
    facts: dict[str, object] = {
        "format": "DICOM",
        "modality": modality,
        "photometric": photometric,
        "bits_stored": bits,
        "transfer_syntax": coding,
        "rows": rows,
        "columns": columns,
    }
    spacing = _spacing(ds)
    if spacing:
        facts["spacing_mm"] = spacing
    if synthetic:
        facts["synthetic"] = True
    patient, study = _text(ds.get("PatientID")), _text(ds.get("StudyInstanceUID"))
    return Look("DICOM", rows, columns, bits, coding, facts, patient, study, _view(ds))


def _refuse_other_objects(sop_class: str, modality: str, has_pixels: bool, has_rows: bool) -> None:
    if sop_class == _DICOMDIR:
        raise Refused(refusals.DICOM_DIRECTORY)
    if sop_class == _KEY_OBJECTS or modality == "KO":
        raise Refused(refusals.KEY_OBJECTS)
    if sop_class.startswith(_STRUCTURED_REPORTS) or modality == "SR":
        raise Refused(refusals.STRUCTURED_REPORT)
    if sop_class.startswith(_PRESENTATION_STATES) or modality == "PR":
        raise Refused(refusals.PRESENTATION_STATE)
    if has_pixels:
        return
    image = "Image Storage" in UID(sop_class).name if sop_class else has_rows
    if image:  # an image object that does not even say how large it is was cut off before it could
        raise Refused(refusals.NO_PIXELS if has_rows else refusals.TRUNCATED)
    raise Refused(refusals.OTHER_OBJECT if sop_class or not has_rows else refusals.NO_PIXELS)


def _stored(ds: Dataset) -> np.ndarray:
    """Stored values (Y, X) int32, within what BitsStored and PixelRepresentation allow. Raises Refused."""
    if "PixelData" not in ds:  # the header saw the element, so the file ends inside it
        raise Refused(refusals.TRUNCATED)
    compressed = ds.file_meta.TransferSyntaxUID.is_encapsulated if _has_syntax(ds) else False
    if compressed:
        _check_stated_size(ds)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if not _has_syntax(ds):
                _assume_syntax(ds)
            # pydicom would wrap what lies past BitsStored; that is settled below
            array = pixel_array(ds, correct_unused_bits=False)
    except MemoryError:
        raise
    except Exception as error:  # each codec raises its own types
        raise Refused(_decoding_reason(ds, compressed, error)) from None
    if array.ndim == 3:
        if array.shape[2] not in (3, 4) or (array != array[:, :, :1]).any():
            raise Refused(refusals.COLOUR)
        array = array[:, :, 0]
    bits, signed, high = _parsed(lambda: _bit_facts(ds))
    stored = array.astype(np.int32)
    sign = 1 << (bits - 1) if signed else 0
    if not compressed:
        spare = high + 1 - bits
        if spare > 0:
            stored >>= spare
        if signed or _embedded_overlay(ds):
            # PS3.5 8.1.1: bits past BitsStored are no part of the value; the sign need not reach into them
            stored = ((stored & ((1 << bits) - 1)) ^ sign) - sign
    # lossy codecs overshoot and some modalities write past BitsStored: saturate, because wrapping makes holes
    return np.clip(stored, -sign, (1 << bits) - 1 - sign)


def _bit_facts(ds: Dataset) -> tuple[int, bool, int]:
    """BitsStored, whether stored values are signed, and HighBit (PS3.3 C.7.6.3.1)."""
    bits = int(ds.get("BitsStored", ds.BitsAllocated))
    return bits, bool(ds.get("PixelRepresentation", 0)), int(ds.get("HighBit", bits - 1))


def _check_stated_size(ds: Dataset) -> None:
    """Codecs make room for what the frame states, whatever Rows and Columns say; refuse before they do."""
    size = _parsed(lambda: stated_size(get_frame(ds.PixelData, 0, number_of_frames=1)))
    if size is None:
        return
    pixels = size[0] * size[1]
    if pixels > MAX_PIXELS or unfolds_too_far(pixels, len(ds.PixelData)):
        raise Refused(refusals.TOO_MANY_PIXELS)


def _modality_values(ds: Dataset, stored: np.ndarray) -> tuple[np.ndarray, str]:
    """Stored values (Y, X) → values that grow with density, float64 (Y, X), and the route taken."""
    bits = int(ds.get("BitsStored", ds.BitsAllocated))
    inverted = str(ds.get("PhotometricInterpretation", "")).strip() == "MONOCHROME1"
    padding = _padding(ds, stored)
    if ds.get("ModalityLUTSequence"):
        # A table need not be linear, so the polarity is turned after it, within the table's own depth.
        values = _parsed(lambda: np.asarray(apply_modality_lut(stored, ds), dtype=np.float64))
        if inverted:
            depth = int(ds.ModalityLUTSequence[0].LUTDescriptor[2])  # PS3.3 C.11.1.1.1
            values = 2.0**depth - 1 - values
        route = "rescale"
    else:
        offset = 1 << (bits - 1) if ds.get("PixelRepresentation", 0) else 0
        if inverted:  # PS3.3 C.7.6.3.1.2, on values counted from zero
            stored = invert_monochrome1(stored + offset, bits) - offset
        values = stored.astype(np.float64)
        route = "percentile"
        if ds.get("RescaleSlope") is not None:
            slope, intercept = _number(ds.RescaleSlope), _number(ds.get("RescaleIntercept", 0) or 0)
            values, route = values * slope + intercept, "rescale"
    if padding is not None and padding.any() and not padding.all():
        values[padding] = values[~padding].min()  # what lies outside the film is shown as air
    return values, route


def _padding(ds: Dataset, stored: np.ndarray) -> np.ndarray | None:
    """(Y, X) bool, where the file says there is no film. PS3.3 C.7.5.1.1.2."""
    first = ds.get("PixelPaddingValue")
    if not isinstance(first, int):
        return None
    limit = ds.get("PixelPaddingRangeLimit")
    second = limit if isinstance(limit, int) else first
    return (stored >= min(first, second)) & (stored <= max(first, second))


def _decoding_reason(ds: Dataset, compressed: bool, error: Exception) -> str:
    if isinstance(error, NotImplementedError):
        return refusals.SYNTAX
    if not compressed:
        return refusals.TRUNCATED if isinstance(error, ValueError) else refusals.UNDECODABLE
    if ds.file_meta.TransferSyntaxUID == _JPEG_EXTENDED and int(ds.get("BitsStored", 0)) > 8:
        return refusals.JPEG_12_BIT
    return refusals.UNDECODABLE


def _has_syntax(ds: Dataset) -> bool:
    return "TransferSyntaxUID" in getattr(ds, "file_meta", Dataset())


def _assume_syntax(ds: Dataset) -> None:
    """A file without meta information is read as pydicom parsed it: implicit or explicit little endian."""
    implicit = bool(ds.original_encoding[0])
    ds.file_meta = pydicom.dataset.FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2" if implicit else "1.2.840.10008.1.2.1")


def _is_capture(sop_class: str) -> bool:
    return sop_class == _SECONDARY_CAPTURE or sop_class.startswith(_SECONDARY_CAPTURE + ".")


def _embedded_overlay(ds: Dataset) -> bool:
    """Whether an overlay lies in the unused bits of the pixels (retired): it has a bit position, no data."""
    for group in range(0x6000, 0x6020, 2):
        position = ds.get((group, 0x0102))
        if position is not None and position.value and (group, 0x3000) not in ds:
            return True
    return False


def _view(ds: Dataset) -> str | None:
    word = view_word(_text(ds.get("ViewPosition")))
    if word:
        return word
    for item in _list(ds.get("ViewCodeSequence")):
        code = _text(item.get("CodeValue"))
        if code in _VIEW_CODES:
            return _VIEW_CODES[code]
    return None


def _spacing(ds: Dataset) -> list[float] | None:
    """[row, column] spacing in mm at the detector, or in the patient where only that is given."""
    for name in ("ImagerPixelSpacing", "PixelSpacing"):
        values = _list(ds.get(name))
        if len(values) == 2:
            pair = [_number(value) for value in values]
            if all(math.isfinite(value) and value > 0 for value in pair):
                return pair
    return None


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise Refused(refusals.UNDECODABLE) from None


def _count(ds: Dataset, name: str, default: int) -> int:
    value = ds.get(name)
    return default if value is None or value == "" else int(value)


def _word(value: Any) -> str:
    """A code string fit to be shown; anything that is not one (free text in a coded field) becomes OTHER."""
    text = str(value or "").strip().upper()
    return text if re.fullmatch(r"[A-Z0-9_ ]{0,16}", text) else "OTHER"


def _text(value: Any) -> str | None:
    value = getattr(value, "value", value)
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace")
    text = str(value or "").strip(" \0")
    return text or None


def _list(value: Any) -> list[Any]:
    if value is None or value == "":
        return []
    return [value] if isinstance(value, str | float | int) else list(value)
