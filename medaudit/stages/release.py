"""medaudit release: lets out the images that an audit cleared, marked as synthetic, with a certificate."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from medaudit.artifacts.authentication import key_line
from medaudit.artifacts.certificate import CERTIFICATE, last_day, read_certificate
from medaudit.artifacts.cohort import open_cohort
from medaudit.artifacts.store import Request, finished
from medaudit.config import AuditSettings
from medaudit.errors import CohortMismatch, UsageProblem
from medaudit.progress import SILENT, Progress
from medaudit.protocol.grounds import settings_of
from medaudit.protocol.together import Begin
from medaudit.stages import linting
from medaudit.stages.clearance import (
    audit_of,
    audit_the_rest,
    require_clearance,
    rows_with_letters,
)
from medaudit.stages.clearing import cleared, clearing_of
from medaudit.stages.outcome import Outcome
from medaudit.stages.release_options import check_options
from medaudit.stages.released import own_marks, write_release
from medaudit.stages.review import flagged_images, searched_images
from medaudit.stages.signing import seal_again, signing_key
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
    forbid: Path | None = None,
    review: Path | None = None,
    device: str = "auto",
    seed: int = 0,
    key: Path | None = None,
    progress: Progress = SILENT,
    begin: Begin | None = None,
    identities: Path | None = None,
) -> Outcome:
    """Write the cleared rows of S to `out`; `review`: people's decisions on the audit's flags.

    `date` is YYYYMMDD or empty, `expires` too, or `never`; `text` is off, auto (look for letters when the extra is
    there) or require; `withhold_text` leaves the images with letters out and audits the rest again; `sign`: a secret
    key, whose `passphrase` is asked for when it has one; `key`: the site's key, which the audit carries a code of,
    looked for beside S and A where it is not given; `copy_network`: the encoder that the audit was given by path.
    Every file is looked through before it is put in place: for films and file names of `train` and `holdout`, where
    given, for what stands in the file `identities`, and for the words of the file `forbid`. Raises ReportLeak when one
    holds what it must not, CohortMismatch for an audit of another cohort, NotReleasable for any verdict but
    release-supported (exit code 10 or 20), UsageProblem for options that do not fit, KeyProblem. `begin`: the ledger
    that the audit was made under (stages/recorded).
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
    signing = signing_key(sign, passphrase)
    options["expires"] = last_day(date, expires, signed=signing is not None)
    options["signer"] = signing.public.text if signing else ""
    cohort = open_cohort(synthetic)
    artifact, record = audit_of(cohort, audit, key)
    if record.ledger is not None and begin is None:
        raise UsageProblem(
            f"{audit} was made under a ledger; give it as --ledger, so that it knows of the release"
        )
    parents, lineage = {"synthetic": cohort.id}, artifact.lineage
    clearing = clearing_of(review, artifact, key, (synthetic,))
    spared = clearing.images if clearing else set()
    letters = rows_with_letters(cohort, options["text"], progress) if withhold_text else ()
    standing = record.verdict == "do-not-release" and not (
        clearing and spared >= set(flagged_images(artifact, record))
    )
    if clearing and letters and not standing:
        cleared(clearing, artifact, record)  # refused now, not after a second look that spends less
    if (withhold_flagged and standing) or (letters and not standing and record.verdict != "inconclusive"):
        parents["audit_before_withholding"] = artifact.id
        place, how = out.parent / f"{out.name}.audit", settings or settings_of(artifact)
        artifact, record = audit_the_rest(
            cohort, artifact, record, train, holdout, place, how, device, seed, progress, copy_network,
            spared=spared, also=letters, begin=begin, key=key,
        )  # fmt: skip
    if clearing and spared - set(record.withheld):
        parents["review"] = clearing.artifact.id
        record, said = cleared(clearing, artifact, record)
        options["review"] = said.model_dump(mode="json")
    require_clearance(record, again="audit_before_withholding" in parents)
    request = Request("release", options, parents={**parents, "audit": artifact.id})
    rows = np.setdiff1d(cohort.in_use, np.array(record.withheld, dtype=np.int64))
    before = record.ledger.released_before if record.ledger is not None else 0
    if len(rows) + before != record.counts.synthetic or set(searched_images(artifact)) != set(rows.tolist()):
        raise CohortMismatch(f"{audit} searched other images than would be released; run the audit again")
    known = linting.known_of(lineage, [path for path in (train, holdout) if path], forbid, identities)
    if done := finished(out, request):
        linting.lint_release(out, known, own_marks(request, cohort))
        seal_again(done, signing)
    else:
        done = write_release(
            out, request, cohort, rows, record, signing, known, progress, text_required=text == "require"
        )
    lines, data = told_by_release(done, read_certificate(done.file(CERTIFICATE)), format)
    return Outcome((*lines, key_line(artifact), *linting.not_looked_for(known)), data, out)
