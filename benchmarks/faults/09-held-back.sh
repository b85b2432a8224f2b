#!/usr/bin/env bash
# A report says that suspects are held back; release writes them out all the same.
set -u
MEDAUDIT=${MEDAUDIT:-medaudit}
PYTHON=${PYTHON:-python}
$PYTHON - <<'PY'  # T, H and a synthetic cohort of people nobody knows, one image of it unusable
import os, sys
sys.path.insert(0, os.path.join(os.environ.get("REPO", "."), "tests", "stages"))
from pathlib import Path
import audit_parts as parts
parts.usual(Path("."), parts.films(range(800, 824)), marks={17: "constant image"})
PY
printf 'plants: 40\nbootstrap: 200\npermutations: 1000\ncontrols: quick\nrequired_kinds: [identity, mirror]\n' >quick.yaml

run() {
    echo "\$ medaudit $1 ..."
    timeout 170 $MEDAUDIT "$@" -q >.out 2>.err
    local code=$?
    cat .out .err | grep -E "$SHOW" | cut -c -300
    echo "exit $code"
    echo
}
SHOW='synthetic images|suspect|withheld|listed' run audit --train T --holdout H --synthetic S --out A --config quick.yaml --device cpu
SHOW='released' run release --synthetic S --audit A --out D --format npz --text off
SHOW='report' run report A --release D --out R
echo "the report says:"
$PYTHON - <<'PY'
import json
for section in json.load(open("R/report.json"))["sections"]:
    for block in section["blocks"]:
        for name, value in block.get("items", []) if block["kind"] == "facts" else []:
            if any(word in name for word in ("held", "released", "withheld", "Suspects")):
                print(f"  {name}: {value}")
import numpy as np
print("images in the release:", len(np.load("D/images.npz")["images"]))
PY
