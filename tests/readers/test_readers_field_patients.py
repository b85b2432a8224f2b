"""Arrays and patient ids as the field's bug reports describe them: which images are one patient's, which nobody's."""

import csv
from pathlib import Path

import numpy as np
import pytest
from field_files import by_percentiles, picture
from reader_files import write_dicom
from typer.testing import CliRunner

from medaudit.artifacts.cohort import Cohort, open_cohort
from medaudit.cli.app import app
from medaudit.errors import LayoutUnknown
from medaudit.readers import npz
from medaudit.readers.records import patient_id
from medaudit.stages import ingest

COUNT, SIDE = 6, 32
IMAGES = np.stack([picture(255, salt) for salt in range(COUNT)]).astype(np.uint8)  # (N, Y, X)
FULL = IMAGES / 255
SCALED = np.stack([by_percentiles(image) for image in IMAGES])
THREE = np.repeat(IMAGES[:, None], 3, axis=1)  # (N, C, Y, X)


def cohort_of(tmp_path: Path, **arrays: np.ndarray) -> tuple[Cohort, list[str]]:
    """The cohort of an npz, at 16 bits and the images' own size, and the manifest's warnings."""
    np.savez(tmp_path / "a.npz", **arrays)
    outcome = ingest.run(tmp_path / "a.npz", tmp_path / "cohort", size=SIDE, depth="16")
    return open_cohort(tmp_path / "cohort"), outcome.data["warnings"]


ARRAYS: dict[str, tuple[dict[str, np.ndarray], np.ndarray]] = {
    "(N, Y, X)": ({"images": IMAGES}, FULL),
    "(N, Y, X, 1)": ({"images": IMAGES[..., None]}, FULL),
    "(N, 1, Y, X)": ({"images": IMAGES[:, None]}, FULL),
    "(N, 3, Y, X)": ({"images": THREE}, FULL),
    "(N, Y, X, 3)": ({"images": np.moveaxis(THREE, 1, 3)}, FULL),
    "(N, Y, X, 4), opaque": (
        {"images": np.concatenate([np.moveaxis(THREE, 1, 3), np.full((COUNT, SIDE, SIDE, 1), 255, np.uint8)], 3)},
        FULL,
    ),
    "(N, Y, X, 2), opaque": ({"images": np.stack([IMAGES, np.full_like(IMAGES, 255)], 3)}, FULL),
    "float in [0, 1]": ({"images": (IMAGES / 255).astype(np.float32)}, SCALED),
    "float in [-1, 1]": ({"images": (IMAGES / 127.5 - 1).astype(np.float32)}, SCALED),
    "float16": ({"images": IMAGES.astype(np.float16)}, SCALED),
    "big endian float": ({"images": IMAGES.astype(">f4")}, SCALED),
    "big endian uint16": ({"images": IMAGES.astype(">u2")}, SCALED),
    "int64": ({"images": IMAGES.astype(np.int64)}, SCALED),
    "int8": ({"images": (IMAGES.astype(int) - 128).astype(np.int8)}, SCALED),
    "bool": ({"images": IMAGES > 100}, (IMAGES > 100) * 1.0),
    "Fortran order": ({"images": np.asfortranarray(IMAGES)}, FULL),
    "masked": ({"images": np.ma.masked_array(IMAGES, IMAGES > 200)}, FULL),
    "arr_0 of a sampler": ({"arr_0": np.moveaxis(THREE, 1, 3), "arr_1": np.arange(COUNT)}, FULL),
    "x_train and y_train": ({"x_train": IMAGES, "y_train": np.arange(COUNT)}, FULL),
    "x_train and x_test": ({"x_train": IMAGES[:4], "x_test": IMAGES[4:]}, FULL),
    "another name": ({"samples": IMAGES}, FULL),
}  # fmt: skip


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_of_images(tmp_path: Path, name: str) -> None:
    arrays, expected = ARRAYS[name]
    cohort, _ = cohort_of(tmp_path, **arrays)
    assert len(cohort) == COUNT
    assert np.abs(cohort.pixels / 65535 - expected).max() <= 1 / 65535


def test_samples_of_a_latent_model_are_gray_with_a_little_colour(tmp_path: Path) -> None:
    noise = np.random.Generator(np.random.Philox(7)).normal(0, 0.01, THREE.shape)
    samples = (THREE / 127.5 - 1 + noise).astype(np.float32)
    cohort, warnings = cohort_of(tmp_path, images=samples)
    weights = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
    luminance = np.tensordot(samples.astype(float), weights, axes=(1, 0))
    expected = np.stack([by_percentiles(image) for image in luminance])
    assert np.abs(cohort.pixels / 65535 - expected).max() < 1e-4
    assert any(
        text.startswith("6 of 6 images are stored in colour with nearly equal channels") for text in warnings
    )


def test_an_image_with_numbers_too_far_apart_costs_that_image_alone(tmp_path: Path) -> None:
    far = IMAGES.astype(np.float64)
    far[2] *= 1e304
    np.savez(tmp_path / "a.npz", images=far)
    outcome = ingest.run(tmp_path / "a.npz", tmp_path / "cohort", size=SIDE, accept_refused=True)
    assert outcome.data["refused"] == {"NaN or infinite pixels": 1}


