"""The generative control: whose copy an image is, power counted by hand, and what cannot be run.

Axes: n generated images, k films, M images of T; (Y, X) pixels unequal.
"""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from medaudit import config
from medaudit.artifacts.cohort import CohortWriter, open_cohort
from medaudit.artifacts.findings import Audit, open_audit, read_matches
from medaudit.artifacts.store import Draft, Request, file_sha256
from medaudit.config import AuditSettings, GenerativeSettings
from medaudit.generators import overtrained as room
from medaudit.images.intensity import to_depth
from medaudit.progress import SILENT
from medaudit.protocol.described import Machine
from medaudit.protocol.generative import Generated, _distances, generate_copies
from medaudit.protocol.sides import Side
from medaudit.stages import audit
from medaudit.stats.intervals import clopper_pearson
from medaudit.stats.reasons import generative_sentences

SHAPE = (22, 17)
NOBODY = np.zeros(0, dtype=np.int64)
FEW = ("identity", "mirror")


def film(person: int) -> np.ndarray:
    """(Y, X) float32 in [0, 1]: smooth, of its own."""
    rng = np.random.default_rng(person)
    own = ndimage.gaussian_filter(rng.standard_normal(SHAPE), 1.7)
    return np.clip(0.5 + own / own.std() / 8, 0, 1).astype(np.float32)


def side(folder: Path, images: np.ndarray, patients: list[int], name: str = "T", role: str = "train") -> Side:
    """A cohort on disk; a negative patient has no id."""
    ids = [None if person < 0 else f"p-{person:03}" for person in patients]
    rows = [{"file": f"{i}.png", "patient": one} for i, one in enumerate(ids)]
    with Draft(folder / name, Request("cohort", {"name": name}, 0, {})) as draft:
        writer = CohortWriter(draft, images.shape[1:], np.uint8)
        writer.append(to_depth(images, np.uint8), rows, ())
        origin = "synthetic" if role == "synthetic" else "real"
        writer.finish(note={"origin": origin, "role": role, "layout": "plain"})
    return Side.of(open_cohort(folder / name))


def machine(folder: Path) -> Machine:
    return Machine("cpu", 1 << 28, SILENT, lambda name: folder / name)


def settings(**changes: Any) -> AuditSettings:
    return AuditSettings(generative=GenerativeSettings(**{"films": 5, "steps": 3, "images": 7, **changes}))


class Fake:
    """A model whose images are known: exact copies of films it was shown, blends, and noise."""

    def __init__(self, films: np.ndarray) -> None:
        self.films = films

    def sample(self, count: int, seed: int, progress: Any) -> np.ndarray:
        made = [self.films[0], self.films[0], self.films[3], self.films[1], self.films[3]]
        blend = (self.films[0] + self.films[1]) / 2
        noise = np.random.default_rng(0).random(self.films.shape[1:])
        return np.stack([*made, blend, noise])[:count].astype(np.float32)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """The films that the fake was shown, one entry for each time it was trained."""
    shown: list[np.ndarray] = []

    def overtrained(films: np.ndarray, *_: Any) -> Fake:
        shown.append(films)
        return Fake(films)

    monkeypatch.setattr(room, "overtrained", overtrained)
    return shown


def planted(tmp_path: Path) -> tuple[Side, Generated]:
    """Nine patients, every third with two films; five films are learnt."""
    patients = [*range(9), 0, 3, 6]
    train = side(tmp_path, np.stack([film(i) for i in range(12)]), patients)
    made = generate_copies(train, np.array([2]), settings(), 8, 4, machine(tmp_path))
    assert isinstance(made, Generated)
    return train, made


