"""Cohorts grow chunk by chunk, survive any kill, and keep every row in its place."""

import io
import json
import os
import random
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medaudit.artifacts.cohort import (
    ROW_SCHEMA,
    CohortWriter,
    _npy_header,
    open_cohort,
    row_table,
    write_subset,
)
from medaudit.artifacts.store import Artifact, Draft, Request, finished
from medaudit.errors import ArtifactBroken, ArtifactKindMismatch, EmptyCohort

Y, X = 6, 5
CHUNKS = [3, 1, 0, 4, 2, 5]  # rows per chunk; the third has nothing but refusals
REQUEST = Request("cohort", {"size": Y}, 3)


def chunk(number: int) -> tuple[np.ndarray, list[dict], list[tuple[str, str]]]:
    """Pixels (n, Y, X), rows and refusals of one chunk."""
    count = CHUNKS[number]
    pixels = np.random.default_rng(number).integers(0, 65536, (count, Y, X)).astype(np.uint16)
    rows = [
        {
            "file": f"{number}/{i}.png",
            "patient": f"p-{number:016x}",
            "view": "PA",
            "labels": ["x"] * i,
            "facts": {"bits": 12},
        }
        for i in range(count)
    ]
    return pixels, rows, [(f"{number}/bad.png", "no pixels")] if number % 2 == 0 else []


def make(out: Path, pause: float = 0.0) -> Artifact:
    """What a command does: use what stands, or go on after the last whole chunk."""
    if done := finished(out, REQUEST):
        return done
    with Draft(out, REQUEST) as draft:
        writer = CohortWriter(draft, (Y, X), np.uint16)
        for number in range(writer.chunks_done, len(CHUNKS)):
            writer.append(*chunk(number))
            time.sleep(pause)
        return writer.finish(note={"origin": "real", "role": "all"})


