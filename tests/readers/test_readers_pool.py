"""The pool: order, bounded memory, crashes that cost one item, workers that do not outlive their parent."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medaudit.readers.pool import Item, Result, Workers, chunked, worker_count


def run_chunks(
    function: Callable[[Item], Result],
    chunks: Iterable[list[Item]],
    workers: int,
    crashed: Callable[[Item], Result],
) -> Iterator[list[Result]]:
    with Workers(workers) as started:
        yield from started.run_chunks(function, chunks, crashed)


def square(item: int) -> int:
    return item * item


def square_or_die(item: int) -> int:
    if item in (5, 11):
        os._exit(9)  # as a codec does that steps outside its memory
    return item * item


def fail(item: int) -> int:
    raise ValueError(f"item {item}")


def crashed(item: int) -> int:
    return -item


@given(st.lists(st.integers()), st.integers(1, 7))
def test_chunks_are_the_items_in_order(items: list[int], size: int) -> None:
    chunks = list(chunked(iter(items), size))
    assert [item for chunk in chunks for item in chunk] == items
    assert all(len(chunk) == size for chunk in chunks[:-1]) and all(chunks)


def test_one_worker_is_this_process() -> None:
    found = list(run_chunks(square, chunked(range(7), 3), 1, crashed))
    assert found == [[0, 1, 4], [9, 16, 25], [36]]


def test_two_workers_keep_order_and_take_no_more_than_they_may() -> None:
    taken = 0

    def source() -> Iterator[list[int]]:
        nonlocal taken
        for chunk in chunked(range(40), 2):
            taken += 1
            yield chunk

    for number, result in enumerate(run_chunks(square, source(), 2, crashed)):
        assert result == [(2 * number) ** 2, (2 * number + 1) ** 2]
        assert taken <= number + 1 + 4  # workers + 2 under way
    assert number == 19


def test_a_crash_costs_its_own_item_only() -> None:
    found = [item for chunk in run_chunks(square_or_die, chunked(range(14), 3), 2, crashed) for item in chunk]
    assert found == [crashed(i) if i in (5, 11) else square(i) for i in range(14)]


def test_an_exception_comes_through() -> None:
    with pytest.raises(ValueError, match="item 0"):
        list(run_chunks(fail, chunked(range(4), 2), 1, crashed))


def test_how_many_workers() -> None:
    assert worker_count(3, 1, 1) == 3
    assert worker_count(0, 10**6, 10**9) == 1
    assert worker_count(None, 63, 10**12) == 1
    assert worker_count(None, 10**6, 1000) == 1
    assert worker_count(None, 10**4, 10**10) >= 1


def test_the_same_processes_serve_twice() -> None:
    with Workers(2) as workers:
        first = [pid for chunk in workers.run_chunks(whose, chunked(range(12), 1), crashed) for pid in chunk]
        second = [pid for chunk in workers.run_chunks(whose, chunked(range(12), 1), crashed) for pid in chunk]
    assert set(second) <= set(first) and os.getpid() not in first and 1 <= len(set(first)) <= 2


def whose(item: int) -> int:
    time.sleep(0.01)
    return os.getpid()


UNGUARDED = """
from medaudit.readers.pool import Workers
with Workers(2) as workers:
    print(list(workers.run_chunks(abs, [[-1, -2], [-3]], abs)))
"""


def test_a_script_without_a_main_guard_is_served_by_one_process(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(UNGUARDED)
    done = subprocess.run([sys.executable, tmp_path / "main.py"], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0 and "[[1, 2], [3]]" in done.stdout


SCRIPT = """
import time
from medaudit.readers.pool import Workers
if __name__ == "__main__":
    from test_readers_pool import slow
    with Workers(2) as workers:
        list(workers.run_chunks(slow, [[i] for i in range(50)], slow))
"""


def slow(item: int) -> int:
    Path(os.environ["MEDAUDIT_TEST_FOLDER"], str(os.getpid())).touch()
    time.sleep(0.2)
    return item


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks into /proc")
def test_workers_leave_with_a_killed_parent(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(SCRIPT)
    seen = tmp_path / "seen"
    seen.mkdir()
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    environment = {**os.environ, "PYTHONPATH": path, "MEDAUDIT_TEST_FOLDER": str(seen)}
    parent = subprocess.Popen([sys.executable, tmp_path / "main.py"], env=environment)
    assert _within(60, lambda: len(list(seen.iterdir())) == 2)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    workers = [int(name.name) for name in seen.iterdir()]
    assert len(workers) == 2
    assert _within(20, lambda: not any(_running(pid) for pid in workers))


def _running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] != "Z"
    except FileNotFoundError:
        return False


def _within(seconds: float, true: object) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if true():  # type: ignore[operator]
            return True
        time.sleep(0.05)
    return False
