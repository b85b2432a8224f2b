"""The site's ledger as the stages write in it: who does what, and the row that stands for it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from medaudit.artifacts.ledger import Kind, Ledger
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


def write_down(outcome: Outcome, book: Book, kind: Kind, subject: str, facts: Mapping[str, Any]) -> Outcome:
    """The outcome with the row that now stands for it, and the head to keep."""
    with Ledger(book.path, write=True) as ledger:
        event = ledger.append(kind, subject, facts)
        head = ledger.events()[-1].hash
    said = f"recorded in {book.path}, row {event.number}; head {head}"
    lines = [*(line for line in outcome.lines if not line.startswith(f"recorded in {book.path}, row")), said]
    data = {**outcome.data, "recorded": {"row": event.number, "kind": kind, "head": head}}
    return replace(outcome, lines=tuple(lines), data=data)
