"""medaudit verify: checks a released folder with nothing but the folder. Runs on the receiver's machine."""

import sys
from collections.abc import Iterator, Mapping
from datetime import date as calendar_date
from pathlib import Path
from typing import Any

from medaudit.artifacts.certificate import CERTIFICATE, Certificate, day, is_day, letters, read_certificate
from medaudit.artifacts.certified_review import wrong_review
from medaudit.artifacts.keys import PublicKey
from medaudit.artifacts.merkle import merkle_root
from medaudit.artifacts.received import browser_files, manifest_bytes, wrong_files
from medaudit.artifacts.store import MANIFEST, open_artifact
from medaudit.errors import (
    ArtifactBroken,
    CertificateExpired,
    NotReleasable,
    ReleaseBroken,
    SignatureWrong,
    SourceMissing,
)
from medaudit.progress import SILENT, Progress
from medaudit.stages.outcome import Outcome
from medaudit.stages.signing import require_signature, said_without_key, trusted, wrong_signer
from medaudit.stages.told import told_by_verify

_SHOWN = 5  # problems named in the message; the rest are counted


def run(folder: Path, *, key: str = "", on: str = "", progress: Progress = SILENT) -> Outcome:
    """Check signature, hashes, completeness, marks, certificate and its last day.

    `key`: a public key's file, its line, or a fingerprint; `on`: YYYYMMDD, today when empty. Raises ReleaseBroken (or
    SignatureWrong, CertificateExpired) with the first problems by file name, SourceMissing when there is no folder,
    ArtifactKindMismatch when it is another kind of artifact, KeyProblem for a key that is none.
    """
    today = day(on, "--on") if on else calendar_date.today()
    wanted = trusted(key) if key else None
    if not folder.is_dir():
        raise SourceMissing(f"{folder} is not a folder; give a released folder")
    try:
        return _checked(folder, wanted, today, progress)
    except PermissionError:
        raise SourceMissing(f"{folder} holds a file that you may not read; run chmod -R u+rX on it") from None


def _checked(
    folder: Path, wanted: PublicKey | str | None, today: calendar_date, progress: Progress
) -> Outcome:
    signed = manifest_bytes(folder)
    signer = require_signature(folder, signed, wanted) if wanted else None
    try:
        artifact = open_artifact(folder, "release", verify=False)
    except ArtifactBroken:
        raise ReleaseBroken(
            f"{folder}: {MANIFEST} cannot be read; ask the sender for the release again"
        ) from None
    manifest = artifact.manifest
    browser = browser_files(folder, manifest["files"])
    _require(folder, list(wrong_files(folder, manifest["files"], progress, browser)))
    certificate = read_certificate(folder / CERTIFICATE)
    _require(folder, list(wrong_papers(folder, manifest, certificate)))
    if signer and wrong_signer(certificate, signer):
        raise SignatureWrong(f"{folder}: {CERTIFICATE} names another key than the one that signed")
    who = (
        f"signed by key {signer.fingerprint}, the one you trust"
        if signer
        else said_without_key(folder, signed, certificate)
    )
    if certificate.expires and today > day(certificate.expires, "the certificate's last day"):
        raise CertificateExpired(
            f"{folder}: the certificate ended on {certificate.expires}; ask the sender for one that holds"
        )
    _refuse_browser_files(folder, browser)  # last: all else is as it was released
    return Outcome(*told_by_verify(artifact, certificate, who, trusted=signer is not None), folder)


def require_verifiable(folder: Path, key: PublicKey | None) -> None:
    """Check a release that is about to be put in place as a receiver will. Raises NotReleasable, SignatureWrong."""
    signed = manifest_bytes(folder)
    if key is not None:
        require_signature(folder, signed, key)
    manifest = open_artifact(folder, "release", verify=False).manifest
    certificate = read_certificate(folder / CERTIFICATE)
    wrong = next(wrong_papers(folder, manifest, certificate), None)
    if wrong or (key is not None and wrong_signer(certificate, key)):
        raise NotReleasable(
            f"the release would not pass medaudit verify ({wrong or 'its certificate names another key'}); "
            "nothing was written: run the audit again"
        )


