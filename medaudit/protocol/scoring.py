"""How one detector judges: the reference of unseen people, p-values and flags.

Axes: G images that ask, R reference people.
"""

from dataclasses import dataclass

import numpy as np

from medaudit import seeds
from medaudit.detectors import Detector, label
from medaudit.protocol.described import Machine
from medaudit.protocol.found import Found
from medaudit.protocol.indexes import Index
from medaudit.protocol.searching import search
from medaudit.protocol.sides import Picked, Side
from medaudit.stats.budget import Budget
from medaudit.stats.flags import Judged, TailFit, fit_tail, judge
from medaudit.stats.reference import draw_one_per_patient


@dataclass(frozen=True)
class People:
    """The unseen people, one image each: places in T (asked without their own patient) and in H."""

    train: np.ndarray
    holdout: np.ndarray


@dataclass(frozen=True)
class Bench:
    """One detector, what unseen people score under it, and its part of alpha for a release of `count` images."""

    detector: Detector
    neighbours: int
    people: Found
    tail: TailFit | None
    count: int
    budget: Budget
    asked: People  # who `people` are

    def judge(self, found: Found) -> Judged:
        """p-values, q-values and flags of images."""
        return judge(
            found.score,
            self.people.score,
            self.tail,
            self.count,
            self.budget.familywise_each,
            self.budget.fdr_each,
        )


def draw_people(
    train: Side, holdout: Side, usable: bool, doubled: tuple[np.ndarray, np.ndarray], most: int, seed: int
) -> People:
    """One image of each patient by seed; patients of whom a film stands under another patient too are left out.

    At most `most` people of each side, drawn by seed: they set the line, and each is still compared with all of T.

    When that leaves nobody everyone stays: the duplicates are the verdict then. `usable`: whether T's own patients
    can be asked.
    """
    places = []
    for name, side, double in (("train", train, doubled[0]), ("holdout", holdout, doubled[1])):
        rng = seeds.generator(seed, "reference", name)
        drawn = draw_one_per_patient(side.groups, rng)
        drawn = np.sort(rng.permutation(drawn)[:most]) if len(drawn) > most else drawn
        places.append((drawn, drawn[~np.isin(side.groups[drawn], double)]))
    if not usable:
        places[0] = (places[0][0][:0], places[0][1][:0])
    clean = sum(len(kept) for _, kept in places)
    return People(*(kept if clean else drawn for drawn, kept in places))


def unseen_by(detector: Detector, people: People) -> People:
    """Held-out people only where the detector has learnt: T's films may be what it learnt from.

    Training pushes T's films apart, so T's people may look farther than strangers, and strangers then too close. The
    difference measured was small (benchmarks/copynet_reference.py), but nothing bounds it for longer training. Without
    held-out people (all of them are in T too, or of another source) T's stay: the verdict is about that then.
    """
    if not detector.id or not len(people.holdout):
        return people
    return People(people.train[:0], people.holdout)


def tail_of(reference: np.ndarray, detector: str, replicates: int, seed: int) -> TailFit | None:
    """The tail of a detector's (R,) reference scores, from the audit's seed: the same whenever it is asked for."""
    return fit_tail(reference, replicates=replicates, rng=seeds.generator(seed, "tail", detector))


def set_up(
    train: Index, holdout: Side, people: People, k: int, count: int, budget: Budget, replicates: int, seed: int,
    machine: Machine,
) -> Bench:  # fmt: skip
    """Ask for every person whom the detector has not seen, then fit the tail of their scores."""
    name, side, people = label(train.detector), train.side, unseen_by(train.detector, people)
    parts = []
    if len(people.train):
        own = Picked(side, people.train)
        parts.append(search(own, train, k, machine, f"{name}-train", side.groups[people.train]))
    if len(people.holdout):
        parts.append(search(Picked(holdout, people.holdout), train, k, machine, f"{name}-holdout"))
    found = Found.joined(parts)
    tail = tail_of(found.score, train.detector.name, replicates, seed)
    return Bench(train.detector, k, found, tail, count, budget, people)
