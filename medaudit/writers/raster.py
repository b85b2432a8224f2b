"""Generated radiographs as PNG files or one npz, each marked as synthetic so that a machine can read it.

Axes: n images, (Y, X) pixels. Bit depth is kept: uint8 stays 8 bits, uint16 stays 16. EU AI Act Art. 50(2) asks for a
machine-readable mark: PNG files carry text chunks and an XMP packet with IPTC's digital source type, the npz carries an
array `marking`. Whether letters are drawn into an image stands there in DICOM's words: BurnedInAnnotation, or an array
`burned_in`, is YES until a text pass found none. Same input, same bytes: zip entries bear the zip epoch.
"""

import io
import json
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin, UnidentifiedImageError

NOTICE = "SYNTHETIC - NOT FOR DIAGNOSTIC USE"
NOT_SAID = "does not say whether text is drawn into it"
SAID_OTHERWISE = "says otherwise than the certificate whether text is drawn into it"
# IPTC Digital Source Type vocabulary: made wholly by a trained model
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
_XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
    f'Iptc4xmpExt:DigitalSourceType="{SOURCE_TYPE}"/></rdf:RDF></x:xmpmeta>'
)
BURNED_IN = "BurnedInAnnotation"  # YES or NO, as PS3.3 C.7.6.1.1.4 has it
_ARRAYS = {"images", "labels", "burned_in", "marking"}
_TEXT_KEYS = {
    BURNED_IN,
    "Synthetic",
    "Comment",
    "DigitalSourceType",
    "Release",
    "Software",
    "Source",
    "XML:com.adobe.xmp",
}
_DECODED_KEYS = {"xmp"}  # Pillow gives the XMP packet a second name
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
_BLOCK_BYTES = 16 << 20


def marking(release_id: str, model_id: str, version: str) -> dict[str, str]:
    """The mark as key and value; `model_id` may be empty."""
    return {
        "Synthetic": "YES",
        "Comment": NOTICE,
        "DigitalSourceType": SOURCE_TYPE,
        "Release": release_id,
        "Software": f"medaudit {version}",
        "Source": f"model sha256 {model_id}" if model_id else "model not named",
    }


def write_png(path: Path, image: np.ndarray, marks: dict[str, str], burned_in: str = "YES") -> None:
    """Write one (Y, X) uint8 or uint16 image with its marks; `burned_in` is YES or NO."""
    _check_dtype(image.dtype)
    info = PngImagePlugin.PngInfo()
    for key, value in {**marks, BURNED_IN: burned_in}.items():
        info.add_text(key, value)  # tEXt
    info.add_itxt("XML:com.adobe.xmp", _XMP)
    # level 4 is as small as 6, which is the default, and takes 3 ms instead of 5 for a film of 256 pixels and 8 bits
    Image.fromarray(np.ascontiguousarray(image)).save(path, "PNG", pnginfo=info, compress_level=4)


