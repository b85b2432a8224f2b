"""metadata.csv: a table beside the images that says whose they are. It speaks for its own folder and no other."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from medaudit.errors import UsageProblem
from medaudit.readers import files, filetables, refusals
from medaudit.readers.adapters import adapter_named
from medaudit.readers.entries import named_like, parent, within
from medaudit.readers.filetables import Columns, Named
from medaudit.readers.left import Contents
from medaudit.readers.naming import Files
from medaudit.readers.records import Entry


@dataclass
class Spoken:
    """What the tables say. `tables`: (name, folder it speaks for); `entries`: one for each image in those folders."""

    tables: list[tuple[str, str]] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def why(self) -> str:
        """Why these tables were read."""
        return "; ".join(
            f"{name} names the files of {'its folder alone' if scope else 'the source'}"
            for name, scope in self.tables
        )


def read_beside(
    root: Path, names: Sequence[str], contents: Contents, columns: Columns, lenient: bool
) -> Spoken:
    """Read every metadata.csv whose folder holds images.

    Raises UsageProblem for one that cannot be used; `lenient`: it is passed over, because a manifest is given.
    """
    adapter = adapter_named("metadata")
    found = Spoken()
    said: dict[str, Named] = {}
    patterns = adapter.tables[0].files
    for name in sorted((n for n in names if named_like(n, patterns)), key=lambda n: (n.count("/"), n)):
        scope = parent(name)
        if any(scope == taken for _, taken in found.tables):
            continue
        inside = [n for n in names if within(n, scope)]
        images = [n for n in inside if _is_image(n, adapter.suffixes, contents)]
        if not images:
            found.notes.append(f"{name} speaks for its own folder, which holds no image; it is not used")
            continue
        try:
            said[name] = _read(root, name, scope, images, inside, columns)
            count = len(said[name].rows)
            # kept without the name of a folder, shown with it
            kept, shown = ("a metadata.csv in a subfolder", name) if scope else (name, name)
            found.warnings += filetables.coverage(kept, said[name], len(images), count)
            found.notes += filetables.coverage(shown, said[name], len(images), count)
        except UsageProblem:
            if not lenient:
                raise
            found.notes.append(f"{name} cannot be used and is passed over, because a manifest is given")
            continue
        found.tables.append((name, scope))
        found.notes += filter(None, [said[name].note])
    _fill(found, said, names, adapter.suffixes)
    return found


def _is_image(name: str, suffixes: Sequence[str], contents: Contents) -> bool:
    if files.suffix(name) in suffixes:
        return True
    return not name.lower().endswith((".csv", ".csv.gz")) and contents.readable(name)


def _read(
    root: Path, name: str, scope: str, images: Sequence[str], inside: Sequence[str], columns: Columns
) -> Named:
    """What one table says, under the names of the source."""
    cut = len(scope) + 1 if scope else 0
    index = Files([n[cut:] for n in images], [n[cut:] for n in inside])
    named = filetables.read(root / name, name, index, root / scope, columns)
    above = f"{scope}/" if scope else ""
    named.rows = {above + file: row for file, row in named.rows.items()}
    named.conflicts = {above + file for file in named.conflicts}
    named.missing = {above + file: None for file in named.missing}
    return named


def _fill(found: Spoken, said: dict[str, Named], names: Sequence[str], suffixes: Sequence[str]) -> None:
    """An entry for each file that a table names or that is an image in its folder. Two patients are a conflict."""
    scopes = [scope for _, scope in found.tables]
    for name in names:
        if not any(within(name, scope) for scope in scopes):
            continue
        tables = [said[table] for table, _ in found.tables if name in said[table].rows]
        if not tables:
            if files.suffix(name) in suffixes:
                found.entries.append(Entry(name, refuse=refusals.UNLISTED))
            continue
        entry = Entry(name)
        for one in reversed(tables):  # the table of the whole source has the last word but about the patient
            entry = one.applied(entry)
        patients = {one.rows[name][0].get("patient") for one in tables} - {None}
        conflict = len(patients) > 1 or any(name in one.conflicts for one in tables)
        found.entries.append(
            Entry(**{**vars(entry), "refuse": refusals.PATIENT_CONFLICT if conflict else entry.refuse})
        )
    there = {entry.file for entry in found.entries}
    lost = {entry.file: entry for one in said.values() for entry in one.refused()}
    found.entries += [entry for file, entry in lost.items() if file not in there]
