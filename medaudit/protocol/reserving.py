"""An audit's place in the ledger: which audit of these people it is, what it may spend, what it has to look at too."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medaudit.artifacts.certificate import day
from medaudit.artifacts.cohort import Cohort, open_cohort
from medaudit.artifacts.ledger import Event, Ledger
from medaudit.artifacts.store import Request, canonical, open_artifact
from medaudit.config import AuditSettings
from medaudit.errors import CohortMismatch, UsageProblem
from medaudit.protocol.belonging import check_sizes
from medaudit.protocol.cleared import cleared_pairs
from medaudit.protocol.history import People, concerning, record_people, standing_releases
from medaudit.protocol.sides import Side
from medaudit.protocol.together import Earlier, Share
from medaudit.stats.spending import draws_needed, share

_LONGEST = 200  # characters of a note


def checked_note(option: str, text: str) -> str:
    """The text, as one line that can be shown; a date is YYYYMMDD or empty. Raises UsageProblem otherwise."""
    if len(text) > _LONGEST or not text.isprintable():
        raise UsageProblem(f"{option} takes one line of at most {_LONGEST} characters")
    if option == "--date" and text:
        day(text, option)
    return text


def open_released(paths: Sequence[Path]) -> list[Cohort]:
    """The synthetic cohorts that were released before. Raises UsageProblem for a released folder or a real cohort."""
    cohorts = []
    for path in paths:
        if open_artifact(path, verify=False).kind == "release":
            raise UsageProblem(f"{path} is a release; give the synthetic cohort that it was made from")
        cohort = open_cohort(path)
        if cohort.artifact.manifest.get("origin") != "synthetic":
            raise CohortMismatch(f"{path} is not a synthetic cohort; only those are released")
        cohorts.append(cohort)
    return cohorts


def begin(
    path: Path,
    note: Mapping[str, str],
    given: Sequence[Cohort],
    request: Request,
    settings: AuditSettings,
    sides: tuple[Side, Side, Side],
) -> Share:
    """Reserve this audit's part of alpha, or find the part that the same request was given before.

    Raises UsageProblem when an earlier release was not given, or when too little of alpha is left to test with.
    """
    train, holdout, synthetic = (side.cohort for side in sides)
    asked = {"request": request.fingerprint(), "with": sorted(cohort.id for cohort in given)}
    subject = hashlib.sha256(canonical(asked).encode()).hexdigest()
    with Ledger(path, write=True) as ledger:
        people = record_people(ledger, train)
        record_people(ledger, holdout)
        events = ledger.check()
        body = next((e.body for e in events if (e.kind, e.subject) == ("budget", subject)), None)
        if body is None:
            earlier = _released(ledger, events, people, synthetic, given)
            facts = {
                "train": train.id,
                "holdout": holdout.id,
                "synthetic": synthetic.id,
                "model": synthetic.artifact.lineage.get("model"),
                "released_before": {one.release: list(one.withheld) for one in earlier},
                **note,
            }
            body = ledger.append("budget", subject, lambda: {**facts, **_part(ledger, people, settings)}).body
    return Share(
        body["number"],
        body["site_alpha"],
        body["alpha"],
        _reopened(events, body["released_before"], given, train.id),
        body["model"],
    )


def _part(ledger: Ledger, people: People, settings: AuditSettings) -> dict[str, Any]:
    """Number and alpha of the next audit of these people. The site's alpha is the smallest that it ever stated."""
    budgets = concerning(ledger, ledger.events(), "budget", people)
    before = [body for _, body in budgets if "second_look_of" not in body]
    site = min([settings.alpha, *(body["site_alpha"] for body in before)])
    number = len(before) + 1
    alpha = share(site, number)
    if draws_needed(alpha, settings.cohort_share) is None:
        raise UsageProblem(
            f"these patients were audited {number - 1} times; what is left of alpha {site:g} is too little for a test "
            "to reject anything"
        )
    return {"number": number, "alpha": alpha, "site_alpha": site}


def _released(
    ledger: Ledger, events: Sequence[Event], people: People, synthetic: Cohort, given: Sequence[Cohort]
) -> list[Earlier]:
    """What was released before, of the cohorts given. Raises UsageProblem for one missing, unknown or unfit."""
    needed = standing_releases(ledger, events, people, synthetic.id)
    missing = {body["synthetic"] for _, body in needed} - {cohort.id for cohort in given}
    if missing:
        which = "1 earlier release stands" if len(missing) == 1 else f"{len(missing)} earlier releases stand"
        ids = ", ".join(sorted(name[:12] for name in missing))
        raise UsageProblem(
            f"{which} in the ledger for the same training patients; give the synthetic cohort of each as "
            f"--with-release ({ids})"
        )
    chosen = {body["synthetic"]: (event.subject, body) for event, body in needed}
    for event in events:  # withdrawn ones may be looked at too
        if event.kind == "release":
            chosen.setdefault(event.body["synthetic"], (event.subject, event.body))
    earlier = []
    for cohort in given:
        if cohort.id == synthetic.id or cohort.id not in chosen:
            raise UsageProblem(
                f"{cohort.artifact.path} is no cohort that was released before by this ledger; leave it out"
            )
        check_sizes(synthetic, cohort)
        release, body = chosen[cohort.id]
        earlier.append(Earlier(release, cohort, tuple(body["withheld"])))
    return sorted(earlier, key=lambda one: one.release)


def _reopened(
    events: Sequence[Event], before: Mapping[str, list[int]], given: Sequence[Cohort], train: str
) -> tuple[Earlier, ...]:
    """The earlier releases of a reservation, with the cohorts that are open and what people cleared of them by now."""
    known = {cohort.id: cohort for cohort in given}
    of = {event.subject: event.body["synthetic"] for event in events if event.kind == "release"}
    return tuple(
        Earlier(name, known[of[name]], tuple(withheld), tuple(sorted(cleared_pairs(events, of[name], train))))
        for name, withheld in sorted(before.items())
    )
