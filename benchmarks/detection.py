"""Which planted copies are found, by medaudit and by what others use, on real films; and what must not be called one.

    python benchmarks/detection.py --data ../shared/data --size 128 --plants 200 --out reports/detection

Half of the patients of kermany224 are the training cohort T, the others are unseen. Lines are set by unseen people
only: one film of each patient of T against the films of all others, one film of each held-out patient against all.
A peer gets the line at the second most extreme of these, as in the table of data/README.md (about 1 in 1,000).
medaudit's detectors share 1 in 1,000 in equal parts, by the upper limit of the tail that an audit uses; the false
alarms that this gives are counted by fitting on one half of the unseen people and asking the other half.
A plant counts when the right patient is named; of two patients blended in equal parts either is right.

Pairs: of each two films of known_pairs.csv that are one radiograph, T holds the first; the second asks.
Panel: the same burned-in panel lies on a tenth of T's films and on held-out films, which ask.
People who stand under two patients' names in known_pairs.csv are left out of the unseen.
"""

import argparse
import csv
import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from methods import Ask, our_detectors
from peers import PEERS
from real_films import halves, load

from medaudit import seeds
from medaudit.config import PLANTED_KINDS
from medaudit.images.intensity import full_range_unit, to_depth
from medaudit.images.plants import BY_KIND, Donor, plant
from medaudit.images.principal import PrincipalAxes
from medaudit.images.transforms import occlude
from medaudit.stats.flags import fit_tail
from medaudit.stats.intervals import clopper_pearson
from medaudit.stats.matching import donor_rows
from medaudit.stats.reference import draw_one_per_patient

FALSE_ALARMS = 1e-3  # of unseen people, all detectors of medaudit together
REPLICATES = 1000
PANEL_SHARE = 10  # every tenth film of T carries the panel


@dataclass(frozen=True)
class Task:
    """T (M, Y, X) with patients (M,); each set of images that ask, with whom to leave out and who is right."""

    train: np.ndarray
    groups: np.ndarray
    images: dict[str, np.ndarray]
    leave_out: dict[str, np.ndarray]  # for the people of T only
    right: dict[str, np.ndarray]  # (n, 2) patients that may be named, -1 for none


def task(data: Path, size: int, plants: int, people: int | None, seed: int) -> Task:
    """Everything that is asked, from the films of kermany224."""
    folder = data / "kermany224"
    with (folder / "metadata.csv").open(newline="") as stream:
        files = {"kermany224/" + row["file"]: number for number, row in enumerate(csv.DictReader(stream))}
    with (data / "known_pairs.csv").open(newline="") as stream:
        pairs = [row for row in csv.DictReader(stream) if row["file_a"] in files and row["file_b"] in files]
    images, patient = load(folder, size)
    same = [row for row in pairs if row["relation"] == "same_radiograph"]
    first, second = (np.array([files[row[key]] for row in same]) for key in ("file_a", "file_b"))
    two_names = [row for row in pairs if row["patient_a"] != row["patient_b"]]
    double = [patient[files[row[key]]] for row in two_names for key in ("file_a", "file_b")]
    train, held = halves(patient, seed)
    apart = np.isin(patient, patient[np.concatenate([first, second])])
    train = np.setdiff1d(np.union1d(train[~apart[train]], first), second)
    held = held[~np.isin(patient[held], patient[train])]
    films, groups = images[train].copy(), patient[train]
    framed = np.arange(0, len(films), PANEL_SHARE)
    films[framed] = with_panel(films[framed])
    asking: dict[str, np.ndarray] = {}
    leave_out, right = {}, {}
    for name, side in (("train", train), ("held", held)):
        one = draw_one_per_patient(patient[side], seeds.generator(seed, "reference", name))
        one = one[~np.isin(patient[side[one]], double)][:people]
        asking[name] = films[one] if name == "train" else images[side[one]]
        if name == "train":
            leave_out[name] = groups[one]
    asking["pairs"], right["pairs"] = images[second], np.stack([patient[first], patient[second]], axis=1)
    asking["panel"] = with_panel(asking["held"][:200])
    source = seeds.generator(seed, "plants").permutation(np.setdiff1d(np.arange(len(films)), framed))[:plants]
    for kind in PLANTED_KINDS:
        asking[kind], right[kind] = planted(kind, films, groups, source, seed)
    return Task(films, groups, asking, leave_out, right)


