"""A review under a ledger: what it cleared stays cleared for the same pair, and the release names what it rested on.

The story: row 5 of S1 is flagged beside a film of patient 19, two readers clear it, R1 goes out with it; S2 is audited
together with what is out, which flags the pair again, and goes out as well.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import audit_parts as parts
import ledger_parts as ledgers
import pytest
import review_parts as readers

from medaudit.artifacts.certificate import CERTIFICATE, read_certificate
from medaudit.artifacts.findings import Audit, open_audit, read_matches
from medaudit.artifacts.ledger import Event, Ledger
from medaudit.artifacts.store import file_sha256, open_artifact
from medaudit.errors import NotReleasable, ReviewMismatch, UsageProblem
from medaudit.images.transforms import add_noise
from medaudit.protocol.together import RELEASED_MATCHES
from medaudit.stages import ledger as stage
from medaudit.stages import recorded, review, verify
from medaudit.stages.outcome import Outcome

COPY, PATIENT = 5, 19


def book(folder: Path) -> recorded.Book:
    return recorded.Book(folder / "site.ledger", by="data office", date="20261101")


def audit(folder: Path, name: str, out: str, *released: str, **options: Any) -> Outcome:
    chosen: dict[str, Any] = {"settings": parts.settings(**ledgers.SETTINGS), "device": "cpu", **options}
    cohorts = [folder / one for one in ("T", "H", name)]
    return recorded.audit(book(folder), [folder / one for one in released], *cohorts, folder / out, **chosen)


def release(folder: Path, name: str, audited: str, out: str, *released: str, **options: Any) -> Outcome:
    paths = [folder / one for one in released]
    options = {"format": "npz", **options}
    return recorded.release(book(folder), paths, (), folder / name, folder / audited, folder / out, **options)


def rows(folder: Path, kind: str) -> list[Event]:
    with Ledger(folder / "site.ledger", write=False) as ledger:
        return [event for event in ledger.check() if event.kind == kind]


def record(folder: Path, out: str) -> Audit:
    return open_audit(folder / out)[1]


def reviewed(folder: Path, name: str, audited: str, out: str, flagged: str = "not-a-copy") -> Path:
    """The review of an audit in which two readers say `flagged` of every flagged pair, recorded."""
    page = folder / f"{out}.page"
    review.run(folder / audited, folder / "T", folder / name, page)
    files = [
        readers.save(folder / f"{out}-{place}.json", readers.verdicts(page, flagged, reviewer=who))
        for place, who in enumerate(("Reader One", "Reader Two"))
    ]
    recorded.review(book(folder), folder / audited, files, folder / out, page=page)
    return folder / out


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    folder = tmp_path_factory.mktemp("story")
    ledgers.world(folder)
    shutil.rmtree(folder / "S1")
    films = parts.films(ledgers.FIRST)
    films[COPY] = add_noise(parts.film(PATIENT), 0.02, parts.generator(3))
    ledgers.synthetic(folder / "S1", films, folder / "T")
    first = audit(folder, "S1", "A1")
    reviewed(folder, "S1", "A1", "V1")
    out = release(folder, "S1", "A1", "R1", review=folder / "V1")
    second = audit(folder, "S2", "A2", "S1")
    return SimpleNamespace(folder=folder, first=first, out=out, second=second)


@pytest.fixture
def copy(story: SimpleNamespace, tmp_path: Path) -> Path:
    shutil.copytree(story.folder, tmp_path / "copy")
    return tmp_path / "copy"


def test_the_release_names_the_review_that_it_rests_on(story: SimpleNamespace) -> None:
    folder = story.folder
    assert story.first.exit_code == 10 and story.out.exit_code == 0
    found = rows(folder, "release")[0].body["review"]
    assert found["id"] == open_artifact(folder / "V1").id
    assert found["verdicts"] == [file_sha256(folder / f"V1-{place}.json") for place in (0, 1)]
    counts = {name: found[name] for name in ("flagged", "cleared", "stands", "withheld", "reviewers")}
    assert counts == {"flagged": 1, "cleared": 1, "stands": 0, "withheld": 0, "reviewers": 2}
    pairs = found["pairs"]["cleared"]
    assert pairs and {image for image, _ in pairs} == {COPY} and found["pairs"]["kept"] == []
    assert rows(folder, "review")[0].body["pairs"] == found["pairs"]
    assert "Reader One" not in rows(folder, "release")[0].text + rows(folder, "review")[0].text
    lines = stage.show(folder / "site.ledger").lines
    at = next(place for place, line in enumerate(lines) if "  release  " in line)
    assert lines[at + 1] == f"{'':16}by review {found['id'][:12]}: 1 of 1 flag cleared by 2 reviewers"
    assert (
        lines[at + 2]
        == f"{'':16}files of verdicts (SHA-256): {', '.join(one[:12] for one in found['verdicts'])}"
    )
    assert max(map(len, lines)) <= 80
    stage.export(folder / "site.ledger", folder / "rows.jsonl")
    exported = [json.loads(line) for line in (folder / "rows.jsonl").read_text().splitlines()]
    assert [row["body"]["review"] for row in exported if row["kind"] == "release"] == [found]


def test_a_flag_that_people_cleared_does_not_stand_again_for_the_same_pair(
    story: SimpleNamespace, copy: Path
) -> None:
    second = record(copy, "A2")
    assert story.second.exit_code == 0 and second.verdict == "release-supported"
    assert second.counts.flagged == 0 and second.counts.synthetic == 48
    place = second.ledger
    assert place is not None and place.flagged_before == 0 and place.cleared_before == 1
    assert {image for image, _ in place.cleared[0]} == {COPY} and place.flagged == []
    assert second.reasons[0] == (
        "1 image that is out already is flagged again; by the site's ledger people looked at the same pair and cleared "
        "it, so this flag does not stand. Flags were cleared by people, so no upper limit of what was missed is stated."
    )
    assert second.bounds.hidden_copies is None and second.bounds.model_rate_upper is None
    assert not any("copies in at most" in reason or "at most 1 copy" in reason for reason in second.reasons)
    assert second.reidentification is not None and second.reidentification.copies == 0
    before = read_matches(open_audit(copy / "A2")[0], RELEASED_MATCHES).to_pylist()
    assert [row["synthetic_id"] for row in before if row["cleared"]] == [COPY]
    assert not any(row["flagged"] for row in before)
    release(copy, "S2", "A2", "R2")
    verify.run(copy / "R2")
    certificate = read_certificate(copy / "R2" / CERTIFICATE)
    assert certificate.review is None and certificate.bounds.hidden_copies is None
    assert certificate.reasons[0] == second.reasons[0]


def test_the_certificate_keeps_the_sentences_of_the_ledger(story: SimpleNamespace) -> None:
    certificate = read_certificate(story.folder / "R1" / CERTIFICATE)
    assert certificate.review is not None and "1 of 24 images was flagged" in certificate.reasons[0]
    assert certificate.reasons[-1].startswith(
        "By the site's ledger this is audit 1 of these training patients"
    )
    without = record(story.folder, "A1").without_flags
    assert without is not None and certificate.reasons[1:] == without.reasons


def forgets(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """The ledger written anew with the facts of reviews and releases changed."""
    events = [
        event for kind in ("cohort", "budget", "audit", "review", "release") for event in rows(folder, kind)
    ]
    with Ledger(folder / "site.ledger", write=False) as ledger:
        names = {event.subject: ledger.people(event.subject) for event in events if event.kind == "cohort"}
    (folder / "site.ledger").unlink()
    with Ledger(folder / "site.ledger", write=True) as ledger:
        for event in sorted(events, key=lambda one: one.number):
            body = event.body
            if event.kind in ("review", "release"):
                change(body)
            people = (event.subject, names[event.subject]) if event.kind == "cohort" else None
            ledger.append(event.kind, event.subject, body, people)  # type: ignore[arg-type]


def older(body: dict[str, Any]) -> None:
    """The shape of a ledger that was written before releases named their review."""
    for name in ("review", "pairs", "verdicts", "stands", "reviewers"):
        body.pop(name, None)


def another_pair(body: dict[str, Any]) -> None:
    for holder in (body, body.get("review") or {}):
        if "pairs" in holder:
            holder["pairs"]["cleared"] = [[image, film + 1] for image, film in holder["pairs"]["cleared"]]


def another_cohort(body: dict[str, Any]) -> None:
    body["train"] = "0" * 64 if "pairs" in body else body["train"]
    if body.get("review"):
        body["review"] = None


@pytest.mark.slow
@pytest.mark.parametrize("change", [older, another_pair, another_cohort])
def test_a_flag_that_nobody_cleared_for_this_pair_stands_and_the_line_says_what_to_do(
    copy: Path, change: Callable[[dict[str, Any]], None]
) -> None:
    forgets(copy, change)
    shutil.rmtree(copy / "A2")
    assert audit(copy, "S2", "A2", "S1").exit_code == 10
    found = record(copy, "A2")
    place = found.ledger
    assert place is not None and place.flagged_before == 1 and place.cleared_before == 0
    assert {image for image, _ in place.flagged[0]} == {COPY}
    (step,) = found.next_steps
    assert "medaudit ledger withdraw --release" in step and "medaudit review AUDIT --synthetic" in step
    released = [event.body["synthetic"] for event in rows(copy, "release")]
    assert rows(copy, "audit")[-1].body["flagged_released"].keys() == set(released)
    for options in ({}, {"withhold_flagged": True, "train": copy / "T", "holdout": copy / "H"}):
        with pytest.raises(
            NotReleasable, match=r"is out already, flagged by a later audit and not cleared: withdraw"
        ) as caught:
            release(copy, "S2", "A2", "R2", "S1", **options)
        assert caught.value.exit_code == 10 and "\n" not in str(caught.value)
    assert not (copy / "R2").exists() and len(rows(copy, "release")) == 1
    # what is flagged is not handed out in another form either
    with pytest.raises(NotReleasable, match="medaudit review"):
        release(copy, "S1", "A1", "R1-png", format="png", review=copy / "V1")
    stage.withdraw(copy / "site.ledger", None, rows(copy, "release")[0].subject, "flagged again")
    audit(copy, "S2", "A3")
    assert release(copy, "S2", "A3", "R3").exit_code == 0


def test_a_ledger_of_the_older_shape_is_read_and_its_chain_is_whole(copy: Path) -> None:
    forgets(copy, older)
    outcome = stage.check(copy / "site.ledger")
    listed = stage.show(copy / "site.ledger").lines
    assert outcome.data["rows"] == len(listed) - 1 and not any("by review" in line for line in listed)
    assert release(copy, "S1", "A1", "R9", format="png", review=copy / "V1").exit_code == 0
    assert stage.check(copy / "site.ledger").data["rows"] == outcome.data["rows"] + 1


def never_seen(body: dict[str, Any]) -> None:
    """As if the first audit had not flagged the pair, so that nobody looked at it."""
    older(body)
    body.pop("pairs", None)


@pytest.fixture(scope="module")
def blocked(story: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The story up to R1, nobody having looked at the pair, and A2, which flags it."""
    folder = tmp_path_factory.mktemp("blocked") / "site"
    shutil.copytree(story.folder, folder)
    forgets(folder, never_seen)
    shutil.rmtree(folder / "A2")
    assert audit(folder, "S2", "A2", "S1").exit_code == 10
    return folder


