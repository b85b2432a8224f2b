"""One DICOM file → what its header says, or an image in [0, 1].

Axes: (Y, X) rows and columns of pixels. The route is: stored values, modality LUT, polarity once, percentiles.
The display window is left aside on purpose: it is a choice of display and differs between an image and its copy.
"""

import io
import math
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import UID, JPEG2000TransferSyntaxes, JPEGLSTransferSyntaxes, JPEGTransferSyntaxes

from medaudit.images.intensity import percentile_unit
from medaudit.readers import refusals, repair
from medaudit.readers.dicom_pixels import decoded, modality_values, parsed
from medaudit.readers.helper import guarded
from medaudit.readers.notes import noted
from medaudit.readers.records import MAX_PIXELS, Film, Look, most_pixels, unfolds_too_far, view_word
from medaudit.readers.refusals import Refused

_RADIOGRAPHS = frozenset({"CR", "DX", "RG", "MG", "PX", "IO", ""})  # "": de-identified sets drop the modality
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_STRUCTURED_REPORTS = "1.2.840.10008.5.1.4.1.1.88."
_KEY_OBJECTS = "1.2.840.10008.5.1.4.1.1.88.59"
_PRESENTATION_STATES = "1.2.840.10008.5.1.4.1.1.11."
_DICOMDIR = "1.2.840.10008.1.3.10"
_DEFLATED = b"1.2.840.10008.1.2.1.99"
_DECODED_IN_C = frozenset({*JPEGTransferSyntaxes, *JPEGLSTransferSyntaxes, *JPEG2000TransferSyntaxes})
_PIXEL_TAGS = (b"\xe0\x7f\x10\x00", b"\x7f\xe0\x00\x10")  # (7FE0,0010), little and big endian
# (7FE0,0008) and (7FE0,0009): float and double pixel data
_FLOAT_TAGS = (b"\xe0\x7f\x08\x00", b"\xe0\x7f\x09\x00", b"\x7f\xe0\x00\x08", b"\x7f\xe0\x00\x09")
_UNDEFINED = b"\xff\xff\xff\xff"  # length of encapsulated pixel data, PS3.5 A.4
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


@dataclass(frozen=True)
class _Pixels:
    """What stands where the pixel data begins: bytes to the end of the file, None without any."""

    room: int | None
    encapsulated: bool = False
    floating: bool = False


def look(stream: BinaryIO, accept: frozenset[str] = frozenset()) -> Look:
    """Read the header only. `accept` names reasons of refusals.ACCEPTABLE that are let pass. Raises Refused.

    A file with three samples per pixel is decoded at once, because only its pixels tell gray from colour.
    """
    ds, pixels = _header(stream)
    found = _judge(ds, pixels, accept)
    if parsed(lambda: _count(ds, "SamplesPerPixel", 1)) > 1:
        stream.seek(0)
        _guarded(_stored_alone, stream.read(), ds, pixels)
    return found


def read(data: bytes, accept: frozenset[str] = frozenset()) -> Film:
    """Decode an image: polarity so that dense is bright, modality LUT, percentiles 0.5 to 99.5. Raises Refused."""
    ds, pixels = _header(io.BytesIO(data))
    return _guarded(_film, (data, _judge(ds, pixels, accept)), ds, pixels)


def _film(item: tuple[bytes, Look]) -> Film:
    data, found = item
    ds = _whole(io.BytesIO(data))
    image, values, route, notes = parsed(lambda: _values(ds))  # values: (Y, X)
    if not np.isfinite(values).all():
        raise Refused(refusals.NOT_FINITE)
    inside = None if image.padding is None else ~image.padding
    part = values if inside is None else values[inside]
    if part.min() == part.max():
        raise Refused(refusals.CONSTANT)
    rows, columns = values.shape
    facts = noted({**found.facts, "rows": rows, "columns": columns}, (*image.notes, *notes))
    found = replace(found, rows=rows, columns=columns, facts=facts)
    # what lies outside the image is shown as air, and has no part in the percentiles
    return Film(percentile_unit(values, counted=inside), route, found)


def _stored_alone(data: bytes) -> None:
    parsed(lambda: decoded(_whole(io.BytesIO(data))))


def _values(ds: Dataset) -> tuple[Any, ...]:
    """The stored pixels, and their values, route and notes after the modality LUT."""
    image = decoded(ds)
    return image, *modality_values(ds, image.stored)


