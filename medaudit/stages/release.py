"""medaudit release: writes the images that an audit cleared, marked as synthetic, with a certificate."""

from datetime import date as calendar_date
from pathlib import Path
from typing import Any

import numpy as np

from medaudit.artifacts.certificate import CERTIFICATE, certify, refuse_pseudonyms
from medaudit.artifacts.cohort import Cohort, open_cohort
from medaudit.artifacts.findings import Audit, write_record
from medaudit.artifacts.store import Artifact, Draft, Request, finished, versions
from medaudit.config import AuditSettings
from medaudit.errors import CohortMismatch, UsageProblem
from medaudit.progress import SILENT, Progress
from medaudit.protocol.together import Begin
from medaudit.stages.clearance import audit_of, audit_the_rest, require_clearance, settings_of
from medaudit.stages.outcome import Outcome


def run(
    synthetic: Path,
    audit: Path,
    out: Path,
    format: str = "dicom",
    withhold_flagged: bool = False,
    train: Path | None = None,
    holdout: Path | None = None,
    *,
    settings: AuditSettings | None = None,
    modality: str = "DX",
    transfer_syntax: str = "explicit",
    date: str = "",
    field_mm: float = 430.0,
    text_checked: bool = False,
    copy_network: str | None = None,
    device: str = "auto",
    seed: int = 0,
    progress: Progress = SILENT,
    begin: Begin | None = None,
) -> Outcome:
    """Write the cleared rows of S to `out`.

    `date` is YYYYMMDD or empty; `copy_network`: the encoder that the audit was given by path. Raises CohortMismatch
    for an audit of another cohort, NotReleasable for any verdict but release-supported (exit code 10 or 20),
    UsageProblem for options that do not fit. `begin`: the ledger that the audit was made under (stages/recorded).
    """
    options: dict[str, Any] = {
        "format": format,
        "modality": modality,
        "transfer_syntax": transfer_syntax,
        "date": date,
        "field_mm": float(field_mm),
        "text_checked": text_checked,
    }
    _check_options(options)
    cohort = open_cohort(synthetic)
    artifact, record = audit_of(cohort, audit)
    if record.ledger is not None and begin is None:
        raise UsageProblem(
            f"{audit} was made under a ledger; give it as --ledger, so that it knows of the release"
        )
    parents = {"synthetic": cohort.id}
    if withhold_flagged and record.verdict == "do-not-release":
        parents["audit_before_withholding"] = artifact.id
        place, how = out.parent / f"{out.name}.audit", settings or settings_of(artifact)
        artifact, record = audit_the_rest(
            cohort, artifact, record, train, holdout, place, how, device, seed, progress, copy_network, begin
        )
    require_clearance(record, again="audit_before_withholding" in parents)
    request = Request("release", options, parents={**parents, "audit": artifact.id})
    rows = np.setdiff1d(cohort.in_use, np.array(record.withheld, dtype=np.int64))
    before = record.ledger.released_before if record.ledger is not None else 0
    if len(rows) + before != record.counts.synthetic:
        raise CohortMismatch(
            f"{audit} looked at another number of images than would be released; run the audit again"
        )
    done = finished(out, request) or _write(out, request, cohort, rows, record, progress)
    withheld = len(record.withheld)
    lines = (
        f"released {len(rows)} images as {format} to {out}; withheld {withheld}",
        f"release id {done.id}: give it to the receiver, whose `medaudit verify` prints it again",
    )
    return Outcome(lines, {"released": len(rows), "withheld": withheld, "id": done.id}, out)


def _check_options(options: dict[str, Any]) -> None:
    from medaudit.writers.dicom import SOP_CLASSES, SYNTAXES
    from medaudit.writers.formats import FORMATS

    for name, known in (("format", FORMATS), ("modality", SOP_CLASSES), ("transfer_syntax", SYNTAXES)):
        if options[name] not in known:
            raise UsageProblem(f"{name} {options[name]!r} is not known; choose one of {', '.join(known)}")
    if options["date"]:
        try:
            calendar_date.fromisoformat(options["date"] if options["date"].isdigit() else "")
        except ValueError:
            raise UsageProblem(f"date {options['date']!r} is not YYYYMMDD") from None
    if not 1 <= options["field_mm"] <= 2000:
        raise UsageProblem("the nominal field is given in mm, between 1 and 2000")


def _write(
    out: Path, request: Request, cohort: Cohort, rows: np.ndarray, record: Audit, progress: Progress
) -> Artifact:
    from medaudit.writers.dicom import Facts
    from medaudit.writers.formats import image_names, write_images
    from medaudit.writers.papers import CARD, LISTING, card, listing

    options, model = request.settings, cohort.artifact.lineage.get("model", "")
    form, release_id, tools = options["format"], request.fingerprint(), versions()
    facts = Facts(
        release_id, model, tools["medaudit"], options["modality"], options["transfer_syntax"], options["date"],
        options["field_mm"], options["text_checked"],
    )  # fmt: skip
    views, labels = cohort.rows.column("view").to_pylist(), cohort.labels
    views, labels = [views[row] for row in rows], [labels[row] for row in rows]
    certificate = certify(
        record, release_id=release_id, synthetic_id=cohort.id, audit_id=request.parents["audit"],
        released=len(rows), date=options["date"], text_checked=options["text_checked"], versions=tools,
    )  # fmt: skip
    texts = {CARD: card(certificate, form, model)}
    if form != "npz":
        texts[LISTING] = listing(image_names(form, len(rows)), views, labels)
    refuse_pseudonyms(
        [*texts.values(), certificate.model_dump_json(), *(name for found in labels for name in found)]
    )
    with Draft(out, request) as draft:
        write_images(draft.file, form, cohort.pixels, rows, views, labels, facts, progress)
        write_record(draft.file(CERTIFICATE), certificate)
        for name, text in texts.items():
            draft.file(name).write_text(text, encoding="utf-8")
        return draft.commit(images=len(rows))
