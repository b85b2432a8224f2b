"""Findings → report: one document, written as HTML, PDF and JSON."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medaudit.artifacts.authentication import key_line
from medaudit.artifacts.store import Artifact, Draft, Request, finished, write_whole
from medaudit.errors import UsageProblem
from medaudit.progress import SILENT, Progress
from medaudit.stages import linting
from medaudit.stages.evidence import Evidence, details, open_evidence, summarise
from medaudit.stages.outcome import Outcome
from medaudit.stages.pictures import open_pictures
from medaudit.stages.site import NOTHING_STATED, Site

if TYPE_CHECKING:
    from medaudit.linting.known import Known
    from medaudit.render.document import Document

HTML, PDF, JSON = "report.html", "report.pdf", "report.json"
EDITIONS = ("shareable", "confidential")


def run(
    findings: Sequence[Path],
    out: Path,
    edition: str = "shareable",
    train: Path | None = None,
    synthetic: Path | None = None,
    site: Site = NOTHING_STATED,
    forbid: Path | None = None,
    review: Path | None = None,
    key: Path | None = None,
    progress: Progress = SILENT,
    *,
    identities: Path | None = None,
) -> Outcome:
    """Write the report on an audit, an extraction, or both.

    `train` and `synthetic` give the pictures of the confidential edition; `site` what is said beside the findings;
    `forbid` is a file of words that must not occur, `identities` the identity file, whose names must not either;
    `review`: people's decisions on the audit's flags; `key`: the site's key, looked for beside the cohorts and the
    findings where it is not given. Every file is looked through before it is put in place. Raises UsageProblem for
    findings given twice and for images with the shareable edition, FindingsNotAuthentic and FindingsContradict for
    findings that were edited, CohortMismatch for cohorts they were not made from, ReviewMismatch for a review of
    another audit, ReportLeak for a file with what its edition may not hold.
    """
    if edition not in EDITIONS:
        raise UsageProblem(f"edition {edition!r} is not known; choose one of {', '.join(EDITIONS)}")
    if edition == "shareable" and (train is not None or synthetic is not None):
        raise UsageProblem("the shareable edition shows no films; leave --train and --synthetic out")
    near = [path for path in (train, synthetic, *site.cohorts) if path]
    evidence = open_evidence(findings, review, key, near)
    with_pictures = train is not None or synthetic is not None
    settings = {"edition": edition, "pictures": with_pictures, **site.settings(evidence)}
    request = Request("report", settings, parents={**evidence.parents(), **site.parents()})
    known = linting.known_of_site(evidence, site, edition, forbid, identities)
    if done := finished(out, request):
        linting.lint_standing_report(done, known)
    else:
        document = _document(evidence, request.settings, site, train, synthetic, progress)
        done = _write(out, request, document, known, progress)
    verdict = done.manifest["verdict"]
    lines = [f"{edition} report, verdict {verdict}: {out / HTML}, {PDF} and {JSON}"]
    if edition == "confidential":
        lines.append("it names patients by pseudonym and may show their films: it stays inside")
    lines += [key_line(evidence.leading), *linting.not_looked_for(known)]
    data = {"verdict": verdict, "edition": edition, "document_sha256": done.manifest["document"]}
    return Outcome(tuple(lines), data, out)


def _document(
    evidence: Evidence,
    settings: Mapping[str, Any],
    site: Site,
    train: Path | None,
    synthetic: Path | None,
    progress: Progress,
) -> "Document":
    from medaudit.render import build

    shareable = settings["edition"] == "shareable"
    progress.start("report", 4)
    pictures = open_pictures(evidence, train, synthetic)
    summary = summarise(evidence, settings, site.facts(evidence, hide=shareable), hide=shareable)
    document = (
        build.shareable(summary) if shareable else build.confidential(summary, details(evidence, pictures))
    )
    progress.advance()
    return document


def _write(out: Path, request: Request, document: "Document", known: "Known", progress: Progress) -> Artifact:
    from medaudit.render.html import print_html
    from medaudit.render.pdf import print_pdf

    html, text = print_html(document), document.to_json()
    progress.advance()
    pdf = print_pdf(document)
    progress.advance()
    linting.lint_report(document, html, pdf, text, known)
    with Draft(out, request) as draft:
        write_whole(draft.file(HTML), html.encode())
        write_whole(draft.file(PDF), pdf)
        write_whole(draft.file(JSON), text.encode())
        done = draft.commit(document=document.digest(), verdict=document.verdict)
    progress.advance()
    return done
