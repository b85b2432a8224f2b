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
from pathlib import Path
from typing import Self

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
            info = archive.getinfo(f"{name}.npy")
            if info.compress_type not in _KNOWN:
                raise _damaged(path)
            self._stream = archive.open(info)
            head = self._head()
            self.shape, self.in_order, self.dtype = _parsed(head)
            self.packed = info.compress_size
            self.size = math.prod(self.shape) * self.dtype.itemsize
        if self.dtype.hasobject:
            raise NothingReadable(
                f"{path} holds Python objects, which are not loaded; save ids as text arrays"
            )
        if min(self.shape, default=1) < 0 or len(head) + self.size != info.file_size:
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

    def _head(self) -> bytes:
        """Magic, version, length and the text of that length. NEP 1."""
        start = self._stream.read(8)
        width = 2 if start[6:7] == b"\x01" else 4
        length = self._stream.read(width)
        count = int.from_bytes(length, "little")
        if count > _LONGEST_HEAD:  # numpy would read it all and look at it then
            raise EOFError
        return start + length + self._stream.read(count)


def _parsed(head: bytes) -> tuple[tuple[int, ...], bool, np.dtype]:
    """(shape, whether rows lie one after the other, dtype) of an array's head."""
    stream = io.BytesIO(head)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of heads that Python 2 wrote
        version = np.lib.format.read_magic(stream)
        read = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, fortran, dtype = read(stream)
    return tuple(int(side) for side in shape), not fortran, dtype


def _damaged(path: Path) -> NothingReadable:
    return NothingReadable(
        f"{path} is no npz archive, or is cut short, damaged or encrypted; get the file again"
    )
