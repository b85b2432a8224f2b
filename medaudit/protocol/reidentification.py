"""Re-identification, apart from copying: what a flagged image is to its film, and how surely a person is known again.

Axes: N synthetic images, R patients with several films.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medaudit import seeds
from medaudit.artifacts.findings import KnownAgain, Reidentification
from medaudit.detectors import Structure
from medaudit.protocol.controls import rate_record
from medaudit.protocol.described import Machine
from medaudit.protocol.duplicates import Doubles, same_films
from medaudit.protocol.examination import Examined
from medaudit.protocol.follow_ups import FollowUps, pair_closeness
from medaudit.protocol.registered import Registered
from medaudit.protocol.scoring import Bench
from medaudit.protocol.sides import Side
from medaudit.stats.intervals import clopper_pearson
from medaudit.stats.matching import right_and_flagged
from medaudit.stats.relation import (
    COPY,
    SAME_PERSON,
    CopyLine,
    auc_by_patient,
    copy_line,
    known_again_sentence,
    relations,
)

_TOGETHER = 64  # pairs read at once


@dataclass(frozen=True)
class Related:
    """(N,) COPY or SAME_PERSON for flagged images, None for the others; and the record."""

    relation: np.ndarray
    record: Reidentification

    def unflagged(self, keep: np.ndarray) -> "Related":
        """The same for the images at these places (R,), none of which was flagged."""
        return Related(self.relation[keep], self.record.model_copy(update={"copies": 0, "same_person": 0}))

    def without(self, spared: np.ndarray) -> "Related":
        """The same without the flags of the `spared` (N,) images."""
        relation = self.relation.copy()
        relation[spared] = None
        counts = {
            "copies": int((relation == COPY).sum()),
            "same_person": int((relation == SAME_PERSON).sum()),
        }
        return Related(relation, self.record.model_copy(update=counts))


def relate(
    train: Side, holdout: Side, synthetic: Side, doubles: Doubles, examined: Sequence[Examined],
    registered: Registered | None, replicates: int, seed: int, machine: Machine,
) -> Related:  # fmt: skip
    """Draw the line from the follow-ups of T and H, judge the flagged images by it, and ask for T's follow-ups.

    `registered`: T as the structure detector of this audit holds it; None where it took no part.
    """
    limits = doubles.lines
    own = FollowUps.draw(train, doubles.in_train, limits, "train", seed)
    held = FollowUps.draw(holdout, doubles.in_holdout, limits, "holdout", seed)
    pairs = flagged_pairs(examined)
    follow_ups, relation, known = np.zeros(0), np.full(len(synthetic), None, dtype=object), None
    line = copy_line(follow_ups)
    if len(pairs) or len(own) or len(held):
        index = registered or Registered.of(train, Structure(), machine)
        follow_ups = np.concatenate([side.closeness(index.index.sweep, machine) for side in (own, held)])
        line = copy_line(follow_ups)
        relation = _relation(pairs, train, synthetic, index, line.line, limits, machine)
        bench = next((part.bench for part in examined if isinstance(part.bench.detector, Structure)), None)
        if len(own) and bench is not None:
            known = _known_again(own, index, bench, holdout, replicates, seed, machine)
    return Related(relation, _record(relation, line, known))


def flagged_pairs(examined: Sequence[Examined]) -> np.ndarray:
    """(n, 2) places in S and in T: each flagged image with the film of every detector that flags it."""
    pairs = [
        np.stack([np.flatnonzero(seen.judged.flagged), seen.found.row[seen.judged.flagged]], axis=1)
        for seen in examined
    ]
    return np.unique(np.concatenate(pairs), axis=0)


def _relation(
    pairs: np.ndarray, train: Side, synthetic: Side, index: Registered, line: float, limits: dict[str, float],
    machine: Machine,
) -> np.ndarray:  # fmt: skip
    """(n, 2) pairs → (N,) relation: a copy when one of the image's pairs shows one."""
    relation = np.full(len(synthetic), None, dtype=object)
    machine.progress.start("flagged pairs", len(pairs))
    for start in range(0, len(pairs), _TOGETHER):
        part = pairs[start : start + _TOGETHER]
        images, films = synthetic.images(part[:, 0]), train.images(part[:, 1])
        close = pair_closeness(images, films, index.index.sweep)
        for image, what in zip(
            part[:, 0], relations(close, same_films(images, films, limits), line), strict=True
        ):
            relation[image] = COPY if COPY in (relation[image], what) else SAME_PERSON
        machine.progress.advance(len(part))
    return relation


def _known_again(
    own: FollowUps, index: Registered, bench: Bench, holdout: Side, replicates: int, seed: int,
    machine: Machine,
) -> KnownAgain:  # fmt: skip
    """T's follow-ups against unseen people, under the structure score."""
    train, found = own.side, own.ask(index, machine)
    unseen = np.concatenate(
        [train.groups[bench.asked.train], train.people + holdout.groups[bench.asked.holdout]]
    )
    auc = auc_by_patient(
        found.score,
        own.patients,
        bench.people.score,
        unseen,
        replicates=replicates,
        rng=seeds.generator(seed, "known again"),
    )
    named = train.groups[found.row] == own.patients
    flagged = right_and_flagged(train.groups[found.row], own.patients, bench.judge(found).lone)
    right, seen = (clopper_pearson(int(which.sum()), len(own)) for which in (named, flagged))
    return KnownAgain(
        follow_ups=len(own),
        unseen=len(unseen),
        auc=auc.value,
        auc_low=auc.low,
        auc_high=auc.high,
        named=rate_record(right),
        flagged=rate_record(seen),
        detector=bench.detector.name,
        wording=known_again_sentence(auc, right),
    )


def _record(relation: np.ndarray, line: CopyLine, known: KnownAgain | None) -> Reidentification:
    return Reidentification(
        copies=int((relation == COPY).sum()),
        same_person=int((relation == SAME_PERSON).sum()),
        copy_line=line.line,
        line_source=line.source,
        follow_up_pairs=line.pairs,
        most_alike_follow_up=line.highest,
        known_again=known,
    )
