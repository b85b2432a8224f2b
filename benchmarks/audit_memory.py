"""Resident memory of an audit against the number of training images, beside the stated bound.

    python benchmarks/audit_memory.py --sizes 10000 100000

Training images are smooth random fields (64 x 64, 8 bit, two per patient). Each size runs in a process of its own;
the peak resident size is the operating system's.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from scipy.ndimage import zoom

from medaudit import seeds
from medaudit.artifacts.cohort import CohortWriter
from medaudit.artifacts.store import Draft, Request

SIDE = 64
BASE_MB = 280  # interpreter and libraries
ROW_BYTES = 2048  # rows of the table, patients and results, for each image


def bound_mb(images: int, memory_bytes: int) -> float:
    """protocol/described's bound: libraries + working memory + 2 KB a row."""
    return BASE_MB + (memory_bytes + images * ROW_BYTES) / 2**20


def make_cohort(out: Path, count: int, role: str, seed: int) -> None:
    """Write `count` smooth random films, two per patient."""
    origin = "synthetic" if role == "synthetic" else "real"
    with Draft(out, Request("cohort", {"benchmark": role, "count": count}, seed)) as draft:
        writer = CohortWriter(draft, (SIDE, SIDE), np.uint8)
        for start in range(0, count, 1000):
            rng = seeds.generator(seed, role, start)
            n = min(1000, count - start)
            coarse = rng.normal(size=(n, 16, 16)).astype(np.float32)
            fields = zoom(coarse, (1, 4, 4), order=1) + zoom(coarse[:, ::4, ::4], (1, 16, 16), order=1) * 2
            fields -= fields.min(axis=(1, 2), keepdims=True)
            fields /= fields.max(axis=(1, 2), keepdims=True)
            rows = [
                {"file": f"{role}/{start + i}", "patient": f"p-{role}{(start + i) // 2:09d}"}
                for i in range(n)
            ]
            writer.append(np.rint(fields * 255).astype(np.uint8), rows)
        writer.finish(note={"origin": origin, "role": role})


CHILD = """
import json, resource, sys, time
from pathlib import Path
from medaudit.stages import audit
from medaudit.config import AuditSettings
base = Path(sys.argv[1])
began = time.monotonic()
settings = AuditSettings(reference_people=int(sys.argv[3]), plants=30)
outcome = audit.run(base / "T", base / "H", base / "S", base / "A", settings, memory_bytes=int(sys.argv[2]))
print(json.dumps({
    "seconds": time.monotonic() - began,
    "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    "verdict": outcome.data["verdict"],
}))
"""


def main() -> None:
    """Print one row per size."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 30_000, 100_000])
    parser.add_argument("--synthetic", type=int, default=50)
    parser.add_argument("--holdout", type=int, default=1000)
    parser.add_argument("--people", type=int, default=500, help="unseen people asked of each side")
    parser.add_argument("--memory-mb", type=int, default=1024)
    options = parser.parse_args()
    memory = options.memory_mb << 20
    print(f"{os.cpu_count()} cores; working memory {options.memory_mb} MB")
    print("training images | peak MB | bound MB | seconds | verdict")
    for size in options.sizes:
        with tempfile.TemporaryDirectory(prefix="audit-memory-") as folder:
            base = Path(folder)
            make_cohort(base / "T", size, "train", 1)
            make_cohort(base / "H", options.holdout, "holdout", 2)
            make_cohort(base / "S", options.synthetic, "synthetic", 3)
            began = time.monotonic()
            done = subprocess.run(
                [sys.executable, "-c", CHILD, folder, str(memory), str(options.people)],
                capture_output=True,
                text=True,
                check=True,
            )
            seen = json.loads(done.stdout.splitlines()[-1])
            print(
                f"{size:15,} | {seen['peak_mb']:7.0f} | {bound_mb(size, memory):8.0f} | "
                f"{time.monotonic() - began:7.0f} | {seen['verdict']}",
                flush=True,
            )


if __name__ == "__main__":
    main()
