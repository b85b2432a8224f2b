"""Planted truth: real unseen people are useful; noise, blur, collapse, dropped modes and other labels are told."""

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from medaudit.artifacts.cohort import CohortWriter, open_cohort
from medaudit.artifacts.store import Draft, Request
from medaudit.images.intensity import to_depth
from medaudit.images.phantom import phantom
from medaudit.protocol import utility as room
from medaudit.protocol.sides import Side
from medaudit.protocol.utility import judge_utility, utility_line

SHAPE = (48, 40)
UNSEEN, POSING = 90, 45


def rng(seed: int = 3) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(seed))


@pytest.fixture(scope="module")
def films() -> tuple[np.ndarray, np.ndarray]:
    """Phantoms of unseen people (90) and of others who pose as synthetic (45)."""
    made = np.stack([phantom(patient, 0, SHAPE) for patient in range(1, UNSEEN + POSING + 1)])
    return made[:UNSEEN], made[UNSEEN:]


def side(path: Path, images: np.ndarray, role: str, labels: list[list[str]] | None = None) -> Side:
    people = [None] * len(images) if role == "synthetic" else [f"p-{i}" for i in range(len(images))]
    rows = [
        {"file": str(i), "patient": who, "labels": (labels or [[]] * len(images))[i]}
        for i, who in enumerate(people)
    ]
    with Draft(path, Request("cohort", {"name": path.name}, 0, {})) as draft:
        writer = CohortWriter(draft, images.shape[1:], np.uint8)
        writer.append(to_depth(images, np.uint8), rows)
        writer.finish(note={"origin": "real" if role == "holdout" else "synthetic", "role": role})
    return Side.of(open_cohort(path))


def planted(kind: str, unseen: np.ndarray, posing: np.ndarray) -> np.ndarray:
    r = rng(5)
    return {
        "people": lambda: posing,
        "noise": lambda: r.random(posing.shape),
        "blurred": lambda: ndimage.gaussian_filter(posing, (0, 1.2, 1.2)),
        "one film": lambda: np.repeat(posing[:1], POSING, axis=0),
        "four films": lambda: np.clip(posing[np.arange(POSING) % 4] + r.normal(0, 0.004, posing.shape), 0, 1),
        "grainy": lambda: np.clip(posing + r.normal(0, 0.06, posing.shape), 0, 1),
        "darker": lambda: posing**3,
        "other objects": lambda: np.rot90(posing[:, :40], axes=(1, 2)).repeat(2, axis=1)[:, :48],
        "half upside down": lambda: np.concatenate([posing[:23], posing[23:, ::-1]]),
        "flat": lambda: np.full(posing.shape, 0.5),
        "average": lambda: np.repeat(unseen.mean(axis=0)[None], POSING, axis=0),
    }[kind]()


EXPECTED: dict[str, set[str]] = {
    "people": set(),
    "noise": {"noise"},
    "blurred": {"blurred"},
    "one film": {"collapsed"},
    "four films": {"collapsed"},
    "grainy": {"grainy"},
    "darker": {"brightness"},
    "other objects": {"unlike"},
    "half upside down": {"partly unlike"},
    "flat": {"blurred", "brightness"},
    "average": {"blurred"},
}


@pytest.mark.parametrize("kind", EXPECTED)
def test_planted_sets_are_called_what_they_are(
    kind: str, films: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    images = planted(kind, *films).astype(np.float32)
    found = judge_utility(
        side(tmp_path / "S", images, "synthetic"), side(tmp_path / "H", films[0], "holdout"), 0
    )
    assert found is not None and found.each == POSING and found.people == UNSEEN and found.labels is None
    assert found.density.real == pytest.approx(1, abs=0.15) and found.coverage.real > 0.9
    expected = EXPECTED[kind]
    assert set(found.faults) >= expected and bool(found.faults) == bool(expected), found.faults
    assert len(found.wording) == max(1, len(found.faults))
    (line,) = utility_line(found)
    assert line.startswith("utility (no part of the verdict): ") and found.wording[0] in line


def test_half_of_the_modes_dropped(films: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    """Two kinds of film, upright and lying; a generator that makes only one of them covers about half."""
    both = np.concatenate([films[0][:60], films[0][30:][:, ::-1]])
    kept = films[1]
    found = judge_utility(side(tmp_path / "S", kept, "synthetic"), side(tmp_path / "H", both, "holdout"), 0)
    assert found is not None
    assert found.coverage.value == pytest.approx(0.5, abs=0.08) and found.coverage.real > 0.9
    assert set(found.faults) & {"narrow", "collapsed"}


def test_labels_are_compared_where_both_sides_have_them(
    films: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    unseen = [["sick"] if i % 2 else ["well"] for i in range(UNSEEN)]
    cases = {
        "same": [["sick"] if i % 2 else ["well"] for i in range(POSING)],
        "all well": [["well"]] * POSING,
        "unknown": [[]] * POSING,
    }
    holdout = side(tmp_path / "H", films[0], "holdout", unseen)
    seen = {}
    for name, labels in cases.items():
        seen[name] = judge_utility(side(tmp_path / name, films[1], "synthetic", labels), holdout, 0)
        assert seen[name] is not None
    assert seen["unknown"].labels is None and seen["unknown"].faults == []
    assert seen["same"].labels.value == pytest.approx(0, abs=0.12) and seen["same"].faults == []
    assert seen["all well"].labels.value == pytest.approx(0.5, abs=0.12) and seen["all well"].faults == [
        "labels"
    ]


def test_large_cohorts_are_sampled_and_the_record_says_so(
    films: tuple[np.ndarray, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "IMAGES", 20)
    monkeypatch.setattr(room, "PEOPLE", 40)
    sides = (
        side(tmp_path / "S", films[1], "synthetic"),
        side(tmp_path / "H", films[0], "holdout"),
    )
    found, again, other = (judge_utility(*sides, seed) for seed in (0, 0, 1))
    assert found is not None and found == again and found != other
    assert (found.images, found.of, found.people, found.of_people, found.each) == (
        20,
        POSING,
        40,
        UNSEEN,
        20,
    )


def test_a_person_with_many_films_counts_once(films: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    holdout = side(tmp_path / "H", films[0], "holdout")
    groups = np.arange(UNSEEN) // 3
    few = Side(holdout.cohort, holdout.rows, holdout.names, groups)
    found = judge_utility(side(tmp_path / "S", films[1], "synthetic"), few, 0)
    assert found is not None and found.people == UNSEEN // 3 and found.each == UNSEEN // 6


def test_too_few_people_or_images_say_nothing(films: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    holdout = side(tmp_path / "H", films[0][:19], "holdout")
    assert judge_utility(side(tmp_path / "S", films[1], "synthetic"), holdout, 0) is None
    assert "needs 10 images and 20 unseen people" in utility_line(None)[0]
