"""review: a page of flagged pairs and blinded controls, verdicts back, and what a release makes of them."""

import json
import re
import shutil
import stat
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import release_parts
import review_parts as parts
from forged_parts import both, forge, put

from medaudit.artifacts.authentication import KEY_NAME, code_with
from medaudit.artifacts.certificate import CERTIFICATE, read_certificate
from medaudit.artifacts.certified_review import certified_review, wrong_review
from medaudit.artifacts.cohort import open_cohort
from medaudit.artifacts.findings import (
    DETECTOR_MATCHES,
    MATCHES,
    REFERENCE,
    open_audit,
    read_matches,
    write_record,
)
from medaudit.artifacts.ledger import Ledger
from medaudit.artifacts.pseudonyms import load_key
from medaudit.artifacts.review import KEY, PAGE, REVIEW_JSON, open_page, open_review
from medaudit.artifacts.store import Draft, Request, file_sha256, open_artifact
from medaudit.errors import (
    ArtifactBroken,
    ArtifactKindMismatch,
    CohortMismatch,
    FindingsNotAuthentic,
    MedauditError,
    NotReleasable,
    OutputExists,
    ReleaseBroken,
    ReviewMismatch,
    UsageProblem,
)
from medaudit.protocol.cleared import review_facts
from medaudit.stages import recorded, release, report, review, review_apply, verify
from medaudit.stages.site import Site


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """T, H, S, A and the page A.review."""
    folder = tmp_path_factory.mktemp("review")
    audit = parts.audited(folder)
    review.run(audit, folder / "T", folder / "S")
    return folder


def applied(work: Path, out: Path, *bodies: Any, **options: Any) -> Path:
    """The review of these verdicts."""
    out.parent.mkdir(exist_ok=True, parents=True)
    files = [parts.save(out.parent / f"{out.name}-{place}.json", body) for place, body in enumerate(bodies)]
    review_apply.run(work / "A", files, out, **options)
    return out


def two(work: Path, flagged: Any = "not-a-copy", **facts: Any) -> list[dict[str, Any]]:
    page = work / "A.review"
    return [parts.verdicts(page, flagged, reviewer=name, **facts) for name in (parts.CANARY, "Second Reader")]


def test_the_audit_flags_both_copies_and_says_how_it_stands_without(work: Path) -> None:
    record = open_audit(work / "A")[1]
    assert record.verdict == "do-not-release" and record.counts.flagged == 2
    assert record.without_flags is not None and record.without_flags.verdict == "release-supported"
    assert not any("0 of 42" in one for one in record.without_flags.reasons)


def test_the_page_is_private_and_its_key_complete(work: Path) -> None:
    folder = work / "A.review"
    artifact, key = open_page(folder)
    assert set(artifact.manifest["files"]) == {PAGE, KEY}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert all(stat.S_IMODE((folder / name).stat().st_mode) == 0o600 for name in (PAGE, KEY))
    kinds = [item.control for item in key.items]
    assert (kinds.count("planted"), kinds.count("different")) == (27, 27) and kinds.count("") >= 2
    assert {item.synthetic_id for item in key.items if not item.control} == {0, 1}
    matches = read_matches(open_artifact(work / "A"), MATCHES).slice(0, 2).to_pylist()
    pairs = {(item.synthetic_id, item.train_id) for item in key.items if not item.control}
    assert {(row["synthetic_id"], row["train_id"]) for row in matches} <= pairs


def test_controls_are_what_they_are_called(work: Path) -> None:
    patients = open_cohort(work / "T").patients
    controls = [item for item in open_page(work / "A.review")[1].items if item.control]
    for item in controls:
        assert item.synthetic_id is None and item.made_of is not None
        same = patients[item.made_of] == patients[item.train_id]
        assert same == (item.control == "planted")
        assert (item.made_of == item.train_id) == (item.control == "planted")
    planted = [item for item in controls if item.control == "planted"]
    assert len({patients[item.made_of] for item in planted}) == 27
    assert {item.plant for item in planted} == {"identity", "gamma-0.6", "mirror"}


