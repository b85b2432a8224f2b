"""Whether a released DICOM file still carries every mark of a synthetic image, and nothing that could name a person.

A receiver looks at thousands of files. They differ in what is their own, a name and numbers that follow from the place
in the release, so a native file whose header is else the same, byte for byte, as one that was found in order is in
order too. Values of the others are compared as they stand in the file, and sequences, which hardly differ, are opened
once.
"""

import re
import warnings
from collections.abc import Iterator
from functools import lru_cache
from io import SEEK_END
from pathlib import Path
from typing import BinaryIO, get_args

from pydicom import Dataset, dcmread
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.filereader import read_file_meta_info
from pydicom.values import convert_SQ

from medaudit.writers.dicom import NOTICE, SYNTAXES, Modality, example, instance_uid, own_parts
from medaudit.writers.raster import NOT_SAID, SAID_OTHERWISE

TagPath = tuple[int, ...]

# keyword, what its whole value looks like, what is wrong otherwise
_MARKS: tuple[tuple[str, str, str], ...] = (
    ("SyntheticData", "YES", "does not carry SyntheticData = YES"),
    ("SeriesDescription", f".*{re.escape(NOTICE)}.*", "lacks the notice that it is synthetic"),
    ("DerivationDescription", f".*{re.escape(NOTICE)}.*", "lacks the derivation that says it is synthetic"),
    ("ImageType", r"DERIVED\\(PRIMARY|SECONDARY)", "does not say that it is derived"),
    ("PatientName", r"SYNTHETIC\^\d{6,}", "carries a patient name that is not synthetic"),
    ("PatientID", r"SYN-\d{6,}", "carries a patient id that is not synthetic"),
    ("PatientBirthDate", "", "carries personal attributes"),
    ("PatientIdentityRemoved", "YES", "carries personal attributes"),
    ("DeidentificationMethod", "Generated; no source patient", "does not say that it has no source patient"),
    ("BurnedInAnnotation", "YES|NO", NOT_SAID),
    ("RecognizableVisualFeatures", "NO", "lacks RecognizableVisualFeatures = NO"),
    ("LossyImageCompression", "00", "lacks LossyImageCompression = 00"),
    ("PresentationLUTShape", "IDENTITY", "lacks PresentationLUTShape = IDENTITY"),
    ("ContributingEquipmentSequence", r"(?s).*Processing Equipment.*", "does not say what made it"),
)
_RULES = tuple((tag_for_keyword(keyword) or 0, re.compile(rule), said) for keyword, rule, said in _MARKS)
_UID = tag_for_keyword("SOPInstanceUID") or 0
_BURNED_IN = tag_for_keyword("BurnedInAnnotation") or 0
_WRITTEN = frozenset(SYNTAXES.values())
_HEADER = 8192  # bytes; medaudit's headers take about two thousand
_PIXELS = bytes.fromhex("e07f1000") + b"OW\0\0"
_LENGTH_OF_META = slice(140, 144)  # it follows from the length of the image's own UID
_PREAMBLE = 128  # bytes before DICM, PS3.10 7.1
_UNDEFINED, _DELIMITER = 0xFFFFFFFF, bytes.fromhex("feffdde0")  # length of fragments, and what ends them
_MOST_FORMS = 64  # of one release there are as many as views
_in_order: set[tuple[str, bytes]] = set()


def unmarked(path: Path, release_id: str, index: int, burned_in: str = "YES") -> str | None:
    """What is wrong with a released file's marks, in words without any value of the file; None when all is well.

    `burned_in` is what the certificate says of letters in it, YES or NO.
    """
    form = _form(path, own_parts(release_id, index))
    if form is not None and (burned_in, form) in _in_order:
        return None
    said = _looked_at(path, release_id, index, burned_in)
    if said is None and form is not None and len(_in_order) < _MOST_FORMS:
        _in_order.add((burned_in, form))
    return said


def _form(path: Path, own: list[bytes]) -> bytes | None:
    """The header of a native file without the parts that are this image's own; None when these are not there."""
    try:
        with path.open("rb") as stream:
            rest = stream.read(_HEADER)
    except OSError:
        return None
    pieces = []
    for part in own:
        before, found, rest = rest.partition(part)
        if not found:
            return None
        pieces.append(before)
    last, found, pixels = rest.partition(_PIXELS)
    size = int.from_bytes(pixels[:4], "little")
    if (
        not found
        or len(pieces[0]) < _LENGTH_OF_META.stop
        or path.stat().st_size != _end(pieces, own, last) + size
    ):
        return None
    start, stop = _LENGTH_OF_META.start, _LENGTH_OF_META.stop
    pieces[0] = pieces[0][:start] + pieces[0][stop:]
    return b"\0own\0".join([*pieces, last, pixels[:4]])


