"""npz files of images: MedMNIST's ({train,val,test}_images and _labels) and plain ones (images, labels, patient_id).

Other names are taken where they leave no choice: x_train, x_val, x_test, or the one array that has the shape of images,
as `arr_0` of a diffusion model's samples.

Axes: N images of an array, (Y, X) pixels. Arrays of images are read from the archive in blocks, front to back,
so that an archive larger than memory is no trouble. Nothing pickled is ever loaded.
"""

import math
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from medaudit.errors import LayoutUnknown, NothingReadable
from medaudit.images.intensity import full_range_unit, percentile_unit
from medaudit.readers import notes, refusals
from medaudit.readers.pixel_checks import gray_of
from medaudit.readers.records import (
    BLANK,
    MAX_PIXELS,
    Entry,
    Film,
    ImageArray,
    Look,
    unfolds_too_far,
    view_word,
)
from medaudit.readers.refusals import Refused
from medaudit.readers.zipped import ArrayStream, archive_of, head_of

_SPLITS = ("train", "val", "test")
_PATIENT_NAMES = ("patient_id", "patient", "patients", "patient_ids")
_CHANNELS = (1, 2, 3, 4)  # gray, gray and alpha, red green blue, and alpha
_FARTHEST = 1e300  # a difference of two larger numbers would overflow
_MOST_ROW_BYTES = 1 << 16  # of the ids or labels of one image
_MOST_WHOLE_BYTES = 1 << 29  # of an array whose images do not lie one after the other
_LAST_CHARACTER = 0x10FFFF
_BLOCK_BYTES = 1 << 22
_MANY, _LEAST_BYTES = 100_000, 4  # images, and bytes of the file for each from there on: entries take memory


def is_npz(path: Path) -> bool:
    """Whether the path is a file that names itself npz."""
    return path.is_file() and path.suffix.lower() == ".npz"


