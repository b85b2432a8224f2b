"""medaudit release: writes the images that an audit cleared, marked as synthetic, with a certificate."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from medaudit.artifacts.certificate import (
    CERTIFICATE,
    certify,
    last_day,
    read_certificate,
    refuse_pseudonyms,
)
from medaudit.artifacts.cohort import Cohort, open_cohort
from medaudit.artifacts.findings import Audit, write_record
from medaudit.artifacts.keys import SecretKey
from medaudit.artifacts.merkle import digests, merkle_root
from medaudit.artifacts.store import Artifact, Draft, Request, finished, versions
from medaudit.config import AuditSettings
from medaudit.errors import CohortMismatch
from medaudit.progress import SILENT, Progress
from medaudit.stages.clearance import (
    audit_of,
    audit_the_rest,
    require_clearance,
    rows_with_letters,
    settings_of,
)
from medaudit.stages.outcome import Outcome
from medaudit.stages.release_options import check_options
from medaudit.stages.signing import seal_of, signer_of, signing_key
from medaudit.stages.told import told_by_release


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
    expires: str = "",
    field_mm: float = 430.0,
    text: str = "off",
    withhold_text: bool = False,
    sign: Path | None = None,
    passphrase: Callable[[], str] = str,
    copy_network: str | None = None,
    device: str = "auto",
    seed: int = 0,
    progress: Progress = SILENT,
) -> Outcome:
    """Write the cleared rows of S to `out`.

    `date` is YYYYMMDD or empty, `expires` too, or `never`; `text` is off, auto (look for letters when the extra is
    there) or require; `withhold_text` leaves the images with letters out and audits the rest again; `sign`: a secret
    key, whose `passphrase` is asked for when it has one; `copy_network`: the encoder that the audit was given by path.
    Raises CohortMismatch for an audit of another cohort, NotReleasable for any verdict but release-supported (exit
    code 10 or 20), UsageProblem for options that do not fit, KeyProblem.
    """
    options: dict[str, Any] = {
        "format": format,
        "modality": modality,
        "transfer_syntax": transfer_syntax,
        "date": date,
        "expires": expires,
        "field_mm": float(field_mm),
        "text": text,
    }
    check_options(options)
    key = signing_key(sign, passphrase)
    options["expires"] = last_day(date, expires, signed=key is not None)
    options["signer"] = key.public.text if key else ""
    cohort = open_cohort(synthetic)
    artifact, record = audit_of(cohort, audit)
    parents = {"synthetic": cohort.id}
    letters = rows_with_letters(cohort, options["text"], progress) if withhold_text else ()
    supported = record.verdict == "release-supported"
    if (withhold_flagged and record.verdict == "do-not-release") or (letters and supported):
        parents["audit_before_withholding"] = artifact.id
        place, how = out.parent / f"{out.name}.audit", settings or settings_of(artifact)
        artifact, record = audit_the_rest(
            cohort, artifact, record, train, holdout, place, how, device, seed, progress, copy_network, letters
        )  # fmt: skip
    require_clearance(record, again="audit_before_withholding" in parents)
    request = Request("release", options, parents={**parents, "audit": artifact.id})
    rows = np.setdiff1d(cohort.in_use, np.array(record.withheld, dtype=np.int64))
    if len(rows) != record.counts.synthetic:
        raise CohortMismatch(
            f"{audit} looked at another number of images than would be released; run the audit again"
        )
    done = finished(out, request) or _write(out, request, cohort, rows, record, key, progress)
    return Outcome(*told_by_release(done, read_certificate(done.file(CERTIFICATE)), format), out)


def _write(
    out: Path, request: Request, cohort: Cohort, rows: np.ndarray, record: Audit, key: SecretKey | None,
    progress: Progress,
) -> Artifact:  # fmt: skip
    from medaudit.writers.dicom import Facts
    from medaudit.writers.formats import image_names, write_images
    from medaudit.writers.papers import CARD, LISTING, card, listing
    from medaudit.writers.text import look_for_text

    options, model = request.settings, cohort.artifact.lineage.get("model", "")
    form, release_id, tools = options["format"], request.fingerprint(), versions()
    facts = Facts(
        release_id, model, tools["medaudit"], options["modality"], options["transfer_syntax"], options["date"],
        options["field_mm"],
    )  # fmt: skip
    views, labels = cohort.rows.column("view").to_pylist(), cohort.labels
    views, labels = [views[row] for row in rows], [labels[row] for row in rows]
    refuse_pseudonyms(name for found in labels for name in found)
    looked = look_for_text(cohort.pixels, rows, progress) if options["text"] else None
    certificate = certify(
        record, release_id=release_id, synthetic_id=cohort.id, audit_id=request.parents["audit"], released=len(rows),
        date=options["date"], expires=options["expires"], lineage={**request.parents, "model": model},
        signer=signer_of(key) if key else None, text_pass=looked, versions=tools,
    )  # fmt: skip
    texts = {CARD: card(certificate, form, model, options)}
    if form != "npz":
        texts[LISTING] = listing(image_names(form, len(rows)), views, labels, looked)
    refuse_pseudonyms([*texts.values(), certificate.model_dump_json()])
    with Draft(out, request) as draft:
        write_images(draft.file, form, cohort.pixels, rows, views, labels, facts, progress, text_pass=looked)
        for name, text in texts.items():
            draft.file(name).write_text(text, encoding="utf-8")
        names = [*image_names(form, len(rows)), *texts]
        root = merkle_root(dict(zip(names, digests([draft.file(name) for name in names]), strict=True)))
        certificate = certificate.model_copy(update={"merkle_root": root})
        write_record(draft.file(CERTIFICATE), certificate)
        return draft.commit(
            images=len(rows), merkle_root=root, seal=seal_of(key, certificate) if key else None
        )
