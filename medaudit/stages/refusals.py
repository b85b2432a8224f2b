"""Files that were refused: their list on the screen and in --refused-csv, and the limit from which ingest stops.

The list names files of the source. It is shown and written for the user alone and is part of no artifact.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from medaudit.artifacts.store import write_whole
from medaudit.errors import NothingReadable, TooManyRefused, UsageProblem
from medaudit.readers.refusals import LEFT_OUT, counted, images, unread

MOST_REFUSED = 0.05  # of the images: with more, the user has to say that they may be left out
_SHOWN = 10
Files = Sequence[tuple[str, str]]  # (name relative to the source, reason)


def listed(refused: Files, csv_path: Path | None) -> tuple[str, ...]:
    """Lines for the screen: the first ten files with their reasons, and where the others are."""
    lines = [f"- {name}: {reason}" for name, reason in refused[:_SHOWN]]
    more = len(refused) - _SHOWN
    if refused and csv_path is not None:
        lines.append(f"all {len(refused):,} refused files, by name: {csv_path}")
    elif more > 0:
        lines.append(f"{more:,} more files were refused; --refused-csv FILE writes the whole list")
    return tuple(lines)


def check_csv(path: Path | None, *not_in: Path) -> None:
    """Raise UsageProblem for a path that cannot take the list, or that is inside the source or the cohort."""
    if path is None:
        return
    place = path.absolute()
    for folder in (folder.absolute() for folder in not_in):
        if place.resolve() == folder.resolve() or folder.resolve() in place.resolve().parents:
            raise UsageProblem(
                f"{path} is in {folder.name}; the list names files of the source: give --refused-csv a place "
                "outside source and cohort"
            )
    if path.is_dir() or not place.parent.is_dir():
        raise UsageProblem(f"{path} cannot be written; give --refused-csv a file in a folder that exists")


def write_csv(path: Path | None, refused: Files) -> None:
    """Write all refused files to `path`, columns file and reason, whole, mode 0600. Raises UsageProblem."""
    if path is None:
        return
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", "reason"])
    writer.writerows(refused)
    try:
        write_whole(path, text.getvalue().encode("utf-8", "backslashreplace"))
    except (PermissionError, NotADirectoryError, FileNotFoundError, IsADirectoryError):
        raise UsageProblem(f"{path} cannot be written; give --refused-csv another place") from None


def too_many(counts: Mapping[str, int], read: int) -> bool:
    """Whether more than 5 % of the images were refused; `read` counts those that were not.

    Images that the user leaves out with --only-layout do not count.
    """
    asked = _without_left_out(counts)
    return unread(asked) > MOST_REFUSED * images(asked, read)


def objection(source: Path, counts: Mapping[str, int], read: int, *, accepted: bool) -> UsageProblem | None:
    """NothingReadable where no image was read, TooManyRefused where it is too much and not accepted, or None.

    What is not read is not searched; and of synthetic images a verdict would be taken for one on the whole folder.
    """
    if not read:
        return NothingReadable(f"nothing in {source} can be read; {counted(counts)}")
    if accepted or not too_many(counts, read):
        return None
    asked = _without_left_out(counts)
    return TooManyRefused(
        f"{unread(asked):,} of {images(asked, read):,} images of {source} cannot be read, more than "
        f"{100 * MOST_REFUSED:g} % ({counted(asked)}). An image that is not read is not searched: repair them, or "
        "give --accept-refused to go on without them"
    )


def _without_left_out(counts: Mapping[str, int]) -> dict[str, int]:
    return {reason: count for reason, count in counts.items() if reason not in LEFT_OUT}
