"""What the statistics promise and what they keep, on films of real patients: hundreds of simulated audits.

    python benchmarks/calibration.py                  # 200 audits a cell, MEDAUDIT_REAL_DATA or ../shared/data
    python benchmarks/calibration.py --sizes 900:100 --audits 600 --seed 1    # more of one size, other draws
    python benchmarks/calibration.py --quick          # 10 audits a cell, to see that it runs

Each audit draws patients at random for T, for H and for neither. Clean "generators" show those in neither: as they
are, only the healthy, blurred, noisy, averaged, or ten people fifteen times with small changes. Everything that
carries a promise is the package's own function, at the settings of an audit but for the number of draws printed
below. Every row holds a promise, what was measured, and the Monte-Carlo 95 % interval of it. A row is "doubtful"
when that interval lies on the wrong side, and "broken" when an interval at 99.98 % does too: of hundreds of rows a
few are doubtful by chance. Exit code 1 when a promise is broken. "not promised": the images break the assumption
that a promise states, and the row shows by how much.

Audits of one cell draw from the same 1,963 patients; the rates are for random draws of these patients, and say
nothing about films of another source.
"""

import argparse
import os
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from calibration_audits import BUDGET, IMAGES, Audit, Effort, cast, release
from calibration_coverage import counting_rows, coverage, coverage_rows, discovery_rows, false_discoveries
from calibration_films import CLEAN, LIKE_PEOPLE, Films, prepare
from calibration_tables import Row, mean_row, share_row, show

from medaudit import seeds
from medaudit.detectors import VECTOR_DETECTORS
from medaudit.stats.matching import union

SIZES = ((100, 100), (500, 500), (900, 900), (900, 100), (900, 500), (100, 900))  # patients of T and of H
LEVEL = 0.05  # of a p-value, where it is looked at by itself
SHOWN = ("tile", "local-contrast")  # detectors whose p-values are shown where none is promised
LIKENESS_ALPHA = 0.01  # for each detector, of the check that S is like people
Blocks = dict[str, list[Row]]
Sizes = Sequence[tuple[int, int]]


def clean_audit(audit: Audit, rng: np.random.Generator) -> dict[str, float]:
    """What happened in one clean audit, for every kind of generator."""
    answers: dict[str, float] = {"control": audit.control_fires()}
    for kind in CLEAN:
        rows = release(audit.films, audit.roles, kind, rng)
        asked = audit.ask([(kind, rows)])
        judged = [judged for _, judged in asked]
        alone, rate = union([one.familywise for one in judged]), union([one.fdr for one in judged])
        excess, run = audit.cohort_p(kind, rows, asked[-1][0])
        answers |= {
            f"{kind}: familywise": bool(alone.any()),
            f"{kind}: fdr": bool(rate.any()),
            f"{kind}: any": bool(alone.any() or rate.any()),
            f"{kind}: excess": excess <= BUDGET.cohort_excess,
            f"{kind}: excess {LEVEL}": excess <= LEVEL,
            f"{kind}: run": run <= BUDGET.cohort_run,
            f"{kind}: run {LEVEL}": run <= LEVEL,
            f"{kind}: refused": bool(alone.any() or rate.any())
            or excess <= BUDGET.cohort_excess
            or run <= BUDGET.cohort_run,
            f"{kind}: nearer": audit.likeness(kind, rows).p_nearer <= LIKENESS_ALPHA,
        }
        shown = SHOWN if kind not in LIKE_PEOPLE else tuple(d.name for d in VECTOR_DETECTORS)
        answers |= {
            f"{kind}: p {bench.detector.name}": float(np.mean(one.p <= LEVEL))
            for bench, one in zip(audit.benches, judged, strict=True)
            if bench.detector.name in shown
        }
    return answers


