"""What the system refuses and what a name may hold, through the front door: one printable line, and no defect."""

import errno
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from film_folders import films

from medaudit.cli import app as front
from medaudit.cli.refused import one_line, refused


def call(*arguments: str | bytes, cwd: Path, **more: object) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "medaudit.cli.app", *map(os.fsencode, arguments)]
    return subprocess.run(command, capture_output=True, cwd=cwd, check=False, **more)  # type: ignore[call-overload, no-any-return]


@pytest.mark.parametrize(
    ("number", "name", "code"),
    [
        (errno.EACCES, "UsageProblem", 2),
        (errno.EROFS, "UsageProblem", 2),
        (errno.ENAMETOOLONG, "UsageProblem", 2),
        (errno.ENOSPC, "StorageFull", 1),
        (errno.EFBIG, "StorageFull", 1),
        (errno.EIO, "SystemRefused", 1),
        (errno.EMFILE, "SystemRefused", 1),
        (errno.ENOENT, "Defect", 1),
    ],
)
def test_each_refusal_of_the_system_has_a_name_and_tells_no_file(
    number: int, name: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), "/films/DOE^JANE")

    monkeypatch.setattr("medaudit.stages.verify.run", fail)
    assert front.run(["verify", "D", "--json"]) == code
    out, err = capsys.readouterr()
    assert err.startswith(f"{name}: ") and err.count("\n") == 1 and "DOE" not in out + err
    assert json.loads(out)["error"] == name


def test_an_error_without_a_number_is_not_explained() -> None:
    assert refused(OSError("something")) is None


@pytest.mark.parametrize(
    "arguments",
    [
        ["verify", "x" * 300],
        ["inspect", "x" * 5000],
        ["ingest", "films", "--out", "x" * 300],
        ["ingest", "films", "--out", "films/000.png/C"],
        ["ingest", "films", "--out", "/proc/C"],
        ["ingest", "films", "--out", "C", "--key", "films"],
        ["ingest", "films", "--out", "C", "--key", "films/000.png/key"],
        ["ledger", "list", "--ledger", "x" * 300],
        ["keygen", "--out", "x" * 300],
        ["report", "x" * 300, "--out", "R"],
    ],
)
def test_a_path_that_cannot_be_used_is_a_wrong_call(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    films(tmp_path / "films", 3)
    assert front.run(arguments) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "Defect" not in err
    assert {path.name for path in tmp_path.iterdir()} <= {"films", "medaudit.key"}


def test_a_name_in_another_encoding_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    films(tmp_path / "films", 3)
    for arguments in (("ingest", "films", "--out", b"C\xff"), ("verify", b"D\xff"), (b"\xff",)):
        done = call(*arguments, "--json", cwd=tmp_path)
        assert done.returncode == 2
        body = json.loads(done.stdout.decode())  # strict UTF-8
        assert body["error"] == "UsageProblem" and "UTF-8" in body["message"]
        assert done.stderr.count(b"\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["films"]


def test_a_name_moves_no_cursor_and_turns_no_line(tmp_path: Path) -> None:
    for name in ("a\nb", "\x1b[2J\x1b[31mred", "cod\u202efdp", "tab\tbell\a"):
        done = call("verify", name, "--json", cwd=tmp_path)
        said = done.stderr.decode()
        assert done.returncode == 2 and said.count("\n") == 1 and said[:-1].isprintable()
        assert json.loads(done.stdout)["message"].isprintable()
    assert one_line("שלום a\u0301 日本") == "שלום a\u0301 日本"


def test_a_result_with_a_hostile_name_is_printable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert front.run(["keygen", "--out", "keys\x1b[2J/site", "-q"]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out and "keys?[2J/site.key" in out


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_json_is_json_in_any_encoding_of_the_terminal(encoding: str, tmp_path: Path) -> None:
    done = call("verify", "שלום-é", "--json", cwd=tmp_path, env={**os.environ, "PYTHONIOENCODING": encoding})
    assert done.returncode == 2 and "שלום-é" in json.loads(done.stdout.decode("ascii"))["message"]


def test_a_file_larger_than_allowed_is_a_full_disk_and_nothing_is_half_there(tmp_path: Path) -> None:
    films(tmp_path / "films", 60, shape=(48, 48))

    def small() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))

    arguments = ("ingest", "films", "--out", "C", "-q")
    done = call(*arguments, cwd=tmp_path, preexec_fn=small)
    assert done.returncode == 1 and done.stderr.startswith(b"StorageFull: ") and done.stderr.count(b"\n") == 1
    assert not (tmp_path / "C").exists()
    assert call(*arguments, cwd=tmp_path).returncode == 0 and (tmp_path / "C").is_dir()
