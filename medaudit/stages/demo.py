"""`medaudit demo`: the main job from end to end, each step explained in a line as it goes.

A model is trained on a few patients until it remembers them; its cohort is refused. Then a cohort that copies
nobody, the films of patients the model never saw, goes the same way and is released and verified.
"""

from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from medaudit.artifacts.cohort import open_cohort
from medaudit.artifacts.store import Draft, Request, finished
from medaudit.errors import SourceMissing
from medaudit.progress import SILENT, Progress
from medaudit.stages import audit, extract, generate, ingest, release, report, site, split, train, verify
from medaudit.stages.outcome import Outcome

REPOSITORY = Path(__file__).resolve().parents[2]
SAMPLE = REPOSITORY / "sample_data" / "dicom"
LABELS = REPOSITORY / "sample_data" / "labels.csv"  # of the sample films
POSING = "films.npz"
CONFIGS = REPOSITORY / "configs"


@dataclass(frozen=True)
class Plan:
    """How many patients and images a demo uses, and how its model is trained."""

    size: int
    train_patients: int
    unseen_patients: int
    generated: int
    config: str


PHANTOMS = Plan(size=32, train_patients=40, unseen_patients=32, generated=128, config="demo.yaml")
REAL = Plan(size=64, train_patients=50, unseen_patients=256, generated=256, config="demo-real.yaml")


def run(
    out: Path, *, real: Path | None = None, device: str = "auto", seed: int = 0, progress: Progress = SILENT
) -> Outcome:
    """Run every step into folders of `out`; an interrupted demo goes on where it stopped.

    Raises SourceMissing when neither sample_data nor the films given can be found.
    """
    source, plan = (real, REAL) if real is not None else (SAMPLE, PHANTOMS)
    for needed in (source, CONFIGS / plan.config):
        if not needed.exists():
            raise SourceMissing(f"{needed} does not exist; run the demo from a clone, or give --real FILMS")
    began = monotonic()
    steps = _Steps(out, plan, device, seed, progress)
    steps.cohorts(source)
    memorized = steps.memorizing_model()
    clean = steps.unseen_people(release_it=real is None)
    lines = (
        f"The memorizing model's cohort: {memorized.lines[0]}",
        f"The cohort of unseen people: {clean.lines[0]}",
        f"Side by side, for the data team only: {out / 'report-confidential' / 'report.html'}",
        f"For the review board: {out / 'report' / 'report.pdf'}",
        f"The whole demo took {monotonic() - began:.0f} s.",
    )
    data = {"memorizing": dict(memorized.data), "unseen": dict(clean.data), "seconds": monotonic() - began}
    return Outcome(lines=lines, data=data, path=out)


class _Steps:
    """The steps of a demo, in order; each calls one command's stage."""

    def __init__(self, out: Path, plan: Plan, device: str, seed: int, progress: Progress) -> None:
        self.out, self.plan, self.device, self.progress = out, plan, device, progress
        self.common: dict[str, Any] = {"seed": seed, "progress": progress}

    def cohorts(self, source: Path) -> None:
        """Read the films; set patients apart for training, for posing as synthetic, and held out."""
        self._explain("ingest", "read the films, replace patient ids by keyed pseudonyms")
        how: dict[str, Any] = {"size": self.plan.size, "manifest": LABELS if source == SAMPLE else None}
        self._tell(ingest.run(source, self.out / "all", **how, **self.common))
        self._explain("split", "no patient on both sides: these will be trained on, those never")
        everyone, others = self.out / "all", self.out / "others"
        trained, posing = self.plan.train_patients, self.plan.unseen_patients
        self._tell(split.run(everyone, self.out / "train", others, train_patients=trained, **self.common))
        split.run(others, self.out / "unseen", self.out / "holdout", train_patients=posing, **self.common)

    def memorizing_model(self) -> Outcome:
        """Train on few patients for long, generate, audit, extract, report: refused."""
        out, common = self.out, {**self.common, "device": self.device}
        self._explain("train", "a diffusion model on few patients, for long: it will remember them")
        self._tell(train.run(out / "train", CONFIGS / self.plan.config, out / "model", **common))
        self._explain("generate", f"{self.plan.generated} synthetic images, one seed each")
        self._tell(generate.run(out / "model", self.plan.generated, out / "synthetic", **common))
        self._explain("audit", "every synthetic image against every training image")
        seen, unseen = out / "train", out / "holdout"
        found = audit.run(seen, unseen, out / "synthetic", out / "audit", **common)
        self._tell(found)
        self._explain("extract", "which images does the model repeat, and whose are they?")
        drawn: dict[str, Any] = {"count": self.plan.generated, "synthetic": out / "synthetic"}
        self._tell(extract.run(out / "model", seen, unseen, out / "extract", **drawn, **common))
        self._explain("report", "two pages for the board; pairs side by side for the data team")
        findings = [out / "audit", out / "extract"]
        cohorts = site.Site(cohorts=(out / "train", out / "holdout", out / "synthetic"))
        told: dict[str, Any] = {"site": cohorts, "progress": self.progress}
        self._tell(report.run(findings, out / "report", **told))
        told |= {"train": out / "train", "synthetic": out / "synthetic"}
        self._tell(report.run(findings, out / "report-confidential", edition="confidential", **told))
        return found

    def unseen_people(self, *, release_it: bool) -> Outcome:
        """Films of people the model never saw pose as synthetic: there is nothing to find, so they may go out."""
        out, common = self.out, {**self.common, "device": self.device}
        self._explain("ingest", "now films of people the model never saw pose as a synthetic cohort")
        self._pose()
        source = out / "posing" / POSING
        self._tell(ingest.run(source, out / "clean", origin="synthetic", size=self.plan.size, **self.common))
        self._explain("audit", "the same test on them")
        found = audit.run(out / "train", out / "holdout", out / "clean", out / "audit-clean", **common)
        self._tell(found)
        self._explain("report", "and their two pages")
        self._tell(report.run([out / "audit-clean"], out / "report-clean", progress=self.progress))
        if not release_it:
            self.progress.say("    nothing is released: these are real films, whatever they pose as")
        elif found.exit_code == 0:
            self._explain("release", "the cleared images as DICOM, each marked as synthetic")
            real: dict[str, Any] = {"train": out / "train", "holdout": out / "holdout"}
            self._tell(release.run(out / "clean", out / "audit-clean", out / "release", **real))
            self._explain("verify", "what the receiver runs on their own machine")
            self._tell(verify.run(out / "release"))
        return found

    def _pose(self) -> None:
        """Write one film per unseen patient as npz, as a synthetic cohort from elsewhere would come."""
        unseen = open_cohort(self.out / "unseen")
        request = Request("posing", {}, parents={"cohort": unseen.id})
        if finished(self.out / "posing", request):
            return
        rows = np.sort(np.unique(unseen.patients.astype(str), return_index=True)[1])
        labels = np.array(["|".join(unseen.labels[row]) for row in rows])
        with Draft(self.out / "posing", request) as draft:
            np.savez(draft.file(POSING), images=unseen.pixels[rows], labels=labels)
            draft.commit()

    def _explain(self, command: str, why: str) -> None:
        self.progress.say(f"[{command}] {why}")

    def _tell(self, outcome: Outcome) -> None:
        for line in outcome.lines:
            self.progress.say(f"    {line}")
