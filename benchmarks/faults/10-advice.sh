#!/usr/bin/env bash
# Advice that contradicts itself: withhold the flagged images, and: withholding would not be enough. release
# --withhold-flagged then audits again for minutes to say what audit.json knows.
set -u
MEDAUDIT=${MEDAUDIT:-medaudit}
PYTHON=${PYTHON:-python}
$PYTHON - <<'PY'  # copies, and too few other images for the cohort test
import os, sys
sys.path.insert(0, os.path.join(os.environ.get("REPO", "."), "tests", "stages"))
from pathlib import Path
import numpy as np
import audit_parts as parts
parts.usual(Path("."), np.concatenate([parts.films([4, 9, 11]), parts.films(range(800, 803))]))
PY
printf 'plants: 40\nbootstrap: 200\npermutations: 1000\ncontrols: quick\nrequired_kinds: [identity, mirror]\n' >quick.yaml

run() {
    echo "\$ medaudit $1 ... $MORE"
    local began=$SECONDS
    timeout 170 $MEDAUDIT "$@" -q >.out 2>.err
    local code=$?
    cat .out .err | grep -E "$SHOW" | cut -c -400
    echo "exit $code, $((SECONDS - began)) s"
    echo
}
MORE='' SHOW='^next|planted|flagged as' run audit --train T --holdout H --synthetic S --out A --config quick.yaml --device cpu
MORE='' SHOW='.' run release --synthetic S --audit A --out D --text off
MORE=--withhold-flagged SHOW='.' run release --synthetic S --audit A --out D --text off --withhold-flagged --train T --holdout H --device cpu
