"""One array of an npz as a stream that a broken or hostile archive cannot turn into a crash or into gigabytes.

The archive's directory states how long a member is, and the array's head how many numbers it holds: both must agree
before anything is unfolded, and the checksum is compared when the last byte was read.
"""

import errno
import io
import math
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

import numpy as np

from medaudit.errors import MedauditError, NothingReadable
from medaudit.regular import open_regular

_LONGEST_HEAD = 1 << 14  # bytes: numpy writes 128, and more only for records
_KNOWN = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # what numpy writes; others unfold without a limit


@contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Whatever zipfile, zlib and numpy raise over a broken file becomes NothingReadable; the disk's errors stay."""
    try:
        yield
    except (MedauditError, MemoryError):
        raise
    except PermissionError:
        raise NothingReadable(f"{path}: no permission to read it") from None
    except OSError as error:
        if error.errno not in (None, errno.EINVAL):  # EINVAL: a place before the file's beginning
            raise
        raise _damaged(path) from None
    except Exception:  # BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, SyntaxError, ...
        raise _damaged(path) from None


@contextmanager
def archive_of(path: Path) -> Iterator[zipfile.ZipFile]:
    """The archive, open. Raises NothingReadable."""
    with damage_named(path):
        stream = open_regular(path)
    with stream:
        with damage_named(path):
            archive = zipfile.ZipFile(stream)
        with archive:
            yield archive


class ArrayStream:
    """An array of numbers or text in an archive, read front to back: its shape, order and type, then its bytes.

    `size` are its bytes, `packed` those that it takes in the archive. Raises NothingReadable, then and on each read.
    """

    def __init__(self, path: Path, archive: zipfile.ZipFile, name: str) -> None:
        self._path = path
        with damage_named(path):
            info, self._stream = _member(archive, name)
            head = npy_head(self._stream)
            self.shape, self.in_order, self.dtype = head.shape, head.in_order, head.dtype
            self.packed = info.compress_size
            self.size = math.prod(self.shape) * self.dtype.itemsize
        if self.dtype.hasobject:
            raise NothingReadable(
                f"{path} holds Python objects, which are not loaded; save ids as text arrays"
            )
        if min(self.shape, default=1) < 0 or head.length + self.size != info.file_size:
            raise _damaged(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def read(self, count: int) -> bytes:
        """Exactly so many bytes. Raises NothingReadable."""
        with damage_named(self._path):
            data = self._stream.read(count)
            if len(data) != count:
                raise EOFError
            return data

    def skip(self, count: int) -> None:
        """Leave out so many bytes."""
        while count > 0:
            count -= len(self.read(min(count, 1 << 20)))

    def end(self) -> None:
        """Say that the last byte was read: only now is the checksum known. Raises NothingReadable."""
        with damage_named(self._path):
            if self._stream.read(1):
                raise EOFError


@dataclass(frozen=True)
class NpyHead:
    """What the head of an npy says of its array; `length`: bytes of the head itself."""

    length: int
    shape: tuple[int, ...]
    in_order: bool  # C order: rows follow each other
    dtype: np.dtype


def npy_head(stream: IO[bytes]) -> NpyHead:
    """Read the head of an npy: magic, version, length and a text of that length (NEP 1).

    At most 16 KiB are read. Raises whatever numpy raises for a damaged head, EOFError for a longer one.
    """
    start = stream.read(8)
    length = stream.read(2 if start[6:7] == b"\x01" else 4)
    count = int.from_bytes(length, "little")
    if count > _LONGEST_HEAD:  # numpy would read it all and look at it then
        raise EOFError
    head = start + length + stream.read(count)
    whole = io.BytesIO(head)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of heads that Python 2 wrote
        first = np.lib.format.read_magic(whole) == (1, 0)
        read = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(whole)
    return NpyHead(len(head), tuple(int(side) for side in shape), not fortran, dtype)


def head_of(path: Path, archive: zipfile.ZipFile, name: str) -> NpyHead:
    """The head of any array of an archive, of Python objects as well. Raises NothingReadable."""
    with damage_named(path):
        _, stream = _member(archive, name)
        with stream:
            return npy_head(stream)


def _member(archive: zipfile.ZipFile, name: str) -> tuple[zipfile.ZipInfo, IO[bytes]]:
    """An array of the archive, open. Raises EOFError for a compression that numpy does not write."""
    info = archive.getinfo(f"{name}.npy")
    if info.compress_type not in _KNOWN:
        raise EOFError
    return info, archive.open(info)


def _damaged(path: Path) -> NothingReadable:
    return NothingReadable(
        f"{path} is no npz archive, or is cut short, damaged or encrypted; get the file again"
    )
