"""PNG and npz: every bit kept, the mark readable by a machine, the same bytes each time."""

import json
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medaudit.writers import raster
from medaudit.writers.formats import image_names, write_images, wrong_marks
from medaudit.writers.raster import (
    SOURCE_TYPE,
    marking,
    unmarked_npz,
    unmarked_png,
    write_npz,
    write_png,
)

MARKS = marking("r1", "m1", "0.1.0")
N, Y, X = 11, 7, 5


def images(dtype: type) -> np.ndarray:
    return np.random.default_rng(1).integers(0, np.iinfo(dtype).max + 1, (N, Y, X)).astype(dtype)


def chunks(png: bytes) -> list[tuple[bytes, bytes]]:
    """(type, body) of each chunk, read without Pillow."""
    found, place = [], 8
    while place < len(png):
        length, kind = struct.unpack(">I4s", png[place : place + 8])
        found.append((kind, png[place + 8 : place + 8 + length]))
        place += 12 + length
    return found


@pytest.mark.parametrize(("dtype", "bits"), [(np.uint8, 8), (np.uint16, 16)])
def test_png_keeps_every_bit_and_says_what_it_is(tmp_path: Path, dtype: type, bits: int) -> None:
    image = images(dtype)[3]
    write_png(tmp_path / "a.png", image, MARKS)
    write_png(tmp_path / "b.png", image, MARKS)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with Image.open(tmp_path / "a.png") as found:
        assert np.array_equal(np.asarray(found), image)
    parts = chunks((tmp_path / "a.png").read_bytes())
    width, height, depth, colour = struct.unpack(">IIBB", parts[0][1][:10])
    assert (width, height, depth, colour) == (X, Y, bits, 0)
    text = dict(body.split(b"\0", 1) for kind, body in parts if kind == b"tEXt")
    assert text[b"Synthetic"] == b"YES" and text[b"DigitalSourceType"] == SOURCE_TYPE.encode()
    assert any(kind == b"iTXt" and SOURCE_TYPE.encode() in body for kind, body in parts)
    assert b"tIME" not in {kind for kind, _ in parts}
    assert unmarked_png(tmp_path / "a.png", "r1") is None


def test_png_marks_are_missed(tmp_path: Path) -> None:
    path, image = tmp_path / "a.png", images(np.uint8)[0]
    write_png(path, image, MARKS)
    assert unmarked_png(path, "r2") == "belongs to another release"
    for said in ("YES", "NO"):
        write_png(path, image, MARKS, said)
        assert unmarked_png(path, "r1", said) is None
        other = unmarked_png(path, "r1", {"YES": "NO", "NO": "YES"}[said])
        assert other == "says otherwise than the certificate whether text is drawn into it"
    write_png(path, image, MARKS, "perhaps")
    assert unmarked_png(path, "r1") == "does not say whether text is drawn into it"
    write_png(path, image, {**MARKS, "Synthetic": "NO"})
    assert "synthetic" in str(unmarked_png(path, "r1"))
    write_png(path, image, {**MARKS, "Patient": "4711"})
    message = unmarked_png(path, "r1")
    assert message and "4711" not in message
    exif = Image.Exif()
    exif[0x010E] = "ward 7"
    with Image.open(tmp_path / "a.png") as found:
        found.save(path, exif=exif)
    assert unmarked_png(path, "r1") is not None
    Image.fromarray(image).save(path, "TIFF")
    assert unmarked_png(path, "r1") == "cannot be read as PNG"


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_npz_is_written_in_blocks_and_read_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: type
) -> None:
    rows = np.array([9, 0, 4, 4, 2])
    labels = ["a", "", "b|c", "ä", "a"]
    letters = ["NO", "NO", "YES", "NO", "YES"]
    by_number = dict(enumerate(letters, start=1)).__getitem__
    write_npz(tmp_path / "whole.npz", images(dtype), rows, labels, MARKS, by_number)
    monkeypatch.setattr(raster, "_BLOCK_BYTES", images(dtype)[:2].nbytes)
    write_npz(tmp_path / "blocks.npz", images(dtype), rows, labels, MARKS, by_number)
    assert (tmp_path / "whole.npz").read_bytes() == (tmp_path / "blocks.npz").read_bytes()
    with np.load(tmp_path / "whole.npz", allow_pickle=False) as found:
        assert found["images"].dtype == dtype and np.array_equal(found["images"], images(dtype)[rows])
        assert found["labels"].tolist() == labels and found["burned_in"].tolist() == letters
        assert json.loads(str(found["marking"])) == MARKS
    with zipfile.ZipFile(tmp_path / "whole.npz") as archive:
        assert archive.testzip() is None
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert unmarked_npz(tmp_path / "whole.npz", "r1", by_number) == (5, None)
    assert unmarked_npz(tmp_path / "whole.npz", "r2", by_number) == (5, "belongs to another release")
    otherwise = (5, "says otherwise than the certificate whether text is drawn into it")
    assert unmarked_npz(tmp_path / "whole.npz", "r1") == otherwise
    assert unmarked_npz(tmp_path / "whole.npz", "r1", lambda number: "NO") == otherwise


def test_npz_with_a_pickle_in_it_is_not_opened(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", images=images(np.uint8), labels=np.array([{}], dtype=object), marking="{}")
    assert unmarked_npz(tmp_path / "x.npz", "r1") == (0, "cannot be read as npz")


def test_npz_that_is_packed_or_broken_is_not_unfolded(tmp_path: Path) -> None:
    """A packed member of 300 MB, and damage of every sort that zipfile has a name for."""
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("marking.npy", bytes(300 << 20))
    tracemalloc.start()
    assert unmarked_npz(path, "r1") == (0, "holds other arrays than medaudit writes")
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()
    np.savez(path, images=np.zeros((2, 3, 4), np.uint8))
    whole = path.read_bytes()
    for at in range(0, len(whole), 5):
        path.write_bytes(whole[:at] + whole[at + 3 :])
        assert unmarked_npz(path, "r1")[1] is not None


def test_wrong_input_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        write_png(tmp_path / "x.png", np.zeros((Y, X), dtype=np.float32), MARKS)
    with pytest.raises(ValueError):
        write_npz(tmp_path / "x.npz", images(np.uint8), np.arange(3), ["a"], MARKS)


@pytest.mark.parametrize("form", ["dicom", "png", "npz"])
def test_the_three_formats_alike(tmp_path: Path, form: str) -> None:
    from medaudit.writers.dicom import Facts

    steps = []

    class Watch:
        def start(self, name: str, total: int | None) -> None:
            self.total = total

        def advance(self, steps_: int = 1, **facts: float | str) -> None:
            steps.append(steps_)

        def say(self, line: str) -> None: ...

    def place(name: str) -> Path:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        return tmp_path / name

    rows, watch = np.array([2, 5, 7]), Watch()
    write_images(
        place, form, images(np.uint16), rows, ["PA", None, "AP"], [[], ["a"], []], Facts("r1", "", "0"), watch
    )
    assert sum(steps) == watch.total == len(image_names(form, 3))
    assert sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.*")) == image_names(form, 3)
    assert list(wrong_marks(tmp_path, form, 3, "r1")) == []
    problems = list(wrong_marks(tmp_path, form, 3, "r2"))
    assert [name for name, _ in problems] == image_names(form, 3)