def _guarded(function: Callable[[Any], Any], item: Any, ds: Dataset, pixels: _Pixels) -> Any:
    """`function(item)`; where C decodes what is compressed, a crash is a refusal of this file.

    Compressed is what says so, and what looks so: the header may be wrong.
    """
    if not (pixels.encapsulated or (repair.has_syntax(ds) and repair.syntax_of(ds) in _DECODED_IN_C)):
        return function(item)
    return guarded(function, item, lambda: Refused(refusals.DECODER_CRASHED))


def referenced_files(data: bytes) -> list[str]:
    """The image files a DICOMDIR lists, relative to it, in its order. Raises Refused when it is none."""
    ds = parsed(lambda: pydicom.dcmread(io.BytesIO(data)))
    records = ds.get("DirectoryRecordSequence")
    if records is None:
        raise Refused(refusals.NOT_DICOM)
    names = []
    for record in records:
        if record.get("DirectoryRecordType") == "IMAGE" and record.get("ReferencedFileID"):
            parts = record.ReferencedFileID
            names.append("/".join([parts] if isinstance(parts, str) else [str(p) for p in parts]))
    return names


def _header(stream: BinaryIO) -> tuple[Dataset, _Pixels]:
    """The data set before its pixels, and how its pixel data begins."""
    head = stream.read(4096)
    if not is_dicom(head):
        raise Refused(refusals.NOT_IMAGE)
    stream.seek(0)
    if _DEFLATED in head:
        ds = _whole(stream)
        return ds, _Pixels(parsed(lambda: len(ds.PixelData) if "PixelData" in ds else None))
    force = head[128:132] != b"DICM"
    ds = parsed(lambda: pydicom.dcmread(stream, stop_before_pixels=True, force=force))
    if force and not ({"SOPClassUID", "Rows"} & set(ds.dir())):
        raise Refused(refusals.NOT_IMAGE)
    start = stream.tell()
    first = stream.read(12)
    if first[:4] not in _PIXEL_TAGS:
        return ds, _Pixels(None, floating=first[:4] in _FLOAT_TAGS)
    # by the element itself, since a header may state the other VR: read as a length, OB and OW would be odd
    length = first[8:12] if first[4:6] in (b"OB", b"OW") else first[4:8]
    return ds, _Pixels(stream.seek(0, io.SEEK_END) - start, length == _UNDEFINED)


def _whole(stream: BinaryIO) -> Dataset:
    """The data set with its pixels. Raises Refused."""
    head = stream.read(4096)
    if _DEFLATED in head:
        _check_inflated_size(head + stream.read())
    stream.seek(0)
    force = head[128:132] != b"DICM"
    ds = parsed(lambda: pydicom.dcmread(stream, force=force))
    if "PixelData" in ds or _DEFLATED in head:
        return ds
    # Some archives leave away the delimiter after the last fragment; where all fragments are whole, nothing is lost.
    stream.seek(0)
    closed = io.BytesIO(stream.read() + repair.END_OF_FRAMES)
    again = parsed(lambda: pydicom.dcmread(closed, force=force))
    return again if "PixelData" in again and repair.whole_fragments(again.PixelData) else ds


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


def _judge(ds: Dataset, pixels: _Pixels, accept: frozenset[str]) -> Look:
    """Refuse by what the header says, or describe the image."""
    return parsed(lambda: _judged(ds, pixels, accept))


def _judged(ds: Dataset, pixels: _Pixels, accept: frozenset[str]) -> Look:
    meta = getattr(ds, "file_meta", Dataset())
    sop_class = str(ds.get("SOPClassUID") or meta.get("MediaStorageSOPClassUID") or "")
    modality = _word(ds.get("Modality"))
    rows, columns = _count(ds, "Rows", 0), _count(ds, "Columns", 0)
    room, has_pixels = pixels.room, pixels.floating or pixels.room is not None
    _refuse_other_objects(sop_class, modality, rows * columns > 0 and has_pixels, rows > 0)
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
    if pixels.floating or allocated not in (8, 16) or not 1 < bits <= allocated:
        raise Refused(refusals.BIT_DEPTH)
    syntax = UID(str(meta.get("TransferSyntaxUID") or "1.2.840.10008.1.2"))
    # one sample only: colour may be subsampled, and its pixels are decoded in any case
    needed = rows * columns * allocated // 8
    compressed = pixels.encapsulated or syntax.is_compressed or syntax == _DEFLATED.decode()
    if not compressed and room is not None and room < needed:
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


def _is_capture(sop_class: str) -> bool:
    return sop_class == _SECONDARY_CAPTURE or sop_class.startswith(_SECONDARY_CAPTURE + ".")


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
