"""The authentication code of findings: HMAC-SHA-256 of their manifest under the site's key.

The manifest holds the hash of every other file, so findings that were edited by hand, hashes and all, no longer fit
their code. It protects from whoever does not hold the key, the file that also makes the pseudonyms (docs/threats.md).
"""

import hashlib
import hmac
from collections.abc import Iterable
from pathlib import Path

from medaudit.artifacts.pseudonyms import key_fingerprint, load_key, load_or_make_key
from medaudit.artifacts.store import MANIFEST, Artifact, Seal
from medaudit.errors import FindingsNotAuthentic, UsageProblem

KEY_NAME = "medaudit.key"
CODE = f"{MANIFEST}.hmac"
_PURPOSE = b"medaudit findings\x1f"  # so that no other use of the key gives the same code
_LEVELS = 3  # folders above an artifact in which its site's key is looked for


def find_key(given: Path | None, near: Iterable[Path], fingerprint: str | None = None) -> bytes | None:
    """The site's key: the file `given`, or the first `medaudit.key` beside an artifact of `near` or a little above.

    `fingerprint`: only the key that has it. None when there is none. Raises UsageProblem for a file that is no key or
    is open to others.
    """
    if given is not None:
        return load_key(given)
    seen: set[Path] = set()
    for place in near:
        for folder in list(place.absolute().parents)[:_LEVELS]:
            file = folder / KEY_NAME
            if file in seen or not file.is_file():
                continue
            seen.add(file)
            key = load_key(file)
            if fingerprint in (None, key_fingerprint(key)):
                return key
    return None


def key_to_sign(given: Path | None, near: Iterable[Path], fingerprint: str | None, beside: Path) -> bytes:
    """The key that findings about a training cohort get their code from; made in the folder of `beside` where the
    cohort's pseudonyms are of no key that is known.

    `fingerprint`: of the key of the cohort's pseudonyms. Raises UsageProblem when that key is not at hand.
    """
    key = find_key(given, near, fingerprint)
    if key is None and fingerprint is None:
        return load_or_make_key(beside.absolute().parent / KEY_NAME)
    if key is None:
        raise UsageProblem(
            f"the key of {beside} (fingerprint {fingerprint}) is not beside it; give it as --key: findings carry a "
            "code made with it, so that an edited one is refused"
        )
    if fingerprint is not None and key_fingerprint(key) != fingerprint:
        raise UsageProblem(
            f"the key found has the fingerprint {key_fingerprint(key)}, and the pseudonyms of {beside} are of the key "
            f"{fingerprint}; give that one as --key"
        )
    return key


def code_with(key: bytes) -> Seal:
    """Writes the code of an artifact beside its manifest."""
    return lambda manifest: {CODE: f"{key_fingerprint(key)} {_code(key, manifest)}\n"}


def require_authentic(artifact: Artifact, given: Path | None, near: Iterable[Path]) -> bytes:
    """The key, once the artifact was found to carry the code that it gives.

    Raises UsageProblem when no key is at hand, FindingsNotAuthentic for a missing or another code.
    """
    # The folder of the findings comes last: whoever forged them could have put a key of their own there.
    key = find_key(given, (*near, artifact.path))
    if key is None:
        raise UsageProblem(
            f"{artifact.path} can be checked only with the key of its site, {KEY_NAME}, which is not beside it; "
            "give it as --key"
        )
    check_code(artifact, key)
    return key


def check_code(artifact: Artifact, key: bytes) -> None:
    """Raise FindingsNotAuthentic unless the artifact carries the code that this key gives it."""
    again = "run the command that made it again"
    try:
        with (artifact.path / CODE).open("rb") as stream:
            named, _, stated = stream.read(256).decode("ascii").strip().partition(" ")
    except FileNotFoundError:
        raise FindingsNotAuthentic(
            f"{artifact.path} carries no authentication code ({CODE}); {again}"
        ) from None
    except (OSError, UnicodeDecodeError):
        named = stated = ""
    manifest = (artifact.path / MANIFEST).read_bytes()
    if hmac.compare_digest(stated, _code(key, manifest)):
        return
    if named != key_fingerprint(key) and len(named) == len(key_fingerprint(key)):
        raise FindingsNotAuthentic(
            f"{artifact.path} was made with the key {named}, and the key at hand is {key_fingerprint(key)}; "
            "give the key of its site as --key"
        )
    raise FindingsNotAuthentic(
        f"{artifact.path} was changed after medaudit made it: its authentication code does not fit; {again}"
    )


def _code(key: bytes, manifest: bytes) -> str:
    return hmac.new(key, _PURPOSE + manifest, hashlib.sha256).hexdigest()
