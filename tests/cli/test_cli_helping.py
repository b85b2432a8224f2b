"""Help at 80 and 120 columns: examples that parse and can be copied, flags without a type, lines that fit."""

import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from film_folders import films
from PIL import Image

from medaudit.artifacts.cohort import open_cohort
from medaudit.cli.app import app, run
from medaudit.cli.helping import folded

PROGRAM = typer.main.get_command(app)


def leaves(group: Any, before: str = "") -> dict[str, Any]:
    """Every command by its words: `audit`, `ledger list`."""
    found: dict[str, Any] = {}
    for name, command in group.commands.items():
        found |= (
            leaves(command, f"{before}{name} ") if hasattr(command, "commands") else {before + name: command}
        )
    return found


COMMANDS = leaves(PROGRAM)


def shown(
    command: str, width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str:
    monkeypatch.setenv("COLUMNS", str(width))
    assert run([*command.split(), "--help"]) == 0
    return capsys.readouterr().out


def example(text: str) -> list[str]:
    """The arguments after `medaudit` of a help's example, its backslashes followed as a shell would."""
    lines = [line.strip() for line in text.splitlines()]
    start = next(i for i, line in enumerate(lines) if line.startswith("Example: "))
    end = lines.index("", start)
    whole = " ".join(lines[start:end])
    assert whole.count("\\") == end - start - 1  # a backslash before each break
    words = shlex.split(whole.replace("\\", ""))
    assert words[:2] == ["Example:", "medaudit"]
    return words[2:]


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_the_example_parses_and_nothing_is_wider_than_the_terminal(
    command: str, width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = shown(command, width, monkeypatch, capsys)
    assert max(map(len, text.splitlines())) <= width
    words, own = example(text), command.split()
    assert words[: len(own)] == own
    # raises on an option or an argument that is wrong or missing
    COMMANDS[command].make_context(command, words[len(own) :])
    flags = [line for line in text.splitlines() if re.search(r"--(json|quiet|help)\b", line)]
    assert len(flags) >= 2 and not any("bool" in line for line in flags)


def test_the_check_of_examples_would_fire() -> None:
    with pytest.raises(Exception, match="out"):
        COMMANDS["ingest"].make_context("ingest", ["films"])
    with pytest.raises(Exception, match="--bogus"):
        COMMANDS["ingest"].make_context("ingest", ["films", "--out", "C", "--bogus"])


def test_the_programs_own_help_names_no_types(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = shown("", 80, monkeypatch, capsys)
    assert "bool" not in text and "--install-completion" in text
    assert all(name.split()[0] in text for name in COMMANDS)


def test_only_long_examples_are_folded() -> None:
    text = "What it does.\n\nExample: medaudit a --bb c --dd e"
    assert folded(text, 80) == text
    assert folded(text, 26) == "What it does.\n\nExample: medaudit a \\\n--bb c --dd e"
    assert folded("", 80) == ""


@pytest.mark.parametrize(("depth", "dtype"), [("auto", "uint8"), ("8", "uint8"), ("16", "uint16")])
def test_the_depth_of_a_cohort_is_chosen(depth: str, dtype: str, tmp_path: Path) -> None:
    films(tmp_path / "films", 3)
    assert run(["ingest", str(tmp_path / "films"), "--out", str(tmp_path / "C"), "--depth", depth, "-q"]) == 0
    cohort = open_cohort(tmp_path / "C")
    assert cohort.pixels.dtype.name == dtype
    first = np.asarray(Image.open(tmp_path / "films" / "000.png"))
    np.testing.assert_allclose(cohort.unit([0])[0], first / 255, atol=1e-6)


def test_a_depth_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["ingest", str(tmp_path), "--out", str(tmp_path / "C"), "--depth", "12"]) == 2
    assert "12" in capsys.readouterr().err
