"""The generative control: its seconds, how many of its images are clear copies, and how many of those are found.

    python benchmarks/generative_control.py --films phantom --sizes 32 64 128
    python benchmarks/generative_control.py --films kermany224 --sizes 128 --data ../shared/data

A small audit for each size and seed: so many patients in T and as many in H, few planted copies; S are people whom
the audit never saw. Seconds are those of training and sampling, without the searches.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from audit_time import write
from real_films import load

from medaudit import seeds
from medaudit.artifacts.findings import open_audit
from medaudit.config import AuditSettings
from medaudit.images.phantom import phantom
from medaudit.stages import audit


class Clock:
    """Progress that keeps when each part began."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, float]] = []

    def start(self, name: str, total: int | None) -> None:
        """A part begins."""
        self.seen.append((name, time.monotonic()))

    def advance(self, steps: int = 1, **facts: float | str) -> None:
        """Nothing to keep."""

    def say(self, line: str) -> None:
        """Nothing to keep."""

    def seconds(self, words: str) -> float:
        """Of the parts whose names start so."""
        pairs = zip(self.seen, self.seen[1:], strict=False)
        return sum(end - begin for (name, begin), (_, end) in pairs if name.startswith(words))


def one_film_each(films: str, size: int, people: int, seed: int, data: Path) -> np.ndarray:
    """(people, size, size) float32 in [0, 1]: a film each of so many patients."""
    if films == "phantom":
        return np.stack([phantom(1000 * seed + person, 0, (size, size)) for person in range(people)])
    images, patient = load(data / films, size)
    rng = seeds.generator(seed, "generative control")
    drawn = rng.permutation(np.unique(patient, return_index=True)[1])[:people]
    return images[drawn]


def main() -> None:
    """A row for each size and seed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--films", default="phantom")
    parser.add_argument("--sizes", type=int, nargs="+", default=[32, 64, 128])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--people", type=int, default=150, help="in T and in H each")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    options = parser.parse_args()
    n, posing = options.people, 24
    settings = AuditSettings(plants=10, required_kinds=("identity",))
    print(
        "| films | px | seed | s | clear copies | patients | median RMSE | found | interval | by detector |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for size in options.sizes:
        for seed in options.seeds:
            films = one_film_each(options.films, size, 2 * n + posing, seed, options.data)
            with tempfile.TemporaryDirectory(prefix="generative-") as name:
                base, clock, codes = Path(name), Clock(), np.arange(len(films))
                write(base / "T", films[:n], codes[:n], "train")
                write(base / "H", films[n : 2 * n], codes[n : 2 * n], "holdout")
                write(base / "S", films[2 * n :], codes[2 * n :], "synthetic")
                audit.run(*(base / part for part in "THSA"), settings, "cpu", seed, clock)
                made = open_audit(base / "A")[1].controls.generative
            assert made is not None and made.power is not None
            alone = ", ".join(f"{key} {rate.count}" for key, rate in made.by_detector.items())
            print(
                f"| {options.films} | {size} | {seed} | {clock.seconds('generative control'):.0f} "
                f"| {made.clear} of {made.generated} | {made.patients} of {made.films} | {made.median_rmse:.4f} "
                f"| {made.power.count} of {made.power.of} | {made.power.low:.3f} to {made.power.high:.3f} | {alone} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
