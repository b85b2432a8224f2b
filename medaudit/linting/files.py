"""Opens every file of a folder that is to leave the hospital and looks for what must not be in it.

Kinds are told by their first bytes, never by their names: DICOM, PNG, npz; everything else is read as text.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from medaudit.errors import ReportLeak
from medaudit.linting import pictures
from medaudit.linting.known import Known
from medaudit.linting.texts import found_in

_SHOWN = 3


def check_files(folder: Path, known: Known, own: Iterable[str] = ()) -> int:
    """How many files were looked through. Raises ReportLeak when one of them holds what it must not.

    `own` are the hashes, dates and file names that the folder may hold; names of its own files are allowed.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not _aside(path, folder))
    names = {part for path in files for part in (path.name, path.relative_to(folder).as_posix())}
    allowed = frozenset({*own, *names, "manifest.json"})
    found = [(path, what) for path in files if (what := _found_in_file(path, known, allowed))]
    if found:
        words = "; ".join(
            f"{path.relative_to(folder).as_posix()} holds {what}" for path, what in found[:_SHOWN]
        )
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise ReportLeak(
            f"{words}{more}: nothing was written. Look at the labels and the pixels of the synthetic cohort, or report "
            "this as a defect"
        )
    return len(files)


def _aside(path: Path, folder: Path) -> bool:
    """Scratch files of a draft, which do not become part of what is written."""
    return path.relative_to(folder).parts[0] in (".scratch", ".request.json")


def _found_in_file(path: Path, known: Known, own: frozenset[str]) -> str | None:
    complaint = found_in(path.name, known, own=own)
    if complaint is None:
        try:
            complaint = next(_complaints(path, known, own), None)
        except (OSError, ValueError, KeyError, EOFError, AttributeError, SyntaxError):
            return "something that cannot be read back"
    return complaint


def _complaints(path: Path, known: Known, own: frozenset[str]) -> Iterator[str]:
    strict = known.strictly()  # images and their list name no hash; certificates and signatures may
    with path.open("rb") as stream:
        head = stream.read(132)
    if head.startswith(b"PK\x03\x04"):
        yield from _of_parts(pictures.npz_texts(path), strict, own)
        yield from _of_pixels(pictures.npz_greys(path) if known.blocks else (), known)
        return
    data = path.read_bytes()
    if head[128:] == b"DICM":
        yield from _of_parts([pictures.dicom_text(data).replace(b"\0", b"\n")], strict, own)
        yield from _of_pixels([pictures.dicom_grey(data)] if known.blocks else (), known)
    elif head.startswith(b"\x89PNG"):
        yield from _of_parts(pictures.png_texts(data), strict, own)
        yield from _of_pixels([pictures.png_grey(data)] if known.blocks else (), known)
    else:
        yield from _of_parts([data], strict if path.suffix == ".csv" else known, own)


def _of_parts(parts: Iterable[bytes], known: Known, own: frozenset[str]) -> Iterator[str]:
    for part in parts:
        for encoding in ("utf-8", "utf-16-le") if b"\0" in part else ("utf-8",):
            complaint = found_in(part.decode(encoding, "replace"), known, own=own)
            if complaint:
                yield complaint


def _of_pixels(images: Iterable[np.ndarray], known: Known) -> Iterator[str]:
    for image in images:
        if known.blocks is not None and known.blocks.shows(image):
            yield "a block of a real film's pixels"
