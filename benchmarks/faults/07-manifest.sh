#!/usr/bin/env bash
# A manifest that names no file, a part of the files, under other names of columns, in other dialects.
. "$(dirname "$0")/sources.sh"

pngs src 12 "{:08d}_000.png"
run() { show "ingest src --manifest $1${3:+ $3}" $MEDAUDIT ingest src --manifest "$1" ${3:-} --out "$2" -q; }
{ echo "file,patient_id"; for i in 1 2 3; do echo "other$i.png,P$i"; done; } >none.csv
{ echo "file,patient_id"; for i in 0 1 2; do printf '%08d_000.png,P%d\n' "$i" "$i"; done; echo "gone.png,P9"; } >part.csv
{ printf '\xef\xbb\xbfImage Index;PatientID\r\n'; for i in {0..11}; do printf '%08d_000;P%d\r\n' "$i" "$((i / 2))"; done; } >names.csv
{ echo "path,image_id,patient_id"; for i in {0..11}; do printf '%08d_000.png,%d,P%d\n' "$i" "$i" "$i"; done; } >two.csv
{ echo "bild,kind"; for i in {0..11}; do printf 'old/src/%08d_000.png,P%d\n' "$i" "$((i / 3))"; done; } >named.csv
run none.csv C1
run part.csv C2
run names.csv C3
run two.csv C4
run two.csv C5 "--file-column=path"
run named.csv C6
run named.csv C7 "--file-column=bild --patient-column=kind"
cp none.csv src/metadata.csv
show "ingest src (metadata.csv names nothing there)" $MEDAUDIT ingest src --out C8 -q
exit 0
