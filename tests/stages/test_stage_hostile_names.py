"""Hostile text in every field of every DICOM file and in the names of files and folders, from films to a release.

Markup, templates, commands, cells that a spreadsheet runs, right-to-left marks, terminal orders, texts of 60,000
letters and bytes that are no text: nothing breaks, nothing of it runs, and what goes out holds none of it.
"""

import json
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
import yaml
from audit_parts import QUICK, film
from pydicom import Dataset
from pydicom.datadict import dictionary_VR
from reader_files import dataset

from medaudit.artifacts.cohort import open_cohort
from medaudit.artifacts.identities import read_identities
from medaudit.cli.app import run

MARK = "pwned4711"
EVIL = f'</script><script>{MARK}()</script>{{{{7*7}}}}#image("x")$({MARK})=cmd|{MARK}\'\u202e\x1b[2J שלום'
NAMES = (
    f"<img src=x onerror={MARK}>",
    f"\u202e{MARK}\u2066שלום",
    f"{MARK}\x1b[2J\x07",
    f"={MARK}|cmd",
    f"{MARK}\nline",
    f"$({MARK})`{MARK}`;{MARK}",
    MARK * 20,
    f"-{MARK}",
)
KEYWORDS = (
    "PatientName", "PatientComments", "OtherPatientNames", "PatientAddress", "StudyDescription", "SeriesDescription",
    "InstitutionName", "InstitutionAddress", "InstitutionalDepartmentName", "Manufacturer", "ManufacturerModelName",
    "StationName", "ReferringPhysicianName", "PerformingPhysicianName", "OperatorsName", "ProtocolName",
    "BodyPartExamined", "ImageComments", "DerivationDescription", "AccessionNumber", "StudyID", "DeviceSerialNumber",
    "SoftwareVersions", "AcquisitionDeviceProcessingDescription", "RequestedProcedureDescription", "ImageLaterality",
    "ViewPosition", "PatientOrientation", "PatientSex", "PatientAge",
)  # fmt: skip


def write(path: Path, image: np.ndarray, person: int, exposure: int = 0) -> None:
    """A CR file whose every text is hostile, at a path that need not be text."""
    plain = EVIL.encode("ascii", errors="replace").decode()  # where the standard allows no other letters
    tags = {
        keyword: f"{plain if dictionary_VR(keyword) in ('CS', 'AS') else EVIL}{person}"
        for keyword in KEYWORDS
    }
    tags["PatientComments"] = EVIL * 600
    made: Dataset = dataset(
        np.round(image * 4095).astype(np.int32), SpecificCharacterSet="ISO_IR 192", **tags
    )
    made.PatientID = f"{EVIL}{person}"
    made.StudyInstanceUID = f"1.2.3.{person}"
    made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = f"1.2.4.{person}.{exposure}"
    path.parent.mkdir(parents=True, exist_ok=True)
    made.save_as(path, enforce_file_format=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """films: 120 people, some twice; made: 24 strangers and two near-copies of training films."""
    folder = tmp_path_factory.mktemp("hostile")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom says that these values break the standard
        for person in range(120):
            for exposure in range(2 if person % 3 == 0 else 1):
                name = NAMES[person % len(NAMES)] + (os.fsdecode(b"\xff") if person % 5 == 0 else "")
                place = folder / "films" / name / f"{person}.{exposure}{name}.dcm"
                write(place, film(person, exposure), person, exposure)
        for person in range(900, 924):
            write(folder / "made" / f"{NAMES[person % 8]}{person}.dcm", film(person), person)
    settings = {key: list(value) if isinstance(value, tuple) else value for key, value in QUICK.items()}
    (folder / "quick.yaml").write_text(yaml.safe_dump(settings))
    return folder


@pytest.mark.slow
def test_from_films_to_a_release(
    site: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(site)
    said = ""

    def call(*arguments: str, code: int = 0) -> None:
        nonlocal said
        found = run([*arguments, "-q"] if arguments[0] != "inspect" else list(arguments))
        out, err = capsys.readouterr()
        said += out + err
        assert found == code, out + err

    both = ("--train", "T", "--holdout", "H")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        call("inspect", "films")
        call("ingest", "films", "--out", "all", "--size", "32")
    call("split", "all", *both)
    train = open_cohort(Path("T"))
    assert len(train.in_use) >= 60 and len(set(train.rows.column("patient").to_pylist())) == 60
    known = {name: original for _, name, original in read_identities(Path("medaudit.identities.jsonl"))}
    names = [known[name] for name in train.rows.column("file").to_pylist()]
    people = [int(name.split("/")[-1].split(".")[0]) for name in names]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for place, person in enumerate(dict.fromkeys(people)):
            if place < 2:
                copied = np.clip(film(person) ** 1.1, 0, 1)
                write(Path("made", f"{EVIL.replace('/', '_')[:60]}{place}.dcm"), copied, 950 + place)
        call("ingest", "made", "--origin", "synthetic", "--out", "S", "--size", "32")
    call("audit", *both, "--synthetic", "S", "--config", "quick.yaml", "--out", "A", code=10)
    call("report", "A", "--out", "R", *(part for name in "THS" for part in ("--cohort", name)))
    call("report", "A", "--out", "inside", "--edition", "confidential", "--train", "T", "--synthetic", "S")
    call("review", "A", "--train", "T", "--synthetic", "S")
    call(
        "release",
        "--synthetic",
        "S",
        "--audit",
        "A",
        "--out",
        "D",
        "--withhold-flagged",
        *both,
        "--text",
        "off",
    )
    call("verify", "D")
    assert "withheld 2" in said
    assert all(letter.isprintable() or letter == "\n" for letter in said) and MARK not in said
    for folder in ("R", "D", "A", "A.review", "inside"):
        files = [path for path in Path(folder).rglob("*") if path.is_file()]
        assert len(files) >= 3
        for path in files:
            data = path.read_bytes()
            if folder in ("R", "D"):
                assert MARK.encode() not in data, path
            assert b"<script>" + MARK.encode() not in data, path
    assert json.loads((site / "R" / "report.json").read_text())["verdict"] == "do-not-release"
