"""Whose images are they? Every generated image and every group's medoid against T, the medoids against H too.

Axes: G generated images, C cliques. The rules are the audit's, with alpha halved between single images and groups.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from medaudit.detectors import DETECTORS
from medaudit.protocol.described import Machine
from medaudit.protocol.examination import Examined
from medaudit.protocol.found import Found
from medaudit.protocol.indexes import open_index
from medaudit.protocol.scoring import Bench, People, set_up
from medaudit.protocol.searching import search
from medaudit.protocol.sides import Picked, Side
from medaudit.stats.budget import Budget
from medaudit.stats.matching import match_radius, union, usable_neighbours

REPLICATES = 1000  # of the tail fit


@dataclass(frozen=True)
class Matches:
    """Each detector's results against T, for all images (G,) and for the medoids (C,); medoids that match H (C,)."""

    images: list[Examined]
    medoids: list[Examined]
    in_holdout: np.ndarray

    @property
    def in_train(self) -> np.ndarray:
        """(C,) bool: the medoid matches a training image beyond the reference, by any detector."""
        return (
            union([seen.judged.flagged for seen in self.medoids]) if self.medoids else np.zeros(0, dtype=bool)
        )


def half_of_alpha(alpha: float) -> Budget:
    """Half of alpha, in equal parts for both flag rules of every detector; there is no cohort test."""
    each = alpha / 4 / len(DETECTORS)
    return Budget(0.0, 0.0, each, each, len(DETECTORS))


def match(
    train: Side, holdout: Side, synthetic: Side, medoids: np.ndarray, people: People, neighbours: int, budget: Budget,
    seed: int, machine: Machine,
) -> Matches:  # fmt: skip
    """Search, judge, and look at how crowded T is around each match. `medoids` are places in S."""
    k, _ = usable_neighbours(neighbours, train.groups)
    images, groups = [], []
    for detector in DETECTORS:
        described = open_index(detector, train, machine)
        bench = set_up(described, holdout, people, k, len(synthetic), budget, REPLICATES, seed, machine)
        found = search(synthetic, described, k, machine, f"{detector.name}-synthetic")
        radius = match_radius(bench.people.distance)
        crowd = described.crowd(found.row, radius, machine)
        nothing = np.zeros(0, dtype=bool)  # no plants here
        images.append(Examined(bench, found, bench.judge(found), nothing, radius, *crowd))
        if len(medoids):
            own, alone = _taken(found, medoids), replace(bench, count=len(medoids))
            around = (part[medoids] for part in crowd)
            groups.append(Examined(alone, own, alone.judge(own), nothing, radius, *around))
    return Matches(
        images,
        groups,
        _in_holdout(train, holdout, synthetic, medoids, people, neighbours, budget, seed, machine),
    )


def sightings(matches: Matches, train: Side) -> tuple[np.ndarray, np.ndarray]:
    """(n,) places in S and (n,) patient codes: every image that a detector flags, with the patient it names."""
    pairs = [
        np.stack(
            [np.flatnonzero(seen.judged.flagged), train.groups[seen.found.row[seen.judged.flagged]]], axis=1
        )
        for seen in matches.images
    ]
    both = np.unique(np.concatenate(pairs), axis=0)
    return both[:, 0], both[:, 1]


def named_by_cliques(matches: Matches, train: Side) -> Iterator[tuple[int, int]]:
    """(clique, patient code) for every detector that flags the clique's medoid; a pair can come twice."""
    for seen in matches.medoids:
        for clique in np.flatnonzero(seen.judged.flagged):
            yield int(clique), int(train.groups[seen.found.row[clique]])


def _in_holdout(
    train: Side, holdout: Side, synthetic: Side, medoids: np.ndarray, people: People, neighbours: int, budget: Budget,
    seed: int, machine: Machine,
) -> np.ndarray:  # fmt: skip
    """(C,) bool: the medoid matches a held-out image beyond what people unseen by H do; the roles of T and H swap."""
    flagged = np.zeros(len(medoids), dtype=bool)
    if not len(medoids) or len(holdout) < 2:
        return flagged
    k, usable = usable_neighbours(neighbours, holdout.groups)
    unseen = People(people.holdout if usable else people.holdout[:0], people.train)
    if not len(unseen.train) + len(unseen.holdout):
        return flagged
    apart = replace(machine, scratch=lambda name: machine.scratch(f"holdout-{name}"))
    for detector in DETECTORS:
        described = open_index(detector, holdout, machine)
        bench: Bench = set_up(described, train, unseen, k, len(medoids), budget, REPLICATES, seed, apart)
        found = search(Picked(synthetic, medoids), described, k, apart, f"{detector.name}-medoids")
        flagged |= bench.judge(found).flagged
    return flagged


def _taken(found: Found, places: np.ndarray) -> Found:
    return Found(*(column[places] for column in vars(found).values()))
