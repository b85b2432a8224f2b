"""What the operating system refuses is no defect of medaudit: told in the system's own words, without a file's name."""

import errno
import os

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


def refused(error: OSError) -> MedauditError | None:
    """The error to tell for one of the system's; None for those that a defect of medaudit could cause as well."""
    said = os.strerror(error.errno).lower() if error.errno else ""
    if error.errno in _PATHS:
        return UsageProblem(
            f"a file or folder given cannot be read or written ({said}); look at its name and rights"
        )
    if error.errno in _ROOM:
        return StorageFull(
            f"a file cannot be written ({said}); make room and run the same command again to go on"
        )
    if error.errno in _MACHINE:
        return SystemRefused(
            f"this machine refused a file ({said}); mend that and run the same command again"
        )
    return None


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
