"""What a command was given, looked at before anything is imported that takes seconds: a wrong path is told at once.

The stage looks at the same things again, and closer (every file's hash); here only what costs nothing is asked.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from medaudit.artifacts.store import MANIFEST, open_artifact
from medaudit.devices import check_name
from medaudit.errors import MedauditError, OutputExists, SourceMissing, UsageProblem


def check_given(
    *,
    cohorts: Iterable[Path | None] = (),
    findings: Iterable[Path | None] = (),
    others: Iterable[tuple[str, Path | None]] = (),
    model: Path | None = None,
    files: Iterable[Path | None] = (),
    out: Path | None = None,
    device: str = "auto",
    ledger: Path | None = None,
) -> None:
    """Look at the artifacts' manifests, the files, the place for the output and the device's name; None is not given.

    `others`: kind and path of further artifacts; `files`: what has only to be there. A `ledger` comes first: where it
    is not whole or not there yet, nothing else is looked at, and the stage says what is to be done.

    Raises ArtifactKindMismatch, ArtifactBroken, SourceMissing, ModelUnsafe, ModelUnreadable, OutputExists,
    UsageProblem, DeviceUnavailable, as the stage would.
    """
    if ledger is not None and not _is_whole(ledger):
        return
    check_name(device)
    for kind, path in (
        *(("cohort", one) for one in cohorts),
        *(("findings", one) for one in findings),
        *others,
    ):
        if path is not None:
            open_artifact(path, kind, verify=False)
    for path in files:
        if path is not None and not path.exists():
            raise SourceMissing(f"{path} does not exist; look at its name")
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
    """Raise OutputExists for what no command of medaudit's made, UsageProblem where no folder can be made."""
    if out.exists() or out.is_symlink():
        if not out.is_dir() or (any(out.iterdir()) and not (out / MANIFEST).is_file()):
            raise OutputExists(f"{out} exists and is not medaudit's; choose another --out")
        return
    above = next(folder for folder in out.absolute().parents if folder.exists())
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise UsageProblem(f"{out} cannot be written there; choose another --out")
