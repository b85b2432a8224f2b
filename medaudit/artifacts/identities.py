"""The identity file: the originals of all pseudonyms, in one file next to the key and never in a cohort.

JSON lines, sorted, mode 0600: `{"kind": "file", "name": "f-...", "original": "ward7/a.dcm"}`; kinds are file, patient
and study (which also names its patient). An ingest gathers its lines in a hidden file next to it, chunk by chunk, and
merges them before its cohort is put in place. So every finished cohort has its identities, a line that exists already
changes nothing, and ingests that run in turn or at once lose no line.
"""

import hashlib
import heapq
import json
import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from medaudit.artifacts.store import lock_file, sync
from medaudit.errors import MedauditError, UsageProblem

SUFFIX = ".identities.jsonl"
KINDS = ("file", "patient", "study")
_KEYED_FILE = re.compile(r"f-[0-9a-f]{16}")
_LOCK_POLL_S = 0.05


def identities_path(key: Path) -> Path:
    """The identity file of a key: `medaudit.key` → `medaudit.identities.jsonl` in the same folder."""
    return key.with_name(key.name.removesuffix(".key") + SUFFIX)


def is_keyed_file(name: str) -> bool:
    """Whether a row's `file` is a keyed name, and not the source's own as older cohorts hold it."""
    return _KEYED_FILE.fullmatch(name) is not None


def identity_line(kind: str, name: str, original: str, **more: str) -> bytes:
    """One line of the file, UTF-8. The texts must be valid Unicode."""
    line = json.dumps({"kind": kind, "name": name, "original": original, **more}, ensure_ascii=False)
    return line.encode() + b"\n"


def read_identities(path: Path) -> Iterator[tuple[str, str, str]]:
    """(kind, name, original) of each line. Raises UsageProblem for what is no identity file."""
    try:
        for line in _lines(path):
            one = json.loads(line)
            found = one["kind"], one["name"], one["original"]
            if found[0] not in KINDS or not all(isinstance(text, str) for text in found):
                raise ValueError
            yield found
    except (OSError, ValueError, KeyError, TypeError):
        raise UsageProblem(
            f"{path} is no identity file; give the {SUFFIX[1:]} file that `ingest` wrote next to the key"
        ) from None


class Identities:
    """The lines of one ingest until its cohort is put in place; use it as a context manager inside the draft's.

    A killed or interrupted ingest leaves its lines for the next call; an error that discards the draft removes them.
    """

    def __init__(self, path: Path, out: Path) -> None:
        """`path` is the identity file, `out` the cohort that is being made."""
        self.path = Path(os.path.realpath(path))  # a link stays a link
        self._gathered = _gathered_at(self.path, out)
        self._known: set[bytes] = set()

    def __enter__(self) -> "Identities":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or (isinstance(error, MedauditError) and not error.keeps_draft):
            self._gathered.unlink(missing_ok=True)

    def begin(self, *, resumed: bool) -> bool:
        """Go on with the lines of a killed call, or with none. Returns False where that call's lines are lost.

        Raises UsageProblem when the folder takes no file.
        """
        kept = resumed and self._gathered.is_file()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.path.exists() and not self.path.is_file():
                raise IsADirectoryError
            descriptor = os.open(self._gathered, os.O_RDWR | os.O_CREAT, 0o600)
        except (PermissionError, NotADirectoryError, IsADirectoryError, FileExistsError):
            raise UsageProblem(
                f"{self.path} cannot be written; it keeps the originals of the pseudonyms: give --key in a folder that "
                "takes files"
            ) from None
        with os.fdopen(descriptor, "r+b") as stream:
            whole = 0
            for line in stream if kept else ():
                if line.endswith(b"\n"):
                    whole += len(line)
                    self._known.add(line)
            stream.truncate(whole)  # a torn last line is of a chunk that was not kept
        return kept or not resumed

    def add(self, lines: Iterable[bytes]) -> None:
        """Keep the lines of a chunk; on the disk before it returns, and so before the chunk's rows are."""
        new = [line for line in dict.fromkeys(lines) if line not in self._known]
        if not new:
            return
        with self._gathered.open("ab") as stream:
            stream.write(b"".join(new))
            stream.flush()
            os.fsync(stream.fileno())
        self._known.update(new)

    def merge(self, more: Iterable[bytes] = ()) -> None:
        """Put everything gathered, and `more`, into the identity file. It is replaced as a whole and loses no line."""
        new = sorted({*self._known, *more})
        temporary = self.path.with_name(f".{self.path.name}.tmp")
        with _alone(self.path.with_name(f".{self.path.name}.lock")):
            try:
                descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
                with os.fdopen(descriptor, "wb") as stream:
                    before = b""
                    for line in heapq.merge(_lines(self.path), new):
                        if line != before:
                            stream.write(line)
                        before = line
                    stream.flush()
                    os.fsync(stream.fileno())
                temporary.replace(self.path)
                sync(self.path.parent)  # before the cohort is put in place
            except BaseException:  # a full disk: the file of before is kept
                temporary.unlink(missing_ok=True)
                raise


def drop_gathered(path: Path, out: Path) -> None:
    """Remove what a kill between the end of an ingest and the end of its process left next to the identity file."""
    _gathered_at(Path(os.path.realpath(path)), out).unlink(missing_ok=True)


def _gathered_at(path: Path, out: Path) -> Path:
    place = hashlib.sha256(os.fsencode(out.absolute())).hexdigest()[:12]
    return path.with_name(f".{path.name}.{place}")


def _lines(path: Path) -> Iterator[bytes]:
    """Lines of the file as they are, each with its end; none where there is no file."""
    if not path.exists():
        return
    with path.open("rb") as stream:
        for line in stream:
            if line.strip():
                yield line if line.endswith(b"\n") else line + b"\n"


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the lock of a file; wait while another process holds it, as merging takes seconds."""
    while (lock := lock_file(path)) is None:
        time.sleep(_LOCK_POLL_S)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(lock)
