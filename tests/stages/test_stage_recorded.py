"""Under a ledger: alpha spent once and over audits, earlier releases looked at too, and what a withdrawal stops.

The story in one ledger: S1 is audited and released, S2 is audited with it and released, a patient withdraws.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import audit_parts as parts
import ledger_parts as ledgers
import numpy as np
import pytest

from medaudit.artifacts.cohort import CohortWriter
from medaudit.artifacts.findings import Audit, open_audit, read_matches
from medaudit.artifacts.ledger import Event, Ledger
from medaudit.artifacts.store import Draft, Request, file_sha256, open_artifact
from medaudit.errors import CohortMismatch, MedauditError, NotReleasable, UsageProblem
from medaudit.images.intensity import to_depth
from medaudit.images.transforms import add_noise
from medaudit.protocol.together import RELEASED_MATCHES
from medaudit.stages import ledger as stage
from medaudit.stages import recorded
from medaudit.stages.book import write_down
from medaudit.stages.outcome import Outcome

PATIENT = "p-" + "0" * 15 + "7"  # of T
OTHER = "p-" + f"{510:016x}"  # of H


def book(folder: Path) -> recorded.Book:
    return recorded.Book(folder / "site.ledger", by="data office", date="20261101")


def audit(folder: Path, name: str, out: str, *released: str, **options: Any) -> Outcome:
    chosen: dict[str, Any] = {"settings": parts.settings(**ledgers.SETTINGS), "device": "cpu", **options}
    cohorts = [folder / one for one in ("T", "H", name)]
    return recorded.audit(book(folder), [folder / one for one in released], *cohorts, folder / out, **chosen)


def release(folder: Path, name: str, audited: str, out: str, *released: str, **options: Any) -> Outcome:
    paths = [folder / one for one in released]
    receivers = options.pop("receivers", ())
    options = {"format": "npz", **options}
    return recorded.release(
        book(folder), paths, receivers, folder / name, folder / audited, folder / out, **options
    )


def rows(folder: Path, kind: str = "") -> list[Event]:
    with Ledger(folder / "site.ledger", write=False) as ledger:
        return [event for event in ledger.check() if kind in ("", event.kind)]


def record(folder: Path, out: str) -> Audit:
    return open_audit(folder / out)[1]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    folder = tmp_path_factory.mktemp("story")
    ledgers.world(folder)
    first = audit(folder, "S1", "A1")
    out = release(folder, "S1", "A1", "R1", receivers=["University B"])
    second = audit(folder, "S2", "A2", "S1")
    again = release(folder, "S2", "A2", "R2", receivers=["Company C"])
    return SimpleNamespace(folder=folder, first=first, out=out, second=second, again=again)


@pytest.fixture
def copy(story: SimpleNamespace, tmp_path: Path) -> Path:
    """The story's folder, to go on from."""
    shutil.copytree(story.folder, tmp_path / "copy")
    return tmp_path / "copy"


def test_two_releases_go_out_and_the_ledger_tells_the_story(story: SimpleNamespace) -> None:
    assert [outcome.exit_code for outcome in (story.first, story.out, story.second, story.again)] == [0] * 4
    kinds = [event.kind for event in rows(story.folder)]
    assert kinds == [
        "opened", "cohort", "cohort", "budget", "audit", "release", "budget", "audit", "release",
    ]  # fmt: skip
    head = rows(story.folder)[-1].hash
    assert story.again.lines[-1] == f"recorded in {story.folder / 'site.ledger'}, row 9; head {head}"
    assert story.again.data["recorded"] == {"row": 9, "kind": "release", "head": head}
    body = rows(story.folder, "release")[0].body
    assert body["images"] == 24 and body["withheld"] == [] and body["receivers"] == ["University B"]
    assert body["date"] == "20261101" and body["by"] == "data office" and body["model"] == "01" * 32


def test_alpha_is_spent_over_the_audits(story: SimpleNamespace) -> None:
    first, second = record(story.folder, "A1"), record(story.folder, "A2")
    assert (first.budget["alpha"], second.budget["alpha"]) == (0.025, pytest.approx(0.05 / 6))
    assert first.ledger and second.ledger
    assert (first.ledger.number, second.ledger.number) == (1, 2)
    assert first.cohort_test.alpha + second.cohort_test.alpha < 0.4 * 0.05
    assert second.bounds.alpha == second.budget["alpha"]  # bounds hold for all releases together
    assert second.reasons[-1] == (
        "By the site's ledger this is audit 2 of these training patients: it spends alpha 0.00833 of 0.05, and all "
        "audits of a patient together stay below 0.05."
    )


