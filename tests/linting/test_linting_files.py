"""Each kind of leak is planted into each kind of file of a release, and the linter must fire; clean files pass."""

import base64
import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from medaudit.errors import ReportLeak
from medaudit.linting.blocks import Blocks
from medaudit.linting.files import check_files
from medaudit.linting.known import Known
from medaudit.linting.texts import found_in
from medaudit.linting.words import Words, telling_parts
from medaudit.writers.dicom import SYNTAXES, DicomWriter, Facts
from medaudit.writers.raster import marking, write_npz, write_png

RELEASE, MODEL = "ab" * 32, "cd" * 32
PSEUDONYM, PATH, DATE = "p-00c0ffee00c0ffee", "/srv/films/anna/0017", "19610213"
WORD = "MUELLER_ANNA_8842716"
DIGEST = hashlib.sha256(b"a real film").digest()
FILM = np.random.Generator(np.random.Philox(3)).integers(0, 256, (72, 64), dtype=np.uint8)
KNOWN = Known(Words([WORD]), frozenset([DIGEST]), Blocks([FILM]))
OWN = (RELEASE, MODEL, "20261124")
LEAKS = {
    "pseudonym": (PSEUDONYM, "a pseudonym"),
    "path": (PATH, "a file's path"),
    "date": (DATE, "a date"),
    "iso date": ("1961-02-13", "a date"),
    "word": (WORD.title(), "a word"),
    "hash": (DIGEST.hex(), "a plain hash of a real file"),
    "hash in capitals": (DIGEST.hex().upper(), "a plain hash of a real file"),
    "hash in base64": (base64.b64encode(DIGEST).decode(), "a plain hash of a real file"),
    "word in base64": (base64.b64encode(f"the film of {WORD} of today".encode()).decode(), "a word"),
    "word compressed": (base64.b64encode(zlib.compress(f"the film of {WORD}".encode())).decode(), "a word"),
    "unknown hash": ("0123456789abcdef" * 4, "a hash that is none of its own"),
}


def synthetic(seed: int = 5) -> np.ndarray:
    return np.random.Generator(np.random.Philox(seed)).integers(0, 256, (72, 64), dtype=np.uint8)


def dicom(folder: Path, image: np.ndarray | None = None, syntax: str = "explicit") -> Path:
    path = folder / "images" / "000001.dcm"
    path.parent.mkdir(parents=True, exist_ok=True)
    facts = Facts(RELEASE, MODEL, "0.1.0", transfer_syntax=syntax, date="20261124")  # type: ignore[arg-type]
    DicomWriter(facts, (72, 64)).write(path, synthetic() if image is None else image, 1, "PA")
    return path


def png(folder: Path, image: np.ndarray | None = None) -> Path:
    path = folder / "images" / "000001.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_png(path, synthetic() if image is None else image, marking(RELEASE, MODEL, "0.1.0"))
    return path


def npz(folder: Path, labels: list[str] | None = None, image: np.ndarray | None = None) -> Path:
    path = folder / "images.npz"
    images = np.stack([synthetic(), synthetic(6) if image is None else image])
    write_npz(path, images, np.arange(2), labels or ["", "pneumonia"], marking(RELEASE, MODEL, "0.1.0"))
    return path


def with_tag(folder: Path, text: str) -> None:
    path = dicom(folder)
    dataset = pydicom.dcmread(path)
    dataset.ImageComments = text
    dataset.save_as(path)


def after_pixels(folder: Path, text: str) -> None:
    path = dicom(folder)
    dataset = pydicom.dcmread(path)
    dataset.add_new(0xFFFCFFFC, "OB", text.encode() + b"\0" * (len(text) % 2))
    dataset.save_as(path)


def with_chunk(kind: str) -> Callable[[Path, str], None]:
    def plant(folder: Path, text: str) -> None:
        path = png(folder)
        info, image = PngImagePlugin.PngInfo(), Image.open(path)
        exif = None
        if kind == "exif":
            exif = Image.Exif()
            exif[0x010E] = text  # ImageDescription
        elif kind == "ztxt":
            info.add_text("Comment", text, zip=True)
        elif kind == "itxt":
            info.add_itxt("Comment", text, zip=True)
        else:
            info.add_text("Comment", text)
        image.save(path, "PNG", pnginfo=info, **({"exif": exif} if exif else {}))

    return plant


def after_end(folder: Path, text: str) -> None:
    path = png(folder)
    path.write_bytes(path.read_bytes() + text.encode())


def archive_comment(folder: Path, text: str) -> None:
    path = npz(folder)
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = text.encode()


def listing(folder: Path, text: str) -> None:
    png(folder)
    (folder / "images.csv").write_text(f"file,view,labels\nimages/000001.png,PA,{text}\n")


PLACES: dict[str, Callable[[Path, str], object]] = {
    "dicom tag": with_tag,
    "dicom after its pixels": after_pixels,
    "png text": with_chunk("text"),
    "png compressed text": with_chunk("ztxt"),
    "png international text": with_chunk("itxt"),
    "png exif": with_chunk("exif"),
    "png after its end": after_end,
    "npz label": lambda folder, text: npz(folder, ["", text]),
    "npz comment": archive_comment,
    "list of images": listing,
}


@pytest.mark.parametrize("leak", LEAKS)
@pytest.mark.parametrize("place", PLACES)
def test_each_leak_is_found_in_each_place(tmp_path: Path, place: str, leak: str) -> None:
    text, complaint = LEAKS[leak]
    PLACES[place](tmp_path, text)
    with pytest.raises(ReportLeak, match=complaint) as caught:
        check_files(tmp_path, KNOWN, OWN)
    assert text not in str(caught.value) and str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize("name", [f"{WORD}.dcm", f"{PSEUDONYM}.png"])
