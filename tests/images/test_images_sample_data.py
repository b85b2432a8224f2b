"""The sample films: made again byte for byte, sound as DICOM, and the phantoms they claim to be."""

import csv
import importlib.util
import io
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import ExplicitVRLittleEndian, JPEGLSLossless, RLELossless

from medaudit.images.phantom import phantom

SAMPLES = Path(__file__).resolve().parents[2] / "sample_data"


def words(text: str) -> list[str]:
    return text.split()


# PS3.3 A.26 and the modules it names: type 1 (must have a value) and type 2 (must be there) of a DX image.
TYPE_1 = words("""SOPClassUID SOPInstanceUID StudyInstanceUID SeriesInstanceUID Modality PresentationIntentType
ImageType InstanceNumber SamplesPerPixel PhotometricInterpretation Rows Columns BitsAllocated BitsStored HighBit
PixelRepresentation PixelIntensityRelationship PixelIntensityRelationshipSign RescaleIntercept RescaleSlope
RescaleType PresentationLUTShape LossyImageCompression BurnedInAnnotation ImageLaterality AnatomicRegionSequence
ImagerPixelSpacing ViewCodeSequence PatientOrientation""")
TYPE_2 = words("""PatientName PatientID PatientBirthDate PatientSex StudyDate StudyTime StudyID AccessionNumber
ReferringPhysicianName SeriesNumber Manufacturer DetectorType PositionerType AcquisitionContextSequence""")


@pytest.fixture(scope="module")
def make() -> ModuleType:
    spec = importlib.util.spec_from_file_location("sample_data_make", SAMPLES / "make.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def headers(make: ModuleType) -> dict[str, Dataset]:
    root = SAMPLES / "dicom"
    return {film.path: dcmread(root / film.path, stop_before_pixels=True) for film in make.films()}


def test_every_file_is_made_again_byte_for_byte(make: ModuleType) -> None:
    root = SAMPLES / "dicom"
    committed = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    films = list(make.films())
    assert {film.path for film in films} == committed and len(films) == len(committed) == 260
    different = [film.path for film in films if (root / film.path).read_bytes() != make.encode(film)]
    assert different == []


def test_labels_name_every_film_and_say_what_is_drawn(make: ModuleType) -> None:
    text = (SAMPLES / make.LABELS).read_text()
    assert text == make.labels()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["file"] for row in rows] == [film.path for film in make.films()]
    wide = {int(row["file"][1:5]): row["labels"] == "wide heart" for row in rows}
    assert {row["labels"] for row in rows} == {"wide heart", "no finding"} and 0.15 < np.mean(
        list(wide.values())
    ) < 0.4
    # the drawn heart: bright columns of the film between the lungs, at the height of the ventricles
    shares = {patient: make.heart_share(patient) for patient in wide}
    assert all(wide[patient] == (share > make.WIDE) for patient, share in shares.items())
    order = sorted(shares, key=lambda patient: shares[patient])
    narrow, broad = (
        np.mean([phantom(patient, 0, (96, 80)) for patient in some], axis=0)
        for some in (order[:40], order[-40:])
    )
    lower_left = (slice(50, 62), slice(54, 64))  # beside the heart's apex, on the right of the image
    assert broad[lower_left].mean() > narrow[lower_left].mean() + 0.05


