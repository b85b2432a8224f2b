"""Tables that name the patient of each file: --manifest, and a metadata.csv in a folder of images.

Usual names of columns are known; the file of a row is found among the files of the source, and a row that fits two of
them is an error. A metadata.csv applies to its own folder and the folders below it.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from medaudit.errors import UsageProblem
from medaudit.readers import refusals, tables
from medaudit.readers.naming import Files, has_ending, inside, named_like, parent, within
from medaudit.readers.records import Entry, patient_id, view_word
from medaudit.readers.tables import LabelRule

# Letters and digits of a column's name, lower case.
_FILE = frozenset({
    "file", "files", "filename", "filepath", "filelocation", "path", "filepathname", "relativepath", "fullpath",
    "image", "images", "imageid", "imageindex", "imagename", "imagefile", "imagefilename", "imagepath", "img",
    "imgname", "imgid", "imgpath", "imgfile", "dicom", "dicomid", "dicomfile", "dicompath", "dicomname", "dcm",
    "dcmpath", "pngpath", "png", "jpgpath", "jpegpath",
})  # fmt: skip
_PATIENT = frozenset({
    "patient", "patientid", "patientids", "patients", "patientnumber", "patientno", "patientnr", "patientidentifier",
    "patid", "pid", "subject", "subjectid", "subjectno", "subjectidentifier", "participant", "participantid",
    "person", "personid", "mrn",
})  # fmt: skip
_OTHERS = {
    "study": ("study", "studyid"),
    "view": ("view",),
    "split": ("split",),
    "labels": ("labels", "label"),
}
# Reasons of entries without a file.
NO_FILE = frozenset({refusals.MISSING_FILE, refusals.OUTSIDE_FOLDER})
_LABELS = LabelRule(column=("labels",), separator="[|;]")


@dataclass(frozen=True)
class Columns:
    """What the user says of the columns: which names the file, which the patient; None leaves it to their names."""

    file: str | None = None
    patient: str | None = None

    def __bool__(self) -> bool:
        return self.file is not None or self.patient is not None


@dataclass
class Named:
    """What a table says. `rows`: file → (cells, findings); `missing`: names of no file; `outside`: that lead out."""

    rows: dict[str, tuple[dict[str, str], tuple[str, ...]]] = field(default_factory=dict)
    conflicts: set[str] = field(default_factory=set)
    missing: dict[str, None] = field(default_factory=dict)
    outside: dict[str, None] = field(default_factory=dict)
    blank: int = 0  # rows without a name
    note: str = ""  # for the screen

    def applied(self, entry: Entry) -> Entry:
        """The entry with the table's cells in place of its own, where the table has any."""
        cells, labels = self.rows[entry.file]
        known = (refusals.UNLISTED, refusals.PATIENT_CONFLICT)
        changed = replace(
            entry,
            patient=cells.get("patient") or entry.patient,
            study=cells.get("study") or entry.study,
            view=view_word(cells.get("view")) or entry.view,
            split=cells.get("split") or entry.split,
            labels=labels or entry.labels,
            refuse=None if entry.refuse in known else entry.refuse,
        )
        return replace(changed, refuse=refusals.PATIENT_CONFLICT) if entry.file in self.conflicts else changed

    def refused(self) -> list[Entry]:
        """A refused entry for each name without a file."""
        missing = [Entry(name, refuse=refusals.MISSING_FILE) for name in self.missing]
        return missing + [Entry(name, refuse=refusals.OUTSIDE_FOLDER) for name in self.outside]