def everything(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What a run that nobody disturbs leaves."""
    return everything(make(tmp_path_factory.mktemp("undisturbed") / "U").path)


def test_rows_and_pixels_come_back_in_place(tmp_path: Path) -> None:
    artifact = make(tmp_path / "C")
    cohort = open_cohort(tmp_path / "C")
    expected = np.concatenate([chunk(i)[0] for i in range(len(CHUNKS))])
    assert isinstance(cohort.pixels, np.memmap) and np.array_equal(cohort.pixels, expected)
    assert len(cohort) == 15 and cohort.image_shape == (Y, X) and cohort.id == artifact.id
    assert cohort.rows.column("row_id").to_pylist() == list(range(15))
    files = [row["file"] for i in range(len(CHUNKS)) for row in chunk(i)[1]]
    assert cohort.rows.column("file").to_pylist() == files
    assert (
        cohort.labels[2] == ["x", "x"] and cohort.has_patients and cohort.in_use.tolist() == list(range(15))
    )
    assert json.loads(cohort.rows.column("facts")[0].as_py()) == {"bits": 12}
    unit = cohort.unit([14, 0])
    assert unit.dtype == np.float32
    assert np.allclose(unit, expected[[14, 0]] / 65535, atol=1e-7) and 0 <= unit.min() <= unit.max() <= 1
    assert artifact.manifest["refused"]["counts"] == {"no pixels": 3}
    assert artifact.manifest["refused"]["files"][1] == ["2/bad.png", "no pixels"]
    assert artifact.manifest["rows"] == 15 and artifact.manifest["dtype"] == "uint16"


def test_killed_anywhere_and_called_again_gives_the_same_bytes(
    tmp_path: Path, undisturbed: dict[str, bytes]
) -> None:
    draw, kills = random.Random(5), 0
    for _ in range(200):  # however fast the machine is, some of these hit
        child = os.fork()
        if child == 0:
            make(tmp_path / "C", pause=0.004)
            os._exit(0)
        time.sleep(draw.uniform(0.002, 0.06))
        os.kill(child, signal.SIGKILL)
        kills += os.WIFSIGNALED(os.waitpid(child, 0)[1])
        if kills >= 8:
            break
        if (tmp_path / "C").exists():
            assert everything(tmp_path / "C") == undisturbed
            shutil.rmtree(tmp_path / "C")
    assert kills >= 8
    assert everything(make(tmp_path / "C").path) == undisturbed


@settings(max_examples=12, deadline=None)
@given(st.integers(0, len(CHUNKS)), st.integers(0, 400), st.integers(0, 400))
def test_a_torn_end_is_cut_back_to_the_last_whole_chunk(
    tmp_path_factory: pytest.TempPathFactory,
    undisturbed: dict[str, bytes],
    done: int,
    journal_loss: int,
    pixel_loss: int,
) -> None:
    """The power fails: the tails of both files are lost independently of each other."""
    folder = tmp_path_factory.mktemp("torn")
    with pytest.raises(KeyboardInterrupt), Draft(folder / "C", REQUEST) as draft:
        writer = CohortWriter(draft, (Y, X), np.uint16)
        for number in range(done):
            writer.append(*chunk(number))
        writer.close()
        for path, loss in (
            (draft.scratch("rows.jsonl"), journal_loss),
            (draft.file("pixels.npy"), pixel_loss),
        ):
            os.truncate(path, max(0, path.stat().st_size - loss))
        raise KeyboardInterrupt
    assert everything(make(folder / "C").path) == undisturbed


def test_resume_does_not_write_what_stands_again(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), Draft(tmp_path / "C", REQUEST) as draft:
        writer = CohortWriter(draft, (Y, X), np.uint16)
        for number in range(4):
            writer.append(*chunk(number))
        raise KeyboardInterrupt
    with Draft(tmp_path / "C", REQUEST) as draft:
        writer = CohortWriter(draft, (Y, X), np.uint16)
        assert (writer.chunks_done, writer.rows_done) == (4, 8)
        writer.close()


@given(st.lists(st.integers(0, 10**7), min_size=3, max_size=3), st.sampled_from([np.uint8, np.uint16]))
def test_the_header_is_a_header(shape: list[int], dtype: type) -> None:
    header = _npy_header(tuple(shape), np.dtype(dtype))
    assert len(header) == 128
    stream = io.BytesIO(header)
    assert np.lib.format.read_magic(stream) == (1, 0)
    assert np.lib.format.read_array_header_1_0(stream) == (tuple(shape), False, np.dtype(dtype))
    assert stream.tell() == 128


def test_marked_rows_stay_and_are_not_in_use(tmp_path: Path) -> None:
    with Draft(tmp_path / "C", REQUEST) as draft:
        writer = CohortWriter(draft, (Y, X), np.uint8)
        rows = [
            {"file": "a"},
            {"file": "b", "mark": "constant image", "patient": None},
            {"file": "c", "patient": "p"},
        ]
        writer.append(np.full((3, Y, X), 255, dtype=np.uint8), rows)
        writer.finish()
    cohort = open_cohort(tmp_path / "C")
    assert len(cohort) == 3 and cohort.in_use.tolist() == [0, 2] and not cohort.has_patients
    assert cohort.patients.tolist() == [None, None, "p"] and cohort.unit([0]).max() == 1.0


def test_a_subset_keeps_order_marks_and_origin(tmp_path: Path) -> None:
    make(tmp_path / "C")
    cohort = open_cohort(tmp_path / "C")
    rows = np.array([11, 2, 7])
    for out in ("one", "two"):
        with Draft(tmp_path / out, Request("cohort", {"part": 1}, parents={"cohort": cohort.id})) as draft:
            write_subset(draft, cohort, rows, note={"role": "train"})
    part = open_cohort(tmp_path / "one")
    assert np.array_equal(part.pixels, cohort.pixels[rows])
    assert part.rows.column("file").to_pylist() == [cohort.rows.column("file")[int(r)].as_py() for r in rows]
    assert [json.loads(f)["source_row"] for f in part.rows.column("facts").to_pylist()] == [11, 2, 7]
    assert part.artifact.lineage == {"cohort": cohort.id} and part.artifact.manifest["role"] == "train"
    assert everything(tmp_path / "one") == everything(tmp_path / "two")


def test_nothing_is_not_a_cohort(tmp_path: Path) -> None:
    with pytest.raises(EmptyCohort), Draft(tmp_path / "C", REQUEST) as draft:
        CohortWriter(draft, (Y, X), np.uint8).finish()
    assert list(tmp_path.iterdir()) == []
    with Draft(tmp_path / "C", REQUEST) as draft:
        writer = CohortWriter(draft, (Y, X), np.uint8)
        writer.append(np.zeros((1, Y, X), dtype=np.uint8), [{"file": "a", "mark": "constant image"}])
        writer.finish()
    with pytest.raises(EmptyCohort):
        open_cohort(tmp_path / "C")


def test_rows_that_do_not_fit_the_pixels(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), Draft(tmp_path / "C", REQUEST) as draft:
        for dtype in (np.float32, np.int16):
            with pytest.raises(ValueError):
                CohortWriter(draft, (Y, X), dtype)
        writer = CohortWriter(draft, (Y, X), np.uint8)
        for pixels, rows in ((np.zeros((2, Y, X)), [{"file": "a"}]), (np.zeros((1, X, Y)), [{"file": "a"}])):
            with pytest.raises(ValueError):
                writer.append(pixels, rows)
        assert writer.chunks_done == 0
        raise ZeroDivisionError
    make(tmp_path / "D")
    pq.write_table(row_table([{"file": "a"}]), tmp_path / "D" / "rows.parquet")
    with pytest.raises(ArtifactBroken, match="was changed"):
        open_cohort(tmp_path / "D")
    with pytest.raises(ArtifactBroken, match="do not match"):
        open_cohort(tmp_path / "D", verify=False)
    with Draft(tmp_path / "M", Request("model", {})) as draft:
        draft.commit()
    with pytest.raises(ArtifactKindMismatch):
        open_cohort(tmp_path / "M")


@given(
    st.lists(
        st.fixed_dictionaries(
            {"file": st.text(max_size=5)},
            optional={
                "patient": st.none() | st.text(max_size=5),
                "labels": st.none() | st.lists(st.text(max_size=3), max_size=2),
                "facts": st.none()
                | st.dictionaries(st.text(max_size=3), st.integers(-(2**31), 2**31), max_size=2),
                "route": st.sampled_from(["rescale", "percentile"]),
                "mark": st.none() | st.text(max_size=3),
            },
        ),
        max_size=4,
    )
)
def test_rows_become_a_table_of_the_schema(rows: list[dict]) -> None:
    table = row_table(rows)
    assert table.schema == ROW_SCHEMA and table.column("row_id").to_pylist() == list(range(len(rows)))
    for row, found in zip(rows, table.to_pylist(), strict=True):
        assert found["file"] == row["file"] and found["patient"] == row.get("patient")
        assert found["labels"] == (row.get("labels") or []) and found["mark"] == row.get("mark")
        assert json.loads(found["facts"]) == (row.get("facts") or {})
        assert found["route"] == row.get("route", "full range")