def test_the_second_audit_covers_both_releases(story: SimpleNamespace) -> None:
    artifact, second = open_audit(story.folder / "A2")
    first = open_artifact(story.folder / "S1")
    assert second.ledger and second.ledger.cohorts == [first.id]
    assert second.ledger.released_before == len(ledgers.FIRST) and second.ledger.flagged_before == 0
    assert second.counts.synthetic == len(ledgers.FIRST) + len(ledgers.SECOND)
    assert artifact.lineage["released_1"] == first.id
    assert artifact.lineage["synthetic"] == open_artifact(story.folder / "S2").id
    assert "Of the 48 images audited 24 were released before, in an earlier release" in second.reasons[-2]
    assert second.bounds.model_rate_upper is None and second.bounds.wording == second.reasons[0]
    matches, before = read_matches(artifact), read_matches(artifact, RELEASED_MATCHES)
    assert matches.column("synthetic_id").to_pylist() == list(range(24))
    assert before.column("synthetic_id").to_pylist() == list(range(24))
    assert set(before.column("release").to_pylist()) == {rows(story.folder, "release")[0].subject}
    # what was released is compared with T as it would be alone
    alone = read_matches(open_audit(story.folder / "A1")[0])
    assert before.column("distance").to_pylist() == pytest.approx(alone.column("distance").to_pylist())
    assert len(np.load(story.folder / "R2" / "images.npz")["images"]) == 24  # only the new ones go out


def test_the_ledger_names_patients_only_where_a_withdrawal_needs_them(copy: Path) -> None:
    stage.withdraw(copy / "site.ledger", PATIENT, None, "consent withdrawn")
    for event in rows(copy):
        named = "p-0000" in event.text + event.subject
        assert named == (event.kind == "withdrawal")
        assert str(copy) not in event.text and ".png" not in event.text
    stage.export(copy / "site.ledger", copy / "out.jsonl")
    assert (copy / "out.jsonl").read_text().count("p-0000") == 1
    for name in ("A1", "A2"):
        assert "p-0000" not in (copy / name / "audit.json").read_text()
    for file in (copy / "R2").glob("*.json"):
        assert "p-0000" not in file.read_text() and str(copy) not in file.read_text()


def test_repeats_change_nothing(copy: Path) -> None:
    before = (copy / "site.ledger").read_bytes(), file_sha256(copy / "A2" / "manifest.json"), rows(copy)
    audit(copy, "S1", "A1")
    audit(copy, "S2", "A2", "S1")
    outcome = release(copy, "S1", "A1", "R1", receivers=["University B"])
    release(copy, "S2", "A2", "R2")
    assert rows(copy) == before[2] and file_sha256(copy / "A2" / "manifest.json") == before[1]
    assert outcome.data["recorded"]["row"] == 6


