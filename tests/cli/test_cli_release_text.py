"""`release --withhold-text` and `--text require` from end to end: phantoms, two of them with letters drawn in, through
the front door with the detector that users have. Skipped, by name, where the extra `text` is not installed.
"""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image, ImageDraw, ImageFont

from medaudit.cli.app import run
from medaudit.images.phantom import phantom
from medaudit.writers import text

pytestmark = [
    pytest.mark.skipif(not text.engine(), reason="rapidocr and onnxruntime are not installed"),
    pytest.mark.slow,
]
SIDE, ABOVE = 96, 32  # pixels of a film; rows cut off above it, where the side marker lies
PEOPLE, MADE = 90, 16
LETTERED = {3: ("MUELLER 1961", 70), 10: ("PAT 4711 B", 40)}  # place in S: what is drawn in, and at which row
QUICK: dict[str, Any] = {
    "plants": 36,
    "bootstrap": 200,
    "permutations": 1000,
    "controls": "quick",
    "required_kinds": ["identity", "mirror"],
}


def film(patient: int, exposure: int = 0) -> np.ndarray:
    """(SIDE, SIDE) uint8: a phantom without its side marker."""
    return np.round(phantom(patient, exposure, (SIDE + ABOVE, SIDE))[ABOVE:] * 255).astype(np.uint8)


def with_letters(image: np.ndarray, word: str, row: int) -> np.ndarray:
    canvas = Image.fromarray(image)
    ImageDraw.Draw(canvas).text((6, row), word, fill=255, font=ImageFont.load_default(10))
    return np.asarray(canvas)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """T, H, S and the audit A that clears S, letters and all."""
    folder = tmp_path_factory.mktemp("letters")
    once, twice = range(1, PEOPLE + 1), range(1, PEOPLE + 1, 3)
    films = [film(patient) for patient in once] + [film(patient, 1) for patient in twice]
    made = [film(900 + place) for place in range(MADE)]
    for place, drawn in LETTERED.items():
        made[place] = with_letters(made[place], *drawn)
    np.savez(
        folder / "films.npz", images=np.stack(films), patient_id=np.array([f"P{n}" for n in (*once, *twice)])
    )
    np.savez(folder / "made.npz", images=np.stack(made))
    (folder / "quick.yaml").write_text(yaml.safe_dump(QUICK))
    assert called(folder, "ingest", "films.npz", "--out", "all", "--size", str(SIDE), "--key", "key") == 0
    assert called(folder, "split", "all", "--train", "T", "--holdout", "H") == 0
    as_made = ["--origin", "synthetic", "--size", str(SIDE), "--key", "key"]
    assert called(folder, "ingest", "made.npz", "--out", "S", *as_made) == 0
    sides = ["--train", "T", "--holdout", "H", "--synthetic", "S"]
    assert called(folder, "audit", *sides, "--out", "A", "--config", "quick.yaml") == 0
    return folder


def called(folder: Path, command: str, *arguments: str) -> int:
    """The exit code of one command run in the folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return run([command, *arguments, "--quiet"])


def test_lettered_images_are_withheld_counted_and_named_and_the_rest_goes_out(
    work: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    asked = ["--synthetic", "S", "--audit", "A", "--out", "D", "--format", "png", "--text", "require"]
    assert called(work, "release", *asked, "--withhold-text", "--train", "T", "--holdout", "H") == 0
    certificate = json.loads((work / "D" / "certificate.json").read_text())
    assert certificate["counts"]["withheld"] == len(LETTERED)
    assert certificate["counts"]["released"] == MADE - len(LETTERED)
    assert certificate["text_pass"]["found_in"] == []
    assert certificate["text_pass"]["looked_at"] == MADE - len(LETTERED)
    card = " ".join((work / "D" / "README.txt").read_text().split())
    assert f"letters were found in them: {len(LETTERED)}." in card and "found letters in 0" in card
    assert json.loads((work / "D.audit" / "audit.json").read_text())["withheld"] == sorted(LETTERED)
    out = sorted((work / "D" / "images").iterdir())
    sent = []
    for path in out:
        with Image.open(path) as image:
            assert image.info["BurnedInAnnotation"] == "NO"
            sent.append(np.asarray(image).tobytes())
    kept = [film(900 + place) for place in range(MADE) if place not in LETTERED]
    assert sent == [image.tobytes() for image in kept]
    with (work / "D" / "images.csv").open() as stream:
        assert {row["letters"] for row in csv.DictReader(stream)} == {"no"}
    capfd.readouterr()
    assert called(work, "verify", "D") == 0
    assert f"withheld {len(LETTERED)}" in capfd.readouterr().out


def test_without_withholding_they_are_marked_and_named_by_number(
    work: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    capfd.readouterr()
    assert called(work, "release", "--synthetic", "S", "--audit", "A", "--out", "E", "--format", "npz") == 0
    assert "letters found in 2 of 16 images: numbers 4, 11" in capfd.readouterr().out
    with np.load(work / "E" / "images.npz") as archive:
        assert np.flatnonzero(archive["burned_in"] == "YES").tolist() == sorted(LETTERED)
    assert called(work, "verify", "E") == 0


@pytest.mark.parametrize("more", [[], ["--withhold-text", "--train", "T", "--holdout", "H"]])
def test_a_pass_that_misses_its_own_plants_releases_nothing_where_it_is_required(
    work: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, more: list[str]
) -> None:
    """The planted lines are left out of the copies that are looked at, so the detector must miss them."""
    monkeypatch.setattr(text, "_planted", lambda image, turn: (image, (0.0, 0.0, 0.0, 0.0)))
    asked = ["--synthetic", "S", "--audit", "A", "--out", "F", "--text", "require"]
    capfd.readouterr()
    assert called(work, "release", *asked, *more) not in (0, 1)
    error = capfd.readouterr().err.strip()
    assert "the text pass missed" in error and len(error.splitlines()) <= 2
    assert not (work / "F").exists() and not (work / "F.audit").exists() and not list(work.glob(".F*"))
    if not more:  # where it is not required, everything is marked instead
        assert called(work, "release", *asked[:4], "--out", "G", "--text", "auto") == 0
        assert json.loads((work / "G" / "manifest.json").read_text())["burned_in"] == {
            "looked_by": None,
            "YES": MADE,
            "NO": 0,
        }
