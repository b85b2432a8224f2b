"""What is known of the real side, so that it can be looked for in what goes out."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from medaudit.linting.blocks import Blocks
from medaudit.linting.words import Words

_HEX = re.compile(r"[0-9a-fA-F]{32,}")
_DIGEST_DIGITS = (32, 40, 64)  # MD5, SHA-1, SHA-256


@dataclass(frozen=True)
class Known:
    """`words` of names and those a site forbids; `digests` as raw bytes; `blocks` of real films.

    `strict`: any hash that is not the output's own is refused, whosever it is. `nameless`: how many source files of
    the real cohorts have names that are not known here, and cannot be looked for.
    """

    words: Words = field(default_factory=Words, repr=False)
    digests: frozenset[bytes] = field(default=frozenset(), repr=False)
    blocks: Blocks | None = field(default=None, repr=False)
    strict: bool = False
    nameless: int = 0

    def strictly(self, strict: bool = True) -> "Known":
        """The same, with every hash refused that is not the output's own; or not."""
        return replace(self, strict=strict)

    def without(self, ids: Iterable[str]) -> "Known":
        """The same, with these hashes let through."""
        return replace(self, digests=self.digests - {bytes.fromhex(one) for one in ids})

    def names(self, text: str) -> bool:
        """Whether a known word stands in the text."""
        return self.words.stand_in(text)

    def hashes(self, text: str) -> bool:
        """Whether a plain hash of a real file stands in the text, in hexadecimal digits, alone or run together."""
        return any(
            bytes.fromhex(run[place : place + length]) in self.digests
            for run in _HEX.findall(text)
            for length in _DIGEST_DIGITS
            for place in range(len(run) - length + 1)
        )


NOTHING = Known()
