#!/usr/bin/env bash
# 84 PNG in the naming of NIH next to 22 DICOM files, a GIF, a zip and an npz: none may vanish.
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

pngs src 84 "{:08d}_000.png"
mkdir -p src/scans
find "$REPO/sample_data/dicom" -type f | sort | head -22 | while read -r file; do cp "$file" "src/scans/$(basename "$(dirname "$(dirname "$file")")")-$(basename "$file" .dcm).dcm"; done
"$PYTHON" - <<'EOF'
import numpy as np, zipfile
from PIL import Image
gray = np.random.default_rng(9).integers(0, 256, (20, 16), dtype=np.uint8)
Image.fromarray(gray).save("src/one.gif")
Image.fromarray(gray).save("packed.png")
with zipfile.ZipFile("src/more.zip", "w") as archive:
    archive.write("packed.png")
np.savez("src/more.npz", images=np.stack([gray] * 5))
EOF
echo "$(find src -name '*.dcm' | wc -l) DICOM files, $(find src -name '*.png' | wc -l) PNG files"
show "inspect src" $MEDAUDIT inspect src
show "ingest src --out C" $MEDAUDIT ingest src --out C -q
LINES_SHOWN=6 show "ingest src --only-layout --out C2" $MEDAUDIT ingest src --only-layout --out C2 -q
show "ingest src --layout plain --out C3" $MEDAUDIT ingest src --layout plain --out C3 -q
for cohort in C C2 C3; do
    [ -f $cohort/manifest.json ] && "$PYTHON" -c "import json,sys; print(sys.argv[1], 'refused in the manifest:', json.load(open(sys.argv[1] + '/manifest.json'))['refused']['counts'])" $cohort
done
exit 0
