"""Findings → report: one document, written as HTML, PDF and JSON."""

from collections.abc import Sequence
from pathlib import Path

from medaudit.artifacts.store import Artifact, Draft, Request, finished, write_whole
from medaudit.errors import UsageProblem
from medaudit.progress import SILENT, Progress
from medaudit.stages.evidence import Evidence, details, open_evidence, summarise
from medaudit.stages.outcome import Outcome
from medaudit.stages.pictures import open_pictures

HTML, PDF, JSON = "report.html", "report.pdf", "report.json"
EDITIONS = ("shareable", "confidential")


def run(
    findings: Sequence[Path],
    out: Path,
    edition: str = "shareable",
    train: Path | None = None,
    synthetic: Path | None = None,
    institution: str = "",
    protocol: str = "",
    review: Path | None = None,
    progress: Progress = SILENT,
) -> Outcome:
    """Write the report on an audit, an extraction, or both.

    `review`: people's decisions on the audit's flags. `train` and `synthetic` give the pictures of the confidential
    edition. Raises UsageProblem for findings given twice and for cohorts with the shareable edition, CohortMismatch
    for cohorts the findings were not made from, ReviewMismatch for a review of another audit, ReportLeak when a file
    would hold what its edition may not.
    """
    if edition not in EDITIONS:
        raise UsageProblem(f"edition {edition!r} is not known; choose one of {', '.join(EDITIONS)}")
    if edition == "shareable" and (train is not None or synthetic is not None):
        raise UsageProblem("the shareable edition shows no films; leave --train and --synthetic out")
    evidence = open_evidence(findings, review)
    with_pictures = train is not None or synthetic is not None
    settings = {
        "edition": edition,
        "institution": institution,
        "protocol": protocol,
        "pictures": with_pictures,
    }
    request = Request("report", settings, parents=evidence.parents())
    done = finished(out, request) or _write(out, request, evidence, train, synthetic, progress)
    verdict = done.manifest["verdict"]
    lines = [f"{edition} report, verdict {verdict}: {out / HTML}, {PDF} and {JSON}"]
    if edition == "confidential":
        lines.append("it names patients by pseudonym and may show their films: it stays inside")
    data = {"verdict": verdict, "edition": edition, "document_sha256": done.manifest["document"]}
    return Outcome(tuple(lines), data, out)


def _write(
    out: Path,
    request: Request,
    evidence: Evidence,
    train: Path | None,
    synthetic: Path | None,
    progress: Progress,
) -> Artifact:
    from medaudit.render import build
    from medaudit.render.html import print_html
    from medaudit.render.linter import check_shareable
    from medaudit.render.pdf import print_pdf

    shareable = request.settings["edition"] == "shareable"
    progress.start("report", 4)
    pictures = open_pictures(evidence, train, synthetic)
    summary = summarise(
        evidence, request.settings["institution"], request.settings["protocol"], hide=shareable
    )
    document = (
        build.shareable(summary) if shareable else build.confidential(summary, details(evidence, pictures))
    )
    progress.advance()
    html, text = print_html(document), document.to_json()
    progress.advance()
    pdf = print_pdf(document)
    progress.advance()
    if shareable:
        check_shareable(document, html, pdf, text)
    with Draft(out, request) as draft:
        write_whole(draft.file(HTML), html.encode())
        write_whole(draft.file(PDF), pdf)
        write_whole(draft.file(JSON), text.encode())
        done = draft.commit(document=document.digest(), verdict=document.verdict)
    progress.advance()
    return done
