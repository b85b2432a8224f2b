"""Adapters: what is known of each layout, one file in layouts/*.yaml each; and the entries that one makes of a source.

An adapter is data: which files are images, what their path says, which tables come with them, how columns
become patient, study, view, split and findings, and the trap that caught others. A new data set is a new file.

A table applies to the images in its own folder and below. Where a folder holds tables and no image, as `annotations/`
does in some releases, they apply to the folder above it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Literal

import yaml

from medaudit.config import Settings, check_settings
from medaudit.errors import UsageProblem
from medaudit.readers import refusals, tables
from medaudit.readers.naming import (
    DICOM_SUFFIXES,
    RASTER_SUFFIXES,
    is_table,
    named_like,
    parent,
    suffix,
    within,
)
from medaudit.readers.records import Entry, view_word
from medaudit.readers.refusals import ACCEPTABLE
from medaudit.readers.tables import LabelRule, Table, TableRule

NPZ_NAMES = ("medmnist", "npz")
_SUFFIX_WORDS = {"raster": RASTER_SUFFIXES, "dicom": DICOM_SUFFIXES}


class Adapter(Settings):
    """One layout. Templates name columns, groups of `path`, and path, name, stem of the file."""

    name: str
    title: str
    order: int  # the guess tries the layouts in this order
    suffixes: tuple[str, ...]  # endings of images; "" is none; `raster` and `dicom` stand for all of them
    path: str = ""  # regular expression with named groups, searched in the path
    evidence: str = ""  # regular expression of paths that hardly another set has; `path` where it says enough
    least: int = 5  # so many images have to be named like that before the layout is guessed from names alone
    recognise: Literal["tables", "path", "tables or path", "metadata", "content", "anything"] = "tables"
    tables: tuple[TableRule, ...] = ()
    patient: tuple[str, ...] = ()
    study: tuple[str, ...] = ()
    view: tuple[str, ...] = ()
    split: tuple[str, ...] = ()
    labels: LabelRule | None = None
    header_patient: bool = True  # PatientID of a DICOM header counts where nothing else names the patient
    accept: tuple[str, ...] = ()  # reasons of refusal that are usual for this set and no fault
    trap: str = ""  # said to the user, kept in the manifest

    @property
    def endings(self) -> frozenset[str]:
        """The endings of its images, spelled out."""
        return frozenset(one for word in self.suffixes for one in _SUFFIX_WORDS.get(word, (word,)))

    @property
    def any_image(self) -> bool:
        """Whether the layout takes every image there is, whatever its ending."""
        return self.recognise in ("content", "anything")


@cache
def adapters() -> tuple[Adapter, ...]:
    """All adapters, in the order of the guess. Raises ConfigProblem for a faulty file."""
    found = []
    for path in sorted((Path(__file__).parent / "layouts").glob("*.yaml")):
        adapter = check_settings(yaml.safe_load(path.read_text(encoding="utf-8")), Adapter, path.name)
        if not set(adapter.accept) <= ACCEPTABLE:
            raise ValueError(f"{path.name}: accept names a reason that cannot be accepted")
        found.append(adapter)
    return tuple(sorted(found, key=lambda adapter: adapter.order))


def adapter_named(name: str) -> Adapter:
    """The adapter of that name, which must be one."""
    return next(adapter for adapter in adapters() if adapter.name == name)


def known_layouts() -> list[str]:
    """Names that --layout takes, but auto."""
    return sorted([adapter.name for adapter in adapters()] + list(NPZ_NAMES))


@dataclass(frozen=True)
class Placed:
    """A table of a source: its name, its rule, and the folder it applies to ("": all)."""

    name: str
    rule: TableRule
    scope: str


@dataclass(frozen=True)
class Built:
    """Entries of a layout. `matched`: how many images a required table names; `from_names`: those whose patient is
    known from their name alone."""

    entries: list[Entry]
    warnings: list[str]
    matched: int
    from_names: frozenset[str]


def tables_of(root: Path, names: Sequence[str], adapter: Adapter) -> list[Placed]:
    """For each rule and folder, the first table whose name and header fit."""
    sheets = [name for name in names if is_table(name)]
    endings = adapter.endings
    images = [name for name in names if suffix(name) in endings] if sheets else []
    found = []
    for rule in adapter.tables:
        taken = set[str]()
        for name in named_like(sheets, rule.files):
            scope = parent(name)
            while scope and not any(within(image, scope) for image in images):
                scope = parent(scope)
            if scope not in taken and _fits(root / name, rule):
                taken.add(scope)
                found.append(Placed(name, rule, scope))
    return found


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
        from_path = values = path_values(name, pattern)
        labels: list[str] = []
        refuse, listed = None, False
        for rule_tables in by_rule:
            applying = next((t for t in rule_tables if within(name, t[0].scope)), None)
            if applying is None:
                if rule_tables and rule_tables[0][0].rule.unlisted == "refuse":
                    refuse = refusals.UNLISTED
                continue
            one, table = applying
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
        if not listed and tables.first_of(adapter.patient, from_path):
            from_names.add(name)
        entries.append(_entry(name, adapter, values, tuple(dict.fromkeys(labels)), refuse))
    warnings = list[str]()
    entries += _named_outside(loaded, warnings)
    warnings += _absent(loaded, seen)
    return Built(entries, warnings, matched, frozenset(from_names))


def _named_outside(loaded: Sequence[tuple[Placed, Table]], warnings: list[str]) -> list[Entry]:
    """A refused entry for each file that tables name outside the source."""
    outside = dict.fromkeys(key for _, table in loaded for key in table.outside)
    if outside:
        warnings.append(f"tables name {len(outside)} files outside the source, which are not opened")
    return [Entry(key, refuse=refusals.OUTSIDE_FOLDER) for key in outside]


def _absent(loaded: Sequence[tuple[Placed, Table]], seen: Mapping[str, set[str]]) -> list[str]:
    absent = (len(table.rows.keys() - seen[one.name]) for one, table in loaded if one.rule.required)
    return [f"the table names {count} images that are not here" for count in absent if count]


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
