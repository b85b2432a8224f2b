"""`medaudit audit`: is anyone of T recognisable in S? STATISTICS 1 to 7, composed.

Every synthetic image is compared with every training image by every detector; what counts as close is learnt from
unseen people (training patients without themselves, and held-out patients); planted copies and unseen people taken
through the identical path say what would have been seen. Memory: see `scoring`; T is never loaded whole when large.
"""

from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq

from medaudit.artifacts.findings import (
    AUDIT_JSON,
    EXIT_CODES,
    open_audit,
    write_record,
)
from medaudit.artifacts.store import Draft, Request, finished
from medaudit.config import AuditSettings
from medaudit.detectors import DETECTORS
from medaudit.devices import pick_device
from medaudit.errors import ReferenceTooSmall, UsageProblem
from medaudit.progress import SILENT, Progress
from medaudit.protocol.audit_record import Case
from medaudit.protocol.audit_summary import summary
from medaudit.protocol.audit_tables import tables
from medaudit.protocol.belonging import open_sides
from medaudit.protocol.closeness import DETECTOR, compare_sides, search_holdout
from medaudit.protocol.controls import Plants, weigh
from medaudit.protocol.described import Machine
from medaudit.protocol.duplicates import find_doubles
from medaudit.protocol.examination import Examined, examine
from medaudit.protocol.indexes import open_index
from medaudit.protocol.outlook import whole_record
from medaudit.protocol.reidentification import relate
from medaudit.protocol.scoring import draw_people, set_up
from medaudit.protocol.sides import Side
from medaudit.protocol.sources import compare_sources, fair_people
from medaudit.protocol.variety import count_groups, find_groups
from medaudit.stages.outcome import Outcome
from medaudit.stats.budget import split_alpha
from medaudit.stats.matching import usable_neighbours

MEMORY_BYTES = 1 << 30


def run(
    train: Path,
    holdout: Path,
    synthetic: Path,
    out: Path,
    settings: AuditSettings | None = None,
    device: str = "auto",
    seed: int = 0,
    progress: Progress = SILENT,
    *,
    withheld: Sequence[int] = (),
    alpha_spent: float = 0.0,
    memory_bytes: int = MEMORY_BYTES,
) -> Outcome:
    """Audit S against T with H as unseen people; the exit code is the verdict's.

    `withheld`: rows of S that will not be released; `alpha_spent`: what earlier audits used of alpha.
    Raises CohortMismatch, PatientInBothSplits, EmptyCohort, ReferenceTooSmall, DeviceUnavailable, UsageProblem.
    """
    settings = settings or AuditSettings()  # type: ignore[call-arg]
    if not 0 <= alpha_spent < settings.alpha:
        raise UsageProblem(
            f"alpha_spent must leave something of alpha {settings.alpha:g}; raise alpha in the config"
        )
    processor = str(pick_device(device))
    left_out = sorted(int(row) for row in withheld)
    sides = open_sides(train, holdout, synthetic, left_out)
    if len(sides[0]) < 2:
        raise ReferenceTooSmall(f"{train} has one image in use; an audit needs at least two training images")
    request = Request(
        "findings",
        {
            "command": "audit",
            **settings.model_dump(mode="json"),
            "withheld": left_out,
            "alpha_spent": alpha_spent,
        },
        seed,
        {name: side.cohort.id for name, side in zip(("train", "holdout", "synthetic"), sides, strict=True)},
    )
    if finished(out, request) is None:
        with Draft(out, request) as draft:
            machine = Machine(processor, memory_bytes, progress, draft.scratch)
            case, examined, plants = _examine(*sides, settings, alpha_spent, seed, machine)
            record = whole_record(case, examined, plants, left_out, seed, machine)
            write_record(draft.file(AUDIT_JSON), record)
            for name, table in tables(case, examined).items():
                pq.write_table(table, draft.file(name))
            draft.commit()
    record = open_audit(out)[1]
    data = record.model_dump(mode="json", by_alias=True)
    return Outcome(summary(record, out), data, out, EXIT_CODES[record.verdict])


def _examine(
    train: Side, holdout: Side, synthetic: Side, settings: AuditSettings, alpha_spent: float, seed: int,
    machine: Machine,
) -> tuple[Case, list[Examined], Plants]:  # fmt: skip
    """Source, duplicates, unseen people, one detector after the other, then the cohort test and the controls."""
    source = compare_sources(train, holdout, settings.permutations, seed)
    doubles = find_doubles(train, holdout, machine, seed)
    groups = find_groups(synthetic, doubles.lines, machine)
    k, usable = usable_neighbours(settings.neighbours, train.groups)
    doubled, most = (doubles.in_train, doubles.in_holdout), settings.reference_people
    people = fair_people(draw_people(train, holdout, usable, doubled, most, seed), source)
    budget = split_alpha(settings.alpha - alpha_spent, settings.cohort_share, len(DETECTORS))
    plants = Plants.draw(train, settings, doubles.in_train, synthetic.bits, seed)
    examined: list[Examined] = []
    for detector in DETECTORS:
        described = open_index(detector, train, machine)
        bench = set_up(
            described, holdout, people, k, len(synthetic), budget, settings.bootstrap, seed, machine
        )
        examined.append(examine(bench, described, synthetic, plants, machine))
    chosen = next(seen for seen in examined if seen.bench.detector is DETECTOR)
    other, different = search_holdout(synthetic, holdout, machine), count_groups(groups)
    cohort = compare_sides(chosen.bench, chosen.found, other, different, train, holdout, settings, seed)
    seen = {part.bench.detector.name: part.seen for part in examined}
    evidence = weigh(plants, seen, [part.bench for part in examined], settings, seed)
    related = relate(train, holdout, synthetic, people, doubles, examined, settings.bootstrap, seed, machine)
    case = Case(
        train,
        holdout,
        synthetic,
        settings,
        alpha_spent,
        doubles,
        people,
        other,
        cohort,
        evidence,
        groups,
        source,
        related,
    )
    return case, examined, plants
