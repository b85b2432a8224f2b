"""The site's ledger as the stages write in it: who does what, and the row that stands for it."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from medaudit.artifacts.ledger import Kind, Ledger
from medaudit.artifacts.store import lock_file
from medaudit.errors import CohortMismatch, LedgerUnreadable, UsageProblem
from medaudit.protocol.reserving import checked_note
from medaudit.stages.outcome import Outcome


@dataclass(frozen=True)
class Book:
    """The ledger's file, who records, and the date as given (YYYYMMDD or empty)."""

    path: Path
    by: str = ""
    date: str = ""

    def note(self) -> dict[str, str]:
        """Who and when. Raises UsageProblem for what no line can show."""
        return {"by": checked_note("--by", self.by), "date": checked_note("--date", self.date)}

    def opened(self) -> dict[str, str]:
        """The same, once the ledger is found whole: refused now rather than after hours. Raises LedgerBroken."""
        note = self.note()
        with Ledger(self.path, write=True) as ledger:
            ledger.check()
        return note

    @contextmanager
    def held(self) -> Iterator[None]:
        """While no other release under this ledger runs: two at once would not know of each other.

        Raises UsageProblem while one does, CohortMismatch for a ledger that is not there, LedgerUnreadable.
        """
        try:
            if not self.path.exists():
                raise CohortMismatch(
                    f"{self.path} does not exist: this is no audit that it knows; give the audit's ledger as --ledger"
                )
            with Ledger(self.path, write=True):  # no lock beside what is no ledger
                pass
            lock = lock_file(self.path.with_name(f".{self.path.name}.release"))
        except OSError:
            raise LedgerUnreadable(
                f"{self.path} cannot be reached, or its folder not written; look at the folder's permissions"
            ) from None
        if lock is None:
            raise UsageProblem(f"another release under {self.path} is running; wait for it")
        try:
            yield
        finally:
            os.close(lock)


def write_down(outcome: Outcome, book: Book, kind: Kind, subject: str, facts: Mapping[str, Any]) -> Outcome:
    """The outcome with the row that now stands for it, and the head to keep."""
    with Ledger(book.path, write=True) as ledger:
        event = ledger.append(kind, subject, facts)
        head = ledger.events()[-1].hash
    said = f"recorded in {book.path}, row {event.number}; head {head}"
    lines = [*(line for line in outcome.lines if not line.startswith(f"recorded in {book.path}, row")), said]
    data = {**outcome.data, "recorded": {"row": event.number, "kind": kind, "head": head}}
    return replace(outcome, lines=tuple(lines), data=data)
