"""What the files of images say beside their pixels, and the pixels: DICOM, PNG, npz.

Axes: n images of a file, (Y, X) pixels.
"""

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pydicom import dcmread

from medaudit.linting.blocks import grey

_PNG = b"\x89PNG\r\n\x1a\n"
_PIXEL_DATA = b"\xe0\x7f\x10\x00"  # (7FE0,0010), little endian
_PIXEL_VR = (b"OW", b"OB")
_DELIMITER = b"\xfe\xff\xdd\xe0\0\0\0\0"  # PS3.5 A.4: the end of encapsulated pixel data
_UNDEFINED = 0xFFFFFFFF
_SIZE = re.compile(rb"\x28\0\x10\0US\x02\0(..)\x28\0\x11\0US\x02\0(..)", re.DOTALL)  # Rows, Columns
_DEFLATED = b"1.2.840.10008.1.2.1.99"


def dicom_text(data: bytes) -> bytes:
    """Everything of a DICOM file but its pixels. Raises ValueError where no pixels are found."""
    if _DEFLATED in data[:1024]:
        raise ValueError("a deflated file")
    start, length = _pixels_at(data)
    if length == _UNDEFINED:
        return data[:start] + data[data.rfind(_DELIMITER) :]
    return data[:start] + data[start + 12 + length :]


def _pixels_at(data: bytes) -> tuple[int, int]:
    """Where the element of the pixels starts, and how many bytes its value has (PS3.5, 7.1.2)."""
    start = data.find(_PIXEL_DATA)
    while start >= 0 and data[start + 4 : start + 6] not in _PIXEL_VR:
        start = data.find(_PIXEL_DATA, start + 1)
    if start < 0:
        raise ValueError("no pixels")
    return start, struct.unpack_from("<I", data, start + 8)[0]


def dicom_grey(data: bytes) -> np.ndarray:
    """(Y, X) uint8 grey values of a DICOM file of 12 bits in 16."""
    start, length = _pixels_at(data)
    size = _SIZE.search(data, 0, start)
    if length != _UNDEFINED and size is not None:  # not compressed: as they lie there
        height, width = struct.unpack("<2H", size[1] + size[2])
        if length == 2 * height * width:
            return grey(np.frombuffer(data, "<u2", height * width, start + 12).reshape(height, width), 12)
    dataset = dcmread(io.BytesIO(data))
    return grey(dataset.pixel_array, int(dataset.BitsStored))


def png_texts(data: bytes) -> Iterator[bytes]:
    """Every chunk of a PNG but its picture, inflated where it is compressed, and what follows its end.

    Raises ValueError for what is no PNG.
    """
    place = len(_PNG)
    while place + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        body = data[place + 8 : place + 8 + length]
        place += 12 + length
        if kind == b"IEND":
            yield data[place:]
            return
        if kind in (b"zTXt", b"iTXt", b"iCCP"):
            yield from _packed(body)
        elif kind not in (b"IDAT", b"IHDR", b"PLTE"):
            yield body  # tEXt, eXIf and whatever else
    raise ValueError("a PNG without its end")


def _packed(body: bytes) -> Iterator[bytes]:
    """A text chunk as it is, and each part after a zero byte that can be inflated (PNG, 11.3.3)."""
    yield body
    for place in (place for place, byte in enumerate(body) if byte == 0x78):
        try:
            yield zlib.decompressobj().decompress(body[place:], 1 << 22)
        except zlib.error:
            continue


def png_grey(data: bytes) -> np.ndarray:
    """(Y, X) uint8 grey values of a PNG."""
    from PIL import Image

    with Image.open(io.BytesIO(data)) as image:
        pixels = np.asarray(image)
    return grey(pixels if pixels.dtype == np.uint8 else pixels.astype(np.uint16))


def npz_texts(path: Path) -> Iterator[bytes]:
    """Names, comments and extra fields of the archive, and every array of it that is text."""
    with zipfile.ZipFile(path) as archive:
        yield archive.comment
        for entry in archive.infolist():
            yield (
                entry.filename.removesuffix(".npy").encode()
                + b"\n"
                + entry.comment
                + b"\n"
                + _extra(entry.extra)
            )
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
        for name in (name for name in arrays.files if name != "images"):
            array = arrays[name]
            if array.dtype.kind in "US":
                yield "\n".join(str(value) for value in np.unique(array.ravel())).encode()
            else:
                yield array.tobytes()


def _extra(extra: bytes) -> bytes:
    """Extra fields but those of zip64, which hold sizes (APPNOTE 4.5.3)."""
    kept, place = b"", 0
    while place + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, place)
        kept += b"" if kind == 1 else extra[place + 4 : place + 4 + length]
        place += 4 + length
    return kept


def npz_greys(path: Path) -> Iterator[np.ndarray]:
    """(Y, X) uint8 grey values of each image of an npz, one at a time."""
    with zipfile.ZipFile(path) as archive, archive.open("images.npy") as stream:
        np.lib.format.read_magic(stream)  # type: ignore[arg-type]
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream)  # type: ignore[arg-type]
        size = int(np.prod(shape[1:])) * dtype.itemsize
        for _ in range(shape[0]):
            yield grey(np.frombuffer(stream.read(size), dtype).reshape(shape[1:]))