def test_what_was_made_but_not_recorded_is_recorded_by_the_next_call(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(recorded, "write_down", killed)
        with pytest.raises(KeyboardInterrupt):
            release(copy, "S2", "A2", "R3", format="png")
    assert (copy / "R3").is_dir() and len(rows(copy, "release")) == 2
    release(copy, "S2", "A2", "R3", format="png")
    assert len(rows(copy, "release")) == 3


def test_an_interrupted_audit_keeps_its_part_of_alpha(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledgers.synthetic(copy / "S3", parts.films(range(700, 724)), copy / "T")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("medaudit.stages.audit.examine_cohorts", killed)
        with pytest.raises(KeyboardInterrupt):
            audit(copy, "S3", "A3", "S1", "S2")
    assert [event.body["number"] for event in rows(copy, "budget")] == [1, 2, 3]
    audit(copy, "S3", "A3", "S2", "S1")  # in whatever order they are given
    assert [event.body["number"] for event in rows(copy, "budget")] == [1, 2, 3]
    found = record(copy, "A3").ledger
    assert found and found.number == 3 and found.released_before == 48


def test_another_seed_is_another_look_and_spends_again(copy: Path) -> None:
    audit(copy, "S2", "A2b", "S1", seed=1)
    assert rows(copy, "budget")[-1].body["number"] == 3


def test_an_earlier_release_must_be_given(copy: Path, story: SimpleNamespace) -> None:
    ledgers.synthetic(copy / "S3", parts.films(range(700, 724)), copy / "T")
    size = len(rows(copy))
    for given, words in (
        ([], "2 earlier releases stand in the ledger for the same training patients"),
        (["S1"], "1 earlier release stands in the ledger"),
        (["S1", "S2", "S3"], "no cohort that was released before"),
    ):
        with pytest.raises(UsageProblem, match=words):
            audit(copy, "S3", "A3", *given)
    with pytest.raises(UsageProblem, match="give the synthetic cohort that it was made from"):
        audit(copy, "S3", "A3", "R1", "S2")
    with pytest.raises(CohortMismatch, match="not a synthetic cohort"):
        audit(copy, "S3", "A3", "T", "S2")
    assert len(rows(copy)) == size and not (copy / "A3").exists()


@pytest.mark.slow
def test_an_audit_that_began_before_a_release_does_not_clear_the_next(copy: Path) -> None:
    """Two audits run side by side: the first one released makes the other one incomplete."""
    (copy / "site.ledger").unlink()
    for name in ("A1", "A2", "R1", "R2"):
        shutil.rmtree(copy / name)
    audit(copy, "S1", "A1")
    audit(copy, "S2", "A2")
    release(copy, "S1", "A1", "R1")
    with pytest.raises(CohortMismatch, match="not audited together with this one"):
        release(copy, "S2", "A2", "R2")
    assert not (copy / "R2").exists() and len(rows(copy, "release")) == 1


def test_an_audit_that_the_ledger_does_not_know(copy: Path) -> None:
    (copy / "site.ledger").unlink()
    with pytest.raises(CohortMismatch, match="is no audit that"):
        release(copy, "S1", "A1", "R9")
    from medaudit.stages import release as plain

    with pytest.raises(UsageProblem, match="made under a ledger; give it as --ledger"):
        plain.run(copy / "S1", copy / "A1", copy / "R9")
    assert not (copy / "R9").exists()


@pytest.mark.slow
def test_a_copy_among_what_is_out_already_stops_the_next_release(tmp_path: Path) -> None:
    """The first audit missed it, as a blind one would: the second finds it, and no withholding helps."""
    ledgers.world(tmp_path)
    shutil.rmtree(tmp_path / "S1")
    films = parts.films(ledgers.FIRST)
    films[5] = add_noise(parts.film(19), 0.02, parts.generator(3))
    ledgers.synthetic(tmp_path / "S1", films, tmp_path / "T")
    audit(tmp_path, "S1", "A1")
    first = open_audit(tmp_path / "A1")[0]
    facts = {
        "synthetic": first.lineage["synthetic"], "train": first.lineage["train"], "audit": first.id,
        "cleared_by": first.id, "images": 24,
        "withheld": [], "receivers": ["University B"], "release_id": "e" * 64, "model": None, "date": "",
    }  # fmt: skip
    with Ledger(tmp_path / "site.ledger", write=True) as ledger:
        ledger.append("release", "d" * 64, facts)
    outcome = audit(tmp_path, "S2", "A2", "S1")
    found = record(tmp_path, "A2")
    assert outcome.exit_code == 10 and found.counts.flagged == 1
    assert found.ledger and found.ledger.flagged_before == 1
    assert (
        found.reasons[0] == "1 flagged image is out already, in an earlier release: no withholding can help."
    )
    assert found.remainder is None and found.next_steps[0].startswith("withdraw the earlier release dddddddd")
    before = read_matches(open_audit(tmp_path / "A2")[0], RELEASED_MATCHES).to_pylist()
    assert [(row["synthetic_id"], row["patient"]) for row in before if row["flagged"]] == [
        (5, ledgers.names([19])[0])
    ]
    options = {"withhold_flagged": True, "train": tmp_path / "T", "holdout": tmp_path / "H"}
    with pytest.raises(NotReleasable, match="out already"):
        release(tmp_path, "S2", "A2", "R2", "S1", **options)
    # withdrawn, it need not be given any more, and the next audit is of S2 alone
    done = stage.withdraw(tmp_path / "site.ledger", None, "dddddddd", "a copy was found", "20261120")
    assert "- tell University B" in done.lines
    audit(tmp_path, "S2", "A3")
    alone = record(tmp_path, "A3")
    assert alone.counts.flagged == 0 and alone.ledger and alone.ledger.releases == []
    with pytest.raises(NotReleasable, match="was withdrawn; it is not released again"):
        release(tmp_path, "S1", "A1", "R1")


@pytest.mark.slow
def test_withholding_keeps_the_place_and_looks_at_the_earlier_release_again(copy: Path) -> None:
    copies = np.concatenate([parts.films([3, 8]), parts.films(range(600, 640))])
    ledgers.synthetic(copy / "S3", copies, copy / "T", "03")
    settings = parts.settings(plants=80, required_kinds=("identity",))
    assert audit(copy, "S3", "A3", "S1", "S2", settings=settings).exit_code == 10
    told = record(copy, "A3")
    assert told.remainder and (told.remainder.synthetic, told.remainder.released_before) == (40, 48)
    assert (
        "the remaining 40 images, with the 48 that are out already, pass the same audit"
        in told.remainder.wording
    )
    assert told.remainder.wording.endswith("--withhold-flagged writes the remaining 40 images.")
    assert told.remainder.wording in told.next_steps and not any(
        "88 image" in step for step in told.next_steps
    )
    options: dict[str, Any] = {
        "withhold_flagged": True, "train": copy / "T", "holdout": copy / "H", "device": "cpu",
    }  # fmt: skip
    with pytest.raises(UsageProblem, match="as --with-release again"):
        release(copy, "S3", "A3", "R3", "S1", **options)
    release(copy, "S3", "A3", "R3", "S1", "S2", **options)
    second = record(copy, "R3.audit")
    assert second.ledger and second.ledger.number == 3 and second.ledger.released_before == 48
    assert second.counts.synthetic == 48 + 40 and second.withheld == [0, 1]
    assert second.budget["alpha"] - second.budget["alpha_spent"] == pytest.approx(0.05 / 12 / 2)
    looks = [(event.body["number"], "second_look_of" in event.body) for event in rows(copy, "budget")]
    assert looks == [(1, False), (2, False), (3, False), (3, True)]  # no fourth part
    assert "audit 3 again: alpha 0.00208 of 0.05" in "\n".join(stage.show(copy / "site.ledger").lines)
    # the same look again, in another form, is no other test; another seed or another choice of images is
    release(copy, "S3", "A3", "R3-png", "S1", "S2", format="png", **options)
    size = len(rows(copy))
    with pytest.raises(UsageProblem, match=r"had its second look, .* it spends a part of its own"):
        release(copy, "S3", "A3", "R3b", "S1", "S2", seed=1, **options)
    assert len(rows(copy)) == size and not (copy / "R3b").exists() and not (copy / "R3b.audit").exists()
    assert rows(copy, "release")[-1].body["withheld"] == [0, 1]
    assert rows(copy, "audit")[-1].body["second_look_of"] == open_artifact(copy / "A3").id
    # what was withheld is not part of what is out
    ledgers.synthetic(copy / "S4", parts.films(range(640, 664)), copy / "T", "04")
    audit(copy, "S4", "A4", "S1", "S2", "S3")
    fourth = record(copy, "A4")
    assert fourth.ledger and fourth.ledger.released_before == 88 and fourth.counts.flagged == 0


@pytest.mark.slow
def test_a_withdrawn_patient_stops_every_further_release(copy: Path) -> None:
    path = copy / "site.ledger"
    outcome = stage.withdraw(path, PATIENT, None, "consent withdrawn", "20261120", "data office")
    told = "\n".join(outcome.lines)
    for name in ("T", "A1", "A2", "S1", "S2", "R1", "R2"):
        assert open_artifact(copy / name).id[:12] in told, name
    assert open_artifact(copy / "H").id[:12] not in told
    assert "- models 010101010101, 020202020202: retire" in told and "tell University B, Company C" in told
    with pytest.raises(NotReleasable, match="1 patient of the training cohort withdrew") as caught:
        release(copy, "S2", "A2", "R3", format="png")
    assert caught.value.exit_code == 10 and PATIENT not in str(caught.value)
    assert not (copy / "R3").exists()
    again = stage.withdraw(path, PATIENT, None, "asked again")
    assert again.data["already"] and again.data["row"] == outcome.data["row"] == 10
    # the next training cohort, without the patient, is free of it; its release needs the earlier ones
    ledgers.real(copy / "T2", [person for person in range(61) if person != 7], "train")
    ledgers.synthetic(copy / "S3", parts.films(range(700, 724)), copy / "T2", "03")
    settings = parts.settings(plants=75, required_kinds=("identity",))
    recorded.audit(
        book(copy), [copy / "S1", copy / "S2"], copy / "T2", copy / "H", copy / "S3", copy / "A3", settings=settings,
        device="cpu",
    )  # fmt: skip
    assert rows(copy, "budget")[-1].body["number"] == 3
    release(copy, "S3", "A3", "R3", format="png")


def test_an_extraction_is_recorded_and_spends_nothing(copy: Path) -> None:
    with Draft(copy / "model", Request("model", {}, 0)) as draft:
        draft.file("note.json").write_text("{}\n")
        model = draft.commit().id
    facts = {"origin": "synthetic", "role": "synthetic"}
    with Draft(copy / "S3", Request("cohort", {}, 0, {"model": model})) as draft:
        writer = CohortWriter(draft, parts.SHAPE, np.uint8)
        films = to_depth(parts.films([*range(700, 724), 3, 3, 3, 3]), np.uint8)
        writer.append(films, [{"file": f"{place}"} for place in range(len(films))])
        writer.finish(note=facts)
    cohorts = [copy / name for name in ("model", "T", "H", "X")]
    for _ in range(2):
        outcome = recorded.extract(book(copy), *cohorts, synthetic=copy / "S3", device="cpu")
    assert [event.kind for event in rows(copy)].count("extract") == 1 and len(rows(copy, "budget")) == 2
    body = rows(copy, "extract")[0].body
    assert body["patients"] == 1 and body["verdict"] == "do-not-release" and outcome.exit_code == 10
    withdrawn = stage.withdraw(copy / "site.ledger", PATIENT, None, "consent withdrawn")
    assert model in withdrawn.data["models"] and open_artifact(copy / "X").id in withdrawn.data["findings"]


def test_one_release_at_a_time(copy: Path) -> None:
    """Two at once would not know of each other."""
    program = (
        "import sys, time; from pathlib import Path; from medaudit.artifacts.store import lock_file\n"
        "lock_file(Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", program, str(copy / ".site.ledger.release")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None and child.stdout.readline() == "held\n"
        with pytest.raises(UsageProblem, match="another release under"):
            release(copy, "S2", "A2", "R3", format="png")
        child.kill()
    release(copy, "S2", "A2", "R3", format="png")


def test_a_held_out_patient_who_withdraws_is_found_too(copy: Path) -> None:
    outcome = stage.withdraw(copy / "site.ledger", OTHER, None, "consent withdrawn")
    assert outcome.data["held_out"] == [open_artifact(copy / "H").id]
    assert outcome.data["trained_on"] == outcome.data["releases"] == outcome.data["models"] == []
    assert len(outcome.data["findings"]) == 2


def test_a_withdrawn_release_is_not_released_again(copy: Path) -> None:
    certified = rows(copy, "release")[0].body["release_id"]
    outcome = stage.withdraw(copy / "site.ledger", None, certified[:8], "wrong labels", "20261120")
    assert outcome.data["releases"] == [open_artifact(copy / "R1").id]
    assert outcome.data["findings"] == [open_artifact(copy / name).id for name in ("A1", "A2")]
    with pytest.raises(NotReleasable, match="was withdrawn; it is not released again"):
        release(copy, "S1", "A1", "R9", format="png")


def test_a_withdrawal_names_the_reviews_of_what_it_touches(copy: Path) -> None:
    facts = {"audit": open_artifact(copy / "A2").id, "cleared": 1, "withheld": 2}
    done = write_down(Outcome(("reviewed",)), book(copy), "review", "f" * 64, facts)
    assert done.data["recorded"]["kind"] == "review"
    withdrawn = stage.withdraw(copy / "site.ledger", PATIENT, None, "consent withdrawn")
    assert withdrawn.data["reviewed"] == ["f" * 64]


WRONG: list[tuple[Callable[[Path], object], str]] = [
    (lambda f: stage.withdraw(f, "MRN-1234567", None, "x"), "never the hospital's own number"),
    (lambda f: stage.withdraw(f, None, "615a", "x"), "at least 8 digits"),
    (lambda f: stage.withdraw(f, None, "00000000", "x"), "no release of this ledger"),
    (lambda f: stage.withdraw(f, PATIENT, "00000000", "x"), "one of them"),
    (lambda f: stage.withdraw(f, None, None, "x"), "one of them"),
    (lambda f: stage.withdraw(f, PATIENT, None, " "), "says why"),
    (lambda f: stage.withdraw(f, PATIENT, None, "two\nlines"), "one line"),
    (lambda f: stage.withdraw(f, PATIENT, None, "\x1b[2Jgone"), "one line"),
    (lambda f: stage.withdraw(f, PATIENT, None, "\u202ereversed"), "one line"),
    (lambda f: stage.withdraw(f, PATIENT, None, "x", "2026-11-20"), "YYYYMMDD"),
    (lambda f: stage.withdraw(f, PATIENT, None, "x", "20261341"), "YYYYMMDD"),
    (lambda f: stage.check(f, "abc"), "64 hex digits"),
]


@pytest.mark.parametrize("number", range(len(WRONG)))
def test_what_cannot_be_recorded_is_refused_in_one_calm_line(story: SimpleNamespace, number: int) -> None:
    call, words = WRONG[number]
    size = len(rows(story.folder))
    with pytest.raises(MedauditError, match=words) as caught:
        call(story.folder / "site.ledger")
    assert "MRN-1234567" not in str(caught.value) and "\n" not in str(caught.value)
    assert len(rows(story.folder)) == size
