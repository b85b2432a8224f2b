"""audit, extract and release under a site's ledger: what each asks of it before, and records in it after.

An audit takes its part of alpha before it looks; a release is refused when the ledger knows better. Called again after
an interruption each finds what it made and what it recorded.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from medaudit.artifacts.certificate import CERTIFICATE, read_certificate
from medaudit.artifacts.cohort import open_cohort
from medaudit.artifacts.findings import open_audit, open_extraction
from medaudit.artifacts.ledger import Ledger
from medaudit.artifacts.review import open_review
from medaudit.artifacts.store import Artifact, open_artifact
from medaudit.protocol.cleared import review_facts
from medaudit.protocol.clearing import require_ledger_clearance
from medaudit.protocol.history import record_people
from medaudit.protocol.reserving import begin, checked_note, open_released
from medaudit.protocol.second_look import second_look
from medaudit.stages import audit as audit_stage
from medaudit.stages import extract as extract_stage
from medaudit.stages import release as release_stage
from medaudit.stages import review_apply as review_stage
from medaudit.stages.book import Book, write_down
from medaudit.stages.clearance import audit_of
from medaudit.stages.outcome import Outcome


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
    note, earlier = book.opened(), open_released(with_release)
    ask = partial(begin, book.path, note, earlier)
    outcome = audit_stage.run(train, holdout, synthetic, out, begin=ask, **options)
    return write_down(outcome, book, "audit", *_audit_facts(out, note, {}))


def extract(book: Book, model: Path, train: Path, holdout: Path, out: Path, **options: Any) -> Outcome:
    """An extraction; it has its own alpha and takes nothing of the audits'."""
    note = book.opened()
    outcome = extract_stage.run(model, train, holdout, out, **options)
    artifact, record = open_extraction(out)
    with Ledger(book.path, write=True) as ledger:
        for path in (train, holdout):
            record_people(ledger, open_cohort(path))
    found = {"verdict": record.verdict, "images": record.generated, "patients": record.patients_extracted}
    return write_down(outcome, book, "extract", artifact.id, {**dict(artifact.lineage), **found, **note})


def release(
    book: Book, with_release: Sequence[Path], receivers: Sequence[str], synthetic: Path, audit: Path, out: Path,
    **options: Any,
) -> Outcome:  # fmt: skip
    """A release that the ledger allows: no withdrawn patient, nothing released before left out of the audit."""
    note = book.note()
    told = [checked_note("--receiver", receiver) for receiver in receivers]
    earlier = open_released(with_release)
    with book.held():
        first, record = audit_of(open_cohort(synthetic), audit, options.get("key"))
        with Ledger(book.path, write=True) as ledger:
            about = require_ledger_clearance(ledger, first, record)
        again = partial(second_look, book.path, note, (first, record), earlier)
        outcome = release_stage.run(synthetic, audit, out, begin=again, **options)
        done = open_artifact(out, "release", verify=False)
        used = audit
        if done.lineage["audit"] != first.id:
            used = out.parent / f"{out.name}.audit"
            outcome = write_down(
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
            "review": _review_facts(done, options.get("review"), cleared.withheld),
        }
        return write_down(outcome, book, "release", done.id, {**facts, **note})


def review(book: Book, audit: Path, verdicts: Sequence[Path], out: Path | None, **options: Any) -> Outcome:
    """Verdicts of people on the flags of the audit at `audit`, each review with what it cleared."""
    note = book.opened()
    outcome = review_stage.run(audit, verdicts, out, **options)
    assert outcome.path is not None
    artifact, record = open_review(outcome.path)
    about = {role: artifact.lineage[role] for role in ("audit", "train", "synthetic")}
    facts = {**about, **review_facts(record, artifact.settings["verdicts"]), **note}
    return write_down(outcome, book, "review", artifact.id, facts)


def _review_facts(done: Artifact, path: Path | None, withheld: Sequence[int]) -> dict[str, Any] | None:
    """The review that a release rests on; None for one that went out without."""
    if path is None or "review" not in done.lineage:
        return None
    artifact, record = open_review(path)
    return {"id": artifact.id, **review_facts(record, artifact.settings["verdicts"], set(withheld))}


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
    if any(place.flagged):
        facts["flagged_released"] = dict(zip(place.cohorts, place.flagged, strict=True))
    return artifact.id, {**facts, **note, **more}
