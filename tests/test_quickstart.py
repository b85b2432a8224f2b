"""docs/quickstart.md: its ten commands, read out of the page and run in order on phantom films."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

from medaudit.artifacts.findings import open_audit
from medaudit.cli.app import run

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "quickstart.md").read_text()


def blocks() -> list[str]:
    return [block.strip() for block in re.findall(r"```\n(.*?)```", PAGE, re.DOTALL)]


def commands() -> list[list[str]]:
    """The arguments of each command in a block of its own."""
    return [shlex.split(block)[1:] for block in blocks() if block.startswith("medaudit ")]


def test_the_page_has_ten_commands_numbered_and_one_preparation() -> None:
    assert len(commands()) == 10 and len(blocks()) == 11
    assert blocks()[0] == "cp -r sample_data/dicom films"
    assert re.findall(r"^\*\*(\d+)\. ", PAGE, re.MULTILINE) == [str(number) for number in range(1, 11)]
    readme = (ROOT / "README.md").read_text()
    own = readme[readme.index("## Your own data") :]
    in_readme = re.findall(r"^medaudit (\w+)", own[: own.index("exit code")], re.MULTILINE)
    order = [line[0] for line in commands()]
    assert [name for name in in_readme if name in order] == list(dict.fromkeys(order))
    assert "docs/quickstart.md" in own


@pytest.mark.slow
def test_the_ten_commands_end_in_a_verified_release(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "sample_data" / "dicom", tmp_path / "films")
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    for arguments in commands():
        assert run([*arguments, "--quiet"]) == 0, (arguments, capsys.readouterr())
    out = capsys.readouterr().out
    assert "whole: 32 images, all marked as synthetic" in out
    record = open_audit(tmp_path / "work" / "A")[1]
    assert record.verdict == "release-supported" and record.counts.synthetic == 32
    assert record.utility is not None and {"noise", "unlike"} & set(record.utility.faults)
    assert "utility (no part of the verdict): The images" in out
    assert len(list((tmp_path / "work" / "release").rglob("*.dcm"))) == 32
    for report in ("report", "inside"):
        assert (tmp_path / "work" / report / "report.pdf").stat().st_size > 10_000
