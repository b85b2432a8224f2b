"""The paths that a command was given, checked at once: before anything is imported that takes seconds.

The stage checks the same things again and more closely (every file's hash); here only what costs nothing is checked.
"""

import errno
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from medaudit.artifacts.store import MANIFEST, open_artifact
from medaudit.devices import check_name
from medaudit.errors import MedauditError, OutputExists, SourceMissing, UsageProblem

_SHOWN = 80  # characters of a path in a message
# Options that name what a command writes; of split those of the cohorts as well.
_WRITTEN = ("out", "keep_encoder")
_WRITTEN_BY = {"split": ("train", "holdout")}


def refuse_unwritable(command: str, given: Mapping[str, object]) -> None:
    """Raise UsageProblem, with the path, for an output that cannot be written at the place given."""
    for name in (*_WRITTEN, *_WRITTEN_BY.get(command, ())):
        path = given.get(name)
        if isinstance(path, Path):
            _check_writable(f"--{name.replace('_', '-')}", path)


def shown(path: Path | str) -> str:
    """A path as a message shows it: its beginning where it is long."""
    text = str(path)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def check_given(
    *,
    cohorts: Iterable[Path | None] = (),
    findings: Iterable[Path | None] = (),
    others: Iterable[tuple[str, Path | None]] = (),
    model: Path | None = None,
    files: Iterable[Path | None] = (),
    signing: Path | None = None,
    out: Path | None = None,
    device: str = "auto",
    ledger: Path | None = None,
) -> None:
    """Check the artifacts' manifests, the files, what exists at `out`, and the device's name; None is not given.

    `others`: kind and path of further artifacts; `files`: files that have to exist; `signing`: a secret key's. A
    `ledger` comes first: where it is not whole or not there yet, nothing else is checked, and the stage says what is to
    be done.

    Raises KeyProblem, ArtifactKindMismatch, ArtifactBroken, SourceMissing, ModelUnsafe, ModelUnreadable, OutputExists,
    UsageProblem, DeviceUnavailable, as the stage would.
    """
    if ledger is not None and not _is_whole(ledger):
        return
    check_name(device)
    if signing is not None and not signing.is_file():
        from medaudit.artifacts.keys import no_key

        raise no_key(signing)
    for kind, path in (
        *(("cohort", one) for one in cohorts),
        *(("findings", one) for one in findings),
        *others,
    ):
        if path is not None:
            open_artifact(path, kind, verify=False)
    for path in files:
        if path is not None and not path.exists():
            raise SourceMissing(f"{path} does not exist; check its name")
    if out is not None:
        _check_out(out)
    if model is not None:
        from medaudit.generators.safety import check_folder

        check_folder(model)


def _is_whole(ledger: Path) -> bool:
    """Whether a ledger is there and can be read."""
    from medaudit.artifacts.ledger import Ledger

    try:
        with Ledger(ledger, write=False) as opened:
            opened.check()
    except (MedauditError, OSError):
        return False
    return True


def _check_out(out: Path) -> None:
    """Raise OutputExists for what no command of medaudit wrote."""
    if not out.exists() and not out.is_symlink():
        return
    if not out.is_dir() or (any(out.iterdir()) and not (out / MANIFEST).is_file()):
        raise OutputExists(f"{out} exists and is not medaudit's; choose another --out")


def _check_writable(option: str, path: Path) -> None:
    """Raise UsageProblem for a place that cannot be written. What exists there is for the command to judge."""
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