def image_arrays(path: Path) -> list[ImageArray]:
    """The arrays of images, in the order train, val, test.

    Raises LayoutUnknown where there is none, NothingReadable for a broken archive.
    """
    with archive_of(path) as archive:
        members = {name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")}
        found = []
        for name, split in _image_names(path, archive, members):
            with ArrayStream(path, archive, name) as stream:
                shape, dtype, in_order, packed = stream.shape, stream.dtype, stream.in_order, stream.packed
            if not _is_films(shape, dtype) or not all(shape[1:]):
                raise LayoutUnknown(f"{path}: {name} is no array of images; (N, Y, X) numbers are expected")
            found.append(ImageArray(name, split, shape, dtype, in_order, packed))
    films = sum(array.shape[0] for array in found)
    if films > _MANY and films * _LEAST_BYTES > path.stat().st_size:
        raise NothingReadable(
            f"{path} states {films} images in a file too small to hold them; get the file again"
        )
    return found


def _image_names(path: Path, archive: zipfile.ZipFile, members: set[str]) -> list[tuple[str, str | None]]:
    """(name, split) of the arrays of images: by a name that is known, else the one array of their shape."""
    known = [("images", None), *((f"{split}_images", split) for split in _SPLITS)]
    keras = [(f"{letter}_{split}", split) for split in _SPLITS for letter in "xX"]
    for names in (known, keras):
        present = [(name, split) for name, split in names if name in members]
        if present:
            return present
    shaped = []
    for name in sorted(members):
        try:
            with ArrayStream(path, archive, name) as stream:
                shape, dtype = stream.shape, stream.dtype
        except NothingReadable:  # an array of objects, or damaged: it cannot be the images
            continue
        if _is_films(shape, dtype) and min(shape[1:3]) > 1:
            shaped.append(name)
    if len(shaped) == 1:
        return [(shaped[0], None)]
    trouble = f"holds {len(shaped)} arrays that may be images" if shaped else "holds no array of images"
    raise LayoutUnknown(
        f"{path} {trouble}; name the array images, or arrays train_images, val_images, test_images"
    )


def _is_films(shape: tuple[int, ...], dtype: np.dtype) -> bool:
    return len(shape) in (3, 4) and dtype.kind in "buif"


def other_arrays(path: Path) -> list[tuple[str, int]]:
    """Arrays that look like images and are not read, with the number of images of each."""
    found = []
    with archive_of(path) as archive:
        members = {name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")}
        read = {name for name, _ in _image_names(path, archive, members)}
        for name in sorted(members - read):
            try:
                head = head_of(path, archive, name)
            except NothingReadable:
                continue
            objects = head.dtype.hasobject and "image" in name.lower() and len(head.shape) > 0
            if objects or (_is_films(head.shape, head.dtype) and min(head.shape) > 0):
                found.append((name, head.shape[0]))
    return found


def entries(path: Path, arrays: list[ImageArray]) -> list[Entry]:
    """One entry per image, in the order of the arrays; ids and labels from the arrays beside them."""
    listing: list[Entry] = []
    for array in arrays:
        count = array.shape[0]
        prefix = f"{array.split}_" if array.split else ""
        patients = _strings(path, [prefix + name for name in _PATIENT_NAMES], count)
        studies = _strings(path, [prefix + "study"], count)
        views = _strings(path, [prefix + "view", prefix + "views"], count)
        splits = _strings(path, [prefix + "split"], count)
        labels = _labels(path, prefix + "labels", count)
        for i in range(count):
            listing.append(
                Entry(
                    file=f"{path.name}/{array.name}/{i:07d}",
                    patient=patients[i],
                    study=studies[i],
                    view=view_word(views[i]),
                    split=array.split or splits[i],
                    labels=labels[i],
                )
            )
    return listing


def blocks(path: Path, array: ImageArray, size: int, first: int = 0) -> Iterator[np.ndarray]:
    """Blocks (n, Y, X[, C]) of `size` images from image `first` on; raises NothingReadable for a cut archive."""
    with archive_of(path) as archive, ArrayStream(path, archive, array.name) as stream:
        shape, dtype = stream.shape, stream.dtype
        if not array.in_order:
            if stream.size > _MOST_WHOLE_BYTES:
                raise NothingReadable(
                    f"{path}: {array.name} lies in Fortran order and is too large for that; save it with "
                    "numpy.ascontiguousarray"
                )
            whole = np.frombuffer(stream.read(stream.size), dtype=dtype).reshape(shape, order="F")
            stream.end()
            for start in range(first, shape[0], size):
                yield np.ascontiguousarray(whole[start : start + size])
            return
        stream.skip(first * array.film_bytes)
        for start in range(first, shape[0], size):
            count = min(size, shape[0] - start)
            data = stream.read(count * array.film_bytes)
            yield np.frombuffer(data, dtype=dtype).reshape(count, *shape[1:])
        stream.end()


def checksums(path: Path) -> list[tuple[str, int, int]]:
    """(member, bytes, CRC-32) as the archive's directory states them: a cheap sign that the file changed."""
    with archive_of(path) as archive:
        return [(info.filename, info.file_size, info.CRC) for info in archive.infolist()]


def look(array: ImageArray) -> Look:
    """What the array's header says of each of its images. Raises Refused for too many pixels."""
    rows, columns = _plane(array.film_shape)
    values, packed = math.prod(array.film_shape), array.packed_bytes // max(1, array.shape[0])
    if rows * columns > MAX_PIXELS or unfolds_too_far(values, packed):
        raise Refused(refusals.TOO_MANY_PIXELS)
    bits = 8 if array.dtype.itemsize == 1 else 16
    facts: dict[str, object] = {"format": "npz", "bits_stored": bits, "rows": rows, "columns": columns}
    return Look("npz", rows, columns, bits, f"npz {array.dtype.name}", facts)


def film(values: np.ndarray, found: Look) -> Film:
    """One image (Y, X[, C]) of an array → Film. Raises Refused."""
    if values.ndim == 3:
        values, found = _one_channel(values, found)
    if (
        values.dtype.kind == "f" and not (np.abs(values.astype(np.float64)) < _FARTHEST).all()
    ):  # NaN is not, either
        raise Refused(refusals.NOT_FINITE)
    if values.size == 0 or values.min() == values.max():
        raise Refused(refusals.CONSTANT)
    if values.dtype == np.bool_:
        values = values.astype(np.uint8) * np.uint8(255)
    if values.dtype == np.uint8:
        return Film(full_range_unit(values, 8), "full range", found)
    return Film(percentile_unit(values.astype(np.float64)), "percentile", found)


def _one_channel(values: np.ndarray, found: Look) -> tuple[np.ndarray, Look]:
    """(Y, X, C) or (C, Y, X) → (Y, X), where the channels say the same. Raises Refused."""
    channels_last = values if values.shape[2] in _CHANNELS else np.moveaxis(values, 0, 2)
    count = channels_last.shape[2]
    if count not in _CHANNELS:
        raise Refused(refusals.COLOUR)
    if count in (2, 4):  # the last one is how opaque a pixel is
        alpha = channels_last[:, :, -1]
        if alpha.size and alpha.min() != alpha.max():
            raise Refused(refusals.TRANSPARENT)
    if count < 3 or not channels_last.size:
        return channels_last[:, :, 0], found
    gray, nearly = gray_of(channels_last[:, :, :3])
    facts = notes.noted(found.facts, [notes.NEARLY_GRAY] if nearly else [])
    return gray, replace(found, facts=facts)


def _plane(shape: tuple[int, ...]) -> tuple[int, int]:
    """(Y, X) of an image's shape, with channels last or first."""
    if len(shape) == 3 and shape[2] not in _CHANNELS:
        return shape[1], shape[2]
    return shape[0], shape[1]


def _side_rows(path: Path, name: str, count: int) -> Iterator[np.ndarray]:
    """Blocks (n, K) of a small array with a row for each image; none where it is absent.

    Raises NothingReadable when it does not fit the images.
    """
    with archive_of(path) as archive:
        if f"{name}.npy" not in archive.namelist():
            return
        with ArrayStream(path, archive, name) as stream:
            shape, dtype = stream.shape, stream.dtype
            row = math.prod(shape[1:]) * dtype.itemsize
            if not shape or shape[0] != count or not 0 < row <= _MOST_ROW_BYTES:
                raise NothingReadable(f"{path}: {name} has another length than the images; mend the file")
            if not stream.in_order and len(shape) > 1:
                if stream.size > _MOST_WHOLE_BYTES:
                    raise NothingReadable(f"{path}: {name} lies in Fortran order and is too large for that")
                whole = np.frombuffer(stream.read(stream.size), dtype=dtype).reshape(shape, order="F")
                stream.end()
                yield _legible(path, np.ascontiguousarray(whole).reshape(count, -1))
                return
            most = max(1, _BLOCK_BYTES // row)
            for start in range(0, count, most):
                part = min(most, count - start)
                yield _legible(path, np.frombuffer(stream.read(part * row), dtype=dtype).reshape(part, -1))
            stream.end()


def _legible(path: Path, block: np.ndarray) -> np.ndarray:
    """The block (n, K), if its text is text. Raises NothingReadable: numpy takes any number for a character."""
    if block.dtype.kind == "U":
        points = block.view(np.dtype(np.uint32).newbyteorder(block.dtype.byteorder))
        if (points > _LAST_CHARACTER).any() or ((points >= 0xD800) & (points < 0xE000)).any():
            raise NothingReadable(f"{path} holds text that is damaged; get the file again")
    return block


def _strings(path: Path, names: list[str], count: int) -> list[str | None]:
    """Text of the first array present, blank as None; all None where none is present."""
    for name in names:
        texts = [_text(item) for block in _side_rows(path, name, count) for item in block[:, 0].tolist()]
        if texts:
            return texts
    return [None] * count


def _text(item: object) -> str | None:
    text = item.decode("utf-8", "replace") if isinstance(item, bytes) else str(item)
    return text.strip() if text.strip().lower() not in BLANK else None


def _labels(path: Path, name: str, count: int) -> list[tuple[str, ...]]:
    """Labels as text: a class per image for (N,) and (N, 1), the set columns for (N, K) of 0 and 1.

    Words may be joined by `|`, as a release writes them; a blank is no label.
    """
    found: list[tuple[str, ...]] = []
    for block in _side_rows(path, name, count):
        if block.shape[1] == 1:
            found += [tuple(filter(None, _label(item).split("|"))) for item in block[:, 0].tolist()]
        else:
            found += [tuple(str(k) for k in np.flatnonzero(row)) for row in block]
    return found or [()] * count


def _label(item: object) -> str:
    if isinstance(item, bytes):
        return item.decode("utf-8", "replace")
    return str(int(item)) if isinstance(item, float) and item.is_integer() else str(item)
