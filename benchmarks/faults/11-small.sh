#!/usr/bin/env bash
# Small faults of the command line: calls that say nothing, messages that name no path, files of a file browser in a
# release, two ids without a word, an option that is missed without a reason.
set -u
MEDAUDIT=${MEDAUDIT:-medaudit}
PYTHON=${PYTHON:-python}
export COLUMNS=120
run() {  # the command, the last lines of what it prints (long ones cut), its exit code
    echo "\$ medaudit $*" | cut -c -150
    timeout 60 $MEDAUDIT "$@" >.out 2>.err
    local code=$?
    { tail -n 2 .out; cat .err; } | cut -c -420
    echo "exit $code"
    echo
}
plain() {  # root may write everywhere; a hospital's user may not
    if [ "$(id -u)" = 0 ]; then
        setpriv --bounding-set=-dac_override,-dac_read_search --inh-caps=-dac_override,-dac_read_search "$@"
    else "$@"; fi
}
runplain() {
    echo "\$ medaudit $*" | cut -c -150
    plain timeout 60 $MEDAUDIT "$@" >.out 2>.err
    local code=$?
    { tail -n 2 .out; cat .err; } | cut -c -420
    echo "exit $code"
    echo
}

$PYTHON - <<'PY'
import sys, os
sys.path.insert(0, os.path.join(os.environ.get("REPO", "."), "tests", "stages"))
from pathlib import Path
from release_parts import make_audit, make_cohort
make_audit(Path("A"), make_cohort(Path("S")).id)
PY

run
run ledger
run audit --train T --synthetic S --out A2
run train --config x.yaml --out M
run release --synthetic S --out D
mkdir readonly && chmod 555 readonly && touch file
runplain ingest "$REPO/sample_data/dicom" --out readonly/C
runplain report A --out readonly/R
run report A --out file/R
run report A --out "$(printf 'x%.0s' $(seq 300))"
run verify S --key site.pub
run report A --out R --review nowhere
run ledger check --ledger site.ledger
run release --synthetic S --audit A --out D --format npz --text off
touch D/.DS_Store D/desktop.ini
run verify D
chmod 755 readonly
