"""release looks through its own files before they are in place: for films at hand, their names, forbidden words."""

import re
from pathlib import Path
from typing import Any

import pytest
from release_parts import PATH_CANARY, make_audit, make_cohort

from medaudit.artifacts.keys import new_key, write_keys
from medaudit.artifacts.store import open_artifact
from medaudit.errors import CohortMismatch, ReportLeak
from medaudit.linting.files import check_files
from medaudit.linting.known import NOTHING
from medaudit.stages import release


@pytest.mark.parametrize("form", ["dicom", "png", "npz"])
def test_a_film_that_poses_as_synthetic_does_not_go_out(tmp_path: Path, form: str) -> None:
    train = make_cohort(tmp_path / "T", seed=3, origin="real")
    synthetic = make_cohort(tmp_path / "S", seed=3)
    make_audit(tmp_path / "A", synthetic.id, train_id=train.id)
    with pytest.raises(ReportLeak, match="block of a real film") as caught:
        release.run(tmp_path / "S", tmp_path / "A", tmp_path / "R", form, train=tmp_path / "T")
    assert str(tmp_path) not in str(caught.value)
    assert not (tmp_path / "R").exists() and not list(tmp_path.glob(".R*"))


@pytest.mark.parametrize("form", ["dicom", "png", "npz"])
def test_other_films_pass(tmp_path: Path, form: str) -> None:
    train = make_cohort(tmp_path / "T", seed=4, origin="real")
    synthetic = make_cohort(tmp_path / "S", seed=3)
    make_audit(tmp_path / "A", synthetic.id, train_id=train.id)
    release.run(tmp_path / "S", tmp_path / "A", tmp_path / "R", form, train=tmp_path / "T")
    assert open_artifact(tmp_path / "R", "release").manifest["images"] == 6
    with pytest.raises(CohortMismatch):
        release.run(tmp_path / "S", tmp_path / "A", tmp_path / "R2", form, train=tmp_path / "S")


@pytest.mark.parametrize(
    "label", ["seen on 19610213", PATH_CANARY.split("/")[1].title(), "ab" * 16, "see /srv/films/a"]
)
def test_labels_are_looked_at(tmp_path: Path, label: str) -> None:
    train = make_cohort(tmp_path / "T", seed=4, origin="real")
    synthetic = make_cohort(tmp_path / "S", seed=3, label=label)
    make_audit(tmp_path / "A", synthetic.id, train_id=train.id)
    for form in ("png", "npz"):
        with pytest.raises(ReportLeak) as caught:
            release.run(tmp_path / "S", tmp_path / "A", tmp_path / form, form, train=tmp_path / "T")
        assert label not in str(caught.value)
        assert not (tmp_path / form).exists()


def test_forbidden_words_are_found_in_a_release_that_stands(tmp_path: Path) -> None:
    synthetic = make_cohort(tmp_path / "S", seed=3, label="pneumonia of Anna Mueller")
    make_audit(tmp_path / "A", synthetic.id)
    (tmp_path / "words.txt").write_text("anna mueller\n")
    arguments = tmp_path / "S", tmp_path / "A", tmp_path / "R", "png"
    with pytest.raises(ReportLeak, match="forbidden"):
        release.run(*arguments, forbid=tmp_path / "words.txt")
    release.run(*arguments)
    with pytest.raises(ReportLeak, match="forbidden"):
        release.run(*arguments, forbid=tmp_path / "words.txt")


@pytest.mark.parametrize(
    ("word", "holder"),
    [
        ("field_mm", "manifest.json"),  # words that stand in this file of a release and in no other
        ("signature of a medaudit release", "manifest.json.minisig"),
        ("public_key", "certificate.json"),
        ("How it was prepared", "README.txt"),
        ("not looked for", "images.csv"),
        ("trainedAlgorithmicMedia", "images/000001.png"),
    ],
)
def test_no_file_is_in_place_before_it_was_looked_at(tmp_path: Path, word: str, holder: str) -> None:
    synthetic = make_cohort(tmp_path / "S")
    make_audit(tmp_path / "A", synthetic.id)
    write_keys(tmp_path / "site", new_key())
    (tmp_path / "words.txt").write_text(word + "\n")
    arguments = tmp_path / "S", tmp_path / "A", tmp_path / "R", "png"
    signed: dict[str, Any] = {"sign": tmp_path / "site.key", "date": "20261124"}
    with pytest.raises(ReportLeak, match=re.escape(f"{holder} holds")):
        release.run(*arguments, forbid=tmp_path / "words.txt", **signed)
    assert not (tmp_path / "R").exists() and not list(tmp_path.glob(".R*"))
    release.run(*arguments, **signed)
    held = {path for path in (tmp_path / "R").rglob("*") if path.is_file()}
    assert {p.relative_to(tmp_path / "R").as_posix() for p in held if word.encode() in p.read_bytes()} >= {
        holder
    }
    number = open_artifact(tmp_path / "R").manifest["request"]
    own = (number, "ab" * 32, "20261124", "20281124")
    assert check_files(tmp_path / "R", NOTHING, own) == len(held) == 6 + 5
