"""Opening a file that a user named: regular files only, as reading a device may never end and a pipe may never answer.

Every reader of files that medaudit did not write itself goes through here.
"""

import errno
import io
import os
import stat
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)  # opening a pipe must not wait for a writer
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_BINARY", 0)
)


class NotRegular(OSError):
    """The path leads to a folder, a device, a pipe or a socket."""

    def __init__(self) -> None:
        super().__init__(errno.EINVAL, "no regular file")


def open_regular(path: Path) -> BufferedReader:
    """A regular file, opened to be read; links are followed. Raises NotRegular, or the system's OSError.

    The path is looked at before it is opened, because opening alone can set a device to work, and again
    afterwards, because something else may have taken its place.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise NotRegular
    descriptor = os.open(path, _FLAGS)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise NotRegular
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_regular(path: Path) -> bytes:
    """All bytes of a regular file. Raises as `open_regular` does."""
    with open_regular(path) as stream:
        return stream.read()


def read_first(path: Path, most: int) -> bytes:
    """The first `most` bytes of a regular file that should be short. Raises as `open_regular` does."""
    with open_regular(path) as stream:
        return stream.read(most)


class Bounded(io.RawIOBase):
    """A file whose reads are cut to the bytes it has: a length in a header may state gigabytes.

    Python allocates as many bytes as a read names before it reads.
    """

    def __init__(self, stream: BinaryIO) -> None:
        at = stream.tell()
        self._stream, self._end = stream, stream.seek(0, io.SEEK_END)
        stream.seek(at)

    def read(self, size: int | None = -1) -> bytes:
        """At most `size` bytes, and at most those that are left."""
        left = max(0, self._end - self._stream.tell())
        return self._stream.read(left if size is None or size < 0 else min(size, left))

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to `offset`; returns the new place."""
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        """The current place."""
        return self._stream.tell()

    def readable(self) -> bool:
        """Always true."""
        return True

    def seekable(self) -> bool:
        """Always true."""
        return True
