"""A row of the ledger in one line, and what a withdrawal asks for, in words."""

from collections.abc import Callable, Mapping
from typing import Any

from medaudit.artifacts.ledger import Event
from medaudit.protocol.history import Reach
from medaudit.stats.counted import counted

SHORT = 12  # hex digits of an id that a line shows
_AGAIN = "- look at the number again: it counts as it stood in the source, with its letters and leading zeros"
_UNDER = " " * 16  # under the kind


def short(name: str) -> str:
    """The first digits of an id; `patient:` and pseudonyms whole."""
    return name[:SHORT] if len(name) >= 32 else name


def _budget(body: Mapping[str, Any]) -> str:
    looked = " again" if body.get("second_look_of") else ""
    return f"audit {body['number']}{looked}: alpha {body['alpha']:.3g} of {body['site_alpha']:g}"


def _audit(body: Mapping[str, Any]) -> str:
    looked = ", 2nd look" if body.get("second_look_of") else ""
    return f"{body['verdict']}, {body['flagged']:,}/{body['images']:,} flagged{looked}"


def _release(body: Mapping[str, Any]) -> str:
    to = f", {counted(len(body['receivers']), 'receiver')}" if body["receivers"] else ""
    return f"{counted(body['images'], 'image')}{to}"


def _other(body: Mapping[str, Any]) -> str:
    return "of a kind that this version does not know"


_WORDS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "opened": lambda body: body["schema"],
    "cohort": lambda body: f"{counted(body['images'], 'film')}, {counted(body['patients'], 'patient')}",
    "budget": _budget,
    "audit": _audit,
    "extract": lambda body: f"{body['verdict']}, {counted(body['patients'], 'patient')} extracted",
    "review": lambda body: f"{body['cleared']:,} cleared, {body['withheld']:,} withheld",
    "release": _release,
    "withdrawal": lambda body: body["reason"],
}


def line(event: Event) -> str:
    """Number, date as given, kind, id, facts: under 80 columns but for a long reason."""
    body, subject = event.body, event.subject
    if event.kind == "withdrawal":
        what, _, name = subject.partition(":")
        subject = f"{what} {short(name)}:"
    date = body.get("date") or "-"
    return f"{event.number:>4}  {date:<8}  {event.kind:<10}  {short(subject)}  {_WORDS.get(event.kind, _other)(body)}"


def lines(event: Event) -> list[str]:
    """The row's line, and for a release that rests on a review who cleared what."""
    review = event.body.get("review") if event.kind == "release" else None
    if not review:
        return [line(event)]
    hashes = ", ".join(name[:SHORT] for name in review["verdicts"])
    return [
        line(event),
        f"{_UNDER}by review {short(review['id'])}: {review['cleared']:,} of "
        f"{counted(review['flagged'], 'flag')} cleared by {counted(review['reviewers'], 'reviewer')}",
        f"{_UNDER}files of verdicts (SHA-256): {hashes}",
    ]


def tasks(what: str, name: str, reach: Reach, by_number: bool = False) -> list[str]:
    """What must be done after a withdrawal, most pressing first; one bullet each.

    `by_number`: somebody typed the patient's number, perhaps wrongly.
    """
    patient = what == "patient"
    found: list[str] = []
    if patient and reach.releases:
        found.append(
            f"{_listed('release', reach.releases)}: made from a model that the patient's films trained; the board "
            "decides whether to recall (ledger withdraw --release)"
        )
    elif reach.releases:
        found.append(f"{_listed('release', reach.releases)}: withdrawn; no copy is handed out any more")
    if reach.receivers:
        found.append(f"tell {', '.join(reach.receivers)}")
    elif reach.releases:
        found.append("no receiver is recorded: find out who has the files and tell them")
    if not patient:
        found.append(f"{_listed('synthetic cohort', reach.synthetic)}: is not released again")
        found.append(_findings(reach, "its audits, and audits of later releases with it; kept as evidence"))
        return [f"- {task}" for task in found if task]
    if reach.trained_on:
        found.append(f"{_listed('training cohort', reach.trained_on)}: make again without the patient")
    if reach.held_out:
        found.append(f"{_listed('held-out cohort', reach.held_out)}: make again without the patient")
    if reach.models:
        found.append(f"{_listed('model', reach.models)}: retire, train again without the patient")
    if reach.synthetic and reach.trained_on:
        found.append(f"{_listed('synthetic cohort', reach.synthetic)}: release refuses it from now on")
    found.append(_findings(reach, "looked at the patient's films; delete or keep as the board says"))
    found = [task for task in found if task]
    nothing = ["- nothing: no cohort of this ledger holds the patient", *([_AGAIN] if by_number else [])]
    return [f"- {task}" for task in found] or nothing


def _findings(reach: Reach, words: str) -> str:
    names = [*reach.findings, *reach.reviewed]
    return f"{_listed('finding', names)}: {words}" if names else ""


def _listed(noun: str, names: list[str]) -> str:
    many = noun if len(names) == 1 else f"{noun}s"
    return f"{many} {', '.join(short(name) for name in names)}"
