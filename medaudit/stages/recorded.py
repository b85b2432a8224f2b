"""audit, extract and release under a site's ledger: what each asks of it before, and records in it after.

An audit takes its part of alpha before it looks; a release is refused when the ledger knows better. Called again after
an interruption each finds what it made and what it recorded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from medaudit.artifacts.certificate import CERTIFICATE, read_certificate
from medaudit.artifacts.cohort import open_cohort
from medaudit.artifacts.findings import open_audit, open_extraction
from medaudit.artifacts.ledger import Kind, Ledger
from medaudit.artifacts.store import locked, open_artifact
from medaudit.errors import UsageProblem
from medaudit.protocol.clearing import require_ledger_clearance, second_look
from medaudit.protocol.history import record_people
from medaudit.protocol.reserving import begin, checked_note, open_released
from medaudit.stages import audit as audit_stage
from medaudit.stages import extract as extract_stage
from medaudit.stages import release as release_stage
from medaudit.stages.clearance import audit_of
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


def audit(
    book: Book,
    with_release: Sequence[Path],
    train: Path,
    holdout: Path,
    synthetic: Path,
    out: Path,
    **options: Any,
) -> Outcome:
    """An audit with its part of the site's alpha, over S and what was released before (`with_release`)."""
    note, earlier = book.note(), open_released(with_release)
    with Ledger(book.path, write=True) as ledger:  # refused now rather than after hours
        ledger.check()
    ask = partial(begin, book.path, note, earlier)
    outcome = audit_stage.run(train, holdout, synthetic, out, begin=ask, **options)
    return _recorded(outcome, book, "audit", *_audit_facts(out, note, {}))


def extract(book: Book, model: Path, train: Path, holdout: Path, out: Path, **options: Any) -> Outcome:
    """An extraction; it has its own alpha and takes nothing of the audits'."""
    note = book.note()
    with Ledger(book.path, write=True) as ledger:
        ledger.check()
    outcome = extract_stage.run(model, train, holdout, out, **options)
    artifact, record = open_extraction(out)
    with Ledger(book.path, write=True) as ledger:
        for path in (train, holdout):
            record_people(ledger, open_cohort(path))
    found = {"verdict": record.verdict, "images": record.generated, "patients": record.patients_extracted}
    return _recorded(outcome, book, "extract", artifact.id, {**dict(artifact.lineage), **found, **note})


def release(
    book: Book, with_release: Sequence[Path], receivers: Sequence[str], synthetic: Path, audit: Path, out: Path,
    **options: Any,
) -> Outcome:  # fmt: skip
    """A release that the ledger allows: no withdrawn patient, nothing released before left out of the audit."""
    note = book.note()
    told = [checked_note("--receiver", receiver) for receiver in receivers]
    earlier = open_released(with_release)
    busy = UsageProblem(f"another release under {book.path} is running; wait for it")
    with locked(book.path.with_name(f".{book.path.name}.release"), busy):
        first, record = audit_of(open_cohort(synthetic), audit)
        with Ledger(book.path, write=True) as ledger:
            about = require_ledger_clearance(ledger, first, record)
        again = partial(second_look, record, earlier)
        outcome = release_stage.run(synthetic, audit, out, begin=again, **options)
        done = open_artifact(out, "release", verify=False)
        used = audit
        if done.lineage["audit"] != first.id:
            used = out.parent / f"{out.name}.audit"
            outcome = _recorded(
                outcome, book, "audit", *_audit_facts(used, note, {"second_look_of": first.id})
            )
        artifact, cleared = open_audit(used)
        facts = {
            "release_id": read_certificate(out / CERTIFICATE).release_id,
            "audit": artifact.id,
            "cleared_by": first.id,
            **{role: about[role] for role in ("train", "holdout", "synthetic", "model")},
            "images": done.manifest["images"],
            "withheld": list(cleared.withheld),
            "receivers": told,
        }
        return _recorded(outcome, book, "release", done.id, {**facts, **note})


def record_review(
    book: Book, audit: Path, reviewed: str, *, cleared: int, withheld: int, outcome: Outcome
) -> Outcome:
    """A review of the audit at `audit`: `reviewed` is the id of the findings it led to, which release may then use."""
    facts = {"audit": open_audit(audit)[0].id, "cleared": cleared, "withheld": withheld, **book.note()}
    return _recorded(outcome, book, "review", reviewed, facts)


def _audit_facts(out: Path, note: Mapping[str, str], more: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    artifact, record = open_audit(out)
    place, counts = record.ledger, record.counts
    assert place is not None  # begin gave it one
    facts = {
        **{role: artifact.lineage[role] for role in ("train", "holdout", "synthetic")},
        "model": artifact.settings["ledger"]["model"],
        "verdict": record.verdict,
        "images": counts.synthetic,
        "flagged": counts.flagged,
        "patients": counts.patients_exposed,
        "number": place.number,
        "alpha": record.budget["alpha"],
        "site_alpha": place.site_alpha,
        "releases": list(place.releases),
    }
    return artifact.id, {**facts, **note, **more}


def _recorded(outcome: Outcome, book: Book, kind: Kind, subject: str, facts: Mapping[str, Any]) -> Outcome:
    """The outcome with the row that now stands for it, and the head to keep."""
    with Ledger(book.path, write=True) as ledger:
        event = ledger.append(kind, subject, facts)
        head = ledger.events()[-1].hash
    said = f"recorded in {book.path}, row {event.number}; head {head}"
    lines = [*(line for line in outcome.lines if not line.startswith(f"recorded in {book.path}, row")), said]
    data = {**outcome.data, "recorded": {"row": event.number, "kind": kind, "head": head}}
    return replace(outcome, lines=tuple(lines), data=data)
