"""Names of files as tables write them → files of a source. The one place where it is decided what a name may reach.

A name is only ever looked up among the files that the walk found or that stay inside the source.
"""

import posixpath
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

_DRIVE = re.compile(r"[A-Za-z]:")
_ENDINGS = re.compile(r"\.(?:png|jpe?g|jpe|tiff?|dcm|dicom|dic|ima)$", re.IGNORECASE)


def inside(text: str, folder: Path | None = None) -> str | None:
    """A name as a table writes it → relative to its folder, with forward slashes; None where it leads out.

    Backslashes are slashes. An absolute name leads out, unless it lies in `folder`.
    """
    name = text.strip().replace("\\", "/")
    if name.startswith("/") and not name.startswith("//") and folder is not None:
        for base in (folder.absolute(), folder.resolve()):
            prefix = base.as_posix().rstrip("/") + "/"
            if name.startswith(prefix):
                name = name[len(prefix) :]
                break
    if name.startswith("/") or _DRIVE.match(name):
        return None
    name = posixpath.normpath(name)
    return None if name in (".", "..") or name.startswith("../") else name


@dataclass(frozen=True)
class Found:
    """The file that a name stands for; None when there is none, or (`ambiguous`) more than one."""

    file: str | None
    exact: bool = False
    ambiguous: bool = False


def has_ending(text: str) -> bool:
    """Whether a text ends as the name of an image does."""
    return _ENDINGS.search(text) is not None


class Files:
    """Finds files of a source by the names of a table: as they are, then without ending or with other folders above.

    `images` are found in each of these ways; `others` only under their very name.
    """

    def __init__(self, images: Sequence[str], others: Iterable[str] = ()) -> None:
        self._names = {*images, *others}
        self._by_last: dict[str, list[tuple[tuple[str, ...], str]]] = defaultdict(list)
        for name in images:
            parts = _parts(name)
            self._by_last[parts[-1]].append((parts, name))

    def find(self, name: str) -> Found:
        """The file that `name` (as `inside` gives it) stands for."""
        if name in self._names:
            return Found(name, exact=True)
        parts = _parts(name)
        ending = _ENDINGS.search(name)
        fitting = [
            (other, file)
            for other, file in self._by_last.get(parts[-1], [])
            if _same_ending(ending, file) and _one_ends_the_other(parts, other)
        ]
        same = [file for other, file in fitting if other == parts]
        candidates = same or [file for _, file in fitting]
        if len(candidates) == 1:
            return Found(candidates[0])
        return Found(None, ambiguous=bool(candidates))


def _parts(name: str) -> tuple[str, ...]:
    """Folders and file in one case, without the ending of an image."""
    text = unicodedata.normalize("NFC", name)  # file systems of some makers take letters apart
    return tuple(_ENDINGS.sub("", text).casefold().split("/"))


def _same_ending(ending: re.Match[str] | None, file: str) -> bool:
    other = _ENDINGS.search(file)
    return ending is None or other is None or ending[0].lower() == other[0].lower()


def _one_ends_the_other(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    length = min(len(one), len(other))
    return one[-length:] == other[-length:]
