"""The ledger of a site: what was audited, reviewed, released and withdrawn, in one SQLite file that only grows.

Each row carries the hash of the row before it, so an edited row is found, and so is a row taken out of the middle.
Rows cut off at the end leave a whole chain: only the head hash that the site kept elsewhere tells (`check`).
Triggers refuse UPDATE, DELETE and REPLACE. WAL, one transaction a row: a killed writer leaves the row or nothing.

The table `people` names the patients of each training and held-out cohort by keyed pseudonym, because a withdrawal
has to find them; each cohort's row in the chain holds the hash of its list. The file stays inside (mode 0600).
"""

import errno
import hashlib
import json
import os
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, TypeVar

from medaudit.artifacts.store import canonical
from medaudit.errors import LedgerBroken, LedgerTooNew, LedgerUnreadable, StorageFull, UsageProblem

SCHEMA = "medaudit.ledger/1"
VERSION = 1
Kind = Literal["opened", "cohort", "budget", "audit", "extract", "review", "release", "withdrawal"]
_APPLICATION = 0x6D656461  # "meda", the file's application_id
_BEFORE_THE_FIRST = "0" * 64
_WAIT_S = 60.0  # for other writers
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_NO_ENTRY = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH)

# REPLACE deletes without its DELETE trigger, hence the guard of INSERT.
_TABLES = {
    "events": "CREATE TABLE events (number INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, subject TEXT NOT "
    "NULL, body TEXT NOT NULL, before TEXT NOT NULL, hash TEXT NOT NULL, UNIQUE (kind, subject))",
    "people": "CREATE TABLE people (cohort TEXT NOT NULL, patient TEXT NOT NULL, PRIMARY KEY (cohort, patient)) "
    "WITHOUT ROWID",
}
_SAME = {
    "events": "number = NEW.number OR (kind = NEW.kind AND subject = NEW.subject)",
    "people": "cohort = NEW.cohort AND patient = NEW.patient",
}
_GUARDS = {
    f"{table}_{word}": f"CREATE TRIGGER {table}_{word} BEFORE {verb} ON {table} {when}"
    "BEGIN SELECT RAISE(ABORT, 'the ledger only grows'); END"
    for table, same in _SAME.items()
    for word, verb, when in (
        ("kept", "DELETE", ""),
        ("fixed", "UPDATE", ""),
        ("once", "INSERT", f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {same}) "),
    )
}

T = TypeVar("T")


@dataclass(frozen=True)
class Event:
    """One row: what was done (`kind`), the id it is about (`subject`), its facts, and its place in the chain."""

    number: int
    kind: str
    subject: str
    text: str  # canonical JSON of the facts
    before: str
    hash: str

    @property
    def body(self) -> dict[str, Any]:
        """The facts."""
        return json.loads(self.text)

    def expected_hash(self) -> str:
        """SHA-256 over the canonical JSON of the row and the hash of the row before."""
        row = {"number": self.number, "kind": self.kind, "subject": self.subject, "body": self.text}
        return hashlib.sha256(canonical({**row, "before": self.before}).encode()).hexdigest()


