"""Release and verify: images written and files checked a second, beside what the disk and the processor allow.

    python benchmarks/release_speed.py                     10,000 images of 256 x 256, signed
    python benchmarks/release_speed.py --images 2000 --out release_speed.json

Two bounds are timed in the same run: the same bytes written, synced and hashed by plain Python, and every file read
and hashed by plain Python. The machine's load is printed, for times on a busy machine say little by themselves.
"""

import argparse
import hashlib
import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "stages"))
import release_parts

from medaudit.artifacts.cohort import CohortWriter
from medaudit.artifacts.keys import new_key, write_keys
from medaudit.artifacts.store import Artifact, Draft, Request
from medaudit.stages import release, verify


def make_cohort(path: Path, images: int, side: int) -> Artifact:
    """Smooth noise that poses as a synthetic cohort; numbers, not films."""
    rng = np.random.Generator(np.random.Philox(1))
    with Draft(path, Request("cohort", {"size": side}, 1, {"model": "ab" * 32})) as draft:
        writer = CohortWriter(draft, (side, side), np.uint16)
        for start in range(0, images, 500):
            count = min(500, images - start)
            pixels = rng.integers(0, 65536, (count, side, side), dtype=np.uint16)
            rows = [
                {"file": f"{start + i}.png", "patient": None, "study": None, "view": "PA", "labels": []}
                for i in range(count)
            ]
            writer.append(pixels, rows)
        return writer.finish(note={"origin": "synthetic", "role": "synthetic"})


def timed(function, *arguments, **options) -> tuple[float, float, object]:
    """Seconds by the clock, seconds of processor time of this process, and the result."""
    start, used = time.perf_counter(), time.process_time()
    result = function(*arguments, **options)
    return time.perf_counter() - start, time.process_time() - used, result


def plain_write(source: Path, target: Path) -> None:
    """What no writer can undercut in one thread: the same bytes written, synced, read again and hashed."""
    target.mkdir()
    for path in sorted(source.iterdir()):
        data = path.read_bytes()
        with (target / path.name).open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        hashlib.sha256((target / path.name).read_bytes()).hexdigest()


def plain_read(source: Path) -> None:
    for path in sorted(source.iterdir()):
        hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--format", default="dicom", choices=["dicom", "png", "npz"])
    parser.add_argument("--transfer-syntax", default="explicit")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        synthetic = make_cohort(place / "S", options.images, options.side)
        release_parts.IMAGES = options.images + 1  # row 5 is left out by these hand-made audits
        release_parts.make_audit(place / "A", synthetic.id, searched=options.images)
        write_keys(place / "site", new_key())
        load_before = os.getloadavg()
        release_s, release_cpu_s, _ = timed(
            release.run, place / "S", place / "A", place / "D", options.format, sign=place / "site.key",
            transfer_syntax=options.transfer_syntax,
        )  # fmt: skip
        verify_s, verify_cpu_s, outcome = timed(verify.run, place / "D", key=str(place / "site.pub"))
        images = place / "D" / "images" if options.format != "npz" else place / "D"
        plain_read_s, plain_read_cpu_s, _ = timed(plain_read, images)
        plain_write_s, plain_write_cpu_s, _ = timed(plain_write, images, place / "plain")
        found = {
            "images": options.images,
            "side": options.side,
            "format": options.format,
            "transfer_syntax": options.transfer_syntax,
            "cores": len(os.sched_getaffinity(0)),
            "load_before": [round(value, 2) for value in load_before],
            "load_after": [round(value, 2) for value in os.getloadavg()],
            "release_s": round(release_s, 2),
            "release_cpu_s": round(release_cpu_s, 2),
            "release_images_per_s": round(options.images / release_s, 1),
            "plain_write_s": round(plain_write_s, 2),
            "plain_write_cpu_s": round(plain_write_cpu_s, 2),
            "verify_s": round(verify_s, 2),
            "verify_cpu_s": round(verify_cpu_s, 2),
            "verify_files": outcome.data["files"],  # type: ignore[attr-defined]
            "plain_read_s": round(plain_read_s, 2),
            "plain_read_cpu_s": round(plain_read_cpu_s, 2),
            "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        }
    print(json.dumps(found, indent=1))
    if options.out:
        options.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
