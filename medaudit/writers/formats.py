"""The three formats of a release, treated alike: which files, how they are written, what they must carry.

Axes: n released rows of N images, (Y, X) pixels. Names tell the place in the release and nothing else.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from medaudit.artifacts.certificate import TextPass
from medaudit.progress import SILENT, Progress
from medaudit.writers.dicom import DicomWriter, Facts
from medaudit.writers.dicom_marks import unmarked
from medaudit.writers.raster import marking, unmarked_npz, unmarked_png, write_npz, write_png

FORMATS = ("dicom", "png", "npz")
_NPZ = "images.npz"
_SUFFIX = {"dicom": "dcm", "png": "png"}


def image_names(form: str, count: int) -> list[str]:
    """The files that hold `count` images, relative to the release."""
    if form == "npz":
        return [_NPZ]
    return [f"images/{index:06d}.{_SUFFIX[form]}" for index in range(1, count + 1)]


def burned_in(text_pass: TextPass | None) -> Callable[[int], str]:
    """YES or NO by an image's number, from 1. PS3.3 C.7.6.1.1.4: could text in the pixels tell a patient or a date?

    Until a text pass has looked, the cautious answer stands.
    """
    found_in = frozenset(text_pass.found_in) if text_pass else None
    return lambda number: "YES" if found_in is None or number in found_in else "NO"


def write_images(
    place: Callable[[str], Path],
    form: str,
    pixels: np.ndarray,
    rows: np.ndarray,
    views: Sequence[str | None],
    labels: Sequence[Sequence[str]],
    facts: Facts,
    progress: Progress = SILENT,
    *,
    text_pass: TextPass | None = None,
) -> None:
    """Write the `rows` (n,) of `pixels` (N, Y, X); `views` and `labels` have n entries; `place` maps name to path.

    `text_pass` tells which images hold letters; None when no pass was made.
    """
    marks = marking(facts.release_id, facts.model_id, facts.version)
    names, letters = image_names(form, len(rows)), burned_in(text_pass)
    progress.start("release", len(names))
    if form == "npz":
        write_npz(place(_NPZ), pixels, rows, ["|".join(found) for found in labels], marks, letters)
        progress.advance()
        return
    writer = DicomWriter(facts, (pixels.shape[1], pixels.shape[2])) if form == "dicom" else None
    for position, name in enumerate(names):
        image = np.asarray(pixels[rows[position]])  # (Y, X)
        if writer:
            writer.write(place(name), image, position + 1, views[position], letters(position + 1) == "YES")
        else:
            write_png(place(name), image, marks, letters(position + 1))
        progress.advance()


def wrong_marks(
    folder: Path, form: str, count: int, release_id: str, text_pass: TextPass | None = None
) -> Iterator[tuple[str, str]]:
    """(name, what is wrong) for every image file of a release of `count` images whose marks are not in order.

    `text_pass` is the one of the certificate, which the marks on letters must repeat.
    """
    letters = burned_in(text_pass)
    if form == "npz":
        found, problem = unmarked_npz(folder / _NPZ, release_id, letters)
        if problem is None and found != count:
            problem = f"holds {found} images; the manifest says {count}"
        if problem:
            yield _NPZ, problem
        return
    for index, name in enumerate(image_names(form, count), start=1):
        path, said = folder / name, letters(index)
        if form == "dicom":
            problem = unmarked(path, release_id, index, said)
        else:
            problem = unmarked_png(path, release_id, said)
        if problem:
            yield name, problem
