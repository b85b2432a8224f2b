"""Does the family-wise flag keep its promise, and what can it see?

    python benchmarks/flag_simulation.py                     # under two minutes
    python benchmarks/flag_simulation.py --cohorts 4000      # the table of the record

Two tables. Promise: references are drawn from a known distribution; each gives a score line, and the chance that a
clean release of N images crosses it is known exactly from the distribution, so no rare event has to be waited for.
Printed is the mean chance over references divided by alpha (at most 1 is the promise), its standard error, and the
median line in standard deviations above the mean. Power: references look like real ones (mean 0.2, standard
deviation 0.15 of -log adaptive ratio); printed is the share of copies flagged by their score.

Axes: C references (cohorts), R people in a reference, N images in a release.
"""

import argparse
import math
import time

import numpy as np
from scipy import stats

from medaudit.seeds import generator
from medaudit.stats.flags import fit_tail, score_line

TAILS = {
    "normal": stats.norm(),
    "exponential": stats.expon(),
    "lognormal(0.5)": stats.lognorm(0.5),
    "lognormal(1)": stats.lognorm(1.0),
    "logistic": stats.logistic(),
    "gumbel": stats.gumbel_r(),
    "student t(5)": stats.t(5),
}
BEYOND_THE_PROMISE = (
    "student t(5)",
)  # a power law: -log of a distance does not have such a tail; shown all the same
LIKE_REAL = ("normal", "gumbel", "exponential")
COPY_SCORES = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0)


def main() -> None:
    """Parse the command line and print both tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cohorts", type=int, default=150, help="references per cell")
    parser.add_argument("--replicates", type=int, default=1000, help="bootstrap replicates, as in an audit")
    parser.add_argument("--alpha", type=float, default=0.005)
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[60, 130, 400, 1400], help="people per reference"
    )
    parser.add_argument("--images", type=int, nargs="+", default=[48, 256, 1000], help="images per release")
    parser.add_argument("--tails", nargs="+", default=list(TAILS), choices=list(TAILS))
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    start = time.perf_counter()
    lines = {
        (tail, size): simulate(tail, size, arguments) for tail in arguments.tails for size in arguments.sizes
    }  # (C, images)
    print_promise(lines, arguments)
    print_power(lines, arguments)
    print(f"\n{arguments.cohorts} references per cell, {time.perf_counter() - start:.0f} s")


def simulate(tail: str, size: int, arguments: argparse.Namespace) -> np.ndarray:
    """(C, images) score lines of references drawn from one tail."""
    lines = np.full((arguments.cohorts, len(arguments.images)), math.inf)
    for cohort in range(arguments.cohorts):
        rng = generator(arguments.seed, "flag simulation", tail, size, cohort)
        reference = TAILS[tail].rvs(size, random_state=rng)
        fit = fit_tail(reference, replicates=arguments.replicates, rng=rng)
        lines[cohort] = [score_line(fit, images, arguments.alpha) for images in arguments.images]
    return lines


def print_promise(lines: dict[tuple[str, int], np.ndarray], arguments: argparse.Namespace) -> None:
    """Chance of any flag in a clean release over alpha, with its standard error and the median line."""
    print(f"promise: chance of any flag in a clean release / alpha ({arguments.alpha}); must be at most 1")
    print("| tail | people | " + " | ".join(f"N = {images:,}" for images in arguments.images) + " |")
    print("|---|---|" + "---|" * len(arguments.images))
    broken = []
    for (tail, size), line in lines.items():
        law = TAILS[tail]
        chance = (
            -np.expm1(np.array(arguments.images) * np.log1p(-law.sf(line))) / arguments.alpha
        )  # (C, images)
        ratio, error = chance.mean(axis=0), chance.std(axis=0) / math.sqrt(len(chance))
        height = (np.median(line, axis=0) - law.mean()) / law.std()
        cells = [f"{r:.2f} ± {e:.2f} ({h:.1f} sd)" for r, e, h in zip(ratio, error, height, strict=True)]
        print(f"| {tail} | {size:,} | " + " | ".join(cells) + " |", flush=True)
        if tail not in BEYOND_THE_PROMISE and (ratio > 1 + 2 * error).any():
            broken.append(f"{tail} at {size}")
    print("promise broken beyond two standard errors: " + (", ".join(broken) or "nowhere"))


def print_power(lines: dict[tuple[str, int], np.ndarray], arguments: argparse.Namespace) -> None:
    """Share of copies flagged, by their score, with references of mean 0.2 and standard deviation 0.15."""
    print("\npower: share of copies flagged by score, reference with mean 0.2 and standard deviation 0.15")
    print("| tail | people | N | " + " | ".join(f"score {score:g}" for score in COPY_SCORES) + " |")
    print("|---|---|---|" + "---|" * len(COPY_SCORES))
    for (tail, size), line in lines.items():
        if tail not in LIKE_REAL:
            continue
        law = TAILS[tail]
        scaled = 0.2 + 0.15 * (line - law.mean()) / law.std()  # the rule moves with location and scale
        for column, images in enumerate(arguments.images):
            found = [f"{np.mean(scaled[:, column] <= score):.2f}" for score in COPY_SCORES]
            print(f"| {tail} | {size:,} | {images:,} | " + " | ".join(found) + " |", flush=True)


if __name__ == "__main__":
    main()
