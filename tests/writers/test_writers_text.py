"""The text pass: planted letters are its control, what it finds is named by number, nothing is downloaded."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from medaudit.errors import EngineUnavailable, UsageProblem
from medaudit.images.phantom import phantom
from medaudit.writers import text
from medaudit.writers.text import eight_bits, look_for_text, text_engine

SHAPE = (160, 144)  # (Y, X)
RAPIDOCR = pytest.mark.skipif(not text.engine(), reason="rapidocr and onnxruntime are not installed")


def films(count: int, dtype: type = np.uint16) -> np.ndarray:
    top = np.iinfo(dtype).max
    return np.stack([(phantom(seed, 0, SHAPE) * top).astype(dtype) for seed in range(count)])


def seeing(letters: np.ndarray | None = None, *, blind: bool = False):
    """A detector that finds what differs from the films it knows: all that was planted, and `letters` given."""
    known = {eight_bits(film).tobytes() for film in films(5)}

    def find(image: np.ndarray) -> list[text.Box]:
        if blind or (image.tobytes() in known and letters is None):
            return []
        return [(x, y, x, y) for x in range(0, SHAPE[1], 8) for y in range(0, SHAPE[0], 8)]

    return find


def test_a_detector_that_sees_nothing_is_not_believed() -> None:
    said: list[str] = []
    quiet = SimpleNamespace(start=lambda *_: None, advance=lambda *_, **__: None, say=said.append)
    assert look_for_text(films(5), np.arange(5), quiet, seeing(blind=True)) is None
    assert len(said) == 1 and "0 of 5 planted" in said[0]


def test_numbers_are_places_in_the_release_and_the_control_is_counted() -> None:
    rows = np.array([0, 2, 4])
    found = look_for_text(films(5), rows, detector=seeing())
    assert found is not None and found.found_in == [] and found.looked_at == 3
    assert (found.planted, found.planted_found) == (3, 3)
    strange = films(5)
    strange[2] = strange[2][::-1]
    found = look_for_text(strange, rows, detector=seeing())
    assert found is not None and found.found_in == [2]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_letters_are_planted_inside_the_image_and_nowhere_else(dtype: type) -> None:
    image = eight_bits(films(1, dtype)[0])
    assert image.dtype == np.uint8 and image.min() == 0 and image.max() == 255
    for turn in range(12):
        planted, (x0, y0, x1, y1) = text._planted(image, turn)
        assert 0 <= x0 < x1 <= SHAPE[1] and 0 <= y0 < y1 <= SHAPE[0]
        changed = np.argwhere(planted != image)
        assert len(changed) > 50
        assert changed[:, 0].min() >= y0 - 1 and changed[:, 0].max() <= y1 + 1
        assert changed[:, 1].min() >= x0 - 1 and changed[:, 1].max() <= x1 + 1
    flat = np.full((9, 9), 7, dtype=dtype)
    assert eight_bits(flat).max() == 0 and text._planted(eight_bits(flat), 0)[0].shape == (9, 9)


def test_a_box_around_the_whole_chest_is_no_line_of_letters() -> None:
    assert text._chest((10, 20, 130, 150), SHAPE)
    assert not text._chest((0, 70, 144, 90), SHAPE)  # a line across the film
    assert not text._chest((3, 3, 15, 150), SHAPE)


def test_whether_a_pass_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "engine", lambda: "")
    assert text_engine("off") == text_engine("auto") == ""
    with pytest.raises(EngineUnavailable, match="medaudit\\[text\\]"):
        text_engine("require")
    with pytest.raises(EngineUnavailable):
        look_for_text(films(1), np.arange(1))
    monkeypatch.setattr(text, "engine", lambda: "rapidocr 0")
    assert text_engine("require") == text_engine("auto") == "rapidocr 0" and text_engine("off") == ""
    with pytest.raises(UsageProblem):
        text_engine("perhaps")


@RAPIDOCR
@pytest.mark.slow
def test_rapidocr_finds_a_name_and_asks_no_network(tmp_path: Path) -> None:
    np.save(tmp_path / "films.npy", films(3))
    code = """
import socket, sys
import numpy as np
def refuse(*_, **__): raise SystemExit("the network was asked")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
from PIL import Image, ImageDraw, ImageFont
from medaudit.writers.text import eight_bits, look_for_text
films = np.load(sys.argv[1])[:, 40:]  # without the side markers
canvas = Image.fromarray(eight_bits(films[1]))
ImageDraw.Draw(canvas).text((20, 8), "MUELLER 1961", fill=255, font=ImageFont.load_default(12))
images = np.stack([eight_bits(films[0]), np.asarray(canvas), eight_bits(films[2])])
found = look_for_text(images, np.arange(3))
assert found is not None and found.found_in == [2], found
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "films.npy")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-500:]
