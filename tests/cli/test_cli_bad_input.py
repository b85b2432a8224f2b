"""Bad input through the front door: one line that says what and what to do, the right exit code, nothing half-written.

`pytest tests/cli/test_cli_bad_input.py -rP` prints every refusal with its message.
"""

import csv
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from film_folders import films
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid

from medaudit.artifacts.store import open_artifact
from medaudit.cli.app import run
from medaudit.readers import refusals

Maker = Callable[[Path], None]
RNG = np.random.Generator(np.random.Philox(5))


def dicom(**changes: object) -> pydicom.Dataset:
    """A small valid CR file, changed as told; None deletes an attribute."""
    ds = pydicom.Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
    ds.SOPClassUID = ComputedRadiographyImageStorage
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    ds.PatientID, ds.PatientName, ds.StudyInstanceUID, ds.Modality = (
        "SECRET-1",
        "DOE^JANE",
        generate_uid(),
        "CR",
    )
    ds.Rows, ds.Columns, ds.BitsAllocated, ds.BitsStored, ds.HighBit = 20, 16, 16, 12, 11
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", 0
    ds.PixelData = RNG.integers(0, 4096, (20, 16)).astype("<u2").tobytes()
    for name, value in changes.items():
        if value is None:
            delattr(ds, name)
        else:
            setattr(ds, name, value)
    if "SOPClassUID" in changes:
        ds.file_meta.MediaStorageSOPClassUID = UID(str(changes["SOPClassUID"]))
    return ds


def saved(**changes: object) -> Maker:
    return lambda path: dicom(**changes).save_as(path, enforce_file_format=True)


def truncated(path: Path) -> None:
    saved()(path)
    path.write_bytes(path.read_bytes()[:-200])


def unreadable(path: Path) -> None:
    saved()(path)
    path.chmod(0)


def colour_pixels() -> bytes:
    return RNG.integers(0, 256, (20, 16, 3)).astype("u1").tobytes()


