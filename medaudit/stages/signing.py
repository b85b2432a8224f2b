"""The signature of a release on both sides: made with the team's secret key, checked with the key a receiver trusts."""

import re
from pathlib import Path

from medaudit.artifacts.certificate import CERTIFICATE, Certificate, Signer, read_certificate
from medaudit.artifacts.keys import Passphrase, PublicKey, SecretKey, read_public, read_secret
from medaudit.artifacts.signature import SIGNATURE, Signature, read_signature, sign
from medaudit.artifacts.store import MANIFEST, Artifact, Seal, write_whole
from medaudit.errors import KeyProblem, ReleaseBroken, SignatureWrong
from medaudit.regular import read_first

_AGAIN = "ask the sender for the release again"
_LONGEST = 4096  # bytes of a key file
_LONGEST_SHOWN = 120  # letters of --key in a message


def signing_key(path: Path | None, passphrase: Passphrase) -> SecretKey | None:
    """The key of `release --sign`, or None. Raises KeyProblem."""
    return read_secret(path, passphrase) if path else None


def signer_of(key: SecretKey) -> Signer:
    """What the certificate says of the key."""
    return Signer(public_key=key.public.text, fingerprint=key.public.fingerprint)


def seal_of(key: SecretKey, certificate: Certificate) -> Seal:
    """Signs the manifest; the trusted comment says what a receiver with minisign alone should know."""
    until = f"until {certificate.expires}" if certificate.expires else "no end stated"
    count = certificate.counts.released
    comment = f"medaudit release {certificate.release_id[:16]}, {count} synthetic images, {until}"
    return lambda manifest: {SIGNATURE: sign(key, manifest, comment)}


def seal_again(done: Artifact, key: SecretKey | None) -> None:
    """Make the signature of a release that stands already once more, where it was lost or damaged."""
    if key is None:
        return
    manifest = (done.path / MANIFEST).read_bytes()
    for name, said in seal_of(key, read_certificate(done.file(CERTIFICATE)))(manifest).items():
        if not (done.path / name).is_file() or (done.path / name).read_text() != said:
            write_whole(done.path / name, said.encode())


def trusted(key: str) -> PublicKey | str:
    """What `verify --key` was given: a public key, from a file or as text, or a fingerprint. Raises KeyProblem."""
    found = read_public(key)
    bare = re.sub(r"[\s:]", "", key).lower()
    if found is not None:
        return found
    if re.fullmatch(r"[0-9a-f]{64}", bare):
        return bare
    try:
        text = read_first(Path(key), _LONGEST).decode("utf-8", errors="replace")
    except (OSError, ValueError):
        # a secret key's line, pasted by mistake, is longer than this and is not repeated on the screen
        what = f"--key {key}" if len(key) <= _LONGEST_SHOWN else "--key"
        raise KeyProblem(
            f"{what} is no file that can be read, no public key's line and no fingerprint of 64 hex digits; "
            "ask the sender for the .pub file that medaudit keygen made"
        ) from None
    found = read_public(text)
    if found is None:
        what = "a secret key: never hand it on; give" if "secret key" in text[:80] else "no public key; give"
        raise KeyProblem(f"{key} is {what} the .pub file that the sender made")
    return found


def require_signature(folder: Path, manifest: bytes, key: PublicKey | str) -> PublicKey:
    """The key that signed this manifest. Raises SignatureWrong for another key than `key` and for what was changed."""
    signature = _signature(folder)
    if signature is None:
        raise SignatureWrong(f"{folder} is not signed: {SIGNATURE} is missing; {_AGAIN}, signed")
    if isinstance(key, str):
        key = _by_fingerprint(folder, key)
    if signature.key_id != key.key_id:
        raise SignatureWrong(
            f"{folder} is signed by another key than the one given ({key.name}); "
            "ask the sender, by another way, which key is theirs"
        )
    if not signature.holds(key, manifest):
        raise SignatureWrong(f"{folder}: {MANIFEST} or {SIGNATURE} was changed after it was signed; {_AGAIN}")
    return key


def said_without_key(folder: Path, manifest: bytes, certificate: Certificate) -> str:
    """The line for a receiver who gave no key: not signed, or signed by whom and not checked against a trusted key.

    The signature must fit the key that the certificate names, so that what was damaged on its way is found.
    """
    signature = _signature(folder)
    if signature is None and certificate.signer is None:
        return "not signed: nothing shows who made this release"
    if signature is None:
        raise SignatureWrong(f"{folder}: {SIGNATURE} is missing; {_AGAIN}")
    key = read_public(certificate.signer.public_key) if certificate.signer else None
    if key is None:
        raise ReleaseBroken(f"{folder}: {SIGNATURE} was added; {_AGAIN}")
    if not signature.holds(key, manifest):
        raise SignatureWrong(f"{folder}: {MANIFEST} or {SIGNATURE} was changed after it was signed; {_AGAIN}")
    return (
        f"signed by key {key.fingerprint}, which was not checked against a key you trust; "
        "give --key with the key or fingerprint that the sender told you"
    )


def wrong_signer(certificate: Certificate, key: PublicKey) -> bool:
    """Whether the certificate names another key than the one that was checked, or a fingerprint that is not its own."""
    said = certificate.signer
    return said is None or (said.public_key, said.fingerprint) != (key.text, key.fingerprint)


def _signature(folder: Path) -> Signature | None:
    """The release's signature, None when there is none. Raises SignatureWrong for a file that is not one."""
    path = folder / SIGNATURE
    if path.is_symlink() or not path.is_file():
        return None
    with path.open("rb") as stream:
        found = read_signature(stream.read(_LONGEST))
    if found is None:
        raise SignatureWrong(f"{folder}: {SIGNATURE} was changed; {_AGAIN}")
    return found


def _by_fingerprint(folder: Path, fingerprint: str) -> PublicKey:
    """The key that the certificate names, when it is the one with this fingerprint."""
    said = read_certificate(folder / CERTIFICATE).signer
    key = read_public(said.public_key) if said else None
    if key is None or key.fingerprint != fingerprint:
        raise SignatureWrong(
            f"{folder} is signed by another key than the one with that fingerprint; "
            "ask the sender, by another way, which key is theirs"
        )
    return key
