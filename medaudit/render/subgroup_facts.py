"""How many patients of each subgroup of the training films are shown by flagged images: counts, nobody by name.

A subgroup is a label that films carry or a view; a patient with several is counted in each. Axes: P training
patients, G subgroups.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from medaudit.render.allowed import Aggregate, PlainText
from medaudit.render.histogram import SMALLEST_CELL, suppress
from medaudit.stats.intervals import clopper_pearson

MOST_GROUPS = 15  # the rarest first


class GroupFacts(Aggregate):
    """One subgroup: its patients, those among them whom flagged images show, and that share's 95 % interval.

    `shown` is None where the count is kept back; then there is no interval either.
    """

    kind: PlainText  # label or view
    name: PlainText
    patients: int
    shown: int | None
    low: float | None
    high: float | None


class SubgroupFacts(Aggregate):
    """The subgroups, the rarest first, beside all patients; `kept_back` have too few patients to be named."""

    groups: tuple[GroupFacts, ...]
    patients: int
    shown: int | None  # None: it would tell how many without a label are shown
    kept_back: int
    left_out: int  # common ones beyond MOST_GROUPS


def subgroup_facts(
    rows: Sequence[Mapping[str, Any]], flagged: Collection[str], views: Collection[str], hide: bool
) -> SubgroupFacts | None:
    """Subgroups of a training cohort's `rows`, where films carry labels or differ in view; else None.

    `flagged` are the patients named by flagged images, `views` the views that may be printed. With `hide` a subgroup
    of fewer than ten patients is not named and a count under ten not given, as the shareable edition must.
    """
    people = _people(rows, views)  # (G): the patients of each subgroup
    everyone = set().union(*people.values()) if people else set()
    if not people:
        return None
    ordered = sorted(people, key=lambda group: (len(people[group]), group))
    named = [group for group in ordered if not hide or len(people[group]) >= SMALLEST_CELL]
    chosen = named[:MOST_GROUPS]
    counts = [len(people[group] & set(flagged)) for group in chosen]
    rare = set().union(*(people[group] for group in ordered if group not in named)) & set(flagged)
    given: Sequence[int | None] = counts
    if hide and (
        any(counts) or rare
    ):  # those not named count as one more cell, or the total would give them away
        given = suppress(np.array([*counts, len(rare)] if len(ordered) > len(named) else counts))[
            : len(counts)
        ]
    all_of_them = {row["patient"] for row in rows if row["mark"] is None} <= everyone
    return SubgroupFacts(
        groups=tuple(
            _group(group, len(people[group]), count) for group, count in zip(chosen, given, strict=True)
        ),
        patients=len(everyone),
        shown=len(everyone & set(flagged)) if all_of_them or not hide else None,
        kept_back=len(ordered) - len(named),
        left_out=len(named) - len(chosen),
    )


def _people(rows: Sequence[Mapping[str, Any]], views: Collection[str]) -> dict[tuple[str, str], set[str]]:
    """Patients by subgroup; views only where there are two or more."""
    found: dict[tuple[str, str], set[str]] = {}
    for row in rows:
        if row["mark"] is not None or row["patient"] is None:
            continue
        for label in row["labels"] or ():
            found.setdefault(("label", label), set()).add(row["patient"])
        if row["view"] in views:
            found.setdefault(("view", row["view"]), set()).add(row["patient"])
    if sum(kind == "view" for kind, _ in found) == 1:
        found = {group: people for group, people in found.items() if group[0] != "view"}
    return found


def _group(group: tuple[str, str], patients: int, shown: int | None) -> GroupFacts:
    interval = None if shown is None else clopper_pearson(shown, patients)
    return GroupFacts(
        kind=group[0],
        name=group[1],
        patients=patients,
        shown=shown,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
    )
