"""Make the sample films again, byte for byte: `python sample_data/make.py --out DIR`.

208 phantom patients, every fifth or so with two or three films, as DICOM DX For Presentation in the nested
folders of a PACS export, and a table of labels beside them. The films differ in what a reader must cope with: polarity,
transfer syntax, file extension. Nothing here depends on the clock, on a random device or on the order of calls.

Axes: (Y, X) pixels; stored values are 12 bits in 16.
"""

import argparse
import csv
import hashlib
import io
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
)

from medaudit.images.anatomy import draw_patient, exposures_of
from medaudit.images.phantom import FIELD, phantom

PATIENTS = 208
SHAPE = (96, 80)  # unequal, so that swapped axes show
BITS_STORED = 12
TOP = 2**BITS_STORED - 1
UNIT_MM = 170.0  # one unit of the phantom's lengths
WIDE = 0.55  # of the chest's width; about a quarter of the phantoms have a wider heart
LABELS = "labels.csv"
IMPLEMENTATION = UID("2.25.230281498713452316845623108477920118551")


@dataclass(frozen=True)
class Film:
    """One file: whose it is, where it lies, how it is stored."""

    patient: int  # from 1
    exposure: int  # from 0
    study: int  # from 1, within the patient
    image: int  # from 1, within the study
    number: int  # from 0, over all films

    @property
    def path(self) -> str:
        extension = "" if self.patient % 23 == 11 else ".dcm"
        return f"P{self.patient:04d}/ST{self.study}/IM{self.image}{extension}"

    @property
    def monochrome1(self) -> bool:
        return self.number % 6 == 5

    @property
    def syntax(self) -> UID:
        if self.number % 29 == 8:
            return ExplicitVRLittleEndian
        return RLELossless if self.number % 23 == 3 else JPEGLSLossless


def films() -> Iterator[Film]:
    """All films in the order of their paths. A second film belongs to the same study or to a later one."""
    number = 0
    for patient in range(1, PATIENTS + 1):
        study, image = 1, 0
        for exposure in range(exposures_of(patient)):
            if exposure and (patient + exposure) % 3:
                study, image = study + 1, 0
            image += 1
            yield Film(patient, exposure, study, image, number)
            number += 1


def heart_share(patient: int) -> float:
    """Width of the phantom's heart over that of its chest, as they are drawn: the cardiothoracic ratio."""
    p = draw_patient(patient).value
    left = p["heart_x"] + math.hypot(
        p["heart_long"] * math.cos(p["heart_turn"]), p["heart_short"] * math.sin(p["heart_turn"])
    )
    return (left + p["atrium_size"] - p["atrium_x"]) / (2 * p["cage_width"])


