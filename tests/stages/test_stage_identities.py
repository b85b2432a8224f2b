"""A canary in every name, id and tag of a source: one file next to the key may hold it, and no artifact does.

Every byte of every file is searched, parquet and npz unpacked, after each command and after a kill.
"""

import csv
import io
import json
import stat
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from pydicom.fileset import FileSet
from reader_files import dataset, ramp, tree_bytes, write_dicom, write_png
from release_parts import make_audit, make_cohort

from medaudit.artifacts.authentication import find_key
from medaudit.artifacts.cohort import CohortWriter, open_cohort, row_table
from medaudit.artifacts.identities import read_identities
from medaudit.artifacts.pseudonyms import load_key, pseudonym
from medaudit.cli.app import run
from medaudit.errors import ReportLeak
from medaudit.readers import batch
from medaudit.stages import ingest, linting, release

CANARY = "ZANARIA7731"
IDENTITIES = "medaudit.identities.jsonl"
TAGS = {
    "PatientName": f"{CANARY}^Name",
    "AccessionNumber": f"{CANARY}-ACC"[:16],
    "InstitutionName": f"{CANARY} clinic",
    "StudyID": CANARY,
    "ReferringPhysicianName": f"{CANARY}^Doctor",
    "StudyDescription": f"chest of {CANARY}",
    "StationName": CANARY,
    "ImageComments": CANARY,
}
UID = "1.2.826.0.1.3680043.7731773177317731"  # the same in the one place that holds numbers only


def png(root: Path) -> Path:
    """Folder, subfolder, stem and cells; one file is refused."""
    rows = ["file,patient_id,study,split,accession,institution"]
    for n in range(24):
        name = f"{CANARY}_ward/{CANARY}{n // 2}/{CANARY}_{n}.png"
        write_png(root / name, salt=n, shape=(18, 16))
        rows.append(f"{name},{CANARY}-{n // 2},{CANARY}-S{n},{CANARY}-list,{CANARY},{CANARY}")
    (root / f"{CANARY}_ward/{CANARY}_broken.png").write_bytes(b"words")
    rows.append(f"{CANARY}_ward/{CANARY}_broken.png,{CANARY}-0,,,,")
    (root / "metadata.csv").write_text("\n".join(rows) + "\n")
    return root


def dicom(root: Path) -> Path:
    for n in range(24):
        tags = {"PatientID": f"{CANARY}-{n // 2}", "StudyInstanceUID": f"{UID}.{n}"}
        write_dicom(root / f"{CANARY}{n // 2}/{CANARY}_{n}", ramp(18, 16, salt=n), **tags, **TAGS)
    write_dicom(root / f"{CANARY}/{CANARY}_broken", PixelData=None, **TAGS)
    return root


def dicomdir(root: Path) -> Path:
    files = FileSet()
    for n in range(24):
        ds = dataset(
            ramp(18, 16, salt=n), **TAGS, PatientID=f"{CANARY}-{n // 2}", StudyInstanceUID=f"{UID}.{n}"
        )
        ds.StudyDate, ds.StudyTime, ds.SeriesNumber, ds.InstanceNumber = "20260101", "101010", 1, n
        ds.SeriesInstanceUID = f"{UID}.1.{n}"
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"{UID}.2.{n}"
        files.add(ds)
    staged = files._stage["t"]
    files.write(root / CANARY)
    for folder in (staged, files._stage["t"]):  # where pydicom put them first
        folder.cleanup()
    return root / CANARY / "DICOMDIR"


def npz(root: Path) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    people = np.array([f"{CANARY}-{n // 2}" for n in range(24)])
    images = np.stack([ramp(18, 16, top=255, salt=n) for n in range(24)]).astype(np.uint8)
    studies = np.array([f"{CANARY}-S{n}" for n in range(24)])
    splits = np.array([f"{CANARY}" for _ in range(24)])
    path = root / f"{CANARY}.npz"
    np.savez(path, images=images, patient_id=people, study=studies, split=splits)
    return path


SOURCES = {"png": png, "dicom": dicom, "dicomdir": dicomdir, "npz": npz}


