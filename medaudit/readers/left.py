"""Images of a source that are outside its layout: every file that is an image by its content is refused and counted."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from medaudit.errors import ImagesLeft
from medaudit.readers import files, formats, refusals
from medaudit.readers.formats import Content
from medaudit.readers.naming import IMAGE_SUFFIXES, suffix
from medaudit.readers.records import Entry, Listing

_NAMED = 5  # files that a message names


@dataclass
class Contents:
    """What the files of a source are by their content; each is opened once."""

    root: Path
    broken: frozenset[str] = frozenset()  # names that are no regular file
    _known: dict[str, Content | str | None] = field(default_factory=dict)

    def of(self, name: str) -> Content | str | None:
        """The format of an image or an archive of images; a reason where the file cannot be opened; else None."""
        if name not in self._known:
            try:
                self._known[name] = formats.content(self.root / name)
            except OSError as error:
                self._known[name] = files.disk_reason(error)
        return self._known[name]

    def readable(self, name: str) -> bool:
        """Whether the file is an image that can be read, by its content."""
        found = self.of(name)
        return isinstance(found, Content) and found.reason is None


@dataclass(frozen=True)
class Left:
    """Refused entries of the images outside the layout, and the names of those that could be read."""

    entries: list[Entry]
    readable: list[str]


def left_of(contents: Contents, names: Iterable[str], reason: str) -> Left:
    """The images among `names`, which have no entry yet. `reason`: why an image that could be read is refused."""
    entries, readable = [], []
    for name in names:
        found = contents.of(name)
        if isinstance(found, str):  # it cannot be opened
            entries.append(Entry(name, refuse=found))
        elif found is None:
            start = files.head(contents.root, name, formats.HEAD)
            if suffix(name) in IMAGE_SUFFIXES and not formats.states_no_image(start):
                empty = files.size(contents.root, name) == 0
                entries.append(
                    Entry(name, refuse=refusals.EMPTY_FILE if empty else files.unknown_reason(name))
                )
        else:
            read_alone = found.reason is None or found.source  # an npz can be a source of its own
            entries.append(Entry(name, refuse=reason if read_alone else found.reason))
            if found.source or (read_alone and reason == refusals.OUTSIDE_LAYOUT):
                readable.append(name)
    return Left(entries, readable)


def hidden_of(contents: Contents, names: Iterable[str]) -> list[Entry]:
    """Images among the hidden files, which are not read."""
    return [Entry(name, refuse=refusals.HIDDEN) for name in names if isinstance(contents.of(name), Content)]


def left_line(listing: Listing) -> str | None:
    """The images outside the layout, for the screen: their number and the first names; None without any."""
    if not listing.left:
        return None
    named = ", ".join(listing.left[:_NAMED])
    more = len(listing.left) - _NAMED
    covered = sum(1 for entry in listing.entries if not entry.refuse)
    return (
        f"the layout {listing.layout} covers {covered} images and leaves {len(listing.left)} that could be read: "
        + (f"{named} and {more} more" if more > 0 else named)
    )


def refuse_left(listing: Listing, only_layout: bool) -> None:
    """Raise ImagesLeft for images outside the layout that could be read, unless `only_layout`."""
    line = left_line(listing)
    if line and not only_layout:
        raise ImagesLeft(f"{line}; {_instead(listing)}, or --only-layout to go on without them")


def _instead(listing: Listing) -> str:
    """What to do to have all images read."""
    if listing.npz_path is not None:
        return "save those arrays as images in an npz of their own"
    archives = sum(1 for name in listing.left if name.lower().endswith(".npz"))
    ways = ["give --layout plain to read every image"] if archives < len(listing.left) else []
    return " and ".join([*ways, "give each npz as a source of its own"] if archives else ways)