BAD_FILES: dict[str, Maker] = {
    "truncated DICOM": truncated,
    "DICOM without pixels": saved(PixelData=None),
    "colour": saved(
        SamplesPerPixel=3, PhotometricInterpretation="RGB", PlanarConfiguration=0, BitsAllocated=8, BitsStored=8,
        HighBit=7, PixelData=colour_pixels(),
    ),
    "multi-frame": saved(
        NumberOfFrames=3, PixelData=RNG.integers(0, 4096, (3, 20, 16)).astype("<u2").tobytes()
    ),
    "SR": saved(SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11", Modality="SR", PixelData=None),
    "zero-byte": lambda path: path.write_bytes(b"") and None,
    "text named .dcm": lambda path: path.write_text("not a film\n" * 40) and None,
    "decompression bomb": saved(Rows=60000, Columns=60000),
    "constant image": saved(PixelData=np.full((20, 16), 7, "<u2").tobytes()),
    "unreadable permissions": unreadable,
}  # fmt: skip


def no_leftovers(folder: Path, allowed: set[str]) -> None:
    """Nothing but what is allowed stands in the folder: no output, no hidden part of one."""
    assert {p.name for p in folder.iterdir()} - allowed == set()


def call(arguments: list[str], as_plain_user: bool = False) -> tuple[int, str]:
    """Run in a process of its own; `as_plain_user` gives up root's right to read everything."""
    command = [sys.executable, "-m", "medaudit.cli.app", *arguments, "--quiet"]
    if as_plain_user and os.geteuid() == 0:
        drop = "-dac_override,-dac_read_search"
        if shutil.which("setpriv") is None:
            pytest.skip("setpriv is absent: root reads everything")
        command = ["setpriv", f"--bounding-set={drop}", f"--inh-caps={drop}", *command]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


@pytest.mark.parametrize("name", sorted(BAD_FILES))
def test_a_bad_file_alone_stops_the_run_with_its_reason(name: str, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    BAD_FILES[name](source / "film.dcm")
    code, err = call(
        ["ingest", str(source), "--out", str(tmp_path / "C"), "--key", str(tmp_path / "site.key")],
        as_plain_user=name == "unreadable permissions",
    )
    print(f"{name}: exit {code}: {err.strip()}")
    assert code == 2
    assert err.startswith("NothingReadable: ") and err.count("\n") == 1
    assert "SECRET" not in err and "DOE" not in err and "film.dcm" not in err
    no_leftovers(tmp_path, {"source", "site.key"})


def test_bad_files_beside_good_ones_are_named_and_counted(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for number in range(3):
        saved(PatientID=f"SECRET-{number}")(source / f"good{number}.dcm")
    shutil.copy(source / "good0.dcm", source / "zz-copy.dcm")
    for number, name in enumerate(sorted(set(BAD_FILES) - {"unreadable permissions"})):
        BAD_FILES[name](source / f"bad{number}.dcm")
    ingest = ["ingest", str(source), "--out", str(tmp_path / "C"), "--key", str(tmp_path / "k.key"), "-q"]
    assert run([*ingest, "--accept-refused", "--refused-csv", str(tmp_path / "refused.csv")]) == 0
    manifest = open_artifact(tmp_path / "C", "cohort").manifest
    assert manifest["rows"] == 3
    with (tmp_path / "refused.csv").open(newline="") as stream:
        refused = {row["file"]: row["reason"] for row in csv.DictReader(stream)}
    assert sorted(refused.values()) == sorted(reason for _, reason in manifest["refused"]["files"])
    assert set(refused) == {f"bad{n}.dcm" for n in range(len(BAD_FILES) - 1)} | {"zz-copy.dcm"}
    assert set(refused.values()) <= set(refusals.REASONS)
    assert len(set(refused.values())) >= 8
    assert sum(manifest["refused"]["counts"].values()) == len(refused)


def test_nan_in_npz(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = RNG.random((4, 12, 10)).astype(np.float32)
    images[2, 3, 3] = np.nan
    np.savez(tmp_path / "films.npz", images=images, patient_id=np.array(["a", "b", "c", "d"]))
    arguments = ["ingest", str(tmp_path / "films.npz"), "--out", str(tmp_path / "C"), "-q"]
    assert run([*arguments, "--accept-refused"]) == 0
    manifest = open_artifact(tmp_path / "C", "cohort").manifest
    assert manifest["rows"] == 3 and len(manifest["refused"]["files"]) == 1
    np.savez(tmp_path / "films.npz", images=np.full((2, 12, 10), np.nan, np.float32))
    assert run([*arguments[:2], "--out", str(tmp_path / "C2"), "-q"]) == 2
    assert capsys.readouterr().err.startswith("NothingReadable: ")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cohorts all, T, H, S (16 px), small (12 px), and a model folder with a pickle."""
    base = tmp_path_factory.mktemp("site")
    films(base / "films", 30)
    films(base / "fake", 5, start=100)
    films(base / "fake12", 5, shape=(12, 12), start=100)
    key = ["--key", str(base / "site.key"), "-q"]
    assert run(["ingest", str(base / "films"), "--out", str(base / "all"), *key]) == 0
    assert (
        run(["split", str(base / "all"), "--train", str(base / "T"), "--holdout", str(base / "H"), "-q"]) == 0
    )
    for source, name in (("fake", "S"), ("fake12", "small")):
        assert (
            run(["ingest", str(base / source), "--origin", "synthetic", "--out", str(base / name), *key]) == 0
        )
    (base / "pickled").mkdir()
    (base / "pickled" / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    (base / "pickled" / "config.json").write_text("{}")
    return base


AUDIT = ["audit", "--train", "T", "--holdout", "H", "--synthetic", "S"]
CASES: dict[str, tuple[list[str], int, str]] = {
    "patient in both splits": (
        ["audit", "--train", "T", "--holdout", "all", "--synthetic", "S"], 1, "PatientInBothSplits",
    ),
    "H missing": (["audit", "--train", "T", "--holdout", "nowhere", "--synthetic", "S"], 2, "ArtifactKindMismatch"),
    "no H given": (["audit", "--train", "T", "--synthetic", "S"], 2, "UsageProblem"),
    "T and H swapped": (["audit", "--train", "H", "--holdout", "T", "--synthetic", "S"], 1, "CohortMismatch"),
    "cohorts of different size": (
        ["audit", "--train", "T", "--holdout", "H", "--synthetic", "small"], 1, "CohortMismatch",
    ),
    "unsupported device": ([*AUDIT, "--device", "cuda:7"], 2, "DeviceUnavailable"),
    "unknown device": ([*AUDIT, "--device", "abacus"], 2, "DeviceUnavailable"),
    "unknown config key": (["train", "--cohort", "T", "--config", "bad.yaml"], 2, "ConfigProblem"),
    "config missing": (["train", "--cohort", "T", "--config", "none.yaml"], 2, "SourceMissing"),
    "model with a pickle": (["generate", "--model", "pickled", "--count", "4"], 1, "ModelUnsafe"),
    "not an artifact": (["split", "films", "--train", "X", "--holdout", "Y"], 2, "ArtifactKindMismatch"),
    "source missing": (["ingest", "nowhere"], 2, "SourceMissing"),
    "empty folder": (["ingest", "empty"], 2, "LayoutUnknown"),
    "output taken": (["ingest", "films", "--out", "T"], 2, "OutputExists"),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(CASES))
def test_one_line_the_right_code_and_nothing_written(
    name: str, site: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments, expected_code, error = CASES[name]
    monkeypatch.chdir(site)
    (site / "bad.yaml").write_text("stepz: 3\n")
    (site / "empty").mkdir(exist_ok=True)
    before = {p.name for p in site.iterdir()}
    if "--out" not in arguments and arguments[0] != "split":
        arguments = [*arguments, "--out", "new"]
    code = run([*arguments, "-q"])
    err = capsys.readouterr().err
    print(f"{name}: exit {code}: {err.strip()}")
    assert code == expected_code
    assert err.startswith(f"{error}: ") and err.count("\n") == 1
    no_leftovers(site, before | {"medaudit.key"})


def test_disk_full(site: Path, tmp_path: Path) -> None:
    mount = tmp_path / "tiny"
    mount.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", str(mount)], capture_output=True, check=False
    )
    if made.returncode != 0:
        pytest.skip("a small file system cannot be mounted here")
    films(tmp_path / "many", 100, shape=(64, 64))
    arguments = ["ingest", str(tmp_path / "many"), "--key", str(tmp_path / "k.key"), "--out"]
    try:
        code, err = call([*arguments, str(mount / "C")])
        print(f"disk full: exit {code}: {err.strip()}")
        assert code == 1
        assert err.startswith("StorageFull: ") and err.count("\n") == 1
        assert not (mount / "C").exists()
        # Room is made: the same command goes on and ends as it would have elsewhere.
        subprocess.run(["mount", "-o", "remount,size=8m", str(mount)], check=True)
        assert call([*arguments, str(mount / "C")])[0] == 0
        assert call([*arguments, str(tmp_path / "C")])[0] == 0
        assert open_artifact(mount / "C").id == open_artifact(tmp_path / "C").id
    finally:
        subprocess.run(["umount", str(mount)], check=True)
