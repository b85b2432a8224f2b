#!/usr/bin/env bash
# A single file, or a folder, called 00000001_000.png is no ChestX-ray14; neither is a folder of dates and numbers.
. "$(dirname "$0")/sources.sh"

pngs one 1 "00000001_000.png"
pngs dates 12 "20230115_{:03d}.png"
pngs folder/00000001_000.png 1 "scan.png"
pngs enough 12 "{:08d}_000.png"
for source in one dates folder enough; do
    LINES_SHOWN=6 show "ingest $source" $MEDAUDIT ingest $source --out C-$source -q
done
exit 0