def labels() -> str:
    """CSV for `medaudit ingest --manifest`: each film and what is to be seen on it."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", "labels"])
    for film in films():
        writer.writerow([film.path, "wide heart" if heart_share(film.patient) > WIDE else "no finding"])
    return text.getvalue()


def encode(film: Film) -> bytes:
    """The whole DICOM file of a film."""
    dataset = Dataset()
    _patient_and_study(dataset, film)
    _series_and_equipment(dataset, film)
    _image(dataset, film)
    _digital_x_ray(dataset, film)
    pixels = np.rint(phantom(film.patient, film.exposure, SHAPE).astype(np.float64) * TOP).astype("<u2")
    if film.monochrome1:
        pixels = TOP - pixels
    dataset.PixelData = pixels.astype("<u2").tobytes()
    dataset["PixelData"].VR = "OW"
    dataset.file_meta = _file_meta(dataset)
    if film.syntax != ExplicitVRLittleEndian:
        plugin = "pyjpegls" if film.syntax == JPEGLSLossless else "pydicom"
        dataset.compress(film.syntax, encoding_plugin=plugin, generate_instance_uid=False)
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def uid(*labels: str | int) -> UID:
    """`2.25.` and 128 bits of the SHA-256 of the labels (PS3.5 B.2), the same on every run."""
    digest = hashlib.sha256("\x1f".join(["medaudit sample data", *map(str, labels)]).encode()).digest()
    return UID(f"2.25.{int.from_bytes(digest[:16], 'big')}")


def _patient_and_study(dataset: Dataset, film: Film) -> None:
    # PS3.3 C.7.1.1 Patient, C.7.2.1 General Study
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName = f"PHANTOM^{film.patient:04d}"
    dataset.PatientID = f"PHANTOM-{film.patient:04d}"
    dataset.PatientBirthDate = ""
    dataset.PatientSex = ""
    dataset.PatientComments = "phantom, no patient"
    day = date(2020, 1, 6) + timedelta(days=3 * film.patient + 40 * (film.study - 1))
    dataset.StudyDate = dataset.AcquisitionDate = day.strftime("%Y%m%d")
    dataset.StudyTime = dataset.AcquisitionTime = f"{8 + film.patient % 9:02d}{7 * film.exposure:02d}00"
    dataset.StudyInstanceUID = uid("study", film.patient, film.study)
    dataset.StudyID = str(film.study)
    dataset.AccessionNumber = ""
    dataset.ReferringPhysicianName = ""
    dataset.StudyDescription = "Chest phantom"


def _series_and_equipment(dataset: Dataset, film: Film) -> None:
    # PS3.3 C.7.3.1 General Series, C.8.11.1 DX Series, C.7.5.1 General Equipment
    dataset.Modality = "DX"
    dataset.PresentationIntentType = "FOR PRESENTATION"
    dataset.SeriesInstanceUID = uid("series", film.patient, film.study)
    dataset.SeriesNumber = 1
    dataset.SeriesDescription = "Chest PA"
    dataset.BodyPartExamined = "CHEST"
    dataset.Manufacturer = "medaudit phantom"
    dataset.ManufacturerModelName = "phantom"
    dataset.SoftwareVersions = "1"


def _image(dataset: Dataset, film: Film) -> None:
    # PS3.3 C.7.6.1 General Image, C.7.6.3 Image Pixel, C.11.1 Modality LUT, C.11.2 VOI LUT, C.12.1 SOP Common
    dataset.SOPClassUID = DigitalXRayImageStorageForPresentation
    dataset.SOPInstanceUID = uid("image", film.patient, film.exposure)
    dataset.InstanceNumber = film.image
    dataset.ImageType = ["ORIGINAL", "PRIMARY"]
    dataset.ImageComments = "phantom, no patient"
    dataset.BurnedInAnnotation = "NO"
    dataset.LossyImageCompression = "00"
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME1" if film.monochrome1 else "MONOCHROME2"
    dataset.PresentationLUTShape = "INVERSE" if film.monochrome1 else "IDENTITY"
    dataset.Rows, dataset.Columns = SHAPE
    dataset.BitsAllocated = 16
    dataset.BitsStored = BITS_STORED
    dataset.HighBit = BITS_STORED - 1
    dataset.PixelRepresentation = 0
    dataset.RescaleIntercept = 0
    dataset.RescaleSlope = 1
    dataset.RescaleType = "US"
    dataset.WindowCenter = (TOP + 1) // 2
    dataset.WindowWidth = TOP + 1


def _digital_x_ray(dataset: Dataset, film: Film) -> None:
    # PS3.3 C.8.11.2 DX Anatomy Imaged, C.8.11.3 DX Image, C.8.11.4 DX Detector, C.8.11.5 DX Positioning
    dataset.PatientOrientation = ["L", "F"]
    dataset.ImageLaterality = "U"
    dataset.AnatomicRegionSequence = Sequence([_code("816094009", "SCT", "Chest")])
    dataset.PixelIntensityRelationship = "LOG"
    dataset.PixelIntensityRelationshipSign = 1 if film.monochrome1 else -1
    dataset.DetectorType = "SCINTILLATOR"
    pitch = max(FIELD[0] / SHAPE[0], FIELD[1] / SHAPE[1]) * UNIT_MM
    dataset.ImagerPixelSpacing = [f"{pitch:.4f}", f"{pitch:.4f}"]
    dataset.ViewPosition = "PA"
    view = _code("272479007", "SCT", "Posteroanterior projection")
    view.ViewModifierCodeSequence = Sequence([])
    dataset.ViewCodeSequence = Sequence([view])
    dataset.PositionerType = "NONE"
    dataset.AcquisitionContextSequence = Sequence([])


def _file_meta(dataset: Dataset) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian  # `compress` puts its own here
    meta.ImplementationClassUID = IMPLEMENTATION
    meta.ImplementationVersionName = "PHANTOM"
    return meta


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def main() -> None:
    """Write every film under the folder given with --out, and the labels beside it."""
    parser = argparse.ArgumentParser(description="Write the phantom films as DICOM.")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "dicom", metavar="DIR")
    out: Path = parser.parse_args().out
    count = 0
    for film in films():
        path = out / film.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(film))
        count += 1
    (out.parent / LABELS).write_text(labels())
    sys.stdout.write(f"{count} films of {PATIENTS} phantom patients written to {out}\n")


if __name__ == "__main__":
    main()
