"""DICOM files: bit-exact at 12 bits, the same bytes each time, marked, and in order for an outside validator."""

import hashlib
import shutil
import subprocess
import uuid
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medaudit.errors import UsageProblem
from medaudit.images.phantom import phantom
from medaudit.writers.dicom import (
    IMPLEMENTATION_UID,
    NOTICE,
    SOP_CLASSES,
    SYNTAXES,
    DicomWriter,
    Facts,
    instance_uid,
    twelve_bits,
)
from medaudit.writers.dicom_marks import unmarked

SHAPE = (41, 34)  # (Y, X)
VIEWS = ("PA", "AP", "LATERAL", None)


def facts(**changes: object) -> Facts:
    return Facts(**{"release_id": "r" * 64, "model_id": "m" * 64, "version": "0.1.0", **changes})  # type: ignore[arg-type]


def image(dtype: type = np.uint16, seed: int = 0) -> np.ndarray:
    found = np.random.default_rng(seed).integers(0, np.iinfo(dtype).max + 1, SHAPE).astype(dtype)
    found[0, 0], found[0, 1] = 0, np.iinfo(dtype).max
    return found


@pytest.mark.parametrize("syntax", list(SYNTAXES))
@pytest.mark.parametrize("modality", list(SOP_CLASSES))
def test_pixels_come_back_bit_for_bit(tmp_path: Path, modality: str, syntax: str) -> None:
    path = tmp_path / "one.dcm"
    for dtype in (np.uint8, np.uint16):
        DicomWriter(facts(modality=modality, transfer_syntax=syntax), SHAPE).write(
            path, image(dtype), 3, "PA"
        )
        found = pydicom.dcmread(path)
        assert found.file_meta.TransferSyntaxUID == SYNTAXES[syntax]
        assert found.SOPClassUID == SOP_CLASSES[modality] == found.file_meta.MediaStorageSOPClassUID
        assert np.array_equal(found.pixel_array, twelve_bits(image(dtype)))
        assert found.pixel_array.max() == 4095 and found.pixel_array.min() == 0
        assert unmarked(path, "r" * 64, 3) is None


@given(st.integers(0, 65535))
def test_scaling_to_twelve_bits_is_rounding(value: int) -> None:
    assert twelve_bits(np.array([[value]], dtype=np.uint16))[0, 0] == int(value * 4095 / 65535 + 0.5)
    small = value % 256
    stored = int(twelve_bits(np.array([[small]], dtype=np.uint8))[0, 0])
    assert stored == int(small * 4095 / 255 + 0.5)
    assert round(stored * 255 / 4095) == small  # nothing of 8 bits is lost


def test_scaling_keeps_order_and_refuses_other_types() -> None:
    every = np.arange(65536, dtype=np.uint16)[None]
    stored = twelve_bits(every)[0].astype(int)
    assert stored[0] == 0 and stored[-1] == 4095 and set(np.diff(stored)) == {0, 1}
    for wrong in (np.float32, np.int16, np.uint32):
        with pytest.raises(ValueError):
            twelve_bits(np.zeros((2, 3), dtype=wrong))


@settings(max_examples=50)
@given(st.text("0123456789abcdef", max_size=64), st.integers(1, 10**9))
def test_uids_are_valid_and_follow_from_their_inputs(release_id: str, index: int) -> None:
    uid = instance_uid(release_id, index)
    assert uid == instance_uid(release_id, index) and uid.is_valid and len(uid) <= 64
    assert len({uid, instance_uid(release_id, index + 1), instance_uid(release_id, index, "study")}) == 3
    assert uuid.UUID(int=int(uid.removeprefix("2.25."))).version == 8
    digest = hashlib.sha256(f"{release_id}\x1f{index}\x1fimage".encode()).hexdigest()
    found = f"{int(uid.removeprefix('2.25.')):032x}"
    assert found[:12] == digest[:12] and found[13:16] == digest[13:16] and found[17:] == digest[17:32]


def test_a_known_uid_stays_what_it_is() -> None:
    # printed by this function when it was written; released files elsewhere bear UIDs made so
    assert instance_uid("abc", 6) == "2.25.63193007673881543091536833546498547515"
    assert instance_uid("medaudit", 0, "implementation") == IMPLEMENTATION_UID


