"""The same function over chunks of items on several processes: results in order, memory bounded, crashes named.

At most `workers + 2` chunks are under way, so memory does not grow with their number. A codec that takes its
process down costs the one file it was reading, which is told by reading that chunk again file by file. (Where there is
one process only, see readers/helper.)
"""

import ctypes
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from medaudit.readers import helper

Item = TypeVar("Item")
Result = TypeVar("Result")

_SERIAL_BELOW = 64  # items
_SERIAL_BYTES = 48 << 20
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h


class Workers:
    """`count` processes that begin to start at once, so that they are ready when the work is; 1 is this process.

    Use it as a context manager. Where processes cannot be started (a script without a main guard), all is done
    in this process.
    """

    def __init__(self, count: int) -> None:
        self.count = max(1, count)
        self._pool: ProcessPoolExecutor | None = None
        self._ready: list[Future[int]] = []

    def __enter__(self) -> "Workers":
        if self.count > 1:
            self._pool = _pool(self.count)
            self._ready = [self._pool.submit(int) for _ in range(self.count)]
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def run_chunks(
        self,
        function: Callable[[Item], Result],
        chunks: Iterable[list[Item]],
        crashed: Callable[[Item], Result],
    ) -> Iterator[list[Result]]:
        """Yield `[function(item) for item in chunk]` for each chunk, in order.

        `crashed(item)` stands in for an item that ended the process reading it. `function` and the items must
        travel between processes; exceptions of `function` are raised here.
        """
        if not self._started():
            for chunk in chunks:
                yield [function(item) for item in chunk]
            return
        source, waiting = iter(chunks), deque[tuple[list[Item], Future[list[Result]]]]()
        while True:
            while len(waiting) < self.count + 2 and (chunk := next(source, [])):
                waiting.append((chunk, self._submit(function, chunk)))
            if not waiting:
                return
            chunk, future = waiting.popleft()
            try:
                results = future.result()
            except BrokenProcessPool:
                results = _one_by_one(function, chunk, crashed)
                self.__exit__()
                self._pool = _pool(self.count)
                waiting = deque((rest, self._submit(function, rest)) for rest, _ in waiting)
            yield results

    def _started(self) -> bool:
        """Whether there are processes and they work; asked once."""
        try:
            while self._ready:
                self._ready.pop().result()
        except (BrokenProcessPool, OSError):
            self._ready = []
            self.__exit__()
        return self._pool is not None

    def _submit(self, function: Callable[[Item], Result], chunk: list[Item]) -> "Future[list[Result]]":
        assert self._pool is not None
        return _submit(self._pool, function, chunk)


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
    helper.crashes_are_seen_to()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 2)  # C codecs write to stderr what is already counted as a refusal
    os.close(quiet)
    _keep_memory()
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_leave_with, args=(parent,), daemon=True).start()


def _keep_memory() -> None:
    """Let the C library keep freed arrays for the next image instead of returning each to the system.

    Taking them anew costs page faults: 320,000 for 200 images of 768 x 768 against 22,000 with this, 4.6 s of CPU
    against 3.5 s, and more in wall time where two processes of one virtual machine fault at once.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # not glibc
        return
    if not mallopt(_M_MMAP_THRESHOLD, 256 << 20):
        mallopt(_M_MMAP_THRESHOLD, 32 << 20)  # the most that some versions take
    mallopt(_M_TRIM_THRESHOLD, 512 << 20)


def _leave_with(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)
