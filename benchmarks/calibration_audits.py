"""One simulated audit on precomputed distances, judged by the package's own functions. For `calibration.py`.

Axes: N images that are judged, R reference people, M training films, E detectors.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from calibration_films import AS_THEY_ARE, AVERAGED, AVERAGES, ONE_LABEL, PARTITIONS, REPEATS, VARIANTS, Films

from medaudit.config import AuditSettings
from medaudit.detectors import VECTOR_DETECTORS
from medaudit.protocol.closeness import DETECTOR as COHORT_DETECTOR
from medaudit.protocol.scoring import Bench, Judged, People
from medaudit.protocol.searching import Found
from medaudit.stats.budget import Budget, split_alpha
from medaudit.stats.cohort_test import excess_test, leading_run
from medaudit.stats.flags import cross_fit_flags, fit_tail, score_line
from medaudit.stats.intervals import clopper_pearson
from medaudit.stats.likeness import Likeness, likeness
from medaudit.stats.matching import (
    RATIO_ALPHA,
    lone_flags,
    nearest_people,
    patient_codes,
    promised_false_alarms,
    right_and_flagged,
    union,
    usable_neighbours,
)
from medaudit.stats.reference import (
    adaptive_ratio,
    conformal_p_values,
    copy_score,
    draw_one_per_patient,
)

IMAGES = 150  # of a release
REPEATED = 10  # people of whom a low-variety release consists
FOLDS = 5  # of the negative control, as in an audit
SETTINGS = AuditSettings()
BUDGET: Budget = split_alpha(SETTINGS.alpha, SETTINGS.cohort_share, len(VECTOR_DETECTORS))


@dataclass(frozen=True)
class Roles:
    """Films of T and of H (rows), and the patients in neither: whoever the clean generators show."""

    train: np.ndarray
    holdout: np.ndarray
    rest: np.ndarray
    repeated: np.ndarray  # (REPEATED,) of `rest`, from the pool of whom variants exist


@dataclass(frozen=True)
class Effort:
    """Bootstrap replicates of the tail, of the negative control, and draws of the cohort test."""

    tail: int = 1000
    control: int = 200
    draws: int = 2000


def cast(films: Films, n_train: int, n_holdout: int, rng: np.random.Generator) -> Roles:
    """Patients at random to T, H and neither; a few of the pool are always in neither."""
    pool = np.unique(films.kinds[REPEATS].patients)
    repeated = rng.permutation(pool)[:REPEATED]
    groups = films.kinds[AVERAGES].patients.reshape(PARTITIONS, -1, AVERAGED)[rng.integers(PARTITIONS)]
    together = rng.permutation(groups).ravel()  # whoever is averaged together stands together
    order = np.r_[together, np.setdiff1d(np.arange(films.people), together)]
    order = order[~np.isin(order, repeated)]
    beside = len(order) - n_train - n_holdout
    rest = np.r_[repeated, order[:beside]]
    others = rng.permutation(order[beside:])
    train, holdout = others[:n_train], others[n_train:]
    return Roles(
        np.flatnonzero(np.isin(films.patient, train)),
        np.flatnonzero(np.isin(films.patient, holdout)),
        rest,
        repeated,
    )


def release(films: Films, roles: Roles, kind: str, rng: np.random.Generator) -> np.ndarray:
    """(N,) rows among the kind's queries: a clean release, nobody of T or H in it."""
    members = films.kinds[kind].patients
    if kind == REPEATS:
        places = np.flatnonzero(np.isin(members[:, 0], roles.repeated))
        chosen = np.concatenate(
            [rng.permutation(VARIANTS)[: IMAGES // REPEATED] + VARIANTS * i for i in range(REPEATED)]
        )
        return places[chosen]
    free = np.flatnonzero(np.isin(members, roles.rest).all(axis=1))
    if kind == AVERAGES:
        return rng.permutation(free)[:IMAGES]  # each person in one, but for a few
    if kind == ONE_LABEL:
        free = free[films.healthy[free]]
    one_each = free[draw_one_per_patient(members[free, 0], rng)]
    return rng.permutation(one_each)[:IMAGES]


class Audit:
    """The roles of one audit and, per detector, what unseen people score and the tail of it."""

    def __init__(self, films: Films, roles: Roles, effort: Effort, rng: np.random.Generator) -> None:
        self.films, self.roles, self.effort, self.rng = films, roles, effort, rng
        self.groups = patient_codes(films.patient[roles.train])
        self.neighbours, usable = usable_neighbours(SETTINGS.neighbours, self.groups)
        assert usable
        self.own = roles.train[draw_one_per_patient(films.patient[roles.train], rng)]
        self.unseen = roles.holdout[draw_one_per_patient(films.patient[roles.holdout], rng)]
        self._people_of_holdout: dict[str, np.ndarray] = {}
        self.benches: list[Bench] = []
        for detector in VECTOR_DETECTORS:
            people = self.people(detector.name, np.concatenate([self.own, self.unseen]))
            tail = fit_tail(people.score, replicates=effort.tail, rng=rng)
            asked = People(self.own, self.unseen)
            self.benches.append(Bench(detector, self.neighbours, people, tail, IMAGES, BUDGET, asked))

    def people(self, detector: str, rows: np.ndarray) -> Found:
        """Films as they are, of anyone: each against T without its own patient."""
        return self.search(AS_THEY_ARE, detector, rows, leave_out_own=True)

    def search(self, kind: str, detector: str, rows: np.ndarray, leave_out_own: bool = False) -> Found:
        """Queries of a kind against all of T; as `protocol.searching.search`, without runner-up."""
        queries = self.films.kinds[kind]
        near = queries.distance[detector][np.ix_(rows, self.roles.train)]  # (N, M)
        if leave_out_own:
            same = queries.patients[rows] == self.films.patient[self.roles.train]
            near = np.where(same, np.float32(np.inf), near)
        row, nobody = near.argmin(axis=1), np.full(len(rows), -1)
        distance = near.min(axis=1).astype(np.float64)
        return Found(row, distance, _score(near, self.neighbours), nobody, np.full(len(rows), -np.inf))

    def ask(self, kinds: Sequence[tuple[str, np.ndarray]]) -> list[tuple[Found, Judged]]:
        """Queries of several kinds as one release, per detector: found and judged."""
        answers = []
        for bench in self.benches:
            found = Found.joined(
                [self.search(kind, bench.detector.name, rows) for kind, rows in kinds if len(rows)]
            )
            answers.append((found, replace(bench, count=len(found.score)).judge(found)))
        return answers

    def likeness(self, kind: str, rows: np.ndarray) -> Likeness:
        """S and unseen people against H, under the detector with the smallest p of being nearer."""
        if not self._people_of_holdout:
            people = np.concatenate([self.own, self.unseen])
            self._people_of_holdout = {
                d.name: self._against_holdout(AS_THEY_ARE, d.name, people) for d in VECTOR_DETECTORS
            }
        seen = [
            likeness(self._against_holdout(kind, name, rows), people)
            for name, people in self._people_of_holdout.items()
        ]
        return min(seen, key=lambda one: one.p_nearer)

    def _against_holdout(self, kind: str, detector: str, rows: np.ndarray) -> np.ndarray:
        """(N,) scores against H; films of H itself without their own patient."""
        queries, holdout = self.films.kinds[kind], self.films.patient[self.roles.holdout]
        near = queries.distance[detector][np.ix_(rows, self.roles.holdout)]
        if kind == AS_THEY_ARE:
            near = np.where(queries.patients[rows] == holdout, np.float32(np.inf), near)
        return _score(near, usable_neighbours(SETTINGS.neighbours, patient_codes(holdout))[0])

    def lone(self, kind: str, rows: np.ndarray) -> list[np.ndarray]:
        """(N,) bool per detector: flagged as the only copy among IMAGES, and the right patient named.

        As `Plants.seen_by`, with the family-wise rule by its line, which is quicker than by limits.
        """
        answers = []
        for bench in self.benches:
            found = self.search(kind, bench.detector.name, rows)
            p = conformal_p_values(found.score, bench.people.score)
            flagged = lone_flags(p, None, IMAGES, BUDGET.familywise_each, BUDGET.fdr_each)
            flagged |= found.score >= score_line(bench.tail, IMAGES, BUDGET.familywise_each)
            named = self.films.patient[self.roles.train[found.row]]
            answers.append(right_and_flagged(named, self.films.kinds[kind].patients[rows, 0], flagged))
        return answers

    def cohort_p(self, kind: str, rows: np.ndarray, found: Found) -> tuple[float, float]:
        """p-values of the excess test and of the leading run, as `protocol.closeness` takes them."""
        near = self.films.kinds[kind].distance[COHORT_DETECTOR.name][np.ix_(rows, self.roles.holdout)]
        group = patient_codes(self.films.patient[self.roles.holdout])
        person, in_train, order = nearest_people(
            found.distance,
            self.groups[found.row],
            near.min(axis=1).astype(np.float64),
            group[near.argmin(axis=1)],
            int(self.groups.max()) + 1,
            int(group.max()) + 1,
        )
        excess = excess_test(person, in_train, draws=self.effort.draws, rng=self.rng)
        return excess.p_value, leading_run(person[order], in_train, BUDGET.cohort_run).p_value

    def control_fires(self) -> bool:
        """Whether the negative control of this clean audit would say that more is flagged than promised."""
        flagged = union(
            [
                cross_fit_flags(
                    bench.people.score,
                    FOLDS,
                    IMAGES,
                    BUDGET.familywise_each,
                    BUDGET.fdr_each,
                    self.effort.control,
                    self.rng,
                )
                for bench in self.benches
            ]
        )
        negative = clopper_pearson(int(flagged.sum()), flagged.size)
        promise = promised_false_alarms(
            IMAGES, BUDGET.familywise_each, BUDGET.fdr_each, len(VECTOR_DETECTORS)
        )
        return negative.low > promise


def _score(near: np.ndarray, k: int) -> np.ndarray:
    """(N, M) distances → (N,) -log of the adaptive ratio to the k nearest."""
    nearest = np.sort(np.partition(near, k - 1, axis=1)[:, :k], axis=1)
    return copy_score(adaptive_ratio(nearest, RATIO_ALPHA))
