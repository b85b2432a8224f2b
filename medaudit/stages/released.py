"""The files of a release: images, dataset card, listing, certificate, written and looked through before they are in
place."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from medaudit.artifacts.certificate import CERTIFICATE, certify, letters, refuse_pseudonyms
from medaudit.artifacts.cohort import Cohort
from medaudit.artifacts.findings import Audit, write_record
from medaudit.artifacts.image_counts import unused
from medaudit.artifacts.keys import SecretKey
from medaudit.artifacts.merkle import digests, merkle_root
from medaudit.artifacts.store import Artifact, Draft, Request, versions
from medaudit.errors import NotReleasable
from medaudit.progress import Progress
from medaudit.stages import linting
from medaudit.stages.signing import seal_of, signer_of
from medaudit.stages.verify import require_verifiable

if TYPE_CHECKING:
    from medaudit.linting.known import Known


def write_release(
    out: Path, request: Request, cohort: Cohort, rows: np.ndarray, record: Audit, key: SecretKey | None,
    known: "Known", progress: Progress, *, text_required: bool = False,
) -> Artifact:  # fmt: skip
    """Write the rows (N,) of a cohort under an audit that clears them. Raises ReportLeak for what must not go out,
    NotReleasable where letters had to be looked for and the pass missed its own plants."""
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
    if text_required and looked is None:
        raise NotReleasable(
            "the text pass missed letters that were planted in these images, so it does not count; "
            "look at the images yourself and release with --text off"
        )
    certificate = certify(
        record, release_id=release_id, synthetic_id=cohort.id, audit_id=request.parents["audit"], released=len(rows),
        date=options["date"], expires=options["expires"], lineage={**request.parents, "model": model},
        signer=signer_of(key) if key else None, text_pass=looked, versions=tools, review=options.get("review"),
        beside=unused(cohort),
    )  # fmt: skip
    texts = {CARD: card(certificate, form, model, options)}
    if form != "npz":
        texts[LISTING] = listing(image_names(form, len(rows)), views, labels, looked)
    refuse_pseudonyms([*texts.values(), certificate.model_dump_json()])

    def look(folder: Path) -> None:
        linting.lint_release(folder, known, own_marks(request, cohort))
        require_verifiable(folder, key.public if key else None)

    with Draft(out, request) as draft:
        write_images(draft.file, form, cohort.pixels, rows, views, labels, facts, progress, text_pass=looked)
        for name, text in texts.items():
            draft.file(name).write_text(text, encoding="utf-8")
        names = [*image_names(form, len(rows)), *texts]
        root = merkle_root(dict(zip(names, digests([draft.file(name) for name in names]), strict=True)))
        certificate = certificate.model_copy(update={"merkle_root": root})
        write_record(draft.file(CERTIFICATE), certificate)
        return draft.commit(
            images=len(rows), burned_in=letters(len(rows), looked), merkle_root=root,
            seal=seal_of(key, certificate) if key else None,
            look=look,
        )  # fmt: skip


def own_marks(request: Request, cohort: Cohort) -> tuple[str, ...]:
    """Hashes and dates that a release names of itself."""
    settings = request.settings
    return (
        request.fingerprint(), cohort.artifact.lineage.get("model", ""), settings["date"], settings["expires"]
    )  # fmt: skip
