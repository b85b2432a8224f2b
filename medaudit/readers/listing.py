"""What a source holds, as the reader of it is told: entries, layout and why, and what the user has to know."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from medaudit.readers import npz
from medaudit.readers.records import Entry


@dataclass(frozen=True)
class Listing:
    """What a source holds. `root` is the folder that files are relative to; npz sources have `arrays`."""

    root: Path
    layout: str
    why: str
    entries: list[Entry]
    digest: str  # SHA-256 over names, sizes and tables
    size_bytes: int = 0  # of all files, or of an npz unpacked
    ignored: Mapping[str, int] = field(default_factory=dict)  # endings of files that are no films
    warnings: tuple[str, ...] = ()  # go into the manifest: counts, no name
    accept: frozenset[str] = frozenset()
    header_patient: bool = True
    npz_path: Path | None = None
    arrays: tuple[npz.ImageArray, ...] = ()
    notes: tuple[str, ...] = ()  # for the screen only: may name files of the source
    left: tuple[
        str, ...
    ] = ()  # images that could be read and that the layout leaves; refused among `entries`
    from_names: frozenset[str] = frozenset()  # files whose name alone says whose they are
    links_outside: int = 0  # files reached through links out of the source
