"""`medaudit dedup`: near-duplicates of a cohort are marked, and the first of each group stays in use.

Rows keep their positions and pixels; the groups stand in `duplicates.parquet`. Axes: M rows in use.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from medaudit.artifacts.cohort import Cohort, open_cohort, write_subset
from medaudit.artifacts.store import Draft, Request, finished
from medaudit.devices import pick_device
from medaudit.errors import EmptyCohort
from medaudit.progress import SILENT, Progress
from medaudit.protocol.belonging import check_sizes
from medaudit.protocol.described import Machine, check_memory
from medaudit.protocol.duplicates import between, lines, searched, within
from medaudit.protocol.sides import Side
from medaudit.stages.outcome import Outcome
from medaudit.stats.duplicates import components, groups_across, nearest_in_pairs

GROUPS = "duplicates.parquet"
REPEATED, ELSEWHERE = "near-duplicate", "near-duplicate of the other cohort"
MEMORY_BYTES = 1 << 30
# Facts of a manifest that every artifact has of its own; the others (origin, role, layout) pass to the new cohort.
_OWN = {"schema", "kind", "files", "lineage", "settings", "seed", "versions", "request", "refused"}
_OWN |= {"rows", "image_shape", "dtype", "duplicates"}

GROUP_SCHEMA = pa.schema(
    [
        pa.field("group", pa.int64(), nullable=False),  # row of the first film of the group
        pa.field("row", pa.int64(), nullable=False),
        pa.field("patient", pa.string()),
        pa.field("distance", pa.float64()),  # RMSE to the nearest film of the group; null when it is alone
        pa.field("across_patients", pa.bool_(), nullable=False),  # the group holds films of several patients
        pa.field("other_row", pa.int64()),  # row of the other cohort with the same film
    ]
)


def run(
    cohort: Path,
    out: Path,
    against: Path | None = None,
    seed: int = 0,
    progress: Progress = SILENT,
    *,
    device: str = "auto",
    memory_bytes: int = MEMORY_BYTES,
) -> Outcome:
    """Mark near-duplicates; with `against`, films that the other cohort holds too are set aside as well.

    Raises CohortMismatch for images of different sizes, EmptyCohort when nothing would stay in use, MemoryTooSmall.
    """
    source = open_cohort(cohort)
    other = None if against is None else open_cohort(against)
    if other is not None:
        check_sizes(source, other)
    check_memory(memory_bytes, Side.of(source))
    parents = {"cohort": source.id} | ({} if other is None else {"against": other.id})
    request = Request("cohort", {"command": "dedup"}, seed, parents)
    if finished(out, request) is None:
        processor = str(pick_device(device))
        with Draft(out, request) as draft:
            machine = Machine(processor, memory_bytes, progress, draft.scratch)
            groups, counts = _groups(
                Side.of(source), None if other is None else Side.of(other), machine, seed
            )
            pq.write_table(groups, draft.file(GROUPS))
            marked = _marked(source, groups)
            facts = {name: fact for name, fact in source.artifact.manifest.items() if name not in _OWN}
            note = {**facts, "key": source.key, "duplicates": counts}
            write_subset(draft, marked, np.arange(len(source)), note=note)
    return _outcome(out, source, against)


def _groups(side: Side, other: Side | None, machine: Machine, seed: int) -> tuple[pa.Table, dict[str, float]]:
    """The table of groups, and the counts that go into the manifest."""
    asked = searched(side, machine)
    limits = lines(asked, machine, seed)
    pairs = within(asked, limits, machine, across_patients=False)
    group = components(len(side), pairs.places)
    across = groups_across(group, side.groups)
    distance = nearest_in_pairs(len(side), pairs.places, pairs.distance)
    elsewhere = np.full(len(side), -1)
    if other is not None:
        shared = between(searched(other, machine), side, limits, machine)
        elsewhere[shared.places[:, 1]] = other.rows[shared.places[:, 0]]
    listed = np.flatnonzero(np.isfinite(distance) | (elsewhere >= 0))
    table = pa.table(
        {
            "group": side.rows[group[listed]],
            "row": side.rows[listed],
            "patient": side.names[listed],
            "distance": pa.array(distance[listed], mask=~np.isfinite(distance[listed])),
            "across_patients": across[listed],
            "other_row": pa.array(elsewhere[listed], mask=elsewhere[listed] < 0),
        },
        schema=GROUP_SCHEMA,
    )
    grouped = np.isfinite(distance)
    return table, {
        "groups": len(np.unique(group[grouped])),
        "groups_across_patients": len(np.unique(group[grouped & across])),
        "rows_in_both_cohorts": int((elsewhere >= 0).sum()),
        **{f"line_{name}": limit for name, limit in limits.items()},
    }


def _marked(source: Cohort, groups: pa.Table) -> Cohort:
    """The same cohort with the repeated rows set aside. Raises EmptyCohort when none would stay in use."""
    marks = source.rows.column("mark").to_pylist()
    for row in groups.to_pylist():
        if row["row"] != row["group"]:
            marks[row["row"]] = REPEATED
        if row["other_row"] is not None:
            marks[row["row"]] = ELSEWHERE
    if None not in marks:
        raise EmptyCohort(
            f"every image of {source.artifact.path} stands in the other cohort too; nothing is left"
        )
    place = source.rows.schema.get_field_index("mark")
    rows = source.rows.set_column(place, source.rows.schema.field(place), pa.array(marks, pa.string()))
    return replace(source, rows=rows)


def _outcome(out: Path, source: Cohort, against: Path | None) -> Outcome:
    done = open_cohort(out, verify=False)
    counts = dict(done.artifact.manifest["duplicates"])
    aside = len(source.in_use) - len(done.in_use)
    out_lines = [
        f"{len(source.in_use):,} images: {counts['groups']:,} groups of near-duplicates; {aside:,} images set aside, "
        f"{len(done.in_use):,} stay in use",
        f"groups with films of different patients: {counts['groups_across_patients']:,}",
    ]
    if against is not None:
        out_lines.append(f"films that {against} holds too: {counts['rows_in_both_cohorts']:,}")
    out_lines.append(f"groups: {out / GROUPS}")
    return Outcome(tuple(out_lines), {**counts, "set_aside": aside, "in_use": len(done.in_use)}, out)
