#!/usr/bin/env bash
# A single file, or a folder, called 00000001_000.png is no ChestX-ray14; neither is a folder of dates and numbers.
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

pngs one 1 "00000001_000.png"
pngs dates 12 "20230115_{:03d}.png"
pngs folder/00000001_000.png 1 "scan.png"
pngs enough 12 "{:08d}_000.png"
for source in one dates folder enough; do
    LINES_SHOWN=6 show "ingest $source" $MEDAUDIT ingest $source --out C-$source -q
done
exit 0
