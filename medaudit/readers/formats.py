"""What a file is by its content, whatever it is called: images that are read, images that are not, archives of images.

A file that looks like an image and is not read has to be named, so this errs on the side of calling a file an image.
"""

import bz2
import gzip
import io
import lzma
import math
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from medaudit.readers import dicom, raster, refusals
from medaudit.readers.zipped import npy_head
from medaudit.regular import open_regular

HEAD = 4096  # bytes from which a format is recognised
_MEMBERS = 2000  # members of an archive that are opened

# Media storage classes of DICOM objects that are no image: directory, reports and key objects, presentation states.
_NO_IMAGES = (b"1.2.840.10008.1.3.10", b"1.2.840.10008.5.1.4.1.1.88.", b"1.2.840.10008.5.1.4.1.1.11.")
_STORAGE_CLASS = re.compile(rb"\x02\0\x02\0UI..([0-9.]+)", re.DOTALL)  # (0002,0002)

# First bytes of formats that are not read.
_SIGNATURES = (
    (rb"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (rb"\xff\x0a", "JPEG XL"),
    (rb".{4}ftyp(?:hei[cfsmx]|hev[cx]|mif1|msf1|avi[fs])", "HEIF"),
    (rb"(?:\x5c\x01\0\0|\0\0\x01\x5c).{340}(?:n\+1|ni1)\0", "NIfTI"),
    (rb"(?:\x1c\x02\0\0|\0\0\x02\x1c)(?:n\+2|ni2)\0", "NIfTI"),
    (rb"(?:\x5c\x01\0\0.{36}[\x01-\x07]\0|\0\0\x01\x5c.{36}\0[\x01-\x07])", "Analyze"),
    (rb"(?:[A-Za-z]+ *=[^\n]*\n)*?(?:ObjectType *= *Image|NDims *= *[1-9])", "MetaImage"),
    (rb"NRRD000", "NRRD"),
    (rb"SIMPLE  =", "FITS"),
    (rb"8BPS\0[\x01\x02]", "Photoshop"),
    (rb"\x76\x2f\x31\x01", "OpenEXR"),
    (rb"P[1-6]\r?\n(?:#[^\n]*\n\s*)*\d+\s+\d+\s", "PNM"),
    (rb"P[Ff]\s+\d+\s+\d+\s", "PNM"),
    (rb"\x89HDF\r\n\x1a\n", "HDF5"),
    (rb"MATLAB 5\.0 MAT-file", "MATLAB"),
)
_COMPILED = tuple((re.compile(pattern, re.DOTALL), name) for pattern, name in _SIGNATURES)
_OPENERS: tuple[tuple[bytes, Callable[[BinaryIO], Any]], ...] = (
    (b"\x1f\x8b", lambda stream: gzip.GzipFile(fileobj=stream)),
    (b"BZh", bz2.BZ2File),
    (b"\xfd7zXZ\0", lzma.LZMAFile),
)
_PACKED = (b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07")  # archives that are not opened


@dataclass(frozen=True)
class Content:
    """What a file is. `reason` says why it is not read, None for what can be; `source`: it can be ingested alone."""

    kind: str
    reason: str | None = None
    source: bool = False


def content(path: Path) -> Content | None:
    """What an image or an archive of images is; None for all else. Raises NotRegular and the system's OSError."""
    with open_regular(path) as stream:
        return content_of(stream)


def content_of(stream: BinaryIO) -> Content | None:
    """The same of an open file, which is left anywhere."""
    head = stream.read(HEAD)
    found = _plain(head)
    if found or not head:
        return found
    stream.seek(0)
    try:
        return _container(stream, head)
    except (
        Exception
    ):  # a damaged file raises anything, tokenize.TokenError among them; it has the beginning of an archive
        return Content("archive", refusals.ARCHIVE)


def _plain(head: bytes) -> Content | None:
    if raster.is_raster(head):
        return Content("raster")
    if dicom.is_dicom(head):
        return _dicom(head)
    for pattern, name in _COMPILED:
        if pattern.match(head):
            return Content(name, refusals.NOT_SUPPORTED[name])
    return None


def states_no_image(head: bytes) -> bool:
    """Whether the first HEAD bytes of a DICOM file say that it is a directory, a report or a presentation state."""
    stated = _STORAGE_CLASS.search(head, 132)
    return stated is not None and stated[1].startswith(_NO_IMAGES)


def _dicom(head: bytes) -> Content | None:
    """DICOM but directories, reports and presentation states; without a preamble only what parses as one."""
    if states_no_image(head):
        return None
    if head[128:132] != b"DICM" and not _parses(head):
        return None
    return Content("DICOM")


def _parses(head: bytes) -> bool:
    """Whether a file without a preamble opens with data elements: two plausible tags, one after the other."""
    # PS3.5 7.1: group, element, then a VR and 2 bytes of length, or 4 bytes of length
    if len(head) < 16:
        return False
    if head[4:6].isalpha() and head[4:6].isupper():
        length, start = int.from_bytes(head[6:8], "little"), 8
        if head[4:6] in (b"OB", b"OW", b"OF", b"SQ", b"UT", b"UN"):
            length, start = int.from_bytes(head[8:12], "little"), 12
    else:
        length, start = int.from_bytes(head[4:8], "little"), 8
    following = head[start + length : start + length + 4]
    if len(following) < 4:
        return False
    first = (int.from_bytes(head[0:2], "little"), int.from_bytes(head[2:4], "little"))
    second = (int.from_bytes(following[:2], "little"), int.from_bytes(following[2:], "little"))
    return first < second and second[0] < 0x0080


def _container(stream: BinaryIO, head: bytes) -> Content | None:
    if head.startswith(b"\x93NUMPY"):
        return Content("NumPy", refusals.NOT_SUPPORTED["NumPy"]) if _is_stack(io.BytesIO(head)) else None
    if head.startswith(b"PK\x03\x04"):
        return _zip(stream)
    if head.startswith(_PACKED):
        return Content("archive", refusals.ARCHIVE)
    if head[257:262] == b"ustar":
        return _tar(stream, "r|")
    if head.startswith(b"PAR1"):
        return _parquet(stream)
    opener = next((o for magic, o in _OPENERS if head.startswith(magic)), None)
    if opener is None:
        return None
    unpacked = opener(stream).read(HEAD)
    if unpacked[257:262] == b"ustar":
        stream.seek(0)
        return _tar(stream, "r|*")
    found = _plain(unpacked)
    if found and found.reason is None:
        return Content("archive", refusals.ARCHIVE)  # a packed PNG or DICOM file
    return found


def _zip(stream: BinaryIO) -> Content | None:
    with zipfile.ZipFile(stream) as archive:
        members = [info for info in archive.infolist() if not info.is_dir()]
        names = {info.filename for info in members}
        if {"[Content_Types].xml", "mimetype", "META-INF/MANIFEST.MF"} & names:  # documents and programs
            return None
        arrays = bool(members) and all(name.endswith(".npy") for name in names)
        for info in members[:_MEMBERS]:
            with archive.open(info) as member:
                if _is_image(member.read(HEAD)):
                    return Content("npz" if arrays else "archive", refusals.ARCHIVE, source=arrays)
    return None


def _tar(stream: BinaryIO, mode: str) -> Content | None:
    with tarfile.open(fileobj=stream, mode=mode) as archive:  # type: ignore[call-overload]
        for number, info in enumerate(archive):
            member = archive.extractfile(info) if info.isfile() else None
            if member and _is_image(member.read(HEAD)):
                return Content("archive", refusals.ARCHIVE)
            if number >= _MEMBERS:
                break
    return None


def _is_image(head: bytes) -> bool:
    """Whether a member of an archive is an image or another archive."""
    if head.startswith(b"\x93NUMPY"):
        return _is_stack(io.BytesIO(head))
    if _plain(head) or head.startswith((b"PK\x03\x04", *_PACKED)) or head[257:262] == b"ustar":
        return True
    return head.startswith(b"\x1f\x8b") and _plain(zlib.decompressobj(31).decompress(head, HEAD)) is not None


def _is_stack(stream: BinaryIO) -> bool:
    """Whether an npy holds images: three axes or more of numbers, or two of whole numbers of 8 or 16 bits."""
    head = npy_head(stream)
    shape, dtype = head.shape, head.dtype
    if dtype.hasobject or math.prod(shape) == 0:
        return False
    whole = dtype.kind in "ui" and dtype.itemsize <= 2 and min(shape, default=0) >= 16
    return dtype.kind in "buif" and (len(shape) >= 3 or (len(shape) == 2 and whole))


def _parquet(stream: BinaryIO) -> Content | None:
    """A table with a column of bytes holds files, most likely images."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(stream)
    except (pa.ArrowException, OSError, ValueError):
        return None
    texts = str(schema.types)
    return Content("Parquet", refusals.NOT_SUPPORTED["Parquet"]) if "binary" in texts else None