def test_names_of_files_are_looked_at(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("nothing")
    with pytest.raises(ReportLeak):
        check_files(tmp_path, KNOWN, OWN)


def test_digits_of_a_hash_or_a_version_are_no_date() -> None:
    dated = "a" * 20 + "20241112" + "b" * 36
    nobody = Known()
    assert found_in(f'"sha": "{dated}", "torch": "2.6.0.dev20241112"', nobody, own=frozenset({dated})) is None
    assert found_in("seen on 20241112", nobody, own=frozenset({dated})) == "a date"


def test_certificates_may_name_hashes_but_none_of_a_real_file(tmp_path: Path) -> None:
    (tmp_path / "certificate.json").write_text(json.dumps({"root": "0123456789abcdef" * 4}))
    assert check_files(tmp_path, KNOWN, OWN) == 1
    (tmp_path / "certificate.json").write_text(json.dumps({"root": DIGEST.hex()}))
    with pytest.raises(ReportLeak, match="plain hash"):
        check_files(tmp_path, KNOWN, OWN)


@pytest.mark.parametrize("make", [dicom, png, lambda folder, image: npz(folder, None, image)])
def test_a_block_of_a_film_is_found_wherever_it_was_moved(
    tmp_path: Path, make: Callable[[Path, np.ndarray], Path]
) -> None:
    image = synthetic(11)
    image[20:60, 10:50] = FILM[3:43, 17:57]
    make(tmp_path, image)
    with pytest.raises(ReportLeak, match="block of a real film"):
        check_files(tmp_path, KNOWN, OWN)


@pytest.mark.parametrize("syntax", list(SYNTAXES))
def test_every_transfer_syntax_is_opened(tmp_path: Path, syntax: str) -> None:
    dicom(tmp_path / "clean", syntax=syntax)
    assert check_files(tmp_path / "clean", KNOWN, OWN) == 1
    dicom(tmp_path / "film", FILM, syntax)
    with pytest.raises(ReportLeak, match="block of a real film"):
        check_files(tmp_path / "film", KNOWN, OWN)


def test_sixteen_bits_are_compared_as_they_are_released(tmp_path: Path) -> None:
    film = np.random.Generator(np.random.Philox(8)).integers(0, 65536, (72, 64)).astype(np.uint16)
    known = Known(blocks=Blocks([film]))
    for place, make in enumerate((dicom, png)):
        make(tmp_path / str(place), film)
        with pytest.raises(ReportLeak, match="block of a real film"):
            check_files(tmp_path / str(place), known, OWN)


def test_clean_files_pass(tmp_path: Path) -> None:
    dicom(tmp_path)
    png(tmp_path)
    npz(tmp_path)
    listing(tmp_path, "pneumonia|and/or none")
    (tmp_path / "README.txt").write_text("Release of 20261124, see manifest.json and images/000001.png.\n")
    assert check_files(tmp_path, KNOWN, OWN) == 5


@given(st.binary(min_size=64, max_size=64))
@settings(max_examples=300, deadline=None)
def test_a_signature_is_no_path(signature: bytes) -> None:
    text = json.dumps({"signature": base64.b64encode(signature).decode()})
    assert found_in(text, Known()) is None


def test_what_cannot_be_read_back_does_not_pass(tmp_path: Path) -> None:
    path = png(tmp_path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ReportLeak, match="read back"):
        check_files(tmp_path, KNOWN, OWN)


def test_a_picture_in_base64_is_no_text() -> None:
    buffer = io.BytesIO()
    Image.fromarray(FILM).save(buffer, "PNG")
    assert found_in(base64.b64encode(buffer.getvalue()).decode(), Known()) == "an encoded picture"


@given(st.text(max_size=80), st.text(max_size=80))
@settings(max_examples=200, deadline=None)
def test_words_are_found_inside_any_text(before: str, after: str) -> None:
    words = Words([WORD, "другое-имя"])
    assert words.stand_in(before + WORD + after)
    assert words.stand_in(before + "ДРУГОЕ-ИМЯ" + after)
    assert not words.stand_in("x" * len(before))


@given(st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_read_without_a_crash(data: bytes) -> None:
    found_in(data.decode("utf-8", "replace"), KNOWN)
    found_in(base64.b64encode(zlib.compress(data)).decode(), KNOWN)


def test_only_telling_parts_of_names_are_words() -> None:
    parts = telling_parts(
        [f"ward7/{WORD}/IM000017.dcm", "000001.png", "images/0000017.jpg", "pneumonia/normal.png"]
    )
    assert parts == {WORD.lower(), "im000017.dcm"} | ({"im000017"} & parts)
    with pytest.raises(ValueError):
        Words(["short"])


def test_flat_and_unlike_windows_are_not_taken_for_films() -> None:
    rng = np.random.Generator(np.random.Philox(1))
    blocks = Blocks([FILM, np.zeros((72, 64), np.uint8)])
    assert not blocks.shows(np.zeros((72, 64), np.uint8))
    assert not any(blocks.shows(rng.integers(0, 256, (72, 64), dtype=np.uint8)) for _ in range(20))
    assert blocks.shows(FILM) and not blocks.shows(FILM[:, ::-1].copy()) and not blocks.shows(FILM[:8, :8])


@pytest.mark.parametrize("shape", [(12, 12), (28, 28), (13, 40), (5, 90)])
def test_small_films_with_no_window_kept_are_no_error(shape: tuple[int, int]) -> None:
    films = [
        np.random.Generator(np.random.Philox(s)).integers(0, 256, shape, dtype=np.uint8) for s in range(40)
    ]
    blocks = Blocks(films[:20])
    assert not any(blocks.shows(film) for film in films[20:])