def test_the_script_writes_where_it_is_told(
    make: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(make, "PATIENTS", 2)
    monkeypatch.setattr(sys, "argv", ["make.py", "--out", str(tmp_path / "films")])
    make.main()
    films = tmp_path / "films"
    written = sorted(path.relative_to(films) for path in films.rglob("*") if path.is_file())
    assert (tmp_path / "labels.csv").read_text() == make.labels()
    assert written == [Path(film.path) for film in make.films()] and len(written) >= 2
    for path in written:
        assert (tmp_path / "films" / path).read_bytes() == (SAMPLES / "dicom" / path).read_bytes()


def test_patients_studies_and_names_fit_the_folders(headers: dict[str, Dataset]) -> None:
    assert len({str(header.PatientID) for header in headers.values()}) == 208
    assert len({header.SOPInstanceUID for header in headers.values()}) == 260
    films = Counter(str(header.PatientID) for header in headers.values())
    assert 35 <= sum(count > 1 for count in films.values()) <= 55 and set(films.values()) == {1, 2, 3}
    studies: dict[str, set[str]] = {}
    for path, header in headers.items():
        number = path[1:5]
        assert header.PatientID == f"PHANTOM-{number}" and str(header.PatientName) == f"PHANTOM^{number}"
        assert header.ImageComments == header.PatientComments == "phantom, no patient"
        assert header.file_meta.MediaStorageSOPInstanceUID == header.SOPInstanceUID
        studies.setdefault(header.StudyInstanceUID, set()).add(path.rsplit("/", 1)[0])
        for uid in (header.SOPInstanceUID, header.StudyInstanceUID, header.SeriesInstanceUID):
            assert uid.is_valid and uid.startswith("2.25.")
    assert all(len(folders) == 1 for folders in studies.values())
    assert len(studies) == len({path.rsplit("/", 1)[0] for path in headers}) > 208  # some come back later
    assert len(studies) < 260  # and some have two films in one study


def test_the_variety_that_a_reader_must_meet(headers: dict[str, Dataset]) -> None:
    syntaxes = Counter(header.file_meta.TransferSyntaxUID for header in headers.values())
    assert set(syntaxes) == {JPEGLSLossless, RLELossless, ExplicitVRLittleEndian}
    assert syntaxes[JPEGLSLossless] > 200 and min(syntaxes.values()) >= 5
    polarity = Counter(header.PhotometricInterpretation for header in headers.values())
    assert polarity["MONOCHROME1"] >= 30 and set(polarity) == {"MONOCHROME1", "MONOCHROME2"}
    assert 5 <= sum("." not in path for path in headers) <= 20
    size = sum(path.stat().st_size for path in (SAMPLES / "dicom").rglob("*") if path.is_file())
    assert size < 3_000_000


def test_pixels_are_the_phantoms_in_every_syntax_and_polarity(make: ModuleType) -> None:
    wanted: dict[tuple[str, bool], Any] = {}
    for film in make.films():
        wanted.setdefault((film.syntax, film.monochrome1), film)
    assert len(wanted) >= 5
    for film in wanted.values():
        dataset = dcmread(SAMPLES / "dicom" / film.path)
        pixels = dataset.pixel_array
        if dataset.PhotometricInterpretation == "MONOCHROME1":
            pixels = 2**dataset.BitsStored - 1 - pixels
        truth = phantom(film.patient, film.exposure, make.SHAPE)
        assert pixels.shape == make.SHAPE == (96, 80)
        assert np.abs(pixels / 4095.0 - truth).max() <= 0.5 / 4095 + 1e-7


def test_dx_attributes_are_there(headers: dict[str, Dataset]) -> None:
    assert len(TYPE_1) > 25 and len(headers) == 260
    for header in headers.values():
        assert header.SOPClassUID == "1.2.840.10008.5.1.4.1.1.1.1"
        missing = [name for name in TYPE_1 if header.get(name) in (None, "", [])]
        missing += [name for name in TYPE_2 if name not in header]
        assert missing == []
        inverse = header.PhotometricInterpretation == "MONOCHROME1"
        assert header.PresentationLUTShape == ("INVERSE" if inverse else "IDENTITY")
        assert header.PixelIntensityRelationshipSign == (1 if inverse else -1)


def dciodvfy_errors(path: Path) -> list[str]:
    done = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    assert any("DXImageForPresentation" in line for line in lines)
    return [line for line in lines if line.startswith("Error")]


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (Debian: dicom3tools) is absent")
def test_dciodvfy_finds_no_error_and_would_find_one(make: ModuleType, tmp_path: Path) -> None:
    for film in list(make.films())[::9]:
        assert dciodvfy_errors(SAMPLES / "dicom" / film.path) == []
    broken = dcmread(SAMPLES / "dicom" / next(make.films()).path)
    del broken.ImagerPixelSpacing
    broken.save_as(tmp_path / "broken.dcm")
    assert dciodvfy_errors(tmp_path / "broken.dcm") != []
