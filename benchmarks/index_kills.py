"""Kill `medaudit index` at random moments; every resumed run must end in the same bytes.

    python benchmarks/index_kills.py --films 4000 --kills 20

A cohort of phantom-like noise films is indexed once undisturbed. Then a copy is indexed again and again, killed with
SIGKILL at a moment drawn uniformly from the undisturbed run's time, indexed anew until it ends, and compared.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from kills import digest, killed_and_resumed, medaudit
from search_memory import describe

from medaudit.artifacts.cohort import CohortWriter
from medaudit.artifacts.store import Draft, Request
from medaudit.images.intensity import to_depth


def main() -> None:
    """Print one line per kill and a summary; exit 1 when any hash differs."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--films", type=int, default=4000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    draw = random.Random(given.seed)
    work = Path(tempfile.mkdtemp(prefix="kills-"))
    with Draft(work / "T", Request("cohort", {"benchmark": "kills"}, 0)) as draft:
        films = describe(np.arange(given.films)).reshape(-1, 32, 32)
        writer = CohortWriter(draft, (32, 32), np.uint8)
        writer.append(
            to_depth(films, np.uint8), [{"file": f"{i}", "patient": f"p{i}"} for i in range(given.films)]
        )
        writer.finish(note={"origin": "real", "role": "train"})
    shutil.copytree(work / "T", work / "whole")
    began = time.monotonic()
    medaudit(["index", str(work / "whole")])
    seconds = time.monotonic() - began
    expected = digest(work / "whole" / "index")
    print(f"{seconds:.1f} s undisturbed, {expected[:16]}", flush=True)
    same = dead = 0
    for number in range(given.kills):
        again = work / f"again-{number}"
        shutil.copytree(work / "T", again)
        moment = draw.uniform(0.2, 0.98) * seconds
        state, begun, found = killed_and_resumed(["index", str(again)], moment, again / "index")
        equal = found == expected
        same, dead = same + equal, dead + (state == "killed")
        print(
            f"{number + 1:2d} {state} after {moment:4.1f} s, begun: {begun}; same: {equal}",
            flush=True,
        )
        shutil.rmtree(again)
    shutil.rmtree(work)
    print(f"{same} of {given.kills} ended in the same bytes, {dead} of them killed")
    sys.exit(0 if same == given.kills else 1)


if __name__ == "__main__":
    main()
