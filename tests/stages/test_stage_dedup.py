"""dedup: repeated films are marked and never dropped, groups across patients stand apart, near is not the same."""

from pathlib import Path
from typing import Any

import audit_parts as parts
import numpy as np
import pyarrow.parquet as pq
import pytest

from medaudit.artifacts.cohort import open_cohort
from medaudit.artifacts.store import file_sha256
from medaudit.errors import CohortMismatch, EmptyCohort
from medaudit.images.transforms import add_noise, jpeg
from medaudit.stages import dedup
from medaudit.stages.outcome import Outcome

FIRST = 30  # films of different people, rows 0 … 29
TWINS = (3, 3, 11, 20)  # rows 30 … 33: re-encodings of these
OWNERS = (3, 3, 11, 99)  # the last under another patient


def run(source: Path, out: Path, **options: Any) -> Outcome:
    return dedup.run(source, out, device="cpu", **options)


def groups(out: Path) -> list[dict[str, Any]]:
    table = pq.read_table(out / dedup.GROUPS)
    assert table.schema.equals(dedup.GROUP_SCHEMA)
    return table.to_pylist()


@pytest.fixture(scope="module")
def repeated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repeated")
    rng = parts.generator(1)
    twins = [
        parts.film(3),
        add_noise(parts.film(3), 0.015, rng),
        jpeg(parts.film(11), 80),
        add_noise(parts.film(20), 0.01, rng),
    ]
    images = np.concatenate([parts.films(range(FIRST)), np.stack(twins), parts.films([5], exposure=1)])
    patients = parts.names([*range(FIRST), *OWNERS, 5])
    parts.write(folder / "C", images, patients, role="all", marks={7: "looked odd"})
    return folder


def test_every_repeat_is_marked_and_the_first_stays(repeated: Path) -> None:
    outcome = run(repeated / "C", repeated / "C2")
    before, after = open_cohort(repeated / "C"), open_cohort(repeated / "C2")
    assert np.array_equal(before.pixels, after.pixels)
    assert after.rows.column("file").to_pylist() == before.rows.column("file").to_pylist()
    marks = after.rows.column("mark").to_pylist()
    expected = {7: "looked odd"} | dict.fromkeys(range(30, 34), dedup.REPEATED)
    assert {row: mark for row, mark in enumerate(marks) if mark is not None} == expected
    found = {(row["row"], row["group"]): row for row in groups(repeated / "C2")}
    assert set(found) == {(3, 3), (30, 3), (31, 3), (11, 11), (32, 11), (20, 20), (33, 20)}
    assert found[30, 3]["distance"] == 0 and 0 < found[33, 20]["distance"] < 0.02
    assert [key for key, row in found.items() if row["across_patients"]] == [(20, 20), (33, 20)]
    assert found[33, 20]["patient"] == "p-0099"
    assert outcome.data["groups"] == 3 and outcome.data["groups_across_patients"] == 1
    assert outcome.data["set_aside"] == 4 and outcome.data["in_use"] == 30
    assert "1" in outcome.lines[1] and "different patients" in outcome.lines[1]
    facts = after.artifact.manifest
    assert (facts["role"], facts["origin"], facts["lineage"]) == ("all", "real", {"cohort": before.id})


def test_a_second_run_finds_nothing_and_the_same_call_nothing_to_do(repeated: Path) -> None:
    run(repeated / "C", repeated / "C2")
    stood = file_sha256(repeated / "C2" / "manifest.json")
    run(repeated / "C", repeated / "C2")
    assert file_sha256(repeated / "C2" / "manifest.json") == stood
    run(repeated / "C2", repeated / "C3")
    assert groups(repeated / "C3") == []
    assert np.array_equal(open_cohort(repeated / "C3").in_use, open_cohort(repeated / "C2").in_use)


def test_follow_up_films_are_not_duplicates(tmp_path: Path) -> None:
    images = np.concatenate([parts.films(range(20)), parts.films(range(20), exposure=1)])
    parts.write(tmp_path / "C", images, parts.names([*range(20), *range(20)]), role="all")
    assert run(tmp_path / "C", tmp_path / "C2").data["groups"] == 0


def test_films_of_another_cohort_are_set_aside(repeated: Path) -> None:
    rng = parts.generator(2)
    other = np.stack([parts.film(400), add_noise(parts.film(14), 0.01, rng), parts.film(33)])
    parts.write(repeated / "other", other, parts.names([400, 401, 402]), role="all", marks={0: "x"})
    outcome = run(repeated / "C", repeated / "C4", against=repeated / "other")
    after = open_cohort(repeated / "C4")
    assert after.rows.column("mark").to_pylist()[14] == dedup.ELSEWHERE
    found = {row["row"]: row for row in groups(repeated / "C4")}
    assert found[14]["other_row"] == 1 and found[14]["distance"] is None
    assert [row for row, entry in found.items() if entry["other_row"] is not None] == [14]
    assert outcome.data["rows_in_both_cohorts"] == 1
    assert after.artifact.lineage["against"] == open_cohort(repeated / "other").id


def test_without_patients_and_with_one_film(tmp_path: Path) -> None:
    images = np.stack([parts.film(1), parts.film(2), parts.film(1)])
    parts.write(tmp_path / "C", images, [None] * 3, role="synthetic")
    assert run(tmp_path / "C", tmp_path / "C2").data["set_aside"] == 1
    parts.write(tmp_path / "one", images[:1], [None], role="all")
    assert run(tmp_path / "one", tmp_path / "two").data["in_use"] == 1


def test_errors_write_nothing(tmp_path: Path) -> None:
    parts.write(tmp_path / "C", parts.films([1, 2, 3]), parts.names([1, 2, 3]), role="all")
    parts.write(tmp_path / "small", parts.films([1])[:, 1:], [None], role="all")
    with pytest.raises(CohortMismatch, match="--size"):
        run(tmp_path / "C", tmp_path / "C2", against=tmp_path / "small")
    with pytest.raises(EmptyCohort, match="nothing is left"):
        run(tmp_path / "C", tmp_path / "C2", against=tmp_path / "C")
    assert not (tmp_path / "C2").exists() and not (tmp_path / ".C2.partial").exists()


@pytest.mark.real
def test_identical_films_of_the_real_set_are_found(tmp_path: Path, real_data: Path) -> None:
    """Against a twin that compares bytes; no two children share a film."""
    with np.load(real_data / "pneumoniamnist" / "pneumoniamnist_dev.npz", allow_pickle=False) as archive:
        images, people = archive["images"][:1500], archive["patient_id"].astype(str)[:1500]
    parts.write(tmp_path / "C", images / np.float32(255), list(people), role="all")
    outcome = run(tmp_path / "C", tmp_path / "C2")
    first: dict[bytes, int] = {}
    repeats = {row for row, image in enumerate(images) if first.setdefault(image.tobytes(), row) != row}
    assert len(repeats) >= 5
    used = set(open_cohort(tmp_path / "C2").in_use.tolist())
    assert not repeats & used and len(used) >= 1500 - 2 * len(repeats)
    assert outcome.data["groups_across_patients"] == 0
