"""medaudit ledger: list, check, export, withdraw."""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from medaudit.artifacts.ledger import Event, Ledger
from medaudit.artifacts.store import disk_full_named, write_whole
from medaudit.errors import OutputExists, UsageProblem
from medaudit.protocol.history import Reach, reach_of_patient, reach_of_release
from medaudit.protocol.ledger_words import lines as lines_of
from medaudit.protocol.ledger_words import tasks
from medaudit.protocol.reserving import checked_note
from medaudit.stages.outcome import Outcome

_PSEUDONYM = re.compile(r"p-[0-9a-f]{16}")
_LEAST = 8  # characters of a release id


def show(path: Path) -> Outcome:
    """Every row, oldest first, and the head. Raises LedgerBroken at the first bad row."""
    with Ledger(path, write=False) as ledger:
        events = ledger.events()
    head = events[-1].hash
    lines = (*(said for event in events for said in lines_of(event)), f"head {head}")
    return Outcome(
        lines, {"rows": len(events), "head": head, "events": [_plain(event) for event in events]}, path
    )


def check(path: Path, expect_head: str | None = None) -> Outcome:
    """The chain, the guards, the lists of patients; with `expect_head` also that nothing was cut off the end."""
    if expect_head is not None and not re.fullmatch(r"[0-9a-f]{64}", expect_head):
        raise UsageProblem(
            "--expect-head takes the 64 hex digits that `ledger list` and `ledger check` print"
        )
    with Ledger(path, write=False) as ledger:
        events = ledger.check(expect_head)
    head = events[-1].hash
    lines = [f"{len(events):,} rows, each continues the one before; nothing was changed or taken out"]
    if expect_head is None:
        lines.append(
            "rows cut off at the end would not show: keep the head, and give it as --expect-head next time"
        )
    else:
        since = len(events) - next(event.number for event in events if event.hash == expect_head)
        lines.append(f"the head that was kept is in the chain, {since:,} rows before its end")
    return Outcome((*lines, f"head {head}"), {"rows": len(events), "head": head}, path)


def export(path: Path, out: Path) -> Outcome:
    """Every row as a line of JSON, hashes included, into `out` (mode 0600); the patients' lists stay in the ledger.

    Raises OutputExists when something else stands at `out`.
    """
    with Ledger(path, write=False) as ledger:
        events = ledger.check()
    text = "".join(json.dumps(_plain(event), sort_keys=True, ensure_ascii=False) + "\n" for event in events)
    try:
        if out.is_dir() or (out.exists() and out.read_bytes() != text.encode()):
            raise OutputExists(f"{out} exists; choose another --out or remove it")
        with disk_full_named(out):
            out.parent.mkdir(parents=True, exist_ok=True)
            write_whole(out, text.encode())
    except OSError:
        raise UsageProblem(f"{out} cannot be written there; choose another --out") from None
    head = events[-1].hash
    return Outcome(
        (f"{len(events):,} rows written to {out}", f"head {head}"), {"rows": len(events), "head": head}, out
    )


def withdraw(
    path: Path, patient: str | None, release: str | None, reason: str, date: str = "", by: str = "", *,
    by_number: bool = False,
) -> Outcome:  # fmt: skip
    """Record that a patient or a release is withdrawn, and list what must be done; once, whatever the repeats.

    `by_number`: the pseudonym was made of a number that somebody typed.
    """
    if (patient is None) == (release is None):
        raise UsageProblem("give --patient or --release, one of them")
    if not reason.strip():
        raise UsageProblem("--reason says why, in a few words and without a name")
    note = {
        "reason": checked_note("--reason", reason),
        "date": checked_note("--date", date),
        "by": checked_note("--by", by),
    }
    with Ledger(path, write=True) as ledger:
        events = ledger.check()
        if patient is not None:
            what, name = "patient", _known_patient(ledger, patient)
            reach = reach_of_patient(ledger, events, name)
        else:
            what, name = "release", _known_release(events, release or "")
            reach = reach_of_release(events, name)
        event = ledger.append("withdrawal", f"{what}:{name}", note)
        head = ledger.events()[-1].hash
    again = event.number <= len(events)
    return _withdrawn(path, event, what, name, reach, head, again, by_number)


def _withdrawn(
    path: Path, event: Event, what: str, name: str, reach: Reach, head: str, again: bool, by_number: bool
) -> Outcome:
    said = f"{what} {name} was withdrawn before" if again else f"{what} {name} is withdrawn"
    todo = tasks(what, name, reach, by_number)
    data: dict[str, Any] = {
        "row": event.number, "head": head, "what": what, "id": name, "already": again,
        "tasks": [task.removeprefix("- ") for task in todo], **reach.as_dict(),
    }  # fmt: skip
    return Outcome((f"{said}, row {event.number}; what must be done:", *todo, f"head {head}"), data, path)


def _known_patient(ledger: Ledger, patient: str) -> str:
    """A pseudonym; anything else might be a patient's real number, and stays out of the ledger and the message."""
    if not _PSEUDONYM.fullmatch(patient) and not ledger.cohorts_of(patient):
        raise UsageProblem(
            "--patient takes the pseudonym of a cohort (p- and 16 hex digits), never the hospital's own number"
        )
    return patient


def _known_release(events: Sequence[Event], given: str) -> str:
    """The id of the release that begins so: the printed id, or the one in its certificate and files."""
    found = {
        event.subject
        for event in events
        if event.kind == "release"
        and len(given) >= _LEAST
        and (event.subject.startswith(given) or event.body["release_id"].startswith(given))
    }
    if len(found) != 1:
        which = "no release" if not found else f"{len(found)} releases"
        raise UsageProblem(f"{which} of this ledger begins so; give at least {_LEAST} digits of the id")
    return found.pop()


def _plain(event: Event) -> dict[str, Any]:
    row = asdict(event)
    del row["text"]
    return {**row, "body": event.body}
