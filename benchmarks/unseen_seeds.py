"""Films of unseen patients pose as synthetic, seed after seed: how often is an innocent image flagged?

    python benchmarks/unseen_seeds.py --films pneumoniamnist_dev.npz --seeds 5

For each seed: 50 patients are trained on, 256 others pose with one film each, the rest is held out; one audit.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

from medaudit.artifacts.cohort import open_cohort
from medaudit.config import AuditSettings
from medaudit.stages import audit, ingest, split


def main() -> None:
    """Print one row per seed and the promise beside the count."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--films", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--train-patients", type=int, default=50)
    parser.add_argument("--posing-patients", type=int, default=256)
    options = parser.parse_args()
    alpha = AuditSettings().alpha
    print("seed | images | flagged | suspects (expected) | cohort test p | verdict")
    flagged = images = refused = 0
    with tempfile.TemporaryDirectory(prefix="unseen-") as folder:
        base = Path(folder)
        ingest.run(options.films, base / "all")
        for seed in range(options.seeds):
            here = base / str(seed)
            train, others = here / "T", here / "others"
            unseen, holdout = here / "U", here / "H"
            split.run(base / "all", train, others, train_patients=options.train_patients, seed=seed)
            split.run(others, unseen, holdout, train_patients=options.posing_patients, seed=seed)
            cohort = open_cohort(unseen)
            _, first = np.unique(cohort.patients.astype(str), return_index=True)
            np.savez(here / "films.npz", images=cohort.pixels[np.sort(first)])
            ingest.run(here / "films.npz", here / "S", origin="synthetic")
            found = audit.run(train, holdout, here / "S", here / "A", seed=seed).data
            counts, expected = found["counts"], sum(d["expected_suspects"] for d in found["detectors"])
            images += counts["synthetic"]
            flagged += counts["flagged"]
            refused += found["verdict"] == "do-not-release"
            print(
                f"{seed:4d} | {counts['synthetic']:6d} | {counts['flagged']:7d} | "
                f"{counts['suspects']:3d} ({expected:.1f})          | {found['cohort_test']['excess_p']:13.3f} | "
                f"{found['verdict']}",
                flush=True,
            )
    print(
        f"{flagged} of {images} innocent images flagged; {refused} of {options.seeds} innocent releases refused, "
        f"where at most {alpha:.0%} may be"
    )


if __name__ == "__main__":
    main()
