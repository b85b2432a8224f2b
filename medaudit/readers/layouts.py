"""Which films a source holds and whose they are: adapters from layouts/*.yaml, a guess among them, a listing.

An adapter is data: which files are films, what their path says, which tables stand beside them, how columns
become patient, study, view, split and findings, and the trap that caught others. A new data set is a new file.
"""

import fnmatch
import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Literal

import yaml

from medaudit.config import Settings, check_settings
from medaudit.errors import LayoutUnknown, NothingReadable, SourceMissing, UsageProblem
from medaudit.readers import dicom, files, npz, refusals, tables
from medaudit.readers.records import Entry, view_word
from medaudit.readers.refusals import ACCEPTABLE
from medaudit.readers.tables import LabelRule, TableRule

_NPZ_NAMES = ("medmnist", "npz")
_PATH_SHARE = 0.9  # of a source's films must be named as the adapter expects
_SNIFFED = 40  # files opened to tell a DICOM folder from another
_MANIFEST = TableRule(files=("*",), columns=("file",), key="{file}", complete=True)
_MANIFEST_FIELDS = ("patient_id", "study", "view", "split")
_MANIFEST_LABELS = LabelRule(column=("labels", "label"), separator="[|;]")


class Adapter(Settings):
    """One layout. Templates name columns, groups of `path`, and path, name, stem of the file."""

    name: str
    title: str
    order: int  # the guess asks in this order
    suffixes: tuple[str, ...]  # endings of films; "" is none
    path: str = ""  # regular expression with named groups, searched in the path
    recognise: Literal["tables", "path", "tables or path", "content", "anything"] = "tables"
    tables: tuple[TableRule, ...] = ()
    patient: tuple[str, ...] = ()
    study: tuple[str, ...] = ()
    view: tuple[str, ...] = ()
    split: tuple[str, ...] = ()
    labels: LabelRule | None = None
    header_patient: bool = True  # PatientID of a DICOM header counts where nothing else names the patient
    accept: tuple[str, ...] = ()  # reasons of refusal that are usual for this set and no fault
    trap: str = ""  # said to the user, kept in the manifest


@dataclass(frozen=True)
class Listing:
    """What a source holds. `root` is the folder that files are relative to; npz sources have `arrays`."""

    root: Path
    layout: str
    why: str
    entries: list[Entry]
    digest: str  # SHA-256 over names, sizes and tables
    size_bytes: int = 0  # of all files, or of an npz unpacked
    ignored: Mapping[str, int] = field(default_factory=dict)  # endings of files that are no films
    warnings: tuple[str, ...] = ()
    accept: frozenset[str] = frozenset()
    header_patient: bool = True
    npz_path: Path | None = None
    arrays: tuple[npz.ImageArray, ...] = ()


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


def known_layouts() -> list[str]:
    """Names that --layout takes, but auto."""
    return sorted([adapter.name for adapter in adapters()] + list(_NPZ_NAMES))


def list_source(
    source: Path, layout: str = "auto", manifest: Path | None = None, patient_regex: str | None = None
) -> Listing:
    """List a folder, an npz, a DICOMDIR or one film.

    Raises SourceMissing, LayoutUnknown (naming the known ones), UsageProblem for a faulty regex or table,
    NothingReadable where there is no film at all.
    """
    if layout != "auto" and layout not in known_layouts():
        raise LayoutUnknown(f"{layout!r} is no known layout; known are auto, {', '.join(known_layouts())}")
    pattern = _compiled(patient_regex)
    if manifest is not None and not manifest.is_file():
        raise SourceMissing(f"{manifest} is not a file; give a CSV table with a column file")
    if not source.exists():
        raise SourceMissing(f"{source} does not exist; give a folder, an npz, a DICOMDIR or a film")
    if npz.is_npz(source):
        listing = _list_npz(source, layout)
    else:
        listing = _list_files(source, layout)
    if not listing.entries:
        raise NothingReadable(f"{source} holds no film; {_hint(source)}")
    if manifest is not None:
        listing = _overridden(listing, manifest)
    return replace(listing, entries=_by_regex(listing.entries, pattern)) if pattern else listing


