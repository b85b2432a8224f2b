"""Small cohorts for the tests of audit and dedup: people whose films differ, follow-ups that resemble each other."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from medaudit.artifacts.cohort import CohortWriter
from medaudit.artifacts.store import Draft, Request
from medaudit.config import AuditSettings
from medaudit.images.intensity import to_depth

SHAPE = (36, 30)
FEW_KINDS = ("identity", "mirror")
QUICK: dict[str, Any] = {
    "plants": 40,
    "bootstrap": 200,
    "permutations": 1000,
    "controls": "quick",
    "required_kinds": FEW_KINDS,
}


def generator(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(seed))


def film(person: int, exposure: int = 0, shape: tuple[int, int] = SHAPE) -> np.ndarray:
    """(Y, X) float32 in [0, 1]: smooth anatomy of the person, a little of the exposure."""
    common = ndimage.gaussian_filter(generator(7).standard_normal(shape), 4)
    own = ndimage.gaussian_filter(generator(1000 + person).standard_normal(shape), 1.7)
    now = ndimage.gaussian_filter(generator(90_000 + 31 * person + exposure).standard_normal(shape), 1.7)
    image = common / common.std() + own / own.std() + 0.3 * now / now.std()
    return np.clip(0.5 + image / 8, 0, 1).astype(np.float32)


def films(people: Sequence[int], exposure: int = 0) -> np.ndarray:
    return np.stack([film(person, exposure) for person in people])


def names(people: Sequence[int]) -> list[str | None]:
    return [f"p-{person:04}" for person in people]


def write(
    path: Path,
    images: np.ndarray,
    patients: Sequence[str | None],
    *,
    role: str,
    origin: str | None = None,
    parents: dict[str, str] | None = None,
    marks: dict[int, str] | None = None,
    refused: Sequence[tuple[str, str]] = (),
    dtype: type = np.uint8,
) -> str:
    """Write a cohort and return its id."""
    origin = origin or ("synthetic" if role == "synthetic" else "real")
    rows = [
        {"file": f"{i:04}.png", "patient": patient, "mark": (marks or {}).get(i)}
        for i, patient in enumerate(patients)
    ]
    with Draft(path, Request("cohort", {"name": path.name}, 0, parents or {})) as draft:
        writer = CohortWriter(draft, images.shape[1:], dtype)
        writer.append(to_depth(images, dtype), rows, refused)
        return writer.finish(note={"origin": origin, "role": role, "layout": "plain"}).id


def settings(**changes: Any) -> AuditSettings:
    return AuditSettings(**{**QUICK, **changes})


def usual(
    folder: Path, synthetic: np.ndarray, train: int = 60, holdout: int = 60, **facts: Any
) -> tuple[Path, Path, Path]:
    """T and H (every third patient with a second film) and S in the folder; T's people count from 0, H's from 500."""
    for name, first, count, role in (("T", 0, train, "train"), ("H", 500, holdout, "holdout")):
        once, twice = range(first, first + count), range(first, first + count, 3)
        write(
            folder / name,
            np.concatenate([films(once), films(twice, exposure=1)]),
            names([*once, *twice]),
            role=role,
        )
    write(folder / "S", synthetic, [None] * len(synthetic), role="synthetic", **facts)
    return folder / "T", folder / "H", folder / "S"


UNSEEN = range(800, 824)


def rewrite(folder: Path, name: str, images: np.ndarray, people: list[str | None], **facts: Any) -> None:
    """Another cohort in the place of the one of this name, which is put aside."""
    (folder / name).rename(folder / f"old-{name}")
    write(folder / name, images, people, **facts)