class Ledger:
    """An open ledger; use it as a context manager.

    `write` makes the file when it is absent. Raises LedgerUnreadable for another file, LedgerTooNew for a later
    version, UsageProblem for one that others can read.
    """

    def __init__(self, path: Path, *, write: bool) -> None:
        self.path = path
        try:
            self._check_mode(write)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise StorageFull(
                    f"the disk is full, so {path} cannot be made; free some space and repeat"
                ) from None
            raise LedgerUnreadable(
                f"{path} cannot be {'written' if write else 'read'} there; look at its folder, or give another --ledger"
            ) from None
        with self._named():
            self._connection = self._opened(write)
            try:
                self._prepare(write)
            except BaseException:
                self._connection.close()
                raise

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def append(
        self,
        kind: Kind,
        subject: str,
        body: Mapping[str, Any] | Callable[[], Mapping[str, Any]],
        people: tuple[str, Iterable[str]] | None = None,
    ) -> Event:
        """Add a row, or return the one that stands for this kind and subject; nothing is recorded twice.

        A callable `body` is asked while no other process can write. `people`: a cohort's id and its pseudonyms.
        """

        def add() -> Event:
            last = self._last()
            found = self._rows("WHERE kind = ? AND subject = ?", kind, subject)
            if found:
                return found[0]
            facts = canonical(dict(body() if callable(body) else body))
            unsigned = Event(last.number + 1, kind, subject, facts, last.hash, "")
            event = Event(*self._insert(unsigned, unsigned.expected_hash()))
            if people is not None:
                cohort, names = people
                pairs = ((cohort, name) for name in sorted(set(names)))
                self._connection.executemany("INSERT INTO people VALUES (?, ?)", pairs)
            return event

        with self._named():
            return self._alone(add)

    def events(self) -> list[Event]:
        """Every row, oldest first, the chain checked. Raises LedgerBroken naming the first bad row."""
        with self._named():
            rows = self._rows("ORDER BY number")
            ever = self._ask("SELECT seq FROM sqlite_sequence WHERE name = 'events'")
        before = _BEFORE_THE_FIRST
        for place, event in enumerate(rows, start=1):
            if event.number != place:
                raise self._broken(f"row {place} was removed")
            if event.before != before:
                raise self._broken(f"row {place} does not continue row {place - 1}: one of them was changed")
            if event.hash != event.expected_hash():
                raise self._broken(f"row {place} was changed")
            before = event.hash
        if not rows:
            raise self._broken("row 1 was removed")
        if not ever or ever[0][0] != len(rows):
            raise self._broken(f"row {len(rows) + 1} was removed, and with it the end of the chain")
        return rows

    def people(self, cohort: str) -> frozenset[str]:
        """Pseudonyms of a cohort's patients."""
        with self._named():
            return frozenset(
                row[0] for row in self._ask("SELECT patient FROM people WHERE cohort = ?", cohort)
            )

    def cohorts_of(self, patient: str) -> frozenset[str]:
        """Ids of the cohorts that hold a patient."""
        with self._named():
            return frozenset(
                row[0] for row in self._ask("SELECT cohort FROM people WHERE patient = ?", patient)
            )

    def check(self, expect_head: str | None = None) -> list[Event]:
        """Everything: guards, chain, lists of patients, and that the head the site kept is in the chain.

        Raises LedgerBroken with the first thing that is wrong, else returns the rows.
        """
        rows = self.events()
        with self._named():
            kept = dict(self._ask("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))
            listed = {row[0] for row in self._ask("SELECT DISTINCT cohort FROM people")}
        if any(kept.get(name) != text for name, text in {**_TABLES, **_GUARDS}.items()):
            raise self._broken("its guards against change were removed or altered")
        for event in (event for event in rows if event.kind == "cohort"):
            listed.discard(event.subject)
            if people_sha256(self.people(event.subject)) != event.body["patients_sha256"]:
                raise self._broken(f"the patients of row {event.number} were changed")
        if listed:
            raise self._broken("it lists patients of a cohort that no row names")
        if expect_head is not None and expect_head not in {event.hash for event in rows}:
            raise self._broken(
                "the head that was kept is not in its chain: rows were removed from the end or written anew"
            )
        return rows

    # --- the file ---

    def _check_mode(self, write: bool) -> None:
        if self.path.is_dir():
            raise LedgerUnreadable(f"{self.path} is a folder; a ledger is one file")
        if not self.path.exists():
            if not write:
                raise LedgerUnreadable(
                    f"{self.path} does not exist; give the ledger's file as --ledger; "
                    "medaudit audit --ledger FILE makes it"
                )
            if not self.path.parent.exists():  # a path that was mistyped must not begin a second ledger
                raise LedgerUnreadable(
                    f"{self.path.parent} does not exist; make the folder first, or give the site's ledger as --ledger"
                )
            with suppress(FileExistsError):  # another process was first
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        mode = self.path.stat().st_mode
        if mode & 0o077:
            raise UsageProblem(f"{self.path} can be read by others; run chmod 600 on it")
        if write and not (mode & 0o200 and os.access(self.path, os.W_OK)):
            raise LedgerUnreadable(f"{self.path} is read-only; nothing can be recorded in it")

    def _opened(self, write: bool) -> sqlite3.Connection:
        place = self.path.resolve().as_uri()
        # With no write-ahead log beside it a file is whole in itself and needs no lock to be read: a copy on a
        # read-only disk can be checked. Elsewhere a reader may write too, or it could not clear the log away.
        logged = self.path.with_name(self.path.name + "-wal").exists()
        mode = "rw" if write or logged or os.access(self.path.parent, os.W_OK) else "ro&immutable=1"
        connection = sqlite3.connect(f"{place}?mode={mode}", uri=True, timeout=_WAIT_S, isolation_level=None)
        connection.execute("PRAGMA synchronous = FULL")
        if not write:
            connection.execute("PRAGMA query_only = 1")
        return connection

    def _prepare(self, write: bool) -> None:
        """Make the tables of a new file; refuse what is no ledger or a later one."""
        application, version, tables = _patiently(self._header)
        if application == _APPLICATION and version > VERSION:
            raise LedgerTooNew(
                f"{self.path} is a ledger of version {version}; this medaudit knows up to {VERSION}: use the newer one"
            )
        if (application, version) == (_APPLICATION, VERSION):
            return
        if application or version or tables:
            raise LedgerUnreadable(f"{self.path} is not a ledger of medaudit's; give another --ledger")
        if not write:
            raise LedgerUnreadable(f"{self.path} is empty; nothing was recorded in it yet")
        _patiently(lambda: self._ask("PRAGMA journal_mode = WAL"))
        self._alone(self._begin)

    def _header(self) -> tuple[int, int, int]:
        """Application, version and number of tables, in one view: another process may be making the file just now."""
        self._connection.execute("BEGIN")
        try:
            tables = self._ask("SELECT count(*) FROM sqlite_master")[0][0]
            application, version = (
                self._ask(f"PRAGMA {name}")[0][0] for name in ("application_id", "user_version")
            )
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        return application, version, tables

    def _begin(self) -> None:
        if self._ask("PRAGMA user_version")[0][0]:  # another process was first
            return
        for text in {**_TABLES, **_GUARDS}.values():
            self._connection.execute(text)
        first = Event(
            1, "opened", secrets.token_hex(16), canonical({"schema": SCHEMA}), _BEFORE_THE_FIRST, ""
        )
        self._insert(first, first.expected_hash())
        self._connection.execute(f"PRAGMA application_id = {_APPLICATION}")
        self._connection.execute(f"PRAGMA user_version = {VERSION}")

    def _alone(self, action: Callable[[], T]) -> T:
        """Run `action` in one transaction that no other writer can enter."""
        _patiently(lambda: self._connection.execute("BEGIN IMMEDIATE"))
        try:
            result = action()
            _patiently(lambda: self._connection.execute("COMMIT"))
            return result
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def _insert(self, event: Event, digest: str) -> tuple[int, str, str, str, str, str]:
        row = (event.number, event.kind, event.subject, event.text, event.before, digest)
        self._connection.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)", row)
        return row

    def _last(self) -> Event:
        """The head, checked: nothing is built on a row that was changed."""
        rows = self._rows("ORDER BY number DESC LIMIT 1")
        if not rows or rows[0].hash != rows[0].expected_hash():
            raise self._broken(f"row {rows[0].number if rows else 1} was changed")
        return rows[0]

    def _rows(self, which: str, *given: str) -> list[Event]:
        return [
            Event(*row)
            for row in self._ask(
                f"SELECT number, kind, subject, body, before, hash FROM events {which}", *given
            )
        ]

    def _ask(self, text: str, *given: str) -> list[Any]:
        return self._connection.execute(text, given).fetchall()

    def _broken(self, what: str) -> LedgerBroken:
        return LedgerBroken(f"{self.path}: {what}; restore the file from a copy whose head is known")

    @contextmanager
    def _named(self) -> Iterator[None]:
        """SQLite's errors by medaudit's names."""
        try:
            yield
        except sqlite3.Error as error:
            # the primary code is the lowest byte of an extended one
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
            if code == sqlite3.SQLITE_FULL:
                raise StorageFull(
                    f"the disk is full while writing {self.path}; nothing was recorded, free some space and repeat"
                ) from None
            if code == sqlite3.SQLITE_NOTADB:
                raise LedgerUnreadable(
                    f"{self.path} is not a ledger of medaudit's; give another --ledger"
                ) from None
            if code in _NO_ENTRY:
                raise LedgerUnreadable(
                    f"{self.path} may not be read or written; look at its permissions"
                ) from None
            if code in _BUSY:
                raise LedgerUnreadable(
                    f"{self.path} is held by another process; wait and repeat the command"
                ) from None
            raise self._broken("the file is damaged or a table of it is missing") from None


def people_sha256(names: Iterable[str]) -> str:
    """SHA-256 over a list of pseudonyms, whatever their order."""
    return hashlib.sha256("\n".join(sorted(set(names))).encode()).hexdigest()


def _patiently(action: Callable[[], T]) -> T:
    """Try again while other writers hold the file: SQLite's own wait does not cover every lock."""
    until = time.monotonic() + _WAIT_S
    while True:
        try:
            return action()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in _BUSY or time.monotonic() > until:
                raise
            time.sleep(0.01)
