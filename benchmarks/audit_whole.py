"""A whole audit, every detector and control: seconds of each step, beside the matrix products it cannot do without.

    python benchmarks/audit_whole.py --data ../shared/data --synthetic 1000 --train 10000
    python benchmarks/audit_whole.py --data ../shared/data --synthetic 10000 --train 100000 --every 40 --out whole.json

T is films of half the patients of kermany224, enlarged by smooth warps (`enlarged`); H those of three in eight; S
those of the rest, and one image in ten a film of T with noise. T is indexed before (`medaudit index`), which is
timed apart. The audit runs in a process of its own on all cores; the peak is the operating system's (VmHWM).

`--every n`: of n groups of 64 images that ask the structure detector one is asked, and its answers stand for the next
n - 1. The seconds of those steps are multiplied accordingly; all else is done in full. The verdict then says nothing.

The bound is the time of the products alone, in seconds of one processor, as are the ratios: other work on the
machine then matters less. The search by vectors must multiply queries x references x axes of its
first look, the structure detector poses x films x values of its sweep: 2 x their product in operations. Each shape is
timed as torch.mm in blocks, outside the audit in the same run, and as torch's int8 product where the detector uses it.

Axes: G queries, M references, A values of a place on the axes.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

TRAIN, HOLDOUT, REST = (0, 2, 4, 6), (1, 3, 5), (7,)  # of every eight patients
SIZE = 64
_COPIED = 10  # one synthetic image in so many is a film of T
_NOISE = 4.0  # grey values, standard deviation
_TOGETHER = 5000  # films written at once
_TRYING = 0.7  # seconds for each shape of a product


class Steps:
    """Progress that measures: seconds of each step by name, and the operations of its products by shape."""

    def __init__(self) -> None:
        self.name, self.began, self.worked = "setting up", time.perf_counter(), time.process_time()
        self.seconds: dict[str, float] = defaultdict(float)
        self.cpu: dict[str, float] = defaultdict(float)
        self.peaks: dict[str, float] = defaultdict(float)
        self.skipped: dict[str, float] = defaultdict(float)
        self.products: dict[str, dict[tuple[str, int, int], float]] = defaultdict(lambda: defaultdict(float))

    def start(self, name: str, total: int | None) -> None:
        """Another step begins."""
        now, worked = time.perf_counter(), time.process_time()
        self.seconds[self.name] += now - self.began
        self.cpu[self.name] += worked - self.worked
        self.peaks[self.name] = max(self.peaks[self.name], peak_mb())
        self.name, self.began, self.worked = name, now, worked

    def advance(self, steps: int = 1, **facts: float | str) -> None:
        """Not looked at."""

    def say(self, line: str) -> None:
        """Not looked at."""

    def multiplied(self, kind: str, queries: int, references: int, values: int) -> None:
        """A product was done for the step at hand."""
        self.products[self.name][kind, references, values] += queries


def peak_mb() -> float:
    """Largest resident memory since this was asked the last time."""
    status = Path("/proc/self/status").read_text()
    Path("/proc/self/clear_refs").write_text("5")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def watch(steps: Steps, every: int) -> None:
    """Count the products of every search from here on, and ask the structure detector about one group in `every`."""
    from medaudit.detectors.structure.detector import Aligned
    from medaudit.detectors.structure.sweep import PoseSweep
    from medaudit.protocol.engines import Here
    from medaudit.protocol.registered import Registered

    nearest, within, aligned, posed = Here.nearest, Here.count_within, Registered._aligned, PoseSweep._posed
    held: dict[str, tuple[int, Aligned]] = {}

    def count(queries: np.ndarray, index: Any) -> None:
        groups, poses, tiles, _ = queries.shape
        steps.multiplied("axes", groups * poses * tiles, len(index), index.index.basis.coarse + 3)

    def counted(work: Callable[..., Any]) -> Callable[..., Any]:
        def run(self: Here, queries: np.ndarray, references: Any, *rest: Any, **how: Any) -> Any:
            count(queries, references)
            return work(self, queries, references, *rest, **how)

        return run

    def swept(self: PoseSweep, coarse: torch.Tensor) -> torch.Tensor:
        made = posed(self, coarse)
        if sys._getframe(1).f_code.co_name != "between":
            steps.multiplied(
                "int8" if self.shortlist is not None and self.shortlist.kind == torch.int8 else "poses",
                made.shape[0] * made.shape[1], len(self.films), made.shape[2],
            )  # fmt: skip
        return made

    def asked(self: Registered, images: np.ndarray, *rest: Any, **how: Any) -> Aligned:
        turn, known = held.get(steps.name, (0, None))
        if known is not None and turn % every and len(known.row) >= len(images):
            held[steps.name] = (turn + 1, known)
            steps.skipped[steps.name] += len(images)
            return Aligned(*(column[: len(images)] for column in vars(known).values()))
        found = aligned(self, images, *rest, **how)
        held[steps.name] = (turn + 1, found)
        steps.skipped[f"{steps.name} asked"] += len(images)
        return found

    Here.nearest, Here.count_within = counted(nearest), counted(within)  # type: ignore[method-assign]
    PoseSweep._posed, Registered._aligned = swept, asked  # type: ignore[method-assign]


def audit(base: Path, memory: int, every: int) -> None:
    """The audit itself, in a process of its own; prints what was seen as one line of JSON."""
    from medaudit.stages import audit as stage

    steps = Steps()
    watch(steps, every)
    outcome = stage.run(base / "T", base / "H", base / "S", base / "A", progress=steps, memory_bytes=memory)
    steps.start("end", None)
    rows = []
    for name, seconds in steps.seconds.items():
        asked = steps.skipped.get(f"{name} asked", 0)
        share = (asked + steps.skipped.get(name, 0)) / asked if asked else 1.0
        products = [[*shape, count * share] for shape, count in steps.products[name].items()]
        facts = {
            "measured_s": seconds,
            "measured_cpu_s": steps.cpu[name],
            "times": share,
            "peak_mb": steps.peaks[name],
        }
        rows.append({"step": name, **facts, "products": products})
    print(json.dumps({"steps": rows, "peak_mb": max(steps.peaks.values()), "lines": outcome.lines}))


def product_speed(kind: str, references: int, values: int, poses: int = 2450) -> float:
    """Seconds of one processor for one query (a row of A values) against all references, in blocks."""
    torch.set_num_threads(1)
    rows, block = {"int8": (poses, 96), "poses": (poses, 512), "axes": (256, 1024)}[kind]
    left, right = torch.randn(rows, values), torch.randn(values, block)
    multiply: Callable[[], object] = lambda: torch.mm(left, right)  # noqa: E731
    if kind == "int8":
        left8, right8 = (part.clamp(-3, 3).mul(40).to(torch.int8) for part in (left, right.T.contiguous()))
        multiply = lambda: torch._int_mm(left8, right8.T)  # noqa: E731
    taken: list[float] = []
    while sum(taken) < _TRYING:
        began = time.process_time()
        multiply()
        taken.append(time.process_time() - began)
    return float(np.median(taken)) / rows * references / block


def threads() -> int:
    """Of the audit."""
    return int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)


def bounds(steps: list[dict[str, Any]]) -> None:
    """Write into each step what its products cost alone: in float32, and in the numbers that were multiplied."""
    known: dict[tuple[str, int, int], float] = {}
    for step in steps:
        step["float_s"] = step["own_s"] = 0.0
        for kind, references, values, queries in step.pop("products"):
            for what, kinds in (("own_s", kind), ("float_s", "poses" if kind == "int8" else kind)):
                shape = (kinds, references, values)
                if shape not in known:
                    known[shape] = product_speed(*shape)
                step[what] += queries * known[shape]


def write(out: Path, images: np.ndarray, patients: np.ndarray, role: str) -> None:
    """A cohort of films (N, Y, X) uint8."""
    from medaudit.artifacts.cohort import CohortWriter
    from medaudit.artifacts.store import Draft, Request

    with Draft(out, Request("cohort", {"benchmark": role}, 0)) as draft:
        writer = CohortWriter(draft, images.shape[1:], np.uint8)
        for start in range(0, len(images), _TOGETHER):
            part = slice(start, start + _TOGETHER)
            rows = [
                {"file": f"{role}-{start + i:07}", "patient": f"p-{code:06}"}
                for i, code in enumerate(patients[part])
            ]
            writer.append(images[part], rows)
        writer.finish(note={"origin": "synthetic" if role == "synthetic" else "real", "role": role})


def make(base: Path, data: Path, counts: tuple[int, int, int]) -> None:
    """T, H and S of so many films each, nobody in two of them but for the copies in S."""
    from enlarged import enlarge
    from real_films import load

    images, patient = load(data / "kermany224", SIZE)
    made = []
    for seed, (part, count) in enumerate(zip((TRAIN, HOLDOUT, REST), counts, strict=True)):
        chosen = np.flatnonzero(np.isin(patient % 8, part))
        made.append((enlarge(images[chosen], count, seed), patient[chosen][np.arange(count) % len(chosen)]))
        print(f"# {count:,} films of {len(np.unique(made[-1][1])):,} patients", flush=True)
    rng = np.random.default_rng(0)
    copied = np.arange(0, counts[2], _COPIED)
    source = made[0][0][rng.integers(0, counts[0], len(copied))]
    made[2][0][copied] = (
        np.clip(source + rng.normal(0, _NOISE, source.shape), 0, 255).round().astype(np.uint8)
    )
    for name, role, (films, people) in zip("THS", ("train", "holdout", "synthetic"), made, strict=True):
        write(base / name, films, people, role)


def main() -> None:
    """Make the cohorts, index T, audit in a process of its own, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--train", type=int, default=10_000)
    parser.add_argument("--holdout", type=int, default=2_000)
    parser.add_argument("--synthetic", type=int, default=1_000)
    parser.add_argument("--memory-mb", type=int, default=1024)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="where the cohorts lie, or are made")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    if given.child:
        audit(given.keep, given.memory_mb << 20, given.every)
        return
    with tempfile.TemporaryDirectory(prefix="audit-whole-") as folder:
        base = given.keep or Path(folder)
        base.mkdir(parents=True, exist_ok=True)
        if not (base / "S").is_dir():
            make(base, given.data, (given.train, given.holdout, given.synthetic))
        for left in [*base.glob("A"), *base.glob(".A*")]:
            shutil.rmtree(left)  # an audit goes on from what an earlier one left
        began = time.perf_counter()
        index = [sys.executable, "-m", "medaudit.cli.app", "index", str(base / "T")]
        subprocess.run(index, check=True, stdout=subprocess.DEVNULL)
        indexed = time.perf_counter() - began
        load = os.getloadavg()
        own = [sys.executable, __file__, "--child", "--keep", str(base)]
        own += ["--memory-mb", str(given.memory_mb), "--every", str(given.every)]
        began = time.perf_counter()
        done = subprocess.run(own, stdout=subprocess.PIPE, text=True, check=True)
        wall = time.perf_counter() - began
    seen = json.loads(done.stdout.splitlines()[-1])
    bounds(seen["steps"])
    report(seen, given, indexed, wall, load)