def _end(pieces: list[bytes], own: list[bytes], last: bytes) -> int:
    """Where the pixels begin: after the header, their tag and kind, and their length."""
    return sum(map(len, pieces)) + sum(map(len, own)) + len(last) + len(_PIXELS) + 4


def _looked_at(path: Path, release_id: str, index: int, burned_in: str) -> str | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a warning would tell a value; what is wrong is said below
            with path.open("rb") as stream:
                if (
                    read_file_meta_info(path).get("TransferSyntaxUID") not in _WRITTEN
                ):  # a deflated one unfolds
                    return "is not in a transfer syntax that medaudit writes"
                dataset = dcmread(stream, stop_before_pixels=True)
                bare = dataset.preamble == bytes(_PREAMBLE) and _ends_with_pixels(stream)
            elements = {int(tag): dataset.get_item(tag) for tag in dataset.keys()}  # noqa: SIM118 -- iterating converts
            strangers = any(_strange(tag, element) for tag, element in elements.items())
            values = {tag: _text(elements.get(tag)) for tag in (*(tag for tag, _, _ in _RULES), _UID)}
    except Exception:  # whatever a damaged file makes pydicom raise
        return "cannot be read as DICOM"
    for tag, rule, said in _RULES:
        if not rule.fullmatch(values[tag]):
            return said
    if strangers:
        return "carries an attribute that medaudit does not write"
    if not bare:
        return "carries bytes beside its attributes that medaudit does not write"
    if values[_UID] != instance_uid(release_id, index):
        return "belongs to another release or another place in it"
    return None if values[_BURNED_IN] == burned_in else SAID_OTHERWISE


def _ends_with_pixels(stream: BinaryIO) -> bool:
    """Whether the file, read up to its pixels, ends with them: by their length, or by the delimiter of fragments.

    PS3.5 7.1.2 and A.4.
    """
    head = stream.read(12)  # tag, kind, two zero bytes, length
    length, begin = int.from_bytes(head[8:], "little"), stream.tell()
    end = stream.seek(0, SEEK_END)
    if length != _UNDEFINED:
        return end == begin + length
    at, item = begin, b""
    while item != _DELIMITER and at + 8 <= end:
        stream.seek(at)
        item, size = stream.read(4), int.from_bytes(stream.read(4), "little")
        at += 8 + size
    return item == _DELIMITER and at == end


def _text(element: object) -> str:
    """An element's value as text, padding stripped; empty when it is absent."""
    value = getattr(element, "value", None)
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace").rstrip("\0 ")
    if value is None:
        return ""
    return "\\".join(map(str, value)) if isinstance(value, list) else str(value)


def _strange(tag: int, element: object) -> bool:
    """Whether the element, or anything inside it, is none that medaudit writes."""
    if (tag,) not in _known_tags():
        return True
    if getattr(element, "VR", None) != "SQ":
        return False
    if isinstance(element, RawDataElement):
        return _strange_inside(tag, element.value or b"")
    return not all(found in _known_tags() for item in element.value for found in _all_tags(item, (tag,)))  # type: ignore[attr-defined]


@lru_cache(maxsize=1024)
def _strange_inside(tag: int, value: bytes) -> bool:
    items = convert_SQ(value, is_implicit_VR=False, is_little_endian=True)
    return not all(found in _known_tags() for item in items for found in _all_tags(item, (tag,)))


def _all_tags(dataset: Dataset, prefix: TagPath = ()) -> Iterator[TagPath]:
    """The path of every attribute, those inside sequences too."""
    for element in dataset:
        here = (*prefix, int(element.tag))
        yield here
        if element.VR == "SQ":
            for item in element.value:
                yield from _all_tags(item, here)


@lru_cache(maxsize=1)
def _known_tags() -> frozenset[TagPath]:
    """The path of every attribute that any kind of release may carry."""
    return frozenset(found for modality in get_args(Modality) for found in _all_tags(example(modality)))
