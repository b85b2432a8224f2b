#!/usr/bin/env bash
# A metadata.csv in a subfolder names files of that folder; the folders above hold files of the same names.
. "$(dirname "$0")/sources.sh"

pngs src 3 "{}.png"
pngs src/site/b 4 "1{}.png"
cp src/site/b/10.png src/site/b/0.png
"$PYTHON" -c "
import numpy as np
from PIL import Image
Image.fromarray(np.random.default_rng(77).integers(0, 256, (20, 16), dtype=np.uint8)).save('src/site/b/0.png')"
{ echo "file,patient_id"; echo "0.png,DEEP-0"; for i in 0 1 2 3; do echo "1$i.png,DEEP-1"; done; } >src/site/b/metadata.csv
LINES_SHOWN=6 show "ingest src" $MEDAUDIT ingest src --out C -q
exit 0
