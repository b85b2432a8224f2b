"""The authentication code of findings: HMAC-SHA-256 of their manifest under the site's key.

The manifest holds the hash of every other file, so edited findings no longer fit their code, even with new hashes.
The code protects from those who do not hold the key, the file that also makes the pseudonyms (docs/threats.md).
"""

import hashlib
import hmac
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from medaudit.artifacts.pseudonyms import KEY_NAME, key_fingerprint, load_key, load_or_make_key
from medaudit.artifacts.store import MANIFEST, Artifact, Seal
from medaudit.errors import FindingsNotAuthentic, UsageProblem
from medaudit.regular import read_first

CODE = f"{MANIFEST}.hmac"
_PURPOSE = b"medaudit findings\x1f"  # so that no other use of the key gives the same code
_AGAIN = "run the command that made it again"
_LEVELS = 3


def find_key(given: Path | None, near: Iterable[Path], fingerprint: str | None = None) -> bytes | None:
    """The site's key: the file `given`, or the one found in a folder of `folders_above(near)`.

    Any file `*.key` that holds a key counts. Of several in one folder the one with the `fingerprint`, or the first.
    None when there is none. Raises UsageProblem for a given file that is no key or is open to others.
    """
    if given is not None:
        return load_key(given)
    for folder in folders_above(near):
        keys = list(_keys_in(folder))
        if keys:
            return next((key for key in keys if key_fingerprint(key) == fingerprint), keys[0])
    return None


def folders_above(near: Iterable[Path]) -> list[Path]:
    """The folder of each artifact of `near` and those a little above it, the nearest first, each once.

    The key of a site is searched for in these, and so is its identity file.
    """
    return list(
        dict.fromkeys(folder for place in near for folder in list(place.absolute().parents)[:_LEVELS])
    )


def _keys_in(folder: Path) -> Iterator[bytes]:
    """The keys in a folder, `medaudit.key` first. Other files with that ending, such as signing keys, are skipped."""
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
    """The key that findings about a training cohort get their code from; None where none exists yet.

    `fingerprint`: of the key of the cohort's pseudonyms, None where it names none. Raises UsageProblem when the key
    with this fingerprint is not found.
    """
    key = find_key(given, near, fingerprint)
    if fingerprint is None or (key is not None and key_fingerprint(key) == fingerprint):
        return key
    has = "is not found near it" if key is None else f"is not the one at hand ({key_fingerprint(key)})"
    raise UsageProblem(
        f"the key of {cohort} (fingerprint {fingerprint}) {has}; give it as --key: findings carry a code made with it, "
        "so that an edited one is refused"
    )


def made_key(cohort: Path) -> bytes:
    """The key in the folder of a cohort that names none, made there if it does not exist."""
    return load_or_make_key(cohort.absolute().parent / KEY_NAME)


def code_with(key: bytes) -> Seal:
    """What `Draft.commit` takes as `seal`: it writes the code of an artifact next to the manifest."""
    return lambda manifest: {CODE: f"{key_fingerprint(key)} {_code(key, manifest)}\n"}


def require_authentic(artifact: Artifact, given: Path | None, near: Iterable[Path]) -> bytes:
    """The site's key, if the artifact carries the code made with it.

    Raises UsageProblem when no key is found, FindingsNotAuthentic for a missing or a wrong code.
    """
    # The folder of the findings comes last: whoever forged them could have put a key of their own there.
    named, stated = _stated(artifact)
    key = find_key(given, (*near, artifact.path), named)
    if key is None:
        raise UsageProblem(
            f"{artifact.path} can be checked only with the key of its site, {KEY_NAME}, which is not found near it; "
            "give it as --key"
        )
    _compare(artifact, key, named, stated)
    return key


def key_line(artifact: Artifact) -> str:
    """What the user compares: whose key the findings were checked with, by fingerprint."""
    return f"findings checked with the key {_stated(artifact)[0]}: it has to be the key of this site"


def check_code(artifact: Artifact, key: bytes) -> None:
    """Raise FindingsNotAuthentic unless the artifact carries the code that this key gives it."""
    _compare(artifact, key, *_stated(artifact))


def _stated(artifact: Artifact) -> tuple[str, str]:
    """The fingerprint and the code that an artifact carries; empty where they cannot be read."""
    try:
        named, _, stated = read_first(artifact.path / CODE, 256).decode("ascii").strip().partition(" ")
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
