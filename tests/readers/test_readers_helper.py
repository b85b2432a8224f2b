"""The helper process: what crashes costs its own call only, and the caller's own script is not run again."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from medaudit.readers import helper, refusals
from medaudit.readers.helper import guarded
from medaudit.readers.pool import Workers
from medaudit.readers.refusals import Refused


def process_of(item: int) -> tuple[int, int]:
    return item, os.getpid()


def die(item: int) -> int:
    print("a codec's last words", flush=True)
    os.abort()


def sleep(seconds: float) -> float:
    import time

    time.sleep(seconds)
    return seconds


def refuse(item: int) -> int:
    raise Refused(refusals.CONSTANT)


def inner(item: int) -> tuple[int, int]:
    return guarded(process_of, item, crashed)


def crashed() -> Exception:
    return Refused(refusals.DECODER_CRASHED)


def test_calls_go_to_one_process_apart() -> None:
    first, second = guarded(process_of, 1, crashed), guarded(process_of, 2, crashed)
    assert (first[0], second[0]) == (1, 2)
    assert first[1] == second[1] != os.getpid()


def test_a_crash_is_told_and_the_next_call_is_answered() -> None:
    before = guarded(process_of, 1, crashed)[1]
    with pytest.raises(Refused, match=refusals.DECODER_CRASHED):
        guarded(die, 1, crashed)
    assert guarded(process_of, 2, crashed)[1] not in (before, os.getpid())


def test_what_never_comes_back_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    guarded(process_of, 1, crashed)
    monkeypatch.setattr(helper, "_LONGEST_S", 0.2)
    with pytest.raises(Refused, match=refusals.DECODER_CRASHED):
        guarded(sleep, 30.0, crashed)


def test_exceptions_come_through() -> None:
    with pytest.raises(Refused, match=refusals.CONSTANT):
        guarded(refuse, 1, crashed)


def test_a_worker_of_a_pool_needs_no_helper() -> None:
    with Workers(2) as workers:
        ((seen,),) = workers.run_chunks(inner, iter([[3]]), lambda item: (item, 0))
        ((own,),) = workers.run_chunks(process_of, iter([[3]]), lambda item: (item, 0))
    assert seen[0] == own[0] == 3 and os.getpid() not in (seen[1], own[1])


SCRIPT = """
import sys
from pathlib import Path
with open("runs", "a") as stream:
    stream.write("x")
from medaudit.readers.helper import guarded
print(guarded(int, "7", ValueError))
"""


def test_a_script_without_a_main_guard_is_run_once_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "script.py"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
        timeout=60,
    )
    assert (done.stdout, done.stderr) == ("7\n", "")
    assert (tmp_path / "runs").read_text() == "x"