def test_the_page_tells_nothing_of_what_its_items_are(work: Path) -> None:
    text = (work / "A.review" / PAGE).read_text()
    key = json.loads((work / "A.review" / KEY).read_text())
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])  # type: ignore[index]
    assert [one["item"] for one in data["items"]] == [one["item"] for one in key["items"]]
    assert all(set(one) == {"item", "image", "film", "untouched", "done"} for one in data["items"])
    without = re.sub(r"data:image/png;base64,[A-Za-z0-9+/=]+", "", text)
    for telling in ("planted", "synthetic_id", "train_id", "p-0003", "score", 'patient"', str(work)):
        assert telling not in without, telling
    assert not re.search(r"<(?:img|link|iframe|a)\b[^>]*(?:src|href)=|https?://|url\(|@import", without)
    assert "default-src 'none'" in unescape(without) and "unsafe" not in without
    order = [one["control"] for one in key["items"]]
    assert order != sorted(order) and len(set(order[:12])) > 1  # mixed, not in blocks


def test_the_same_seed_gives_the_same_page_and_another_seed_another(work: Path, tmp_path: Path) -> None:
    for name, seed in (("one", 0), ("two", 5)):
        review.run(work / "A", work / "T", work / "S", tmp_path / name, seed=seed)
    again, other = (tmp_path / name / PAGE for name in ("one", "two"))
    assert again.read_bytes() == (work / "A.review" / PAGE).read_bytes() != other.read_bytes()
    before = (work / "A.review" / PAGE).stat().st_mtime_ns
    assert review.run(work / "A", work / "T", work / "S").data["pairs"] >= 2
    assert (work / "A.review" / PAGE).stat().st_mtime_ns == before
    with pytest.raises(OutputExists):
        review.run(work / "A", work / "T", work / "S", seed=5)


def test_two_reviewers_who_see_copies_clear_what_is_none(work: Path, tmp_path: Path) -> None:
    out = applied(work, tmp_path / "R", *two(work))
    artifact, record = open_review(out)
    assert (record.flagged, record.cleared, record.stands, record.withheld) == (2, 2, 0, 0)
    assert [one.trusted for one in record.reviewers] == [True, True]
    assert record.reviewers[0].sensitivity and record.reviewers[0].sensitivity.count == 27
    assert record.reviewers[1].specificity and record.reviewers[1].specificity.of == 27
    assert record.agreement[0].kappa is None and record.agreement[0].agreed == record.agreement[0].pairs
    assert record.reasons["anatomy"] == sum(len(p.answers) for one in record.images for p in one.pairs)
    assert artifact.lineage["audit"] == open_artifact(work / "A").id
    assert stat.S_IMODE((out / REVIEW_JSON).stat().st_mode) == 0o600


def test_a_ledger_records_a_review_once(work: Path, tmp_path: Path) -> None:
    files = [parts.save(tmp_path / f"{place}.json", body) for place, body in enumerate(two(work))]
    book = recorded.Book(tmp_path / "site.ledger", "Board", "20261124")
    for _ in range(2):
        outcome = recorded.review(book, work / "A", files, tmp_path / "reviewed")
    with Ledger(book.path, write=False) as ledger:
        (event,) = [one for one in ledger.events() if one.kind == "review"]
    assert event.subject == open_artifact(tmp_path / "reviewed").id
    assert event.body["audit"] == open_artifact(work / "A").id and event.body["by"] == "Board"
    assert (event.body["cleared"], event.body["withheld"]) == (2, 0)
    assert outcome.data["recorded"]["row"] == event.number and parts.CANARY not in str(event.body)


@pytest.mark.parametrize(
    ("flagged", "facts", "options", "counts"),
    [
        ({0: "not-a-copy", 1: "not-a-copy"}, {"missed": 1}, {}, (2, 0, 0)),
        ({0: "not-a-copy", 1: "not-a-copy"}, {"missed": 2}, {}, (0, 2, 0)),
        ({0: "not-a-copy", 1: "not-a-copy"}, {"missed": 2}, {"sensitivity": 0.7}, (2, 0, 0)),
        ({0: "not-a-copy", 1: "unsure"}, {}, {}, (1, 1, 0)),
        ({0: "same-person", 1: "copy"}, {}, {}, (0, 2, 0)),
        ({0: "not-a-copy", 1: "not-a-copy"}, {}, {"reviewers": 3}, (0, 2, 0)),
    ],
)
def test_what_is_not_cleared_by_all_stands(
    work: Path, tmp_path: Path, flagged: Any, facts: Any, options: Any, counts: Any
) -> None:
    record = open_review(applied(work, tmp_path / "R", *two(work, flagged, **facts), **options))[1]
    assert (record.cleared, record.stands, record.withheld) == counts
    assert all(one.why for one in record.images)


