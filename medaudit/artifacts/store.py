"""Artifacts: folders written whole or not at all, hashed, and aware of what they were made from.

A command describes what it is about to make in a `Request`. `finished` tells whether that very thing stands
already; `Draft` is the hidden sibling folder in which it grows, which a killed command finds again, and which
`commit` renames into place after everything in it was hashed and synced. Scratch files of a draft (checkpoints,
journals) are not part of the artifact and go with the commit.
"""

import errno
import fcntl
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import Any

from medaudit.artifacts.manifests import needed, parsed
from medaudit.errors import (
    ArtifactBroken,
    ArtifactKindMismatch,
    MedauditError,
    OutputExists,
    StorageFull,
    UsageProblem,
)

SCHEMA = "medaudit.artifact/1"
MANIFEST = "manifest.json"
_REQUEST = ".request.json"
_SCRATCH = ".scratch"
_TEMPORARY = ".tmp"
_SEALERS = 8
Seal = Callable[[bytes], Mapping[str, str]]  # of the manifest's bytes, the texts of files it cannot list
Look = Callable[[Path], object]  # at the whole folder before it is in place; what it raises stops the commit
_VERSIONED = ("medaudit", "numpy", "torch", "pydicom")


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces: the same text for the same value, whoever writes it."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, hex, read in blocks."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def versions() -> dict[str, str]:
    """Versions of the packages whose behaviour decides the bytes of an artifact; imports none of them."""
    found = {}
    for name in _VERSIONED:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


@dataclass(frozen=True)
class Request:
    """What a command was asked to make: kind, settings, seed, and the ids of its parents by role."""

    kind: str
    settings: Mapping[str, Any]
    seed: int | None = None
    parents: Mapping[str, str] = field(default_factory=dict)

    def fingerprint(self) -> str:
        """SHA-256 of the request: two calls with the same arguments share it."""
        body = {
            "kind": self.kind,
            "settings": dict(self.settings),
            "seed": self.seed,
            "parents": dict(self.parents),
            "versions": versions(),
        }
        return hashlib.sha256(canonical(body).encode()).hexdigest()


@dataclass(frozen=True)
class Artifact:
    """A finished folder: its path and its manifest. `id` is the SHA-256 of the manifest's bytes."""

    path: Path
    manifest: Mapping[str, Any]
    id: str

    @property
    def kind(self) -> str:
        """`cohort`, `model`, `findings`, `report` or `release`."""
        return self.manifest["kind"]

    @property
    def settings(self) -> Mapping[str, Any]:
        """The settings the command ran with."""
        return self.manifest["settings"]

    @property
    def lineage(self) -> Mapping[str, str]:
        """Ids of the artifacts this one was made from, by role."""
        return self.manifest["lineage"]

    def file(self, name: str) -> Path:
        """Path of one of the artifact's files."""
        return self.path / name


def open_artifact(path: Path, kind: str | None = None, *, verify: bool = True) -> Artifact:
    """Open a finished artifact of the kind named; `verify` hashes every file.

    Raises ArtifactKindMismatch for another kind or no artifact, ArtifactBroken for changed or missing files.
    """
    manifest_path = path / MANIFEST
    if not manifest_path.is_file():
        what = "is not a folder" if not path.is_dir() else "has no manifest.json"
        raise ArtifactKindMismatch(f"{path} {what}; {needed(kind)}")
    text = manifest_path.read_bytes()
    manifest = parsed(text)
    if manifest is None:
        raise ArtifactBroken(f"{path}: manifest.json cannot be read; make the artifact again")
    found, schema = manifest["kind"], manifest["schema"]
    if schema != SCHEMA:
        raise ArtifactKindMismatch(f"{path} was written with schema {schema!r}; this version reads {SCHEMA}")
    if kind is not None and found != kind:
        raise ArtifactKindMismatch(f"{path} is a {found} artifact; {needed(kind)}")
    if verify:
        for name, digest in manifest["files"].items():
            if not (path / name).is_file():
                raise ArtifactBroken(f"{path}: {name} is missing; make the artifact again")
            if file_sha256(path / name) != digest:
                raise ArtifactBroken(f"{path}: {name} was changed after it was written; make it again")
    return Artifact(path, manifest, hashlib.sha256(text).hexdigest())


def finished(out: Path, request: Request) -> Artifact | None:
    """The artifact at `out` when this very request made it; None when `out` is free.

    Raises OutputExists when something else stands there.
    """
    if not out.exists() and not out.is_symlink():
        return None
    if out.is_dir() and not any(out.iterdir()):
        return None
    if out.is_dir() and (out / MANIFEST).is_file():
        artifact = open_artifact(out)
        if artifact.manifest.get("request") == request.fingerprint():
            with suppress(OSError):  # left by a kill between the rename and the end of the draft
                _lock_path(out).unlink(missing_ok=True)
            return artifact
        raise OutputExists(
            f"{out} was made with other arguments or inputs; choose another --out or remove it"
        )
    raise OutputExists(f"{out} exists and is not medaudit's; choose another --out")


