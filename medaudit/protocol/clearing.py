"""Whether the ledger allows a release: what an audit alone cannot know."""

from collections.abc import Sequence
from typing import Any

from medaudit.artifacts.cohort import Cohort
from medaudit.artifacts.findings import Audit
from medaudit.artifacts.ledger import Event, Ledger
from medaudit.artifacts.store import Artifact, Request
from medaudit.config import AuditSettings
from medaudit.errors import CohortMismatch, NotReleasable, UsageProblem
from medaudit.protocol.history import people_in, standing_releases, withdrawn
from medaudit.protocol.sides import Side
from medaudit.protocol.together import Earlier, Share


def require_ledger_clearance(ledger: Ledger, audit: Artifact, record: Audit) -> dict[str, Any]:
    """The facts of this audit's row; or the one-line error of the first thing that forbids a release under it.

    CohortMismatch when the audit is not in the ledger or left out an earlier release; NotReleasable for a withdrawn
    release's cohort and for training patients who were withdrawn. The chain is checked first (LedgerBroken).
    """
    events = ledger.check()
    facts = _recorded(ledger, events, audit, record)
    synthetic, people = facts["synthetic"], people_in(ledger, events, facts["train"])
    gone = people.names & withdrawn(events, "patient").keys()
    if gone:
        who = "1 patient" if len(gone) == 1 else f"{len(gone)} patients"
        raise NotReleasable(
            f"{who} of the training cohort withdrew; make the cohort again without them and train again"
        )
    before = [event for event in events if event.kind == "release" and event.body["synthetic"] == synthetic]
    if any(event.subject in withdrawn(events, "release") for event in before):
        raise NotReleasable("a release of this synthetic cohort was withdrawn; it is not released again")
    out = [set(event.body["withheld"]) for event in before if event.body["cleared_by"] == audit.id]
    if any(withheld <= set(record.withheld) for withheld in out):
        return facts  # all that this audit could let out is out already: in another form, nothing new goes
    looked_at = _looked_at(record)
    missed = [
        body
        for _, body in standing_releases(ledger, events, people, synthetic)
        if not looked_at.get(body["synthetic"], {-1}) <= set(body["withheld"])
    ]
    if missed:
        what = (
            "1 earlier release of the same training patients stands"
            if len(missed) == 1
            else f"{len(missed)} earlier releases of the same training patients stand"
        )
        raise CohortMismatch(
            f"{what} in the ledger, not audited together with this one; run medaudit audit again with "
            "--with-release"
        )
    return facts


def _recorded(ledger: Ledger, events: Sequence[Event], audit: Artifact, record: Audit) -> dict[str, Any]:
    """The audit's row, or the one of the audit that was reviewed."""
    reviewed = {event.subject: event.body["audit"] for event in events if event.kind == "review"}
    known = {event.subject: event.body for event in events if event.kind == "audit"}
    facts = known.get(audit.id) or known.get(reviewed.get(audit.id, ""))
    if facts is None or record.ledger is None:
        raise CohortMismatch(
            f"{audit.path} is no audit that {ledger.path} knows; run medaudit audit with this --ledger"
        )
    return facts


def _looked_at(record: Audit) -> dict[str, set[int]]:
    """By earlier synthetic cohort that this audit looked at: the rows that it left out."""
    place = record.ledger
    return {} if place is None else dict(zip(place.cohorts, map(set, place.withheld), strict=True))


def second_look(
    record: Audit,
    given: Sequence[Cohort],
    request: Request,
    settings: AuditSettings,
    sides: tuple[Side, Side, Side],
) -> Share:
    """The place of the audit of what is left: that of the first look, whose alpha covers both (protocol/remainder).

    Raises UsageProblem when the earlier cohorts of the first look are not given again.
    """
    place = record.ledger
    assert place is not None  # require_ledger_clearance saw to it
    known = {cohort.id: cohort for cohort in given}
    if set(place.cohorts) != known.keys():
        raise UsageProblem("give the cohorts that the audit was given as --with-release again, and no others")
    earlier = tuple(
        Earlier(release, known[cohort], tuple(withheld))
        for release, cohort, withheld in zip(place.releases, place.cohorts, place.withheld, strict=True)
    )
    model = sides[2].cohort.artifact.lineage.get("model")
    return Share(place.number, place.site_alpha, settings.alpha, earlier, model)
