"""--ledger at a place where no ledger can be: one line, an exit code, and nothing written, whatever the command."""

import errno
import os
from pathlib import Path

import pytest

from medaudit.artifacts import store
from medaudit.artifacts.ledger import Ledger
from medaudit.cli.app import run

COHORTS = ["--train", "T", "--holdout", "H"]
COMMANDS = {
    "audit": ["audit", *COHORTS, "--synthetic", "S", "--out", "A"],
    "extract": ["extract", "--model", "M", *COHORTS, "--out", "X"],
    "release": ["release", "--synthetic", "S", "--audit", "A", "--out", "R"],
    "review": ["review", "A", "--apply", "verdicts.json"],
    "list": ["ledger", "list"],
    "check": ["ledger", "check"],
    "export": ["ledger", "export", "--out", "rows.jsonl"],
    "withdraw": ["ledger", "withdraw", "--patient", "p-" + "0" * 16, "--reason", "asked"],
}
PLACES = {
    "no folder": "absent/site.ledger",
    "a file for a folder": "note.txt/site.ledger",
    "a folder": "folder",
    "no file": "site.ledger",
    "too long": "x" * 300,
    "a folder of the system": "/proc/self/site.ledger",
}


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "note.txt").write_text("no folder")
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("command", COMMANDS)
def test_one_line_and_nothing_written(
    here: Path, command: str, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if place == "no file" and command in ("audit", "extract", "review", "withdraw"):
        pytest.skip("these make the ledger")
    before = tree(here)
    code = run([*COMMANDS[command], "--ledger", PLACES[place]])
    err = capsys.readouterr().err
    assert code in (1, 2) and err.count("\n") == 1, err
    assert "Defect" not in err and (PLACES[place].split("/")[-1] in err or "absent" in err), err
    assert tree(here) == before


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENOSPC, errno.ELOOP])
@pytest.mark.parametrize("command", ["audit", "release", "withdraw"])
def test_a_folder_that_cannot_be_written(
    here: Path, command: str, number: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Permissions say nothing to root, so the refusal of the system is played."""
    path = here / "site.ledger"
    if command == "release":
        with Ledger(path, write=True):
            pass
    before, opened = tree(here), os.open

    def refusing(name: object, flags: int, *rest: int, **more: int) -> int:
        if flags & os.O_CREAT and str(name).startswith(str(here)):
            raise OSError(number, os.strerror(number))
        return opened(name, flags, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", refusing)
    code = run([*COMMANDS[command], "--ledger", str(path)])
    err = capsys.readouterr().err
    assert code in (1, 2) and err.count("\n") == 1 and "Defect" not in err, err
    assert tree(here) == before


def test_the_lock_of_a_release_is_let_go_when_it_is_refused(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = here / "site.ledger"
    with Ledger(path, write=True):
        pass
    assert run([*COMMANDS["release"], "--ledger", str(path)]) in (1, 2)
    lock = store.lock_file(path.with_name(".site.ledger.release"))
    assert lock is not None
    os.close(lock)
