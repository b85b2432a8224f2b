#!/usr/bin/env bash
# Fault 5: cohorts held the paths of their sources, in clear, next to the pseudonyms of the patients in them.
# A canary stands in every folder, file name, id and tag; each file of each artifact is searched for it.
set -u
MEDAUDIT="${MEDAUDIT:-medaudit}"
PYTHON="${PYTHON:-python}"

"$PYTHON" - <<'PY'
from pathlib import Path
import numpy as np, pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian

rng = np.random.default_rng(1)
for n in range(24):
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, ComputedRadiographyImageStorage
    meta.MediaStorageSOPInstanceUID = f"1.2.826.0.1.3680043.8.498.{n + 1}"
    ds = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    ds.SOPClassUID, ds.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    ds.PatientID, ds.PatientName = f"ZANARIA-{n // 2}", "ZANARIA^Anna"
    ds.StudyInstanceUID, ds.AccessionNumber, ds.InstitutionName = f"1.2.3.{n}", "ZANARIA-ACC", "ZANARIA clinic"
    ds.Modality, ds.PhotometricInterpretation, ds.SamplesPerPixel = "CR", "MONOCHROME2", 1
    ds.Rows, ds.Columns, ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 18, 16, 16, 12, 11, 0
    ds.PixelData = rng.integers(0, 4096, (18, 16)).astype("<u2").tobytes()
    place = Path(f"pacs/ZANARIA_ANNA_19610213_{n // 2}/ZANARIA_{n}.dcm")
    place.parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(place, enforce_file_format=True)
Path("pacs/ZANARIA_ANNA_19610213_0/ZANARIA_cut.dcm").write_bytes(place.read_bytes()[:-40])
PY

shortened() { echo; echo "\$ medaudit $*"; timeout 100 $MEDAUDIT "$@" -q 2>&1 | tail -4; echo "exit ${PIPESTATUS[0]}"; }
shortened ingest pacs --out work/all --size 16
shortened split work/all --train work/T --holdout work/H
shortened dedup work/T --out work/clean
shortened index work/T
shortened ingest pacs --origin synthetic --out work/S --size 16

echo
echo "files that hold the canary (parquet unpacked):"
"$PYTHON" - <<'PY'
import io
from pathlib import Path
import pyarrow.parquet as pq

for path in sorted(p for p in Path("work").rglob("*") if p.is_file()):
    data = path.read_bytes()
    if path.suffix == ".parquet":
        data += repr(pq.read_table(io.BytesIO(data)).to_pydict()).encode()
    if b"ZANARIA" in data.upper():
        print(f"  {path}, mode {path.stat().st_mode & 0o777:o}")
PY
echo "a row of T:"
"$PYTHON" -c '
import pyarrow.parquet as pq
row = pq.read_table("work/T/rows.parquet").to_pylist()[0]
print("  file", row["file"], "patient", row["patient"])'