@pytest.mark.slow
def test_people_may_look_at_what_is_out_and_flagged_and_the_same_audit_goes_on(
    blocked: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "site"
    shutil.copytree(blocked, folder)
    with pytest.raises(UsageProblem, match=r"flags no image of .*S2; there is nothing to review"):
        review.run(folder / "A2", folder / "T", folder / "S2", folder / "P2")
    reviewed(folder, "S1", "A2", "V2")
    body = rows(folder, "review")[-1].body
    assert body["synthetic"] == open_artifact(folder / "S1").id and body["cleared"] == 1
    assert {image for image, _ in body["pairs"]["cleared"]} == {COPY}
    with pytest.raises(ReviewMismatch, match="released before"):  # it clears nothing of S2
        release(folder, "S2", "A2", "R2", review=folder / "V2")
    with pytest.raises(NotReleasable, match=r"out already: .*audit again"):
        release(folder, "S2", "A2", "R2")
    audit(folder, "S2", "A2b", "S1")
    found = record(folder, "A2b")
    assert found.verdict == "release-supported" and found.ledger is not None
    assert (found.ledger.number, found.ledger.cleared_before) == (
        2,
        1,
    )  # the same test: no further part of alpha
    assert [event.body["number"] for event in rows(folder, "budget")] == [1, 2]
    assert release(folder, "S2", "A2b", "R2").exit_code == 0


@pytest.mark.slow
def test_what_people_keep_flagged_stays_and_a_doubt_outweighs_a_clearance(
    blocked: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "site"
    shutil.copytree(blocked, folder)
    reviewed(folder, "S1", "A2", "V2", "copy")
    assert rows(folder, "review")[-1].body["pairs"]["cleared"] == []
    with pytest.raises(NotReleasable, match="not cleared"):
        release(folder, "S2", "A2", "R2")
    reviewed(folder, "S1", "A2", "V3")  # two others clear it: one review saw a copy
    with pytest.raises(NotReleasable, match="not cleared"):
        release(folder, "S2", "A2", "R2")
    assert audit(folder, "S2", "A2b", "S1").exit_code == 10