def grey_webp(pixels: np.ndarray, quality: int) -> bytes:
    """(Y, X) uint8 → a WebP with loss, quality 0 to 100, that holds nothing but pixels."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "WEBP", quality=quality)
    return stream.getvalue()


def unmarked_png(path: Path, release_id: str, burned_in: str = "YES") -> str | None:
    """What is wrong with a released PNG's marks, in words; None when all is well.

    `burned_in` is what the certificate says of letters in it, YES or NO.
    """
    try:
        with Image.open(path, formats=["PNG"]) as image:
            image.load()
            text = {key: value for key, value in image.info.items() if isinstance(key, str)}
            exif = bool(image.getexif())
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError):
        return "cannot be read as PNG"
    if text.get("Synthetic") != "YES" or text.get("DigitalSourceType") != SOURCE_TYPE:
        return "lacks the text chunk that says it is synthetic"
    if text.get(BURNED_IN) not in ("YES", "NO"):
        return NOT_SAID
    if exif or set(text) - _TEXT_KEYS - _DECODED_KEYS:
        return "carries a text chunk that medaudit does not write"
    if text.get("Release") != release_id:
        return "belongs to another release"
    return None if text[BURNED_IN] == burned_in else SAID_OTHERWISE


def write_npz(
    path: Path,
    images: np.ndarray,
    rows: np.ndarray,
    labels: Sequence[str],
    marks: dict[str, str],
    burned_in: Callable[[int], str] = lambda number: "YES",
) -> None:
    """Write the `rows` (n,) of `images` (N, Y, X) uncompressed, as `images`, `labels` (n,), `burned_in` (n,) YES or NO
    by number from 1, and `marking` (JSON text).

    Reads and writes in blocks, so that memory does not grow with n.
    """
    _check_dtype(images.dtype)
    if len(rows) != len(labels):
        raise ValueError("rows and labels do not match")
    letters = [burned_in(number) for number in range(1, len(rows) + 1)]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        _entry(archive, "marking", _npy_blocks(np.array(json.dumps(marks, sort_keys=True))))
        _entry(archive, "labels", _npy_blocks(np.array(list(labels), dtype=np.str_)))
        _entry(archive, "burned_in", _npy_blocks(np.array(letters, dtype="U3")))
        _entry(archive, "images", _image_blocks(images, rows))


def unmarked_npz(
    path: Path, release_id: str, burned_in: Callable[[int], str] = lambda number: "YES"
) -> tuple[int, str | None]:
    """How many images a released npz holds, and what is wrong with it in words (None when all is well).

    `burned_in` is what the certificate says of letters in each by its number from 1, YES or NO.
    """
    try:
        if not _is_stored(path):
            return 0, "holds other arrays than medaudit writes"
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            names = set(archive.files)
            marks = json.loads(str(archive["marking"])) if "marking" in names else {}
            labels = archive["labels"] if "labels" in names else np.empty(0)
            letters = [str(one) for one in archive["burned_in"].ravel()] if "burned_in" in names else None
        count = _npz_count(path) if "images" in names else 0
    except Exception:  # whatever a damaged archive makes zipfile and numpy raise
        return 0, "cannot be read as npz"
    if not isinstance(marks, dict) or marks.get("Synthetic") != "YES":
        return count, "lacks the array `marking` that says it is synthetic"
    if letters is None or not set(letters) <= {"YES", "NO"}:
        return count, NOT_SAID
    if names != _ARRAYS or not len(labels) == len(letters) == count:
        return count, "holds other arrays than medaudit writes"
    if marks.get("Release") != release_id:
        return count, "belongs to another release"
    as_said = all(burned_in(number) == said for number, said in enumerate(letters, start=1))
    return count, None if as_said else SAID_OTHERWISE


def _check_dtype(dtype: np.dtype) -> None:
    if dtype not in (np.dtype(np.uint8), np.dtype(np.uint16)):
        raise ValueError("images to be written are uint8 or uint16")


def _entry(archive: zipfile.ZipFile, name: str, blocks: Iterator[bytes]) -> None:
    info = zipfile.ZipInfo(f"{name}.npy", _ZIP_EPOCH)
    info.external_attr, info.create_system = 0o600 << 16, 3  # as on Unix, wherever it is written
    with archive.open(info, "w", force_zip64=True) as stream:
        for block in blocks:
            stream.write(block)


def _npy_blocks(array: np.ndarray) -> Iterator[bytes]:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, allow_pickle=False)
    yield stream.getvalue()


def _image_blocks(images: np.ndarray, rows: np.ndarray) -> Iterator[bytes]:
    """The npy header of (n, Y, X), then the rows, a block at a time."""
    header = io.BytesIO()
    shape = (len(rows), *images.shape[1:])
    descr = np.lib.format.dtype_to_descr(images.dtype)
    np.lib.format.write_array_header_1_0(header, {"descr": descr, "fortran_order": False, "shape": shape})
    yield header.getvalue()
    step = max(1, _BLOCK_BYTES // max(1, images[:1].nbytes))
    for start in range(0, len(rows), step):
        yield np.ascontiguousarray(images[rows[start : start + step]]).tobytes()


def _is_stored(path: Path) -> bool:
    """Whether no member is packed, as we write them: a packed one could unfold to gigabytes."""
    with zipfile.ZipFile(path) as archive:
        return all(info.compress_type == zipfile.ZIP_STORED for info in archive.infolist())


def _npz_count(path: Path) -> int:
    """n of `images` from its npy header alone; the pixels are not read."""
    with zipfile.ZipFile(path) as archive, archive.open("images.npy") as stream:
        np.lib.format.read_magic(stream)
        shape, _, _ = np.lib.format.read_array_header_1_0(stream)
    return int(shape[0])