def _list_npz(source: Path, layout: str) -> Listing:
    arrays = npz.image_arrays(source)
    name = "medmnist" if any(array.split for array in arrays) else "npz"
    if layout not in ("auto", name):
        raise LayoutUnknown(f"{source} is an npz of layout {name}, not {layout}")
    shapes = ", ".join(
        f"{array.name} {'x'.join(map(str, array.shape))} {array.dtype.name}" for array in arrays
    )
    entries = npz.entries(source, list(arrays))
    trap: tuple[str, ...] = ()
    if entries and all(entry.patient is None for entry in entries):
        trap = ("the file names no patients; give --manifest with file and patient_id if they are known",)
    digest = hashlib.sha256(repr(npz.checksums(source)).encode()).hexdigest()
    return Listing(
        source.parent,
        name,
        f"npz with {shapes}",
        entries,
        digest,
        sum(size for _, size, _ in npz.checksums(source)),
        warnings=trap,
        npz_path=source,
        arrays=tuple(arrays),
    )


def _list_files(source: Path, layout: str) -> Listing:
    if source.is_dir():
        root, walked, why_source = source, list(files.walk(source)), ""
    elif files.is_dicomdir(source):
        root, why_source = source.parent, "files listed in the DICOMDIR"
        walked = [(name, files.size(root, name)) for name in files.dicomdir_files(source)]
        layout = "dicom" if layout == "auto" else layout
    elif not source.is_file():
        raise SourceMissing(
            f"{source} is neither a folder nor a file; give a folder, an npz, a DICOMDIR or a film"
        )
    else:
        root, walked, why_source = source.parent, [(source.name, source.stat().st_size)], "one file"
    names = [name for name, _ in walked if PurePosixPath(name).name.upper() != "DICOMDIR"]
    adapter, why, found = _choose(root, names, layout)
    why = f"{why_source}; {why}" if why_source else why
    entries, warnings = _entries(root, names, adapter, found)
    kept = {entry.file for entry in entries}
    table_names = {name for name, _ in found}
    ignored = Counter(files.suffix(name) or "none" for name in names if name not in kept | table_names)
    digest = hashlib.sha256(
        repr((walked, [tables.content_digest(root / n) for n in sorted(table_names)])).encode()
    )
    if adapter.trap:
        warnings = [adapter.trap, *warnings]
    return Listing(
        root,
        adapter.name,
        why,
        entries,
        digest.hexdigest(),
        sum(size for _, size in walked),
        dict(ignored),
        tuple(warnings),
        frozenset(adapter.accept),
        adapter.header_patient,
    )


def _choose(root: Path, names: list[str], layout: str) -> tuple[Adapter, str, list[tuple[str, TableRule]]]:
    """The adapter, why it, and its tables (name, rule) among the files."""
    if layout != "auto":
        adapter = next(a for a in adapters() if a.name == layout)
        found = _tables_of(root, names, adapter)
        needed = [rule for rule in adapter.tables if rule.required]
        if adapter.recognise == "tables" and needed and not found:
            raise LayoutUnknown(
                f"{root} has no table of layout {layout}; it needs {needed[0].files[0]} with the columns "
                + ", ".join(needed[0].columns)
            )
        return adapter, "asked for", found
    for adapter in adapters():
        found = _tables_of(root, names, adapter)
        why = _recognised(root, names, adapter, found)
        if why:
            return adapter, why, found
    known = ", ".join(known_layouts())
    raise LayoutUnknown(f"{root} holds no film of a known layout ({known}); {_hint(root)}")


