"""Names of files: endings, folders, and the file that a name in a table means. Nothing else decides what it may reach.

A name is looked up among the files of the source alone, and leads to none outside it.
"""

import fnmatch
import posixpath
import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

# The one list of endings of images: layouts/*.yaml calls these two `raster` and `dicom`.
RASTER_SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".jp2", ".j2k")
DICOM_SUFFIXES = (".dcm", ".dicom", ".dic", ".ima")
IMAGE_SUFFIXES = frozenset((*RASTER_SUFFIXES, *DICOM_SUFFIXES))
_DRIVE = re.compile(r"[A-Za-z]:")
_ENDINGS = re.compile(f"(?:{'|'.join(map(re.escape, sorted(IMAGE_SUFFIXES)))})$", re.IGNORECASE)


def suffix(name: str) -> str:
    """The ending of a name, lower case; names of PACS exports such as `1.2.840.113` have none."""
    ending = PurePosixPath(name).suffix.lower()
    return "" if ending[1:].isdigit() else ending


def is_table(name: str) -> bool:
    """Whether a file is named as a CSV table."""
    return name.lower().endswith((".csv", ".csv.gz"))


def within(name: str, folder: str) -> bool:
    """Whether a file is in a folder or below it; every file is in ""."""
    return not folder or name.startswith(folder + "/")


def parent(name: str) -> str:
    """The folder of a file, "" for the source itself."""
    return name.rpartition("/")[0]


def named_like(names: Iterable[str], patterns: Sequence[str]) -> list[str]:
    """The names whose last part fits one of the patterns, in any case; the uppermost folders first."""
    lower = [pattern.lower() for pattern in patterns]
    fitting = [
        name
        for name in names
        if any(fnmatch.fnmatchcase(PurePosixPath(name).name.lower(), pattern) for pattern in lower)
    ]
    return sorted(fitting, key=lambda name: (name.count("/"), name))


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
    """The file that a name means; None when there is none, or (`ambiguous`) more than one."""

    file: str | None
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
        # read from its end, what a name may be cut to is the beginning of a text
        self._reversed = sorted((_from_the_end(name), name) for name in images)

    def find(self, name: str) -> Found:
        """The file that `name` (as `inside` gives it) means."""
        if name in self._names:
            return Found(name)
        text, ending = _from_the_end(name), _ending(name)
        found = self._between(text, text + "\0", ending)
        if not found:
            found = self._between(text + "/", text + "0", ending)  # files in more folders; "0" follows "/"
            for cut in (position for position, letter in enumerate(text) if letter == "/"):
                found += self._between(text[:cut], text[:cut] + "\0", ending)  # the table names more folders
        return Found(found[0] if len(found) == 1 else None, ambiguous=len(found) > 1)

    def _between(self, low: str, high: str, ending: str) -> list[str]:
        """Files whose reversed name lies in [low, high), with the ending if both have one; at most two."""
        found = list[str]()
        for position in range(bisect_left(self._reversed, (low,)), bisect_left(self._reversed, (high,))):
            name = self._reversed[position][1]
            if not ending or _ending(name) in ("", ending):
                found.append(name)
            if len(found) > 1:
                break
        return found


def _from_the_end(name: str) -> str:
    """The parts of a name in reverse order, in one case, without the ending of an image."""
    text = unicodedata.normalize("NFC", name)  # file systems of some makers take letters apart
    return "/".join(reversed(_ENDINGS.sub("", text).casefold().split("/")))


def _ending(name: str) -> str:
    found = _ENDINGS.search(name)
    return found[0].lower() if found else ""
