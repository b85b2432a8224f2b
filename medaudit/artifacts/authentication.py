"""The authentication code of findings: HMAC-SHA-256 of their manifest under the site's key.

The manifest holds the hash of every other file, so findings that were edited by hand, hashes and all, no longer fit
their code. It protects from whoever does not hold the key, the file that also makes the pseudonyms (docs/threats.md).
"""

import hashlib
import hmac
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from medaudit.artifacts.pseudonyms import KEY_NAME, key_fingerprint, load_key, load_or_make_key
from medaudit.artifacts.store import MANIFEST, Artifact, Seal
from medaudit.errors import FindingsNotAuthentic, UsageProblem

CODE = f"{MANIFEST}.hmac"
_PURPOSE = b"medaudit findings\x1f"  # so that no other use of the key gives the same code
_AGAIN = "run the command that made it again"
_LEVELS = 3  # folders above an artifact in which its site's key is looked for


def find_key(given: Path | None, near: Iterable[Path], fingerprint: str | None = None) -> bytes | None:
    """The site's key: the file `given`, or the one found in the folder of an artifact of `near` or a little above.

    Any file `*.key` that holds a key counts. Of several in one folder the one with the `fingerprint`, or the first.
    None when there is none. Raises UsageProblem for a given file that is no key or is open to others.
    """
    if given is not None:
        return load_key(given)
    folders = (folder for place in near for folder in list(place.absolute().parents)[:_LEVELS])
    for folder in dict.fromkeys(folders):
        keys = list(_keys_in(folder))
        if keys:
            return next((key for key in keys if key_fingerprint(key) == fingerprint), keys[0])
    return None


def _keys_in(folder: Path) -> Iterator[bytes]:
    """The keys in a folder, `medaudit.key` first. Other files with that ending, as signing keys, are passed over."""
    names = sorted(folder.glob("*.key"), key=lambda path: (path.name != KEY_NAME, path.name))
    for path in names:
        if path.name == KEY_NAME:
            yield load_key(path)
            continue
        with suppress(UsageProblem, OSError):
            yield load_key(path)


def key_of_cohort(
    given: Path | None, near: Iterable[Path], fingerprint: str | None, cohort: Path
) -> bytes | None:
    """The key that findings about a training cohort get their code from; None where one is still to be made.

    `fingerprint`: of the key of the cohort's pseudonyms, None where it names none. Raises UsageProblem when that very
    key is not at hand.
    """
    key = find_key(given, near, fingerprint)
    if fingerprint is None or (key is not None and key_fingerprint(key) == fingerprint):
        return key
    has = "is not beside it" if key is None else f"is not the one at hand ({key_fingerprint(key)})"
    raise UsageProblem(
        f"the key of {cohort} (fingerprint {fingerprint}) {has}; give it as --key: findings carry a code made with it, "
        "so that an edited one is refused"
    )


def made_key(cohort: Path) -> bytes:
    """A key beside a cohort whose pseudonyms are of no key that is known."""
    return load_or_make_key(cohort.absolute().parent / KEY_NAME)


def code_with(key: bytes) -> Seal:
    """Writes the code of an artifact beside its manifest."""
    return lambda manifest: {CODE: f"{key_fingerprint(key)} {_code(key, manifest)}\n"}


def require_authentic(artifact: Artifact, given: Path | None, near: Iterable[Path]) -> bytes:
    """The key, once the artifact was found to carry the code that it gives.

    Raises UsageProblem when no key is at hand, FindingsNotAuthentic for a missing or another code.
    """
    # The folder of the findings comes last: whoever forged them could have put a key of their own there.
    named, stated = _stated(artifact)
    key = find_key(given, (*near, artifact.path), named)
    if key is None:
        raise UsageProblem(
            f"{artifact.path} can be checked only with the key of its site, {KEY_NAME}, which is not beside it; "
            "give it as --key"
        )
    _compare(artifact, key, named, stated)
    return key


def check_code(artifact: Artifact, key: bytes) -> None:
    """Raise FindingsNotAuthentic unless the artifact carries the code that this key gives it."""
    _compare(artifact, key, *_stated(artifact))


def _stated(artifact: Artifact) -> tuple[str, str]:
    """The fingerprint and the code that an artifact carries; empty where they cannot be read."""
    try:
        with (artifact.path / CODE).open("rb") as stream:
            named, _, stated = stream.read(256).decode("ascii").strip().partition(" ")
            return named, stated
    except FileNotFoundError:
        raise FindingsNotAuthentic(
            f"{artifact.path} carries no authentication code ({CODE}); {_AGAIN}"
        ) from None
    except (OSError, UnicodeDecodeError):
        return "", ""


def _compare(artifact: Artifact, key: bytes, named: str, stated: str) -> None:
    manifest, ours = (artifact.path / MANIFEST).read_bytes(), key_fingerprint(key)
    if hmac.compare_digest(stated, _code(key, manifest)):
        return
    if named != ours and len(named) == len(ours):
        raise FindingsNotAuthentic(
            f"{artifact.path} was made with the key {named}, and the key at hand is {ours}; "
            "give the key of its site as --key"
        )
    raise FindingsNotAuthentic(
        f"{artifact.path} was changed after medaudit made it: its authentication code does not fit; {_AGAIN}"
    )


def _code(key: bytes, manifest: bytes) -> str:
    return hmac.new(key, _PURPOSE + manifest, hashlib.sha256).hexdigest()