def _recognised(
    root: Path, names: list[str], adapter: Adapter, found: list[tuple[str, TableRule]]
) -> str | None:
    """Why the adapter fits, or None."""
    films = [name for name in names if files.suffix(name) in adapter.suffixes]
    if not films:
        return None
    rules = [rule for _, rule in found]
    wanted = [rule for rule in adapter.tables if rule.required]
    if "tables" in adapter.recognise and wanted and all(rule in rules for rule in wanted):
        name, rule = found[rules.index(wanted[0])]
        return f"{name} with the columns {', '.join(rule.columns)}"
    if "path" in adapter.recognise and adapter.path:
        fitting = sum(1 for name in films if re.search(adapter.path, name))
        if fitting >= _PATH_SHARE * len(films):
            return f"{fitting} of {len(films)} films are named as in {adapter.title}"
    if adapter.recognise == "content":
        step = max(1, len(films) // _SNIFFED)
        heads = [files.head(root, name) for name in films[::step]]
        count = sum(1 for head in heads if dicom.is_dicom(head))
        if 2 * count >= len(heads):
            return f"{count} of {len(heads)} files looked into are DICOM"
    if adapter.recognise == "anything":
        return f"{len(films)} files with an image's ending and no table that is known"
    return None


def _tables_of(root: Path, names: Sequence[str], adapter: Adapter) -> list[tuple[str, TableRule]]:
    """For each rule, the least nested table whose name and header fit."""
    found = []
    for rule in adapter.tables:
        fitting = [n for n in names if any(fnmatch.fnmatch(PurePosixPath(n).name, p) for p in rule.files)]
        for name in sorted(fitting, key=lambda n: (n.count("/"), n)):
            try:
                columns = tables.header(root / name)
            except UsageProblem:
                continue
            if set(rule.columns) <= set(columns):
                found.append((name, rule))
                break
    return found


def _entries(
    root: Path, names: list[str], adapter: Adapter, found: list[tuple[str, TableRule]]
) -> tuple[list[Entry], list[str]]:
    wanted = {
        f for t in (*adapter.patient, *adapter.study, *adapter.view, *adapter.split) for f in tables.fields(t)
    }
    loaded = [tables.load(root / name, rule, wanted, adapter.patient, adapter.labels) for name, rule in found]
    pattern = re.compile(adapter.path) if adapter.path else None
    entries, matched = [], [set[str]() for _ in loaded]
    listed = {key for table in loaded if table.rule.complete for key in table.rows}
    for name in names:
        if files.suffix(name) not in adapter.suffixes and name not in listed:
            continue
        values = _path_values(name, pattern)
        labels: list[str] = []
        refuse = None
        for table, seen in zip(loaded, matched, strict=True):
            key = tables.render(table.rule.film_key, values)
            row = table.rows.get(key) if key else None
            if key is None or row is None:
                refuse = refusals.UNLISTED if table.rule.unlisted == "refuse" else refuse
                continue
            seen.add(key)
            values = {**row[0], **values}
            labels += row[1]
            if key in table.conflicts:
                refuse = refusals.PATIENT_CONFLICT
        entries.append(_entry(name, adapter, values, tuple(dict.fromkeys(labels)), refuse))
    warnings = []
    for table, seen in zip(loaded, matched, strict=True):
        absent = [key for key in table.rows if key not in seen]
        if absent and table.rule.complete:
            entries += [Entry(key, refuse=refusals.MISSING_FILE) for key in absent]
        elif absent and table.rule.required:
            warnings.append(f"the table names {len(absent)} films that are not here")
    return entries, warnings


def _path_values(name: str, pattern: re.Pattern[str] | None) -> dict[str, str]:
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


def _overridden(listing: Listing, manifest: Path) -> Listing:
    """The listing with the manifest's cells in place of the layout's, where the manifest has any."""
    table = tables.load(manifest, _MANIFEST, set(_MANIFEST_FIELDS), ("{patient_id}",), _MANIFEST_LABELS)
    entries, seen = [], set()
    for entry in listing.entries:
        row = table.rows.get(entry.file)
        if row is None:
            entries.append(entry)
            continue
        seen.add(entry.file)
        cells, labels = row
        changed = replace(
            entry,
            patient=cells.get("patient_id") or entry.patient,
            study=cells.get("study") or entry.study,
            view=view_word(cells.get("view")) or entry.view,
            split=cells.get("split") or entry.split,
            labels=labels or entry.labels,
            refuse=None if entry.refuse in (refusals.UNLISTED, refusals.PATIENT_CONFLICT) else entry.refuse,
        )
        conflict = entry.file in table.conflicts
        entries.append(replace(changed, refuse=refusals.PATIENT_CONFLICT) if conflict else changed)
    entries += [Entry(key, refuse=refusals.MISSING_FILE) for key in table.rows if key not in seen]
    digest = hashlib.sha256((listing.digest + tables.content_digest(manifest)).encode()).hexdigest()
    why = f"{listing.why}; the manifest names {len(table.rows)} files, {len(seen)} of them here"
    return replace(listing, entries=entries, digest=digest, why=why)


def _by_regex(entries: list[Entry], pattern: re.Pattern[str]) -> list[Entry]:
    """Patients from the files' names; what does not match is refused, because its patient is not known."""
    found = []
    for entry in entries:
        match = pattern.search(entry.file)
        if match is None:
            found.append(entry if entry.refuse else replace(entry, refuse=refusals.PATIENT_UNMATCHED))
        else:
            found.append(replace(entry, patient=match.group(1) if pattern.groups else match.group(0)))
    return found


def _compiled(patient_regex: str | None) -> re.Pattern[str] | None:
    if patient_regex is None:
        return None
    try:
        return re.compile(patient_regex)
    except re.error:
        raise UsageProblem(f"--patient-regex {patient_regex!r} is no regular expression") from None


def _hint(source: Path) -> str:
    found = sorted(path.name for path in source.glob("*.npz")) if source.is_dir() else []
    if found:
        return f"it holds {found[0]}: name that file as the source"
    return "give a folder with PNG, JPEG, TIFF or DICOM files, or an npz"