def test_disagreement_keeps_a_flag_and_one_reviewer_is_too_few_unless_asked_for(
    work: Path, tmp_path: Path
) -> None:
    first, second = two(work)
    second["answers"] = parts.verdicts(work / "A.review", {0: "copy", 1: "not-a-copy"})["answers"]
    record = open_review(applied(work, tmp_path / "R", first, second))[1]
    assert [one.decision for one in record.images] == ["stands", "cleared"]
    assert record.agreement[0].kappa is not None and record.agreement[0].low is not None
    assert open_review(applied(work, tmp_path / "alone", first))[1].cleared == 0
    assert open_review(applied(work, tmp_path / "enough", first, reviewers=1))[1].cleared == 2


def test_a_reviewer_may_ask_to_leave_an_image_out(work: Path, tmp_path: Path) -> None:
    first, second = two(work)
    items = {item.item for item in open_page(work / "A.review")[1].items if item.synthetic_id == 1}
    for one in second["answers"]:
        one["withhold"] = one["item"] in items
    record = open_review(applied(work, tmp_path / "R", first, second))[1]
    assert [one.decision for one in record.images] == ["cleared", "withheld"]


def broken(work: Path) -> list[tuple[str, Any, str]]:
    """(what, a file's content, what the message says)."""
    good = parts.verdicts(work / "A.review")
    first = good["answers"][0]
    rest = good["answers"][1:]
    bare = {**first, "answer": "not-a-copy", "reason": None}
    return [
        ("not JSON", "{", "medaudit.verdicts/1"),
        ("a list", [], "medaudit.verdicts/1"),
        ("another schema", {**good, "schema": "medaudit.verdicts/9"}, "schema"),
        ("another page", {**good, "page": "f" * 64}, "another page"),
        ("an unknown pair", {**good, "answers": [*good["answers"], {**first, "item": "0" * 16}]}, "not on the page"),
        ("a pair twice", {**good, "answers": [*good["answers"], first]}, "twice"),
        ("a pair missing", {**good, "answers": rest}, "1 of"),
        ("no answers", {**good, "answers": []}, "without an answer"),
        ("an unknown answer", {**good, "answers": [{**first, "answer": "maybe"}, *rest]}, "answer"),
        ("an unknown reason", {**good, "answers": [{**first, "reason": "mood"}, *rest]}, "reason"),
        ("no reason", {**good, "answers": [bare, *rest]}, "without a reason"),
        ("other without a note", {**good, "answers": [{**bare, "reason": "other"}, *rest]}, "without a reason"),
        ("a field too many", {**good, "answers": [{**first, "sore": 1}, *rest]}, "medaudit.verdicts/1"),
        ("a long note", {**good, "answers": [{**first, "note": "x" * 2001}, *rest]}, "note"),
        ("no name", {**good, "reviewer": "  "}, "reviewer"),
        ("a control character", {**good, "reviewer": "a\x1bb"}, "reviewer"),
        ("turned writing", {**good, "reviewer": "a\u202eb"}, "reviewer"),
        ("a pseudonym for the outside", {**good, "named_as": "p-00c0ffee00c0ffee"}, "named_as"),
        ("a path for the outside", {**good, "named_as": "/ward7/x"}, "named_as"),
        ("a date for the outside", {**good, "named_as": "born 1961-02-13"}, "named_as"),
        ("no day", {**good, "date": "yesterday"}, "date"),
    ]  # fmt: skip


def test_verdicts_that_do_not_fit_are_refused_in_one_line_and_nothing_is_written(
    work: Path, tmp_path: Path
) -> None:
    cases = broken(work)
    assert len(cases) >= 20
    for what, body, said in cases:
        file = parts.save(tmp_path / "v.json", body)
        with pytest.raises(ReviewMismatch) as caught:
            review_apply.run(work / "A", [file], tmp_path / "R")
        message = str(caught.value)
        assert said in message and "\n" not in message and "ward7" not in message, (what, message)
        assert "c0ffee" not in message and not (tmp_path / "R").exists() and not list(tmp_path.glob(".R*"))


