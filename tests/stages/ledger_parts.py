"""Small cohorts for the tests of the ledger: T and H as an audit needs them, and synthetic cohorts of two models."""

from collections.abc import Sequence
from pathlib import Path

import audit_parts as parts
import numpy as np

from medaudit.artifacts.store import open_artifact

# 60 plants of each kind: enough for the power of 0.9 that the second audit has to show at 99.2 %.
SETTINGS = {"plants": 60}
FIRST, SECOND = range(800, 824), range(900, 924)


def names(people: Sequence[int]) -> list[str | None]:
    """Pseudonyms as ingest makes them."""
    return [f"p-{person:016x}" for person in people]


def real(path: Path, people: Sequence[int], role: str) -> Path:
    """A real cohort: a film of each, a second one of every third."""
    again = people[::3]
    films = np.concatenate([parts.films(people), parts.films(again, exposure=1)])
    parts.write(path, films, names([*people, *again]), role=role)
    return path


def synthetic(path: Path, films: np.ndarray, train: Path, model: str = "01", dtype: type = np.uint8) -> Path:
    """A synthetic cohort that says which model, trained on which cohort, made it."""
    parents = {"train": open_artifact(train).id, "model": model * 32}
    parts.write(path, films, [None] * len(films), role="synthetic", parents=parents, dtype=dtype)
    return path


def world(folder: Path) -> None:
    """T, H, and two synthetic cohorts S1 and S2 of unseen people, of two models that were trained on T."""
    real(folder / "T", range(60), "train")
    real(folder / "H", range(500, 560), "holdout")
    synthetic(folder / "S1", parts.films(FIRST), folder / "T", "01")
    synthetic(folder / "S2", parts.films(SECOND), folder / "T", "02", np.uint16)
