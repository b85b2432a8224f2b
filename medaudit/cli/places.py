"""Whether a place that was given can be written to, asked before a command begins to work."""

import errno
import os
from collections.abc import Mapping
from pathlib import Path

from medaudit.errors import UsageProblem

_SHOWN = 80  # characters of a path in a message
# Options that name what a command writes; of split those of the cohorts as well.
_WRITTEN = ("out", "keep_encoder")
_WRITTEN_BY = {"split": ("train", "holdout")}


def refuse_unwritable(command: str, given: Mapping[str, object]) -> None:
    """Raise UsageProblem that names the path for an output that cannot be made where it was asked for."""
    for name in (*_WRITTEN, *_WRITTEN_BY.get(command, ())):
        path = given.get(name)
        if isinstance(path, Path):
            _check(f"--{name.replace('_', '-')}", path)


def shown(path: Path | str) -> str:
    """A path as a message shows it: cut where nobody would read it to the end."""
    text = str(path)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _check(option: str, path: Path) -> None:
    """A folder that stands is left to the command, which knows whether it made it."""
    try:
        if path.exists() or path.is_symlink():
            return
        place = next(one for one in path.parents if one.exists())
        usable = place.is_dir() and os.access(place, os.W_OK | os.X_OK)
    except OSError as error:
        why = (
            "the name is too long"
            if error.errno == errno.ENAMETOOLONG
            else os.strerror(error.errno or 0).lower()
        )
        raise UsageProblem(
            f"{option} {shown(path)} cannot be written ({why}); choose another place"
        ) from None
    except StopIteration:
        raise UsageProblem(
            f"{option} {shown(path)} cannot be written: its folder is gone; choose another place"
        ) from None
    if usable:
        return
    where = "this folder" if str(place) == "." else shown(place)
    why = "may not be written to" if place.is_dir() else "is a file, so nothing can be written in it"
    raise UsageProblem(f"{option} {shown(path)} cannot be written: {where} {why}; choose another place")