def test_same_input_same_bytes_whatever_was_written_before(tmp_path: Path) -> None:
    for syntax in SYNTAXES:
        one, two = (DicomWriter(facts(transfer_syntax=syntax), SHAPE) for _ in range(2))
        for index, view in enumerate(VIEWS, start=1):
            one.write(tmp_path / f"a{index}", image(seed=index), index, view)
        for index, view in reversed(list(enumerate(VIEWS, start=1))):
            two.write(tmp_path / f"b{index}", image(seed=index), index, view)
            assert (tmp_path / f"a{index}").read_bytes() == (tmp_path / f"b{index}").read_bytes()


@pytest.mark.parametrize("modality", list(SOP_CLASSES))
def test_every_mark_of_the_table_is_there(tmp_path: Path, modality: str) -> None:
    DicomWriter(facts(modality=modality), SHAPE).write(tmp_path / "x", image(), 12, "AP")
    found = pydicom.dcmread(tmp_path / "x")
    assert found[0x0008001C].VR == "CS" and found[0x0008001C].value == "YES"
    assert list(found.ImageType) == ["DERIVED", "SECONDARY" if modality == "SC" else "PRIMARY"]
    assert NOTICE in found.SeriesDescription and NOTICE in found.DerivationDescription
    assert "model mmmm" in found.DerivationDescription
    assert found.PatientName == "SYNTHETIC^000012" and found.PatientID == "SYN-000012"
    assert found.PatientBirthDate == found.PatientSex == found.StudyDate == found.StudyTime == ""
    assert found.PatientIdentityRemoved == "YES"
    assert found.DeidentificationMethod == "Generated; no source patient"
    assert found.BurnedInAnnotation == "YES"  # no text pass was made
    assert found.RecognizableVisualFeatures == "NO" and found.LossyImageCompression == "00"
    equipment = found.ContributingEquipmentSequence[0]
    assert equipment.PurposeOfReferenceCodeSequence[0].CodeValue == "109102"
    assert equipment.Manufacturer == "medaudit" and "m" * 64 in equipment.ContributionDescription
    assert (found.BitsAllocated, found.BitsStored, found.HighBit, found.PixelRepresentation) == (
        16,
        12,
        11,
        0,
    )
    assert (found.RescaleSlope, found.RescaleIntercept, found.RescaleType) == (1, 0, "US")
    assert (found.WindowCenter, found.WindowWidth) == (2048, 4096)
    assert found.PhotometricInterpretation == "MONOCHROME2" and found.PresentationLUTShape == "IDENTITY"
    assert found.file_meta.ImplementationClassUID == IMPLEMENTATION_UID
    if modality == "DX":
        assert found.AnatomicRegionSequence[0].CodeValue == "816094009"
        assert found.ViewCodeSequence[0].CodeValue == "399348003"
        assert [float(v) for v in found.ImagerPixelSpacing] == pytest.approx([430 / 41] * 2, abs=1e-6)


def test_the_full_window_shows_the_stored_values(tmp_path: Path) -> None:
    DicomWriter(facts(), SHAPE).write(tmp_path / "x", image(), 1)
    found = pydicom.dcmread(tmp_path / "x")
    shown = pydicom.pixels.apply_voi_lut(found.pixel_array, found)
    assert np.allclose(shown, found.pixel_array)


def test_options(tmp_path: Path) -> None:
    DicomWriter(facts(date="20250131", model_id=""), SHAPE).write(tmp_path / "x", image(), 1, has_text=False)
    found = pydicom.dcmread(tmp_path / "x")
    assert found.StudyDate == "20250131" and found.BurnedInAnnotation == "NO"
    assert "not named" in found.ContributingEquipmentSequence[0].ContributionDescription
    assert "ViewCodeSequence" not in found
    with pytest.raises(ValueError):
        DicomWriter(facts(modality="MG"), SHAPE)
    with pytest.raises(UsageProblem):
        DicomWriter(facts(transfer_syntax="jpeg-2000"), (64, 31))
    with pytest.raises(ValueError):
        DicomWriter(facts(), (34, 41)).write(tmp_path / "y", image(), 1)


def test_what_is_wrong_is_said_without_saying_the_value(tmp_path: Path) -> None:
    path = tmp_path / "x.dcm"
    DicomWriter(facts(), SHAPE).write(path, image(), 5, "PA")
    assert unmarked(path, "r" * 64, 5) is None
    assert "another" in str(unmarked(path, "r" * 64, 6)) and "another" in str(unmarked(path, "q" * 64, 5))
    whole = path.read_bytes()
    path.write_bytes(whole[:200])
    assert unmarked(path, "r" * 64, 5) is not None
    found = pydicom.dcmread(shutil.copy(write(tmp_path / "y.dcm"), tmp_path / "z.dcm"))
    found.OtherPatientIDs = "MRN-4711"
    found.save_as(path)
    message = unmarked(path, "r" * 64, 1)
    assert message and "4711" not in message


