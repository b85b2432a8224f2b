"""The second look: what the audit would say of S without the images it flagged. No search is repeated.

Scores of the remaining images are known; what changes is their number, the alpha, and with them the flags, the
cohort test, the power, the false alarms and the verdict. The result is that of a whole audit of the remainder with
`alpha_spent` half of alpha, which is what `release --withhold-flagged` runs before it writes anything.

How alpha covers both looks. The first look spends all of it, the second half of it, and yet the chance that a clean
set of images is refused, by either look, is at most alpha. Let C be the images of S that copy nobody.

1. If S itself is clean (C = S), it is refused for good only when the first look refuses, so at most with alpha.
2. Otherwise the first look refuses rightly. The second is wrong only when it refuses a remainder R that lies in C.
   When exactly the copies were flagged, R = C: one fixed set, tested at alpha / 2.
3. When clean images were flagged beside the copies, R is a part of C that was chosen by its scores. Every flag of the
   second look still implies a flag of the fixed set C at the whole alpha, as long as R holds at least half of C:
   p |R| <= a / 2 gives p |C| <= a (the step-down argument of Holm 1979), and j values of R under (q / 2) j / |R| are
   j values of C under q j / |C| (Simes 1986, the global test of Benjamini-Hochberg). Leaving out an image that is
   nearest to T can only raise the excess test's p (the count falls by 1 and the draws in which its patient is
   in T by as much, the others not at all), and can only shorten the leading run or leave it as it is. So the error
   of either look lies in one event, "the tests reject C at alpha", as in closed testing (Marcus, Peritz & Gabriel
   1976). That is why half of alpha is kept back: it pays for the selection.

Not covered: a first look that falsely flags more than half of C, and clean images that were flagged although a
held-out film is their nearest under the cohort test's detector. R holds at least half of C whenever at most half
of S was flagged. Axes: N images of S, R of them remain.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from medaudit.artifacts.findings import Audit
from medaudit.detectors import label
from medaudit.protocol.audit_record import Case, audit_record
from medaudit.protocol.closeness import DETECTOR, compare_sides
from medaudit.protocol.controls import Plants, weigh
from medaudit.protocol.described import Machine
from medaudit.protocol.examination import Examined
from medaudit.protocol.found import Found
from medaudit.protocol.generative import NAME, Generated, weigh_copies
from medaudit.stats.budget import Budget, split_alpha
from medaudit.stats.matching import union
from medaudit.stats.reasons import CohortEvidence


def look_again(
    case: Case, examined: Sequence[Examined], plants: Plants, withheld: list[int], seed: int, machine: Machine
) -> tuple[Audit, CohortEvidence] | None:
    """The audit of the images that were not flagged, and what its cohort test saw and needs; None when none or all
    were flagged, or this is a second look."""
    flagged = union([seen.judged.flagged for seen in examined])  # (N,)
    if case.alpha_spent or not flagged.any() or flagged.all():
        return None
    keep = np.flatnonzero(~flagged)
    settings, spent = case.settings, case.settings.alpha / 2
    budget = split_alpha(settings.alpha - spent, settings.cohort_share, len(examined))
    again = [_judged_again(seen, keep, budget, plants, case.generated, machine) for seen in examined]
    chosen = next(seen for seen in again if seen.bench.detector is DETECTOR)
    rest = replace(
        case,
        synthetic=case.synthetic.at(keep),
        alpha_spent=spent,
        groups=case.groups[keep],
        beside=case.beside.at(keep),
        related=case.related.unflagged(keep),
    )
    cohort = compare_sides(
        chosen.bench,
        chosen.found,
        case.beside.found.at(keep),
        rest.variety.distinct,
        case.train,
        case.holdout,
        settings,
        seed,
    )
    seen = {part.bench.detector.name: part.seen for part in again}
    copies = weigh_copies(
        case.generated, {part.bench.detector.name: part.copied for part in again}, 1 - settings.alpha
    )
    controls = weigh(plants, seen, [part.bench for part in again], settings, seed, copies)
    left_out = sorted({*withheld, *(int(row) for row in case.synthetic.rows[flagged])})
    return audit_record(replace(rest, cohort=cohort, controls=controls), again, left_out), cohort[0]


def _judged_again(
    seen: Examined, keep: np.ndarray, budget: Budget, plants: Plants, generated: Generated | str,
    machine: Machine,
) -> Examined:  # fmt: skip
    """One detector's results for the images at these places (R,), by the rules for a release of R images."""
    bench = replace(seen.bench, count=len(keep), budget=budget)
    found, planted = seen.found.at(keep), _remembered(machine, f"{label(bench.detector)}-plants")
    copied = seen.copied
    if not isinstance(generated, str):
        copied = generated.seen_by(bench, _remembered(machine, f"{label(bench.detector)}-{NAME}"))
    spared = np.zeros(len(keep), dtype=bool) if seen.spared is None else seen.spared[keep]
    return replace(
        seen,
        bench=bench,
        found=found,
        judged=bench.judge(found).without(spared),
        spared=spared,
        seen=plants.seen_by(bench, planted),
        copied=copied,
        crowd=seen.crowd[keep],
        crowd_people=seen.crowd_people[keep],
    )


def _remembered(machine: Machine, name: str) -> Found:
    """What `search` found under this name in this audit."""
    with np.load(machine.scratch(f"{name}.npz"), allow_pickle=False) as archive:
        return Found(**archive)
