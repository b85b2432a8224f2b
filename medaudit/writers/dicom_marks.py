"""Whether a released DICOM file still carries every mark of a synthetic image, and nothing that could name a person.

A receiver looks at thousands of files, so values are compared as they stand in the file, without making Python objects
of them, and sequences, which hardly differ between files, are opened once.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import get_args

from pydicom import Dataset, dcmread
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.errors import InvalidDicomError
from pydicom.values import convert_SQ

from medaudit.writers.dicom import NOTICE, SYNTAXES, Modality, example, instance_uid

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
    ("BurnedInAnnotation", "YES|NO", "does not say whether text is drawn into it"),
    ("RecognizableVisualFeatures", "NO", "lacks RecognizableVisualFeatures = NO"),
    ("LossyImageCompression", "00", "lacks LossyImageCompression = 00"),
    ("PresentationLUTShape", "IDENTITY", "lacks PresentationLUTShape = IDENTITY"),
    ("ContributingEquipmentSequence", r"(?s).*Processing Equipment.*", "does not say what made it"),
)
_RULES = tuple((tag_for_keyword(keyword) or 0, re.compile(rule), said) for keyword, rule, said in _MARKS)
_UID = tag_for_keyword("SOPInstanceUID") or 0
_WRITTEN = frozenset(SYNTAXES.values())


def unmarked(path: Path, release_id: str, index: int) -> str | None:
    """What is wrong with a released file's marks, in words without any value of the file; None when all is well."""
    try:
        dataset = dcmread(path, stop_before_pixels=True)
        if dataset.file_meta.get("TransferSyntaxUID") not in _WRITTEN:
            return "is not in a transfer syntax that medaudit writes"
        elements = {int(tag): dataset.get_item(tag) for tag in dataset.keys()}  # noqa: SIM118 -- iterating converts
        strangers = any(_strange(tag, element) for tag, element in elements.items())
        values = {tag: _text(elements.get(tag)) for tag in (*(tag for tag, _, _ in _RULES), _UID)}
    except (InvalidDicomError, OSError, ValueError, AttributeError, EOFError, KeyError, NotImplementedError):
        return "cannot be read as DICOM"
    for tag, rule, said in _RULES:
        if not rule.fullmatch(values[tag]):
            return said
    if strangers:
        return "carries an attribute that medaudit does not write"
    if values[_UID] != instance_uid(release_id, index):
        return "belongs to another release or another place in it"
    return None


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
