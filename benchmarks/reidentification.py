"""Another film of the same person: is it called a copy, are copies called copies, and is the person known again?

    python benchmarks/reidentification.py --data ../shared/data --sets nih64:64 hannover:128 hannover:224

The films of a set are all T. Of each patient with several films one is drawn; its closeness to the most alike of the
patient's other films is a follow-up's, as an audit measures it. Called a copy: above the line of the other patients
(leave one patient out). Copies are planted of one film a patient and held against that film, at the line of all
follow-ups. Re-identification: the drawn film, left out of T, against the same score of each patient's drawn film with
all of the patient's films left out.

The fixed line was set on these very films; the line that other patients draw was not. Pairs of known_pairs.csv that
are one radiograph are no follow-ups: of each the second film is left out.
"""

import argparse
import csv
import time
from pathlib import Path

import numpy as np
from real_films import load

from medaudit import seeds
from medaudit.config import PLANTED_KINDS
from medaudit.detectors.structure import StructureIndex
from medaudit.images.intensity import full_range_unit, to_depth
from medaudit.images.plants import Donor, plant
from medaudit.images.principal import PrincipalAxes
from medaudit.protocol.follow_ups import pair_closeness
from medaudit.stats.intervals import clopper_pearson
from medaudit.stats.matching import donor_rows
from medaudit.stats.reference import draw_one_per_patient
from medaudit.stats.relation import FIXED_LINE, auc_by_patient, copy_line

NEAREST = 12  # other films of a patient that are aligned with the one drawn, at most


def films(data: Path, name: str, size: int) -> tuple[np.ndarray, np.ndarray]:
    """(N, size, size) float32 and (N,) patients, without the second film of known pairs and of identical films."""
    images, patient = load(data / name, size)
    with (data / name / "metadata.csv").open(newline="") as stream:
        files = {f"{name}/{row['file']}": place for place, row in enumerate(csv.DictReader(stream))}
    with (data / "known_pairs.csv").open(newline="") as stream:
        pairs = [row for row in csv.DictReader(stream) if row["relation"] == "same_radiograph"]
    twice = {files[row["file_b"]] for row in pairs if row["file_a"] in files and row["file_b"] in files}
    stored = full_range_unit(to_depth(images, np.uint8), 8)
    _, first = np.unique(stored.reshape(len(stored), -1), axis=0, return_index=True)
    keep = np.setdiff1d(first, sorted(twice))
    return stored[keep], patient[keep]


def follow_ups(
    images: np.ndarray, patient: np.ndarray, most: int, index: StructureIndex, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """(R,) rows drawn, one of each patient with several films, and (R,) closeness to the most alike other film."""
    several = np.flatnonzero(np.bincount(patient)[patient] > 1)
    drawn = np.sort(rng.permutation(several[draw_one_per_patient(patient[several], rng)])[:most])
    close = []
    for row in drawn:
        others = rng.permutation(np.setdiff1d(np.flatnonzero(patient == patient[row]), [row]))[:NEAREST]
        itself = np.broadcast_to(images[row], (len(others), *images.shape[1:]))
        close.append(pair_closeness(itself, images[others], index.sweep).max())
    return drawn, np.array(close)


def called_copies(close: np.ndarray) -> list[bool]:
    """(R,) closeness → whether each follow-up is called a copy at the line that the others draw."""
    return [bool(close[one] > copy_line(np.delete(close, one)).line) for one in range(len(close))]


def planted(images: np.ndarray, patient: np.ndarray, rows: np.ndarray, kind: str, seed: int) -> np.ndarray:
    """(n, Y, X): a copy of each row after the edit, stored at 8 bits."""
    axes = PrincipalAxes.of(images[:1000], min(128, len(images) // 4)) if kind == "autoencoder" else None
    donors = donor_rows(patient, rows, seeds.generator(seed, "donor", kind))
    made = [
        plant(
            kind,
            images[row],
            seeds.generator(seed, kind, int(row)),
            Donor(images[donor], None if axes is None else axes.round_trip),
        )
        for row, donor in zip(rows, donors, strict=True)
    ]
    return np.stack([full_range_unit(to_depth(copy, np.uint8), 8) for copy in made])


def known_again(
    images: np.ndarray, patient: np.ndarray, drawn: np.ndarray, people: np.ndarray, index: StructureIndex, seed: int
) -> str:  # fmt: skip
    """AUC of follow-ups against unseen people under the structure score, and how often the right patient is named."""
    barred = np.arange(len(images)) == drawn[:, None]
    seen = index.ask(images[drawn], barred=barred)
    unseen = index.ask(images[people], leave_out=patient[people])
    rng = seeds.generator(seed, "auc")
    auc = auc_by_patient(seen.score, patient[drawn], unseen.score, patient[people], replicates=2000, rng=rng)
    right = clopper_pearson(int((patient[seen.row] == patient[drawn]).sum()), len(drawn))
    return (
        f"re-identification AUC {auc.value:.3f} ({auc.low:.3f} to {auc.high:.3f}), {len(drawn)} follow-ups against "
        f"{len(people)} unseen people; right patient named {right.count} of {right.of} "
        f"({right.low:.2f} to {right.high:.2f})"
    )


def measure(data: Path, name: str, size: int, most: int, plants: int, seed: int) -> None:
    """Print one set."""
    begin = time.perf_counter()
    images, patient = films(data, name, size)
    index = StructureIndex(lambda places: images[places], patient)
    rng = seeds.generator(seed, "follow-ups", name)
    drawn, close = follow_ups(images, patient, most, index, rng)
    line = copy_line(close)
    called = called_copies(close)
    fixed_only = clopper_pearson(int((close > FIXED_LINE).sum()), len(close))
    share = clopper_pearson(sum(called), len(called))
    top = ", ".join(f"{value:.2f}" for value in np.sort(close)[::-1][:5])
    print(f"\n## {name} at {size} px: {len(images)} films of {len(np.unique(patient))} patients")
    print(f"line {line.line:.3f} ({line.source}), 0 is the fixed line; most alike follow-ups {top}")
    print(
        f"follow-ups called copies: {share.count} of {share.of} ({share.low:.3f} to {share.high:.3f}); "
        f"at the fixed line alone {fixed_only.count} of {fixed_only.of} ({fixed_only.low:.3f} to {fixed_only.high:.3f})"
    )
    people = draw_one_per_patient(patient, rng)
    rows = np.sort(rng.permutation(people)[:plants])
    total = []
    for kind in PLANTED_KINDS:
        copies = planted(images, patient, rows, kind, seed)
        total.append(pair_closeness(copies, images[rows], index.sweep) > line.line)
        found = clopper_pearson(int(total[-1].sum()), len(rows))
        print(f"  {kind:18s} called a copy {found.value:.2f} ({found.low:.2f} to {found.high:.2f})")
    print(
        f"copies of all kinds called copies: {np.mean(total):.3f} ({len(rows)} of each of {len(total)} kinds)"
    )
    print(known_again(images, patient, drawn, np.sort(rng.permutation(people)[:most]), index, seed))
    print(f"# {time.perf_counter() - begin:.0f} s", flush=True)


def main() -> None:
    """Parse the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--sets", nargs="*", default=["nih64:64", "hannover:128", "hannover:224"])
    parser.add_argument("--people", type=int, default=200, help="patients of a set, at most")
    parser.add_argument("--plants", type=int, default=40, help="copies of each kind")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for one in options.sets:
        name, size = one.split(":")
        measure(options.data, name, int(size), options.people, options.plants, options.seed)


if __name__ == "__main__":
    main()
