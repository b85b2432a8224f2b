"""Opening a file that a user named: regular files only, so that no device is read to no end and no pipe is waited for.

Every reader of files that medaudit did not write itself goes through here.
"""

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

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
