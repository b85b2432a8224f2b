"""Are the people a copy network learnt from as unseen to it as others? Its scores of T's and of H's people compared.

    python benchmarks/copynet_reference.py --data ../shared/data/kermany224 --steps 1000

Half of the patients are trained on (`real_films.halves`); one film of each patient asks T: of T's people without
their own films, of H's as they are. If both were alike, T's people could serve as a reference for H's. Printed: how
many of H's people are among the nearest tenth of all (stats/likeness), and how many of H's people get a tail p-value
of at most 1 % from a reference of T's people, or of one half of H's for the other, on average over splits.

Measured on kermany224 at 64 px, one thread of a Xeon, torch 2.13 (count, expected, p_nearer; p <= 1 % by T, by H):

    --steps 1000 --seed 1 (982 people in T)      97,  98, 0.59     0.5 %, 0.3 %
    --steps  700 --seed 2 --people 200          105,  98, 0.04     0.6 %, 0.4 %
    --steps 1000 --seed 3 --people 100          102,  98, 0.11     0.6 %, 0.6 %

and 117, 98, 0.003 in a first run of 1,021 steps that drew other films of the same patients as the first line's. So the
difference is small where it is there at all, and it has the sign that costs false alarms: T's people are not used.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from real_films import halves, load

from medaudit import seeds
from medaudit.config import CopyNetSettings
from medaudit.detectors.copynet.detector import CopyNet
from medaudit.detectors.copynet.training import train_copynet
from medaudit.search.engine import ArrayBlocks
from medaudit.search.nearest import nearest
from medaudit.stats.flags import fit_tail
from medaudit.stats.likeness import likeness
from medaudit.stats.matching import copy_scores
from medaudit.stats.reference import draw_one_per_patient

LEVEL = 0.01
SPLITS = 20


def scores(
    detector: CopyNet,
    films: np.ndarray,
    references: np.ndarray,
    groups: np.ndarray,
    leave_out: np.ndarray | None,
) -> np.ndarray:
    """(G,) copy scores of films (G, Y, X) against the references (N, 1, D) with patients (N,)."""
    found = nearest(
        detector.poses(films), ArrayBlocks(references), 50, reference_group=groups, leave_out=leave_out
    )
    return copy_scores(found.distance, found.runner_up_distance)[0]


def share_below(reference: np.ndarray, asked: np.ndarray, rng: np.random.Generator) -> float:
    """The share of (G,) people whose tail p-value by (R,) reference scores is at most LEVEL."""
    tail = fit_tail(reference, replicates=300, rng=rng)
    return float("nan") if tail is None else float((tail.upper_p(asked) <= LEVEL).mean())


def main() -> None:
    """Train, score, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="npz or folder with metadata.csv")
    parser.add_argument("--size", type=int, default=64, help="pixels a side")
    parser.add_argument("--people", type=int, default=None, help="patients of T, at most")
    parser.add_argument(
        "--steps", type=int, default=1000, help="of training; the rate falls to 0 by the last"
    )
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    seed = arguments.seed
    images, patient = load(arguments.data, arguments.size)
    train, holdout = halves(patient, seed)
    train = train[np.isin(patient[train], np.unique(patient[train])[: arguments.people])]
    films, groups = images[train], patient[train]
    settings = CopyNetSettings(size=arguments.size, steps=arguments.steps)
    trained = train_copynet(lambda rows: films[rows], groups, settings, seed, torch.device("cpu"))
    print(f"# {trained.facts}, last loss {trained.losses[-1][1]:.2f}")
    detector = CopyNet(trained.network, arguments.size)
    references = detector.describe(films)
    own = draw_one_per_patient(groups, seeds.generator(seed, "reference", "train"))
    others = holdout[draw_one_per_patient(patient[holdout], seeds.generator(seed, "reference", "holdout"))]
    of_train = scores(detector, films[own], references, groups, groups[own])
    of_holdout = scores(detector, images[others], references, groups, None)
    print(f"T's people {len(of_train)}, H's people {len(of_holdout)}")
    print(likeness(of_holdout, of_train))
    rng = seeds.generator(seed, "tail")
    by_train = share_below(of_train, of_holdout, rng)
    by_half = []
    for split in range(SPLITS):
        order = seeds.generator(seed, "split", split).permutation(len(of_holdout))
        half = len(order) // 2
        by_half.append(share_below(of_holdout[order[:half]], of_holdout[order[half:]], rng))
    print(
        f"H's people with p <= {LEVEL:g}: by T's people {by_train:.4f}, by other people of H {np.mean(by_half):.4f}"
    )


if __name__ == "__main__":
    main()