def check_columns(path: Path, name: str, columns: Columns) -> dict[str, str]:
    """What each column of a table that is used means: its name → file, patient, study, view, split or labels.

    Raises UsageProblem where no column or more than one could name the file or the patient.
    """
    header = tables.header(path)
    if any(has_ending(cell) for cell in header):
        raise UsageProblem(
            f"{name} has no row of column names; write one, with file and patient_id, above the others"
        )
    file = _column(name, header, _FILE, columns.file, "file")
    if file is None:
        raise UsageProblem(
            f"{name} has no column that names files, such as file, filename or path; it has {tables.shown(header)}; "
            "name one with --file-column"
        )
    patient = _column(name, header, _PATIENT, columns.patient, "patient")
    if patient == file:
        raise UsageProblem(f"{name}: one column cannot name both file and patient")
    found = {file: "file"} | ({patient: "patient"} if patient else {})
    for what, words in _OTHERS.items():
        fitting = [c for word in words for c in header if _word(c) == word and c not in found]
        found |= dict.fromkeys(fitting[:1], what)
    return found


def _column(
    name: str, header: Sequence[str], words: Iterable[str], asked: str | None, what: str
) -> str | None:
    """The column that names the file or the patient, None where there is none. Raises UsageProblem for two."""
    if asked is not None:
        fitting = [c for c in header if c == asked.strip()] or [c for c in header if _word(c) == _word(asked)]
        if not fitting:
            raise UsageProblem(f"{name} has no column {asked!r}; it has {tables.shown(list(header))}")
    else:
        fitting = [column for column in header if _word(column) in words]
    if len(fitting) > 1:
        raise UsageProblem(
            f"{name} has {len(fitting)} columns that could name the {what}: {tables.shown(fitting)}; "
            f"say which with --{what}-column, or rename the others"
        )
    return fitting[0] if fitting else None


def _word(column: str) -> str:
    return re.sub(r"[^a-z0-9]", "", column.lower())


def read(
    path: Path, name: str, files: Files, folder: Path, columns: Columns, *, must_tell: bool = False
) -> Named:
    """Read a table about files of `folder`, which are found in `files`. Rows of one file are joined.

    `must_tell`: a table that tells nothing of its files is an error.

    Raises UsageProblem for faulty columns, and where a row fits several files or several rows fit one file loosely.
    """
    meaning = check_columns(path, name, columns)
    if must_tell and len(meaning) < 2:
        raise UsageProblem(
            f"{name} has no column that names patients, such as patient_id; "
            f"it has {tables.shown(tables.header(path))}; name one with --patient-column"
        )
    found, keys, doubtful = Named(), dict[str, str](), set[str]()
    for row in tables.rows(path):
        cells = {
            what: text
            for column, what in meaning.items()
            if (text := tables.render("{x}", {"x": row.get(column, "")}))
        }
        if "patient" in cells and (patient := patient_id(cells.pop("patient"))):
            cells["patient"] = patient
        text = cells.pop("file", None)
        if text is None:
            found.blank += bool(cells)
            continue
        key = inside(text, folder)
        if key is None:
            found.outside[text] = None
            continue
        match = files.find(key)
        if match.file is None:
            (doubtful.add(key) if match.ambiguous else found.missing.setdefault(key))
            continue
        if keys.setdefault(match.file, key) != key:
            doubtful.add(key)
        _join(found, match.file, cells)
    if doubtful:
        raise UsageProblem(
            f"{len(doubtful)} names in {name} do not say which file they mean: they fit several files, or several fit "
            "one; write each file with its folder and ending, relative to the source"
        )
    if "patient" not in meaning.values():
        found.note = (
            f"{name} has no column that names patients; it has {tables.shown(tables.header(path))}; "
            "name one with --patient-column"
        )
    return found


def _join(found: Named, file: str, cells: dict[str, str]) -> None:
    labels = tables.read_labels(_LABELS, cells)
    kept = found.rows.get(file)
    if kept is None:
        found.rows[file] = (cells, labels)
        return
    if cells.get("patient") != kept[0].get("patient"):
        found.conflicts.add(file)
    found.rows[file] = (kept[0], tuple(dict.fromkeys((*kept[1], *labels))))


def coverage(what: str, named: Named, images: int, count: int) -> list[str]:
    """What to say of a table that names `count` of `images` images. Raises UsageProblem when it names none."""
    nowhere = len(named.missing) + len(named.outside) + named.blank
    if not count:
        raise UsageProblem(
            f"{what} names 0 of {images} files: none of its {nowhere} names is one of a file here; "
            "give the table of this source, or name the column of the files with --file-column"
        )
    if count == images and not nowhere:
        return []
    return [
        f"{what} names {count} of {images} files; {images - count} files are not named, {nowhere} of its names are of "
        "no file here"
    ]


