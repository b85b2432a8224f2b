"""What docs/ shows is what the program offers: options, commands, and YAML that parses."""

import re
from pathlib import Path

import typer
import yaml

from medaudit.cli.app import app

ROOT = Path(__file__).resolve().parent.parent
COMMAND = re.compile(
    r"(?:medaudit|medaudit\.cli\.app)\s+"
    r"(audit|dedup|extract|generate|ingest|keygen|release|report|review|split|train|verify)\b([^;`\n]*)"
)


def examples() -> list[tuple[str, str]]:
    """(command, the rest of its line) of every example in a code block of docs/."""
    found = []
    for path in sorted((ROOT / "docs").glob("*.md")):
        for block in re.findall(r"```\w*\n(.*?)```", path.read_text(), re.DOTALL):
            joined = re.sub(r"\\\n\s*", " ", block)
            joined = re.sub(r"(--device cpu)\n\s*(--engine)", r"\1 \2", joined)  # YAML folds lines
            found += COMMAND.findall(joined)
    return found


def test_options_shown_are_options_of_the_command() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    shown = examples()
    assert len(shown) >= 6
    for name, rest in shown:
        known = {option for parameter in commands[name].params for option in parameter.opts}
        used = set(re.findall(r"(?<!\S)(--[a-z-]+)", rest))
        assert used or name == "verify"  # which needs none
        assert used <= known, (name, used - known)
        needed = {p.opts[0] for p in commands[name].params if p.required and p.opts[0].startswith("--")}
        assert needed <= used, (name, needed - used)


def test_each_guard_of_the_threat_model_names_tests_that_exist() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "docs" / "threats.md").read_text())
    assert len(named) >= 15
    for file, test in named:
        assert f"def {test}(" in (ROOT / file).read_text(), f"{file}::{test}"


def test_yaml_parses_and_both_groups_mount_the_films() -> None:
    text = (ROOT / "docs" / "cluster.md").read_text()
    jobs = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]
    assert [job["kind"] for job in jobs] == ["RayJob"]
    cluster = jobs[0]["spec"]["rayClusterSpec"]
    pods = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    assert len(pods) == 2
    for pod in pods:
        assert pod["template"]["spec"]["containers"][0]["volumeMounts"][0]["mountPath"] == "/films"
    assert cluster["rayVersion"] in (ROOT / "constraints.txt").read_text()
