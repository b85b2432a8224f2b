"""Is S as a whole closer to T than to H? Both cohort tests and the excess copy rate, under one detector; and are its
images as near to unseen people as people are?

The detector is the most tolerant of edits, local contrast; which it is stands in the record. Axes: N synthetic
images, P patients of T and H together, R unseen people.
"""

from dataclasses import dataclass

import numpy as np

from medaudit import seeds
from medaudit.artifacts.findings import CohortTest
from medaudit.config import AuditSettings
from medaudit.detectors import VECTOR_DETECTORS
from medaudit.protocol.described import Described, Machine
from medaudit.protocol.found import Found
from medaudit.protocol.scoring import Bench, People
from medaudit.protocol.searching import search
from medaudit.protocol.sides import Picked, Side
from medaudit.stats.cohort_test import excess_copy_rate, excess_test, leading_run
from medaudit.stats.likeness import Likeness, likeness
from medaudit.stats.matching import excess_line, nearest_people, usable_neighbours
from medaudit.stats.reasons import CohortEvidence

DETECTOR = next(detector for detector in VECTOR_DETECTORS if detector.name == "local-contrast")


_FEWEST = 20  # images and people that can be compared


@dataclass(frozen=True)
class Beside:
    """What H answers under DETECTOR: to S (N,), and to unseen people, (R,) scores."""

    found: Found
    people: np.ndarray

    def at(self, places: np.ndarray) -> "Beside":
        """The images at these places of S."""
        return Beside(self.found.at(places), self.people)

    def likeness(self, places: np.ndarray) -> Likeness | None:
        """How alike images at these places and people are; None with too few of either."""
        if min(len(places), len(self.people)) < _FEWEST:
            return None
        return likeness(self.found.score[places], self.people)


def search_holdout(
    synthetic: Side, train: Side, holdout: Side, people: People, k: int, machine: Machine
) -> Beside:
    """S against H, and people against H as if H had not seen them, under DETECTOR; `k` neighbours, or what H allows."""
    most, usable = usable_neighbours(k, holdout.groups) if len(holdout) > 1 else (2, False)
    described, name = Described.of(holdout, DETECTOR, machine), DETECTOR.name
    found = search(synthetic, described, most, machine, f"{name}-synthetic-holdout")
    asked = []
    if usable and len(people.train):
        trained = Picked(train, people.train)
        asked.append(search(trained, described, most, machine, f"{name}-train-holdout").score)
    if usable and len(people.holdout):
        own = Picked(holdout, people.holdout)
        without = holdout.groups[people.holdout]
        asked.append(search(own, described, most, machine, f"{name}-holdout-holdout", without).score)
    return Beside(found, np.concatenate(asked) if asked else np.empty(0))


def compare_sides(
    bench: Bench, found: Found, other: Found, different: int, train: Side, holdout: Side, settings: AuditSettings,
    seed: int,
) -> tuple[CohortEvidence, CohortTest]:  # fmt: skip
    """Permute patients. `bench` and `found` are those of DETECTOR against T, `other` is what H
    answers; `different`: images of S that are no twins."""
    person, in_train, order = nearest_people(
        found.distance,
        train.groups[found.row],
        other.distance,
        holdout.groups[other.row],
        train.people,
        holdout.people,
    )
    budget = bench.budget
    excess = excess_test(person, in_train, draws=settings.permutations, rng=seeds.generator(seed, "excess"))
    run = leading_run(person[order], in_train, budget.cohort_run, different)
    line = excess_line(bench.people.score)
    rate = excess_copy_rate(
        found.score > line,
        train.groups[found.row],
        bench.people.score > line,
        replicates=settings.bootstrap,
        rng=seeds.generator(seed, "excess copy rate"),
    )
    evidence = CohortEvidence(
        nearest_in_train=excess.count,
        of=excess.of,
        expected=excess.expected,
        excess_p=excess.p_value,
        excess_alpha=budget.cohort_excess,
        run_length=run.length,
        run_patients=run.patients,
        run_p=run.p_value,
        run_alpha=budget.cohort_run,
        run_detectable=run.smallest_detectable,
        run_needed=run.needed,
    )
    return evidence, CohortTest(
        nearest_in_train=excess.count,
        of=excess.of,
        expected=excess.expected,
        excess_p=excess.p_value,
        run_length=run.length,
        run_patients=run.patients,
        run_p=run.p_value,
        smallest_detectable_run=run.smallest_detectable,
        excess_copy_rate=None if rate is None else rate.value,
        excess_copy_rate_low=None if rate is None else rate.low,
        excess_copy_rate_high=None if rate is None else rate.high,
        alpha=budget.cohort_excess + budget.cohort_run,
        permutations=settings.permutations,
        rejects=evidence.rejects,
        detector=DETECTOR.name,
    )
