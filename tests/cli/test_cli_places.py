"""Where a command shall write or read and cannot: one line that names the path as it was given."""

import errno
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from medaudit.cli.app import run
from medaudit.cli.given import refuse_unwritable
from medaudit.cli.refused import refused
from medaudit.errors import UsageProblem

PLAIN_USER = [
    "setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search",
]  # fmt: skip

# Every command that writes somewhere, with the place still to be given.
WRITING = {
    "ingest": ["ingest", "films", "--out"],
    "split": ["split", "C", "--holdout", "H", "--train"],
    "split holdout": ["split", "C", "--train", "T", "--holdout"],
    "dedup": ["dedup", "C", "--out"],
    "train": ["train", "--cohort", "C", "--config", "c.yaml", "--out"],
    "generate": ["generate", "--model", "M", "--count", "3", "--out"],
    "audit": ["audit", "--train", "T", "--holdout", "H", "--synthetic", "S", "--out"],
    "audit encoder": [
        "audit", "--train", "T", "--holdout", "H", "--synthetic", "S", "--out", "A", "--copy-network", "train",
        "--keep-encoder",
    ],
    "extract": ["extract", "--model", "M", "--train", "T", "--holdout", "H", "--out"],
    "report": ["report", "A", "--out"],
    "release": ["release", "--synthetic", "S", "--audit", "A", "--out"],
    "review": ["review", "A", "--train", "T", "--synthetic", "S", "--out"],
    "keygen": ["keygen", "--out"],
    "ledger export": ["ledger", "export", "--ledger", "L", "--out"],
    "demo": ["demo", "--out"],
}  # fmt: skip


@pytest.mark.parametrize("command", sorted(WRITING))
def test_a_place_that_cannot_be_written_is_named(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes").write_text("a file")
    arguments = WRITING[command]
    for place, said in (("notes/X", "notes is a file"), ("y" * 300, "the name is too long")):
        assert run([*arguments, place]) == 2
        err = capsys.readouterr().err
        assert err.startswith(f"UsageProblem: {arguments[-1]} {place[:40]}") and said in err
        assert err.count("\n") == 1 and len(err) < 300
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]


@pytest.mark.parametrize("command", ["ingest", "report", "keygen", "split holdout"])
def test_a_folder_that_may_not_be_written_to_is_named(command: str, tmp_path: Path) -> None:
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        pytest.skip("setpriv is absent: root writes everywhere")
    folder = tmp_path / "archive"
    folder.mkdir()
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    call = [sys.executable, "-m", "medaudit.cli.app", *WRITING[command], "archive/new/X"]
    before = PLAIN_USER if os.geteuid() == 0 else []
    done = subprocess.run([*before, *call], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    option = WRITING[command][-1]
    said = f"UsageProblem: {option} archive/new/X cannot be written: archive may not be written to"
    assert done.stderr.startswith(said)
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]


def test_what_stands_and_what_can_be_made_pass(tmp_path: Path) -> None:
    for out in (tmp_path, tmp_path / "new", tmp_path / "a" / "b" / "c"):
        refuse_unwritable("audit", {"out": out, "train": Path("x" * 300)})
    with pytest.raises(UsageProblem):
        refuse_unwritable("split", {"out": None, "train": tmp_path / ("x" * 300)})


READING = {
    "verify --key": (["verify", "D", "--key", "x/site.pub"], "medaudit keygen"),
    "release --sign": (["release", "--synthetic", "S", "--audit", "A", "--out", "D", "--sign"], "medaudit keygen"),
    "keygen --passphrase-file": (["keygen", "--out", "k", "--passphrase-file"], "first line is the key's passphrase"),
    "ledger list": (["ledger", "list", "--ledger"], "medaudit audit --ledger"),
    "ledger pseudonym --key": (["ledger", "pseudonym", "--key"], "`ingest`"),
    "train --config": (["train", "--cohort", "C", "--out", "M", "--config"], "configs/"),
    "audit --config": (
        ["audit", "--train", "T", "--holdout", "H", "--synthetic", "S", "--out", "A", "--config"], "configs/",
    ),
    "audit --train": (
        ["audit", "--holdout", "H", "--synthetic", "S", "--out", "A", "--train"], "medaudit ingest, split",
    ),
    "report": (["report", "--out", "R"], "medaudit audit or extract"),
    "generate --model": (["generate", "--count", "2", "--out", "S", "--model"], "x/missing"),
    "review --apply": (["review", "A", "--apply"], "medaudit audit"),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(READING))
def test_a_file_that_is_missing_is_named_and_what_makes_one(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments, maker = READING[name]
    given = arguments if arguments[-1] == "x/site.pub" else [*arguments, "x/missing"]
    assert run(given) in (1, 2)
    err = capsys.readouterr().err
    assert maker in err and err.count("\n") == 1
    assert given[-1] in err or name == "review --apply"  # there the audit is missed first
    assert list(tmp_path.iterdir()) == []


def test_a_secret_key_pasted_for_a_public_one_is_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["verify", "D", "--key", "RWQAAEIy" + "A" * 204]) == 2
    err = capsys.readouterr().err
    assert "AAAA" not in err and "--key is no file" in err


def test_an_error_of_the_system_names_the_argument_and_nothing_below_it() -> None:
    error = PermissionError(errno.EACCES, "denied", "/films/ward/DOE^JANE.dcm")
    said = str(refused(error, ["ingest", "/films", "--out", "C"]))
    assert said.startswith("/films cannot be read or written") and "DOE" not in said and "ward" not in said
    assert str(refused(error, ["ingest", "/films", "--manifest=/films/ward"])).startswith(
        "/films/ward cannot"
    )
    draft = OSError(errno.ENAMETOOLONG, "long", str(Path("work/.C.partial").absolute()))
    assert str(refused(draft, ["ingest", "/films", "--out", "work/C"])).startswith("work/C cannot")
    assert str(refused(error, ["ingest", "/other"])).startswith("a file or folder given")
    full = OSError(errno.ENOSPC, "full", "/films/x")
    assert "a file at /films cannot be written" in str(refused(full, ["ingest", "/films"]))
