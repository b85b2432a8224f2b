"""The layout of a set of files, and why: by its tables, by the names of its files, by their content.

Names alone are weak evidence: there have to be enough of them, and the user is told what was taken from them.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from medaudit.errors import LayoutUnknown
from medaudit.readers import dicom, files
from medaudit.readers.adapters import Adapter, Built, Placed, adapter_named, adapters, build, tables_of
from medaudit.readers.left import Contents
from medaudit.readers.naming import is_table, suffix

_PATH_SHARE = 0.9  # of a source's images must be named as the adapter expects
_SNIFFED = 40  # files opened to tell a DICOM folder from another


@dataclass(frozen=True)
class Guess:
    """An adapter, why it, its tables, and what it makes of the files."""

    adapter: Adapter
    why: str
    tables: list[Placed]
    built: Built


def images_of(names: Sequence[str], adapter: Adapter, contents: Contents) -> list[str]:
    """The files that a layout takes for images: by ending, or, where it takes any, by content."""
    endings = adapter.endings
    return [
        name
        for name in names
        if suffix(name) in endings or (adapter.any_image and looks_like_image(name, contents))
    ]


def looks_like_image(name: str, contents: Contents) -> bool:
    """Whether a file is an image by its content, whatever its ending."""
    return not is_table(name) and contents.readable(name)


def asked_for(root: Path, names: Sequence[str], layout: str, contents: Contents) -> Guess:
    """The layout that the user names. Raises LayoutUnknown where the files do not fit it."""
    adapter = adapter_named(layout)
    placed = tables_of(root, names, adapter)
    needed = [rule for rule in adapter.tables if rule.required]
    if adapter.recognise == "tables" and needed and not placed:
        raise LayoutUnknown(
            f"{root} has no table of layout {layout}; it needs {needed[0].files[0]} with the columns "
            + ", ".join(needed[0].columns)
        )
    built = build(root, images_of(names, adapter, contents), adapter, placed)
    if adapter.recognise == "tables" and built.entries and not built.matched:
        raise LayoutUnknown(
            f"the table of layout {layout} names none of the files of {root}; give the table of this source"
        )
    return Guess(adapter, "asked for", placed, built)


def guessed(root: Path, names: Sequence[str], contents: Contents) -> Guess | None:
    """The first layout that fits; None where there is no image of any."""
    too_few = list[str]()
    for adapter in adapters():
        images = images_of(names, adapter, contents)
        if not images or adapter.recognise == "metadata":
            continue
        placed = tables_of(root, names, adapter)
        built = build(root, images, adapter, placed) if _has_tables(adapter, placed) else None
        why = _by_tables(placed, built) or _by_path(adapter, images, contents, too_few)
        why = why or _by_content(root, adapter, images)
        if why:
            built = built or build(root, images, adapter, placed)
            built = replace(built, warnings=[*too_few, *built.warnings]) if adapter.any_image else built
            return Guess(adapter, why, placed, built)
    return None


def _has_tables(adapter: Adapter, placed: Sequence[Placed]) -> bool:
    """Whether the layout is recognised by tables and all the required ones are there."""
    wanted = [rule for rule in adapter.tables if rule.required]
    rules = [one.rule for one in placed]
    return "tables" in adapter.recognise and bool(wanted) and all(rule in rules for rule in wanted)


def _by_tables(placed: Sequence[Placed], built: Built | None) -> str | None:
    """Its tables are there, and name at least one of the images."""
    if built is None or not built.matched:
        return None
    first = next(one for one in placed if one.rule.required)
    return f"{first.name} with the columns {', '.join(first.rule.columns)}"


def _by_path(adapter: Adapter, images: Sequence[str], contents: Contents, too_few: list[str]) -> str | None:
    """Enough images, and nearly all of them, are named as the layout names them; a near miss goes to `too_few`."""
    if "path" not in adapter.recognise:
        return None
    pattern = re.compile(adapter.evidence or adapter.path)
    fitting = [name for name in images if pattern.search(name) and name not in contents.broken]
    if not fitting or len(fitting) < _PATH_SHARE * len(images):
        return None
    if len(fitting) < adapter.least:
        too_few.append(
            f"{counted_images(len(fitting))} named as in {adapter.title}, too few to take it for that; "
            f"give --layout {adapter.name} if it is"
        )
        return None
    return f"{len(fitting)} of {counted_images(len(images))} named as in {adapter.title}"


def _by_content(root: Path, adapter: Adapter, images: Sequence[str]) -> str | None:
    if adapter.recognise == "content":
        step = max(1, len(images) // _SNIFFED)
        heads = [files.head(root, name) for name in images[::step]]
        count = sum(1 for head in heads if dicom.is_dicom(head))
        return f"{count} of {len(heads)} files looked into are DICOM" if 2 * count >= len(heads) else None
    if adapter.recognise == "anything":
        return f"no known table; {'1 file looks' if len(images) == 1 else f'{len(images)} files look'} like an image"
    return None


def counted_images(count: int) -> str:
    """`1 image is`, `12 images are`."""
    return "1 image is" if count == 1 else f"{count} images are"
