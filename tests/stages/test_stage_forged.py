"""Findings edited by hand are refused by every command that acts on them, by who holds the site's key and who does not.

In each case the hashes of the manifest fit: only what the files say of each other, and the site's code, is wrong.
"""

from pathlib import Path
from types import SimpleNamespace

import pytest
from forged_parts import both, column, forge, put
from release_parts import make_audit, make_cohort

from medaudit.artifacts.authentication import CODE, KEY_NAME
from medaudit.artifacts.certificate import CERTIFICATE
from medaudit.artifacts.findings import DETECTOR_MATCHES, MATCHES, REFERENCE, open_audit
from medaudit.artifacts.ledger import Ledger
from medaudit.artifacts.pseudonyms import key_fingerprint, load_key, load_or_make_key
from medaudit.artifacts.store import open_artifact
from medaudit.cli.app import run as front
from medaudit.errors import (
    FindingsContradict,
    FindingsNotAuthentic,
    NotReleasable,
    ReleaseBroken,
    UsageProblem,
)
from medaudit.protocol.recheck import contradictions, open_trusted_audit
from medaudit.stages import recorded, release, released, report, review, review_apply
from medaudit.stages.book import Book
from medaudit.stages.site import Site

JSON = "audit.json"
SUPPORTED = put("verdict", value="release-supported")
NO_COUNTS = both(put("counts", "flagged", value=0), put("counts", "patients_exposed", value=0))
NO_FLAGS = {name: column("flagged", False) for name in (MATCHES, DETECTOR_MATCHES)}

FORGERIES = {
    "verdict": {JSON: SUPPORTED},
    "verdict and counts": {JSON: both(SUPPORTED, NO_COUNTS)},
    "verdict, counts and reasons": {
        JSON: both(SUPPORTED, NO_COUNTS, put("reasons", value=["0 of 6 images were found to copy"]))
    },
    "flags of the best matches": {MATCHES: column("flagged", False)},
    "flags everywhere": {JSON: both(SUPPORTED, NO_COUNTS), **NO_FLAGS},
    "flags and detector counts": {
        JSON: both(
            SUPPORTED,
            NO_COUNTS,
            put("detectors", 0, "flagged_familywise", value=0),
            put("detectors", 0, "flagged_fdr", value=0),
        ),
        **NO_FLAGS,
    },
    "p-values": {
        JSON: both(SUPPORTED, NO_COUNTS),
        MATCHES: lambda table: column("p_upper", 1.0)(column("flagged", False)(table)),
        DETECTOR_MATCHES: lambda table: column("p_upper", 1.0)(column("flagged", False)(table)),
    },
    "threshold": {JSON: put("detectors", 0, "score_line", value=1e6)},
    "alpha of a detector": {JSON: put("detectors", 0, "alpha_familywise", value=1e-9)},
    "budget": {JSON: put("budget", "familywise_each", value=1e-9)},
    "reference": {REFERENCE: column("score", 50.0)},
    "without its flags": {JSON: put("without_flags", "verdict", value="inconclusive")},
    "suspects": {JSON: put("counts", "suspects", value=3)},
    "patients exposed": {JSON: put("counts", "patients_exposed", value=0)},
    "withheld rows": {JSON: put("withheld", value=[0, 3])},
    "images": {JSON: put("counts", "synthetic", value=5)},
}


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """S with two flagged images of six, its audit, and the site's key beside them."""
    folder = tmp_path_factory.mktemp("forged")
    cohorts = {
        name: make_cohort(folder / name, seed=seed, origin="synthetic" if name == "S" else "real")
        for seed, name in enumerate("STH")
    }
    parents = {"train_id": cohorts["T"].id, "holdout_id": cohorts["H"].id}
    make_audit(folder / "A", cohorts["S"].id, verdict="do-not-release", flagged=(0, 3), **parents)
    make_audit(folder / "C", cohorts["S"].id, **parents)
    return SimpleNamespace(
        folder=folder, a=folder / "A", s=folder / "S", t=folder / "T", key=folder / KEY_NAME
    )


def acts(case: SimpleNamespace, audit: Path, out: Path) -> dict[str, object]:
    """Every command that acts on an audit."""
    return {
        "report": lambda: report.run([audit], out),
        "report of the audit before": lambda: report.run(
            [case.folder / "C"], out, site=Site(previous=audit, key=case.key)
        ),
        "review": lambda: review.run(audit, case.t, case.s, out),
        "review --apply": lambda: review_apply.run(audit, [], out, site_key=case.key),
        "release": lambda: release.run(case.s, audit, out),
        "ledger": lambda: recorded.release(Book(case.folder / "site.ledger"), [], [], case.s, audit, out),
    }


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_audit_is_refused_by_every_command(case: SimpleNamespace, name: str, tmp_path: Path) -> None:
    with Ledger(case.folder / "site.ledger", write=True):
        pass
    place = case.folder / f"forged {name}"
    forged = forge(case.a, place, FORGERIES[name])
    held = forge(case.a, case.folder / f"held {name}", FORGERIES[name], key=case.key)
    for act in acts(case, forged, tmp_path / "out").values():
        with pytest.raises(FindingsNotAuthentic, match="was changed after medaudit made it"):
            act()  # type: ignore[operator]
    for act in acts(case, held, tmp_path / "out").values():
        with pytest.raises(FindingsContradict, match="the findings were edited"):
            act()  # type: ignore[operator]
    assert not (tmp_path / "out").exists()


