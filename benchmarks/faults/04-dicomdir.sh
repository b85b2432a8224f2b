#!/usr/bin/env bash
# A DICOMDIR that lists a file outside of its folder.
. "$(dirname "$0")/sources.sh"

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
