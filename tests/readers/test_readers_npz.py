"""npz: what is in it, blocks front to back, arrays that must not be loaded, and archives that are broken on purpose."""

import io
import resource
import subprocess
import sys
import zipfile
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
    with pytest.raises(LayoutUnknown, match="no array of images"):
        npz.image_arrays(saved(tmp_path / "a.npz", pictures=FILMS[:, 0]))
    with pytest.raises(LayoutUnknown, match="2 arrays that may be images"):
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


def packed(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return path


def npy(shape: str, descr: str = "|u1", data: bytes = b"", fortran: bool = False) -> bytes:
    """An array whose head states what we like."""
    text = f"{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}}}".encode()
    text += b" " * (-(11 + len(text)) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


@pytest.mark.parametrize("seed", range(30))
def test_missing_bytes_anywhere_are_named_or_change_nothing(tmp_path: Path, seed: int) -> None:
    draw = np.random.Generator(np.random.Philox(seed))
    ids = np.array([f"patient-{i}" for i in range(13)])
    path = saved(tmp_path / "a.npz", images=FILMS, patient_id=ids)
    data = bytearray(path.read_bytes())
    at, count = int(draw.integers(len(data))), int(draw.integers(1, 9))
    del data[at : at + count]
    path.write_bytes(data)
    try:
        arrays = npz.image_arrays(path)
        patients = [entry.patient for entry in npz.entries(path, arrays)]
        films = np.concatenate(list(npz.blocks(path, arrays[0], 4)))
    except (NothingReadable, LayoutUnknown) as error:
        assert "\n" not in str(error)
        return
    assert np.array_equal(films, FILMS) and patients in (ids.tolist(), [None] * 13)


def test_the_checksum_is_compared_at_the_end(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.save(buffer, FILMS)
    path = packed(tmp_path / "a.npz", {"images": buffer.getvalue()}, zipfile.ZIP_STORED)
    for part in ("images", "patient_id"):
        ids = io.BytesIO()
        np.save(ids, np.array([f"p{i}" for i in range(13)]))
        path = packed(tmp_path / f"{part}.npz", {"images": buffer.getvalue(), "patient_id": ids.getvalue()})
        whole = path.read_bytes()
        with zipfile.ZipFile(path) as archive:
            crc = archive.getinfo(f"{part}.npy").CRC.to_bytes(4, "little")
        assert whole.count(crc) == 2  # before the member and in the directory
        path.write_bytes(whole.replace(crc, b"\1\2\3\4"))
        with pytest.raises(NothingReadable, match="damaged"):
            arrays = npz.image_arrays(path)
            npz.entries(path, arrays)
            list(npz.blocks(path, arrays[0], 4))


BROKEN = {
    "more films than the member holds": {"images": npy("(1000000000, 8, 8)", data=bytes(640))},
    "fewer films than the member holds": {"images": npy("(2, 8, 8)", data=bytes(640))},
    "a side below zero": {"images": npy("(-1, 8, 8)")},
    "no shape": {"images": npy("('a', 8)")},
    "no type": {"images": npy("(1, 8, 8)", descr="|x7", data=bytes(64))},
    "nested": {"images": npy("(" * 300 + ")" * 300)},
    "a head of 2 GB": {"images": b"\x93NUMPY\x02\x00" + (2**31).to_bytes(4, "little") + b" " * (1 << 20)},
    "not an array": {"images": b"hello"},
    "empty": {"images": b""},
}


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_a_head_that_does_not_fit_is_damage(tmp_path: Path, name: str) -> None:
    with pytest.raises(NothingReadable, match="damaged"):
        npz.image_arrays(packed(tmp_path / "a.npz", BROKEN[name]))


@pytest.mark.parametrize("point", [0x110000, 0xFFFFFFFF, 0xD800])
@pytest.mark.parametrize("order", ["<", ">"])
def test_text_that_holds_no_characters_is_damage(tmp_path: Path, point: int, order: str) -> None:
    ids = np.full((13, 2), 65, dtype=f"{order}u4")
    ids[7, 1] = point
    data = io.BytesIO()
    np.save(data, FILMS)
    text = npy("(13,)", f"{order}U2", ids.tobytes())
    path = packed(tmp_path / "a.npz", {"images": data.getvalue(), "patient_id": text})
    with pytest.raises(NothingReadable, match="damaged"):
        npz.entries(path, npz.image_arrays(path))


def test_a_method_that_unfolds_without_a_limit_is_not_read(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.npz", {"images": npy("(1, 8, 8)", data=bytes(64))}, zipfile.ZIP_LZMA)
    with pytest.raises(NothingReadable, match="damaged"):
        npz.image_arrays(path)


BOMB = """
import sys
from pathlib import Path
from medaudit.errors import MedauditError
from medaudit.readers import npz
path = Path(sys.argv[1])
try:
    arrays = npz.image_arrays(path)
    npz.entries(path, arrays)
    [npz.look(array) for array in arrays]
    sum(len(block) for block in npz.blocks(path, arrays[0], 1))
except (MedauditError, npz.Refused) as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize(
    ("shape", "side", "error"),
    [
        ((1, 30_000, 3_000), None, "Refused too many pixels"),
        ((2_000_000, 8, 8), None, "NothingReadable"),
        ((40, 8, 8), ("S8000000", (40,)), "NothingReadable"),
        ((40, 8, 8), ("u1", (40, 8_000_000)), "NothingReadable"),
    ],
)
def test_a_bomb_takes_no_memory(tmp_path: Path, shape: tuple, side: tuple | None, error: str) -> None:
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        arrays = {"images": (shape, "|u1")} | ({"patient_id": (side[1], f"|{side[0]}")} if side else {})
        for name, (sides, descr) in arrays.items():
            with archive.open(f"{name}.npy", "w") as stream:
                stream.write(npy(repr(sides), descr))
                size = int(np.prod(sides)) * np.dtype(descr).itemsize
                for _ in range(0, size, 1 << 20):
                    stream.write(bytes(min(1 << 20, size)))
                    size -= 1 << 20
    assert path.stat().st_size < 1 << 20
    limit = 700 << 20  # address space; the interpreter with numpy takes half of it
    done = subprocess.run(
        [sys.executable, "-c", BOMB, str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
        env={"PYTHONPATH": str(Path(__file__).resolve().parents[2]), "OPENBLAS_NUM_THREADS": "1"},
    )
    assert done.stdout.startswith(error), done.stderr[-500:]