def pieces(path: Path) -> Iterator[bytes]:
    """A file's name, its bytes, and everything packed into them."""
    data = path.read_bytes()
    yield str(path).encode()
    yield data
    if data[:4] == b"PAR1":
        table = pq.read_table(io.BytesIO(data))
        yield repr(table.to_pydict()).encode()
        yield repr(table.schema.metadata).encode()
    if data[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            yield from (archive.read(name) for name in archive.namelist())


def holders(folder: Path) -> set[str]:
    """Files under a folder that hold the canary, as text of any kind or as a number."""
    found, looked, unpacked = set(), 0, 0
    words = [form for word in (CANARY, CANARY.lower(), "7731773177317731") for form in
             (word.encode(), word.encode("utf-16-le"), word.encode("utf-16-be"))]  # fmt: skip
    for path in (entry for entry in sorted(folder.rglob("*")) if entry.is_file()):
        looked += 1
        unpacked += path.suffix == ".parquet"
        if any(word in piece for piece in pieces(path) for word in words):
            found.add(path.relative_to(folder).as_posix())
    assert looked >= 3
    return found


@pytest.mark.parametrize("kind", sorted(SOURCES))
def test_one_file_alone_holds_what_identifies(
    tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source, work = SOURCES[kind](tmp_path / "in"), tmp_path / "work"
    at = {name: str(work / name) for name in ("all", "T", "H", "clean", "S")}
    assert run(["ingest", str(source), "--out", at["all"], "--size", "16", "-q"]) == 0
    said = capsys.readouterr().out
    assert str(work / IDENTITIES) in said and "stays inside" in said
    assert run(["split", at["all"], "--train", at["T"], "--holdout", at["H"], "-q"]) == 0
    assert run(["dedup", at["T"], "--out", at["clean"], "-q"]) == 0
    assert run(["index", at["T"], "-q"]) == 0
    assert run(["ingest", str(source), "--origin", "synthetic", "--out", at["S"], "--size", "16", "-q"]) == 0
    assert {path.name for path in work.iterdir()} == {*at, "medaudit.key", IDENTITIES}
    assert holders(work) == {IDENTITIES}
    assert stat.S_IMODE((work / IDENTITIES).stat().st_mode) == 0o600
    # and the way back: every name, patient and study of a cohort is in it, the patient as `ledger pseudonym` has it
    known = {(kind, name): original for kind, name, original in read_identities(work / IDENTITIES)}
    rows = open_cohort(work / "T").rows.to_pylist()
    assert len(rows) == 12
    key = load_key(work / "medaudit.key")
    for row in rows:
        assert CANARY in known["file", row["file"]] or kind == "dicomdir"
        assert known["patient", row["patient"]].startswith(CANARY)
        assert row["patient"] == pseudonym(key, known["patient", row["patient"]])
        assert CANARY in known["study", row["study"]] or known["study", row["study"]].startswith(UID)
    made = open_cohort(work / "S").rows.to_pylist()
    assert all(row["patient"] is None and ("file", row["file"]) in known for row in made)


@pytest.mark.parametrize("origin", ["real", "synthetic"])
def test_killed_or_stopped_its_draft_holds_no_name_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, origin: str
) -> None:
    monkeypatch.setattr(batch, "_MOST_IN_CHUNK", 5)
    source, work = png(tmp_path / "in"), tmp_path / "work"
    append, calls = CohortWriter.append, 0

    def interrupted(self: CohortWriter, *args: object, **named: object) -> None:
        nonlocal calls
        append(self, *args, **named)  # type: ignore[arg-type]
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(CohortWriter, "append", interrupted)
    arguments = [
        "ingest",
        str(source),
        "--origin",
        origin,
        "--size",
        "16",
        "-q",
        "--key",
        str(work / "medaudit.key"),
    ]
    assert run([*arguments, "--out", str(work / "C")]) == 130
    (draft,) = work.glob(".C.partial")
    assert stat.S_IMODE(draft.stat().st_mode) == 0o700
    assert holders(draft) == set()
    assert holders(work) <= {
        path.name for path in work.glob(f".{IDENTITIES}.*")
    }  # next to the key, mode 0600
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in work.glob(f".{IDENTITIES}.*"))
    monkeypatch.setattr(CohortWriter, "append", append)
    assert run([*arguments, "--out", str(work / "C")]) == 0
    resumed = (work / IDENTITIES).read_bytes()
    assert {path.name for path in work.iterdir()} <= {"C", "medaudit.key", IDENTITIES}
    # undisturbed, with the same key: the same bytes in both places
    (work / IDENTITIES).unlink()
    assert run([*arguments, "--out", str(work / "U")]) == 0
    assert (work / IDENTITIES).read_bytes() == resumed
    assert tree_bytes(work / "U") == tree_bytes(work / "C")


