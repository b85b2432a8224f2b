"""A helper process for what may crash: codecs in C take their whole process down over some broken files.

A pool's workers need none, since the pool sees to their crashes. Any other process starts one when it first decodes
such a file, and keeps it: a plain interpreter that reads calls from its input and writes answers to its output, which
never runs the caller's own script a second time, as multiprocessing would.
"""

import atexit
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, BinaryIO, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_LONGEST_S = 300.0  # for one file; the largest radiographs take a few seconds
_LENGTH = 8  # bytes before each message that say how long it is
_lock = threading.Lock()
_seen_to = False
_helper: "subprocess.Popen[bytes] | None" = None


def crashes_are_seen_to() -> None:
    """Say that whoever started this process sees to its crashes, so that it needs no helper."""
    global _seen_to
    _seen_to = True


def guarded(function: Callable[[Item], Result], item: Item, crashed: Callable[[], Exception]) -> Result:
    """`function(item)`, and `crashed()` raised where it takes its process down, or never comes back.

    `function` is one of a module's, and it and the item can be pickled; its exceptions are raised here.
    """
    global _helper
    if _seen_to:
        return function(item)
    with _lock:
        if _helper is None:
            _helper = _started()
        if _helper is None:
            return function(item)
        answer = _asked(_helper, pickle.dumps((function, item)))
        if answer is None:
            _end()
            raise crashed()
    worked, result = pickle.loads(answer)
    if not worked:
        raise result
    return result  # type: ignore[no-any-return]


def _started() -> "subprocess.Popen[bytes] | None":
    """A helper that answers; None where no process can be started, and this one must do."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", "from medaudit.readers.helper import serve; serve()"]
    try:
        helper = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
        )
    except OSError:
        return None
    if _asked(helper, pickle.dumps((int, "1"))) is None:
        helper.kill()
        helper.wait()
        return None
    return helper


def _end() -> None:
    """Leave no process behind."""
    global _helper
    if _helper is not None:
        _helper.kill()
        _helper.wait()
        for stream in (_helper.stdin, _helper.stdout):
            with suppress(OSError):
                if stream is not None:
                    stream.close()
        _helper = None


def _asked(helper: "subprocess.Popen[bytes]", call: bytes) -> bytes | None:
    """The helper's answer; None when it ended or took too long."""
    assert helper.stdin is not None and helper.stdout is not None
    watch = threading.Timer(_LONGEST_S, helper.kill)
    watch.daemon = True
    watch.start()
    try:
        _send(helper.stdin, call)
        return _received(helper.stdout)
    except OSError:  # a broken pipe
        return None
    finally:
        watch.cancel()


def serve() -> None:
    """Answer calls until the input ends, which it does when the caller ends in whatever way."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C belongs to the caller
    crashes_are_seen_to()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # codecs print, and must not do so between the answers
    with suppress(OSError):
        while (call := _received(sys.stdin.buffer)) is not None:
            _send(answers, _answer(call))


def _answer(call: bytes) -> bytes:
    try:
        function, item = pickle.loads(call)
        return pickle.dumps((True, function(item)))
    except Exception as error:
        return pickle.dumps((False, error))


def _send(stream: Any, message: bytes) -> None:
    stream.write(len(message).to_bytes(_LENGTH, "little") + message)
    stream.flush()


def _received(stream: BinaryIO | Any) -> bytes | None:
    """One message; None at the end."""
    head = stream.read(_LENGTH)
    count = int.from_bytes(head, "little")
    message = stream.read(count) if len(head) == _LENGTH else b""
    return message if head and len(message) == count else None


atexit.register(_end)