def test_one_reviewer_does_not_count_twice(work: Path, tmp_path: Path) -> None:
    first = parts.verdicts(work / "A.review")
    second = {**parts.verdicts(work / "A.review", "unsure"), "reviewer": "dr.  canary REVIEWER"}
    with pytest.raises(ReviewMismatch, match="one reviewer"):
        applied(work, tmp_path / "R", first, second)


def test_edited_or_foreign_parts_are_refused(work: Path, tmp_path: Path) -> None:
    file = parts.save(tmp_path / "v.json", parts.verdicts(work / "A.review"))
    for name, edited in (("A", "audit.json"), ("A.review", KEY), ("A.review", PAGE)):
        copy = tmp_path / f"copy-{edited}"
        copy.mkdir()
        for part in ("A", "A.review"):
            shutil.copytree(work / part, copy / part)
        shutil.copy(work / KEY_NAME, copy)
        changed = copy / name / edited
        changed.write_text(changed.read_text().replace("2", "3", 1))
        with pytest.raises(ArtifactBroken):
            review_apply.run(copy / "A", [file], tmp_path / "R")
    with pytest.raises(ArtifactKindMismatch):
        review_apply.run(work / "A", [file], tmp_path / "R", page=work / "S")
    with pytest.raises(CohortMismatch):
        review.run(work / "A", work / "S", work / "T", tmp_path / "P")
    with pytest.raises(ReviewMismatch, match="another audit"):
        review_apply.run(
            another(work, tmp_path / "B"),
            [file],
            tmp_path / "R",
            page=work / "A.review",
            site_key=work / KEY_NAME,
        )
    for options in ({"reviewers": 0}, {"sensitivity": 0.4}, {"sensitivity": 1.0}):
        with pytest.raises(UsageProblem):
            review_apply.run(work / "A", [file], tmp_path / "R", **options)  # type: ignore[arg-type]
    with pytest.raises(UsageProblem):
        review.run(work / "A", work / "T", work / "S", tmp_path / "P", pairs=0)


def another(work: Path, out: Path) -> Path:
    """The same audit as another artifact."""
    artifact, record = open_audit(work / "A")
    with Draft(out, Request("findings", {**artifact.settings, "again": True}, 0, artifact.lineage)) as draft:
        write_record(draft.file("audit.json"), record)
        for name in (MATCHES, DETECTOR_MATCHES, REFERENCE):
            shutil.copy(work / "A" / name, draft.file(name))
        draft.commit(seal=code_with(load_key(work / KEY_NAME)))
    return out


def test_a_kill_between_the_files_leaves_nothing_half_applied(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [parts.save(tmp_path / f"{place}.json", body) for place, body in enumerate(two(work))]

    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Draft, "commit", killed)
        with pytest.raises(KeyboardInterrupt):
            review_apply.run(work / "A", files, tmp_path / "R")
    with pytest.raises(MedauditError):
        open_review(tmp_path / "R")
    assert review_apply.run(work / "A", files, tmp_path / "R").data["cleared"] == 2
    assert open_review(tmp_path / "R")[1].cleared == 2 and not list(tmp_path.glob(".R*"))


def test_a_release_with_every_flag_cleared_says_so(work: Path, tmp_path: Path) -> None:
    reviewed = applied(work, tmp_path / "R", *two(work))
    with pytest.raises(NotReleasable):
        release.run(work / "S", work / "A", tmp_path / "D", format="npz")
    outcome = release.run(work / "S", work / "A", tmp_path / "D", format="npz", review=reviewed)
    assert outcome.data["released"] == 42 and outcome.data["withheld"] == 0
    certificate = read_certificate(tmp_path / "D" / CERTIFICATE)
    found = certificate.review
    assert certificate.verdict == "release-supported" and certificate.counts.flagged == 2
    assert found is not None and found.cleared == 2 and found.reasons == {"anatomy": 4}
    assert [one.named_as for one in found.reviewers] == ["chest radiologist"] * 2
    assert "2 of 42 images were flagged" in certificate.reasons[0]
    assert certificate.bounds.model_rate_upper is None and certificate.bounds.hidden_copies is None
    verify.run(tmp_path / "D")
    everything = b"".join(path.read_bytes() for path in (tmp_path / "D").iterdir())
    assert b"Canary" not in everything and b"Second Reader" not in everything


