"""DICOM headers that contradict their pixel data or leave something out, put right before decoding.

What the pixel data states of itself is believed: archives and de-identification scripts rewrite headers, not pixels.
"""

from dataclasses import dataclass

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import get_frame
from pydicom.uid import (
    JPEG2000,
    UID,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from medaudit.readers import notes
from medaudit.readers.codestream import frame_kind, stated_precision, stated_size

_ITEM, _DELIMITER = (
    b"\xfe\xff\x00\xe0",
    b"\xfe\xff\xdd\xe0",
)  # PS3.5 A.4, little endian as all encapsulated data
END_OF_FRAMES = _DELIMITER + bytes(4)
_ONE_SAMPLE = frozenset({"MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"})

# What a frame is → the syntax it is decoded by, and the syntaxes that say the same of it.
_SYNTAXES: dict[str, tuple[UID, tuple[str, ...]]] = {
    "baseline": (JPEGBaseline8Bit, (".4.50", ".4.51")),
    "extended": (JPEGExtended12Bit, (".4.51",)),
    "lossless": (JPEGLossless, (".4.57", ".4.70")),
    "ls": (JPEGLSNearLossless, (".4.80", ".4.81")),
    "2000": (JPEG2000, (".4.90", ".4.91", ".4.92", ".4.93")),
    "rle": (RLELossless, (".2.5",)),
}


@dataclass(frozen=True)
class Repaired:
    """The data set's one frame where it is encapsulated, and what had to be decided about the header."""

    frame: bytes | None
    notes: tuple[str, ...]


def repair(ds: Dataset) -> Repaired:
    """Make header and pixel data agree, in place: missing elements, transfer syntax, rows and columns.

    Raises what pydicom raises for a data set that is damaged beyond that.
    """
    found = _complete(ds)
    frame = _frame(ds)
    found += _set_syntax(ds, frame)
    size = stated_size(frame) if frame else None
    if size is not None and size != (int(ds.Rows), int(ds.Columns)):
        # PS3.5 8.2: the header describes the stream; where they differ, a viewer shows the stream
        ds.Rows, ds.Columns = size
        found.append(notes.CORRECTED)
    if frame:
        _make_room(ds, frame)
    return Repaired(frame, tuple(found))


def is_encapsulated(ds: Dataset) -> bool:
    """Whether the pixel data is split into fragments, whatever the transfer syntax says."""
    element = ds["PixelData"]
    if bytes(element.value[:4]) != _ITEM:
        return False
    return bool(element.is_undefined_length) or (has_syntax(ds) and syntax_of(ds).is_encapsulated)


def whole_fragments(pixel_data: bytes) -> bool:
    """Whether encapsulated pixel data holds each fragment to its stated end, and a frame that is finished."""
    at, last = 0, b""
    while pixel_data[at : at + 4] == _ITEM:
        length = int.from_bytes(pixel_data[at + 4 : at + 8], "little")
        last = pixel_data[at + 8 : at + 8 + length]
        at += 8 + length
    if at < 16 or at > len(pixel_data):
        return False
    return frame_kind(last) == "rle" or last.rstrip(b"\0").endswith(b"\xff\xd9")  # EOI, EOC


def has_syntax(ds: Dataset) -> bool:
    """Whether the file states a transfer syntax."""
    return "TransferSyntaxUID" in getattr(ds, "file_meta", Dataset())


def syntax_of(ds: Dataset) -> UID:
    """The transfer syntax, without the blanks that some writers leave."""
    return UID(str(ds.file_meta.TransferSyntaxUID).strip(" \0"))


def _complete(ds: Dataset) -> list[str]:
    """Fill in what de-identification dropped and one value alone can be meant by."""
    samples = ds.get("SamplesPerPixel") or (3 if _word(ds).startswith(("RGB", "YBR")) else 1)
    stated = {"SamplesPerPixel": samples, "PixelRepresentation": 0, "BitsStored": ds.BitsAllocated}
    if samples > 1:
        stated["PlanarConfiguration"] = 0
    found = []
    for name, value in stated.items():
        if ds.get(name) in (None, ""):
            setattr(ds, name, value)
            found.append(notes.CORRECTED)
    if ds.get("NumberOfFrames") in ("", 0):
        del ds.NumberOfFrames
    word = _word(ds)
    if samples == 1 and word not in _ONE_SAMPLE:
        word = "MONOCHROME2"
        found.append(notes.POLARITY)
    elif samples == 3 and (not word or word.startswith("MONOCHROME")):
        word = "RGB"
        found.append(notes.CORRECTED)
    ds.PhotometricInterpretation = word
    return found


def _make_room(ds: Dataset, frame: bytes) -> None:
    """Let the header hold the depth that the frame states: some decoders cut off what it leaves out."""
    depth = stated_precision(frame)
    if depth is None or not 1 < depth <= 16:
        return
    if depth > 8:
        ds.BitsAllocated = 16
    elif frame_kind(frame) in ("baseline", "extended"):
        ds.BitsAllocated = 8  # PS3.5 8.2.1: a decoder of 8-bit JPEG gives bytes
    bits = int(ds.BitsStored)
    if not ds.PixelRepresentation:  # of signed values BitsStored gives the place of the sign
        bits = max(bits, depth)
    ds.BitsStored = min(bits, int(ds.BitsAllocated))
    ds.HighBit = ds.BitsStored - 1


def _word(ds: Dataset) -> str:
    return str(ds.get("PhotometricInterpretation") or "").strip(" \0").upper()


def _frame(ds: Dataset) -> bytes | None:
    return get_frame(ds.PixelData, 0, number_of_frames=1) if is_encapsulated(ds) else None


def _set_syntax(ds: Dataset, frame: bytes | None) -> list[str]:
    """Let the transfer syntax say what the pixel data is; the notes of it."""
    implicit = bool(ds.original_encoding[0])
    native = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    if not has_syntax(ds):
        ds.file_meta = getattr(ds, "file_meta", FileMetaDataset())
        ds.file_meta.TransferSyntaxUID = native  # PS3.10: none is stated in files without meta information
        if frame is None:
            return []
    stated = syntax_of(ds)
    if frame is None:
        if not stated.is_encapsulated:
            return []
        true = native
    else:
        true, names = _SYNTAXES.get(frame_kind(frame) or "", (stated, ()))
        if true == stated or any(str(stated).endswith(name) for name in names):
            return []
    ds.file_meta.TransferSyntaxUID = true
    return [notes.CORRECTED]
