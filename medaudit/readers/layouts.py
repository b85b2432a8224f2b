"""A source (a folder, an npz, a DICOMDIR or one image) → a listing of its images and their patients.

No image is left out in silence: an image that the layout does not take is an entry that is refused.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from medaudit.errors import LayoutUnknown, NothingReadable, SourceMissing, UsageProblem
from medaudit.readers import files, filetables, npz, refusals, tables
from medaudit.readers.adapters import Adapter, adapter_named, known_layouts
from medaudit.readers.filetables import Columns, FolderTables, read_folder_tables
from medaudit.readers.guess import asked_for, guessed, looks_like_image
from medaudit.readers.left import Contents, hidden_of, left_of
from medaudit.readers.naming import Files, suffix, within
from medaudit.readers.records import Entry, Listing
from medaudit.readers.walking import Walk, walk

__all__ = ["Columns", "Listing", "list_source"]


@dataclass
class _Source:
    """The files of a source and what is known of them so far. `names` are all that may be images."""

    root: Path
    walked: Walk
    names: list[str]
    contents: Contents
    columns: Columns = field(default_factory=Columns)
    lenient: bool = False  # a manifest is given, so that a faulty metadata.csv is passed over
    tables: set[str] = field(default_factory=set)
    from_names: frozenset[str] = frozenset()
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unlisted: str = refusals.OUTSIDE_LAYOUT  # why what the layout leaves is refused


def list_source(
    source: Path,
    layout: str = "auto",
    manifest: Path | None = None,
    patient_regex: str | None = None,
    columns: Columns = Columns(),  # noqa: B008 - frozen
) -> Listing:
    """List a folder, an npz, a DICOMDIR or one image.

    Raises SourceMissing, LayoutUnknown (naming the known ones), UsageProblem for a faulty regex or table or one that
    names no file of the source, NothingReadable where there is no image at all.
    """
    if layout != "auto" and layout not in known_layouts():
        raise LayoutUnknown(f"{layout!r} is no known layout; known are auto, {', '.join(known_layouts())}")
    pattern = _compiled(patient_regex)
    if manifest is not None and not manifest.is_file():
        raise SourceMissing(f"{manifest} is not a file; give a CSV table with a column file")
    if not source.exists():
        raise SourceMissing(f"{source} does not exist; give a folder, an npz, a DICOMDIR or an image")
    beside = Columns() if manifest else columns
    if beside and not source.is_dir():
        raise UsageProblem(
            "--file-column and --patient-column need --manifest, or a metadata.csv in the folder"
        )
    found, others = None, list[str]()
    if npz.is_npz(source):
        listing = _list_npz(source, layout)
    else:
        found = _source(source, beside, lenient=manifest is not None)
        listing, others = _list_files(source, found, layout)
    if not listing.entries:
        raise NothingReadable(f"{source} holds no image; {_hint(source)}")
    if manifest is not None:
        listing = _overridden(listing, others, manifest, columns)
    if found is not None:
        listing = _with_left(listing, found, others)
    return (
        replace(listing, entries=_by_regex(listing.entries, pattern))
        if pattern
        else _with_names_told(listing)
    )


def _list_npz(source: Path, layout: str) -> Listing:
    arrays = npz.image_arrays(source)
    name = "medmnist" if any(array.split for array in arrays) else "npz"
    if layout not in ("auto", name):
        raise LayoutUnknown(f"{source} is an npz of layout {name}, not {layout}")
    shapes = ", ".join(
        f"{array.name} {'x'.join(map(str, array.shape))} {array.dtype.name}" for array in arrays
    )
    entries = npz.entries(source, list(arrays))
    warnings: list[str] = []
    if entries and all(entry.patient is None for entry in entries):
        warnings.append(
            "the file names no patients; give --manifest with file and patient_id if they are known"
        )
    others = sum(1 for path in source.parent.glob("*.npz") if path.name != source.name)
    if others:
        warnings.append(f"{others} other npz files next to the source are not read")
    left = npz.other_arrays(source) if entries else []
    entries += [
        Entry(f"{source.name}/{array}/{i:07d}", refuse=refusals.OTHER_ARRAY)
        for array, count in left
        for i in range(count)
    ]
    digest = hashlib.sha256(repr(npz.checksums(source)).encode()).hexdigest()
    return Listing(
        source.parent,
        name,
        f"npz with {shapes}",
        entries,
        digest,
        sum(size for _, size, _ in npz.checksums(source)),
        warnings=tuple(warnings),
        npz_path=source,
        arrays=tuple(arrays),
        left=tuple(f"{source.name}/{array}" for array, _ in left),
    )


def _source(source: Path, columns: Columns, lenient: bool) -> _Source:
    """Walk a folder; a single file, or what a DICOMDIR lists, stands alone."""
    if source.is_dir():
        walked = walk(source)
        contents = Contents(source, frozenset(name for name, size in walked.files if size < 0))
        names = [
            name
            for name, _ in walked.files
            if PurePosixPath(name).name.upper() != "DICOMDIR" or contents.of(name) is not None
        ]
        return _Source(source, walked, names, contents, columns, lenient)
    if not source.is_file():
        raise SourceMissing(
            f"{source} is no folder and no regular file; give a folder, an npz, a DICOMDIR or an image"
        )
    root = source.parent
    found = _Source(root, Walk([(source.name, source.stat().st_size)]), [source.name], Contents(root))
    if files.is_dicomdir(source):
        found.walked = walk(root)
        found.unlisted = refusals.UNLISTED
    return found


def _list_files(source: Path, found: _Source, layout: str) -> tuple[Listing, list[str]]:
    """The listing before what it leaves, and the names of files that it has no entry for."""
    if found.unlisted == refusals.UNLISTED:
        entries, adapter, why = _from_dicomdir(source, found, layout)
    else:
        entries, adapter, why = _from_folder(source, found, layout)
        why = why if source.is_dir() else f"one file; {why}"
    kept = {entry.file for entry in entries}
    others = [name for name in found.names if name not in kept | found.tables]
    walked = found.walked.files
    seen = [tables.content_digest(found.root / name) for name in sorted(found.tables)]
    if adapter.trap:
        found.warnings.insert(0, adapter.trap)
    return Listing(
        found.root,
        adapter.name,
        why,
        entries,
        hashlib.sha256(repr((walked, seen)).encode()).hexdigest(),
        sum(size for _, size in walked),
        accept=frozenset(adapter.accept),
        from_names=found.from_names,
        header_patient=adapter.header_patient,
        links_outside=found.walked.outside,
    ), others


def _from_dicomdir(source: Path, found: _Source, layout: str) -> tuple[list[Entry], Adapter, str]:
    listed, outside = files.dicomdir_files(source)
    if layout not in ("auto", "dicom", "plain"):
        raise LayoutUnknown(f"{source} is a DICOMDIR, of layout dicom, not {layout}")
    hold = set(listed)
    found.names = [
        *listed,
        *(name for name, _ in found.walked.files if name not in hold and name != source.name),
    ]
    if outside:
        found.warnings.append(
            f"the DICOMDIR names {len(outside)} files outside its folder, which are not opened"
        )
    entries = [Entry(name) for name in listed]
    entries += [Entry(name, refuse=refusals.OUTSIDE_FOLDER) for name in outside]
    return entries, adapter_named("dicom"), "files listed in the DICOMDIR"


def _from_folder(source: Path, found: _Source, layout: str) -> tuple[list[Entry], Adapter, str]:
    """Entries by each metadata.csv for the folder it applies to, by a layout for the rest."""
    tabled, metadata = FolderTables(), adapter_named("metadata")
    endings = metadata.endings
    if layout in ("auto", "metadata"):
        tabled = read_folder_tables(
            found.root,
            found.names,
            metadata.tables[0].files,
            lambda name: suffix(name) in endings or looks_like_image(name, found.contents),
            found.columns,
            lenient=found.lenient,
        )
        found.notes += tabled.notes
        found.warnings += tabled.warnings
        found.tables |= {name for name, _ in tabled.tables}
    if found.columns and not tabled.tables:
        raise UsageProblem(
            "--file-column and --patient-column need --manifest, or a metadata.csv in the folder"
        )
    scopes = [scope for _, scope in tabled.tables]
    rest = [name for name in found.names if not any(within(name, scope) for scope in scopes)]
    if layout == "metadata":
        if not scopes:
            raise LayoutUnknown(
                f"{found.root} has no table of layout metadata; it needs metadata.csv with the column file"
            )
        return tabled.entries, metadata, "asked for"
    guess = guessed(found.root, rest, found.contents) if layout == "auto" else (
        asked_for(found.root, rest, layout, found.contents)
    )  # fmt: skip
    if guess is None:
        if not scopes:
            known = ", ".join(known_layouts())
            raise LayoutUnknown(f"{source} holds no image of a known layout ({known}); {_hint(source)}")
        return tabled.entries, metadata, tabled.why
    found.warnings += guess.built.warnings
    found.from_names = guess.built.from_names
    found.tables |= {one.name for one in guess.tables}
    if not scopes:
        return guess.built.entries, guess.adapter, guess.why
    entries = sorted([*tabled.entries, *guess.built.entries], key=lambda entry: entry.file)
    return entries, guess.adapter, f"{guess.why}; {tabled.why}"


def _overridden(listing: Listing, others: list[str], path: Path, columns: Columns) -> Listing:
    """The listing with the manifest's cells in place of the layout's, where the manifest has any.

    A file that the layout leaves and the manifest names is read.
    """
    known = [entry.file for entry in listing.entries if entry.refuse not in filetables.NO_FILE]
    index = Files(known, others)
    named = filetables.read(path, path.name, index, listing.root, columns, must_tell=True)
    entries = [*listing.entries, *(Entry(name) for name in others if name in named.rows)]
    others[:] = [name for name in others if name not in named.rows]
    images, count = filetables.split_counts(entries, named.rows)
    warnings = filetables.coverage("the manifest", named, images, count)
    entries = [named.applied(entry) if entry.file in named.rows else entry for entry in entries]
    digest = hashlib.sha256((listing.digest + tables.content_digest(path)).encode()).hexdigest()
    return replace(
        listing,
        entries=entries + named.refused(),
        digest=digest,
        why=f"{listing.why}; the manifest names {count} of {images} files",
        from_names=frozenset(
            f for f in listing.from_names if not named.rows.get(f, ({}, ()))[0].get("patient")
        ),
        warnings=(*listing.warnings, *warnings),
        notes=(*listing.notes, *warnings, *filter(None, [named.note])),
    )


def _with_left(listing: Listing, found: _Source, others: Sequence[str]) -> Listing:
    """The listing with an entry, refused, for each image that no entry stands for."""
    left = left_of(found.contents, others, found.unlisted)
    known = {entry.file for entry in left.entries}
    hidden = hidden_of(found.contents, [name for name, _ in found.walked.hidden])
    digest = listing.digest
    if hidden:
        digest = hashlib.sha256(repr((digest, [entry.file for entry in hidden])).encode()).hexdigest()
    return replace(
        listing,
        entries=[*listing.entries, *left.entries, *hidden],
        digest=digest,
        ignored=dict(Counter(suffix(name) or "none" for name in others if name not in known)),
        warnings=(*found.warnings, *listing.warnings),
        notes=(*found.notes, *listing.notes),
        left=tuple(left.readable),
    )


def _with_names_told(listing: Listing) -> Listing:
    """The listing with a warning where the names of files alone say whose they are."""
    count = len(listing.from_names)
    if not count:
        return listing
    title = adapter_named(listing.layout).title
    said = (
        f"the patient ids of {count} images come from their file names alone, read as {title} names its files; "
        "give --manifest with file and patient_id if that is wrong"
    )
    return replace(listing, warnings=(*listing.warnings, said))


def _by_regex(entries: Iterable[Entry], pattern: re.Pattern[str]) -> list[Entry]:
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
    """What to give instead: the npz files of a folder, or what is in it that is not read."""
    if not source.is_dir():
        alone = left_of(Contents(source.parent), [source.name], refusals.ARCHIVE).entries
        if alone:
            return f"it is refused: {alone[0].refuse}"
        return "give a folder with PNG, JPEG, TIFF or DICOM files, or an npz"
    names = [name for name, _ in walk(source).files]
    found = [name for name in names if name.lower().endswith(".npz")]
    if found:
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        return f"it holds {found[0]}{more}: give each npz as a source of its own"
    left = left_of(Contents(source), names, refusals.ARCHIVE).entries
    counts = Counter(entry.refuse for entry in left if entry.refuse)
    if counts:
        return f"it holds {refusals.counted(dict(counts))}; give PNG, JPEG, TIFF or DICOM files, or an npz"
    return "give a folder with PNG, JPEG, TIFF or DICOM files, or an npz"
