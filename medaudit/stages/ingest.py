"""ingest: films of any layout → a cohort with keyed pseudonyms, every refusal named and counted.

Memory: 170 MiB a process; in the parent twice `workers + 2` chunks of at most 8 MiB of pixels (one process: two
chunks) and 1.2 kB for each film listed; in a worker a chunk and 60 bytes for each pixel of the largest film.
Nothing grows with the pixels of the cohort.
"""

from collections import Counter
from pathlib import Path
from typing import Literal

import numpy as np

from medaudit.artifacts.authentication import KEY_NAME
from medaudit.artifacts.cohort import CohortWriter, open_cohort
from medaudit.artifacts.pseudonyms import key_fingerprint, load_or_make_key, pseudonym
from medaudit.artifacts.store import Artifact, Draft, Request, finished
from medaudit.errors import NothingReadable, UsageProblem
from medaudit.progress import SILENT, Progress
from medaudit.readers import notes
from medaudit.readers.batch import read_all
from medaudit.readers.layouts import Columns, Listing, list_source
from medaudit.readers.left import refuse_left
from medaudit.readers.plan import make_plan
from medaudit.readers.pool import Workers, worker_count
from medaudit.readers.refusals import counted
from medaudit.readers.settle import Ledger, settle
from medaudit.readers.survey import films_per_patient
from medaudit.stages.inspect import patients_line, screen_notes
from medaudit.stages.outcome import Outcome


def run(
    source: Path,
    out: Path,
    origin: Literal["real", "synthetic"] = "real",
    layout: str = "auto",
    size: int = 256,
    fit: Literal["pad", "crop", "squash"] = "pad",
    manifest: Path | None = None,
    patient_regex: str | None = None,
    key: Path | None = None,
    depth: Literal["auto", "8", "16"] = "auto",
    workers: int | None = None,
    seed: int = 0,
    progress: Progress = SILENT,
    *,
    only_layout: bool = False,
    columns: Columns = Columns(),  # noqa: B008 - frozen
) -> Outcome:
    """Read every film of `source` into a cohort at `out`; the same bytes for any number of workers.

    Raises SourceMissing, LayoutUnknown, UsageProblem, OutputExists; ImagesLeft where the layout leaves images that
    could be read, unless `only_layout`; NothingReadable when all was refused.
    """
    _check(origin, size, fit, depth)
    listing = list_source(source, layout, manifest, patient_regex, columns)
    refuse_left(listing, only_layout)
    secret = load_or_make_key(key or out.parent / KEY_NAME) if origin == "real" else None  # synthetic: nobody
    settings = {
        "origin": origin,
        "layout": listing.layout,
        "size": size,
        "fit": fit,
        "depth": depth,
        "patient_regex": pseudonym(secret, patient_regex, kind="regex") if secret and patient_regex else None,
        "key": key_fingerprint(secret) if secret else None,
        # keyed, so that the manifest cannot be used to tell whether somebody's files were in the source
        "source": pseudonym(secret, listing.digest, kind="source") if secret else listing.digest,
    }
    request = Request("cohort", settings, seed)
    artifact = finished(out, request)
    if artifact is None:
        count = worker_count(workers, len(listing.entries), listing.size_bytes)
        with Draft(out, request) as draft, Workers(count) as used:
            artifact = _make(draft, listing, secret, used, source, progress)
    return _outcome(artifact, size, listing)


def _make(
    draft: Draft, listing: Listing, key: bytes | None, workers: Workers, source: Path, progress: Progress
) -> Artifact:
    asked = draft.request.settings
    plan = make_plan(
        draft.scratch("plan.json"), listing, asked["size"], asked["fit"], asked["depth"], workers, progress
    )
    if not plan.readable:
        raise NothingReadable(f"nothing in {source} can be read; {counted(plan.facts['refused'])}")
    recipe = plan.recipe
    writer = CohortWriter(draft, (recipe.size, recipe.size), np.dtype(recipe.dtype))
    ledger = Ledger(draft.scratch("seen.bin"), writer.chunks_done * recipe.chunk)
    refused: Counter[str] = Counter()
    progress.start("films", len(listing.entries))
    progress.advance(min(writer.chunks_done * recipe.chunk, len(listing.entries)))
    for chunk in read_all(listing, recipe, workers, writer.chunks_done):
        pixels, rows, reasons = settle(chunk, ledger, key, recipe)
        writer.append(pixels, rows, reasons)
        refused.update(reason for _, reason in reasons)
        progress.advance(len(chunk), refused=refused.total())
    if not writer.rows_done:
        raise NothingReadable(f"nothing in {source} can be read; {counted(refused)}")
    note = {
        "origin": asked["origin"],
        "role": "synthetic" if asked["origin"] == "synthetic" else "all",
        "layout": listing.layout,
        "source_facts": plan.facts,
        "warnings": (plan.warnings if key is not None else []) + notes.warnings(writer.rows()),
    }
    return writer.finish(note=note)


def _check(origin: str, size: int, fit: str, depth: str) -> None:
    if origin not in ("real", "synthetic"):
        raise UsageProblem("--origin is real or synthetic")
    if fit not in ("pad", "crop", "squash"):
        raise UsageProblem("--fit is pad, crop or squash")
    if depth not in ("auto", "8", "16"):
        raise UsageProblem("--depth is auto, 8 or 16")
    if not 8 <= size <= 4096:
        raise UsageProblem("--size lies between 8 and 4096 pixels")


def _outcome(artifact: Artifact, asked: int, listing: Listing) -> Outcome:
    cohort = open_cohort(artifact.path, verify=False)
    manifest = artifact.manifest
    refused, size = manifest["refused"]["counts"], cohort.image_shape[0]
    patients = films_per_patient(cohort.patients)
    lines = [
        f"layout: {manifest['layout']} ({listing.why})",
        f"{len(cohort)} read, {counted(refused)}",
        f"{size} x {size} px, {cohort.pixels.dtype.name}",
    ]
    if size < asked:
        lines[-1] += f"; no film is larger, so --size {asked} would only enlarge"
    if manifest["origin"] == "real":
        lines.append(f"patients: {patients_line(patients)}")
    notes = dict.fromkeys((*manifest["warnings"], *screen_notes(listing)))
    lines += [f"note: {text}" for text in notes]
    kept = {name: manifest[name] for name in ("layout", "source_facts", "warnings", "image_shape", "dtype")}
    data = {"cohort": artifact.id, "read": len(cohort), "refused": refused, "patients": patients, **kept}
    return Outcome(tuple(lines), data, artifact.path)
