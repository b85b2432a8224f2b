"""`medaudit index`: audits use it, say the same with it, and refuse one that is not theirs."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from audit_parts import UNSEEN, films, names, settings, usual, write

from medaudit.artifacts.cohort import open_cohort
from medaudit.cli.app import run as front
from medaudit.detectors import VECTOR_DETECTORS
from medaudit.protocol.described import index_folder
from medaudit.protocol.sides import Side
from medaudit.stages import audit, index


def described_films(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    counted: list[int] = []
    for detector in VECTOR_DETECTORS:
        describe = detector.describe
        monkeypatch.setattr(
            detector, "describe", lambda images, own=describe: counted.append(len(images)) or own(images)
        )
    return counted


def test_an_audit_says_the_same_with_an_index_and_describes_nothing_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, holdout, synthetic = usual(tmp_path, films(UNSEEN[:6]), train=20, holdout=20)
    audit.run(train, holdout, synthetic, tmp_path / "A", settings())
    outcome = index.run(train)
    assert outcome.data["films"] == len(open_cohort(train).in_use) and "4 detectors" in outcome.lines[0]
    counted = described_films(monkeypatch)
    index.run(train)
    assert not counted  # it stands already
    monkeypatch.undo()
    audit.run(train, holdout, synthetic, tmp_path / "B", settings())
    first, second = (tmp_path / name / "audit.json" for name in "AB")
    assert first.read_bytes() == second.read_bytes()
    assert (tmp_path / "A" / "matches.parquet").read_bytes() == (
        tmp_path / "B" / "matches.parquet"
    ).read_bytes()


def test_films_that_are_added_are_all_that_is_described(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    people = range(30)
    monkeypatch.setattr("medaudit.search.stored.PORTION", 8)
    write(tmp_path / "C1", films(people[:20]), names(people[:20]), role="train")
    write(tmp_path / "C2", films(people), names(people), role="train")
    assert front(["index", str(tmp_path / "C2"), "--from", str(tmp_path / "C1"), "-q"]) == 2
    assert "has no index; run `medaudit index` on it first" in capsys.readouterr().err
    assert front(["index", str(tmp_path / "C1"), "-q"]) == 0
    counted = described_films(monkeypatch)
    assert front(["index", str(tmp_path / "C2"), "--from", str(tmp_path / "C1"), "-q"]) == 0
    assert (
        sum(counted) == len(VECTOR_DETECTORS) * 14
    )  # 20 films are two whole portions of 8, and 14 are left of 30
    side = Side.of(open_cohort(tmp_path / "C2"))
    for detector in VECTOR_DETECTORS:
        header = json.loads((index_folder(side.cohort, detector) / "index.json").read_text())
        assert header["of"] == side.cohort.id and header["rows"] == 30


def test_anothers_index_is_refused_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train, holdout, synthetic = usual(tmp_path, films(UNSEEN[:6]), train=20, holdout=20)
    index.run(holdout)
    shutil.copytree(holdout / "index", train / "index")
    arguments = ["--train", str(train), "--holdout", str(holdout), "--synthetic", str(synthetic)]
    assert front(["audit", *arguments, "--out", str(tmp_path / "A"), "-q"]) == 2
    told = capsys.readouterr().err
    assert (
        told.startswith("IndexMismatch: ") and "belongs to another cohort" in told and told.count("\n") == 1
    )
    assert not (tmp_path / "A").exists()
    assert front(["index", str(train), "-q"]) == 0  # made anew for this cohort
    assert np.array_equal(open_cohort(train).in_use, Side.of(open_cohort(train)).rows)


def test_a_full_disk_is_named_and_what_stands_is_gone_on_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "C", films(range(20)), names(range(20)), role="train")
    import medaudit.search.stored as stored

    save, saves = stored._save, []

    def full(*given: object) -> None:
        saves.append(1)
        if len(saves) == 2:
            raise OSError(28, "No space left on device")
        save(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(stored, "_save", full)
    assert front(["index", str(tmp_path / "C"), "-q"]) == 1
    told = capsys.readouterr().err
    assert told.startswith("StorageFull: ") and told.count("\n") == 1
    assert front(["index", str(tmp_path / "C"), "-q"]) == 0
