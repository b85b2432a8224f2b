"""Finds any of many words in a text, anywhere in it and in any case.

An index of the words' first eight bytes is swept over the text, so that a hundred thousand words cost as much as one.
Axes: W words, P positions in a text.
"""

import re
from collections.abc import Iterable

import numpy as np

_HEAD = 8  # bytes of a word that are looked up at every position
_COUNTER = re.compile(r"\d{1,7}(?:\.\w{1,5})?")


class Words:
    """Words to look for; those under eight bytes cannot be among them."""

    def __init__(self, words: Iterable[str] = ()) -> None:
        self._by_head: dict[int, list[bytes]] = {}
        for word in {word.lower() for word in words}:
            data = word.encode()
            if len(data) < _HEAD:
                raise ValueError("a word has fewer than eight bytes")
            self._by_head.setdefault(int(np.frombuffer(data[:_HEAD], np.uint64)[0]), []).append(data)
        self._heads = np.array(sorted(self._by_head), dtype=np.uint64)  # (W,) or fewer

    def stand_in(self, text: str) -> bool:
        """Whether one of the words stands in the text."""
        data = text.lower().encode("utf-8", "replace") if self._by_head else b""
        if len(data) < _HEAD:
            return False
        windows = np.lib.stride_tricks.sliding_window_view(np.frombuffer(data, np.uint8), _HEAD)  # (P, 8)
        values = np.ascontiguousarray(windows).view(np.uint64)[:, 0]  # (P,)
        spots = np.minimum(np.searchsorted(self._heads, values), len(self._heads) - 1)
        return any(
            data.startswith(word, int(place))
            for place in np.flatnonzero(self._heads[spots] == values)
            for word in self._by_head[int(values[place])]
        )


def telling_parts(names: Iterable[str]) -> frozenset[str]:
    """Parts of file names that can tell a person: at least eight bytes, five different characters, two digits.

    Mere counters (`000017.png`) stand in every cohort and tell nobody.
    """
    found = set()
    for name in names:
        for part in re.split(r"[/\\]", name):
            found |= {word.lower() for word in (part, part.rsplit(".", 1)[0]) if _tells(word)}
    return frozenset(found)


def _tells(word: str) -> bool:
    return (
        len(word.lower().encode()) >= _HEAD
        and len(set(word)) >= 5
        and sum(character.isdigit() for character in word) >= 2
        and _COUNTER.fullmatch(word) is None
    )