def write(path: Path, **changes: object) -> Path:
    DicomWriter(facts(**changes), SHAPE).write(path, image(), 1, "PA")
    return path


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (dicom3tools) is not installed")
@pytest.mark.parametrize("modality", list(SOP_CLASSES))
def test_dciodvfy_finds_no_error(tmp_path: Path, modality: str) -> None:
    looked_at = 0
    for view in VIEWS:
        for date in ("", "20250131"):
            path = tmp_path / f"{view}{date}.dcm"
            DicomWriter(facts(modality=modality, date=date), SHAPE).write(path, image(), 1, view)
            assert dciodvfy_errors(path, modality) == []
            looked_at += 1
    assert looked_at == 8


def dciodvfy_errors(path: Path, modality: str) -> list[str]:
    done = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
    said = (done.stdout + done.stderr).splitlines()
    assert any(line.startswith(f"{modality}Image") for line in said)
    # dciodvfy of 2022 does not know SyntheticData (0008,001C), which came to the standard in 2023
    return [line for line in said if line.startswith("Error") and "(0x0008,0x001c)" not in line]


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (dicom3tools) is not installed")
@pytest.mark.parametrize("syntax", list(SYNTAXES))
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_dciodvfy_finds_no_error_at_512_pixels_in_any_syntax(
    tmp_path: Path, syntax: str, dtype: type
) -> None:
    large = np.round(phantom(7, 0, (512, 416)) * np.iinfo(dtype).max).astype(dtype)
    for modality in SOP_CLASSES:
        written = DicomWriter(facts(modality=modality, transfer_syntax=syntax), large.shape)
        written.write(tmp_path / "x.dcm", large, 1, "PA", has_text=False)
        assert dciodvfy_errors(tmp_path / "x.dcm", modality) == []


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (dicom3tools) is not installed")
def test_dciodvfy_would_have_found_an_error(tmp_path: Path) -> None:
    found = pydicom.dcmread(write(tmp_path / "x.dcm"))
    del found.PixelIntensityRelationshipSign
    found.save_as(tmp_path / "x.dcm")
    done = subprocess.run(["dciodvfy", str(tmp_path / "x.dcm")], capture_output=True, text=True, check=False)
    assert "PixelIntensityRelationshipSign" in done.stdout + done.stderr


@pytest.mark.skipif(shutil.which("dcm2pnm") is None, reason="dcm2pnm (dcmtk) is not installed")
@pytest.mark.parametrize("modality", list(SOP_CLASSES))
def test_dcmtk_shows_what_was_written(tmp_path: Path, modality: str) -> None:
    from PIL import Image

    large = np.round(phantom(7, 0, (512, 416)) * 65535).astype(np.uint16)
    for pixels in (image(), image(np.uint8), large):
        DicomWriter(facts(modality=modality), pixels.shape).write(tmp_path / "x.dcm", pixels, 1, "PA")
        asked = ["dcm2pnm", "--write-png", "+Wi", "1", str(tmp_path / "x.dcm"), str(tmp_path / "x.png")]
        subprocess.run(asked, check=True)
        with Image.open(tmp_path / "x.png") as shown:
            difference = np.asarray(shown).astype(float) - twelve_bits(pixels) * (255 / 4095)
        assert np.abs(difference).max() < 1  # dcmtk rounds down


@pytest.mark.parametrize("modality", list(SOP_CLASSES))
def test_native_files_are_what_pydicom_would_have_written(tmp_path: Path, modality: str) -> None:
    writer = DicomWriter(facts(modality=modality, date="20250131"), SHAPE)
    for index in (1, 2, 77, 4711, 999_999, 1_000_000):
        for view in VIEWS:
            for has_text in (None, False, True):
                writer.write(tmp_path / "fast", image(seed=index), index, view, has_text)
                slow = DicomWriter(facts(modality=modality, date="20250131"), SHAPE)
                slow._dataset(image(seed=index), index, view, has_text).save_as(
                    tmp_path / "slow", enforce_file_format=True
                )
                assert (tmp_path / "fast").read_bytes() == (tmp_path / "slow").read_bytes()
