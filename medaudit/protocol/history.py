"""What a site's ledger says about people: which audits and releases concern the same, and what a withdrawal reaches.

Two cohorts concern the same people when they are one cohort, when they share a patient, or when that cannot be told:
a cohort without patient ids, or pseudonyms under two keys. Then the careful answer is yes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from medaudit.artifacts.cohort import Cohort
from medaudit.artifacts.ledger import Event, Ledger, people_sha256


@dataclass(frozen=True)
class People:
    """Whose films a cohort holds: its id, its pseudonyms, whether every film has one, and the key's fingerprint."""

    cohort: str
    names: frozenset[str]
    known: bool
    key: str | None = None

    @classmethod
    def of(cls, cohort: Cohort) -> "People":
        """Everyone with a row in the cohort, rows set aside included: what was withdrawn is withdrawn from there."""
        names = frozenset(name for name in cohort.patients if name is not None)
        return cls(cohort.id, names, cohort.has_patients, cohort.key)

    def same_as(self, other: "People") -> bool:
        """Whether the two concern the same people, or may."""
        if self.cohort == other.cohort or not (self.known and other.known):
            return True
        if self.key and other.key and self.key != other.key:
            return True
        return not self.names.isdisjoint(other.names)

    def body(self, images: int) -> dict[str, Any]:
        """The facts of the cohort's row: counts and the hash of the list, no pseudonym."""
        return {
            "images": images,
            "patients": len(self.names),
            "known": self.known,
            "key": self.key,
            "patients_sha256": people_sha256(self.names),
        }


def record_people(ledger: Ledger, cohort: Cohort) -> People:
    """Name a cohort in the ledger, with its patients; once."""
    people = People.of(cohort)
    ledger.append("cohort", people.cohort, people.body(len(cohort)), (people.cohort, people.names))
    return people


def people_in(ledger: Ledger, events: Sequence[Event], cohort: str) -> People:
    """A cohort's people as the ledger knows them; a cohort that it does not know may hold anyone."""
    body = next((event.body for event in events if (event.kind, event.subject) == ("cohort", cohort)), None)
    if body is None:
        return People(cohort, frozenset(), False)
    return People(cohort, ledger.people(cohort), body["known"], body["key"])


def concerning(
    ledger: Ledger, events: Sequence[Event], kind: str, train: People
) -> list[tuple[Event, dict[str, Any]]]:
    """Rows of a kind, with their facts, whose training cohort concerns the people of `train`."""
    known: dict[str, bool] = {}
    found = []
    for event in events:
        if event.kind != kind:
            continue
        body = event.body
        if body["train"] not in known:
            known[body["train"]] = train.same_as(people_in(ledger, events, body["train"]))
        if known[body["train"]]:
            found.append((event, body))
    return found


def withdrawn(events: Sequence[Event], what: str) -> dict[str, dict[str, Any]]:
    """Withdrawals of patients or releases: `what` is `patient` or `release`; pseudonym or id → the row's facts."""
    return {
        event.subject.removeprefix(f"{what}:"): event.body
        for event in events
        if event.kind == "withdrawal" and event.subject.startswith(f"{what}:")
    }


def standing_releases(
    ledger: Ledger, events: Sequence[Event], train: People, synthetic: str
) -> list[tuple[Event, dict[str, Any]]]:
    """Releases that concern the same people and that a new one is audited together with: of other synthetic cohorts,
    not withdrawn; one for each cohort, its `withheld` being the rows that no release of it let out."""
    gone = withdrawn(events, "release")
    standing: dict[str, tuple[Event, dict[str, Any]]] = {}
    for event, body in concerning(ledger, events, "release", train):
        if event.subject in gone or body["synthetic"] == synthetic:
            continue
        first, known = standing.get(body["synthetic"], (event, body))
        inside = sorted(set(known["withheld"]) & set(body["withheld"]))
        standing[body["synthetic"]] = (first, {**known, "withheld": inside})
    return list(standing.values())


@dataclass
class Reach:
    """What a withdrawal reaches; ids in the order of the ledger."""

    trained_on: list[str] = field(default_factory=list)  # training cohorts
    held_out: list[str] = field(default_factory=list)  # held-out cohorts
    models: list[str] = field(default_factory=list)
    synthetic: list[str] = field(default_factory=list)  # cohorts made from them
    findings: list[str] = field(default_factory=list)  # audits and extractions
    reviewed: list[str] = field(default_factory=list)
    releases: list[str] = field(default_factory=list)  # to decide about
    receivers: list[str] = field(default_factory=list)  # of those releases, as recorded

    def as_dict(self) -> dict[str, list[str]]:
        """For machines."""
        return dict(vars(self))


def reach_of_patient(ledger: Ledger, events: Sequence[Event], patient: str) -> Reach:
    """Cohorts that hold the patient, and by lineage everything that was made from them."""
    holding, reach = ledger.cohorts_of(patient), Reach()
    for event in events:
        if event.kind not in ("budget", "audit", "extract", "release"):
            continue
        body = event.body
        for role, listed in (("train", reach.trained_on), ("holdout", reach.held_out)):
            if body.get(role) in holding:
                _note(listed, body[role])
        if body["train"] in holding:
            _note(reach.models, body.get("model"))
            _note(reach.synthetic, body.get("synthetic"))
        if event.kind in ("audit", "extract") and holding & {body["train"], body.get("holdout")}:
            _note(reach.findings, event.subject)
        if event.kind == "release" and body["train"] in holding:
            _release(reach, event, body)
    # a cohort recorded for another role only, or never audited
    for cohort in sorted(holding - {*reach.trained_on, *reach.held_out}):
        _note(reach.held_out, cohort)
    _reviews(reach, events)
    return reach


def reach_of_release(events: Sequence[Event], release: str) -> Reach:
    """The release itself, the other releases of its synthetic cohort, and later audits that looked at it again."""
    reach = Reach()
    of = next(event.body for event in events if (event.kind, event.subject) == ("release", release))
    _note(reach.synthetic, of["synthetic"])
    _note(reach.models, of.get("model"))
    for event in events:
        if event.kind == "release":
            body = event.body
            if event.subject == release or body["synthetic"] == of["synthetic"]:
                _release(reach, event, body)
        elif event.kind == "audit":
            body = event.body
            if event.subject == of["audit"] or release in body["releases"]:
                _note(reach.findings, event.subject)
    _reviews(reach, events)
    return reach


def _release(reach: Reach, event: Event, body: dict[str, Any]) -> None:
    _note(reach.releases, event.subject)
    for receiver in body["receivers"]:
        _note(reach.receivers, receiver)


def _reviews(reach: Reach, events: Sequence[Event]) -> None:
    for event in events:
        if event.kind == "review" and event.body["audit"] in reach.findings:
            _note(reach.reviewed, event.subject)


def _note(listed: list[str], name: str | None) -> None:
    if name and name not in listed:
        listed.append(name)
