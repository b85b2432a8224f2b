"""inspect: what is there, what was guessed, what cannot be read, and nothing written."""

from pathlib import Path

import numpy as np
import pytest
from pydicom.data import get_testdata_file
from reader_files import ramp, tree_bytes, write_dicom, write_png

from medaudit.errors import LayoutUnknown, SourceMissing
from medaudit.readers import refusals
from medaudit.stages import inspect


def test_a_pacs_export(tmp_path: Path) -> None:
    for i in range(9):
        view = "PA" if i % 3 else "LL"
        photometric = "MONOCHROME1" if i < 4 else "MONOCHROME2"
        tags = {"ViewPosition": view, "PhotometricInterpretation": photometric}
        write_dicom(
            tmp_path / f"a/f{i}",
            ramp(20 + i, 14),
            bits=12 if i < 6 else 10,
            PatientID=f"MRN-{i // 4}",
            **tags,
        )
    write_dicom(tmp_path / "a/ct", Modality="CT")
    write_dicom(tmp_path / "a/none", PixelData=None)
    (tmp_path / "a/report.txt").write_text("words")
    before = tree_bytes(tmp_path)
    outcome = inspect.run(tmp_path)
    data = outcome.data
    assert data["layout"] == "dicom" and (data["films"], data["readable"]) == (11, 9)
    assert data["refused"] == {refusals.NO_PIXELS: 1, refusals.OTHER_MODALITY: 1}
    assert data["views"] == {"PA": 6, "LATERAL": 3}
    assert data["polarities"] == {"MONOCHROME1": 4, "MONOCHROME2": 5}
    assert data["codings"] == {"Explicit VR Little Endian, 10 bit": 3, "Explicit VR Little Endian, 12 bit": 6}
    assert data["decodes"] == dict.fromkeys(data["codings"], "decoded")
    expected = {"patients": 3, "fewest": 1, "median": 4, "most": 4, "with_several": 2}
    assert data["films_per_patient"] == expected
    assert (data["smallest_short_side"], data["largest_short_side"], data["longest_side"]) == (14, 14, 28)
    assert data["ignored"] == {".txt": 1}
    text = "\n".join(outcome.lines)
    assert "9 of 11 readable by their headers, 2 refused: 1 no pixels, 1 not a radiograph" in text
    assert "3 (1 to 4 images each, median 4; 2 with more than one)" in text
    assert "MRN" not in text + str(data) and "f0" not in text
    assert tree_bytes(tmp_path) == before


def test_a_coding_that_cannot_be_decoded_is_told_beforehand(tmp_path: Path) -> None:
    source = Path(str(get_testdata_file("JPEG-lossy.dcm", download=False)))
    import pydicom

    ds = pydicom.dcmread(source)
    ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.1"
    ds.Modality = "CR"
    ds.save_as(tmp_path / "x.dcm")
    write_dicom(tmp_path / "y.dcm")
    data = inspect.run(tmp_path).data
    assert data["decodes"]["JPEG Extended (Process 2 and 4), 12 bit"] == refusals.JPEG_12_BIT
    assert data["decodes"]["Explicit VR Little Endian, 12 bit"] == "decoded"


def test_pictures_without_patients(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png")
    write_png(tmp_path / "b.png", bits=16)
    outcome = inspect.run(tmp_path)
    assert outcome.data["formats"] == {"PNG": 2}
    assert "patients: none named" in outcome.lines
    assert any("2 of 2 images name no patient" in warning for warning in outcome.data["warnings"])


def test_an_npz(tmp_path: Path) -> None:
    films = np.random.Generator(np.random.Philox(1)).integers(0, 255, (5, 6, 9)).astype(np.uint8)
    np.savez(tmp_path / "x.npz", train_images=films[:3], test_images=films[3:])
    data = inspect.run(tmp_path / "x.npz").data
    assert data["layout"] == "medmnist" and data["films"] == 5
    assert data["splits"] == {"test": 2, "train": 3}
    assert data["longest_side"] == 9


def test_headers_read_by_two_processes_count_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from medaudit.readers import survey

    monkeypatch.setattr(survey, "_SERIAL_BELOW", 2)
    monkeypatch.setattr(survey, "_CHUNK", 4)
    for i in range(11):
        write_dicom(tmp_path / f"f{i}", ramp(salt=i), PatientID=f"M{i // 2}")
    (tmp_path / "words").write_text("words")
    assert inspect.run(tmp_path, workers=2).data == inspect.run(tmp_path, workers=1).data


def test_errors(tmp_path: Path) -> None:
    with pytest.raises(SourceMissing):
        inspect.run(tmp_path / "none")
    with pytest.raises(LayoutUnknown, match="chexpert"):
        inspect.run(tmp_path, layout="chekspert")


@pytest.mark.real
def test_real_folders(real_data: Path) -> None:
    data = inspect.run(real_data / "nih64").data
    assert data["layout"] == "metadata" and data["readable"] == 394
    assert data["films_per_patient"]["patients"] == 117 and data["films_per_patient"]["with_several"] == 64