def test_a_review_or_page_edited_by_hand_clears_nothing(work: Path, tmp_path: Path) -> None:
    kept = applied(work, tmp_path / "kept", *two(work, "copy"))
    clear = both(put("cleared", value=2), put("stands", value=0), *(
        put("images", place, "decision", value="cleared") for place in (0, 1)
    ))  # fmt: skip
    forged = forge(kept, tmp_path / "R", {REVIEW_JSON: clear})
    with pytest.raises(FindingsNotAuthentic):
        release.run(work / "S", work / "A", tmp_path / "D", format="npz", review=forged)
    with pytest.raises(FindingsNotAuthentic):
        report.run([work / "A"], tmp_path / "report", review=forged)
    unblinded = forge(work / "A.review", tmp_path / "P", {KEY: put("items", 0, "control", value="planted")})
    file = parts.save(tmp_path / "v.json", parts.verdicts(work / "A.review"))
    with pytest.raises(FindingsNotAuthentic):
        review_apply.run(work / "A", [file], tmp_path / "again", page=unblinded)
    assert not (tmp_path / "D").exists() and not (tmp_path / "report").exists()


def test_a_flag_that_stands_is_withheld_and_the_rest_audited_again(work: Path, tmp_path: Path) -> None:
    reviewed = applied(work, tmp_path / "R", *two(work, {0: "not-a-copy", 1: "copy"}))
    with pytest.raises(NotReleasable, match="--withhold-flagged") as caught:
        release.run(work / "S", work / "A", tmp_path / "D", format="npz", review=reviewed)
    assert caught.value.exit_code == 10 and not (tmp_path / "D").exists()
    outcome = release.run(
        work / "S", work / "A", tmp_path / "D", format="npz", review=reviewed,
        withhold_flagged=True, train=work / "T", holdout=work / "H",
    )  # fmt: skip
    assert (outcome.data["released"], outcome.data["withheld"]) == (41, 1)
    certificate = read_certificate(tmp_path / "D" / CERTIFICATE)
    assert certificate.review is not None and certificate.review.cleared == certificate.counts.flagged == 1
    verify.run(tmp_path / "D")


def test_a_review_of_another_audit_clears_nothing(work: Path, tmp_path: Path) -> None:
    reviewed = applied(work, tmp_path / "R", *two(work))
    other = another(work, tmp_path / "B")
    with pytest.raises(ReviewMismatch):
        release.run(work / "S", other, tmp_path / "D", format="npz", review=reviewed)


def test_a_certificate_that_clears_without_grounds_is_not_believed(work: Path, tmp_path: Path) -> None:
    """Whoever makes up a certificate needs more than a number: counts, limits and votes are checked again."""
    reviewed = applied(work, tmp_path / "R", *two(work))
    release.run(work / "S", work / "A", tmp_path / "D", format="npz", review=reviewed)
    found = read_certificate(tmp_path / "D" / CERTIFICATE).review
    assert found is not None and not list(wrong_review(found))
    person = found.reviewers[0]
    assert person.sensitivity is not None
    better = person.sensitivity.model_copy(update={"count": 5})
    for changes in (
        {"cleared": 0},
        {"required_reviewers": 3},
        {"required_reviewers": 0},
        {"required_sensitivity": 0.1},
        {"required_sensitivity": 0.95},
        {"reasons": {}},
        {"reviewers": [person.model_copy(update={"sensitivity": better}), person]},
        {"reviewers": [person.model_copy(update={"trusted": False}), person]},
        {"reviewers": []},
    ):
        assert list(wrong_review(found.model_copy(update=changes))), changes
    body = json.loads((tmp_path / "D" / CERTIFICATE).read_text())
    body["review"] = None
    manifest = json.loads((tmp_path / "D" / "manifest.json").read_text())
    (tmp_path / "D" / CERTIFICATE).write_text(json.dumps(body))
    manifest["files"][CERTIFICATE] = file_sha256(tmp_path / "D" / CERTIFICATE)
    (tmp_path / "D" / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ReleaseBroken, match="does not say that the release is supported"):
        verify.run(tmp_path / "D")


