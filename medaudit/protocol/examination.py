"""What one detector says of S: its findings, its record, and its rows of the tables.

Axes: N synthetic images, M images of T, R reference people.
"""

from dataclasses import dataclass, field, replace
from math import isfinite

import numpy as np
import pyarrow as pa

from medaudit.artifacts.findings import MATCH_SCHEMA, REFERENCE_SCHEMA, DetectorRecord
from medaudit.detectors import label
from medaudit.protocol.controls import Plants
from medaudit.protocol.described import Machine
from medaudit.protocol.found import Found
from medaudit.protocol.generative import NAME, Generated
from medaudit.protocol.indexes import Index
from medaudit.protocol.scoring import Bench
from medaudit.protocol.searching import search
from medaudit.protocol.sides import Side
from medaudit.stats.flags import Judged, expected_suspects, fdr_needs, score_line
from medaudit.stats.matching import match_radius


@dataclass(frozen=True)
class Examined:
    """One detector's results: of S, of the controls' copies, and how crowded it is around each match (N,)."""

    bench: Bench
    found: Found
    judged: Judged
    seen: np.ndarray  # (n,) bool, planted copies found
    radius: float
    crowd: np.ndarray
    crowd_people: np.ndarray
    copied: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=bool))  # (n,) generated copies found
    spared: np.ndarray | None = None  # (N,) bool, flags that people cleared before (protocol/carried)

    def sparing(self, spared: np.ndarray) -> "Examined":
        """The same with no flag on the `spared` (N,) images, in a second look neither."""
        return replace(self, judged=self.judged.without(spared), spared=spared)


def examine(
    bench: Bench, train: Index, synthetic: Side, plants: Plants, generated: Generated | str, machine: Machine
) -> Examined:
    """Search S and the controls' copies against all of T and judge them."""
    name, k = label(bench.detector), bench.neighbours
    found = search(synthetic, train, k, machine, f"{name}-synthetic")
    planted = search(plants, train, k, machine, f"{name}-plants")
    copied = _copies_found(bench, train, generated, machine)
    radius = match_radius(bench.people.distance)
    crowd, people = train.crowd(found.row, radius, machine)
    return Examined(
        bench, found, bench.judge(found), plants.seen_by(bench, planted), radius, crowd, people, copied
    )


def _copies_found(bench: Bench, train: Index, generated: Generated | str, machine: Machine) -> np.ndarray:
    if isinstance(generated, str):
        return np.zeros(0, dtype=bool)
    asked = search(generated, train, bench.neighbours, machine, f"{label(bench.detector)}-{NAME}")
    return generated.seen_by(bench, asked)


def detector_record(seen: Examined) -> DetectorRecord:
    """The detector's part of audit.json."""
    bench, people = seen.bench, seen.bench.people
    line = score_line(bench.tail, bench.count, bench.budget.familywise_each)
    return DetectorRecord(
        name=bench.detector.name,
        meaning=bench.detector.meaning,
        neighbours=bench.neighbours,
        reference_size=len(people.score),
        tail_points=None if bench.tail is None else bench.tail.points,
        smallest_p=1 / (len(people.score) + 1),
        alpha_familywise=bench.budget.familywise_each,
        alpha_fdr=bench.budget.fdr_each,
        score_line=line if isfinite(line) else None,
        flagged_familywise=int(seen.judged.familywise.sum()),
        flagged_fdr=int(seen.judged.fdr.sum()),
        suspects=int(seen.judged.suspect.sum()),
        expected_suspects=expected_suspects(bench.count, len(people.score)),
        fdr_needs=fdr_needs(bench.count, len(people.score), bench.budget.fdr_each),
        match_radius=seen.radius,
        closest_synthetic=float(seen.found.distance.min()),
        closest_unseen=float(people.distance.min()),
        encoder=bench.detector.id or None,
    )


def match_table(seen: Examined, train: Side, synthetic: Side, relation: np.ndarray | None = None) -> pa.Table:
    """One row per synthetic image, columns of MATCH_SCHEMA; rows are named by their position in their cohort.

    relation (N,): what each flagged image is to its patient's films; None where that is not asked.
    """
    found, judged, none = seen.found, seen.judged, seen.found.runner_up < 0
    known = np.full(len(synthetic), None, dtype=object) if relation is None else relation
    return pa.table(
        {
            "synthetic_id": synthetic.rows,
            "train_id": train.rows[found.row],
            "patient": train.names[found.row],
            "detector": [seen.bench.detector.name] * len(synthetic),
            "score": found.score,
            "distance": found.distance,
            "p_value": judged.p,
            "q_value": judged.q,
            "p_upper": pa.array(judged.upper, mask=np.full(len(synthetic), seen.bench.tail is None)),
            "eidetic_k": seen.crowd,
            "eidetic_patients": seen.crowd_people,
            "flagged": judged.flagged,
            "suspect": judged.suspect,
            "runner_up_id": pa.array(train.rows[found.runner_up], mask=none),
            "runner_up_patient": pa.array(train.names[found.runner_up], type=pa.string(), mask=none),
            "runner_up_score": pa.array(found.runner_up_score, mask=none),
            "relation": pa.array(known, type=pa.string(), mask=~judged.flagged),
        },
        schema=MATCH_SCHEMA,
    )


def reference_table(seen: Examined, train: Side, holdout: Side) -> pa.Table:
    """One row per reference person, columns of REFERENCE_SCHEMA."""
    people = seen.bench.asked
    names = np.concatenate([train.names[people.train], holdout.names[people.holdout]])
    return pa.table(
        {
            "patient": names,
            "source": ["train"] * len(people.train) + ["holdout"] * len(people.holdout),
            "detector": [seen.bench.detector.name] * len(names),
            "score": seen.bench.people.score,
            "distance": seen.bench.people.distance,
        },
        schema=REFERENCE_SCHEMA,
    )
