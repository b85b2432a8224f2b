"""report: findings to HTML, PDF and JSON; editions, refusals, lineage, determinism, size."""

import json
import stat
import time
from pathlib import Path

import pytest
import report_samples as samples

from medaudit.artifacts.store import open_artifact
from medaudit.errors import ArtifactKindMismatch, CohortMismatch, OutputExists, ReportLeak, UsageProblem
from medaudit.linting.pdf import read_pdf
from medaudit.stages import report
from medaudit.stages.site import Site

pytestmark = pytest.mark.usefixtures("records_by_hand")

FILES = ("report.html", "report.pdf", "report.json")


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An audit that refuses, its extraction, T and S; one audit that supports."""
    folder = tmp_path_factory.mktemp("report")
    train = samples.write_cohort(folder / "T", 61, "train", 1)
    synthetic = samples.write_cohort(folder / "S", 256, "synthetic", 2)
    parents = {"train": train.id, "synthetic": synthetic.id}
    samples.write_findings(folder / "A", samples.audit("refused"), parents)
    samples.write_findings(folder / "B", samples.audit("supported"), parents)
    samples.write_findings(folder / "X", samples.extraction(), {"train": train.id})
    return folder


def test_a_shareable_report(work: Path, tmp_path: Path) -> None:
    outcome = report.run([work / "A", work / "X"], tmp_path / "R", site=Site("St. Example Hospital", "P1"))
    artifact = open_artifact(tmp_path / "R", "report")
    assert set(artifact.manifest["files"]) == set(FILES)
    assert artifact.lineage == {
        "audit": open_artifact(work / "A").id,
        "extract": open_artifact(work / "X").id,
    }
    body = json.loads((tmp_path / "R" / "report.json").read_text())
    assert body["edition"] == "shareable" and body["verdict"] == "do-not-release"
    assert ("Institution", "St. Example Hospital") in [tuple(item) for item in body["header"]]
    assert outcome.exit_code == 0 and outcome.data["verdict"] == "do-not-release"
    assert outcome.data["document_sha256"] == body["document_sha256"] == artifact.manifest["document"]
    assert stat.S_IMODE((tmp_path / "R" / "report.html").stat().st_mode) == 0o600


def test_no_pseudonym_anywhere_in_a_shareable_report(work: Path, tmp_path: Path) -> None:
    report.run([work / "A"], tmp_path / "R")
    everything = b"".join((tmp_path / "R" / name).read_bytes() for name in (*FILES, "manifest.json"))
    pages = "".join(read_pdf((tmp_path / "R" / "report.pdf").read_bytes()).pages)
    for number in range(60):
        assert samples.pseudonym(number).encode() not in everything
        assert samples.pseudonym(number) not in pages
    assert str(tmp_path).encode() not in everything and str(work).encode() not in everything


def test_the_same_findings_give_the_same_bytes(work: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        report.run([work / "B"], tmp_path / name)
    for file in (*FILES, "manifest.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_a_second_call_uses_what_stands_and_another_edition_does_not_overwrite(
    work: Path, tmp_path: Path
) -> None:
    report.run([work / "X"], tmp_path / "R")
    before = (tmp_path / "R" / "report.html").stat().st_mtime_ns
    assert report.run([work / "X"], tmp_path / "R").data["verdict"] == "do-not-release"
    assert (tmp_path / "R" / "report.html").stat().st_mtime_ns == before
    with pytest.raises(OutputExists):
        report.run([work / "X"], tmp_path / "R", edition="confidential")


def test_a_confidential_report_shows_pairs_and_names_pseudonyms(work: Path, tmp_path: Path) -> None:
    outcome = report.run(
        [work / "A"], tmp_path / "R", edition="confidential", train=work / "T", synthetic=work / "S"
    )
    html = (tmp_path / "R" / "report.html").read_text()
    assert html.count("data:image/png;base64,") == 12
    assert html.count("p-0") > 25 and "CONFIDENTIAL" in html
    assert read_pdf((tmp_path / "R" / "report.pdf").read_bytes()).images == 12
    assert any("stays inside" in line for line in outcome.lines)
    assert len(html) < 5_000_000


def test_without_cohorts_the_confidential_report_has_the_table_only(work: Path, tmp_path: Path) -> None:
    report.run([work / "A"], tmp_path / "R", edition="confidential")
    html = (tmp_path / "R" / "report.html").read_text()
    assert "data:image/png" not in html and "Matches, by pseudonym" in html


def test_an_extraction_alone_names_whom_it_extracted(work: Path, tmp_path: Path) -> None:
    synthetic = open_artifact(work / "S").id
    samples.write_findings(
        work / "X-alone",
        samples.extraction(),
        {"train": open_artifact(work / "T").id, "synthetic": synthetic},
    )
    report.run(
        [work / "X-alone"], tmp_path / "R", edition="confidential", train=work / "T", synthetic=work / "S"
    )
    html = (tmp_path / "R" / "report.html").read_text()
    assert "26 more are in matches.parquet of the extraction" in html
    assert html.count("data:image/png;base64,") == 12 and "What the model gives away" in html


def test_ten_thousand_matches_stay_small_and_quick(tmp_path: Path) -> None:
    samples.write_findings(tmp_path / "A", samples.audit("refused", synthetic=10_000))
    began = time.monotonic()
    report.run([tmp_path / "A"], tmp_path / "R", edition="confidential")
    assert time.monotonic() - began < 60
    assert (tmp_path / "R" / "report.html").stat().st_size < 5_000_000
    assert (tmp_path / "R" / "report.pdf").stat().st_size < 5_000_000


def test_wrong_calls_are_refused_in_one_line(work: Path, tmp_path: Path) -> None:
    cases = [
        ({"findings": []}, UsageProblem),
        ({"findings": [work / "A", work / "B"]}, UsageProblem),
        ({"findings": [work / "T"]}, ArtifactKindMismatch),
        ({"findings": [work / "missing"]}, ArtifactKindMismatch),
        ({"findings": [work / "A"], "edition": "public"}, UsageProblem),
        ({"findings": [work / "A"], "train": work / "T"}, UsageProblem),
        ({"findings": [work / "A"], "edition": "confidential", "train": work / "T"}, UsageProblem),
        (
            {
                "findings": [work / "A"],
                "edition": "confidential",
                "train": work / "S",
                "synthetic": work / "T",
            },
            CohortMismatch,
        ),
        ({"findings": [work / "A"], "site": Site(samples.pseudonym(3))}, ReportLeak),
        ({"findings": [work / "A"], "site": Site(protocol="/srv/films/a")}, ReportLeak),
    ]
    for arguments, problem in cases:
        with pytest.raises(problem) as caught:
            report.run(out=tmp_path / "R", **arguments)  # type: ignore[arg-type]
        assert "\n" not in str(caught.value) and len(str(caught.value)) > 20
        assert not (tmp_path / "R").exists() and not list(tmp_path.glob(".R*"))


def test_findings_of_two_training_cohorts_do_not_mix(work: Path, tmp_path: Path) -> None:
    samples.write_findings(tmp_path / "X", samples.extraction(), {"train": "f" * 64})
    with pytest.raises(CohortMismatch):
        report.run([work / "A", tmp_path / "X"], tmp_path / "R")
