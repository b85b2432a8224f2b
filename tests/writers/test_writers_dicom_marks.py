"""Each mark, taken away or changed, is missed, in words that hold no value of the file."""

import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian

from medaudit.writers.dicom import SOP_CLASSES, DicomWriter, Facts
from medaudit.writers.dicom_marks import _MARKS, unmarked

RELEASE = "r" * 64


@pytest.fixture(params=list(SOP_CLASSES))
def path(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    facts = Facts(RELEASE, "m" * 64, "0.1.0", request.param)
    DicomWriter(facts, (9, 8)).write(tmp_path / "x.dcm", np.zeros((9, 8), np.uint8), 3, "AP")
    assert unmarked(tmp_path / "x.dcm", RELEASE, 3) is None
    return tmp_path / "x.dcm"


def test_every_mark_that_is_taken_away_or_changed_is_missed(path: Path) -> None:
    assert len(_MARKS) >= 14
    for keyword, _, said in _MARKS:
        dataset = pydicom.dcmread(path)
        if keyword != "PatientBirthDate":  # which is there, and empty
            del dataset[keyword]
            dataset.save_as(path.with_suffix(".gone"))
            assert unmarked(path.with_suffix(".gone"), RELEASE, 3) == said
        dataset = pydicom.dcmread(path)
        if keyword == "ContributingEquipmentSequence":
            dataset[keyword].value = []
        else:
            setattr(dataset, keyword, "19610213" if keyword == "PatientBirthDate" else "ANNA")
        dataset.save_as(path.with_suffix(".changed"))
        assert unmarked(path.with_suffix(".changed"), RELEASE, 3) == said


def test_a_mark_on_letters_that_is_not_the_certificate_s(tmp_path: Path) -> None:
    writer = DicomWriter(Facts(RELEASE, "m" * 64, "0.1.0"), (9, 8))
    for index, has_text in (
        (1, True),
        (2, False),
        (3, True),
        (4, False),
    ):  # the second of each is like the first
        path = tmp_path / f"{index}.dcm"
        writer.write(path, np.zeros((9, 8), np.uint8), index, "AP", has_text)
        said, other = ("YES", "NO") if has_text else ("NO", "YES")
        for _ in range(2):
            assert unmarked(path, RELEASE, index, said) is None
            assert "otherwise than the certificate" in str(unmarked(path, RELEASE, index, other))


def test_strangers_are_seen_at_any_depth(path: Path) -> None:
    for where in ("top", "inside", "private"):
        dataset = pydicom.dcmread(path)
        if where == "top":
            dataset.OtherPatientIDs = "MRN-4711"
        elif where == "inside":
            dataset.ContributingEquipmentSequence[0].InstitutionName = "MRN-4711"
        else:
            dataset.private_block(0x0011, "WARD", create=True).add_new(1, "LO", "MRN-4711")
        dataset.save_as(path.with_suffix(".odd"))
        assert (
            unmarked(path.with_suffix(".odd"), RELEASE, 3)
            == "carries an attribute that medaudit does not write"
        )
    dataset = pydicom.dcmread(path)
    dataset.ContributingEquipmentSequence[0].InstitutionName = "MRN-4711"
    dataset["ContributingEquipmentSequence"].is_undefined_length = True  # read as items, not as bytes
    dataset.save_as(path.with_suffix(".odd"))
    assert (
        unmarked(path.with_suffix(".odd"), RELEASE, 3) == "carries an attribute that medaudit does not write"
    )


def test_another_way_of_writing_is_not_ours(path: Path) -> None:
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    dataset.save_as(path.with_suffix(".implicit"), implicit_vr=True, little_endian=True)
    assert "transfer syntax" in str(unmarked(path.with_suffix(".implicit"), RELEASE, 3))


def test_nonsense_is_no_dicom(path: Path) -> None:
    whole = path.read_bytes()
    for content in (b"", b"DICM", b"\0" * 200, whole[:140], whole[:400], whole[132:]):
        path.write_bytes(content)
        assert unmarked(path, RELEASE, 3) is not None


def test_a_header_like_one_that_was_in_order_is_in_order_and_no_other_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from medaudit.writers import dicom_marks

    looked: list[Path] = []
    slowly = dicom_marks._looked_at
    monkeypatch.setattr(dicom_marks, "_in_order", set())
    monkeypatch.setattr(
        dicom_marks, "_looked_at", lambda path, *rest: (looked.append(path), slowly(path, *rest))[1]
    )
    writer = DicomWriter(Facts(RELEASE, "m" * 64, "0.1.0"), (9, 8))
    paths = {index: tmp_path / f"{index}.dcm" for index in (1, 2, 3, 99, 1_000_000)}
    for index, path in paths.items():
        writer.write(path, np.full((9, 8), index % 200, np.uint8), index, "AP" if index != 3 else "PA")
        assert unmarked(path, RELEASE, index) is None
    assert looked == [paths[1], paths[3]]  # one of each view
    whole = paths[2].read_bytes()
    header = len(whole) - 9 * 8 * 2
    for place in range(128, header):
        changed = bytearray(whole)
        changed[place] ^= 1
        paths[2].write_bytes(changed)
        before = len(looked)
        unmarked(paths[2], RELEASE, 2)
        assert len(looked) == before + 1 or place in range(140, 144), place
    for index in (1, 3):
        paths[2].write_bytes(whole)
        assert unmarked(paths[2], RELEASE, index) == "belongs to another release or another place in it"
    paths[2].write_bytes(whole + b"\x10\x00\x20\x00LO\x04\x00ANNA")  # an attribute after the pixels
    before = len(looked)
    unmarked(paths[2], RELEASE, 2)
    assert len(looked) == before + 1


def test_a_deflated_file_is_not_unfolded(path: Path) -> None:
    """300 MB in a file of 300 kB, as a hostile sender may put it into a release."""
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.save_as(path.with_suffix(".bomb"))
    data = path.with_suffix(".bomb").read_bytes()
    start = 144 + int.from_bytes(data[140:144], "little")
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    inner = zlib.decompress(data[start:], -zlib.MAX_WBITS)
    path.write_bytes(
        data[:start] + packer.compress(inner) + packer.compress(bytes(300 << 20)) + packer.flush()
    )
    tracemalloc.start()
    assert unmarked(path, RELEASE, 3) == "is not in a transfer syntax that medaudit writes"
    assert tracemalloc.get_traced_memory()[1] < 10 << 20
    tracemalloc.stop()
