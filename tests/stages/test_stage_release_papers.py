"""What the papers of a release and its images say beside the pixels: numbers, letters, and nothing of the machine."""

import hashlib
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pydicom
import pytest
from PIL import Image
from release_parts import make_audit, make_cohort

from medaudit.artifacts.certificate import TextPass, read_certificate
from medaudit.errors import ReleaseBroken
from medaudit.stages import release, verify
from medaudit.writers import text

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
        assert any(line.startswith(f"release number {number[:16]}...") for line in lines)
        assert any(line.startswith(f"release id {of_manifest[:16]}") for line in lines)
    assert any(of_manifest in line for line in checked.lines)  # the receiver compares all digits


@pytest.mark.parametrize("wording", ["at most 1 copy of tested kinds", "at most 1 copy of tested kinds."])
def test_every_sentence_of_the_card_ends_once(case: SimpleNamespace, wording: str) -> None:
    from medaudit.artifacts.findings import open_audit
    from medaudit.writers.papers import card

    release.run(case.s, case.a, case.d)
    _, record = open_audit(case.a)
    certificate = read_certificate(case.d / "certificate.json")
    assert certificate.bounds == record.bounds
    changed = certificate.model_copy(update={"bounds": record.bounds.model_copy(update={"wording": wording})})
    settings = json.loads((case.d / "manifest.json").read_text())["settings"]
    text = card(changed, "dicom", "", settings)
    assert "At most 1 copy of tested kinds.\n" in text and ".." not in text


def marks_on_letters(folder: Path, form: str) -> list[str]:
    """YES or NO for each image, as a receiver without medaudit reads it."""
    if form == "npz":
        with np.load(folder / "images.npz", allow_pickle=False) as archive:
            return [str(said) for said in archive["burned_in"]]
    paths = sorted((folder / "images").iterdir())
    if form == "dicom":
        return [pydicom.dcmread(path).BurnedInAnnotation for path in paths]
    found = []
    for path in paths:
        with Image.open(path) as image:
            found.append(image.info["BurnedInAnnotation"])
    return found


def rewrite(folder: Path, **changes: object) -> None:
    """The manifest with other facts."""
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, **changes}))


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("found_in", [None, [], [2, 5]])
def test_every_format_says_whether_letters_may_be_drawn_in(
    case: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, form: str, found_in: list[int] | None
) -> None:
    found = None
    if found_in is not None:
        found = TextPass(engine="rapidocr 0", looked_at=6, found_in=found_in, planted=6, planted_found=6)
    monkeypatch.setattr(text, "engine", lambda: "rapidocr 0")
    monkeypatch.setattr(text, "look_for_text", lambda *_: found)
    outcome = release.run(case.s, case.a, case.d, form, text="auto")
    called = [1, 2, 3, 4, 5, 6] if found_in is None else found_in
    assert marks_on_letters(case.d, form) == ["YES" if i in called else "NO" for i in range(1, 7)]
    said = json.loads((case.d / "manifest.json").read_text())["burned_in"]
    engine = None if found is None else "rapidocr 0"
    assert said == {"looked_by": engine, "YES": len(called), "NO": 6 - len(called)}
    card = " ".join((case.d / "README.txt").read_text().split())
    assert ("all are marked YES" in card) == (found is None)
    assert ("which are marked YES, the others NO" in card) == (found is not None)
    assert any("marked as one that may hold" in line for line in outcome.lines) == (found is None)
    assert verify.run(case.d).exit_code == 0
    rewrite(case.d, burned_in={**said, "NO": 7})
    with pytest.raises(ReleaseBroken, match="than the manifest in how many images letters"):
        verify.run(case.d)
    rewrite(case.d, burned_in=None)
    with pytest.raises(ReleaseBroken, match=r"manifest\.json cannot be read"):
        verify.run(case.d)


@pytest.mark.parametrize("form", FORMATS)
def test_images_marked_otherwise_than_the_certificate_says(
    case: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """A sender's own tool marks every image NO before the release is hashed and signed."""
    from medaudit.writers import formats

    monkeypatch.setattr(formats, "burned_in", lambda _: lambda number: "NO")
    release.run(case.s, case.a, case.d, form)
    assert set(marks_on_letters(case.d, form)) == {"NO"}
    monkeypatch.undo()
    with pytest.raises(ReleaseBroken, match="otherwise than the certificate whether text is drawn into it"):
        verify.run(case.d)
