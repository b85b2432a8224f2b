#!/usr/bin/env bash
# 84 PNG in the naming of NIH next to 22 DICOM files, a GIF, a zip and an npz: none may vanish.
. "$(dirname "$0")/sources.sh"

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
