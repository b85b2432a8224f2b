"""Adapters: what is known of each layout, one file in layouts/*.yaml each.

An adapter is data: which files are films, what their path says, which tables stand beside them, how columns
become patient, study, view, split and findings, and the trap that caught others. A new data set is a new file.
"""

from functools import cache
from pathlib import Path
from typing import Literal

import yaml

from medaudit.config import Settings, check_settings
from medaudit.readers.refusals import ACCEPTABLE
from medaudit.readers.tables import LabelRule, TableRule

NPZ_NAMES = ("medmnist", "npz")


class Adapter(Settings):
    """One layout. Templates name columns, groups of `path`, and path, name, stem of the file."""

    name: str
    title: str
    order: int  # the guess asks in this order
    suffixes: tuple[str, ...]  # endings of films; "" is none
    path: str = ""  # regular expression with named groups, searched in the path
    evidence: str = ""  # regular expression of paths that hardly another set has; `path` where it says enough
    least: int = 5  # so many films have to be named like that before the layout is guessed from names alone
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
    def any_film(self) -> bool:
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