def test_the_untouched_audit_is_taken_by_all(case: SimpleNamespace, tmp_path: Path) -> None:
    assert (
        list(contradictions(*open_audit(case.a)))
        == []
        == list(contradictions(*open_audit(case.folder / "C")))
    )
    named = f"findings checked with the key {key_fingerprint(load_key(case.key))}"
    said = report.run([case.a], tmp_path / "report").lines
    assert any(line.startswith(named) for line in said)
    said = release.run(case.s, case.folder / "C", tmp_path / "D", "npz").lines
    assert any(line.startswith(named) for line in said)
    assert (tmp_path / "report" / "report.html").is_file() and (tmp_path / "D" / "manifest.json").is_file()


def test_a_forged_audit_releases_nothing_at_the_front_door(
    case: SimpleNamespace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    forged = forge(case.a, tmp_path / "A", {JSON: both(SUPPORTED, NO_COUNTS)})
    call = ["--synthetic", str(case.s), "--audit", str(forged), "--out", str(tmp_path / "D"), "--quiet"]
    assert front(["release", *call]) == 1
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and "changed after medaudit made it" in said.err
    held = forge(case.a, case.folder / "front", {JSON: both(SUPPORTED, NO_COUNTS)}, key=case.key)
    assert front(["report", str(held), "--out", str(tmp_path / "R"), "--quiet"]) == 1
    assert "the findings were edited" in capsys.readouterr().err
    assert not (tmp_path / "D").exists() and not (tmp_path / "R").exists()


def test_a_key_beside_the_forged_audit_does_not_make_it_authentic(
    case: SimpleNamespace, tmp_path: Path
) -> None:
    """Who forges puts a key of their own beside the audit; the one beside the cohort is the site's."""
    load_or_make_key(tmp_path / KEY_NAME)
    forged = forge(case.folder / "C", tmp_path / "A", {}, key=tmp_path / KEY_NAME)
    with pytest.raises(FindingsNotAuthentic, match="give the key of its site"):
        release.run(case.s, forged, tmp_path / "D")
    with pytest.raises(FindingsNotAuthentic):
        report.run([forged], tmp_path / "R", "confidential", case.t, case.s)


def test_without_a_code_or_a_key_nothing_is_released(case: SimpleNamespace, tmp_path: Path) -> None:
    bare = forge(case.folder / "C", tmp_path / "bare", {})
    (bare / CODE).unlink()
    with pytest.raises(FindingsNotAuthentic, match="carries no authentication code"):
        release.run(case.s, bare, tmp_path / "D")
    for name, text in (("empty", ""), ("long", "x" * 10_000), ("other", "\xff\xfe")):
        (bare / CODE).write_bytes(text.encode("latin-1"))
        with pytest.raises(FindingsNotAuthentic):
            release.run(case.s, bare, tmp_path / f"D-{name}")
    away = tmp_path / "away" / "on" / "another" / "machine"
    away.mkdir(parents=True)
    copy = forge(case.folder / "C", away / "C", {})
    with pytest.raises(UsageProblem, match="give it as --key"):
        open_trusted_audit(copy, None, ())
    artifact, record = open_trusted_audit(case.folder / "C", case.key, ())
    assert record.verdict == "release-supported" and artifact.id == open_artifact(case.folder / "C").id


def test_another_key_is_named(case: SimpleNamespace, tmp_path: Path) -> None:
    load_or_make_key(tmp_path / "other.key")
    with pytest.raises(FindingsNotAuthentic, match="was made with the key"):
        release.run(case.s, case.folder / "C", tmp_path / "D", key=tmp_path / "other.key")
    assert len(load_key(tmp_path / "other.key")) == 32


def test_a_release_that_verify_would_refuse_is_not_written(
    case: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever goes wrong between the audit and the certificate: verify's own checks come before the release stands."""
    made = released.certify

    def wrong(*args: object, **options: object) -> object:
        found = made(*args, **options)  # type: ignore[arg-type]
        return found.model_copy(update={"counts": found.counts.model_copy(update={"flagged": 1})})

    monkeypatch.setattr(released, "certify", wrong)
    with pytest.raises(NotReleasable, match="would not pass medaudit verify"):
        release.run(case.s, case.folder / "C", tmp_path / "D", "npz")
    assert not list(tmp_path.iterdir())


def test_a_report_names_no_release_whose_papers_contradict_each_other(
    case: SimpleNamespace, tmp_path: Path
) -> None:
    release.run(case.s, case.folder / "C", tmp_path / "D", "npz")
    forged = forge(tmp_path / "D", tmp_path / "E", {CERTIFICATE: put("counts", "released", value=3)})
    with pytest.raises(ReleaseBroken, match="counts other images than the manifest"):
        report.run([case.folder / "C"], tmp_path / "R", site=Site(release=forged))
