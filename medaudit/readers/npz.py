"""npz files of films: MedMNIST's ({train,val,test}_images and _labels) and plain ones (images, labels, patient_id).

Other names are taken where they leave no choice: x_train, x_val, x_test, or the one array that has the shape of films,
as `arr_0` of a diffusion model's samples.

Axes: N films of an array, (Y, X) pixels. Arrays of images are read from the archive in blocks, front to back,
so that an archive larger than memory is no trouble. Nothing pickled is ever loaded.
"""

import math
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from medaudit.errors import LayoutUnknown, NothingReadable
from medaudit.images.intensity import full_range_unit, percentile_unit
from medaudit.readers import notes, refusals
from medaudit.readers.channels import gray_of
from medaudit.readers.records import MAX_PIXELS, Entry, Film, Look, view_word
from medaudit.readers.refusals import Refused

_SPLITS = ("train", "val", "test")
_PATIENT_NAMES = ("patient_id", "patient", "patients", "patient_ids")
_DAMAGE = (ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error)
_CHANNELS = (1, 2, 3, 4)  # gray, gray and alpha, red green blue, and alpha
_FARTHEST = 1e300  # a difference of two larger numbers would overflow
_MAX_SIDE_BYTES = 1 << 30  # labels and ids are held in memory


@dataclass(frozen=True)
class ImageArray:
    """One array of films in the archive: its name, the split it stands for, and its shape (N, Y, X[, 3])."""

    name: str
    split: str | None
    shape: tuple[int, ...]
    dtype: np.dtype
    in_order: bool  # C order: rows lie one after the other

    @property
    def film_bytes(self) -> int:
        """Bytes of one film."""
        return math.prod(self.film_shape) * self.dtype.itemsize

    @property
    def film_shape(self) -> tuple[int, ...]:
        """Shape of one film, channels last where there are any."""
        return self.shape[1:]


def is_npz(path: Path) -> bool:
    """Whether the path is a file that names itself npz."""
    return path.is_file() and path.suffix.lower() == ".npz"


