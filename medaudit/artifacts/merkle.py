"""One hash over all released files, from which a single file can be shown to belong without the others.

RFC 6962 sec. 2.1: leaves and inner nodes are hashed with different first bytes, so that no node passes for a leaf. A
leaf is the line that `sha256sum` prints for the file, without its newline: hash, two spaces, name. Leaves are sorted
by the bytes of their names.
"""

import errno
import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from medaudit.artifacts.certificate import CERTIFICATE
from medaudit.artifacts.store import file_sha256
from medaudit.progress import SILENT, Progress

_READERS = 4  # hashing leaves the interpreter's lock, and a disk takes several reads at once


def merkle_root(files: Mapping[str, str | None]) -> str:
    """Root over SHA-256 hex digests by file name, hex. The certificate, which states the root, is left out."""
    names = sorted((name for name in files if name != CERTIFICATE), key=str.encode)
    level = [hashlib.sha256(b"\0" + f"{files[name]}  {name}".encode()).digest() for name in names]
    return _tree(level).hex()


def digests(paths: Sequence[Path], progress: Progress = SILENT) -> list[str | None]:
    """SHA-256 hex of each file, in order; None for what is no plain file (a link, a folder, nothing)."""
    found: list[str | None] = []
    with ThreadPoolExecutor(_READERS) as pool:
        for digest in pool.map(_digest, paths):
            found.append(digest)
            progress.advance()
    return found


def _digest(path: Path) -> str | None:
    try:
        return None if path.is_symlink() or not path.is_file() else file_sha256(path)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:  # no file can have this name
            return None
        raise


def _tree(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 over hashed leaves: pairs from the left, an odd one moves up as it is."""
    if not leaves:
        return hashlib.sha256().digest()
    while len(leaves) > 1:
        pairs = [
            hashlib.sha256(b"\1" + leaves[i] + leaves[i + 1]).digest() for i in range(0, len(leaves) - 1, 2)
        ]
        leaves = pairs + leaves[len(pairs) * 2 :]
    return leaves[0]