def test_two_arrays_of_unknown_names_are_not_guessed_between(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", first=IMAGES, second=IMAGES)
    with pytest.raises(LayoutUnknown, match="2 arrays that may be images"):
        npz.image_arrays(tmp_path / "a.npz")


IDS = [  # ids of a source, and the same as groups: equal numbers are one patient, None is no patient
    (["7", "007", "7"], [1, 2, 1]),
    (["12.0", "12", "12.00", "12.5"], [1, 1, 1, 2]),
    (["A1", "a1", "A1 "], [1, 2, 1]),
    (["\u00e91", "e\u03011"], [1, 1]),
    (["p", "p\0", "\tp", "p\u00a0"], [1, 1, 1, 1]),
    (["x", "", "  ", "NaN", "None", "NA", "<NA>", "null"], [1, *[None] * 7]),
    (["ANONYMOUS", "anon", "Anonymized", "UNKNOWN", "ANON001", "ANON002"], [None] * 4 + [1, 2]),
    (["0", "00", "1e5", "100000"], [1, 2, 3, 4]),
]


@pytest.mark.parametrize(("ids", "groups"), IDS)
def test_ids_of_one_patient_are_one_id(ids: list[str], groups: list[int | None]) -> None:
    known = [patient_id(text) for text in ids]
    assert [text is None for text in known] == [group is None for group in groups]
    for a, first in zip(known, groups, strict=True):
        for b, second in zip(known, groups, strict=True):
            assert (a == b) == (first == second) or None in (first, second)


@pytest.mark.parametrize(
    ("ids", "patients", "nameless"),
    [
        (np.array([0, 0, 1, 1, 2, 2]), 3, 0),
        (np.array([0, 0, 1, 1, np.nan, 2]), 3, 1),
        (np.array([b"a", b"a", b"b", b"b", b"c", b"c"]), 3, 0),
        (np.array(["12.0", "12", "b", "b", "c", "None"]), 3, 1),
    ],
)
def test_ids_in_an_array(tmp_path: Path, ids: np.ndarray, patients: int, nameless: int) -> None:
    cohort, _ = cohort_of(tmp_path, images=IMAGES, patient_id=ids)
    assert len({name for name in cohort.patients if name}) == patients
    assert sum(name is None for name in cohort.patients) == nameless


def test_an_integer_and_the_float_of_a_table_with_gaps_are_one_patient(tmp_path: Path) -> None:
    """Two sources under one key: what keeps a patient from standing in training and held-out cohort alike."""
    names = []
    for number, ids in enumerate(
        (np.arange(COUNT), np.arange(COUNT).astype(float), np.arange(COUNT).astype(str))
    ):
        source = tmp_path / f"{number}.npz"
        np.savez(source, images=IMAGES, patient_id=ids)
        ingest.run(source, tmp_path / f"c{number}", size=SIDE, key=tmp_path / "key")
        names.append(open_cohort(tmp_path / f"c{number}").patients.tolist())
    assert names[0] == names[1] == names[2] and len(set(names[0])) == COUNT


def write_folder(folder: Path, ids: list[str], **tags: object) -> None:
    for number, text in enumerate(ids):
        write_dicom(folder / f"{number:02d}.dcm", picture(4095, number), PatientID=text, **tags)


def test_ids_of_headers_by_the_command(tmp_path: Path) -> None:
    """Blanks, NUL, text of Python for nothing, and letters in three encodings."""
    write_folder(tmp_path / "source", ["A ", "A", "None", "B", "0b", "B"])
    for number, charset in enumerate(("ISO_IR 100", "ISO_IR 192")):
        path = tmp_path / "source" / f"u{number}.dcm"
        write_dicom(path, picture(4095, 20 + number), SpecificCharacterSet=charset, PatientID="M\u00fc1")
    path = write_dicom(tmp_path / "source" / "v.dcm", picture(4095, 30), PatientID="MXX1")
    path.write_bytes(path.read_bytes().replace(b"MXX1", b"M\xfc1 "))  # Latin-1 and no character set named
    arguments = ["ingest", str(tmp_path / "source"), "--out", str(tmp_path / "c"), "--size", "32"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    patients = open_cohort(tmp_path / "c").patients.tolist()
    a1, a2, none, b1, b2, b3, *letters = patients
    assert a1 == a2 and none is None and b1 == b3 and len(set(letters)) == 1
    assert len({a1, b1, b2, letters[0]}) == 4
    said = " ".join(result.output.split())
    assert "2 patient ids differ from another one only in case or leading zeros and are kept apart" in said
    assert "1 of 9 images name no patient" in said
    assert "M\u00fc1" not in said


def test_rows_of_a_table_that_say_the_same_in_two_ways_are_no_conflict(tmp_path: Path) -> None:
    write_folder(tmp_path / "source", ["x", "y"])
    with (tmp_path / "source" / "metadata.csv").open("w", newline="") as stream:
        rows = [("00.dcm", "12"), ("00.dcm", "12.0"), ("01.dcm", "12"), ("01.dcm", "13")]
        csv.writer(stream).writerows([("file", "patient_id"), *rows])
    outcome = ingest.run(tmp_path / "source", tmp_path / "c", size=SIDE, accept_refused=True)
    assert outcome.data["refused"] == {"listed with two patients": 1} and outcome.data["read"] == 1
