"""What a receiver finds in a released folder beside what its manifest lists: changed, missing, renamed, added."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path, PurePosixPath

from medaudit.artifacts.merkle import digests
from medaudit.artifacts.signature import SIGNATURE
from medaudit.artifacts.store import MANIFEST
from medaudit.errors import ReleaseBroken
from medaudit.progress import SILENT, Progress

# What a file browser writes into a folder that it shows, by lower-case name: macOS Finder; Windows Explorer.
_BROWSERS = {".ds_store", "thumbs.db", "desktop.ini"}
_APPLE_DOUBLE = "._"  # before the name of another file, on disks that are not Apple's
_MOST_BYTES = 1 << 29  # of a manifest: one of five million files


def manifest_bytes(folder: Path) -> bytes:
    """The manifest as it stands. Raises ReleaseBroken when there is none, it is a link, or larger than any can be."""
    path = folder / MANIFEST
    if path.is_symlink():
        raise ReleaseBroken(
            f"{folder}: {MANIFEST} is a link to elsewhere; ask the sender for the whole release"
        )
    if not path.is_file():
        raise ReleaseBroken(f"{folder} has no {MANIFEST}; ask the sender for the whole release")
    if path.stat().st_size > _MOST_BYTES:
        raise ReleaseBroken(f"{folder}: {MANIFEST} cannot be read; ask the sender for the release again")
    return path.read_bytes()


def browser_files(folder: Path, files: Mapping[str, str]) -> list[str]:
    """Plain files that a file browser makes by itself, by name; no name of the manifest, no link, no folder.

    Nobody signed them and they can hold anything: names, small pictures of what else lay in a folder.
    """
    return [
        name
        for name, path in _added(folder, {*files, MANIFEST, SIGNATURE}).items()
        if (path.name.lower() in _BROWSERS or path.name.startswith(_APPLE_DOUBLE))
        and path.is_file()
        and not path.is_symlink()
    ]


def wrong_files(
    folder: Path, files: Mapping[str, str], progress: Progress, known: Collection[str] = ()
) -> Iterator[str]:
    """Files that are missing, changed, renamed, added, or not plain files inside the folder.

    `known`: added files that are told apart (browser_files).
    """
    progress.start("verify", len(files))
    outside = {
        name for name in files if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts
    }
    yield from (f"{name} points outside the folder" for name in sorted(outside))
    inside = sorted(set(files) - outside)
    found = dict(zip(inside, digests([folder / name for name in inside], progress), strict=True))
    added = _added(folder, {*files, MANIFEST, SIGNATURE})
    missing = [name for name in inside if found[name] is None]
    again = dict(zip(digests(list(added.values()), SILENT), added, strict=True)) if missing else {}
    for name in inside:
        if found[name] is None:
            moved = again.get(files[name])
            yield f"{name} is missing" + (f": it was renamed to {moved}" if moved else "")
        elif found[name] != files[name]:
            yield f"{name} was changed"
    yield from (f"{name} was added" for name in added if name not in known)


def _added(folder: Path, known: set[str]) -> dict[str, Path]:
    """What the manifest does not list, by name: files, links, and folders with nothing in them."""
    found = {path.relative_to(folder): path for path in sorted(folder.rglob("*"))}
    filled = {parent for name in found for parent in name.parents}
    return {
        name.as_posix(): path
        for name, path in found.items()
        if name.as_posix() not in known and (path.is_symlink() or not path.is_dir() or name not in filled)
    }
