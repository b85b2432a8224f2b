# A do-not-release audit is edited by hand, hashes included: does release let the copies out, does report praise them?
# Run in an empty folder with REPO (a checkout), MEDAUDIT (the program) and PYTHON set; see run.sh.
set -u
MEDAUDIT=${MEDAUDIT:-medaudit} PYTHON=${PYTHON:-python}
say() { echo "\$ $*" | sed "s#$MEDAUDIT#medaudit#; s#$PWD/##g"; "$@" 2>&1 | tail -n "${LINES_SHOWN:-4}" | sed "s#$PWD/##g"; echo "exit ${PIPESTATUS[0]}"; }

PYTHONPATH=$REPO:$REPO/tests/stages "$PYTHON" - <<'PY'
from pathlib import Path
import numpy as np
import audit_parts as parts
from medaudit.images import transforms as edit
copies = np.stack([edit.gamma(film, 1.1) for film in parts.films(range(6))]).astype(np.float32)
parts.usual(Path.cwd(), np.concatenate([copies, parts.films(range(800, 840))]))
PY
printf 'plants: 40\nbootstrap: 200\npermutations: 1000\ncontrols: quick\nrequired_kinds: [identity, mirror]\n' > quick.yaml
LINES_SHOWN=1 say "$MEDAUDIT" audit --train T --holdout H --synthetic S --config quick.yaml --out A --quiet
"$MEDAUDIT" keygen --out site > /dev/null 2>&1

forge() { # OUT EDIT: a copy of A whose audit.json is edited by the Python statement, its hash put into the manifest
    cp -r A "$1"
    "$PYTHON" - "$1" "$2" <<'PY'
import hashlib, json, pathlib, sys
folder = pathlib.Path(sys.argv[1])
record, manifest = (json.loads((folder / name).read_text()) for name in ("audit.json", "manifest.json"))
exec(sys.argv[2])
(folder / "audit.json").write_text(json.dumps(record))
manifest["files"]["audit.json"] = hashlib.sha256((folder / "audit.json").read_bytes()).hexdigest()
(folder / "manifest.json").write_text(json.dumps(manifest))
PY
}
echo "--- the verdict and both counts edited"
forge A-forged 'record["verdict"] = "release-supported"; record["counts"].update(flagged=0, patients_exposed=0)'
say "$MEDAUDIT" release --synthetic S --audit A-forged --out D1 --format npz --sign site.key --quiet
[ -d D1 ] && LINES_SHOWN=2 say "$MEDAUDIT" verify D1 --key site.pub --quiet
echo "--- the verdict alone edited"
forge A-verdict 'record["verdict"] = "release-supported"'
say "$MEDAUDIT" release --synthetic S --audit A-verdict --out D2 --format npz --sign site.key --quiet
say "$MEDAUDIT" report A-verdict --out R --quiet
