#!/usr/bin/env bash
# Corrupt input: an npz with bytes deleted from a compressed member; YAML that nests deep, holds a number of 100,000
# digits, or unfolds by merged keys; and the time until a wrong config is told.
# Run in an empty folder: MEDAUDIT is the program, PYTHON an interpreter with numpy, REPO the checkout.
set -u
MEDAUDIT=${MEDAUDIT:-medaudit}
PYTHON=${PYTHON:-python}

show() { # name, command...
    local name=$1
    shift
    local began ended code
    began=$(date +%s.%N)
    timeout 30 bash -c 'ulimit -v 8000000; exec "$@"' - $MEDAUDIT "$@" >said 2>&1
    code=$?
    ended=$(date +%s.%N)
    echo "\$ medaudit $* # $name"
    tail -n 2 said | cut -c1-160
    echo "exit $code, $(echo "$ended - $began" | bc | cut -c1-4) s"
}

$PYTHON - <<'END'
import random, zipfile
import numpy as np

draw = np.random.default_rng(6)
for kind in "abc":
    np.savez_compressed(
        f"{kind}.npz",
        images=draw.integers(0, 9, (16, 24, 20), dtype=np.uint8),
        patient_id=np.array([f"p{n}" for n in range(16)]),
    )
    data = bytearray(open(f"{kind}.npz", "rb").read())
    # a: bytes are missing from the films; b: from the ids; c: from the head of the first member
    with zipfile.ZipFile(f"{kind}.npz") as archive:
        at = {info.filename: info.header_offset for info in archive.infolist()}
    start = {"a": at["images.npy"] + 900, "b": at["patient_id.npy"] + 60, "c": at["images.npy"] + 46}[kind]
    del data[start : start + 7]
    open(f"{kind}.npz", "wb").write(data)
open("deep.yaml", "w").write("steps: " + "[" * 100_000)
open("digits.yaml", "w").write("steps: " + "9" * 100_000)
names = "abcdefghi"
open("merge.yaml", "w").write(
    "a: &a {x: 1}\n"
    + "".join(f"{n}: &{n} {{<<: [{', '.join([f'*{b}'] * 9)}]}}\n" for b, n in zip(names, names[1:]))
)
open("key.yaml", "w").write("stepz: 3\n")
END
for kind in a b c; do
    show "bytes deleted" ingest $kind.npz --out C$kind --key site.key -q
done
mkdir T
for config in deep digits merge key; do
    show "a wrong config" train --cohort T --config $config.yaml --out M -q
done
show "told after loading" audit --train T --holdout T --synthetic T --config key.yaml --out A -q
show "told after loading" extract --model T --train T --holdout T --out X -q
