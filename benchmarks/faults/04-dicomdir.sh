#!/usr/bin/env bash
# A DICOMDIR that lists a file outside of its folder.
set -u
MEDAUDIT=${MEDAUDIT:-medaudit} PYTHON=${PYTHON:-python}

show() {  # show LABEL COMMAND...: its last lines and its exit code
    echo "\$ $1"; shift
    timeout 60 "$@" >out.txt 2>&1; local code=$?
    tail -n "${LINES_SHOWN:-4}" out.txt | cut -c1-300; echo "exit $code"
}
pngs() {  # pngs FOLDER COUNT NAME: gray PNG of noise; NAME is a Python format of the number
    "$PYTHON" - "$@" <<'EOF'
import sys, pathlib, numpy as np
from PIL import Image
folder, count, name = pathlib.Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
for i in range(count):
    path = folder / name.format(i)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(i).integers(0, 256, (20, 16), dtype=np.uint8)).save(path)
EOF
}

mkdir -p cd
cp "$(find "$REPO/sample_data/dicom" -name '*.dcm' | sort | sed -n 1p)" cd/IM1
cp "$(find "$REPO/sample_data/dicom" -name '*.dcm' | sort | sed -n 2p)" SECRET
"$PYTHON" - <<'EOF'
import os, warnings
import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MediaStorageDirectoryStorage, generate_uid
warnings.simplefilter("ignore")
meta = FileMetaDataset()
meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = MediaStorageDirectoryStorage, generate_uid()
meta.TransferSyntaxUID = ExplicitVRLittleEndian
ds = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
records = []
for name in (["IM1"], ["..", "SECRET"], [os.path.abspath("SECRET")]):
    record = Dataset()
    record.DirectoryRecordType = "IMAGE"
    record.add_new((0x0004, 0x1500), "CS", name)
    records.append(record)
ds.DirectoryRecordSequence = records


ds.save_as("cd/DICOMDIR", enforce_file_format=True)
EOF
show "ingest cd/DICOMDIR (lists IM1, ..\SECRET and /.../SECRET)" $MEDAUDIT ingest cd/DICOMDIR --out C -q
[ -d C ] && "$PYTHON" -c "
import json
print('rows:', json.load(open('C/manifest.json'))['rows'], 'refused:', json.load(open('C/manifest.json'))['refused']['counts'])"
exit 0
