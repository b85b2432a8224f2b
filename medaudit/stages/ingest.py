"""ingest: images of any layout → a cohort with keyed pseudonyms, every refusal named and counted.

Memory: 170 MiB a process; in the parent twice `workers + 2` chunks of at most 8 MiB of pixels (one process: two
chunks) and 1.8 kB for each image listed; in a worker a chunk and 60 bytes for each pixel of the largest image.
Nothing grows with the pixels of the cohort.
"""

from pathlib import Path
from typing import Literal

from medaudit.artifacts.cohort import open_cohort
from medaudit.artifacts.identities import Identities, drop_gathered, identities_path
from medaudit.artifacts.pseudonyms import KEY_NAME, key_fingerprint, load_or_make_key, pseudonym
from medaudit.artifacts.store import Artifact, Draft, Request, finished
from medaudit.errors import UsageProblem
from medaudit.progress import SILENT, Progress
from medaudit.readers.layouts import Columns, Listing, list_source
from medaudit.readers.left import refuse_left
from medaudit.readers.pool import Workers, worker_count
from medaudit.readers.refusals import counted, unread
from medaudit.readers.settle import Names
from medaudit.readers.survey import films_per_patient
from medaudit.stages.inspect import patients_line, screen_notes
from medaudit.stages.outcome import Outcome
from medaudit.stages.reading import Job, make
from medaudit.stages.refusals import check_csv


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
    accept_refused: bool = False,
    refused_csv: Path | None = None,
) -> Outcome:
    """Read every image of `source` into a cohort at `out`; the same bytes for any number of workers.

    What the pseudonyms stand for goes into the identity file next to the key. `refused_csv` takes the names of the
    files that were refused. Raises SourceMissing, LayoutUnknown, UsageProblem, OutputExists; ImagesLeft where the
    layout leaves images that could be read, unless `only_layout`; NothingReadable when all was refused; TooManyRefused
    when more than 5 % of the images were and `accept_refused` is not given.
    """
    _check(origin, size, fit, depth)
    check_csv(refused_csv, source, out)
    listing = list_source(source, layout, manifest, patient_regex, columns)
    refuse_left(listing, only_layout)
    key = key or out.parent / KEY_NAME
    secret = load_or_make_key(key) if origin == "real" else None  # synthetic: nobody
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
        "names": "keyed" if secret else "by place",
    }
    request = Request("cohort", settings, seed)
    kept = identities_path(key)
    job = Job(source, listing, Names(secret, listing.digest), refused_csv, accept_refused, progress)
    artifact = finished(out, request)
    if artifact is None:
        count = worker_count(workers, len(listing.entries), listing.size_bytes)
        with Draft(out, request) as draft, Identities(kept, out) as known, Workers(count) as used:
            artifact = make(job, draft, known, used)
    else:
        drop_gathered(kept, out)
    refused = job.tell(job.named(artifact.manifest["refused"]["files"]))
    return _outcome(artifact, size, listing, kept, refused, refused_csv)


def _check(origin: str, size: int, fit: str, depth: str) -> None:
    if origin not in ("real", "synthetic"):
        raise UsageProblem("--origin is real or synthetic")
    if fit not in ("pad", "crop", "squash"):
        raise UsageProblem("--fit is pad, crop or squash")
    if depth not in ("auto", "8", "16"):
        raise UsageProblem("--depth is auto, 8 or 16")
    if not 8 <= size <= 4096:
        raise UsageProblem("--size lies between 8 and 4096 pixels")


def _outcome(
    artifact: Artifact,
    asked: int,
    listing: Listing,
    kept: Path,
    refused: tuple[str, ...],
    refused_csv: Path | None,
) -> Outcome:
    cohort = open_cohort(artifact.path, verify=False)
    manifest = artifact.manifest
    counts, size = manifest["refused"]["counts"], cohort.image_shape[0]
    patients = films_per_patient(cohort.patients)
    lines = [
        f"layout: {manifest['layout']} ({listing.why})",
        f"{len(cohort)} read, {counted(counts)}",
        *refused,
        f"{size} x {size} px, {cohort.pixels.dtype.name}",
    ]
    if size < asked:
        lines[-1] += f"; no image is larger, so --size {asked} would only enlarge"
    if manifest["origin"] == "real":
        lines.append(f"patients: {patients_line(patients)}")
    notes = dict.fromkeys((*manifest["warnings"], *screen_notes(listing)))
    lines += [f"note: {text}" for text in notes]
    what = "names of files, patients and studies" if manifest["origin"] == "real" else "names of files"
    lines.append(f"{what}: {kept}, and nowhere else; it stays inside, like the key")
    data = {
        "cohort": artifact.id,
        "read": len(cohort),
        "refused": counts,
        "unread": unread(counts),
        "patients": patients,
        "identities": str(kept),
        "refused_csv": str(refused_csv) if refused_csv else None,
        **{name: manifest[name] for name in ("layout", "source_facts", "warnings", "image_shape", "dtype")},
    }
    return Outcome(tuple(lines), data, artifact.path)
