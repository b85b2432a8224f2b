"""medaudit verify: checks a released folder with nothing but the folder. Runs on the receiver's machine."""

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from medaudit.artifacts.certificate import CERTIFICATE, Certificate, read_certificate
from medaudit.artifacts.certified_review import wrong_review
from medaudit.artifacts.store import MANIFEST, file_sha256, open_artifact
from medaudit.errors import ArtifactBroken, ReleaseBroken, SourceMissing
from medaudit.progress import SILENT, Progress
from medaudit.stages.outcome import Outcome

_SHOWN = 5  # problems named in the message; the rest are counted


def run(folder: Path, *, progress: Progress = SILENT) -> Outcome:
    """Check hashes, completeness, marks and certificate of a release.

    Raises ReleaseBroken with the first problems by file name, SourceMissing when there is no folder,
    ArtifactKindMismatch when it is another kind of artifact.
    """
    if not folder.is_dir():
        raise SourceMissing(f"{folder} is not a folder; give a released folder")
    if not (folder / MANIFEST).is_file():
        raise ReleaseBroken(f"{folder} has no {MANIFEST}; ask the sender for the whole release")
    try:
        artifact = open_artifact(folder, "release", verify=False)
    except ArtifactBroken:
        raise ReleaseBroken(
            f"{folder}: {MANIFEST} cannot be read; ask the sender for the release again"
        ) from None
    manifest = artifact.manifest
    _require(folder, list(_wrong_files(folder, manifest["files"], progress)))
    certificate = read_certificate(folder / CERTIFICATE)
    _require(folder, [*_wrong_certificate(certificate, manifest), *_wrong_images(folder, manifest)])
    counts = certificate.counts
    lines = (
        f"whole: {counts.released} images, all marked as synthetic, all {len(manifest['files'])} files as released",
        f"verdict of the audit: {certificate.verdict}; withheld {counts.withheld}",
        f"release id {artifact.id}: compare it with the one that the sender gave you",
    )
    data = {
        "id": artifact.id,
        "released": counts.released,
        "withheld": counts.withheld,
        "files": len(manifest["files"]),
    }
    return Outcome(lines, data, folder)


def _wrong_files(folder: Path, files: dict[str, str], progress: Progress) -> Iterator[str]:
    """Files that are missing, changed, added, or not plain files inside the folder."""
    progress.start("verify", len(files))
    for name, digest in sorted(files.items()):
        pure = PurePosixPath(name)
        path = folder / name
        if pure.is_absolute() or ".." in pure.parts:
            yield f"{name} points outside the folder"
        elif path.is_symlink() or not path.is_file():
            yield f"{name} is missing"
        elif file_sha256(path) != digest:
            yield f"{name} was changed"
        progress.advance()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if name not in files and name != MANIFEST and (path.is_symlink() or not path.is_dir()):
            yield f"{name} was added"


def _wrong_certificate(certificate: Certificate, manifest: Mapping[str, Any]) -> Iterator[str]:
    """What the certificate says otherwise than the manifest, or that it clears nothing."""
    review = certificate.review
    cleared = review.cleared if review else 0
    if (
        certificate.verdict != "release-supported"
        or certificate.cohort_test.rejects
        or certificate.counts.flagged != cleared
    ):
        yield f"{CERTIFICATE} does not say that the release is supported"
    if review:
        yield from (f"{CERTIFICATE} {what}" for what in wrong_review(review))
    if (review.review_id if review else None) != manifest["lineage"].get("review"):
        yield f"{CERTIFICATE} names another review than the manifest"
    if certificate.counts.released != manifest.get("images"):
        yield f"{CERTIFICATE} counts other images than the manifest"
    lineage = manifest["lineage"]
    said = (certificate.release_id, certificate.synthetic_id, certificate.audit_id)
    if said != (manifest.get("request"), lineage.get("synthetic"), lineage.get("audit")):
        yield f"{CERTIFICATE} belongs to another release"


def _wrong_images(folder: Path, manifest: Mapping[str, Any]) -> Iterator[str]:
    """Files that no release holds, and images without their marks."""
    from medaudit.writers.formats import FORMATS, image_names, wrong_marks
    from medaudit.writers.papers import CARD, LISTING

    form, count = manifest["settings"].get("format"), manifest.get("images")
    if form not in FORMATS or not isinstance(count, int):
        yield f"{MANIFEST} names no known format or count"
        return
    expected = {*image_names(form, count), CERTIFICATE, CARD, *([] if form == "npz" else [LISTING])}
    yield from (f"{name} is no part of a release" for name in sorted(set(manifest["files"]) - expected))
    missing = sorted(expected - set(manifest["files"]))
    yield from (f"{name} is not in the manifest" for name in missing)
    if not missing:
        for name, problem in wrong_marks(folder, form, count, manifest["request"]):
            yield f"{name} {problem}"


def _require(folder: Path, problems: list[str]) -> None:
    """Raise ReleaseBroken with the first problems, when there are any."""
    if problems:
        rest = f" and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise ReleaseBroken(
            f"{folder}: {'; '.join(problems[:_SHOWN])}{rest}. Ask the sender for the release again"
        )
