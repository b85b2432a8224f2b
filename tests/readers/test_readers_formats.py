"""What a file is by its content: every known format is told, and what is no image is not taken for one."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pydicom
import pytest
from PIL import Image
from pydicom.data import get_testdata_file
from reader_files import dataset, ramp, write_dicom, write_png

from medaudit.readers import refusals
from medaudit.readers.formats import content, content_of

GRAY = Image.fromarray(np.arange(320, dtype=np.uint16).astype(np.uint8).reshape(20, 16))


def saved(kind: str) -> bytes:
    stream = io.BytesIO()
    GRAY.save(stream, format=kind)
    return stream.getvalue()


def nifti(size: int = 348, magic: bytes = b"n+1\0") -> bytes:
    header = bytearray(400)
    header[:4] = size.to_bytes(4, "little")
    header[40:42] = (3).to_bytes(2, "little")
    if size == 348:
        header[344:348] = magic
    else:
        header[4:8] = magic
    return bytes(header)


def npz(**arrays: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def zipped(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in members.items():
            archive.writestr(name.replace("__", "/"), data)
    return stream.getvalue()


def tarred(mode: str, **members: bytes) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def parquet(**columns: list) -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream)
    return stream.getvalue()


UNREAD: dict[str, tuple[bytes, str]] = {
    "jxl": (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(60), "JPEG XL"),
    "jxl codestream": (b"\xff\x0a" + bytes(60), "JPEG XL"),
    "heic": (b"\0\0\0\x18ftypheic" + bytes(60), "HEIF"),
    "avif": (saved("AVIF") if "AVIF" in Image.SAVE else b"\0\0\0\x18ftypavif" + bytes(60), "HEIF"),
    "nii": (nifti(), "NIfTI"),
    "nii pair": (nifti(magic=b"ni1\0"), "NIfTI"),
    "nii 2": (nifti(540, b"n+2\0"), "NIfTI"),
    "nii.gz": (gzip.compress(nifti()), "NIfTI"),
    "analyze": (nifti(magic=bytes(4)), "Analyze"),
    "mhd": (b"ObjectType = Image\nNDims = 2\nDimSize = 4 4\nElementDataFile = x.raw\n", "MetaImage"),
    "mha": (b"Comment = none\nNDims = 2\nDimSize = 4 4\nElementDataFile = LOCAL\n\0\1", "MetaImage"),
    "nrrd": (b"NRRD0004\ntype: short\n", "NRRD"),
    "fits": (b"SIMPLE  =                    T", "FITS"),
    "pgm": (saved("PPM"), "PNM"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(60), "HDF5"),
    "npy": (npy(np.zeros((3, 20, 16))), "NumPy"),
    "npy, one image": (npy(np.zeros((20, 16), np.uint8)), "NumPy"),
    "parquet": (parquet(image=[b"\x89PNG"]), "Parquet"),
}  # fmt: skip
ARCHIVES: dict[str, bytes] = {
    "zip": zipped(a__x=saved("PNG"), readme=b"words"),
    "zip of dicom": zipped(IM1=bytes(128) + b"DICM"),
    "zip of gif": zipped(x=saved("GIF")),
    "zip of a zip": zipped(x=zipped(y=b"z")),
    "zip of nii.gz": zipped(x=gzip.compress(nifti())),
    "damaged zip": zipped(x=saved("PNG"))[:60],
    "tar": tarred("w", words=b"words", x=saved("PNG")),
    "tar.gz": tarred("w:gz", x=saved("PNG")),
    "tar.xz": tarred("w:xz", x=saved("PNG")),
    "png.gz": gzip.compress(saved("PNG")),
    "png.bz2": bz2.compress(saved("PNG")),
    "png.xz": lzma.compress(saved("PNG")),
    "damaged gz": gzip.compress(saved("PNG"))[:30],
    "7z": b"7z\xbc\xaf\x27\x1c" + bytes(60),
    "rar": b"Rar!\x1a\x07\x01\0" + bytes(60),
}
NO_IMAGE: dict[str, bytes] = {
    "nothing": b"",
    "words": b"words and more words\n" * 300,
    "table": b"file,patient_id\nx.png,P1\n",
    "table.gz": gzip.compress(b"file,patient_id\nx.png,P1\n"),
    "json": b'{"NDims": 3}',
    "pdf": b"%PDF-1.7\n",
    "binary": bytes(range(256)) * 20,
    "opens like old DICOM": b"\x08\0\x05\0\x10\0\xff\xff" + bytes(range(200)),
    "BM in a text": b"BMI,age\n21.3,44\n" * 20,
    "npy of numbers": npy(np.zeros((300, 128), np.float32)),
    "npz of numbers": npz(embeddings=np.zeros((300, 128), np.float32), ids=np.arange(3)),
    "zip of words": zipped(a=b"words", b=b"more"),
    "document": zipped(**{"[Content_Types].xml": b"<x/>", "word__media__x.png": saved("PNG")}),
    "tar of words": tarred("w", a=b"words"),
    "parquet of numbers": parquet(a=[1, 2]),
}


@pytest.mark.parametrize("name", UNREAD)
def test_formats_that_are_not_read_are_told_apart(name: str) -> None:
    data, kind = UNREAD[name]
    found = content_of(io.BytesIO(data))
    assert found is not None and found.reason == refusals.NOT_SUPPORTED[kind] in refusals.REASONS
    assert not found.source


@pytest.mark.parametrize("name", ARCHIVES)
def test_archives_of_images(name: str) -> None:
    found = content_of(io.BytesIO(ARCHIVES[name]))
    assert found is not None and found.reason == refusals.ARCHIVE and not found.source


def test_an_npz_of_images_could_be_a_source() -> None:
    found = content_of(io.BytesIO(npz(images=np.zeros((3, 20, 16), np.uint8), labels=np.arange(3))))
    assert found is not None and found.reason == refusals.ARCHIVE and found.source


@pytest.mark.parametrize("name", NO_IMAGE)
def test_what_is_no_image(name: str) -> None:
    assert content_of(io.BytesIO(NO_IMAGE[name])) is None


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "GIF", "WEBP", "BMP", "JPEG2000"])
def test_pictures_that_are_read(kind: str) -> None:
    found = content_of(io.BytesIO(saved(kind)))
    assert found is not None and found.reason is None


def old_dicom(implicit: bool) -> bytes:
    stream = io.BytesIO()
    ds = dataset(ramp())
    del ds.file_meta
    pydicom.dcmwrite(stream, ds, implicit_vr=implicit, little_endian=True, enforce_file_format=False)
    data = stream.getvalue()
    return data[132:] if data[128:132] == b"DICM" else data


@pytest.mark.parametrize("implicit", [True, False])
def test_dicom_without_a_preamble(implicit: bool) -> None:
    assert content_of(io.BytesIO(old_dicom(implicit))) is not None


def test_dicom_objects_that_are_no_image(tmp_path: Path) -> None:
    film = write_dicom(tmp_path / "x")
    report = "1.2.840.10008.5.1.4.1.1.88.11"
    other = write_dicom(tmp_path / "y", SOPClassUID=report)
    ds = pydicom.dcmread(other)
    ds.file_meta.MediaStorageSOPClassUID = report
    ds.save_as(other)
    assert content(film) is not None
    assert content(other) is None
    assert content(Path(str(get_testdata_file("DICOMDIR", download=False)))) is None
    # a film that refers to a report is a film
    reference = pydicom.Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = report, report + ".1"
    assert content(write_dicom(tmp_path / "z", ReferencedStudySequence=[reference])) is not None


@pytest.mark.parametrize("pack", [lambda data: data, gzip.compress])
def test_a_name_decides_nothing(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    png = write_png(tmp_path / "x.png").read_bytes()
    (tmp_path / "x.txt").write_bytes(pack(png))
    assert content(tmp_path / "x.txt") is not None