def test_the_report_names_cleared_flags_by_edition(work: Path, tmp_path: Path) -> None:
    first, second = two(work)
    for one in first["answers"]:
        one["note"] = "see <b>bed 7</b> p-00c0ffee00c0ffee"
    reviewed = applied(work, tmp_path / "R", first, second)
    report.run([work / "A"], tmp_path / "out", review=reviewed)
    report.run([work / "A"], tmp_path / "in", edition="confidential", review=reviewed)
    shown, inside = (json.loads((tmp_path / name / "report.json").read_text()) for name in ("out", "in"))
    titles = [section["title"] for section in shown["sections"]]
    assert "Flags that people looked at" in titles and "Flags, decision by decision" not in titles
    text = json.dumps(shown) + (tmp_path / "out" / "report.html").read_text()
    assert "Of 2 flagged images 2 were cleared" in text and "other grounds support a release" in text
    assert "chest radiologist" in text
    assert (
        "the anatomy differs" in text
        and "Canary" not in text
        and "bed 7" not in text
        and "c0ffee" not in text
    )
    assert parts.CANARY in json.dumps(inside) and "bed 7" in json.dumps(inside)
    html = (tmp_path / "in" / "report.html").read_text()
    assert "&lt;b&gt;bed 7" in html and "<b>bed" not in html
    with pytest.raises(ReviewMismatch):
        report.run([another(work, tmp_path / "B")], tmp_path / "x", review=reviewed, key=work / KEY_NAME)


def test_what_is_not_on_the_page_stays_flagged(work: Path, tmp_path: Path) -> None:
    outcome = review.run(work / "A", work / "T", work / "S", tmp_path / "P", pairs=1)
    assert outcome.data["not_shown"] == 1 and any("not on it" in line for line in outcome.lines)
    bodies = [parts.verdicts(tmp_path / "P", reviewer=name) for name in ("one", "two")]
    record = open_review(applied(work, tmp_path / "R", *bodies, page=tmp_path / "P"))[1]
    assert (record.cleared, record.stands) == (1, 1)
    assert [one.why for one in record.images if one.decision == "stands"] == [
        "it was not shown to a reviewer"
    ]
    with pytest.raises(ReviewMismatch, match="another page"):
        applied(work, tmp_path / "R2", *bodies)


def test_without_controls_nobody_is_known_to_see_and_nothing_is_cleared(work: Path, tmp_path: Path) -> None:
    review.run(work / "A", work / "T", work / "S", tmp_path / "P", controls=0)
    bodies = [parts.verdicts(tmp_path / "P", reviewer=name) for name in ("one", "two")]
    record = open_review(applied(work, tmp_path / "R", *bodies, page=tmp_path / "P"))[1]
    assert record.cleared == 0 and record.reviewers[0].sensitivity is None


def test_an_audit_that_flags_nothing_has_nothing_to_review(tmp_path: Path) -> None:
    made = release_parts.make_cohort(tmp_path / "S")
    release_parts.make_audit(tmp_path / "A", made.id)
    with pytest.raises(UsageProblem, match="nothing to review"):
        review.run(tmp_path / "A", tmp_path / "T", tmp_path / "S")
    assert not (tmp_path / "A.review").exists()