def clean_rows(cell: str, answers: dict[str, list[float]], blocks: Blocks, rng: np.random.Generator) -> None:
    """The rows of the clean audits of one size, added to their blocks."""
    flags = BUDGET.detectors * BUDGET.familywise_each, BUDGET.detectors * BUDGET.fdr_each
    promises = (
        ("any family-wise flag in a clean audit", "familywise", flags[0]),
        ("any false-discovery flag in a clean audit", "fdr", flags[1]),
        ("any flag in a clean audit", "any", sum(flags)),
        ("excess test rejects a clean audit, at its part of alpha", "excess", BUDGET.cohort_excess),
        (f"excess test, p at most {LEVEL}", f"excess {LEVEL}", LEVEL),
        ("leading run rejects a clean audit, at its part of alpha", "run", BUDGET.cohort_run),
        (f"leading run, p at most {LEVEL}", f"run {LEVEL}", LEVEL),
        ("a clean audit is refused, all tests together", "refused", BUDGET.total),
    )
    for kind in CLEAN:
        for title, name, most in promises:
            happened = np.array(answers[f"{kind}: {name}"])
            blocks[title].append(share_row(f"{cell}, {kind}", most, happened, promised=True))
        like = kind in LIKE_PEOPLE
        for key in answers:
            if key.startswith(f"{kind}: p "):
                title = f"share of clean images with a p-value of at most {LEVEL}"
                label = f"{cell}, {kind}, {key.rsplit(' ', 1)[1]}"
                blocks[title].append(mean_row(label, LEVEL, np.array(answers[key]), rng, counts=like))
        title = "check of likeness says that S lies nearer to everybody than people do"
        happened = np.array(answers[f"{kind}: nearer"])
        most = LIKENESS_ALPHA * BUDGET.detectors
        blocks[title].append(share_row(f"{cell}, {kind}", most, happened, promised=like))
    title = "negative control says too much is flagged, in a clean audit"
    blocks[title].append(share_row(cell, 0.025, np.array(answers["control"]), promised=True))


def run(films: Films, sizes: Sizes, audits: int, effort: Effort, seed: int) -> Blocks:
    """All blocks of these sizes."""
    blocks: Blocks = defaultdict(list)
    for n_train, n_holdout in sizes:
        start, cell = time.perf_counter(), f"T {n_train}, H {n_holdout}"
        gathered: list[dict[str, list]] = [defaultdict(list) for _ in range(3)]
        for number in range(audits):
            rng = seeds.generator(seed, "calibration", n_train, n_holdout, number)
            audit = Audit(films, cast(films, n_train, n_holdout, rng), effort, rng)
            parts = clean_audit(audit, rng), false_discoveries(audit, rng), coverage(audit, rng)
            for into, part in zip(gathered, parts, strict=True):
                for name, value in part.items():
                    into[name].append(value)
        rng = seeds.generator(seed, "calibration rows", n_train, n_holdout)
        clean_rows(cell, gathered[0], blocks, rng)
        title = "false discovery proportion of the Benjamini-Hochberg flags, 30 % of the images copies"
        blocks[title] += discovery_rows(cell, gathered[1], rng)
        for title, rows in coverage_rows(cell, gathered[2]).items():
            blocks[title] += rows
        print(f"# {cell}: {audits} audits, {time.perf_counter() - start:.0f} s", flush=True)
    blocks["bounds on counts alone"] = counting_rows(audits, seeds.generator(seed, "calibration counts"))
    return blocks


def main() -> int:
    """Parse the command line, simulate, print; 1 when a promise is broken."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--audits", type=int, default=200, help="simulated audits per size")
    parser.add_argument("--quick", action="store_true", help="10 audits per size")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sizes", nargs="*", default=None, help="patients of T and H, as 900:100")
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("MEDAUDIT_REAL_DATA", "../shared/data"))
    )
    arguments = parser.parse_args()
    start, effort = time.perf_counter(), Effort()
    films = prepare(arguments.data, arguments.seed)
    print(
        f"# {len(films.patient):,} films of {films.people:,} patients, {films.dropped} dropped as doubles of another\n"
        f"# releases of {IMAGES} images; {effort.tail} bootstrap replicates of the tail, {effort.control} of the\n"
        f"# negative control, {effort.draws} draws of the excess test (an audit: 1000, 1000, 10,000)"
    )
    sizes = [tuple(map(int, size.split(":"))) for size in arguments.sizes] if arguments.sizes else SIZES
    blocks = run(films, sizes, 10 if arguments.quick else arguments.audits, effort, arguments.seed)
    for title, rows in blocks.items():
        show(title, rows)
    rows = [row for block in blocks.values() for row in block if row.verdict != "none"]
    broken = [row for row in rows if row.verdict == "broken"]
    doubtful = sum(row.verdict == "doubtful" for row in rows)
    print(
        f"\n{len(rows)} promises measured in {time.perf_counter() - start:.0f} s: {len(broken)} broken, "
        f"{doubtful} doubtful (up to {0.025 * len(rows):.0f} by chance)"
    )
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
