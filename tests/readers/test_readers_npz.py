"""npz: what is in it, blocks front to back, and arrays that must not be loaded."""

from pathlib import Path

import numpy as np
import pytest

from medaudit.errors import LayoutUnknown, NothingReadable
from medaudit.readers import npz, refusals
from medaudit.readers.refusals import Refused

RNG = np.random.Generator(np.random.Philox(3))
FILMS = RNG.integers(0, 256, (13, 5, 9)).astype(np.uint8)


def saved(path: Path, *, compressed: bool = True, **arrays: np.ndarray) -> Path:
    (np.savez_compressed if compressed else np.savez)(path, **arrays)
    return path


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("first", [0, 4, 12, 13])
def test_blocks_from_any_film_are_the_array(tmp_path: Path, compressed: bool, first: int) -> None:
    path = saved(tmp_path / "a.npz", compressed=compressed, images=FILMS)
    (array,) = npz.image_arrays(path)
    blocks = list(npz.blocks(path, array, 4, first))
    assert all(len(block) <= 4 for block in blocks)
    assert np.array_equal(np.concatenate([FILMS[:0], *blocks]), FILMS[first:])


def test_fortran_order_gives_the_same_films(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.npz", images=np.asfortranarray(FILMS))
    (array,) = npz.image_arrays(path)
    assert np.array_equal(np.concatenate(list(npz.blocks(path, array, 5, 3))), FILMS[3:])


def test_medmnist_splits_and_labels(tmp_path: Path) -> None:
    path = saved(
        tmp_path / "m.npz",
        train_images=FILMS[:6], train_labels=np.arange(6)[:, None] % 2,
        val_images=FILMS[6:8], val_labels=np.array([[0, 1, 1], [0, 0, 0]]),
        test_images=FILMS[8:], test_labels=np.ones(5),
    )  # fmt: skip
    arrays = npz.image_arrays(path)
    entries = npz.entries(path, arrays)
    assert [entry.split for entry in entries] == ["train"] * 6 + ["val"] * 2 + ["test"] * 5
    assert [entry.labels for entry in entries[:2]] == [("0",), ("1",)]
    assert entries[6].labels == ("1", "2") and entries[7].labels == ()
    assert entries[8].labels == ("1",)
    assert len({entry.file for entry in entries}) == 13


def test_labels_as_a_release_writes_them(tmp_path: Path) -> None:
    words = np.array(["", "wide heart", "effusion|wide heart"])
    path = saved(tmp_path / "a.npz", images=FILMS[:3], labels=words)
    entries = npz.entries(path, npz.image_arrays(path))
    assert [entry.labels for entry in entries] == [(), ("wide heart",), ("effusion", "wide heart")]


def test_patients_beside_the_films(tmp_path: Path) -> None:
    ids = np.array([f"p{i // 2}" for i in range(13)])
    ids[3] = ""
    path = saved(tmp_path / "a.npz", images=FILMS, patient_id=ids, labels=np.zeros(13, np.uint8))
    entries = npz.entries(path, npz.image_arrays(path))
    assert [entry.patient for entry in entries] == [text or None for text in ids.tolist()]


def test_ids_as_python_objects_are_not_loaded(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.npz", images=FILMS, patient_id=np.array([None] * 13, dtype=object))
    with pytest.raises(NothingReadable, match="Python objects"):
        npz.entries(path, npz.image_arrays(path))
    path = saved(tmp_path / "b.npz", images=np.array([None] * 13, dtype=object))
    with pytest.raises(NothingReadable, match="Python objects"):
        npz.image_arrays(path)


def test_an_archive_that_does_not_fit(tmp_path: Path) -> None:
    with pytest.raises(LayoutUnknown, match="no array of films"):
        npz.image_arrays(saved(tmp_path / "a.npz", pictures=FILMS[:, 0]))
    with pytest.raises(LayoutUnknown, match="2 arrays that may be films"):
        npz.image_arrays(saved(tmp_path / "e.npz", pictures=FILMS, masks=FILMS))
    with pytest.raises(LayoutUnknown, match="images is no array"):
        npz.image_arrays(saved(tmp_path / "b.npz", images=FILMS[:, 0, 0]))
    path = saved(tmp_path / "c.npz", images=FILMS, patient_id=np.array(["a", "b"]))
    with pytest.raises(NothingReadable, match="another length"):
        npz.entries(path, npz.image_arrays(path))
    (tmp_path / "d.npz").write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(NothingReadable, match="damaged"):
        npz.image_arrays(tmp_path / "d.npz")


@pytest.mark.parametrize("compressed", [True, False])
def test_a_damaged_array_is_named(tmp_path: Path, compressed: bool) -> None:
    films = RNG.integers(0, 256, (40, 30, 31)).astype(np.uint8)
    ids = np.array([f"patient-{i}" for i in range(40)])
    path = saved(tmp_path / "a.npz", compressed=compressed, patient_id=ids, images=films)
    whole = path.read_bytes()
    data = bytearray(whole)
    data[len(data) // 2 : len(data) // 2 + 40] = bytes(40)
    path.write_bytes(data)
    (array,) = npz.image_arrays(path)
    with pytest.raises(NothingReadable, match="damaged"):
        list(npz.blocks(path, array, 5))
    data = bytearray(whole)
    data[300:310] = bytes(10)
    path.write_bytes(data)
    with pytest.raises(NothingReadable, match="damaged"):
        npz.entries(path, npz.image_arrays(path))


def test_films_and_refusals(tmp_path: Path) -> None:
    (array,) = npz.image_arrays(saved(tmp_path / "a.npz", images=FILMS))
    look = npz.look(array)
    assert (look.rows, look.columns, look.bits) == (5, 9, 8)
    np.testing.assert_allclose(npz.film(FILMS[2], look).unit, FILMS[2] / 255, atol=1e-7)
    wide = FILMS[2].astype(np.float32) * 9
    assert npz.film(wide, look).route == "percentile"
    spoiled = wide.copy()
    spoiled[0, 0] = np.inf
    coloured = np.dstack([FILMS[0], FILMS[0], FILMS[1]])
    for values, reason in (
        (spoiled, refusals.NOT_FINITE),
        (np.full((5, 9), 3, np.uint8), refusals.CONSTANT),
        (coloured, refusals.COLOUR),
    ):
        with pytest.raises(Refused) as caught:
            npz.film(values, look)
        assert caught.value.reason == reason
    gray = np.repeat(FILMS[2][:, :, None], 3, axis=2)
    assert np.array_equal(npz.film(gray, look).unit, npz.film(FILMS[2], look).unit)
    assert np.array_equal(npz.film(FILMS[2][:, :, None], look).unit, npz.film(FILMS[2], look).unit)