@pytest.fixture(scope="module")
def partly(work: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """R clears row 0 (anatomy) and not row 1; D is released by it, row 1 withheld and the rest audited again."""
    folder = tmp_path_factory.mktemp("partly")
    reviewed = applied(work, folder / "R", *two(work, {0: "not-a-copy", 1: "copy"}))
    release.run(
        work / "S", work / "A", folder / "D", format="npz", review=reviewed, withhold_flagged=True,
        train=work / "T", holdout=work / "H",
    )  # fmt: skip
    return folder


def test_a_report_fits_a_release_by_review_and_withholding_at_once(
    work: Path, partly: Path, tmp_path: Path
) -> None:
    site = Site(release=partly / "D")
    report.run([work / "A"], tmp_path / "out", review=partly / "R", site=site)
    shown = json.loads((tmp_path / "out" / "report.json").read_text())
    text = unescape((tmp_path / "out" / "report.html").read_text())
    done = open_artifact(partly / "D")
    assert ["Release id", f"{done.id[:16]} (41 images, npz, 1 withheld, 1 cleared by people)"] in [
        [name, value[:16] + value[value.index(" ") :]]
        for name, value in shown["header"]
        if name == "Release id"
    ]
    found = shown["numbers"]["release"]
    assert found["second_look_id"] == open_artifact(partly / "D.audit").id and found["withheld"] == 1
    assert found["review_id"] == open_artifact(partly / "R").id and found["cleared"] == 1
    assert (
        "Then 1 image was left out and the rest was audited again; that second look supports the release"
        in text
    )
    assert "medaudit release will not write it" not in text and "Only the images of the release named" in text
    assert found["second_look_id"] in text and found["review_id"] in text
    # without the review at hand the report still fits; with another one it does not
    report.run([work / "A"], tmp_path / "bare", site=site)
    other = applied(work, tmp_path / "R2", *two(work))
    with pytest.raises(CohortMismatch, match="rests on another review"):
        report.run([work / "A"], tmp_path / "x", review=other, site=site)
    with pytest.raises(CohortMismatch, match="not released under this audit"):
        report.run([another(work, tmp_path / "B")], tmp_path / "y", site=site, key=work / KEY_NAME)


def test_the_ledger_is_told_who_doubted_and_not_who_was_too_few(work: Path, tmp_path: Path) -> None:
    record = open_review(applied(work, tmp_path / "R1", *two(work), reviewers=3))[1]
    assert review_facts(record, [])["pairs"] == {"cleared": [], "kept": []} and record.stands == 2
    record = open_review(applied(work, tmp_path / "R2", *two(work, {0: "not-a-copy", 1: "unsure"})))[1]
    found = review_facts(record, [])["pairs"]
    assert {image for image, _ in found["cleared"]} == {0} and {image for image, _ in found["kept"]} == {1}
    assert review_facts(record, [], {0})["pairs"]["cleared"] == []  # it did not go out
    first, second = two(work, {0: "not-a-copy", 1: "not-a-copy"})
    for one in first["answers"]:
        one["withhold"] = one["answer"] == "not-a-copy"
    record = open_review(applied(work, tmp_path / "R3", first, second))[1]
    assert record.withheld == 2 and review_facts(record, [])["pairs"] == {"cleared": [], "kept": []}


def test_reasons_are_counted_over_what_goes_out(work: Path, partly: Path, tmp_path: Path) -> None:
    """Both flags are cleared, row 1 for its objects; then row 1 is left out for another cause."""
    first, second = two(work)
    key = json.loads((work / "A.review" / KEY).read_text())
    rows = {item["item"]: item["synthetic_id"] for item in key["items"]}
    for body in (first, second):
        for one in body["answers"]:
            if rows[one["item"]] == 1:
                one["reason"] = "objects"
    artifact, record = open_review(applied(work, tmp_path / "R", first, second))
    assert set(record.reasons) == {"anatomy", "objects"}
    said = certified_review(record, artifact.id, {1})
    pairs = next(len(one.pairs) for one in record.images if one.synthetic_id == 0)
    assert said.cleared == 1 and said.reasons == {"anatomy": 2 * pairs} and not list(wrong_review(said))
    assert certified_review(record, artifact.id, set()).reasons == record.reasons
    certificate = read_certificate(partly / "D" / CERTIFICATE)
    assert certificate.review is not None and sum(certificate.review.reasons.values()) == 2 * pairs
    assert not any("copies in at most" in reason for reason in certificate.reasons)
    assert certificate.bounds.wording not in certificate.reasons[1:]


@pytest.mark.slow
def test_a_cleared_review_is_kept_after_a_second_look_for_letters(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both flags cleared, two images left out for letters, one of them a cleared one: one cleared flag goes out."""
    reviewed = applied(work, tmp_path / "R", *two(work))
    monkeypatch.setattr(release, "rows_with_letters", lambda *_: (1, 7))
    cohorts = {"train": work / "T", "holdout": work / "H"}
    outcome = release.run(
        work / "S", work / "A", tmp_path / "D", format="npz", review=reviewed, withhold_text=True, **cohorts
    )
    assert (outcome.data["released"], outcome.data["withheld"]) == (40, 2)
    certificate = read_certificate(tmp_path / "D" / CERTIFICATE)
    assert certificate.review is not None and certificate.review.cleared == certificate.counts.flagged == 1
    assert (
        certificate.review.reasons == {"anatomy": 2}
        and "1 of 40 images was flagged" in certificate.reasons[0]
    )
    assert open_artifact(tmp_path / "D").lineage["review"] == open_artifact(reviewed).id
    verify.run(tmp_path / "D")
