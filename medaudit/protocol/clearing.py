"""Whether the ledger allows a release: what an audit alone cannot know."""

from collections.abc import Sequence
from typing import Any

from medaudit.artifacts.findings import Audit
from medaudit.artifacts.ledger import Event, Ledger
from medaudit.artifacts.store import Artifact
from medaudit.errors import CohortMismatch, NotReleasable
from medaudit.protocol.cleared import standing_flags
from medaudit.protocol.history import People, people_in, standing_releases, withdrawn
from medaudit.stats.counted import counted
from medaudit.stats.together import WAYS_OUT


def require_ledger_clearance(ledger: Ledger, audit: Artifact, record: Audit) -> dict[str, Any]:
    """The facts of this audit's row; or the one-line error of the first thing that forbids a release under it.

    CohortMismatch when the audit is not in the ledger or left out an earlier release; NotReleasable for a withdrawn
    release's cohort, for training patients who were withdrawn, and while a flag stands on what is out. The chain is
    checked first (LedgerBroken).
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
    _refuse_standing_flags(ledger, events, people)
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


def _refuse_standing_flags(ledger: Ledger, events: Sequence[Event], people: People) -> None:
    """Raise NotReleasable while an image of these people that is out is flagged and nobody cleared it.

    The flag need not be this audit's: each further audit has a smaller part of alpha and sees less.
    """
    found: dict[str, set[int]] = {}
    for event, body in standing_releases(ledger, events, people, ""):
        flags = standing_flags(events, body["synthetic"], set(body["withheld"]))
        if flags:
            found[event.subject] = {image for image, _ in flags}
    if found:
        many = sum(map(len, found.values()))
        raise NotReleasable(
            f"{counted(many, 'image')} of release {', '.join(name[:16] for name in sorted(found))} "
            f"{'is' if many == 1 else 'are'} out already, flagged by a later audit and not cleared: {WAYS_OUT}"
        )


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
