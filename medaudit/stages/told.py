"""What `release` and `verify` say of a release, in lines for people and as data for machines."""

from typing import Any

from medaudit.artifacts.certificate import CERTIFICATE, Certificate, CertifiedCounts
from medaudit.artifacts.store import MANIFEST, Artifact
from medaudit.writers.papers import CARD

_SHOWN = 20  # numbers of images named in a line
_DIGITS = 16  # of the 64 of a hash that is named and not compared


def told_by_release(
    done: Artifact, certificate: Certificate, form: str
) -> tuple[tuple[str, ...], dict[str, Any]]:
    """What `release` says of a finished release, in lines and as data."""
    counts, found, signer = certificate.counts, certificate.text_pass, certificate.signer
    lines = [
        f"released {counts.released} images as {form} to {done.path}; withheld {counts.withheld}{_rest(counts)}"
    ]
    if found is None:
        lines.append(
            "no text pass is counted: nobody looked for letters in the images, and each is marked as one that may "
            "hold some"
        )
    else:
        numbers = ", ".join(map(str, found.found_in[:_SHOWN]))
        more = " ..." if len(found.found_in) > _SHOWN else ""
        which = (
            f": numbers {numbers}{more}; look at them, or release again with --withhold-text"
            if numbers
            else ""
        )
        lines.append(f"letters found in {len(found.found_in)} of {found.looked_at} images{which}")
    if signer:
        no_end = (
            "states no end" if certificate.date else "states no end; with --date it would end two years later"
        )
        until = f"holds until {certificate.expires}" if certificate.expires else no_end
        lines.append(f"signed by key {signer.fingerprint}; the certificate {until}")
    else:
        lines.append("not signed; medaudit keygen makes a key, and --sign signs with it")
    lines += [
        _number(certificate),
        f"release id {done.id[:_DIGITS]}...: what the receiver compares. It is the SHA-256 of {MANIFEST}, which covers "
        f"every byte of the release. Tell the receiver all 64 digits by another way than the release: sha256sum "
        f"{done.file(MANIFEST)} prints them, --json too, and `medaudit verify` on the receiver's side",
    ]
    data = {
        "released": counts.released,
        "withheld": counts.withheld,
        "set_aside": counts.set_aside,
        "flagged": counts.flagged,
        "suspects": counts.suspects,
        "id": done.id,
        "number": certificate.release_id,
        "signer": signer.fingerprint if signer else None,
        "expires": certificate.expires or None,
        "text_found_in": found.found_in if found else None,
    }
    return tuple(lines), data


def told_by_verify(
    whole: Artifact, certificate: Certificate, who: str, *, trusted: bool
) -> tuple[tuple[str, ...], dict[str, Any]]:
    """What `verify` says of a release that is whole; `who` is the line on its signature."""
    counts, files = certificate.counts, len(whole.manifest["files"])
    until = f"holds until {certificate.expires}" if certificate.expires else "states no end"
    lines = (
        f"whole: {counts.released} images, all marked as synthetic, all {files} files as released",
        who,
        f"verdict of the audit: {certificate.verdict}; withheld {counts.withheld}{_rest(counts)}",
        f"the certificate {until}",
        _number(certificate),
        f"release id {whole.id}: the SHA-256 of {MANIFEST}, which covers every byte; compare all its digits with those "
        "that the sender gave you",
    )
    data = {
        "id": whole.id,
        "number": certificate.release_id,
        "released": counts.released,
        "withheld": counts.withheld,
        "files": files,
        "signer": certificate.signer.fingerprint if certificate.signer else None,
        "signature_trusted": trusted,
        "expires": certificate.expires or None,
    }
    return lines, data


def _rest(counts: CertifiedCounts) -> str:
    """What else there is to say of images that stayed, or went out although somebody may wonder; often nothing."""
    parts = []
    if counts.set_aside:
        parts.append(f"; {counts.set_aside} unusable, set aside when the cohort was made")
    if counts.flagged:
        parts.append(f"; among the released {counts.flagged} flagged and cleared by people")
    if counts.suspects:
        was = "suspect, which is not flagged" if counts.suspects == 1 else "suspects, which are not flagged"
        parts.append(f"; among the searched {counts.suspects} {was}")
    return "".join(parts)


def _number(certificate: Certificate) -> str:
    """The number that the files themselves name; the id is the manifest's hash, which none of them can hold."""
    return (
        f"release number {certificate.release_id[:_DIGITS]}...: the name of this release, to cite or withdraw it; "
        f"{CARD}, {CERTIFICATE} and the images hold all 64 digits. It proves nothing about the files"
    )