def test_whose_copies_they_are_is_known(tmp_path: Path, fake: list[np.ndarray]) -> None:
    train, made = planted(tmp_path)
    assert len(fake) == 1 and len(made.place) == 5 == len(set(train.groups[made.place]))
    assert 2 not in train.groups[made.place]  # a film of theirs stands under another patient too
    assert np.array_equal(fake[0], train.images(made.place))
    assert made.clear.tolist() == [True] * 5 + [False] * 2
    assert made.film[:5].tolist() == [0, 0, 3, 1, 3]
    images = made.images(slice(None))
    assert np.array_equal(images[:5], fake[0][[0, 0, 3, 1, 3]])
    assert np.array_equal(np.rint(images * 255) / np.float32(255), images)  # stored as the release is
    assert np.array_equal(made.images(np.array([4, 1])), images[[4, 1]])


def test_power_is_counted_over_clear_copies_and_their_patients(
    tmp_path: Path, fake: list[np.ndarray]
) -> None:
    train, made = planted(tmp_path)
    right, other = made.place[made.film], (made.place[made.film] + 1) % len(train)
    row = right.copy()
    row[1] = other[1]  # flagged, and another patient named
    lone = np.array([True, True, False, True, True, True, True])
    bench: Any = SimpleNamespace(judge=lambda found: SimpleNamespace(lone=lone))
    found: Any = SimpleNamespace(row=row)
    seen = made.seen_by(bench, found)
    assert seen[:5].tolist() == [True, False, False, True, True]
    record = made.weighed({"one": seen, "none": np.zeros(7, dtype=bool)}, 0.95)
    assert (record.films, record.generated, record.clear, record.patients) == (5, 7, 5, 3)
    assert record.power is not None and (record.power.count, record.power.of) == (3, 5)
    # Film 0: one of two copies found, film 3: one of two, film 1: its only one.
    assert record.power.low == clopper_pearson(1, 3).low and record.power.high == clopper_pearson(3, 3).high
    assert record.by_detector["one"] == record.power and record.by_detector["none"].count == 0
    assert record.median_rmse == 0 and record.learnt_at is None


def test_no_clear_copy_is_no_power(tmp_path: Path, fake: list[np.ndarray]) -> None:
    made = planted(tmp_path)[1]
    cloudy = Generated(**{**vars(made), "clear": np.zeros(7, dtype=bool)})
    record = cloudy.weighed({"one": np.ones(7, dtype=bool)}, 0.95)
    assert record.power is None and record.by_detector == {} and record.median_rmse is None
    assert record.patients == record.clear == 0 and record.generated == 7


def test_the_images_are_made_once(tmp_path: Path, fake: list[np.ndarray]) -> None:
    train, made = planted(tmp_path)
    again = generate_copies(train, np.array([2]), settings(), 8, 4, machine(tmp_path))
    assert isinstance(again, Generated) and len(fake) == 1
    assert np.array_equal(again.small, made.small) and np.array_equal(again.place, made.place)


