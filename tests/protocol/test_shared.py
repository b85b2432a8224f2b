"""What travels to a worker is the name of a file; what is read there is what is read here. N=6 films, 2 set aside."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from medaudit.artifacts.cohort import CohortWriter, open_cohort
from medaudit.artifacts.store import Draft, Request
from medaudit.detectors import VECTOR_DETECTORS
from medaudit.protocol.shared import Mapped, SharedDescriptions, SharedFilms, SharedRows
from medaudit.protocol.sides import Side


@pytest.fixture
def side(tmp_path: Path) -> Side:
    rng = np.random.Generator(np.random.Philox(3))
    pixels = rng.integers(0, 65536, (6, 34, 21)).astype(np.uint16)
    rows = [
        {"file": f"{i}.png", "patient": f"p{i}", "mark": "aside" if i in (1, 4) else None} for i in range(6)
    ]
    with Draft(tmp_path / "T", Request("cohort", {}, 0)) as draft:
        writer = CohortWriter(draft, (34, 21), np.uint16)
        writer.append(pixels, rows)
        writer.finish(note={"origin": "real", "role": "train"})
    return Side.of(open_cohort(tmp_path / "T"))


@pytest.mark.parametrize("detector", VECTOR_DETECTORS, ids=lambda detector: detector.name)
def test_a_worker_describes_as_this_process_does(side: Side, detector) -> None:
    places = np.array([2, 0, 3])
    described = detector.describe(side.images(places))
    packed = pickle.dumps(SharedDescriptions.of(side, detector, described.shape[1:]))
    assert len(packed) < side.cohort.pixels[:1].nbytes
    shared = pickle.loads(packed)
    assert len(shared) == len(side) == 4
    assert shared.read(places).tobytes() == described.tobytes()
    np.testing.assert_array_equal(SharedFilms.of(side)(places), side.images(places))


def test_saved_rows_are_mapped_again(tmp_path: Path) -> None:
    values = np.arange(5 * 7, dtype=np.float32).reshape(5, 7)
    (tmp_path / "rows").write_bytes(b"header--" + values.tobytes())
    mapped = np.memmap(tmp_path / "rows", np.dtype("<f4"), "r", 8, (5, 7))
    for source in (mapped, values):
        shared = pickle.loads(pickle.dumps(SharedRows(Mapped.of(source), (1, 7))))
        assert len(shared) == 5
        np.testing.assert_array_equal(shared.read(np.array([4, 1])), values[[4, 1], None])


def test_a_part_of_a_mapped_array_is_named_at_its_own_place(tmp_path: Path) -> None:
    np.save(tmp_path / "pixels.npy", np.arange(60, dtype=np.uint8).reshape(5, 4, 3))
    part = np.load(tmp_path / "pixels.npy", mmap_mode="r")[2:]
    named = Mapped.of(part)
    opened = named.open() if isinstance(named, Mapped) else named
    np.testing.assert_array_equal(opened, part)


def test_where_the_file_does_not_lie_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Mapped(tmp_path / "gone", 0, (2, 3), "<f4").open()
