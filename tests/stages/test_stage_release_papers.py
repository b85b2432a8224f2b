"""What the papers of a release and its images say beside the pixels: numbers, letters, and nothing of the machine."""

import hashlib
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from release_parts import make_audit, make_cohort

from medaudit.stages import release, verify

FORMATS = ("dicom", "png", "npz")


@pytest.fixture
def case(tmp_path: Path) -> SimpleNamespace:
    """A cohort S and an audit A that clears it."""
    synthetic = make_cohort(tmp_path / "S")
    make_audit(tmp_path / "A", synthetic.id)
    return SimpleNamespace(s=tmp_path / "S", a=tmp_path / "A", d=tmp_path / "D", folder=tmp_path)


@pytest.mark.parametrize("form", FORMATS)
def test_the_card_names_the_number_that_release_and_verify_print(case: SimpleNamespace, form: str) -> None:
    told, checked = release.run(case.s, case.a, case.d, form), verify.run(case.d)
    number, of_manifest = checked.data["number"], checked.data["id"]
    card = " ".join((case.d / "README.txt").read_text().split())
    assert (
        f"Release number {number}" in card and "a release id, which is the SHA-256 of manifest.json" in card
    )
    assert of_manifest == hashlib.sha256((case.d / "manifest.json").read_bytes()).hexdigest() != number
    assert (
        told.data["number"] == number == json.loads((case.d / "certificate.json").read_text())["release_id"]
    )
    for lines in (told.lines, checked.lines):
        assert any(number in line for line in lines) and any(of_manifest in line for line in lines)
