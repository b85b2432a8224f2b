"""Are T and H films of one source? One film of each patient, described by how it was taken and stored.

Axes: P patients of T and H together, F features.
"""

import numpy as np

from medaudit import seeds
from medaudit.artifacts.findings import SourceCheck
from medaudit.images.acquisition import FEATURES, acquisition
from medaudit.protocol.scoring import People
from medaudit.protocol.sides import Side
from medaudit.stats.reference import draw_one_per_patient
from medaudit.stats.source_test import SOURCE_LEVEL, source_test

_MOST_PEOPLE = 2000  # of each side: enough to see what matters
_PORTION = 1 << 20  # pixels described at once
_LEAST_SIDE = 8  # pixels


def compare_sources(train: Side, holdout: Side, draws: int, seed: int) -> SourceCheck | None:
    """None where images are too small to be described."""
    if min(train.cohort.image_shape) < _LEAST_SIDE:
        return None
    parts = [_features(side, seed, name) for name, side in (("train", train), ("holdout", holdout))]
    in_train = np.repeat([True, False], [len(part) for part in parts])
    found = source_test(
        np.concatenate(parts), in_train, draws=draws, rng=seeds.generator(seed, "source permutations")
    )
    return SourceCheck(
        p_value=found.p_value,
        level=SOURCE_LEVEL,
        differs=found.rejects,
        feature=FEATURES[found.feature],
        difference=found.difference,
        train_people=len(parts[0]),
        holdout_people=len(parts[1]),
        permutations=draws,
    )


def _features(side: Side, seed: int, name: str) -> np.ndarray:
    """(people, F): one film of each patient by seed, of at most _MOST_PEOPLE."""
    rng = seeds.generator(seed, "source", name)
    places = np.sort(rng.permutation(draw_one_per_patient(side.groups, rng))[:_MOST_PEOPLE])
    height, width = side.cohort.image_shape
    step = max(1, _PORTION // (height * width))
    return np.concatenate(
        [acquisition(side.images(places[start : start + step])) for start in range(0, len(places), step)]
    )


def fair_people(people: People, source: SourceCheck | None) -> People:
    """The unseen people who may say what is close: without the held-out ones when they are of another source.

    Films of another source lie farther from T, so with them in the reference everyone of T's source would look close.
    """
    if source is None or not source.differs or not len(people.train):
        return people
    return People(people.train, people.holdout[:0])