def report(
    seen: dict[str, Any], given: argparse.Namespace, indexed: float, wall: float, load: tuple[float, ...]
) -> None:
    """Print the table, longest step first, and keep it where asked."""
    for step in seen["steps"]:
        step["seconds"], step["cpu_s"] = (
            step[key] * step["times"] for key in ("measured_s", "measured_cpu_s")
        )
    print("\n".join(seen["lines"]))
    print("\n| step | s | of processors | products in float32, s | as multiplied, s | peak MB |")
    print("|---|---|---|---|---|---|")
    for step in sorted(seen["steps"], key=lambda step: -step["seconds"]):
        if step["seconds"] >= 0.05:
            times = f" (measured {step['measured_s']:.1f} x {step['times']:.1f})" if step["times"] > 1 else ""
            columns = (f"{step[key]:.1f}" for key in ("seconds", "cpu_s", "float_s", "own_s"))
            print(f"| {step['step']}{times} | {' | '.join(columns)} | {step['peak_mb']:.0f} |")
    parts = {
        "all": seen["steps"],
        "structure": [step for step in seen["steps"] if "structure" in step["step"]],
        "all but structure": [step for step in seen["steps"] if "structure" not in step["step"]],
    }
    totals = {
        name: {key: sum(step[key] for step in rows) for key in ("seconds", "cpu_s", "float_s", "own_s")}
        for name, rows in parts.items()
    }
    for name, total in totals.items():
        ratio, own = (total["cpu_s"] / max(total[key], 1e-9) for key in ("float_s", "own_s"))
        print(
            f"{name}: {total['seconds']:.0f} s ({total['cpu_s']:.0f} s of processors); "
            f"float32 products {total['float_s']:.0f} s, {ratio:.2f} x; "
            f"as multiplied {total['own_s']:.0f} s, {own:.2f} x"
        )
    print(
        f"{given.synthetic:,} against {given.train:,} at {SIZE} px, {threads()} threads: "
        f"wall {wall:.0f} s, peak {seen['peak_mb']:.0f} MB with --memory {given.memory_mb}MB; index {indexed:.1f} s; "
        f"load before {load[0]:.1f}"
    )
    if given.out is not None:
        facts = {"indexed_s": indexed, "wall_s": wall, "load": load, "totals": totals, "every": given.every}
        sizes = {"train": given.train, "synthetic": given.synthetic, "holdout": given.holdout}
        given.out.write_text(json.dumps({**sizes, **facts, **seen}, indent=2) + "\n")


if __name__ == "__main__":
    main()
