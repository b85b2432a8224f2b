"""How long `medaudit review` takes for a full page, how large the page is, and how it answers in headless Chromium.

    python benchmarks/review_page.py --work /tmp/review-page [--pairs 200] [--side 512]

Films are phantoms, a few of them in many exposures; flagged images are near-copies of them, half of them moved, so
that the film is laid over. The page is opened from its file: seconds to the first paint, then the time from a key to
the next frame that is drawn, answer after answer, and the memory of the browser's processes.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import report_samples as samples  # noqa: E402
from browser import Browser  # noqa: E402

from medaudit.artifacts.cohort import CohortWriter  # noqa: E402
from medaudit.artifacts.findings import (  # noqa: E402
    AUDIT_JSON,
    DETECTOR_MATCHES,
    MATCH_SCHEMA,
    MATCHES,
    write_record,
)
from medaudit.artifacts.store import Artifact, Draft, Request  # noqa: E402
from medaudit.images.intensity import to_depth  # noqa: E402
from medaudit.images.phantom import phantom  # noqa: E402
from medaudit.images.transforms import gamma, shift  # noqa: E402

PHANTOMS = 20
# A key of every kind of answer, and the time until the browser drew what it changed.
PRESS = """new Promise((done) => {
  const began = performance.now();
  document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "KEY", bubbles: true }));
  const pictures = [...document.images].map((one) => one.decode().catch(() => 0));
  const drawn = () => requestAnimationFrame(() => done(performance.now() - began));
  Promise.all(pictures).then(() => requestAnimationFrame(drawn));
})"""
PAINT = "(performance.getEntriesByName('first-contentful-paint')[0] || {}).startTime || null"


def films(side: int, count: int) -> np.ndarray:
    """(count, Y, X) float32 in [0, 1]: a few phantoms, mirrored and in other exposures."""
    bases = [phantom(number, 0, (side, side)) for number in range(min(PHANTOMS, count))]
    made = []
    for number in range(count):
        base = bases[number % len(bases)]
        made.append(gamma(base[:, ::-1] if number // len(bases) % 2 else base, 0.8 + 0.02 * (number % 31)))
    return np.stack(made)


def cohort(out: Path, pixels: np.ndarray, origin: str) -> Artifact:
    """A cohort of these films, each of a patient of its own."""
    with Draft(out, Request("cohort", {"origin": origin}, seed=0)) as draft:
        writer = CohortWriter(draft, pixels.shape[1:], np.uint8)
        rows = [
            {"file": f"{n}.png", "patient": samples.pseudonym(n), "route": "full range"}
            for n in range(len(pixels))
        ]
        writer.append(to_depth(pixels, np.uint8), rows)
        return writer.finish(note={"origin": origin})


def findings(work: Path, pairs: int, side: int) -> None:
    """T, S and an audit of S that flags all of it."""
    real = films(side, pairs)
    made = np.stack([shift(one, 3, 2) if n % 2 else gamma(one, 1.1) for n, one in enumerate(real)])
    train, synthetic = cohort(work / "T", real, "real"), cohort(work / "S", made, "synthetic")
    record = samples.audit("refused", synthetic=pairs)
    record.counts.flagged = pairs
    row = {
        "detector": record.detectors[0].name, "score": 9.0, "distance": 0.01, "p_value": 1e-4, "q_value": 1e-3,
        "p_upper": 1e-4, "eidetic_k": 1, "eidetic_patients": 1, "flagged": True, "suspect": False, "relation": "copy",
    }  # fmt: skip
    matches = [
        {**row, "synthetic_id": n, "train_id": n, "patient": samples.pseudonym(n)} for n in range(pairs)
    ]
    table = pa.Table.from_pylist(matches, schema=MATCH_SCHEMA)
    settings = {**samples.settings().model_dump(mode="json"), "command": "audit"}
    parents = {"train": train.id, "holdout": "2" * 64, "synthetic": synthetic.id}
    with Draft(work / "A", Request("findings", settings, seed=5, parents=parents)) as draft:
        write_record(draft.file(AUDIT_JSON), record)
        for name in (MATCHES, DETECTOR_MATCHES):
            pq.write_table(table, draft.file(name))
        draft.commit()


def page(work: Path) -> tuple[float, float]:
    """Seconds and peak resident MB of the command."""
    began = time.perf_counter()
    arguments = ["review", work / "A", "--train", work / "T", "--synthetic", work / "S", "--quiet"]
    command = [sys.executable, "-m", "medaudit.cli.app", *map(str, arguments)]
    child = os.posix_spawn(sys.executable, command, {**os.environ, "PYTHONPATH": str(ROOT)})
    _, status, usage = os.wait4(child, 0)
    if status:
        raise SystemExit(f"the command ended with {os.waitstatus_to_exitcode(status)}")
    return time.perf_counter() - began, usage.ru_maxrss * 1024 / 1e6


def memory(profile: Path) -> float:
    """Private and shared resident MB of the browser's processes, each page counted for its part."""
    total = 0
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if str(profile).encode() in (place / "cmdline").read_bytes():
                lines = (place / "smaps_rollup").read_text().splitlines()
                total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        except OSError:
            continue
    return total * 1024 / 1e6


def opened(work: Path) -> dict[str, Any]:
    """What a reviewer waits for."""
    with Browser(work / "profile", work) as browser:
        began = time.perf_counter()
        browser.open((work / "A.review" / "page.html").as_uri())
        loaded = time.perf_counter() - began
        browser.wait(f"{PAINT} !== null")
        waits = [
            browser.ask(PRESS.replace("KEY", key)) for key in ("1", "4", "2", "ArrowLeft", "u", "g") * 10
        ]
        complaints = sorted(set(browser.complaints))
        return {
            "loaded_s": round(loaded, 2), "first_paint_ms": round(browser.ask(PAINT)),
            "key_ms_median": round(float(np.median(waits)), 1), "key_ms_worst": round(max(waits), 1),
            "browser_MB": round(memory(work / "profile")), "complaints": complaints,
        }  # fmt: skip


def main() -> None:
    """Make the findings, run the command, open the page, print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--side", type=int, default=512)
    options = parser.parse_args()
    work = options.work.absolute()
    if not (work / "A").exists():
        work.mkdir(parents=True, exist_ok=True)
        findings(work, options.pairs, options.side)
    seconds, megabytes = page(work)
    size = (work / "A.review" / "page.html").stat().st_size / 1e6
    made = {"seconds": round(seconds, 1), "peak_MB": round(megabytes), "page_MB": round(size, 2)}
    print(
        json.dumps(
            {"pairs": options.pairs, "side": options.side, "made": made, "opened": opened(work)}, indent=1
        )
    )


if __name__ == "__main__":
    main()
