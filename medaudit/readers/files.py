"""Files of a source: telling what one is by its content, and reading it whatever it is."""

import errno
import hashlib
import io
from pathlib import Path
from typing import BinaryIO, cast

from medaudit.readers import dicom, formats, raster, refusals
from medaudit.readers.naming import DICOM_SUFFIXES, inside, suffix
from medaudit.readers.records import Film, Look
from medaudit.readers.refusals import Refused
from medaudit.readers.walking import walk
from medaudit.regular import Bounded, NotRegular, open_regular, read_regular


def size(root: Path, name: str) -> int:
    """Bytes of a file, -1 where it cannot be told."""
    try:
        return (root / name).stat().st_size
    except OSError:
        return -1


def head(root: Path, name: str, count: int = 132) -> bytes:
    """The first bytes of a file, none where it cannot be opened."""
    try:
        with open_regular(root / name) as stream:
            return stream.read(count)
    except OSError:
        return b""


def look_file(root: Path, name: str, accept: frozenset[str] = frozenset()) -> Look:
    """Header of one file. Raises Refused, also for what the disk refuses."""
    try:
        with open_regular(root / name) as stream:
            head = stream.read(formats.HEAD)
            stream.seek(0)
            return _look(cast(BinaryIO, Bounded(stream)), head, name, accept)
    except OSError as error:
        raise Refused(disk_reason(error)) from None


def read_file(root: Path, name: str, accept: frozenset[str] = frozenset()) -> tuple[Film, bytes]:
    """One image, and the SHA-256 of the file's bytes (32). Raises Refused, also for what the disk refuses."""
    try:
        with open_regular(root / name) as stream:
            head = stream.read(formats.HEAD)
            _kind(head, name)  # only what opens like an image is read whole
            stream.seek(0)
            data = stream.read()
    except OSError as error:
        raise Refused(disk_reason(error)) from None
    return read_data(data, name, accept), hashlib.sha256(data).digest()


def read_data(data: bytes, name: str, accept: frozenset[str] = frozenset()) -> Film:
    """An image from the bytes of a file; `name` only decides how a refusal is worded."""
    if _kind(data[: formats.HEAD], name) == "dicom":
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
    found = formats.content_of(io.BytesIO(head))
    raise Refused(found.reason if found and found.reason else unknown_reason(name))


def unknown_reason(name: str) -> str:
    """Why a file is not read whose content is of no known format."""
    return refusals.NOT_DICOM if suffix(name) in DICOM_SUFFIXES else refusals.NOT_IMAGE


def disk_reason(error: OSError) -> str:
    """Why a file is not read that could not be opened."""
    if isinstance(error, NotRegular):
        return refusals.NOT_REGULAR
    if error.errno in (errno.EACCES, errno.EPERM):
        return refusals.NO_PERMISSION
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
        return refusals.MISSING_FILE
    return refusals.READ_ERROR


def dicomdir_files(directory: Path) -> tuple[list[str], list[str]]:
    """What a DICOMDIR lists, in the spelling the disk uses: names relative to its folder, and names that lead out.

    Media written in capitals are often copied to lower case; such names are found all the same. Raises Refused.
    """
    folder = directory.parent
    on_disk = {name.lower(): name for name, _ in walk(folder).files}
    within, outside = list[str](), list[str]()
    for text in dicom.referenced_files(read_regular(directory)):
        name = inside(text, folder)
        if name is None:
            outside.append(text)
        else:
            within.append(on_disk.get(name.lower(), name))
    return within, outside


def is_dicomdir(path: Path) -> bool:
    """Whether the path is a DICOMDIR file."""
    try:
        with open_regular(path) as stream:
            start = stream.read(132)
            if not dicom.is_dicom(start):
                return False
            dicom.referenced_files(start + stream.read(64 << 20))
    except (Refused, OSError):
        return False
    return True
