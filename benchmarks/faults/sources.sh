# What the scripts about sources share: the program, a command shown with its exit code, folders of PNG.
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