class Draft:
    """The hidden folder in which an artifact grows; use it as a context manager and end with `commit`.

    A MedauditError discards it unless it `keeps_draft`, because there is nothing to go on from; any other end (kill,
    Ctrl-C, full disk) leaves it for the next call with the same request.
    """

    def __init__(self, out: Path, request: Request) -> None:
        self.out = out
        self.request = request
        self.path = out.parent / f".{out.name}.partial"
        self.resumed = False
        self._lock_path = _lock_path(out)
        self._lock: int | None = None

    def __enter__(self) -> "Draft":
        with disk_full_named(self.out):
            try:
                self.out.parent.mkdir(parents=True, exist_ok=True)
                self._take_lock()
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise
                raise UsageProblem(f"{self.out} cannot be written there; choose another --out") from None
            try:
                if self.out.is_dir() and any(self.out.iterdir()):
                    raise OutputExists(f"{self.out} was written meanwhile; run the command again to use it")
                self._begin()
            except BaseException:
                self._drop_lock()
                raise
        return self

    def _begin(self) -> None:
        """Find the draft of a killed command with the same request, or start an empty one."""
        self.path.mkdir(mode=0o700, exist_ok=True)
        fingerprint = self.request.fingerprint()
        marker = self.path / _REQUEST
        self.resumed = marker.is_file() and marker.read_bytes() == fingerprint.encode()
        if self.resumed:
            # what write_whole had not yet put in place when it was killed
            for leftover in self.path.rglob(f"*{_TEMPORARY}"):
                leftover.unlink()
        else:
            self._empty()
            write_whole(marker, fingerprint.encode())
        (self.path / _SCRATCH).mkdir(mode=0o700, exist_ok=True)

    def _take_lock(self) -> None:
        """Lock a sibling file; the file goes with the end of the draft."""
        self._lock = lock_file(self._lock_path)
        if self._lock is None:
            raise OutputExists(f"another medaudit process is writing {self.out}; wait for it")

    def _drop_lock(self) -> None:
        if self._lock is not None:
            self._lock_path.unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise _storage_full(self.out) from None
            if isinstance(error, MedauditError) and not error.keeps_draft:
                shutil.rmtree(self.path, ignore_errors=True)
        finally:
            self._drop_lock()

    def file(self, name: str) -> Path:
        """Path for a file of the artifact; parent folders are made."""
        path = self.path / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path

    def scratch(self, name: str) -> Path:
        """Path for a file that helps to resume and is not part of the artifact."""
        return self.path / _SCRATCH / name

    def commit(
        self, *, refused: dict[str, Any] | None = None, seal: Seal | None = None, look: Look | None = None, **facts: Any
    ) -> Artifact:  # fmt: skip
        """Hash, sync, rename into place; `refused` and `facts` go into the manifest, what `seal` makes beside it."""
        with disk_full_named(self.out):
            names = self._names()
            with ThreadPoolExecutor(_SEALERS) as pool:  # a disk takes many syncs at once faster than in turn
                digests = list(pool.map(lambda name: _seal(self.path / name), names))
            manifest = {
                "schema": SCHEMA,
                "kind": self.request.kind,
                "files": dict(zip(names, digests, strict=True)),
                "lineage": dict(self.request.parents),
                "settings": dict(self.request.settings),
                "seed": self.request.seed,
                "versions": versions(),
                "request": self.request.fingerprint(),
                "refused": dict(refused or {}),
                **facts,
            }
            text = json.dumps(manifest, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
            write_whole(self.path / MANIFEST, text.encode())
            for name, said in (seal(text.encode()) if seal else {}).items():
                write_whole(self.path / name, said.encode())
            if look:
                look(self.path)
            shutil.rmtree(self.path / _SCRATCH, ignore_errors=True)
            (self.path / _REQUEST).unlink(missing_ok=True)
            for folder in (*(p for p in self.path.rglob("*") if p.is_dir()), self.path):
                folder.chmod(stat.S_IRWXU)
                sync(folder)
            if self.out.is_dir():
                self.out.rmdir()
            self.path.rename(self.out)
            sync(self.out.parent)
        return open_artifact(self.out, self.request.kind, verify=False)

    def _names(self) -> list[str]:
        """The files that belong to the artifact, relative, sorted."""
        scratch, aside = self.path / _SCRATCH, (MANIFEST, _REQUEST)  # and what a killed commit sealed
        return sorted(
            p.relative_to(self.path).as_posix()
            for p in self.path.rglob("*")
            if p.is_file()
            and scratch not in p.parents
            and not (p.parent == self.path and p.name.startswith(aside))
        )

    def _empty(self) -> None:
        for entry in self.path.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()


def lock_file(path: Path) -> int | None:
    """Lock a file, made where it is not: its descriptor, or None while another process holds it.

    The lock goes with the process. A record lock and no flock: worker processes that outlive a killed parent must not
    inherit it.
    """
    while True:
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):  # POSIX lets a taken lock be EAGAIN or EACCES
            os.close(lock)
            return None
        # Whoever held it before may have removed the file between our open and our lock.
        if _same_file(lock, path):
            return lock
        os.close(lock)


@contextmanager
def locked(path: Path, taken: MedauditError) -> Iterator[None]:
    """Hold the lock of a file; raises `taken` while another process does."""
    lock = lock_file(path)
    if lock is None:
        raise taken
    try:
        yield
    finally:
        os.close(lock)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees the old bytes or the new ones, never a part (mode 0600)."""
    temporary = path.with_name(path.name + _TEMPORARY)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)


def _seal(path: Path) -> str:
    """Make a finished file private, bring it to the disk, and return its SHA-256."""
    path.chmod(stat.S_IRUSR | stat.S_IWUSR)
    sync(path)
    return file_sha256(path)


def sync(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _lock_path(out: Path) -> Path:
    return out.parent / f".{out.name}.lock"


def _same_file(descriptor: int, path: Path) -> bool:
    """Whether the open file is still the one that the path names."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(descriptor), path.stat())
    return False


def _storage_full(out: Path) -> StorageFull:
    return StorageFull(
        f"the disk is full while writing {out}; free some space and run the same command again to go on"
    )


@contextmanager
def disk_full_named(out: Path) -> Iterator[None]:
    """Turns ENOSPC into StorageFull."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _storage_full(out) from None
        raise
