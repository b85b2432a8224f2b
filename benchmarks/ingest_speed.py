"""Ingest: one process against two, and resident memory against the number of files.

    python benchmarks/ingest_speed.py                     2,000 DICOM films of 768 x 768, ratio and memory
    python benchmarks/ingest_speed.py --films 200 --side 256
    python benchmarks/ingest_speed.py --many 100000       memory with so many films of 64 x 64

Needs a quiet machine. The formula that is printed beside the measurement is the one stages/ingest.py states.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

MIB = 1 << 20
BASE_MIB = 170  # a process with pydicom, numpy, scipy and arrow loaded
CHUNK_MIB = 8
BYTES_PER_LISTED = 1200  # entry, row and journal line of one film at the end of an ingest
BYTES_PER_PIXEL = 60  # of the largest film, while it is decoded and scaled

CHILD = """
import json, resource, sys, time
from pathlib import Path
from medaudit.stages import ingest
if __name__ == "__main__":
    source, out, workers, size = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    start = time.perf_counter()
    outcome = ingest.run(source, out, size=size, workers=workers, key=out.parent / "key")
    seconds = time.perf_counter() - start
    # not ru_maxrss: a process inherits that of the one that started it
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    worker = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    found = {"seconds": seconds, "parent": int(status["VmHWM"].split()[0]) / 1024, "worker": worker / 1024}
    print(json.dumps(found | {"id": outcome.data["cohort"]}))
"""


def make_films(folder: Path, films: int, side: int) -> None:
    """12-bit CR films, native syntax, three of each patient: smooth shapes under noise, all different."""
    import pydicom
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian

    grid = np.linspace(0, 3, side)
    rng = np.random.Generator(np.random.Philox(1))
    for i in range(films):
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
        meta.MediaStorageSOPInstanceUID = f"1.2.826.0.1.3680043.8.498.9.{i}"
        ds = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        ds.SOPClassUID, ds.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
        ds.PatientID, ds.StudyInstanceUID, ds.Modality = (
            f"P{i // 3}",
            f"1.2.826.0.1.3680043.8.498.8.{i}",
            "CR",
        )
        ds.PhotometricInterpretation = "MONOCHROME1" if i % 2 else "MONOCHROME2"
        ds.SamplesPerPixel, ds.Rows, ds.Columns = 1, side, side
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
        shape = 1500 + 1000 * np.sin(grid * (1 + i % 7))[:, None] * np.cos(grid * (1 + i % 5))[None, :]
        noisy = np.clip(shape + rng.normal(0, 60, (side, side)), 0, 4095)
        ds.PixelData = noisy.astype("<u2").tobytes()
        path = folder / f"{i // 100:04d}" / f"{i:06d}"
        path.parent.mkdir(parents=True, exist_ok=True)
        pydicom.dcmwrite(path, ds, enforce_file_format=True)


def measured(source: Path, out: Path, workers: int, size: int) -> dict:
    """One ingest in a process of its own."""
    script = out.parent / "child.py"
    script.write_text(CHILD)
    command = [sys.executable, str(script), str(source), str(out), str(workers), str(size)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    shutil.rmtree(out)
    return json.loads(done.stdout)


def promised_parent_mib(films: int, workers: int) -> float:
    """The formula: base, chunks under way (pixels twice, as they arrive and as they are written), listing."""
    under_way = workers + 2 if workers > 1 else 1
    return BASE_MIB + 2 * under_way * CHUNK_MIB + films * BYTES_PER_LISTED / MIB


def speed(work: Path, films: int, side: int) -> None:
    """Ratio of one process to two, same bytes, and memory at a quarter, a half and all of the films."""
    source = work / "films"
    start = time.perf_counter()
    make_films(source, films, side)
    print(f"{films} films of {side} x {side} made in {time.perf_counter() - start:.0f} s")
    measured(source, work / "warm", 1, 256)  # files come from the cache for both
    one, two = (measured(source, work / "C", workers, 256) for workers in (1, 2))
    assert one["id"] == two["id"], "other bytes with two processes"
    print(
        f"one process {one['seconds']:.1f} s, two {two['seconds']:.1f} s: {one['seconds'] / two['seconds']:.2f} times"
    )
    print(f"films a second: {films / one['seconds']:.0f} and {films / two['seconds']:.0f}")
    worker = BASE_MIB + side * side * BYTES_PER_PIXEL / MIB + CHUNK_MIB
    for part in (4, 2, 1):
        kept = films // part
        subset = work / f"part{part}"
        for path in sorted(p for p in source.rglob("*") if p.is_file())[:kept]:
            (subset / path.parent.name).mkdir(parents=True, exist_ok=True)
            (subset / path.parent.name / path.name).symlink_to(path)
        found = measured(subset, work / "C", 2, 256)
        print(
            f"{kept:7d} files: parent {found['parent']:.0f} MiB (promised {promised_parent_mib(kept, 2):.0f}), "
            f"worker {found['worker']:.0f} MiB (promised {worker:.0f})"
        )


def many(work: Path, films: int) -> None:
    """Memory of one process with `films` films of 64 x 64 in an npz, and in a tenth of them."""
    rng = np.random.Generator(np.random.Philox(1))
    for count in (films // 10, films):
        path = work / f"{count}.npz"
        images = rng.integers(0, 256, (count, 64, 64), dtype=np.uint8)
        np.savez(path, images=images, patient_id=np.array([f"P{i // 2}" for i in range(count)]))
        del images
        found = measured(path, work / "C", 1, 64)
        print(
            f"{count:7d} films of 64 x 64: {found['parent']:.0f} MiB (promised {promised_parent_mib(count, 1):.0f}), "
            f"{found['seconds']:.1f} s"
        )
        path.unlink()


def main() -> None:
    """Parse the arguments and run in a temporary folder."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--films", type=int, default=2000)
    parser.add_argument("--side", type=int, default=768)
    parser.add_argument("--many", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.many:
            many(Path(folder), options.many)
        else:
            speed(Path(folder), options.films, options.side)


if __name__ == "__main__":
    main()
