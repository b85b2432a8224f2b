"""Follow-ups: of the patients with several films one film each, and how the patient's other films stand to it.

Films that are one and the same (protocol/duplicates) are no follow-ups of each other. Axes: R patients, M images.
"""

from dataclasses import dataclass

import numpy as np

from medaudit import seeds
from medaudit.detectors.structure import compared_pixels, weaker_likeness
from medaudit.detectors.structure.sweep import PoseSweep
from medaudit.protocol.described import Machine
from medaudit.protocol.duplicates import film_distances, same_films
from medaudit.protocol.found import Found
from medaudit.protocol.registered import Registered
from medaudit.protocol.sides import Side
from medaudit.stats.reference import draw_one_per_patient
from medaudit.stats.relation import closeness

MOST_PEOPLE = 200  # with several films, of one side
_NEAREST = 6  # films of a patient that are aligned with the one drawn
_TOGETHER = 64  # films that ask at once


@dataclass(frozen=True)
class FollowUps:
    """(R,) places of a side, each with the places of its patient's other films, nearest first, and of its twins."""

    side: Side
    place: np.ndarray
    others: tuple[np.ndarray, ...]
    twins: tuple[np.ndarray, ...]  # the film itself among them

    def __len__(self) -> int:
        return len(self.place)

    @property
    def patients(self) -> np.ndarray:
        """(R,) patient codes."""
        return self.side.groups[self.place]

    @classmethod
    def draw(
        cls, side: Side, doubled: np.ndarray, limits: dict[str, float], name: str, seed: int
    ) -> "FollowUps":
        """By seed, at most MOST_PEOPLE patients; nobody of whom a film stands under another patient (`doubled`) too."""
        rng = seeds.generator(seed, "follow-ups", name)
        several = np.bincount(side.groups)[side.groups] > 1
        usable = np.flatnonzero(several & ~np.isin(side.groups, doubled))
        drawn = usable[draw_one_per_patient(side.groups[usable], rng)] if usable.size else usable
        place, others, twins = [], [], []
        for own in np.sort(rng.permutation(drawn)[:MOST_PEOPLE]):
            rest = np.setdiff1d(np.flatnonzero(side.groups == side.groups[own]), [own])
            films = side.images(rest)
            itself = np.broadcast_to(side.images(np.array([own])), films.shape)
            same = same_films(itself, films, limits)
            if not same.all():
                order = np.argsort(film_distances(itself, films), kind="stable")
                place.append(own)
                others.append(rest[order[~same[order]]])
                twins.append(np.append(rest[same], own))
        return cls(side, np.array(place, dtype=np.int64), tuple(others), tuple(twins))

    def closeness(self, sweep: PoseSweep, machine: Machine) -> np.ndarray:
        """(R,) closeness of each film to the most alike of the patient's other films."""
        near = [others[:_NEAREST] for others in self.others]
        person = np.repeat(np.arange(len(self)), [len(films) for films in near])  # (n,) of each pair
        other = np.concatenate([np.zeros(0, dtype=np.int64), *near])
        most = np.full(len(self), -np.inf)
        machine.progress.start("follow-ups", len(person))
        for start in range(0, len(person), _TOGETHER):
            part = slice(start, start + _TOGETHER)
            itself, films = self.side.images(self.place[person[part]]), self.side.images(other[part])
            np.maximum.at(most, person[part], pair_closeness(itself, films, sweep))
            machine.progress.advance(len(films))
        return most

    def ask(self, index: Registered, machine: Machine) -> Found:
        """What each film finds in its own side without itself and its twins: its patient's other films are there."""
        parts = []
        machine.progress.start(f"{index.detector.name}-follow-ups", len(self))
        for start in range(0, len(self), _TOGETHER):
            asking = range(start, min(start + _TOGETHER, len(self)))
            barred = np.zeros((len(asking), len(self.side)), dtype=bool)
            for row, person in enumerate(asking):
                barred[row, self.twins[person]] = True
            films = self.side.images(self.place[asking.start : asking.stop])
            parts.append(index.ask_beside(films, barred, machine))
            machine.progress.advance(len(asking))
        return Found.joined(parts)


def pair_closeness(first: np.ndarray, second: np.ndarray, sweep: PoseSweep) -> np.ndarray:
    """(n, Y, X) and (n, Y, X) → (n,) closeness, film by film."""
    return closeness(weaker_likeness(first, second, sweep), compared_pixels(first.shape[1:]))
