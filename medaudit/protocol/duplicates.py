"""Films that stand twice in the real data: which they are, and where the line was drawn.

A pair is a duplicate when both the RMSE and the local-contrast distance are within what a mild re-encoding does to
one film of this very cohort; see stats/duplicates.duplicate_line. Axes: M images, n pairs.
"""

from dataclasses import dataclass

import numpy as np

from medaudit import seeds
from medaudit.detectors import VECTOR_DETECTORS, VectorDetector
from medaudit.images.transforms import add_noise, jpeg
from medaudit.protocol.described import Described, Machine
from medaudit.protocol.sides import Picked, Side
from medaudit.stats.duplicates import duplicate_line, pair_distances, unordered_pairs

_BY_NAME = {detector.name: detector for detector in VECTOR_DETECTORS}
SEARCHED, CHECKED = _BY_NAME["local-contrast"], _BY_NAME["rmse"]
_SAMPLE = 200  # films that are re-encoded to draw the line
_NEAREST = 8  # candidates of each film
_NOISE = 0.02  # of the pixel range
_QUALITY = 75  # of JPEG


@dataclass(frozen=True)
class Pairs:
    """(n, 2) places of near-duplicates (smaller first within one side), and their RMSE (n,)."""

    places: np.ndarray
    distance: np.ndarray

    def __len__(self) -> int:
        return len(self.places)


@dataclass(frozen=True)
class Doubles:
    """Duplicates across patients in T, and between T and H; the patients of whom a film is in such a pair."""

    lines: dict[str, float]
    train: Pairs
    across: Pairs
    in_train: np.ndarray  # codes
    in_holdout: np.ndarray


def find_doubles(train: Side, holdout: Side, machine: Machine, seed: int) -> Doubles:
    """All near-duplicates that would void the reference."""
    asked = searched(train, machine)
    limits = lines(asked, machine, seed)
    own = within(asked, limits, machine, across_patients=True)
    across = between(asked, holdout, limits, machine)
    in_train = train.groups[np.concatenate([own.places.ravel(), across.places[:, 0]])]
    return Doubles(limits, own, across, np.unique(in_train), np.unique(holdout.groups[across.places[:, 1]]))


def searched(side: Side, machine: Machine) -> Described:
    """A side ready to be searched for candidates."""
    return Described.of(side, SEARCHED, machine)


def lines(asked: Described, machine: Machine, seed: int) -> dict[str, float]:
    """The largest distance of a duplicate, for each of the two detectors, from a sample of the side."""
    side = asked.side
    rng = seeds.generator(seed, "duplicates")
    places = np.sort(rng.permutation(len(side))[:_SAMPLE])
    films = side.images(places)
    twins = [*(add_noise(film, _NOISE, rng) for film in films), *(jpeg(film, _QUALITY) for film in films)]
    found = {}
    for detector in (SEARCHED, CHECKED):
        own = detector.describe(films)
        moved = pair_distances(np.concatenate([own, own]), detector.describe(np.stack(twins)))
        described = asked if detector is SEARCHED else Described.of(side, detector, machine)
        strangers = described.nearest(own[:, None], 1, side.groups, side.groups[places], machine)
        found[detector.name] = duplicate_line(moved, strangers.distance[:, 0])
    return found


def within(asked: Described, limits: dict[str, float], machine: Machine, *, across_patients: bool) -> Pairs:
    """Duplicates of one side: between patients only, or between any two rows."""
    side = asked.side
    groups = side.groups if across_patients else np.arange(len(side))
    left, right = _candidates(side, asked, groups, groups, limits, machine)
    return _checked(side, side, unordered_pairs(left, right), limits)


def between(asked: Described, asking: Side, limits: dict[str, float], machine: Machine) -> Pairs:
    """Films of `asking` that `asked` holds too: (place in asked, place in asking)."""
    asking_places, asked_places = _candidates(asking, asked, asked.side.groups, None, limits, machine)
    return _checked(asked.side, asking, np.stack([asked_places, asking_places], axis=1), limits)


def same_films(first: np.ndarray, second: np.ndarray, limits: dict[str, float]) -> np.ndarray:
    """(n, Y, X) and (n, Y, X) → (n,) bool: near-duplicates, film by film."""
    near = np.ones(len(first), dtype=bool)
    for detector in (SEARCHED, CHECKED) if len(first) else ():
        near &= film_distances(first, second, detector) <= limits[detector.name]
    return near


def film_distances(first: np.ndarray, second: np.ndarray, detector: VectorDetector = SEARCHED) -> np.ndarray:
    """(n, Y, X) and (n, Y, X) → (n,) distances, film by film."""
    return pair_distances(detector.describe(first), detector.describe(second))


def _candidates(
    asking: Side, asked: Described, groups: np.ndarray, leave_out: np.ndarray | None, limits: dict[str, float],
    machine: Machine,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """(n,) places in asking and (n,) in asked: the nearest few of each that lie within the first line."""
    left, right = [], []
    machine.progress.start("duplicates", len(asking))
    for part in asked.shares(len(asking), 1, machine):
        queries = SEARCHED.describe(asking.images(part))[:, None]
        without = None if leave_out is None else leave_out[part]
        found = asked.nearest(queries, _NEAREST, groups, without, machine)
        row, column = np.nonzero(found.distance <= limits[SEARCHED.name])
        left.append(np.arange(len(asking))[part][row])
        right.append(found.index[row, column])
        machine.progress.advance(len(found.index))
    return np.concatenate(left), np.concatenate(right)


def _checked(first: Side, second: Side, pairs: np.ndarray, limits: dict[str, float]) -> Pairs:
    """The pairs that lie within the second line too."""
    distance = [np.zeros(0)]
    for start in range(0, len(pairs), _SAMPLE):
        part = pairs[start : start + _SAMPLE]
        sides = (Picked(first, part[:, 0]), Picked(second, part[:, 1]))
        distance.append(pair_distances(*(CHECKED.describe(side.images(slice(None))) for side in sides)))
    measured = np.concatenate(distance)
    keep = measured <= limits[CHECKED.name]
    return Pairs(pairs[keep], measured[keep])
