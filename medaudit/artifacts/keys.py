"""Signing keys on disk, in the format of minisign (jedisct1.github.io/minisign), so that either program can use them.

A public key is a comment and base64 of `Ed`, 8 bytes of key id, 32 bytes of Ed25519 key. A secret key is a comment and
base64 of 158 bytes: algorithms, scrypt parameters, then key id, seed, public key and checksum, which a passphrase
masks. The secret key is a file of its own, mode 0600, and its passphrase never comes from the command line.
"""

import base64
import binascii
import hashlib
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from medaudit.artifacts.store import disk_full_named
from medaudit.errors import KeyProblem, OutputExists, UsageProblem
from medaudit.regular import read_first

COMMENT = "untrusted comment: "
_ALGORITHM, _SCRYPT, _PLAIN, _CHECKSUM = b"Ed", b"Sc", b"\0\0", b"B2"
_KEY_ID, _KEY = 8, 32
_PUBLIC = 2 + _KEY_ID + _KEY
_MASKED = _KEY_ID + 2 * _KEY + 32  # key id, seed, public key, checksum
_SECRET = 2 + 2 + 2 + 32 + 8 + 8 + _MASKED
# libsodium's measure of scrypt: N = 2**17, r = 8, p = 1, 128 MiB, half a second (OWASP password storage, 2023)
_OPERATIONS, _MEMORY = 1 << 22, 1 << 27
_MOST_MEMORY = 1 << 30  # what minisign itself asks for
_LONGEST = 4096  # bytes of a key file

Passphrase = Callable[[], str]


@dataclass(frozen=True)
class PublicKey:
    """Who signed: 8 bytes of key id and the 32 bytes of an Ed25519 key."""

    key_id: bytes
    key: bytes

    @property
    def text(self) -> str:
        """The line that `minisign -P` takes."""
        return base64.b64encode(_ALGORITHM + self.key_id + self.key).decode()

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the 32 key bytes, hex: what is read out over the telephone."""
        return hashlib.sha256(self.key).hexdigest()

    @property
    def name(self) -> str:
        """The key id as minisign prints it."""
        return self.key_id[::-1].hex().upper()

    def holds(self, signature: bytes, data: bytes) -> bool:
        """Whether `signature` (64 bytes) is this key's over `data`. RFC 8032."""
        from cryptography.exceptions import InvalidSignature

        try:
            Ed25519PublicKey.from_public_bytes(self.key).verify(signature, data)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True)
class SecretKey:
    """A key id and the 32 bytes that sign; `repr` shows neither."""

    key_id: bytes
    seed: bytes

    def __repr__(self) -> str:
        return "SecretKey(...)"

    @property
    def public(self) -> PublicKey:
        """The key that checks what this one signs."""
        return PublicKey(
            self.key_id, Ed25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw()
        )

    def sign(self, data: bytes) -> bytes:
        """64 bytes, the same for the same data. RFC 8032."""
        return Ed25519PrivateKey.from_private_bytes(self.seed).sign(data)


def new_key() -> SecretKey:
    """A key from the system's randomness."""
    return SecretKey(secrets.token_bytes(_KEY_ID), secrets.token_bytes(_KEY))


def key_files(out: Path) -> tuple[Path, Path]:
    """(secret, public) paths of `keygen --out`: `signing.key` and `.pub` in a folder, or that name with these ends."""
    prefix = out / "signing" if out.is_dir() else out
    return prefix.with_name(prefix.name + ".key"), prefix.with_name(prefix.name + ".pub")


def write_keys(out: Path, key: SecretKey, passphrase: str = "") -> tuple[Path, Path]:
    """Write both files, whole or not at all; returns (secret, public).

    Raises OutputExists rather than write over a key, UsageProblem where nothing can be written.
    """
    secret, public = key_files(out)
    for path in (secret, public):
        if path.exists() or path.is_symlink():
            raise OutputExists(f"{path} exists; a key is never written over, choose another --out")
    secret_text = _secret_text(key, passphrase)
    public_text = f"{COMMENT}minisign public key {key.public.name}\n{key.public.text}\n"
    with disk_full_named(out):
        try:
            secret.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # The secret key comes last: a public key alone, after a kill, does no harm.
            _write_new(public, public_text.encode(), 0o644)
            _write_new(secret, secret_text.encode(), 0o600)
        except FileExistsError:
            raise OutputExists(
                f"{secret} exists; a key is never written over, choose another --out"
            ) from None
        except (PermissionError, NotADirectoryError):
            raise UsageProblem(f"{out} cannot be written there; choose another --out") from None
    return secret, public


def read_public(text: str) -> PublicKey | None:
    """The key in the text of a public key file or in its base64 line alone; None when there is none."""
    lines = text.strip().splitlines()
    if len(lines) == 2 and lines[0].startswith(COMMENT):
        lines = lines[1:]
    found = decoded(lines[0], _PUBLIC) if len(lines) == 1 else None
    if found is None or found[:2] != _ALGORITHM:
        return None
    return PublicKey(found[2 : 2 + _KEY_ID], found[2 + _KEY_ID :])


def no_key(path: Path) -> KeyProblem:
    """The error for a path at which there is no file with a secret key."""
    return KeyProblem(f"{path} cannot be read; give the secret key that medaudit keygen made")


