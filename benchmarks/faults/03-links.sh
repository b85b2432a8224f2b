#!/usr/bin/env bash
# Links to a device, a pipe, the folder itself and out of the source; 2 GB of memory and 20 s are the limits.
. "$(dirname "$0")/sources.sh"

ulimit -v 4000000
pngs src 3 "a{}.png"
pngs elsewhere 2 "b{}.png"
pngs elsewhere/more 2 "c{}.png"
ln -s ../elsewhere/more src/linked
ln -s ../elsewhere/b0.png src/b0.png
ln -s . src/again
ln -s .. src/up
try() { echo "\$ $1"; shift; timeout 20 "$@" >out.txt 2>&1; local code=$?; tail -n 5 out.txt | cut -c1-200; echo "exit $code"; }
try "ingest src (links out of the source and in a circle)" $MEDAUDIT ingest src --layout plain --out C0 -q
rm src/up
mkfifo pipe
ln -s /dev/zero src/x.png
try "ingest src (x.png -> /dev/zero)" $MEDAUDIT ingest src --layout plain --out C1 -q
rm src/x.png; ln -s ../pipe src/x.png
try "ingest src (x.png -> pipe)" $MEDAUDIT ingest src --layout plain --out C2 -q
rm src/x.png; ln -s ../pipe src/metadata.csv
try "ingest src (metadata.csv -> pipe)" $MEDAUDIT ingest src --out C3 -q
rm src/metadata.csv
try "ingest src --manifest pipe" $MEDAUDIT ingest src --layout plain --manifest pipe --out C4 -q
try "ingest pipe" $MEDAUDIT ingest pipe --out C5 -q
ln -s pipe some.npz
try "ingest some.npz -> pipe" $MEDAUDIT ingest some.npz --out C6 -q
try "train --config pipe" $MEDAUDIT train --cohort C0 --config pipe --out M -q
exit 0