def split_counts(entries: Iterable[Entry], named: Mapping[str, object]) -> tuple[int, int]:
    """How many entries have a file, and how many of those are named."""
    there = [entry.file for entry in entries if entry.refuse not in NO_FILE]
    counted = Counter(file in named for file in there)
    return len(there), counted[True]


@dataclass
class FolderTables:
    """What the tables of folders say. `tables`: (name, folder it applies to); `entries`: one for each image in those
    folders; `warnings` name no folder, `notes` are for the screen."""

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


def read_folder_tables(
    root: Path,
    names: Sequence[str],
    patterns: Sequence[str],
    is_image: Callable[[str], bool],
    columns: Columns,
    *,
    lenient: bool,
) -> FolderTables:
    """Read every table of `names` that is named like `patterns` and whose folder holds images.

    Raises UsageProblem for one that cannot be used; `lenient`: it is passed over, because a manifest is given.
    """
    found, by_table = FolderTables(), dict[str, Named]()
    for name in named_like(names, patterns):
        scope = parent(name)
        if any(scope == taken for _, taken in found.tables):
            continue
        inside = [n for n in names if within(n, scope)]
        images = [n for n in inside if is_image(n)]
        if not images:
            found.notes.append(f"{name} applies to its own folder, which holds no image; it is not used")
            continue
        try:
            named = _read_in(root, name, scope, images, inside, columns)
            said = coverage(name, named, len({*images, *named.rows}), len(named.rows))
        except UsageProblem:
            if not lenient:
                raise
            found.notes.append(f"{name} cannot be used and is passed over, because a manifest is given")
            continue
        by_table[name] = named
        found.tables.append((name, scope))
        found.notes += [*said, *filter(None, [named.note])]
        # what is kept in the cohort names no folder
        found.warnings += [
            text.replace(name, "a metadata.csv in a subfolder", 1) if scope else text for text in said
        ]
    _fill(found, by_table, [n for n in names if any(within(n, scope) for _, scope in found.tables)], is_image)
    return found


def _read_in(
    root: Path, name: str, scope: str, images: Sequence[str], inside: Sequence[str], columns: Columns
) -> Named:
    """What one table says, under the names of the source."""
    cut = len(scope) + 1 if scope else 0
    index = Files([n[cut:] for n in images], [n[cut:] for n in inside])
    named = read(root / name, name, index, root / scope, columns)
    above = f"{scope}/" if scope else ""
    named.rows = {above + file: row for file, row in named.rows.items()}
    named.conflicts = {above + file for file in named.conflicts}
    named.missing = {above + file: None for file in named.missing}
    return named


def _fill(
    found: FolderTables, by_table: dict[str, Named], names: Sequence[str], is_image: Callable[[str], bool]
) -> None:
    """An entry for each of `names` that a table names or that is an image. Two patients are a conflict."""
    for name in names:
        tables_of_it = [by_table[table] for table, _ in found.tables if name in by_table[table].rows]
        if not tables_of_it:
            if is_image(name):
                found.entries.append(Entry(name, refuse=refusals.UNLISTED))
            continue
        entry = Entry(name)
        for one in reversed(tables_of_it):  # the cells of the uppermost folder's table take precedence
            entry = one.applied(entry)
        patients = {one.rows[name][0].get("patient") for one in tables_of_it} - {None}
        conflict = len(patients) > 1 or any(name in one.conflicts for one in tables_of_it)
        found.entries.append(replace(entry, refuse=refusals.PATIENT_CONFLICT if conflict else entry.refuse))
    there = {entry.file for entry in found.entries}
    lost = {entry.file: entry for one in by_table.values() for entry in one.refused()}
    found.entries += [entry for file, entry in lost.items() if file not in there]
