"""Resident memory of the search against the number of training images, in files, on one budget.

    python benchmarks/search_memory.py --out reports/speed/memory.json

Films are synthetic (a template, forty smooth modes and noise, 32 x 32), since no set of a million is at hand; each size
runs in a process of its own: the index is made in files, then 200 images ask for their 50 nearest. Peak memory is what
the system says of that process, mapped pages included.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from medaudit.search.nearest import nearest
from medaudit.search.stored import grow

SIDE, MODES, ASKING, K = 32, 40, 200, 50


Y, X = np.mgrid[:SIDE, :SIDE] / SIDE
TEMPLATE = (0.5 + 0.2 * np.cos(np.pi * Y) * np.cos(2 * np.pi * X)).reshape(-1)
WAVES = np.stack(
    [np.cos(np.pi * (a * Y + b * X)).reshape(-1) / (1 + a + b) for a in range(MODES // 5) for b in range(5)]
)
GRAIN = np.random.Generator(np.random.Philox(1)).standard_normal(1 << 20) * 0.02


def describe(places: np.ndarray) -> np.ndarray:
    """Places (n,) → (n, 1, SIDE^2) float32 in [0, 1]; a film is the same whatever it is asked for with."""
    weights = np.stack(
        [np.random.Generator(np.random.Philox(1000 + i)).standard_normal(MODES) for i in places]
    )
    starts = places * 7919 % (len(GRAIN) - SIDE**2)
    grain = np.lib.stride_tricks.sliding_window_view(GRAIN, SIDE**2)[starts]
    return np.clip(TEMPLATE + 0.15 * weights @ WAVES + grain, 0, 1).astype(np.float32)[:, None]


def one(count: int, memory: int, folder: Path) -> dict[str, float]:
    """Index and ask in this process."""
    empty = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    began = time.perf_counter()
    index = grow(folder, "films", "benchmark", count, describe, lambda a, b: f"{a}-{b}".encode(), seal=False)
    made = time.perf_counter()
    queries = describe(2_000_000 + np.arange(ASKING))[:, None]
    nearest(queries, index, K, reference_group=np.arange(count), memory_bytes=memory)
    done = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "films": count,
        "started_mb": empty,
        "peak_mb": peak,
        "index_s": made - began,
        "search_s": done - made,
    }


def main() -> None:
    """Print one line a size and write the JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 30_000, 100_000, 300_000, 1_000_000])
    parser.add_argument("--memory", type=int, default=512 << 20)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--child", type=int)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    if given.child:
        print(json.dumps(one(given.child, given.memory, given.folder)))
        return
    rows = []
    for size in given.sizes:
        with tempfile.TemporaryDirectory() as base:
            child = [sys.executable, __file__, "--child", str(size), "--memory", str(given.memory)]
            told = subprocess.run(
                [*child, "--folder", f"{base}/i"], capture_output=True, text=True, check=True
            )
        rows.append(json.loads(told.stdout))
        row = rows[-1]
        print(
            f"{size:>9,} films: peak {row['peak_mb']:6.0f} MB ({row['started_mb']:.0f} before), "
            f"index {row['index_s']:6.1f} s, search {row['search_s']:5.1f} s",
            flush=True,
        )
    if given.out:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(
            json.dumps({"memory_bytes": given.memory, "asking": ASKING, "rows": rows}, indent=1) + "\n"
        )


if __name__ == "__main__":
    main()
