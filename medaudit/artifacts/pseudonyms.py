"""Keyed pseudonyms: HMAC-SHA-256 of a patient id under a key that is a file of its own."""

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from medaudit.artifacts.store import write_whole
from medaudit.errors import UsageProblem
from medaudit.regular import read_first

KEY_NAME = "medaudit.key"
KEY_BYTES = 32
_LONGEST = 256  # bytes of the file


def load_or_make_key(path: Path) -> bytes:
    """The site's key, 32 bytes; made with mode 0600 when the file is absent.

    Raises UsageProblem when the file is readable by others or is no key.
    """
    if path.is_dir():
        raise UsageProblem(f"{path} is a folder; a key is one file, give another --key")
    if not path.exists():
        try:
            _make_key(path)
        except (PermissionError, NotADirectoryError, FileExistsError, FileNotFoundError):
            raise UsageProblem(f"no key can be made at {path}; give --key with a place of its own") from None
    return load_key(path)


def load_key(path: Path) -> bytes:
    """The site's key, which must be there: a new one would give everybody another pseudonym.

    Raises UsageProblem when the file is absent, readable by others or no key.
    """
    if not path.is_file():
        raise UsageProblem(f"{path} is no file; give the key that `ingest` made or was given as --key")
    if path.stat().st_mode & 0o077:
        raise UsageProblem(f"{path} can be read by others; run chmod 600 on it")
    try:
        key = bytes.fromhex(read_first(path, _LONGEST).decode("ascii").strip())
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise UsageProblem(f"{path} is no medaudit key ({KEY_BYTES} bytes in hex); give the right --key")
    return key


def _make_key(path: Path) -> None:
    """Write a new key, unless another process is first: two keys would give one patient two pseudonyms."""
    path.parent.mkdir(parents=True, exist_ok=True)
    candidate = path.with_name(f".{path.name}.{os.getpid()}")
    write_whole(candidate, secrets.token_hex(KEY_BYTES).encode() + b"\n")
    try:
        path.hardlink_to(candidate)
    except FileExistsError:
        pass
    except OSError:  # a file system without hard links
        candidate.replace(path)
    finally:
        candidate.unlink(missing_ok=True)


def key_fingerprint(key: bytes) -> str:
    """Eight hex digits that tell two keys apart without telling either."""
    return hmac.new(key, b"medaudit key fingerprint", hashlib.sha256).hexdigest()[:8]


def pseudonym(key: bytes, identifier: str, *, kind: str = "patient") -> str:
    """`p-` (or the kind's first letter) and 16 hex digits; the same id gives the same pseudonym under one key."""
    digest = hmac.new(key, f"{kind}\x1f{identifier}".encode(), hashlib.sha256).hexdigest()
    return f"{kind[0]}-{digest[:16]}"
