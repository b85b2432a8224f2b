#!/usr/bin/env bash
# Fault 8: a source that can hardly be read at all ended in exit code 0, and nothing said which files were left out.
set -u
MEDAUDIT="${MEDAUDIT:-medaudit}"
PYTHON="${PYTHON:-python}"

"$PYTHON" - <<'PY'
from pathlib import Path
import numpy as np
from PIL import Image

rng = np.random.default_rng(1)
for folder, good, bad in (("none", 0, 40), ("hardly", 39, 261), ("mostly", 39, 2)):
    Path(folder).mkdir()
    rows = ["file,patient_id"]
    for n in range(good + bad):
        name = f"{n:03d}.png"
        Image.fromarray(rng.integers(0, 256, (18, 16), dtype=np.uint8)).save(Path(folder, name))
        if n >= good:  # cut short while it was copied; or encrypted
            data = Path(folder, name).read_bytes()
            Path(folder, name).write_bytes(data[: len(data) // 2] if folder != "none" else b"encrypted")
        rows.append(f"{name},MRN-{n // 2}")
    Path(folder, "metadata.csv").write_text("\n".join(rows) + "\n")
PY

shortened() { echo; echo "\$ medaudit $*"; timeout 60 $MEDAUDIT "$@" 2>&1 | cut -c1-150 | tail -"${LINES_SHOWN:-5}"; echo "exit ${PIPESTATUS[0]}"; }
shortened inspect none
shortened ingest none --out N -q
shortened ingest hardly --out C -q
shortened ingest hardly --origin synthetic --out S -q
ls -d C S 2>&1 | sed 's/^/  /'
shortened ingest hardly --out C -q --accept-refused --refused-csv refused.csv
[ -f refused.csv ] && { wc -l < refused.csv; head -2 refused.csv; }
shortened ingest mostly --out M -q
shortened split M --train T --holdout H -q
"$PYTHON" -c '
import json
for name in "TH":
    try: print(name, "says that were refused:", json.load(open(name + "/manifest.json"))["refused"])
    except OSError: print(name, "is not there")'
