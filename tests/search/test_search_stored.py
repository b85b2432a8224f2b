"""An index in files: the same as one in memory, whatever happened while it was made."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from medaudit.errors import IndexMismatch
from medaudit.search import engine, halves, looks, stored
from medaudit.search.index import Index
from medaudit.search.nearest import nearest
from medaudit.search.stored import grow, open_index, read_header

M, T, D, G, K = 70, 2, 24, 5, 3  # references, tiles, values, queries, neighbours


@pytest.fixture(autouse=True)
def small_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "PORTION", 8)
    monkeypatch.setattr(stored, "_BETWEEN_SAVES", 2)


def vectors(count: int = M, seed: int = 1) -> np.ndarray:
    rng = np.random.Generator(np.random.Philox(seed))
    base = rng.random((T, D))
    return (base + 0.1 * rng.random((100, T, D))).astype(np.float32)[:count]


class Films:
    """References that count how often they are described."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values
        self.asked: list[int] = []

    def describe(self, places: np.ndarray) -> np.ndarray:
        self.asked += places.tolist()
        return self.values[places]

    def source(self, start: int, stop: int) -> bytes:
        return self.values[start:stop].tobytes()

    def grow(self, folder: Path, of: str = "T", by: str = "d", count: int | None = None) -> Index:
        self.asked.clear()
        return grow(folder, of, by, len(self.values) if count is None else count, self.describe, self.source)


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("limited", [False, True])
@pytest.mark.parametrize("close", [False, True])
def test_asked_it_answers_as_one_in_memory_does(
    tmp_path: Path, limited: bool, close: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(halves, "in_tiles", lambda: close)
    monkeypatch.setattr(looks, "_WORTH", 1)
    if limited:  # by a sample, so that most queries keep fewer bounds than there is room for
        for name, value in (("_SPARE", 12), ("_KEPT", 2), ("_CLOSE_SPARE", 12), ("_CLOSE_LEAST", 20)):
            monkeypatch.setattr(looks, name, value)
        monkeypatch.setattr(engine, "_SAMPLE_RANK", 1)
    films = Films(vectors())
    kept = films.grow(tmp_path / "i")
    queries = vectors(100, 2)[-G:, None]
    people = np.arange(M) // 2
    found, known = (
        nearest(queries, index, K, reference_group=people) for index in (kept, Index.of(films.values))
    )
    for one, other in zip(vars(found).values(), vars(known).values(), strict=True):
        assert np.array_equal(one, other)
    opened = open_index(tmp_path / "i", "T", "d", M)
    assert np.array_equal(opened.vectors, films.values) and np.array_equal(opened.coarse, kept.coarse)
    assert opened.in_files and not Index.of(films.values).in_files
    assert np.array_equal(opened.fine, kept.fine)


class Killed(Exception):
    pass


@pytest.mark.parametrize("after", range(1, 10))
def test_killed_anywhere_it_ends_in_the_same_bytes(tmp_path: Path, after: int) -> None:
    films = Films(vectors())
    films.grow(tmp_path / "whole")
    calls = 0

    def dying(places: np.ndarray) -> np.ndarray:
        nonlocal calls
        calls += 1
        if calls > after:
            raise Killed
        return films.describe(places)

    with pytest.raises(Killed):
        grow(tmp_path / "i", "T", "d", M, dying, films.source)
    with (tmp_path / "i" / "coarse.f32").open("ab") as stream:
        stream.write(b"half a reference")  # what a kill in mid-write leaves
    films.asked.clear()
    films.grow(tmp_path / "i")
    assert bytes_of(tmp_path / "i") == bytes_of(tmp_path / "whole")
    # The sample comes first, then a portion a call; every second one is saved, and is not described again.
    assert min(films.asked) == (after - 1) // 2 * 2 * 8


@pytest.mark.parametrize("first", [1, 7, 8, 40, 69])
def test_films_that_were_added_are_all_that_is_described(tmp_path: Path, first: int) -> None:
    films = Films(vectors())
    films.grow(tmp_path / "i", count=first)
    assert films.grow(tmp_path / "i", of="T and more").vectors.tolist() == films.values.tolist()
    assert sorted(films.asked) == list(range(first // 8 * 8, M))
    assert open_index(tmp_path / "i", "T and more", "d", M).vectors.tolist() == films.values.tolist()
    queries = films.values[[0, first, M - 1]][:, None]
    found = nearest(
        queries, open_index(tmp_path / "i", "T and more", "d", M), 1, reference_group=np.arange(M)
    )
    assert found.index[:, 0].tolist() == [0, first, M - 1] and (found.distance == 0).all()


def test_only_what_is_the_same_is_kept_of_another_cohort(tmp_path: Path) -> None:
    films = Films(vectors())
    films.grow(tmp_path / "i")
    other = Films(films.values.copy())
    other.values[19] += 0.5
    other.grow(tmp_path / "i", of="another")
    assert sorted(other.asked) == list(range(16, M))
    assert open_index(tmp_path / "i", "another", "d", M).vectors.tolist() == other.values.tolist()
    shorter = Films(films.values[:20])
    shorter.grow(tmp_path / "i", of="fewer")
    assert len(open_index(tmp_path / "i", "fewer", "d", 20)) == 20


def _cut(folder: Path) -> None:
    path = folder / "fine.f32"
    path.write_bytes(path.read_bytes()[:-4])


def _flip(folder: Path) -> None:
    data = bytearray((folder / "vectors.f32").read_bytes())
    data[100] ^= 1
    (folder / "vectors.f32").write_bytes(data)


def _newer(folder: Path) -> None:
    text = (folder / "index.json").read_text()
    (folder / "index.json").write_text(text.replace(stored.SCHEMA, "medaudit.index/9"))


def _nonsense(folder: Path) -> None:
    (folder / "index.json").write_text("{")


def _unsealed(folder: Path) -> None:
    header = read_header(folder)
    assert header is not None and len(header.files) == 3
    text = (folder / "index.json").read_text()
    (folder / "index.json").write_text(text.replace(header.files[0], "0" * 64))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_cut, "was changed or cut"),
        (_flip, "was changed or cut"),
        (_unsealed, "was changed or cut"),
        (_newer, "medaudit.index/9"),
        (_nonsense, "cannot be read"),
        (lambda folder: (folder / "index.json").unlink(), "is not complete"),
    ],
)
def test_what_is_not_whole_is_refused_by_name(
    tmp_path: Path, spoil: Callable[[Path], None], words: str
) -> None:
    Films(vectors()).grow(tmp_path / "i")
    spoil(tmp_path / "i")
    with pytest.raises(IndexMismatch, match=words):
        open_index(tmp_path / "i", "T", "d", M)


