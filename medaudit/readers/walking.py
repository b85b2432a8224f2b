"""Walking a source: every file under a folder by name, links followed once, and how many lead out of the folder."""

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

_SIDE_FILES = frozenset({"thumbs.db", "desktop.ini", "__macosx"})


@dataclass
class Walk:
    """The files under a folder: (name relative to it with forward slashes, bytes), sorted by name.

    Bytes are -1 for what cannot be opened as a file: a device, a pipe, a link to nothing, a folder that may not be
    listed. `hidden` are the files that begin with a dot, are in a folder that does, or that operating systems write.
    """

    files: list[tuple[str, int]] = field(default_factory=list)
    hidden: list[tuple[str, int]] = field(default_factory=list)
    outside: int = 0  # files, hidden ones left aside, that are reached through links out of the folder


@dataclass(frozen=True)
class _Folder:
    name: str  # relative, "" for the root
    hidden: bool
    outside: bool


def walk(root: Path) -> Walk:
    """Walk a folder. A folder that is reached on several ways is listed once, under the way without links if any."""
    found, seen = Walk(), set[tuple[int, int]]()
    real = os.path.realpath(root)
    waiting, links = [_Folder("", False, False)], list[_Folder]()
    while waiting or links:
        if not waiting:  # links last: a file of the folder itself keeps its own name
            links.sort(key=lambda folder: folder.name, reverse=True)
            waiting.append(links.pop())
        _list_folder(root, real, waiting.pop(), found, seen, waiting, links)
    found.files.sort()
    found.hidden.sort()
    return found


def _list_folder(
    root: Path,
    real: str,
    folder: _Folder,
    found: Walk,
    seen: set[tuple[int, int]],
    waiting: list[_Folder],
    links: list[_Folder],
) -> None:
    """Take up the files of one folder; its folders go to `waiting`, its links to folders to `links`."""
    try:
        status = (root / folder.name).stat()
        entries = list(os.scandir(root / folder.name))
    except OSError:
        _add(found, folder, folder.name or ".", -1)  # named, and refused when it is opened
        return
    if (status.st_dev, status.st_ino) in seen:
        return
    seen.add((status.st_dev, status.st_ino))
    for entry in entries:
        name = f"{folder.name}/{entry.name}" if folder.name else entry.name
        hidden = folder.hidden or entry.name.startswith(".") or entry.name.lower() in _SIDE_FILES
        outside, size = folder.outside, -1
        try:
            status = entry.stat()
            if entry.is_symlink():
                target = os.path.realpath(entry.path)
                if _within(real, target):  # a link to the source or to a folder above it goes in a circle
                    continue
                outside = not _within(target, real)
        except OSError:  # a link to nothing or to itself
            _add(found, _Folder(folder.name, hidden, False), name, -1)
            continue
        if stat.S_ISDIR(status.st_mode):
            (links if entry.is_symlink() else waiting).append(_Folder(name, hidden, outside))
            continue
        if stat.S_ISREG(status.st_mode):
            size = status.st_size
        _add(found, _Folder(folder.name, hidden, outside), name, size)


def _add(found: Walk, folder: _Folder, name: str, size: int) -> None:
    (found.hidden if folder.hidden else found.files).append((name, size))
    found.outside += folder.outside and not folder.hidden


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)
