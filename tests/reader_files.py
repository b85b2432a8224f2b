"""Small films on disk for the tests of readers and of the stages that read."""

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian

STUDY = "1.2.826.0.1.3680043.8.498.1"


def ramp(rows: int = 7, columns: int = 11, top: int = 4095, salt: int = 0) -> np.ndarray:
    """(rows, columns) int32 of distinct values in [0, top]; another `salt`, another picture."""
    rng = np.random.Generator(np.random.Philox(1000 + salt))
    return np.sort(rng.integers(0, top + 1, rows * columns)).reshape(rows, columns).astype(np.int32)


def dataset(stored: np.ndarray, bits: int = 12, signed: bool = False, **tags: Any) -> FileDataset:
    """A CR object that holds `stored` (Y, X); tags given as None are taken out."""
    allocated = 8 if bits <= 8 else 16
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
    meta.MediaStorageSOPInstanceUID = STUDY + ".9"
    ds = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    ds.SOPClassUID = ComputedRadiographyImageStorage
    ds.SOPInstanceUID = STUDY + ".9"
    ds.StudyInstanceUID = STUDY
    ds.PatientID = "MRN-1"
    ds.PatientName = "Doe^Jane"
    ds.PatientBirthDate = "19500101"
    ds.Modality = "CR"
    ds.ImageType = ["ORIGINAL", "PRIMARY"]
    ds.ViewPosition = "PA"
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Rows, ds.Columns = stored.shape[:2]
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = allocated, bits, bits - 1
    ds.PixelRepresentation = int(signed)
    kind = ("i" if signed else "u") + str(allocated // 8)
    data = stored.astype(f"<{kind}").tobytes()
    ds.PixelData = data + b"\0" * (len(data) % 2)
    for name, value in tags.items():
        if value is None:
            delattr(ds, name)
        else:
            setattr(ds, name, value)
    return ds


def write_dicom(
    path: Path, stored: np.ndarray | None = None, bits: int = 12, signed: bool = False, **tags: Any
) -> Path:
    """Write `dataset` to `path`; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pydicom.dcmwrite(
        path, dataset(ramp() if stored is None else stored, bits, signed, **tags), enforce_file_format=True
    )
    return path


def write_png(path: Path, salt: int = 0, bits: int = 8, shape: tuple[int, int] = (7, 11)) -> Path:
    """Write a gray picture; another `salt`, another picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = ramp(*shape, top=2**bits - 1, salt=salt)
    Image.fromarray(values.astype(np.uint8 if bits == 8 else np.uint16)).save(path)
    return path


def tree_bytes(folder: Path) -> dict[str, bytes]:
    """Bytes of every file under a folder, by name."""
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }
