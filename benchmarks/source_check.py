"""How often does the source check doubt honest halves, and which differences between T and H does it see?

    python benchmarks/source_check.py --data ../shared/data/kermany224 --other ../shared/data/nih64 --size 64

One film of each patient. Size: T and H are random halves of one source. Power: the films of H are edited, or come from
the other source. Rejected means p <= SOURCE_LEVEL. Data as benchmarks/real_films.py reads it.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from real_films import load

from medaudit import seeds
from medaudit.images.acquisition import acquisition
from medaudit.images.transforms import add_noise, blur, gamma, jpeg
from medaudit.stats.reference import draw_one_per_patient
from medaudit.stats.source_test import SourceTest, source_test

Edit = Callable[[np.ndarray, np.random.Generator], np.ndarray]
EDITS: dict[str, Edit] = {
    "gamma 0.9": lambda film, rng: gamma(film, 0.9),
    "JPEG quality 75": lambda film, rng: jpeg(film, 75),
    "JPEG quality 90": lambda film, rng: jpeg(film, 90),
    "blur, sigma 0.5 px": lambda film, rng: blur(film, 0.5),
    "noise, sigma 0.01": lambda film, rng: add_noise(film, 0.01, rng),
}


def compared(train: np.ndarray, holdout: np.ndarray, draws: int, rng: np.random.Generator) -> SourceTest:
    """The check of features of T's patients against those of H's."""
    in_train = np.arange(len(train) + len(holdout)) < len(train)
    return source_test(np.concatenate([train, holdout]), in_train, draws=draws, rng=rng)


def split(patient: np.ndarray, people: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Rows of T and of H: one film each of twice `people` patients, or of all there are."""
    rows = rng.permutation(draw_one_per_patient(patient, rng))[: 2 * people]
    return rows[: len(rows) // 2], rows[len(rows) // 2 :]


def size(own: np.ndarray, patient: np.ndarray, people: int, splits: int) -> None:
    """Print the share of honest splits at or under some levels."""
    found = []
    for turn in range(splits):
        rng = seeds.generator(turn, "size", people)
        train, holdout = split(patient, people, rng)
        found.append(compared(own[train], own[holdout], 1999, rng).p_value)
    shares = ", ".join(
        f"{np.mean(np.array(found) <= level):.4f} at {level}" for level in (0.001, 0.01, 0.05, 0.2)
    )
    print(f"honest halves of {people} + {people}, {splits} splits: {shares}", flush=True)


def power(
    own: np.ndarray, other: np.ndarray, patient: np.ndarray, people: int, splits: int, name: str
) -> None:
    """Print the share of splits rejected when H's films are those of `other`, row by row."""
    hits = 0
    for turn in range(splits):
        rng = seeds.generator(turn, "power", people)
        train, holdout = split(patient, people, rng)
        hits += compared(own[train], other[holdout], 1999, rng).rejects
    print(f"{name}, {people} + {people}: {hits} of {splits}", flush=True)


def main() -> None:
    """Parse the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="npz or folder with metadata.csv")
    parser.add_argument("--other", type=Path, default=None, help="films of another source")
    parser.add_argument("--size", type=int, default=64, help="pixels a side")
    parser.add_argument("--splits", type=int, default=200)
    arguments = parser.parse_args()
    images, patient = load(arguments.data, arguments.size)
    own = acquisition(images)
    for people in (60, 200, 980):
        size(own, patient, people, arguments.splits)
    for name, edit in EDITS.items():
        rng = seeds.generator(0, name)
        edited = acquisition(np.stack([edit(film, rng) for film in images]))
        for people in (25, 60, 200, 600):
            power(own, edited, patient, people, 30, name)
    if arguments.other is not None:
        films, names = load(arguments.other, arguments.size)
        strange = acquisition(films)
        for people in (15, 25, 58):
            hits = 0
            for turn in range(30):
                rng = seeds.generator(turn, "other", people)
                ours, theirs = (draw_one_per_patient(ids, rng) for ids in (patient, names))
                ours, theirs = rng.permutation(ours)[:people], rng.permutation(theirs)[:people]
                hits += compared(own[ours], strange[theirs], 1999, rng).rejects
            print(f"another source, {people} + {people}: {hits} of 30", flush=True)


if __name__ == "__main__":
    main()
