"""npz files of films: MedMNIST's ({train,val,test}_images and _labels) and plain ones (images, labels, patient_id).

Axes: N films of an array, (Y, X) pixels. Arrays of images are read from the archive in blocks, front to back,
so that an archive larger than memory is no trouble. Nothing pickled is ever loaded.
"""

import math
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medaudit.errors import LayoutUnknown, NothingReadable
from medaudit.images.intensity import full_range_unit, percentile_unit
from medaudit.readers import refusals
from medaudit.readers.formats import npy_header
from medaudit.readers.records import MAX_PIXELS, Entry, Film, Look, view_word
from medaudit.readers.refusals import Refused
from medaudit.regular import open_regular

_SPLITS = ("train", "val", "test")
_PATIENT_NAMES = ("patient_id", "patient", "patients", "patient_ids")
_DAMAGE = (ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error)
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
    names = [("images", None), *((f"{split}_images", split) for split in _SPLITS)]
    found = []
    with _archive(path) as archive:
        members = set(archive.namelist())
        for name, split in names:
            if f"{name}.npy" not in members:
                continue
            with _member(path, archive, name) as stream:
                shape, fortran, dtype = _array_header(path, stream)
            if len(shape) not in (3, 4) or dtype.kind not in "buif":
                raise LayoutUnknown(f"{path}: {name} is no array of films; (N, Y, X) numbers are expected")
            found.append(ImageArray(name, split, shape, dtype, not fortran))
    if not found:
        known = "images, or train_images, val_images, test_images"
        raise LayoutUnknown(f"{path} holds no array of films; known names are {known}")
    return found


def other_arrays(path: Path) -> list[tuple[str, int]]:
    """Arrays that look like images and whose names are not read, with the number of images of each."""
    known = {"images.npy", *(f"{split}_images.npy" for split in _SPLITS)}
    found = []
    with _archive(path) as archive:
        for name in sorted(set(archive.namelist()) - known):
            try:
                with archive.open(name) as stream:
                    shape, dtype = npy_header(stream)
            except (*_DAMAGE, NotImplementedError, RuntimeError):
                continue
            stack = len(shape) in (3, 4) and dtype.kind in "buif" and min(shape) > 0
            if stack or (dtype.hasobject and "image" in name.lower() and len(shape) > 0):
                found.append((name.removesuffix(".npy"), shape[0]))
    return found


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
        channels_last = values if values.shape[2] in (1, 3, 4) else np.moveaxis(values, 0, 2)
        if channels_last.shape[2] not in (1, 3) or (channels_last != channels_last[:, :, :1]).any():
            raise Refused(refusals.COLOUR)
        values = channels_last[:, :, 0]
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise Refused(refusals.NOT_FINITE)
    if values.size == 0 or values.min() == values.max():
        raise Refused(refusals.CONSTANT)
    if values.dtype == np.bool_:
        values = values.astype(np.uint8) * np.uint8(255)
    if values.dtype == np.uint8:
        return Film(full_range_unit(values, 8), "full range", found)
    return Film(percentile_unit(values.astype(np.float64)), "percentile", found)


def _plane(shape: tuple[int, ...]) -> tuple[int, int]:
    """(Y, X) of a film's shape, with channels last or first."""
    if len(shape) == 3 and shape[2] not in (1, 3, 4):
        return shape[1], shape[2]
    return shape[0], shape[1]


class _archive:
    """An open zip archive whose damage is named."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> zipfile.ZipFile:
        try:
            self._stream = open_regular(self._path)
        except PermissionError:
            raise NothingReadable(f"{self._path}: no permission to read it") from None
        except OSError:
            raise NothingReadable(f"{self._path} cannot be opened; give an npz file") from None
        try:
            self._zip = zipfile.ZipFile(self._stream)
        except (zipfile.BadZipFile, OSError, EOFError):
            self._stream.close()
            raise NothingReadable(
                f"{self._path} is no npz archive or is damaged; get the file again"
            ) from None
        return self._zip

    def __exit__(self, *_: object) -> None:
        self._zip.close()
        self._stream.close()


def _member(path: Path, archive: zipfile.ZipFile, name: str) -> zipfile.ZipExtFile:
    try:
        return archive.open(f"{name}.npy")  # type: ignore[return-value]
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError):
        raise NothingReadable(f"{path} is damaged or encrypted; get the file again") from None


def _array_header(path: Path, stream: zipfile.ZipExtFile) -> tuple[tuple[int, ...], bool, np.dtype]:
    """(shape, Fortran order, dtype) at the head of an npy stream, which is left at the data."""
    try:
        version = np.lib.format.read_magic(stream)
        reader = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, fortran, dtype = reader(stream)
    except _DAMAGE:
        raise NothingReadable(f"{path} holds a damaged array; get the file again") from None
    if dtype.hasobject:
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
            return [text.strip() or None if text != "nan" else None for text in texts]
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
