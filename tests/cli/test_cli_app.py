"""The front door: help, usage errors, exit codes, and that nothing of a patient comes out in an error."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from medaudit.cli import app as front
from medaudit.cli.options import memory_bytes
from medaudit.errors import CohortMismatch, MedauditError, NotReleasable, UsageProblem

COMMANDS = {
    "inspect", "ingest", "split", "dedup", "index", "train", "generate", "audit", "extract", "report", "release",
    "verify", "demo", "explain", "keygen", "review", "ledger",
}  # fmt: skip
HEAVY = {
    "torch",
    "monai",
    "diffusers",
    "pydicom",
    "skimage",
    "scipy",
    "pyarrow",
    "matplotlib",
    "typst",
    "numpy",
}


def call(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "medaudit.cli.app", *arguments], capture_output=True, text=True, check=False
    )


def test_help_names_every_command_and_loads_nothing_heavy() -> None:
    program = (
        "import sys, medaudit.cli.app as a\n"
        "code = a.run(['--help'])\n"
        "print('LOADED', *sorted({m.split('.')[0] for m in sys.modules}))\n"
        "sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    for command in COMMANDS:
        assert re.search(rf"^│ {command} ", done.stdout, flags=re.MULTILINE), command
    loaded = set(done.stdout.rsplit("LOADED", 1)[1].split())
    assert {"typer", "rich"} <= loaded
    assert loaded & HEAVY == set()


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_has_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert front.run([command, "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"Example: medaudit {command}" in shown
    assert "--json" in shown


def test_usage_errors_exit_2_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (
        ["audit"],
        ["no-such-command"],
        ["ingest", "x", "--bogus"],
        ["generate", "--count", "0"],
    ):
        assert front.run(arguments) == 2
        err = capsys.readouterr().err
        assert err.startswith("UsageProblem: ") and err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (CohortMismatch("sizes differ; ingest again"), 1),
        (NotReleasable("not cleared"), 10),
        (KeyboardInterrupt(), 130),
    ],
)
def test_errors_become_one_line_and_the_right_exit_code(
    error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(front, "app", fail)
    assert front.run(["audit"]) == code
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    if isinstance(error, MedauditError):
        assert err == f"{type(error).__name__}: {error}\n"


def test_an_unexpected_error_shows_its_place_and_none_of_its_values(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyError("DOE^JANE 1970-01-01")

    monkeypatch.setattr(front, "app", fail)
    assert front.run(["audit", "--json"]) == 1
    captured = capsys.readouterr()
    assert "DOE" not in captured.err + captured.out
    assert "KeyError at test_cli_app.py:" in captured.err
    body = json.loads(captured.out)
    assert body["error"] == "Defect" and body["exit_code"] == 1


def test_config_errors_name_the_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "audit.yaml"
    config.write_text("alfa: 0.05\n")
    folders = ["--train", "T", "--holdout", "H", "--synthetic", "S", "--out", "A"]
    assert front.run(["audit", *folders, "--config", str(config)]) == 2
    assert "unknown key 'alfa'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "controls"),
    [([], "full"), (["--controls", "quick"], "quick"), (["--controls", "full"], "full")],
)
def test_the_budget_option_of_audit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, options: list[str], controls: str
) -> None:
    given = []
    monkeypatch.setattr("medaudit.cli.audits.check_given", lambda **_: None)
    monkeypatch.setattr("medaudit.cli.audits.carry_out", lambda name, work, **_: work(None))
    monkeypatch.setattr("medaudit.stages.audit.run", lambda *_, **named: given.append(named["settings"]))
    folders = ["--train", "T", "--holdout", "H", "--synthetic", "S", "--out", "A"]
    assert front.run(["audit", *folders, *options]) == 0
    assert [settings.controls for settings in given] == [controls]
    config = tmp_path / "audit.yaml"
    config.write_text("controls: quick\n")
    front.run(["audit", *folders, "--config", str(config), *options])
    assert given[1].controls == ("full" if "full" in options else "quick")


def test_a_budget_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    folders = ["--train", "T", "--holdout", "H", "--synthetic", "S", "--out", "A"]
    assert front.run(["audit", *folders, "--controls", "slow"]) == 2
    assert "slow" in capsys.readouterr().err


def test_version() -> None:
    done = call("--version")
    assert done.returncode == 0
    assert re.fullmatch(r"medaudit \d+\.\d+\.\d+\n", done.stdout)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2GB", 2 * 10**9),
        ("512MB", 512 * 10**6),
        ("1.5GiB", 3 << 29),
        (" 64 kib ", 64 << 10),
        ("3tb", 3 * 10**12),
        ("7B", 7),
    ],
)
def test_memory_is_read_with_its_unit(text: str, expected: int) -> None:
    assert memory_bytes(text) == expected


@pytest.mark.parametrize("text", ["", "2", "GB", "-1GB", "1,5GB", "2 gigs", "1e9B", "infGB", "2GBB", "2G B"])
def test_memory_that_cannot_be_read_is_a_usage_problem(text: str) -> None:
    with pytest.raises(UsageProblem, match="such as 2GB") as caught:
        memory_bytes(text)
    assert caught.value.exit_code == 2