def planted(
    kind: str, films: np.ndarray, groups: np.ndarray, source: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Copies (n, Y, X), stored at 8 bits, and who may be named (n, 2)."""
    axes = PrincipalAxes.of(films[:: max(1, len(films) // 1000)], 128) if kind == "autoencoder" else None
    donors = donor_rows(groups, source, seeds.generator(seed, "donor", kind))
    copies = []
    for row, donor in zip(source, donors, strict=True):
        given = Donor(films[donor], None if axes is None else axes.round_trip)
        copies.append(plant(kind, films[row], seeds.generator(seed, kind, int(row)), given))
    stored = [full_range_unit(to_depth(copy, np.uint8), 8) for copy in copies]
    other = groups[donors] if BY_KIND[kind].either else np.full(len(source), -1)
    return np.stack(stored), np.stack([groups[source], other], axis=1)


def with_panel(images: np.ndarray) -> np.ndarray:
    """A burned-in panel on each film: a white box with dark lines of letters, the same on all."""
    side = images.shape[1]
    height, width = round(side * 0.2), round(side * 0.5)
    rng = np.random.default_rng(5)
    panelled = []
    for image in images:
        panelled.append(occlude(image, side // 16, side // 16, height, width, 1.0))
    for line in range(side // 16 + 2, side // 16 + height - 2, 4):
        for left in range(side // 16 + 2, side // 16 + width - 4, 4):
            tone = float(rng.integers(0, 2))
            panelled = [occlude(image, line, left, 2, 3, tone) for image in panelled]
    return np.stack(panelled)


def measure(name: str, ask: Ask, work: Task) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """{set: scores (n,), right patient named (n,)}."""
    begin = time.perf_counter()
    found = {}
    for kind, images in work.images.items():
        score, row = ask(images, work.leave_out.get(kind))
        named = work.groups[row]
        right = (
            (named[:, None] == work.right[kind]).any(axis=1)
            if kind in work.right
            else np.ones(len(row), bool)
        )
        found[kind] = score, right
    print(f"# {name}: {time.perf_counter() - begin:.0f} s", flush=True)
    return found


Measured = dict[str, tuple[np.ndarray, np.ndarray]]


def tail_line(reference: np.ndarray, p: float, seed: int) -> float:
    """The score from which an unseen person's chance is at most p, by the audit's upper limit."""
    tail = fit_tail(reference, replicates=REPLICATES, rng=seeds.generator(seed, "tail"))
    return np.inf if tail is None else tail.line(p)


def judge_ours(methods: dict[str, Measured], seed: int) -> dict:
    """Power of each detector and of the union, pairs, panel and cross-fitted false alarms."""
    share = FALSE_ALARMS / len(methods)
    found: dict[str, dict[str, np.ndarray]] = {}
    alarms = {"train": [], "held": []}
    for name, sets in methods.items():
        line = tail_line(np.concatenate([sets["train"][0], sets["held"][0]]), share, seed)
        found[name] = {kind: (score >= line) & right for kind, (score, right) in sets.items()}
        for fitted, asked in (("train", "held"), ("held", "train")):
            alarms[asked].append(sets[asked][0] >= tail_line(sets[fitted][0], share, seed))
    union = {kind: np.any([each[kind] for each in found.values()], axis=0) for kind in found["rmse"]}
    false = [np.any(each, axis=0) for each in alarms.values()]
    everyone = {"union": union, **found}
    return {
        "power": {
            name: {kind: rate(each[kind]) for kind in PLANTED_KINDS} for name, each in everyone.items()
        },
        "pairs": {name: rate(each["pairs"]) for name, each in everyone.items()},
        "panel": {name: rate(each["panel"]) for name, each in everyone.items()},
        "false_alarms": rate(np.concatenate(false)),
    }


def judge_peer(sets: Measured) -> dict:
    """Power at the second most extreme unseen person, strictly beyond."""
    line = np.sort(np.concatenate([sets["train"][0], sets["held"][0]]))[-2]
    found = {kind: (score > line) & right for kind, (score, right) in sets.items()}
    return {
        "power": {kind: rate(found[kind]) for kind in PLANTED_KINDS},
        "pairs": rate(found["pairs"]),
        "panel": rate(found["panel"]),
    }


def rate(found: np.ndarray) -> list[float]:
    """[value, low, high, count, of], Clopper-Pearson 95 %."""
    exact = clopper_pearson(int(found.sum()), len(found))
    return [exact.value, exact.low, exact.high, exact.count, exact.of]


def show(ours: dict, peers: dict[str, dict]) -> None:
    """The table: union with interval, our detectors, the peers."""
    names = [name for name in ours["power"] if name != "union"]
    print("| planted copy | medaudit | 95 % interval | " + " | ".join([*names, *peers]) + " |")
    print("|---" * (3 + len(names) + len(peers)) + "|")

    def line(title: str, union: list[float], each: list[list[float]]) -> None:
        cells = [f"{value[0]:.3f}" for value in each]
        print(
            f"| {title} | **{union[0]:.3f}** | {union[1]:.3f} to {union[2]:.3f} | " + " | ".join(cells) + " |"
        )

    own = ours["power"]
    for kind in PLANTED_KINDS:
        each = [own[name][kind] for name in names] + [peer["power"][kind] for peer in peers.values()]
        line(f"{kind}: {BY_KIND[kind].strength}", own["union"][kind], each)
    for part, title in (("pairs", "same radiograph, known pairs"), ("panel", "false alarms under one panel")):
        each = [ours[part][name] for name in names] + [peer[part] for peer in peers.values()]
        line(title, ours[part]["union"], each)
    false = ours["false_alarms"]
    print(f"\nfalse alarms of medaudit among unseen people, lines fitted on the other half: {false[3]} of {false[4]}, "
          f"95 % interval {false[1]:.4f} to {false[2]:.4f}, where {FALSE_ALARMS} is allowed")  # fmt: skip


def main() -> None:
    """Parse the arguments, measure, print, write detection.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--plants", type=int, default=200)
    parser.add_argument("--people", type=int, default=None, help="unseen people of each half, at most")
    parser.add_argument("--peers", nargs="*", default=list(PEERS), choices=list(PEERS))
    parser.add_argument("--out", type=Path, default=None, help="folder for detection.json")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    work = task(options.data, options.size, options.plants, options.people, options.seed)
    print(f"# T: {len(work.train)} films of {len(np.unique(work.groups))} patients, {options.size} px; "
          f"unseen: {len(work.images['train'])} patients of T without themselves, {len(work.images['held'])} held out; "
          f"{len(work.images['identity'])} plants per kind", flush=True)  # fmt: skip
    methods = our_detectors(work.train, work.groups)
    ours = judge_ours({name: measure(name, ask, work) for name, ask in methods.items()}, options.seed)
    peers = {
        name: judge_peer(measure(name, PEERS[name](work.train, work.groups), work)) for name in options.peers
    }
    show(ours, peers)
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "detection.json").write_text(
            json.dumps({"ours": ours, "peers": peers}, indent=1) + "\n"
        )


if __name__ == "__main__":
    main()
