"""Entries of a published layout: which of its tables speak for which folder, and what path and tables say of each film.

A table in a folder speaks for that folder alone. Where a folder holds tables and no film, as `annotations/` does in
some releases, they speak for the folder above it.
"""

import fnmatch
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from medaudit.errors import UsageProblem
from medaudit.readers import files, refusals, tables
from medaudit.readers.adapters import Adapter
from medaudit.readers.records import Entry, view_word
from medaudit.readers.tables import Table, TableRule


@dataclass(frozen=True)
class Placed:
    """A table of a source: its name, its rule, and the folder it speaks for ("": all)."""

    name: str
    rule: TableRule
    scope: str


@dataclass(frozen=True)
class Built:
    """Entries of a layout. `matched`: how many films a required table names; `from_names`: those whose name alone
    says whose they are."""

    entries: list[Entry]
    warnings: list[str]
    matched: int
    from_names: frozenset[str]


def within(name: str, folder: str) -> bool:
    """Whether a file lies in a folder or below it; all lie in ""."""
    return not folder or name.startswith(folder + "/")


def parent(name: str) -> str:
    """The folder of a file, "" for the source itself."""
    return name.rpartition("/")[0]


def named_like(name: str, patterns: Sequence[str]) -> bool:
    """Whether the last part of a name fits one of the patterns, in any case."""
    last = PurePosixPath(name).name.lower()
    return any(fnmatch.fnmatchcase(last, pattern.lower()) for pattern in patterns)


def tables_of(root: Path, names: Sequence[str], adapter: Adapter) -> list[Placed]:
    """For each rule and folder, the first table whose name and header fit."""
    sheets = [name for name in names if is_table(name)]
    films = [name for name in names if files.suffix(name) in adapter.suffixes] if sheets else []
    found = []
    for rule in adapter.tables:
        taken = set[str]()
        for name in sorted((n for n in sheets if named_like(n, rule.files)), key=lambda n: (n.count("/"), n)):
            scope = parent(name)
            while scope and not any(within(film, scope) for film in films):
                scope = parent(scope)
            if scope not in taken and _fits(root / name, rule):
                taken.add(scope)
                found.append(Placed(name, rule, scope))
    return found


def is_table(name: str) -> bool:
    """Whether a file is named as a CSV table."""
    return name.lower().endswith((".csv", ".csv.gz"))


def _fits(path: Path, rule: TableRule) -> bool:
    try:
        return set(rule.columns) <= set(tables.header(path))
    except UsageProblem:  # not a table; what cannot be opened is refused by name
        return False


def build(root: Path, names: Sequence[str], adapter: Adapter, placed: Sequence[Placed]) -> Built:
    """One entry for each of `names`, from its path and the tables."""
    wanted = {
        f for t in (*adapter.patient, *adapter.study, *adapter.view, *adapter.split) for f in tables.fields(t)
    }
    loaded = [
        (one, tables.load(root / one.name, one.rule, wanted, adapter.patient, adapter.labels))
        for one in placed
    ]
    by_rule = [
        sorted((t for t in loaded if t[0].rule == rule), key=lambda t: -len(t[0].scope))
        for rule in adapter.tables
    ]
    seen: dict[str, set[str]] = {one.name: set() for one in placed}
    pattern = re.compile(adapter.path) if adapter.path else None
    entries, from_names, matched = [], set[str](), 0
    for name in names:
        path_says = values = path_values(name, pattern)
        labels: list[str] = []
        refuse, listed = None, False
        for rule_tables in by_rule:
            speaking = next((t for t in rule_tables if within(name, t[0].scope)), None)
            if speaking is None:
                if rule_tables and rule_tables[0][0].rule.unlisted == "refuse":
                    refuse = refusals.UNLISTED
                continue
            one, table = speaking
            key = tables.render(one.rule.film_key, values)
            row = table.rows.get(key) if key else None
            if key is None or row is None:
                refuse = refusals.UNLISTED if one.rule.unlisted == "refuse" else refuse
                continue
            seen[one.name].add(key)
            listed, matched = True, matched + one.rule.required
            values = {**row[0], **values}
            labels += row[1]
            if key in table.conflicts:
                refuse = refusals.PATIENT_CONFLICT
        if not listed and tables.first_of(adapter.patient, path_says):
            from_names.add(name)
        entries.append(_entry(name, adapter, values, tuple(dict.fromkeys(labels)), refuse))
    warnings = list[str]()
    entries += _led_out(loaded, warnings)
    warnings += _absent(loaded, seen)
    return Built(entries, warnings, matched, frozenset(from_names))


def _led_out(loaded: Sequence[tuple[Placed, Table]], warnings: list[str]) -> list[Entry]:
    """What tables name outside the source is refused."""
    outside = dict.fromkeys(key for _, table in loaded for key in table.outside)
    if outside:
        warnings.append(f"tables name {len(outside)} files outside the source, which are not opened")
    return [Entry(key, refuse=refusals.OUTSIDE_FOLDER) for key in outside]


def _absent(loaded: Sequence[tuple[Placed, Table]], seen: Mapping[str, set[str]]) -> list[str]:
    absent = (len(table.rows.keys() - seen[one.name]) for one, table in loaded if one.rule.required)
    return [f"the table names {count} films that are not here" for count in absent if count]


def path_values(name: str, pattern: re.Pattern[str] | None) -> dict[str, str]:
    """What a path says: path, name, stem, and the named groups of the pattern."""
    path = PurePosixPath(name)
    values = {"path": name, "name": path.name, "stem": path.stem}
    match = pattern.search(name) if pattern else None
    if match:
        values |= {group: text for group, text in match.groupdict().items() if text}
    return values


def _entry(
    name: str, adapter: Adapter, values: Mapping[str, str], labels: tuple[str, ...], refuse: str | None
) -> Entry:
    return Entry(
        file=name,
        patient=tables.first_of(adapter.patient, values),
        study=tables.first_of(adapter.study, values),
        view=view_word(tables.first_of(adapter.view, values)),
        split=tables.first_of(adapter.split, values),
        labels=labels,
        refuse=refuse,
    )