def read_secret(path: Path, passphrase: Passphrase) -> SecretKey:
    """The secret key of a file; `passphrase` is asked only when the key has one.

    Raises KeyProblem for a file that others can read, that is no key, or a passphrase that does not open it.
    """
    try:
        mode = path.stat().st_mode
        text = _read_short(path)
    except OSError:
        raise no_key(path) from None
    if mode & 0o077:
        raise KeyProblem(
            f"{path} can be read by others; run chmod 600 on it, and think whether to make a new key"
        )
    if read_public(text) is not None:
        raise KeyProblem(f"{path} is a public key; sign with the .key file beside it")
    lines = text.strip().splitlines()
    raw = decoded(lines[1], _SECRET) if len(lines) == 2 and lines[0].startswith(COMMENT) else None
    if raw is None or raw[:2] != _ALGORITHM or raw[4:6] != _CHECKSUM or raw[2:4] not in (_SCRYPT, _PLAIN):
        raise KeyProblem(f"{path} is no signing key; give the secret key that medaudit keygen made")
    salt, operations, memory = raw[6:38], _number(raw[38:46]), _number(raw[46:54])
    inner = raw[54:]
    if raw[2:4] == _SCRYPT:
        if not 1 << 15 <= operations <= 1 << 25 or not 1 << 20 <= memory <= _MOST_MEMORY:
            raise KeyProblem(f"{path} is no signing key; give the secret key that medaudit keygen made")
        inner = _mask(inner, passphrase(), salt, operations, memory)
    key_id, seed = inner[:_KEY_ID], inner[_KEY_ID : _KEY_ID + _KEY]
    key = SecretKey(key_id, seed)
    if key.public.key != inner[_KEY_ID + _KEY : _KEY_ID + 2 * _KEY] or (
        raw[2:4] == _SCRYPT and _checksum(key) != inner[-32:]
    ):
        why = "the passphrase does not open" if raw[2:4] == _SCRYPT else "nothing can be signed with"
        raise KeyProblem(f"{why} {path}; give the right one")
    return key


def read_passphrase(path: Path) -> str:
    """The first line of a passphrase file. Raises KeyProblem when it is empty or others can read it."""
    try:
        mode, text = path.stat().st_mode, _read_short(path)
    except OSError:
        raise KeyProblem(
            f"{path} cannot be read; give a file whose first line is the key's passphrase (mode 0600)"
        ) from None
    if mode & 0o077:
        raise KeyProblem(f"{path} can be read by others; run chmod 600 on it")
    line = text.split("\n", 1)[0].rstrip("\r")
    if not line:
        raise KeyProblem(f"{path} holds no passphrase; write it on the first line")
    return line


def decoded(text: str, size: int) -> bytes | None:
    """The bytes of strict base64 that is exactly as long; None otherwise. One text for one value."""
    try:
        found = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, ValueError):
        return None
    # the last letter of base64 has bits that decoders ignore
    return found if len(found) == size and base64.b64encode(found).decode() == text else None


def _secret_text(key: SecretKey, passphrase: str) -> str:
    inner = key.key_id + key.seed + key.public.key + _checksum(key)
    if passphrase:
        salt = secrets.token_bytes(32)
        head = _ALGORITHM + _SCRYPT + _CHECKSUM + salt + _bytes(_OPERATIONS) + _bytes(_MEMORY)
        inner = _mask(inner, passphrase, salt, _OPERATIONS, _MEMORY)
    else:
        head = _ALGORITHM + _PLAIN + _CHECKSUM + bytes(48)
    kind = "encrypted secret key" if passphrase else "secret key"
    return f"{COMMENT}minisign {kind}\n{base64.b64encode(head + inner).decode()}\n"


def _checksum(key: SecretKey) -> bytes:
    return hashlib.blake2b(_ALGORITHM + key.key_id + key.seed + key.public.key, digest_size=32).digest()


def _mask(inner: bytes, passphrase: str, salt: bytes, operations: int, memory: int) -> bytes:
    """XOR with scrypt of the passphrase; the parameters follow libsodium's crypto_pwhash_scryptsalsa208sha256."""
    if operations < memory // 32:
        largest, p = operations // 32, 1
    else:
        largest = memory // 1024
        p = 0
    n = 2
    while n <= largest // 2:
        n *= 2
    p = p or max(1, (operations // 4) // n // 8)
    stream = hashlib.scrypt(
        passphrase.encode(), salt=salt, n=n, r=8, p=p, maxmem=_MOST_MEMORY + (64 << 20), dklen=len(inner)
    )
    return bytes(a ^ b for a, b in zip(inner, stream, strict=True))


def _bytes(number: int) -> bytes:
    return number.to_bytes(8, "little")


def _number(raw: bytes) -> int:
    return int.from_bytes(raw, "little")


def _read_short(path: Path) -> str:
    return read_first(path, _LONGEST).decode("utf-8", errors="replace")


def _write_new(path: Path, data: bytes, mode: int) -> None:
    """Write a file that must not exist yet, so that it is there whole or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        try:
            path.hardlink_to(draft)
        except OSError:
            if path.exists() or path.is_symlink():
                raise FileExistsError from None
            draft.replace(path)  # a file system without hard links
    finally:
        draft.unlink(missing_ok=True)
