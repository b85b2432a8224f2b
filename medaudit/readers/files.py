"""Files of a source: walking it, telling what a file is by its content, and reading one whatever it is."""

import errno
import hashlib
import io
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from medaudit.readers import dicom, raster, refusals
from medaudit.readers.records import Bounded, Film, Look
from medaudit.readers.refusals import Refused

RASTER_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".jpe", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".jp2", ".j2k"}
)
DICOM_SUFFIXES = frozenset({".dcm", ".dicom", ".dic", ".ima"})
_SIDE_FILES = frozenset({"thumbs.db", "desktop.ini", "__macosx"})


def walk(root: Path) -> Iterator[tuple[str, int]]:
    """(name relative to `root` with forward slashes, bytes) of every file, sorted by name.

    Linked folders are followed once; hidden entries and what operating systems leave behind are passed over.
    """
    yield from sorted(_walk(root, root, set()))


def _walk(root: Path, folder: Path, seen: set[tuple[int, int]]) -> Iterator[tuple[str, int]]:
    try:
        status = folder.stat()
        entries = list(os.scandir(folder))
    except OSError:
        yield (folder.relative_to(root).as_posix(), -1)  # named, and refused when it is opened
        return
    if (status.st_dev, status.st_ino) in seen:
        return
    seen.add((status.st_dev, status.st_ino))
    for entry in entries:
        if entry.name.startswith(".") or entry.name.lower() in _SIDE_FILES:
            continue
        path = Path(entry.path)
        try:
            if entry.is_dir():
                yield from _walk(root, path, seen)
            elif entry.is_file():
                yield (path.relative_to(root).as_posix(), entry.stat().st_size)
            elif entry.is_symlink():  # a link to nothing
                yield (path.relative_to(root).as_posix(), -1)
        except OSError:
            yield (path.relative_to(root).as_posix(), -1)


def size(root: Path, name: str) -> int:
    """Bytes of a file, -1 where it cannot be told."""
    try:
        return (root / name).stat().st_size
    except OSError:
        return -1


def head(root: Path, name: str) -> bytes:
    """The first 132 bytes of a file, none where it cannot be opened."""
    try:
        with (root / name).open("rb") as stream:
            return stream.read(132)
    except OSError:
        return b""


def suffix(name: str) -> str:
    """The ending of a name, lower case; names of PACS exports such as `1.2.840.113` have none."""
    ending = PurePosixPath(name).suffix.lower()
    return "" if ending[1:].isdigit() else ending


def may_be_image(name: str) -> bool:
    """Whether a name has an image's ending or none at all."""
    ending = suffix(name)
    return ending in RASTER_SUFFIXES or ending in DICOM_SUFFIXES or not ending


def look_file(root: Path, name: str, accept: frozenset[str] = frozenset()) -> Look:
    """Header of one file. Raises Refused, also for what the disk refuses."""
    try:
        with (root / name).open("rb") as stream:
            head = stream.read(132)
            stream.seek(0)
            return _look(cast(BinaryIO, Bounded(stream)), head, name, accept)
    except OSError as error:
        raise Refused(_disk_reason(error)) from None


def read_file(root: Path, name: str, accept: frozenset[str] = frozenset()) -> tuple[Film, bytes]:
    """One film, and the SHA-256 of the file's bytes (32). Raises Refused, also for what the disk refuses."""
    try:
        data = (root / name).read_bytes()
    except OSError as error:
        raise Refused(_disk_reason(error)) from None
    return read_data(data, name, accept), hashlib.sha256(data).digest()


def read_data(data: bytes, name: str, accept: frozenset[str] = frozenset()) -> Film:
    """A film from the bytes of a file; `name` only decides how a refusal is worded."""
    if _kind(data[:132], name) == "dicom":
        return dicom.read(data, accept)
    return raster.read(data)


def _look(stream: BinaryIO, head: bytes, name: str, accept: frozenset[str]) -> Look:
    if _kind(head, name) == "dicom":
        return dicom.look(stream, accept)
    return raster.look(stream)


def _kind(head: bytes, name: str) -> str:
    """`dicom` or `raster` by content; the name is asked only for the wording. Raises Refused."""
    if not head:
        raise Refused(refusals.EMPTY_FILE)
    if dicom.is_dicom(head):
        return "dicom"
    if raster.is_raster(head):
        return "raster"
    raise Refused(refusals.NOT_DICOM if suffix(name) in DICOM_SUFFIXES else refusals.NOT_IMAGE)


def _disk_reason(error: OSError) -> str:
    if error.errno in (errno.EACCES, errno.EPERM):
        return refusals.NO_PERMISSION
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
        return refusals.MISSING_FILE
    return refusals.READ_ERROR


def dicomdir_files(directory: Path) -> list[str]:
    """What a DICOMDIR lists, relative to its folder, in the spelling the disk uses. Raises Refused.

    Media written in capitals are often copied to lower case; such names are found all the same.
    """
    listed = dicom.referenced_files(directory.read_bytes())
    on_disk = {name.lower(): name for name, _ in walk(directory.parent)}
    return [on_disk.get(name.lower(), name) for name in listed]


def is_dicomdir(path: Path) -> bool:
    """Whether the path is a DICOMDIR file."""
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        head = stream.read(132)
        if not dicom.is_dicom(head):
            return False
        stream.seek(0)
        try:
            dicom.referenced_files(io.BytesIO(stream.read(64 << 20)).getvalue())
        except Refused:
            return False
    return True
