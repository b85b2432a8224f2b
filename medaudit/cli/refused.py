"""What the operating system refuses is no defect of medaudit: told in the system's own words, without a file's name."""

import errno
import os
from collections.abc import Sequence
from pathlib import Path

from medaudit.cli.given import shown
from medaudit.errors import MedauditError, StorageFull, SystemRefused, UsageProblem

# A path that cannot be used as it was given.
_PATHS = {
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENAMETOOLONG,
    errno.ELOOP,
    errno.ENOTDIR,
    errno.EISDIR,
}
# Room: the disk's, a quota's, or the largest file that is allowed (ulimit -f, FAT).
_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# The machine or its disks.
_MACHINE = {
    errno.EIO,
    errno.ESTALE,
    errno.EMFILE,
    errno.ENFILE,
    errno.ETIMEDOUT,
    errno.EHOSTDOWN,
    errno.ENODEV,
}


def refused(error: OSError, arguments: Sequence[str] = ()) -> MedauditError | None:
    """The error to tell for one of the system's; None for those that a defect of medaudit could cause as well.

    It names the argument that the file was given as or lies in, and no other name.
    """
    said = os.strerror(error.errno).lower() if error.errno else ""
    given = _given(error, arguments)
    if error.errno in _PATHS:
        what = "a file or folder given" if given is None else shown(given)
        return UsageProblem(f"{what} cannot be read or written ({said}); check its name and rights")
    at = "" if given is None else f" at {shown(given)}"
    if error.errno in _ROOM:
        return StorageFull(
            f"a file{at} cannot be written ({said}); make room and run the same command again to go on"
        )
    if error.errno in _MACHINE:
        return SystemRefused(
            f"this machine refused a file{at} ({said}); mend that and run the same command again"
        )
    return None


def _given(error: OSError, arguments: Sequence[str]) -> str | None:
    """The argument that is the error's file, the folder it lies in, or the output whose draft it is (the nearest)."""
    words = [word.partition("=")[2] if word.startswith("-") else word for word in arguments]
    found: list[tuple[int, str]] = []
    for name in (error.filename, error.filename2):
        if not isinstance(name, str):
            continue
        file = Path(name).absolute()
        for word in filter(None, words):
            path = Path(word).absolute()
            drafts = (
                {path.with_name(f".{path.name}.{end}") for end in ("partial", "lock")} if path.name else set()
            )
            if {path, *drafts} & {file, *file.parents}:
                found.append((len(path.parts), word))
    return max(found)[1] if found else None


def unreadable_name(arguments: list[str]) -> UsageProblem | None:
    """What to say of an argument that is no text: a name in another encoding than UTF-8."""
    if all(one.isascii() or _is_text(one) for one in arguments):
        return None
    return UsageProblem(
        "a name given is not in UTF-8, which every file of medaudit is written in; rename it first"
    )


def one_line(text: str) -> str:
    """A text as one line that moves no cursor and turns no direction, whatever a name in it holds."""
    return "".join(letter if letter.isprintable() else " " if letter.isspace() else "?" for letter in text)


def _is_text(argument: str) -> bool:
    try:
        argument.encode()
    except UnicodeEncodeError:
        return False
    return True
