"""Pictures of numbers for README and reports/: where the line lies, and which copies who finds.

python benchmarks/pictures.py verdict demo-out reports/demo/verdict.png
python benchmarks/pictures.py detection reports/detection/detection.json reports/detection/detection.png
python benchmarks/pictures.py speed reports/speed reports/speed/speed.png
"""

import argparse
import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from medaudit.artifacts.findings import open_audit
from medaudit.config import PLANTED_KINDS, REQUIRED_KINDS
from medaudit.images.plants import KIND_WORDS

INK, GREY, BLUE, ORANGE, RED = "#222222", "#8a8f98", "#1f5fa8", "#c2410c", "#b91c1c"
DETECTOR = "local-contrast"
MARKS = {"pHash": "x", "RMSE ratio": "v", "SSIM": "^", "NCC": "s", "Dar et al.": "D"}


def verdict(demo: Path, out: Path) -> None:
    """Three histograms of one detector's scores over one another: strangers, a model that copies, one that does not."""
    refused, cleared = (open_audit(demo / name) for name in ("audit", "audit-clean"))
    rows = [
        (
            "People the model never saw: how alike strangers look",
            *_scores(refused[0].path / "reference.parquet"),
        )
    ]
    for title, (findings, audit) in (("Images of a model that memorized", refused),
                                     ("Unseen people posing as synthetic", cleared)):  # fmt: skip
        counts = audit.counts
        title = f"{title}: {counts.flagged} of {counts.synthetic} flagged by all detectors together, {audit.verdict}"
        rows.append((title, *_scores(findings.path / "matches_by_detector.parquet")))
    everyone = np.concatenate([scores for _, scores, _ in rows])
    bins = np.linspace(everyone.min(), everyone.max(), 60)
    _, axes = plt.subplots(3, 1, sharex=True, figsize=(8, 4.4), layout="constrained")
    for axis, (title, scores, flagged) in zip(axes, rows, strict=True):
        axis.hist(
            [scores[~flagged], scores[flagged]],
            bins=bins,
            stacked=True,
            color=[BLUE, ORANGE],
            label=["passes", "flagged by this detector"],
        )
        axis.set_title(title, loc="left", fontsize=9.5, color=INK)
        axis.set_ylabel("people" if axis is axes[0] else "images", fontsize=8)
        _plain(axis)
    axes[0].legend(fontsize=8.5, frameon=False, loc="upper right")
    axes[-1].set_xlabel(
        f"likeness to the closest training film ({DETECTOR}); larger is more alike", fontsize=9
    )
    _save(out)


def detection(measured: Path, out: Path) -> None:
    """Power for each planted kind: medaudit with its interval, the peers as marks."""
    data = json.loads(measured.read_text())
    union, peers = data["ours"]["power"]["union"], data["peers"]
    place = np.arange(len(PLANTED_KINDS))[::-1]
    _, axis = plt.subplots(figsize=(8, 8.4), layout="constrained")
    for name, peer in peers.items():
        values = [peer["power"][kind][0] for kind in PLANTED_KINDS]
        axis.plot(values, place, MARKS[name], color=GREY, markersize=5, fillstyle="none", label=name)
    rates = np.array([union[kind][:3] for kind in PLANTED_KINDS])
    spread = np.stack([rates[:, 0] - rates[:, 1], rates[:, 2] - rates[:, 0]])
    axis.errorbar(
        rates[:, 0], place, xerr=spread, fmt="o", color=BLUE, markersize=6, capsize=2, label="medaudit"
    )
    axis.axvline(0.95, color=RED, linewidth=0.8, linestyle=":")
    words = [KIND_WORDS[kind] + (" *" if kind in REQUIRED_KINDS else "") for kind in PLANTED_KINDS]
    axis.set_yticks(place, words, fontsize=8.5)
    axis.set_xlim(-0.02, 1.02)
    axis.set_ylim(-0.7, len(place) - 0.3)
    axis.set_xlabel(
        "planted copies found with the right patient named,\nat 1 false alarm in 1,000 unseen people\n"
        "bars: 95 % Clopper-Pearson; dotted: 0.95; * required for a release", fontsize=9)  # fmt: skip
    axis.legend(
        loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=6, fontsize=8.5, frameon=False, handletextpad=0.2
    )
    _plain(axis)
    axis.grid(axis="x", color="#e5e7eb", linewidth=0.6)
    _save(out)


def speed(measured: Path, out: Path) -> None:
    """How many times faster than each peer, beside what was wanted; and memory against the number of images."""
    rows = json.loads((measured / "search.json").read_text())["rows"]
    memory = json.loads((measured / "memory.json").read_text())
    _, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained", width_ratios=(1.5, 1))
    place = np.arange(len(rows))[::-1]
    left.barh(place, [row["ratio"] for row in rows], color=BLUE, height=0.55)
    left.plot([row["wanted"] for row in rows], place, "|", color=RED, markersize=18, label="wanted")
    left.set_yticks(place, [f"{row['work']}\nbeside {row['peer']}" for row in rows], fontsize=8)
    for row, at in zip(rows, place, strict=True):
        left.annotate(
            f"{row['ours_s']:.2f} s ", (row["ratio"], at), va="center", ha="right", fontsize=8, color="white"
        )
    left.set_xlim(0, 1.1 * max(max(row["ratio"], row["wanted"]) for row in rows))
    left.set_xlabel("times faster than the peer (our seconds in the bar)", fontsize=9)
    left.legend(fontsize=8.5, frameon=False, loc="lower right")
    sizes = [row["films"] for row in memory["rows"]]
    right.plot(sizes, [row["peak_mb"] for row in memory["rows"]], "o-", color=BLUE)
    right.set_xscale("log")
    right.set_ylim(0, 1.3 * max(row["peak_mb"] for row in memory["rows"]))
    right.set_xlabel("training images (synthetic, 32 x 32)", fontsize=9)
    right.set_ylabel(f"peak resident memory in MB, {memory['memory_bytes'] >> 20} MB allowed", fontsize=8.5)
    for axis in (left, right):
        _plain(axis)
    _save(out)


def _scores(table: Path) -> tuple[np.ndarray, np.ndarray]:
    """Scores under DETECTOR, and which were flagged by it; nobody of a reference was."""
    read = pq.read_table(table)
    own = read.filter(pc.equal(read["detector"], DETECTOR))
    scores = own["score"].to_numpy()
    flagged = own["flagged"].to_numpy(zero_copy_only=False) if "flagged" in own.column_names else None
    return scores, np.zeros(len(scores), dtype=bool) if flagged is None else flagged


def _plain(axis: Axes) -> None:
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(labelsize=8, color=GREY)
    axis.set_axisbelow(True)


def _save(out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    plt.savefig(out, dpi=110, metadata={"Software": None})
    plt.close()


def main() -> None:
    """Draw the one that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("picture", choices=["verdict", "detection", "speed"])
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    {"verdict": verdict, "detection": detection, "speed": speed}[options.picture](options.source, options.out)


if __name__ == "__main__":
    main()
