"""split: no patient in both, sizes as asked, resume between the two, and clear refusals."""

from pathlib import Path

import numpy as np
import pytest

from medaudit.artifacts.cohort import CohortWriter, open_cohort
from medaudit.artifacts.store import Draft, Request
from medaudit.errors import OutputExists, UsageProblem
from medaudit.stages import split

FILMS = 23


def cohort(path: Path, people: list[str | None], marks: dict[int, str] | None = None) -> Path:
    rng = np.random.Generator(np.random.Philox(1))
    pixels = rng.integers(0, 256, (len(people), 4, 5)).astype(np.uint8)
    rows = [
        {"file": f"f{i}", "patient": patient, "mark": (marks or {}).get(i), "facts": {"n": i}}
        for i, patient in enumerate(people)
    ]
    with Draft(path, Request("cohort", {"people": len(people)})) as draft:
        writer = CohortWriter(draft, (4, 5), np.uint8)
        writer.append(pixels, rows)
        writer.finish(note={"origin": "real", "role": "all", "layout": "plain", "warnings": ["mind the gap"]})
    return path


def people(count: int = FILMS) -> list[str | None]:
    return [f"p-{i // 2}" for i in range(count)]


def test_halves(tmp_path: Path) -> None:
    source = cohort(tmp_path / "C", people())
    outcome = split.run(source, tmp_path / "T", tmp_path / "H")
    whole, train, holdout = (open_cohort(tmp_path / name) for name in "CTH")
    assert not set(train.patients) & set(holdout.patients)
    assert len(train) + len(holdout) == FILMS
    assert len(set(train.patients)) == 6 and len(set(holdout.patients)) == 6
    for part, role in ((train, "train"), (holdout, "holdout")):
        facts = part.artifact.manifest
        assert (facts["role"], facts["origin"], facts["warnings"]) == (role, "real", ["mind the gap"])
        assert part.artifact.lineage == {"cohort": whole.id}
        files = part.rows.column("file").to_pylist()
        order = [int(name[1:]) for name in files]
        assert order == sorted(order)
        assert np.array_equal(part.pixels, whole.pixels[order])
    assert outcome.data["train"]["patients"] == 6 and outcome.data["patients_left_out"] == 0


def test_numbers_of_patients_and_what_is_left_out(tmp_path: Path) -> None:
    source = cohort(tmp_path / "C", people())
    outcome = split.run(source, tmp_path / "T", tmp_path / "H", train_patients=3, holdout_patients=5)
    assert len(set(open_cohort(tmp_path / "T").patients)) == 3
    assert len(set(open_cohort(tmp_path / "H").patients)) == 5
    assert outcome.data["patients_left_out"] == 4
    assert any("4 patients left out" in line for line in outcome.lines)


def test_seed_decides_and_repeats(tmp_path: Path) -> None:
    source = cohort(tmp_path / "C", people())
    files = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        split.run(source, tmp_path / f"T{name}", tmp_path / f"H{name}", seed=seed)
        files.append(open_cohort(tmp_path / f"T{name}").rows.column("file").to_pylist())
    assert files[0] == files[1] != files[2]


def test_killed_between_the_two_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = cohort(tmp_path / "C", people())
    split.run(source, tmp_path / "T1", tmp_path / "H1")
    write = split.write_subset

    def killed(draft: Draft, *args: object, **named: object) -> object:
        if draft.out.name == "H":
            raise KeyboardInterrupt
        return write(draft, *args, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(split, "write_subset", killed)
    with pytest.raises(KeyboardInterrupt):
        split.run(source, tmp_path / "T", tmp_path / "H")
    monkeypatch.setattr(split, "write_subset", write)
    split.run(source, tmp_path / "T", tmp_path / "H")
    for name in "TH":
        assert open_cohort(tmp_path / name).id == open_cohort(tmp_path / f"{name}1").id
    assert (
        split.run(source, tmp_path / "T", tmp_path / "H").data["train"]["id"]
        == open_cohort(tmp_path / "T").id
    )


def test_a_taken_folder_stops_it_before_anything_is_written(tmp_path: Path) -> None:
    source = cohort(tmp_path / "C", people())
    (tmp_path / "H").mkdir()
    (tmp_path / "H/notes").write_text("mine")
    with pytest.raises(OutputExists):
        split.run(source, tmp_path / "T", tmp_path / "H")
    assert not (tmp_path / "T").exists()


def test_rows_set_aside_stay_with_their_patient(tmp_path: Path) -> None:
    source = cohort(
        tmp_path / "C", people(8), marks={1: "near-duplicate", 6: "near-duplicate", 7: "near-duplicate"}
    )
    split.run(source, tmp_path / "T", tmp_path / "H", train_patients=2)
    parts = [open_cohort(tmp_path / name) for name in "TH"]
    assert sum(len(part) for part in parts) == 6  # the fourth patient has no film in use
    assert sum(len(part.in_use) for part in parts) == 5
    assert not set(parts[0].patients) & set(parts[1].patients)


def test_without_patients(tmp_path: Path) -> None:
    source = cohort(tmp_path / "C", [None, *people(6)])
    with pytest.raises(UsageProblem, match=r"1 films of .* name no patient"):
        split.run(source, tmp_path / "T", tmp_path / "H")
    split.run(source, tmp_path / "T", tmp_path / "H", one_image_one_patient=True)
    assert len(open_cohort(tmp_path / "T")) + len(open_cohort(tmp_path / "H")) == 7


@pytest.mark.parametrize(
    "options", [{"fraction": 1.0}, {"train_patients": 12}, {"train_patients": 9, "holdout_patients": 9}]
)
def test_what_cannot_be_split(tmp_path: Path, options: dict) -> None:
    source = cohort(tmp_path / "C", people())
    with pytest.raises(UsageProblem, match="cannot be split so"):
        split.run(source, tmp_path / "T", tmp_path / "H", **options)
    with pytest.raises(UsageProblem, match="two folders"):
        split.run(source, tmp_path / "T", tmp_path / "T")
    assert not (tmp_path / "T").exists()


def test_the_key_of_the_pseudonyms_stays_known(tmp_path: Path) -> None:
    """A ledger compares patients of two cohorts only under one key."""
    with Draft(tmp_path / "C", Request("cohort", {"key": "0f1e2d3c"})) as draft:
        writer = CohortWriter(draft, (3, 5), np.uint8)
        writer.append(
            np.zeros((8, 3, 5), np.uint8), [{"file": f"{i}", "patient": f"p-{i}"} for i in range(8)]
        )
        writer.finish(note={"origin": "real", "role": "all"})
    split.run(tmp_path / "C", tmp_path / "A", tmp_path / "B")
    split.run(tmp_path / "A", tmp_path / "D", tmp_path / "E")
    assert {open_cohort(tmp_path / name).key for name in "ABCDE"} == {"0f1e2d3c"}
