"""Wall time and memory of an audit with all controls, on real films, and where the time goes.

    python benchmarks/audit_time.py --data ../shared/data --train 1000 --holdout 1000 --synthetic 500 --size 128

Films of kermany224; patients are drawn for T, then H, and further people the audit never sees pose as S. The audit
runs in a process of its own on all cores, with `memory` as its working memory.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from real_films import load

from medaudit import seeds
from medaudit.artifacts.cohort import CohortWriter
from medaudit.artifacts.store import Draft, Request
from medaudit.images.intensity import to_depth

CHILD = """
import json, resource, sys, time
from pathlib import Path
began = time.monotonic()
from medaudit.stages import audit

class Phases:
    def __init__(self): self.seen = [("setting up", began)]
    def start(self, name, total): self.seen.append((name, time.monotonic()))
    def advance(self, steps=1, **facts): pass
    def say(self, line): pass

base, phases = Path(sys.argv[1]), Phases()
outcome = audit.run(base / "T", base / "H", base / "S", base / "A", progress=phases, memory_bytes=int(sys.argv[2]))
phases.seen.append(("end", time.monotonic()))
print(json.dumps({
    "phases": [[a[0], b[1] - a[1]] for a, b in zip(phases.seen, phases.seen[1:])],
    "seconds": time.monotonic() - began,
    "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    "lines": outcome.lines,
}))
"""


def write(out: Path, images: np.ndarray, patients: np.ndarray, role: str) -> None:
    """A cohort of these films."""
    origin = "synthetic" if role == "synthetic" else "real"
    with Draft(out, Request("cohort", {"benchmark": role}, 0)) as draft:
        writer = CohortWriter(draft, images.shape[1:], np.uint8)
        rows = [{"file": f"{i:06}", "patient": f"p-{code:06}"} for i, code in enumerate(patients)]
        writer.append(to_depth(images, np.uint8), rows)
        writer.finish(note={"origin": origin, "role": role})


def main() -> None:
    """Draw, audit, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--train", type=int, default=1000)
    parser.add_argument("--holdout", type=int, default=1000)
    parser.add_argument("--synthetic", type=int, default=500)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--memory-mb", type=int, default=1024)
    options = parser.parse_args()
    images, patient = load(options.data / "kermany224", options.size)
    order = seeds.generator(0, "audit time").permutation(np.unique(patient))
    by_person = [np.flatnonzero(patient == person) for person in order]
    rows, start = np.concatenate(by_person), 0
    with tempfile.TemporaryDirectory(prefix="audit-time-") as folder:
        for name, role, count in (
            ("T", "train", options.train), ("H", "holdout", options.holdout), ("S", "synthetic", options.synthetic)
        ):  # fmt: skip
            part = rows[start : start + count]
            start += count
            while start < len(rows) and patient[rows[start]] == patient[part[-1]]:
                start += 1  # nobody on two sides
            write(Path(folder) / name, images[part], patient[part], role)
            print(f"# {name}: {len(part)} films of {len(np.unique(patient[part]))} patients", flush=True)
        done = subprocess.run(
            [sys.executable, "-c", CHILD, folder, str(options.memory_mb << 20)],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    seen = json.loads(done.stdout.splitlines()[-1])
    total: dict[str, float] = {}
    for name, seconds in seen["phases"]:
        total[name] = total.get(name, 0) + seconds
    print("\n".join(seen["lines"]), "\n\n| part | s |\n|---|---|")
    for name, seconds in sorted(total.items(), key=lambda item: -item[1])[:14]:
        print(f"| {name} | {seconds:.1f} |")
    print(
        f"\n{os.cpu_count()} cores, {options.size} px: {seen['seconds']:.0f} s, peak {seen['peak_mb']:.0f} MB"
    )


if __name__ == "__main__":
    main()