def image_arrays(path: Path) -> list[ImageArray]:
    """The arrays of films, in the order train, val, test.

    Raises LayoutUnknown where there is none, NothingReadable for a broken archive.
    """
    with _archive(path) as archive:
        members = {name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")}
        found = []
        for name, split in _image_names(path, archive, members):
            with _member(path, archive, name) as stream:
                shape, fortran, dtype = _array_header(path, stream)
            if not _is_films(shape, dtype):
                raise LayoutUnknown(f"{path}: {name} is no array of films; (N, Y, X) numbers are expected")
            found.append(ImageArray(name, split, shape, dtype, not fortran))
    return found


def _image_names(path: Path, archive: zipfile.ZipFile, members: set[str]) -> list[tuple[str, str | None]]:
    """(name, split) of the arrays of films: by a name that is known, else the one array of their shape."""
    known = [("images", None), *((f"{split}_images", split) for split in _SPLITS)]
    keras = [(f"{letter}_{split}", split) for split in _SPLITS for letter in "xX"]
    for names in (known, keras):
        present = [(name, split) for name, split in names if name in members]
        if present:
            return present
    shaped = []
    for name in sorted(members):
        with _member(path, archive, name) as stream:
            shape, _, dtype = _array_header(path, stream, refuse_objects=False)
        if _is_films(shape, dtype) and min(shape[1:3]) > 1:
            shaped.append(name)
    if len(shaped) == 1:
        return [(shaped[0], None)]
    trouble = f"holds {len(shaped)} arrays that may be films" if shaped else "holds no array of films"
    raise LayoutUnknown(
        f"{path} {trouble}; name the array images, or arrays train_images, val_images, test_images"
    )


def _is_films(shape: tuple[int, ...], dtype: np.dtype) -> bool:
    return len(shape) in (3, 4) and dtype.kind in "buif"


def entries(path: Path, arrays: list[ImageArray]) -> list[Entry]:
    """One entry per film, in the order of the arrays; ids and labels from the arrays beside them."""
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
    """Blocks (n, Y, X[, C]) of `size` films from film `first` on; raises NothingReadable for a cut archive."""
    with _archive(path) as archive, _member(path, archive, array.name) as stream:
        shape, _, dtype = _array_header(path, stream)
        try:
            if not array.in_order:
                whole = np.frombuffer(stream.read(), dtype=dtype).reshape(shape, order="F")
                for start in range(first, shape[0], size):
                    yield np.ascontiguousarray(whole[start : start + size])
                return
            _skip(stream, first * array.film_bytes)
            for start in range(first, shape[0], size):
                count = min(size, shape[0] - start)
                data = stream.read(count * array.film_bytes)
                yield np.frombuffer(data, dtype=dtype).reshape(count, *shape[1:])
        except _DAMAGE:
            raise NothingReadable(f"{path} is cut short or damaged; get the file again") from None


def checksums(path: Path) -> list[tuple[str, int, int]]:
    """(member, bytes, CRC-32) as the archive's directory states them: a cheap sign that the file changed."""
    with _archive(path) as archive:
        return [(info.filename, info.file_size, info.CRC) for info in archive.infolist()]


def look(array: ImageArray) -> Look:
    """What the array's header says of each of its films. Raises Refused for too many pixels."""
    rows, columns = _plane(array.film_shape)
    if rows * columns > MAX_PIXELS:
        raise Refused(refusals.TOO_MANY_PIXELS)
    bits = 8 if array.dtype.itemsize == 1 else 16
    facts: dict[str, object] = {"format": "npz", "bits_stored": bits, "rows": rows, "columns": columns}
    return Look("npz", rows, columns, bits, f"npz {array.dtype.name}", facts)


def film(values: np.ndarray, found: Look) -> Film:
    """One film (Y, X[, C]) of an array → Film. Raises Refused."""
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
    """(Y, X) of a film's shape, with channels last or first."""
    if len(shape) == 3 and shape[2] not in _CHANNELS:
        return shape[1], shape[2]
    return shape[0], shape[1]


class _archive:
    """An open zip archive whose damage is named."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> zipfile.ZipFile:
        try:
            self._zip = zipfile.ZipFile(self._path)
        except PermissionError:
            raise NothingReadable(f"{self._path}: no permission to read it") from None
        except (zipfile.BadZipFile, OSError, EOFError):
            raise NothingReadable(
                f"{self._path} is no npz archive or is damaged; get the file again"
            ) from None
        return self._zip

    def __exit__(self, *_: object) -> None:
        self._zip.close()


def _member(path: Path, archive: zipfile.ZipFile, name: str) -> zipfile.ZipExtFile:
    try:
        return archive.open(f"{name}.npy")  # type: ignore[return-value]
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError):
        raise NothingReadable(f"{path} is damaged or encrypted; get the file again") from None


def _array_header(
    path: Path, stream: zipfile.ZipExtFile, *, refuse_objects: bool = True
) -> tuple[tuple[int, ...], bool, np.dtype]:
    """(shape, Fortran order, dtype) at the head of an npy stream, which is left at the data."""
    try:
        version = np.lib.format.read_magic(stream)
        reader = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, fortran, dtype = reader(stream)
    except _DAMAGE:
        raise NothingReadable(f"{path} holds a damaged array; get the file again") from None
    if refuse_objects and dtype.hasobject:
        raise NothingReadable(f"{path} holds Python objects, which are not loaded; save ids as text arrays")
    return shape, fortran, dtype


def _skip(stream: zipfile.ZipExtFile, count: int) -> None:
    while count > 0:
        data = stream.read(min(count, 1 << 20))
        if not data:
            raise EOFError
        count -= len(data)


def _side_array(path: Path, name: str, count: int) -> np.ndarray | None:
    """A small array by name, None where absent; raises NothingReadable when it does not fit the films."""
    with _archive(path) as archive:
        if f"{name}.npy" not in archive.namelist():
            return None
        with _member(path, archive, name) as stream:
            shape, fortran, dtype = _array_header(path, stream)
            size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
            if not shape or shape[0] != count or size > _MAX_SIDE_BYTES:
                raise NothingReadable(f"{path}: {name} has another length than the films; mend the file")
            try:
                return np.frombuffer(stream.read(), dtype=dtype).reshape(shape, order="F" if fortran else "C")
            except _DAMAGE:
                raise NothingReadable(f"{path} holds a damaged array; get the file again") from None


def _strings(path: Path, names: list[str], count: int) -> list[str | None]:
    """Text of the first array present, blank as None; all None where none is present."""
    for name in names:
        array = _side_array(path, name, count)
        if array is not None:
            texts = (item.decode("utf-8", "replace") if isinstance(item, bytes) else str(item)
                     for item in array.reshape(count, -1)[:, 0].tolist())  # fmt: skip
            return [text.strip() or None if text.strip().lower() != "nan" else None for text in texts]
    return [None] * count


def _labels(path: Path, name: str, count: int) -> list[tuple[str, ...]]:
    """Labels as text: a class per film for (N,) and (N, 1), the set columns for (N, K) of 0 and 1.

    Words may be joined by `|`, as a release writes them; a blank is no label.
    """
    array = _side_array(path, name, count)
    if array is None:
        return [()] * count
    table = array.reshape(count, -1)
    if table.shape[1] == 1:
        return [tuple(filter(None, _label(item).split("|"))) for item in table[:, 0].tolist()]
    return [tuple(str(k) for k in np.flatnonzero(row)) for row in table]


def _label(item: object) -> str:
    if isinstance(item, bytes):
        return item.decode("utf-8", "replace")
    return str(int(item)) if isinstance(item, float) and item.is_integer() else str(item)
