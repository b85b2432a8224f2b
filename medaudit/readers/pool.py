"""The same function over chunks of items on several processes: results in order, memory bounded, crashes named.

At most `workers + 2` chunks are under way, so memory does not grow with their number. A codec that takes its
process down costs the one file it was reading, which is told by reading that chunk again file by file.
"""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_SERIAL_BELOW = 64  # items
_SERIAL_BYTES = 48 << 20


def run_chunks(
    function: Callable[[Item], Result],
    chunks: Iterable[list[Item]],
    workers: int,
    crashed: Callable[[Item], Result],
) -> Iterator[list[Result]]:
    """Yield `[function(item) for item in chunk]` for each chunk, in order, on `workers` processes (1: this one).

    `crashed(item)` stands in for an item that ended the process reading it. `function` and the items must
    travel between processes; exceptions of `function` are raised here.
    """
    pool = _started(workers) if workers > 1 else None
    if pool is None:
        for chunk in chunks:
            yield [function(item) for item in chunk]
        return
    source, waiting = iter(chunks), deque[tuple[list[Item], Future[list[Result]]]]()
    try:
        while True:
            while len(waiting) < workers + 2 and (chunk := next(source, [])):
                waiting.append((chunk, _submit(pool, function, chunk)))
            if not waiting:
                return
            chunk, future = waiting.popleft()
            try:
                results = future.result()
            except BrokenProcessPool:
                pool.shutdown(wait=False, cancel_futures=True)
                results = _one_by_one(function, chunk, crashed)
                pool = _pool(workers)
                waiting = deque((rest, _submit(pool, function, rest)) for rest, _ in waiting)
            yield results
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def chunked(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Lists of `size` items, the last one shorter."""
    chunk: list[Item] = []
    for item in items:
        chunk.append(item)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def worker_count(workers: int | None, items: int, size_bytes: int) -> int:
    """Processes to use: as asked for, else one per core this process may use; one where little is to be read.

    Starting processes takes two or three seconds, in which one process reads this much.
    """
    if workers is not None:
        return max(1, workers)
    if items < _SERIAL_BELOW or size_bytes < _SERIAL_BYTES:
        return 1
    affinity = getattr(os, "sched_getaffinity", None)  # absent on macOS
    return len(affinity(0)) if affinity else (os.cpu_count() or 1)


def _one_by_one(
    function: Callable[[Item], Result], chunk: list[Item], crashed: Callable[[Item], Result]
) -> list[Result]:
    results: list[Result] = []
    pool = _pool(1)
    try:
        for item in chunk:
            try:
                results += _submit(pool, function, [item]).result()
            except BrokenProcessPool:
                pool.shutdown(wait=False, cancel_futures=True)
                results.append(crashed(item))
                pool = _pool(1)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return results


def _started(workers: int) -> ProcessPoolExecutor | None:
    """A pool that is known to work; None where processes cannot be started (a script without a main guard)."""
    pool = _pool(workers)
    try:
        pool.submit(int).result()
    except (BrokenProcessPool, OSError):
        pool.shutdown(wait=False, cancel_futures=True)
        return None
    return pool


def _pool(workers: int) -> ProcessPoolExecutor:
    # spawn: a fork of a process that runs threads (torch, arrow) may lock up
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_prepare)


def _submit(
    pool: ProcessPoolExecutor, function: Callable[[Item], Result], chunk: list[Item]
) -> "Future[list[Result]]":
    try:
        return pool.submit(_run, function, chunk)
    except BrokenProcessPool as error:
        failed: Future[list[Result]] = Future()
        failed.set_exception(error)
        return failed


def _run(function: Callable[[Item], Result], chunk: list[Item]) -> list[Result]:
    return [function(item) for item in chunk]


def _prepare() -> None:
    """Set up a worker: Ctrl-C belongs to the parent, codecs keep quiet, and nobody outlives the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 2)  # C codecs write to stderr what is already counted as a refusal
    os.close(quiet)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_leave_with, args=(parent,), daemon=True).start()


def _leave_with(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)