def test_large_films_are_learnt_smaller(
    tmp_path: Path, fake: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medaudit.protocol.generative._LARGEST", 11)
    made = planted(tmp_path)[1]
    assert fake[0].shape == (5, 11, 8) and made.images(slice(0, 2)).shape == (2, *SHAPE)
    assert made.weighed({"one": np.ones(7, dtype=bool)}, 0.95).learnt_at == (11, 8)


def test_distances_against_a_twin() -> None:
    rng = np.random.default_rng(3)
    images, films = rng.random((19, 5, 3)).astype(np.float32), rng.random((4, 5, 3)).astype(np.float32)
    twin = [[np.sqrt(((image - film) ** 2).mean()) for film in films] for image in images]
    assert np.allclose(_distances(images, films), twin, rtol=1e-6)


@pytest.mark.parametrize(
    ("patients", "same", "words"),
    [
        ([0] * 6, False, "needs films of 4 training patients .* there is 1$"),
        ([0, 1, 2, 0, 1, 2], False, "there are 3$"),
        (list(range(6)), True, "all the same"),
    ],
)
def test_what_cannot_be_run_says_why(
    tmp_path: Path, fake: list[np.ndarray], patients: list[int], same: bool, words: str
) -> None:
    images = np.stack([film(0 if same else i) for i in range(6)])
    why = generate_copies(side(tmp_path, images, patients), NOBODY, settings(), 8, 0, machine(tmp_path))
    assert isinstance(why, str) and not fake
    assert re.search(words, why)


def test_training_that_ends_nowhere_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = SimpleNamespace(sample=lambda count, *_, **__: np.full((count, *SHAPE), np.nan, np.float32))
    monkeypatch.setattr(room, "overtrained", lambda *_: nowhere)
    train = side(tmp_path, np.stack([film(i) for i in range(6)]), list(range(6)))
    why = generate_copies(train, NOBODY, settings(), 8, 0, machine(tmp_path))
    assert why == "its training did not converge on these films"


def test_quick_controls_leave_it_out(tmp_path: Path, fake: list[np.ndarray]) -> None:
    train = side(tmp_path, np.stack([film(i) for i in range(6)]), list(range(6)))
    quick = settings().model_copy(update={"controls": "quick"})
    why = generate_copies(train, NOBODY, quick, 8, 0, machine(tmp_path))
    assert why == "left out to save time (controls: quick)" and not fake


def test_low_power_is_told_in_one_sentence() -> None:
    low, enough = clopper_pearson(20, 40), clopper_pearson(36, 40)
    said = generative_sentences(low, 7, 0.9)
    assert (
        len(said) == 1 and "40 copies" in said[0] and "7 training patients" in said[0] and "50.0 %" in said[0]
    )
    assert generative_sentences(enough, 7, 0.9) == []


@pytest.fixture
def cohorts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """T, H and S, where S holds two copies; two kinds are planted."""
    monkeypatch.setattr(config, "PLANTED_KINDS", FEW)
    side(tmp_path, np.stack([film(i) for i in range(30)]), list(range(30)))
    side(tmp_path, np.stack([film(100 + i) for i in range(30)]), list(range(100, 130)), "H", "holdout")
    s = np.stack([film(3), film(8), *(film(200 + i) for i in range(10))])
    side(tmp_path, s, [-1] * 12, "S", "synthetic")
    return tmp_path


def audited(folder: Path, name: str, **changes: Any) -> Audit:
    own = AuditSettings(
        plants=10, bootstrap=200, permutations=1000, required_kinds=FEW,
        generative=GenerativeSettings(films=6, steps=400, images=24),
    ).model_copy(update=changes)  # fmt: skip
    audit.run(folder / "T", folder / "H", folder / "S", folder / name, settings=own, device="cpu")
    return open_audit(folder / name)[1]


def test_a_model_that_memorises_is_caught_and_the_result_stays_as_it_was(
    cohorts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest, trained = room.overtrained, []
    monkeypatch.setattr(room, "overtrained", lambda *given: trained.append(1) or honest(*given))
    record = audited(cohorts, "A")
    made = record.controls.generative
    assert made is not None and record.controls.generative_not_run is None
    assert made.films == 6 and made.generated == 24 and made.clear >= 12 and made.patients >= 4
    assert made.median_rmse is not None and 0 < made.median_rmse < 0.05  # learnt, and no exact copy
    assert made.power is not None and made.power.of == made.clear and made.power.count >= 0.9 * made.clear
    assert made.power.low <= clopper_pearson(made.patients, made.patients).low
    assert "generative" not in record.controls.given_up and record.counts.flagged == 2

    quick = audited(cohorts, "B", controls="quick")
    assert quick.controls.generative is None and quick.controls.given_up[-1] == "generative"
    assert quick.controls.generative_not_run and quick.counts == record.counts
    assert read_matches(open_audit(cohorts / "A")[0]).equals(read_matches(open_audit(cohorts / "B")[0]))

    # Killed when the first detector has seen the images: what was made is not made again, and the bytes are the same.
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Generated, "seen_by", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        audited(cohorts, "C")
    before = len(trained)
    audited(cohorts, "C")
    assert len(trained) == before == 2
    assert file_sha256(cohorts / "A" / "audit.json") == file_sha256(cohorts / "C" / "audit.json")
