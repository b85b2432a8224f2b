"""Generated radiographs as DICOM files that say of themselves that they are synthetic.

Axes: (Y, X) pixels. Stored values are 12 bits: a uint8 or uint16 image is scaled to [0, 4095], never clipped.
Every file is its own patient, study and series. Nothing here reads a clock: the same facts, index and pixels give
the same bytes. medaudit.writers.dicom_marks is the other direction: it tells what a file lacks of these marks.
"""

import hashlib
import io
import struct
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
)

from medaudit.errors import UsageProblem

Modality = Literal["DX", "CR", "SC"]
Syntax = Literal["explicit", "jpeg-ls", "jpeg-2000", "rle"]

NOTICE = "SYNTHETIC - NOT FOR DIAGNOSTIC USE"
BITS_STORED = 12
# PS3.5 B.2: a UUID under 2.25 names the software without a registered root; fixed for all versions.
IMPLEMENTATION_UID = UID("2.25.309168330431685592631520509351313580914")
SYNTAXES: dict[str, UID] = {
    "explicit": ExplicitVRLittleEndian,
    "jpeg-ls": JPEGLSLossless,
    "jpeg-2000": JPEG2000Lossless,
    "rle": RLELossless,
}
SOP_CLASSES: dict[str, UID] = {
    "DX": DigitalXRayImageStorageForPresentation,
    "CR": ComputedRadiographyImageStorage,
    "SC": SecondaryCaptureImageStorage,
}
# CID 4010 DX View: code value and meaning in SNOMED CT, and where rows and columns run (PS3.3 C.7.6.1.1.1).
_VIEWS: dict[str, tuple[str, str, tuple[str, str]]] = {
    "PA": ("272479007", "Posteroanterior projection", ("L", "F")),
    "AP": ("399348003", "Antero-posterior projection", ("L", "F")),
    "LATERAL": ("399067008", "Lateral projection", ("P", "F")),
}
# DX wants an orientation (type 1C) even where no view is known; the usual frontal hanging is written then.
_UNKNOWN_VIEW = ("", "", ("L", "F"))
_JPEG_2000_SIDE = 32  # OpenJPEG's five halvings need 2**5 pixels


@dataclass(frozen=True)
class Facts:
    """What all files of one release share. `date` is YYYYMMDD or empty; `field_mm` the nominal side of the plate."""

    release_id: str
    model_id: str  # "" when the generator is not known
    version: str  # of medaudit
    modality: Modality = "DX"
    transfer_syntax: Syntax = "explicit"
    date: str = ""
    field_mm: float = 430.0


def instance_uid(release_id: str, index: int, level: str = "image") -> UID:
    """`2.25.` and the integer of a UUID made from SHA-256 of (release id, index, level). PS3.5 B.2."""
    digest = hashlib.sha256(f"{release_id}\x1f{index}\x1f{level}".encode()).digest()
    # RFC 9562 sec. 5.8: version 8 is the one for custom hashes; variant bits 10
    version = (digest[6] & 0x0F) | 0x80
    variant = (digest[8] & 0x3F) | 0x80
    name = digest[:6] + bytes([version, digest[7], variant]) + digest[9:16]
    return UID(f"2.25.{uuid.UUID(bytes=name).int}")