def wrong_papers(folder: Path, manifest: Mapping[str, Any], certificate: Certificate) -> Iterator[str]:
    """In what manifest, certificate and images of a release contradict each other."""
    yield from _wrong_certificate(certificate, manifest)
    yield from _wrong_images(folder, manifest, certificate)


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
    if certificate.expires and not is_day(certificate.expires):
        yield f"{CERTIFICATE} names a last day that is none"
    if review:
        yield from (f"{CERTIFICATE} {what}" for what in wrong_review(review))
    if (review.review_id if review else None) != manifest["lineage"].get("review"):
        yield f"{CERTIFICATE} names another review than the manifest"
    if certificate.counts.released != manifest.get("images"):
        yield f"{CERTIFICATE} counts other images than the manifest"
    if letters(certificate.counts.released, certificate.text_pass) != manifest.get("burned_in"):
        yield f"{CERTIFICATE} says otherwise than the manifest in how many images letters were found"
    lineage = manifest["lineage"]
    said = (certificate.release_id, certificate.synthetic_id, certificate.audit_id)
    if said != (manifest.get("request"), lineage.get("synthetic"), lineage.get("audit")):
        yield f"{CERTIFICATE} belongs to another release"
    if certificate.merkle_root != manifest.get("merkle_root", ""):
        yield f"{CERTIFICATE} states another Merkle root than the manifest"
    elif certificate.merkle_root and certificate.merkle_root != merkle_root(manifest["files"]):
        yield f"{CERTIFICATE} states another Merkle root than the files have"


def _wrong_images(folder: Path, manifest: Mapping[str, Any], certificate: Certificate) -> Iterator[str]:
    """Files that no release holds, and images without their marks."""
    from medaudit.writers.formats import FORMATS, image_names, wrong_marks
    from medaudit.writers.papers import CARD, LISTING

    form, count = manifest["settings"].get("format"), manifest.get("images")
    most = len(manifest["files"]) if form != "npz" else sys.maxsize  # one file holds them all
    if form not in FORMATS or not isinstance(count, int) or not 0 <= count <= most:
        yield f"{MANIFEST} names no known format or count"
        return
    expected = {*image_names(form, count), CERTIFICATE, CARD, *([] if form == "npz" else [LISTING])}
    yield from (f"{name} is no part of a release" for name in sorted(set(manifest["files"]) - expected))
    missing = sorted(expected - set(manifest["files"]))
    yield from (f"{name} is not in the manifest" for name in missing)
    if not missing:
        for name, problem in wrong_marks(folder, form, count, manifest["request"], certificate.text_pass):
            yield f"{name} {problem}"


def _require(folder: Path, problems: list[str]) -> None:
    """Raise ReleaseBroken with the first problems, when there are any."""
    if problems:
        rest = f" and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise ReleaseBroken(
            f"{folder}: {'; '.join(map(_shown, problems[:_SHOWN]))}{rest}. Ask the sender for the release again"
        )


def _refuse_browser_files(folder: Path, names: list[str]) -> None:
    """Raise ReleaseBroken for files that the receiver's own system made: they are to be deleted, no more.

    They are not let pass, as their content is anybody's: one that came with the release may show what it must not.
    """
    if not names:
        return
    rest = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    raise ReleaseBroken(
        f"{folder}: all files of the release are as released, but beside them lie "
        f"{', '.join(map(_shown, names[:_SHOWN]))}{rest}, which file browsers (macOS Finder, Windows Explorer) make "
        "in folders. They are no part of the release and nobody signed them: delete them, do not hand them on, "
        "and verify again"
    )


def _shown(text: str) -> str:
    """A problem in one line, whatever characters a file's name holds."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
