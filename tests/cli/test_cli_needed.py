"""A call that lacks something: told what it is for and where to take it from; a bare call shows its help."""

import json
import re
import subprocess
import sys
from typing import Any

import pytest
import typer

from medaudit.cli.app import app, run
from medaudit.cli.needed import WHY


def commands(group: Any, before: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, command in group.commands.items():
        inner = hasattr(command, "commands")
        found |= commands(command, f"{before}{name} ") if inner else {before + name: command}
    return found


COMMANDS = commands(typer.main.get_command(app))
REQUIRED = [(name, param) for name, command in COMMANDS.items() for param in command.params if param.required]


def test_every_required_argument_of_every_command_has_its_sentence() -> None:
    used = set()
    for name, param in REQUIRED:
        key = next((one for one in (f"{name} {param.opts[0]}", param.opts[0]) if one in WHY), None)
        assert key is not None, f"{name}: say in cli/needed.py what {param.opts[0]} is for"
        used.add(key)
    assert used == set(WHY) and len(REQUIRED) > 30


@pytest.mark.parametrize("name", sorted({name for name, param in REQUIRED}))
def test_what_is_missing_is_explained_in_one_line(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MEDAUDIT_LEDGER", raising=False)
    params = [param for other, param in REQUIRED if other == name]
    for place, param in enumerate(params):  # all but this one are given
        words = []
        for one in (*params[:place], *params[place + 1 :]):
            words += ([one.opts[0]] if one.opts[0].startswith("-") else []) + ["7"]
        if not param.opts[0].startswith("-") and len(params) > 1:
            words = [word for word in words if word.startswith("-") or word == "7"]
        assert run([*name.split(), *words]) == 2
        err = capsys.readouterr().err
        what = param.opts[0] if param.opts[0].startswith("-") else param.metavar
        assert err.startswith(f"UsageProblem: {what} is missing: ") and err.count("\n") == 1
        assert err.endswith(f"(see medaudit {name} --help)\n") and len(err) > 60


def test_the_hold_out_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", "--train", "T", "--synthetic", "S", "--out", "A"]) == 2
    err = capsys.readouterr().err
    assert "patients that the model never saw" in err and "medaudit split" in err and "medaudit ingest" in err


@pytest.mark.parametrize("command", ["", "ledger"])
def test_a_bare_call_shows_its_help_and_is_no_success(command: str) -> None:
    """Exit code 0 means release-supported: a script whose command is an empty variable must not go on."""
    program = [sys.executable, "-m", "medaudit.cli.app", *command.split()]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "Usage:" in done.stdout and len(done.stdout.splitlines()) > 10
    called = f"medaudit {command}".strip()
    said = f"UsageProblem: no command was given; the help above lists them (see {called} --help)\n"
    assert done.stderr == said


def test_another_error_of_the_parser_is_told_as_before(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["verify", "D", "--bogus"]) == 2
    assert re.match(r"UsageProblem: No such option", capsys.readouterr().err)
    assert run(["audit", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["message"].startswith("--train is missing: ")
