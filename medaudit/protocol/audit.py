"""The tests of an audit one after the other: STATISTICS 1 to 7, composed. Nothing is written but scratch files.

Axes: N synthetic images, n planted copies.
"""

from collections.abc import Sequence

from medaudit.config import AuditSettings
from medaudit.detectors import AnyDetector
from medaudit.protocol.audit_record import Case
from medaudit.protocol.closeness import DETECTOR, compare_sides, search_holdout
from medaudit.protocol.controls import Plants, weigh
from medaudit.protocol.described import Machine
from medaudit.protocol.duplicates import find_doubles
from medaudit.protocol.examination import Examined, examine
from medaudit.protocol.generative import generate_copies, weigh_copies
from medaudit.protocol.indexes import open_index
from medaudit.protocol.registered import Registered
from medaudit.protocol.reidentification import relate
from medaudit.protocol.scoring import draw_people, set_up
from medaudit.protocol.sides import Side
from medaudit.protocol.sources import compare_sources, fair_people
from medaudit.protocol.variety import count_groups, find_groups
from medaudit.stats.budget import split_alpha
from medaudit.stats.matching import usable_neighbours


def examine_cohorts(
    train: Side, holdout: Side, synthetic: Side, detectors: Sequence[AnyDetector], settings: AuditSettings,
    alpha_spent: float, seed: int, machine: Machine,
) -> tuple[Case, list[Examined], Plants]:  # fmt: skip
    """Source, duplicates, unseen people, one detector after the other, then the cohort test and the controls."""
    source = compare_sources(train, holdout, settings.permutations, seed)
    doubles = find_doubles(train, holdout, machine, seed)
    groups = find_groups(synthetic, doubles.lines, machine)
    k, usable = usable_neighbours(settings.neighbours, train.groups)
    doubled, most = (doubles.in_train, doubles.in_holdout), settings.reference_people
    people = fair_people(draw_people(train, holdout, usable, doubled, most, seed), source)
    budget = split_alpha(settings.alpha - alpha_spent, settings.cohort_share, len(detectors))
    plants = Plants.draw(train, settings, doubles.in_train, synthetic.bits, seed)
    generated = generate_copies(train, doubles.in_train, settings, synthetic.bits, seed, machine)
    examined: list[Examined] = []
    registered: Registered | None = None
    for detector in detectors:
        described = open_index(detector, train, machine)
        registered = described if isinstance(described, Registered) else registered
        bench = set_up(
            described, holdout, people, k, len(synthetic), budget, settings.bootstrap, seed, machine
        )
        examined.append(examine(bench, described, synthetic, plants, generated, machine))
    chosen = next(seen for seen in examined if seen.bench.detector is DETECTOR)
    beside = search_holdout(synthetic, train, holdout, people, settings.neighbours, machine)
    cohort = compare_sides(
        chosen.bench, chosen.found, beside.found, count_groups(groups), train, holdout, settings, seed
    )
    seen = {part.bench.detector.name: part.seen for part in examined}
    copied = {part.bench.detector.name: part.copied for part in examined}
    copies = weigh_copies(generated, copied, 1 - settings.alpha)
    evidence = weigh(plants, seen, [part.bench for part in examined], settings, seed, copies)
    related = relate(
        train, holdout, synthetic, doubles, examined, registered, settings.bootstrap, seed, machine
    )
    case = Case(
        train,
        holdout,
        synthetic,
        settings,
        alpha_spent,
        doubles,
        beside,
        cohort,
        evidence,
        generated,
        groups,
        source,
        related,
    )
    return case, examined, plants