def test_what_was_gathered_before_a_kill_may_be_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "_MOST_IN_CHUNK", 5)
    source, append = png(tmp_path / "in"), CohortWriter.append

    def interrupted(self: CohortWriter, *args: object, **named: object) -> None:
        append(self, *args, **named)  # type: ignore[arg-type]
        if self.chunks_done == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(CohortWriter, "append", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ingest.run(source, tmp_path / "C", size=16)
    for path in tmp_path.glob(f".{IDENTITIES}.*"):
        path.unlink()
    monkeypatch.setattr(CohortWriter, "append", append)
    ingest.run(source, tmp_path / "C", size=16)
    known = {name for _, name, _ in read_identities(tmp_path / IDENTITIES)}
    rows = open_cohort(tmp_path / "C").rows.to_pylist()
    assert len(rows) == 24 and {row[name] for row in rows for name in ("file", "patient", "study")} <= known


def test_two_ingests_at_once_under_one_key(tmp_path: Path) -> None:
    for name in ("a", "b"):
        for n in range(30):
            write_dicom(tmp_path / name / f"{name}{n}", ramp(salt=n), PatientID=f"{name}-{n}")
    (tmp_path / "key").write_text("ab" * 32)
    (tmp_path / "key").chmod(0o600)
    command = [sys.executable, "-m", "medaudit.cli.app", "ingest", "-q", "--key", str(tmp_path / "key")]
    with ThreadPoolExecutor(2) as pool:
        out = {name: str(tmp_path / f"C{name}") for name in "ab"}
        started = [
            pool.submit(
                subprocess.run, [*command, str(tmp_path / name), "--out", out[name]], capture_output=True
            )
            for name in "ab"
        ]
        assert [one.result().returncode for one in started] == [0, 0], [
            one.result().stderr for one in started
        ]
    known = {(kind, original) for kind, _, original in read_identities(tmp_path / "key.identities.jsonl")}
    assert {("patient", f"{name}-{n}") for name in "ab" for n in range(30)} < known
    assert {("file", f"{name}{n}") for name in "ab" for n in range(30)} < known


def test_the_linter_takes_names_from_the_identity_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A label of S that repeats the name of a training file is found; without the identity file it is said that not."""
    ingest.run(png(tmp_path / "in"), tmp_path / "T", size=16)
    train = open_cohort(tmp_path / "T").artifact
    synthetic = make_cohort(tmp_path / "S", label=f"{CANARY}_17".lower())
    make_audit(tmp_path / "A", synthetic.id, train_id=train.id)
    arguments = [
        "release",
        "--synthetic",
        str(tmp_path / "S"),
        "--audit",
        str(tmp_path / "A"),
        "--format",
        "png",
    ]
    arguments += ["--train", str(tmp_path / "T"), "--text", "off", "-q"]
    assert run([*arguments, "--out", str(tmp_path / "R")]) == 1
    err = capsys.readouterr().err
    assert err.startswith("ReportLeak: ") and CANARY not in err.upper()
    away = (tmp_path / IDENTITIES).rename(tmp_path / "vault.jsonl")
    assert run([*arguments, "--out", str(tmp_path / "R"), "--identities", str(away)]) == 1
    assert not (tmp_path / "R").exists()
    capsys.readouterr()
    assert run([*arguments, "--out", str(tmp_path / "R")]) == 0
    assert (
        "not looked for: the names of 25 files of the real cohorts; give --identities"
        in capsys.readouterr().out
    )


def test_the_identity_file_is_looked_for_where_the_key_is(tmp_path: Path) -> None:
    """A key of another name in the folder above the cohorts: names are known to the linter without an option."""
    (tmp_path / "work").mkdir()
    ingest.run(png(tmp_path / "in"), tmp_path / "work/T", size=16, key=tmp_path / "site.key")
    train = open_cohort(tmp_path / "work/T")
    assert find_key(None, [tmp_path / "work/T"], train.key) == load_key(tmp_path / "site.key")
    known = linting.known_of({"train": train.id}, [tmp_path / "work/T"])
    assert known.names(f"of {CANARY}_17".lower()) and known.nameless == 0


def test_nothing_is_said_to_be_left_out_where_all_was_looked_for(tmp_path: Path) -> None:
    ingest.run(png(tmp_path / "in"), tmp_path / "T", size=16)
    train = open_cohort(tmp_path / "T").artifact
    synthetic = make_cohort(tmp_path / "S")
    make_audit(tmp_path / "A", synthetic.id, train_id=train.id)
    outcome = release.run(tmp_path / "S", tmp_path / "A", tmp_path / "R", "png", train=tmp_path / "T")
    assert not any("not looked for" in line and "names" in line for line in outcome.lines)


def test_cohorts_of_an_earlier_version_still_open_and_their_names_are_looked_for(tmp_path: Path) -> None:
    old = make_cohort(tmp_path / "T", origin="real")  # `file` is a path
    synthetic = make_cohort(tmp_path / "S", seed=3, label="MUELLER_ANNA_19610213")
    make_audit(tmp_path / "A", synthetic.id, train_id=old.id)
    known = linting.known_of({"train": old.id}, [tmp_path / "T"])
    assert known.names("of mueller_anna_19610213") and known.nameless == 0
    with pytest.raises(ReportLeak):
        release.run(tmp_path / "S", tmp_path / "A", tmp_path / "R", "png", train=tmp_path / "T")


def test_a_parquet_that_held_the_canary_would_be_seen(tmp_path: Path) -> None:
    for n in range(3):
        pq.write_table(row_table([{"file": f"{CANARY}.png" if n == 1 else "x"}]), tmp_path / f"{n}.parquet")
    assert holders(tmp_path) == {"1.parquet"}


def test_the_identity_file_can_be_read_with_plain_tools(tmp_path: Path) -> None:
    ingest.run(png(tmp_path / "in"), tmp_path / "T", size=16)
    one = [json.loads(line) for line in (tmp_path / IDENTITIES).read_text().splitlines()]
    assert {entry["kind"] for entry in one} == {"file", "patient", "study"}
    study = next(entry for entry in one if entry["kind"] == "study")
    assert study["patient"] in {entry["name"] for entry in one if entry["kind"] == "patient"}
    with (tmp_path / "in/metadata.csv").open(newline="") as stream:
        listed = {row["file"] for row in csv.DictReader(stream)}
    assert {entry["original"] for entry in one if entry["kind"] == "file"} == listed
