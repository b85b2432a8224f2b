"""What every command prints with --json, errors included, against docs/command.schema.json; and docs/json.md beside it.

One small site is built command by command; noise films copy nobody, so that the release goes out.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import typer
from film_folders import films

from medaudit.cli import app as front
from medaudit.cli.screen import show
from medaudit.errors import MedauditError
from medaudit.stages.outcome import Outcome

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = json.loads((ROOT / "docs" / "command.schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
AUDIT = "plants: 50\nbootstrap: 200\npermutations: 1000\ncontrols: quick\nrequired_kinds: [identity]\n"
TRAIN = "steps: 3\nbatch: 4\nnetwork: {channels: [8]}\nsampling: {steps: 2}\n"
COHORTS = ["--train", "T", "--holdout", "H"]


ELSEWHERE = ("keygen", "ledger", "review")  # run by tests of their own


def commands(group: Any = None, before: str = "") -> set[str]:
    """Every command by its words: `audit`, `ledger list`."""
    inside = (group or typer.main.get_command(front.app)).commands
    return {
        leaf
        for name, one in inside.items()
        for leaf in (commands(one, f"{before}{name} ") if hasattr(one, "commands") else {before + name})
    }


def parsed(text: str) -> dict[str, Any]:
    """The one object on the one line; no Infinity and no NaN."""
    assert text.count("\n") == 1

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    return json.loads(text, parse_constant=refuse)


def answer(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    capsys.readouterr()
    code = front.run([*arguments, "--json"])
    shown = capsys.readouterr()
    body = parsed(shown.out)
    VALIDATOR.validate(body)
    assert body["exit_code"] == code and " ".join(arguments).startswith(body["command"])
    assert body["ok"] is (shown.err == "")
    return body


def test_the_schema_is_one_and_knows_every_command() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    told = json.dumps(SCHEMA)
    page = (ROOT / "docs" / "json.md").read_text()
    assert len(commands()) >= 14
    for name in commands():
        assert f'"{name.split()[0]}' in told, name
        assert f"| `{name.split()[0]}" in page, name


def test_every_command_answers_in_the_schema(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    films(tmp_path / "films", 120, (22, 18))
    films(tmp_path / "others", 16, (22, 18), start=500)
    Path("audit.yaml").write_text(AUDIT)
    Path("train.yaml").write_text(TRAIN)
    monkeypatch.setattr(
        "medaudit.stages.demo.run",
        lambda *_, **__: Outcome(("done",), {"memorizing": {}, "unseen": {}, "seconds": 1.0}, tmp_path),
    )
    lines = [
        ["inspect", "films"],
        ["ingest", "films", "--out", "all"],
        ["split", "all", *COHORTS],
        ["dedup", "T", "--out", "T2"],
        ["index", "T"],
        ["ingest", "others", "--origin", "synthetic", "--out", "S"],
        ["train", "--cohort", "T", "--config", "train.yaml", "--out", "M"],
        ["generate", "--model", "M", "--count", "4", "--out", "G"],
        ["audit", *COHORTS, "--synthetic", "S", "--config", "audit.yaml", "--out", "A"],
        ["extract", *COHORTS, "--model", "M", "--synthetic", "G", "--count", "4", "--out", "X"],
        ["report", "A", "X", "--out", "R"],
        ["release", "--synthetic", "S", "--audit", "A", "--out", "D"],
        ["verify", "D"],
        ["demo"],
        ["explain", "power"],
        ["explain"],
    ]
    seen = {}
    for line in lines:
        body = answer(line, capsys)
        assert body["ok"], body
        seen[line[0]] = body
    assert set(seen) == {name for name in commands() if name.split()[0] not in ELSEWHERE}
    assert seen["audit"]["exit_code"] == 0 and seen["verify"]["data"]["released"] == 16
    assert seen["extract"]["exit_code"] in (0, 10, 20)


@pytest.mark.parametrize("command", sorted(commands()))
def test_every_command_fails_in_the_schema(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    body = answer([*command.split(), "--no-such-option"], capsys)
    assert body["error"] == "UsageProblem" and body["exit_code"] == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "code", "name"),
    [
        (KeyboardInterrupt(), 130, "Interrupted"),
        (MemoryError(), 1, "MemoryFull"),
        (ValueError("DOE^JANE"), 1, "Defect"),
        *[(kind("what is wrong; what to do"), kind.exit_code, kind.__name__)
          for kind in MedauditError.__subclasses__()],
    ],
)  # fmt: skip
def test_every_kind_of_error_fits(
    error: BaseException, code: int, name: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("medaudit.stages.verify.run", fail)
    body = answer(["verify", "D"], capsys)
    assert (body["exit_code"], body["error"]) == (code, name) and "DOE" not in body["message"]


def test_a_word_that_is_no_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert front.run(["bogus", "--json"]) == 2
    body = parsed(capsys.readouterr().out)
    VALIDATOR.validate(body)
    assert body["command"] is None and body["ok"] is False


def test_numbers_that_json_cannot_hold_are_null(capsys: pytest.CaptureFixture[str]) -> None:
    data = {"a": math.inf, "b": [1.5, math.nan], "c": {"d": (-math.inf, 2)}}
    show("explain", Outcome((), {"terms": [], **data}), as_json=True)
    body = parsed(capsys.readouterr().out)
    assert body["data"] == {"terms": [], "a": None, "b": [1.5, None], "c": {"d": [None, 2]}}


GOOD: Mapping[str, Any] = {
    "schema": "medaudit.command/1", "version": "0.1.0", "command": "verify", "ok": True, "exit_code": 0, "path": None,
    "lines": [], "data": {"id": "1", "number": "2", "released": 1, "withheld": 0, "files": 3},
}  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"schema": "medaudit.command/2"},
        {"ok": False},
        {"exit_code": 3},
        {"data": {"id": "1"}},
        {"error": "Defect", "message": "both at once"},
        {
            "command": "audit",
            "data": {"schema": "medaudit.audit/1", "verdict": "do-not-release", "reasons": []},
        },
    ],
)
def test_the_schema_refuses_what_is_wrong(change: dict[str, Any]) -> None:
    VALIDATOR.validate(GOOD)
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate({**GOOD, **change})
