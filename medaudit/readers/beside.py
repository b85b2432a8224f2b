"""metadata.csv: a table beside the images that says whose they are. It speaks for its own folder and no other."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from medaudit.errors import UsageProblem
from medaudit.readers import files, filetables, refusals
from medaudit.readers.adapters import adapter_named
from medaudit.readers.entries import is_table, named_like, parent, within
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

    def is_image(name: str) -> bool:
        return files.suffix(name) in adapter.suffixes or (not is_table(name) and contents.readable(name))

    said: dict[str, Named] = {}
    patterns = adapter.tables[0].files
    for name in sorted((n for n in names if named_like(n, patterns)), key=lambda n: (n.count("/"), n)):
        scope = parent(name)
        if any(scope == taken for _, taken in found.tables):
            continue
        inside = [n for n in names if within(n, scope)]
        images = [n for n in inside if is_image(n)]
        if not images:
            found.notes.append(f"{name} speaks for its own folder, which holds no image; it is not used")
            continue
        try:
            said[name] = _read(root, name, scope, images, inside, columns)
            files_here = {*images, *said[name].rows}
            count = len(said[name].rows)
            # kept without the name of a folder, shown with it
            kept, shown = ("a metadata.csv in a subfolder", name) if scope else (name, name)
            found.warnings += filetables.coverage(kept, said[name], len(files_here), count)
            found.notes += filetables.coverage(shown, said[name], len(files_here), count)
        except UsageProblem:
            if not lenient:
                raise
            said.pop(name, None)
            found.notes.append(f"{name} cannot be used and is passed over, because a manifest is given")
            continue
        found.tables.append((name, scope))
        found.notes += filter(None, [said[name].note])
    _fill(found, said, [n for n in names if any(within(n, scope) for _, scope in found.tables)], is_image)
    return found


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


def _fill(
    found: Spoken, said: dict[str, Named], names: Sequence[str], is_image: Callable[[str], bool]
) -> None:
    """An entry for each of `names` that a table names or that is an image. Two patients are a conflict."""
    for name in names:
        tables = [said[table] for table, _ in found.tables if name in said[table].rows]
        if not tables:
            if is_image(name):
                found.entries.append(Entry(name, refuse=refusals.UNLISTED))
            continue
        entry = Entry(name)
        for one in reversed(tables):  # the table of the whole source has the last word but about the patient
            entry = one.applied(entry)
        patients = {one.rows[name][0].get("patient") for one in tables} - {None}
        conflict = len(patients) > 1 or any(name in one.conflicts for one in tables)
        found.entries.append(replace(entry, refuse=refusals.PATIENT_CONFLICT if conflict else entry.refuse))
    there = {entry.file for entry in found.entries}
    lost = {entry.file: entry for one in said.values() for entry in one.refused()}
    found.entries += [entry for file, entry in lost.items() if file not in there]