def test_anothers_index_is_refused_by_name(tmp_path: Path) -> None:
    Films(vectors()).grow(tmp_path / "i")
    with pytest.raises(IndexMismatch, match="belongs to another cohort"):
        open_index(tmp_path / "i", "U", "d", M)
    with pytest.raises(IndexMismatch, match="another detector or version"):
        open_index(tmp_path / "i", "T", "e", M)
    with pytest.raises(IndexMismatch, match="is not complete"):
        open_index(tmp_path / "i", "T", "d", M + 1)
    with pytest.raises(IndexMismatch, match="another detector or version"):
        Films(vectors()).grow(tmp_path / "i", by="e")


def test_values_that_are_not_finite_are_refused_and_what_stands_is_kept(tmp_path: Path) -> None:
    films = Films(vectors())
    films.grow(tmp_path / "i", count=32)
    spoilt = Films(films.values.copy())
    spoilt.values[50, 1, 3] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        spoilt.grow(tmp_path / "i", of="more")
    films.grow(tmp_path / "i", of="more")
    assert min(films.asked) >= 32


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    films = Films(vectors())

    def meanwhile(places: np.ndarray) -> np.ndarray:
        import subprocess
        import sys

        program = (
            "import sys; from pathlib import Path; from medaudit.search.stored import _locked\n"
            "from medaudit.errors import IndexMismatch\n"
            "try:\n  _locked(Path(sys.argv[1])).__enter__()\nexcept IndexMismatch as e: print(e)"
        )
        told = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / "i")], capture_output=True, text=True, check=True
        )
        assert "another medaudit process" in told.stdout
        return films.describe(places)

    grow(tmp_path / "i", "T", "d", 4, meanwhile, films.source)
    assert len(open_index(tmp_path / "i", "T", "d", 4)) == 4
