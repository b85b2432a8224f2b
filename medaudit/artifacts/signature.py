"""A detached signature in minisign's format over the manifest, which holds the hash of every other file.

`ED` signs BLAKE2b-512 of the file; a second signature covers the first and the trusted comment. The first line of the
format is covered by nothing, so only one text is accepted there: a flipped bit is found wherever it is.
"""

import base64
import hashlib
from dataclasses import dataclass

from medaudit.artifacts.keys import COMMENT, PublicKey, SecretKey, decoded
from medaudit.artifacts.store import MANIFEST

SIGNATURE = f"{MANIFEST}.minisig"  # where minisign looks for it
_PREHASHED = b"ED"
_TRUSTED = "trusted comment: "
_LABEL = "signature of a medaudit release"
_LINES = 4


@dataclass(frozen=True)
class Signature:
    """What a signature file holds: who signed, both signatures (64 bytes each), and the comment they cover."""

    key_id: bytes
    of_file: bytes
    comment: str
    of_comment: bytes

    def text(self) -> str:
        """The file, the only way it may be written."""
        first = base64.b64encode(_PREHASHED + self.key_id + self.of_file).decode()
        second = base64.b64encode(self.of_comment).decode()
        return f"{COMMENT}{_LABEL}\n{first}\n{_TRUSTED}{self.comment}\n{second}\n"

    def holds(self, key: PublicKey, data: bytes) -> bool:
        """Whether `key` signed this data and this comment."""
        return (
            key.key_id == self.key_id
            and key.holds(self.of_file, hashlib.blake2b(data).digest())
            and key.holds(self.of_comment, self.of_file + self.comment.encode())
        )


def sign(key: SecretKey, data: bytes, comment: str) -> str:
    """The text of a signature file; the same key, data and comment give the same text."""
    of_file = key.sign(hashlib.blake2b(data).digest())
    return Signature(key.key_id, of_file, comment, key.sign(of_file + comment.encode())).text()


def read_signature(raw: bytes) -> Signature | None:
    """The signature in a file's bytes; None when they are anything but what `sign` writes."""
    try:
        lines = raw.decode().split("\n")
    except UnicodeDecodeError:
        return None
    if len(lines) != _LINES + 1 or not lines[2].startswith(_TRUSTED):
        return None
    first, second = decoded(lines[1], 2 + 8 + 64), decoded(lines[3], 64)
    if first is None or second is None:
        return None
    found = Signature(first[2:10], first[10:], lines[2].removeprefix(_TRUSTED), second)
    return found if found.text().encode() == raw else None
