"""What an audit does beside its searches, at one size and at ten times as much: seconds, and how they grow.

    python benchmarks/audit_parts.py                      10,000 and 100,000 training images, under two minutes
    python benchmarks/audit_parts.py --images 3000 --out parts.json

Numbers stand in for films: half as many patients as images, a tenth as many synthetic images, 2,000 unseen people.
The exponent is that of the time in the number of images: 1 is proportional, 2 would be every pair. What is printed
for parts that take milliseconds is mostly their fixed cost.
"""

import argparse
import json
import math
import resource
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from medaudit import seeds
from medaudit.detectors.structure.sweep import PoseSweep
from medaudit.stats.agreement import agreement
from medaudit.stats.cohort_test import excess_copy_rate, excess_test, leading_run
from medaudit.stats.duplicates import components, groups_across, unordered_pairs, variety
from medaudit.stats.extraction import leak
from medaudit.stats.flags import benjamini_hochberg, cross_fit_flags, familywise
from medaudit.stats.likeness import likeness
from medaudit.stats.matching import donor_rows, nearest_people, patient_codes, plant_rows, rows_of_speakers
from medaudit.stats.partition import partition_patients
from medaudit.stats.reference import conformal_p_values, draw_one_per_patient
from medaudit.stats.relation import auc_by_patient
from medaudit.stats.source_test import source_test
from medaudit.stats.tail import fit_tail

PEOPLE = 2000  # unseen people of a large audit, of each side
FOLLOWED = 200  # patients with several films
FEATURES = 6  # of the source check
DRAWS, REPLICATES, DETECTORS, PLANTS = 10_000, 1000, 5, 100
GROWTH = 10

Part = Callable[[], object]


def who(images: int) -> dict[str, Part]:
    """Drawing and counting people among `images` rows."""
    rng = seeds.generator(0, "who")
    names = np.array([f"p-{code:08x}" for code in rng.integers(0, images // 2, images)], dtype=object)
    groups, rows = patient_codes(names), rng.integers(0, images, PLANTS)
    pairs = rng.integers(0, images, (images // 10, 2))
    joined = unordered_pairs(pairs[:, 0], pairs[:, 1])
    return {
        "patients numbered": lambda: patient_codes(names),
        "patients divided": lambda: partition_patients(names, rng),
        "one image a patient": lambda: draw_one_per_patient(groups, rng),
        "rows to plant": lambda: [plant_rows(groups, groups[:9], PLANTS, rng) for _ in range(30)],
        "donors": lambda: [donor_rows(groups, rows, rng) for _ in range(30)],
        "near-duplicates joined": lambda: variety(components(images, [(int(a), int(b)) for a, b in joined])),
        "near-duplicates across patients": lambda: groups_across(groups, groups[::-1]),
    }


def flags(images: int) -> dict[str, Part]:
    """What is done with the scores of the synthetic images, of whom a tenth are copies."""
    rng = seeds.generator(0, "flags")
    synthetic, patients = images // 10, images // 2
    people, scores = rng.exponential(0.3, 2 * PEOPLE), rng.exponential(0.3, synthetic)
    scores[: synthetic // 10] += 5
    flagged, person = [scores > 5] * DETECTORS, rng.integers(0, patients, synthetic)
    tail = fit_tail(people, replicates=REPLICATES, rng=rng)
    assert tail is not None
    return {
        "tail fitted": lambda: fit_tail(people, replicates=REPLICATES, rng=rng),
        "tail asked": lambda: familywise(tail.upper_p(scores), synthetic, 0.01),
        "p- and q-values": lambda: benjamini_hochberg(conformal_p_values(scores, people)),
        "false alarms": lambda: cross_fit_flags(people, 5, synthetic, 0.01, 0.01, REPLICATES, rng),
        "speakers": lambda: rows_of_speakers(flagged, [scores] * DETECTORS, [scores] * DETECTORS),
        "agreement": lambda: agreement(flagged, [person] * DETECTORS),
        "likeness": lambda: likeness(scores, people),
        "leak": lambda: leak(np.arange(synthetic), person, [(range(9), 3)] * 99, 4, synthetic),
    }


def permutations(images: int) -> dict[str, Part]:
    """The cohort test, the excess copy rate, the source check, and how surely a person is known again."""
    rng = seeds.generator(0, "permutations")
    synthetic, patients = images // 10, images // 2
    distance, person = rng.random(synthetic), rng.integers(0, patients, synthetic)
    in_train = np.arange(2 * patients) < patients
    near = np.where(rng.random(synthetic) < 0.5, person, person + patients)
    features, side = rng.standard_normal((2 * PEOPLE, FEATURES)), np.arange(2 * PEOPLE) < PEOPLE
    unseen, follow = rng.random(2 * PEOPLE), rng.random(FOLLOWED)
    return {
        "nearest people": lambda: nearest_people(
            distance, person, distance[::-1], person, patients, patients
        ),
        "cohort test": lambda: excess_test(near, in_train, draws=DRAWS, rng=rng),
        "leading run": lambda: leading_run(near, in_train, 0.01),
        "excess copy rate": lambda: excess_copy_rate(
            distance > 0.9, person, unseen > 0.95, replicates=REPLICATES, rng=rng
        ),
        "source check": lambda: source_test(features, side, draws=DRAWS, rng=rng),
        "known again": lambda: auc_by_patient(
            follow, np.arange(FOLLOWED), unseen, np.arange(2 * PEOPLE), replicates=REPLICATES, rng=rng
        ),
    }


def sweeping(images: int) -> dict[str, Part]:
    """The structure detector's sweep of `images` films made of noise: reading them, and one film that asks."""
    made = torch.randn(500, 64, 64, generator=torch.Generator().manual_seed(0))
    starts = range(0, images, len(made))
    sweep = PoseSweep((made.roll(start, 1) for start in starts), images)
    return {
        "sweep: reading": lambda: PoseSweep((made.roll(start, 1) for start in starts), images),
        "sweep: asking": lambda: sweep.ask(made[:1], 8),
    }


def timed(part: Part, tries: int) -> float:
    """Seconds, the median of a few tries; a part that takes seconds is tried once."""
    taken: list[float] = []
    while len(taken) < tries and (not taken or taken[0] < 2):
        began = time.perf_counter()
        part()
        taken.append(time.perf_counter() - began)
    return float(np.median(taken))


def main() -> None:
    """Time, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--tries", type=int, default=3)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    sizes = (options.images, GROWTH * options.images)
    found: dict[str, list[float]] = {}
    for size in sizes:
        for make in (who, flags, permutations, sweeping):
            for name, part in make(size).items():
                found.setdefault(name, []).append(timed(part, options.tries))
    rows = {
        name: {"seconds": taken, "exponent": math.log(taken[1] / taken[0], GROWTH)}
        for name, taken in found.items()
    }
    print(f"| part | {sizes[0]:,} images, s | {sizes[1]:,} images, s | exponent |\n|---|---|---|---|")
    for name, row in sorted(rows.items(), key=lambda item: -item[1]["seconds"][1]):
        print(f"| {name} | {row['seconds'][0]:.4f} | {row['seconds'][1]:.4f} | {row['exponent']:.2f} |")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\npeak memory {peak:,.0f} MB, {torch.get_num_threads()} threads")
    if options.out is not None:
        options.out.write_text(json.dumps({"images": sizes, "parts": rows, "peak_mb": peak}, indent=2) + "\n")


if __name__ == "__main__":
    main()
