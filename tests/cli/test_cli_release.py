"""`release` and `verify` through the front door where the place is unusual: a full disk, a kill, a folder that stands,
names with spaces, quotes and letters that run from right to left."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from medaudit.artifacts.store import open_artifact
from medaudit.cli.app import run

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "stages"))
from release_parts import all_bytes, make_audit, make_cohort

NAMES = [
    "a name with spaces",
    'it\'s "quoted"',
    "עברית",
    "\u202eagent.exe",
    "-rf",
    "ü" * 80,
    "[bold]x",
]


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """S and the audit A that clears it."""
    synthetic = make_cohort(tmp_path / "S")
    make_audit(tmp_path / "A", synthetic.id)
    return tmp_path


def asked(work: Path, out: Path, *more: str) -> list[str]:
    given = ["--synthetic", str(work / "S"), "--audit", str(work / "A"), f"--out={out}", "--text", "off"]
    return ["release", *given, *more]


@pytest.mark.parametrize("name", NAMES)
def test_names_that_are_hard_to_print(work: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    out = work / name
    assert run(asked(work, out)) == 0
    assert run(["verify", "--", str(out)]) == 0
    assert all_bytes(out).keys() >= {"README.txt", "manifest.json", "images/000001.dcm"}
    assert not [path for path in work.iterdir() if path.name.startswith(".")]
    (out / "images" / "000001.dcm").write_bytes(b"")
    capsys.readouterr()
    assert run(["verify", "-q", "--", str(out)]) == 1
    assert_one_line(capsys, "ReleaseBroken")
    assert run([*asked(work, out, "--format", "png"), "-q"]) != 0
    assert_one_line(capsys, "ArtifactBroken")


def assert_one_line(capsys: pytest.CaptureFixture[str], error: str) -> None:
    said = capsys.readouterr().err
    assert said.startswith(f"{error}: ") and said.count("\n") == 1 and "Traceback" not in said


@pytest.mark.parametrize("there", ["another release", "a folder of somebody", "a file", "a link", "a cohort"])
def test_what_stands_at_the_place_stays(work: Path, there: str, capsys: pytest.CaptureFixture[str]) -> None:
    out = work / "D"
    if there == "another release":
        assert run(asked(work, out, "--format", "npz")) == 0
    elif there == "a folder of somebody":
        out.mkdir()
        (out / "thesis.txt").write_text("the only copy")
    elif there == "a file":
        out.write_text("the only copy")
    elif there == "a link":
        out.symlink_to(work / "nowhere")
    else:
        out = work / "S"
    before = all_bytes(work)
    capsys.readouterr()
    assert run([*asked(work, out), "-q"]) == 2
    assert_one_line(capsys, "OutputExists")
    assert all_bytes(work) == before and not (work / "nowhere").exists()


def test_a_full_disk_and_room_made_later(work: Path, tmp_path: Path) -> None:
    mount = tmp_path / "tiny"
    mount.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=32k", "tmpfs", str(mount)]
    if subprocess.run(mounting, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small file system cannot be mounted here")
    try:
        command = [sys.executable, "-m", "medaudit.cli.app", *asked(work, mount / "D"), "-q"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert done.stderr.startswith("StorageFull: ") and done.stderr.count("\n") == 1
        assert not (mount / "D").exists()
        subprocess.run(["mount", "-o", "remount,size=8m", str(mount)], check=True)
        assert run(asked(work, mount / "D")) == run(asked(work, work / "D")) == 0
        assert all_bytes(mount / "D") == all_bytes(work / "D")
        assert [path.name for path in mount.iterdir()] == ["D"]
    finally:
        subprocess.run(["umount", str(mount)], check=True)


def test_killed_at_many_moments(work: Path) -> None:
    """The folder is whole or not there, and the same call ends in the same bytes."""
    assert run(asked(work, work / "undisturbed")) == 0
    killed = 0
    for turn in range(8):
        child = os.fork()
        if child == 0:
            run(asked(work, work / "D"))
            os._exit(0)
        begun = time.monotonic()
        while not (work / ".D.partial" / "images").exists() and time.monotonic() - begun < 20:
            time.sleep(0.0005)
        time.sleep(0.004 * turn)
        os.kill(child, signal.SIGKILL)
        killed += os.WIFSIGNALED(os.waitpid(child, 0)[1])
        if (work / "D").exists():
            assert open_artifact(work / "D", "release").manifest["images"] == 6
            break
    assert killed >= 1
    assert run(asked(work, work / "D")) == 0
    assert all_bytes(work / "D") == all_bytes(work / "undisturbed")
    assert not [path for path in work.iterdir() if path.name.startswith(".")]
