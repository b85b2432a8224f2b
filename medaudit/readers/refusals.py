"""Why a file is not read: a small fixed vocabulary, so that refusals can be counted and shown to anyone.

A reason holds nothing of the file itself: no name, no tag value.
"""

from collections.abc import Mapping

EMPTY_FILE = "zero bytes"
NO_PERMISSION = "no permission to read"
MISSING_FILE = "listed but missing"
UNLISTED = "not listed in the table"
PATIENT_CONFLICT = "listed with two patients"
PATIENT_UNMATCHED = "name does not match the patient regex"
READ_ERROR = "storage error while reading"
NOT_REGULAR = "no regular file"
OUTSIDE_FOLDER = "named outside the folder"
OUTSIDE_LAYOUT = "outside the layout"
HIDDEN = "hidden file"
OTHER_ARRAY = "array under a name that is not read"
ARCHIVE = "archive that is not unpacked"

NOT_IMAGE = "not an image"
NOT_DICOM = "named as DICOM but is not"
TRUNCATED = "truncated"
NO_PIXELS = "no pixels"
TOO_MANY_PIXELS = "too many pixels"
CONSTANT = "constant image"
NOT_FINITE = "NaN or infinite pixels"
COLOUR = "colour"
MULTI_FRAME = "multi-frame"
SEVERAL_IMAGES = "grid of several images in one file; save each as a file"
BIT_DEPTH = "bit depth not supported"
EXCESS_PIXELS = "pixel data of another length than the header states"
TRANSPARENT = "partly transparent; save it without an alpha channel"
UNDECODABLE = "pixels cannot be decoded"
DECODER_CRASHED = "decoder crashed"

STRUCTURED_REPORT = "structured report"
PRESENTATION_STATE = "presentation state"
KEY_OBJECTS = "key object selection"
OTHER_OBJECT = "DICOM object without an image"
DICOM_DIRECTORY = "DICOMDIR"
LOCALIZER = "localizer"
SECONDARY_CAPTURE = "secondary capture"
OTHER_MODALITY = "not a radiograph"
JPEG_12_BIT = "12-bit JPEG Extended; convert with dcmtk's dcmdjpeg"
SYNTAX = "transfer syntax cannot be decoded"

DUPLICATE = "duplicate file"
DUPLICATE_OTHER_PATIENT = "duplicate file under another patient"

# Formats of images that are known and not read, by name.
NOT_SUPPORTED = {
    name: f"{name}, a format that is not read"
    for name in (
        "JPEG XL", "HEIF", "NIfTI", "Analyze", "MetaImage", "NRRD", "FITS",
        "Photoshop", "OpenEXR", "PNM", "HDF5", "MATLAB", "NumPy", "Parquet",
    )
}  # fmt: skip

REASONS = frozenset(
    value for name, value in dict(globals()).items() if name.isupper() and isinstance(value, str)
) | frozenset(NOT_SUPPORTED.values())

# Reasons that rest on what an object calls itself, not on whether it can be decoded. An adapter may accept
# them: RSNA and SIIM ship their films as secondary captures.
ACCEPTABLE = frozenset({SECONDARY_CAPTURE, OTHER_MODALITY, LOCALIZER})

# Images that could be read and that the user leaves out on purpose, with --only-layout.
LEFT_OUT = frozenset({OUTSIDE_LAYOUT, OTHER_ARRAY})

# Copies of a file that is read, and what is no image: every other file refused is an image that is not searched.
_COPIES = frozenset({DUPLICATE, DUPLICATE_OTHER_PATIENT})
_NO_IMAGES = frozenset({STRUCTURED_REPORT, PRESENTATION_STATE, KEY_OBJECTS, OTHER_OBJECT, DICOM_DIRECTORY})


class Refused(Exception):  # a result that is counted, no error
    """A file that is not read; `reason` is one of REASONS."""

    def __init__(self, reason: str) -> None:
        if reason not in REASONS:
            raise ValueError("a refusal needs a reason of the vocabulary")
        super().__init__(reason)
        self.reason = reason

    def __reduce__(self) -> tuple[type["Refused"], tuple[str]]:
        return (Refused, (self.reason,))


def counted(counts: Mapping[str, int]) -> str:
    """`3 refused: 2 no pixels, 1 colour`, most frequent first, then by name; `0 refused` for none."""
    parts = [
        f"{count} {reason}" for reason, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    ]
    total = sum(counts.values())
    return f"{total} refused: {', '.join(parts)}" if parts else "0 refused"


def unread(counts: Mapping[str, int]) -> int:
    """How many images were refused, of counts by reason: files that are no image and duplicates are not among them."""
    return sum(count for reason, count in counts.items() if reason not in _COPIES | _NO_IMAGES)


def images(counts: Mapping[str, int], read: int) -> int:
    """How many images there are: `read`, refused, and duplicates, which count as read."""
    return read + unread(counts) + sum(counts.get(reason, 0) for reason in _COPIES)
