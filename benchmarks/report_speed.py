"""How long `medaudit report` takes and how much memory it holds for 10,000 synthetic images, in both editions.

    python benchmarks/report_speed.py --work /tmp/report-speed [--images 10000] [--side 256]

The findings are made up in the size asked for and written with the writers of the package; then the real command runs
in a process of its own. A plain Python loop, timed in the same run, tells how fast the machine was meanwhile.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import report_samples as samples  # noqa: E402

from medaudit.artifacts.cohort import CohortWriter  # noqa: E402
from medaudit.artifacts.store import Artifact, Draft, Request  # noqa: E402

LOOP = 20_000_000
TRAIN_PATIENTS, HOLDOUT_PATIENTS = 4_000, 4_000


def cohort(out: Path, count: int, side: int, origin: str) -> Artifact:
    """A cohort of noise, which compresses as badly as any film."""
    rng = np.random.Generator(np.random.Philox(count))
    with Draft(out, Request("cohort", {"origin": origin}, seed=0)) as draft:
        writer = CohortWriter(draft, (side, side), np.uint8)
        for start in range(0, count, 500):
            pixels = rng.integers(0, 256, (min(500, count - start), side, side), dtype=np.uint8)
            rows = [
                {
                    "file": f"ward{place % 7}/person{place:06d}_film.png",
                    "patient": samples.pseudonym(place),
                    "route": "full range",
                }
                for place in range(start, start + len(pixels))
            ]
            writer.append(pixels, rows)
        return writer.finish(note={"origin": origin})


def findings(work: Path, images: int, side: int) -> None:
    """T, S and an audit of S that flags most of it, and one that flags nothing."""
    train, synthetic = (
        cohort(work / "T", TRAIN_PATIENTS, side, "real"),
        cohort(work / "S", images, side, "synthetic"),
    )
    for case in ("refused", "supported"):
        record = samples.audit(case, synthetic=images)
        counts = {
            "train_images": TRAIN_PATIENTS,
            "train_patients": TRAIN_PATIENTS,
            "holdout_patients": HOLDOUT_PATIENTS,
        }
        if record.counts.flagged:
            counts["patients_exposed"] = TRAIN_PATIENTS // 2
        record = record.model_copy(update={"counts": record.counts.model_copy(update=counts)})
        samples.write_findings(work / case, record, {"train": train.id, "synthetic": synthetic.id})


def measure(arguments: list[str]) -> tuple[float, float]:
    """Seconds and peak resident MiB of one call of the command."""
    began = time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    child = os.posix_spawn(
        sys.executable, [sys.executable, "-m", "medaudit.cli.app", *arguments, "--quiet"], environment
    )
    _, status, usage = os.wait4(child, 0)
    if status:
        raise SystemExit(f"the command ended with {os.waitstatus_to_exitcode(status)}")
    return time.perf_counter() - began, usage.ru_maxrss / 1024


def loop() -> float:
    """Seconds of a plain Python loop."""
    began = time.perf_counter()
    for _ in range(LOOP):
        pass
    return time.perf_counter() - began


def main() -> None:
    """Make the findings, run the command, print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--side", type=int, default=256)
    options = parser.parse_args()
    work = options.work
    if not (work / "supported").exists():
        findings(work, options.images, options.side)
    real, made = ["--train", str(work / "T")], ["--synthetic", str(work / "S")]
    cohorts = ["--cohort", str(work / "T"), "--cohort", str(work / "S")]
    calls = {
        "shareable, most flagged": [str(work / "refused")],
        "shareable, none flagged": [str(work / "supported")],
        "shareable, linted against 4,000 films": [str(work / "supported"), *cohorts],
        "confidential, pairs": [str(work / "refused"), "--edition", "confidential", *real, *made],
    }
    found = {}
    for place, (name, arguments) in enumerate(calls.items()):
        out = work / f"out-{os.getpid()}-{place}"
        plain = loop()
        seconds, mebibytes = measure(["report", *arguments, "--out", str(out)])
        sizes = {
            kind: round((out / f"report.{kind}").stat().st_size / 1e6, 3) for kind in ("html", "pdf", "json")
        }
        found[name] = {
            "seconds": round(seconds, 2),
            "peak_MiB": round(mebibytes),
            "plain_loop_of_20_million_s": round(plain, 2),
            "MB": sizes,
        }
    print(json.dumps({"images": options.images, "side": options.side, "calls": found}, indent=1))


if __name__ == "__main__":
    main()