def twelve_bits(image: np.ndarray) -> np.ndarray:
    """(Y, X) uint8 or uint16 over its full range → uint16 in [0, 4095], rounded half up; injective for uint8."""
    if image.dtype not in (np.dtype(np.uint8), np.dtype(np.uint16)):
        raise ValueError("images to be written are uint8 or uint16")
    top = int(np.iinfo(image.dtype).max)
    return ((image.astype(np.uint32) * (2 * 4095) + top) // (2 * top)).astype(np.uint16)


class DicomWriter:
    """Writes the images of one release; `write` is called once per image with its 1-based index."""

    def __init__(self, facts: Facts, image_shape: tuple[int, int]) -> None:
        if facts.modality not in SOP_CLASSES or facts.transfer_syntax not in SYNTAXES:
            raise ValueError("unknown modality or transfer syntax")
        if facts.transfer_syntax == "jpeg-2000" and min(image_shape) < _JPEG_2000_SIDE:
            raise UsageProblem(
                f"jpeg-2000 needs images of {_JPEG_2000_SIDE} pixels a side; use jpeg-ls or explicit"
            )
        self.facts = facts
        self.image_shape = image_shape
        self._template = _template(facts, image_shape)
        self._forms: dict[tuple[str | None, bool | None], list[bytes]] = {}

    def write(
        self,
        path: Path,
        image: np.ndarray,
        index: int,
        view: str | None = None,
        has_text: bool | None = None,
    ) -> None:
        """Write one (Y, X) uint8 or uint16 image.

        `view` is PA, AP, LATERAL or None when not known; `has_text` what a text pass found, None when none was made.
        """
        if image.shape != self.image_shape:
            raise ValueError(f"image is {image.shape}; this release holds {self.image_shape}")
        if self.facts.transfer_syntax == "explicit":
            path.write_bytes(self._filled(index, view, has_text, twelve_bits(image).tobytes()))
        else:
            self._dataset(image, index, view, has_text).save_as(path, enforce_file_format=True)

    def _dataset(self, image: np.ndarray, index: int, view: str | None, has_text: bool | None) -> Dataset:
        dataset = self._template
        _identify(dataset, self.facts, index)
        _set_view(dataset, view, self.facts.modality)
        # PS3.3 C.7.6.1.1.4: could text in the pixels tell a patient or a date? Until a text pass has looked, the
        # cautious answer stands.
        dataset.BurnedInAnnotation = "NO" if has_text is False else "YES"
        dataset.file_meta = _file_meta(dataset, ExplicitVRLittleEndian)
        dataset.PixelData = twelve_bits(image).tobytes()
        dataset["PixelData"].VR = "OW"
        syntax = SYNTAXES[self.facts.transfer_syntax]
        if syntax != ExplicitVRLittleEndian:
            dataset.compress(syntax, generate_instance_uid=False)
        return dataset

    def _filled(self, index: int, view: str | None, has_text: bool | None, stored: bytes) -> bytes:
        """A native file: what pydicom wrote for another image of the same view, with this image's own parts.

        Five attributes and the pixels differ, so the rest is encoded once: a millisecond and a half saved an image.
        """
        parts = self._forms.get((view, has_text))
        if parts is None:
            stream = io.BytesIO()
            blank = np.zeros(self.image_shape, dtype=np.uint16)
            self._dataset(blank, 1, view, has_text).save_as(stream, enforce_file_format=True)
            parts = self._forms[view, has_text] = _cut(
                stream.getvalue(), own_parts(self.facts.release_id, 1), len(stored)
            )
        length, *between = parts
        own = own_parts(self.facts.release_id, index)
        # PS3.10 7.1: the length of the file meta group, which holds the first of the parts that differ
        group = struct.pack("<I", struct.unpack("<I", length)[0] + len(own[0]))
        pieces = [between[0], group, between[1]]
        for part, after in zip(own, between[2:], strict=True):
            pieces += [part, after]
        return b"".join([*pieces, stored])


def own_parts(release_id: str, index: int) -> list[bytes]:
    """The attributes that are the image's own, encoded, in the order of the file. PS3.5 7.1.2."""
    uids = {level: instance_uid(release_id, index, level) for level in ("image", "study", "series")}
    name, number = f"SYNTHETIC^{index:06d}", f"SYN-{index:06d}"
    values = (
        (0x0002, 0x0003, b"UI", uids["image"]),
        (0x0008, 0x0018, b"UI", uids["image"]),
        (0x0010, 0x0010, b"PN", name),
        (0x0010, 0x0020, b"LO", number),
        (0x0020, 0x000D, b"UI", uids["study"]),
        (0x0020, 0x000E, b"UI", uids["series"]),
    )
    found = []
    for group, element, kind, value in values:
        text = value.encode("ascii")
        text += (b"\0" if kind == b"UI" else b" ") * (len(text) % 2)
        found.append(struct.pack("<HH2sH", group, element, kind, len(text)) + text)
    return found


def _cut(whole: bytes, own: list[bytes], pixel_bytes: int) -> list[bytes]:
    """[length of the meta group without `own[0]`, before it, after it, then what follows each part of `own`]."""
    start = 128 + 4 + 8  # preamble, DICM, tag and kind of the group's length
    length = struct.unpack("<I", whole[start : start + 4])[0] - len(own[0])
    rest = whole[start + 4 : len(whole) - pixel_bytes]
    between = []
    for part in own:
        before, found, rest = rest.partition(part)
        assert found, "pydicom wrote an attribute otherwise than medaudit"
        between.append(before)
    return [struct.pack("<I", length), whole[:start], *between, rest]


def _template(facts: Facts, image_shape: tuple[int, int]) -> Dataset:
    """Everything but what differs from image to image."""
    dataset = Dataset()
    _patient_and_study(dataset, facts)
    _series_and_equipment(dataset, facts)
    _image(dataset, facts)
    _pixels(dataset, image_shape)
    if facts.modality == "DX":
        _digital_x_ray(dataset, facts, image_shape)
    elif facts.modality == "CR":
        # PS3.3 C.8.1.1 and C.8.1.2
        dataset.BodyPartExamined = "CHEST"
        dataset.ImagerPixelSpacing = _spacing(facts, image_shape)
    else:
        dataset.ConversionType = "SYN"  # PS3.3 C.8.6.1: synthetic image
        dataset.BodyPartExamined = "CHEST"
    return dataset


def _patient_and_study(dataset: Dataset, facts: Facts) -> None:
    # PS3.3 C.7.1.1 Patient, C.7.2.1 General Study
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientBirthDate = ""
    dataset.PatientSex = ""
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = "Generated; no source patient"
    dataset.StudyDate = facts.date
    dataset.StudyTime = ""
    dataset.ReferringPhysicianName = ""
    dataset.StudyID = "1"
    dataset.AccessionNumber = ""
    dataset.StudyDescription = "SYNTHETIC"


def _series_and_equipment(dataset: Dataset, facts: Facts) -> None:
    # PS3.3 C.7.3.1 General Series, C.7.5.1 General Equipment, C.12.1 SOP Common
    dataset.Modality = "OT" if facts.modality == "SC" else facts.modality
    dataset.SeriesNumber = 1
    dataset.SeriesDescription = NOTICE
    dataset.Manufacturer = "medaudit"
    dataset.ManufacturerModelName = "generated radiograph"
    dataset.SoftwareVersions = facts.version
    dataset.SyntheticData = "YES"  # (0008,001C)
    equipment = Dataset()
    equipment.PurposeOfReferenceCodeSequence = Sequence([_code("109102", "DCM", "Processing Equipment")])
    equipment.Manufacturer = "medaudit"
    equipment.ManufacturerModelName = "generative model"
    equipment.SoftwareVersions = facts.version
    equipment.ContributionDescription = (
        f"model sha256 {facts.model_id}" if facts.model_id else "model not named"
    )
    dataset.ContributingEquipmentSequence = Sequence([equipment])


def _image(dataset: Dataset, facts: Facts) -> None:
    # PS3.3 C.7.6.1 General Image, C.11.1 Modality LUT, C.11.2 VOI LUT
    dataset.SOPClassUID = SOP_CLASSES[facts.modality]
    dataset.ImageType = ["DERIVED", "SECONDARY" if facts.modality == "SC" else "PRIMARY"]
    dataset.InstanceNumber = 1
    model = f"model {facts.model_id[:16]}" if facts.model_id else "a model not named"
    dataset.DerivationDescription = f"{NOTICE}. Generated by {model}; checked and written by medaudit."
    dataset.BurnedInAnnotation = "YES"
    dataset.RecognizableVisualFeatures = "NO"
    dataset.LossyImageCompression = "00"
    dataset.RescaleIntercept = "0"
    dataset.RescaleSlope = "1"
    dataset.RescaleType = "US"
    dataset.PresentationLUTShape = "IDENTITY"
    # PS3.3 C.11.2.1.2.1: center 2048, width 4096 maps 0 to black and 4095 to white
    dataset.WindowCenter = "2048"
    dataset.WindowWidth = "4096"


def _pixels(dataset: Dataset, image_shape: tuple[int, int]) -> None:
    # PS3.3 C.7.6.3 Image Pixel
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = image_shape
    dataset.BitsAllocated = 16
    dataset.BitsStored = BITS_STORED
    dataset.HighBit = BITS_STORED - 1
    dataset.PixelRepresentation = 0


def _digital_x_ray(dataset: Dataset, facts: Facts, image_shape: tuple[int, int]) -> None:
    # PS3.3 C.8.11.1 DX Series, C.8.11.2 Anatomy Imaged, C.8.11.3 Image, C.8.11.4 Detector, C.8.11.5 Positioning
    dataset.PresentationIntentType = "FOR PRESENTATION"
    dataset.ImageLaterality = "U"
    dataset.AnatomicRegionSequence = Sequence([_code("816094009", "SCT", "Chest")])
    dataset.PixelIntensityRelationship = "LOG"
    dataset.PixelIntensityRelationshipSign = -1  # bright means less X-ray reached the plate
    dataset.DetectorType = ""
    dataset.ImagerPixelSpacing = _spacing(facts, image_shape)
    dataset.PositionerType = ""
    dataset.AcquisitionContextSequence = Sequence([])
    dataset.AcquisitionDeviceProcessingDescription = "generated"


def _identify(dataset: Dataset, facts: Facts, index: int) -> None:
    dataset.PatientName = f"SYNTHETIC^{index:06d}"
    dataset.PatientID = f"SYN-{index:06d}"
    dataset.StudyInstanceUID = instance_uid(facts.release_id, index, "study")
    dataset.SeriesInstanceUID = instance_uid(facts.release_id, index, "series")
    dataset.SOPInstanceUID = instance_uid(facts.release_id, index)


def _set_view(dataset: Dataset, view: str | None, modality: Modality) -> None:
    value, meaning, orientation = _VIEWS.get(view or "", _UNKNOWN_VIEW)
    dataset.PatientOrientation = list(orientation)
    if modality == "CR":
        dataset.ViewPosition = {"PA": "PA", "AP": "AP"}.get(view or "", "")
    if modality != "DX":
        return
    if value:
        code = _code(value, "SCT", meaning)
        code.ViewModifierCodeSequence = Sequence([])
        dataset.ViewCodeSequence = Sequence([code])
    elif "ViewCodeSequence" in dataset:
        del dataset.ViewCodeSequence


def _file_meta(dataset: Dataset, syntax: UID) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = syntax
    meta.ImplementationClassUID = IMPLEMENTATION_UID
    meta.ImplementationVersionName = "MEDAUDIT"
    return meta


def _spacing(facts: Facts, image_shape: tuple[int, int]) -> list[str]:
    """Row and column spacing in mm, as DS: the nominal plate over the longer side; pixels are square."""
    text = f"{facts.field_mm / max(image_shape):.6f}"
    return [text, text]


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def example(modality: Modality) -> Dataset:
    """A file's attributes without pixels, for those who ask what a released file may hold."""
    facts = Facts("", "", "", modality)
    dataset = _template(facts, (1, 1))
    _identify(dataset, facts, 1)
    _set_view(dataset, "PA", modality)
    return dataset
