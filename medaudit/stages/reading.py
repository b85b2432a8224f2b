"""The work of ingest: every file of a listing is read into the draft of a cohort, its names into the identity file."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medaudit.artifacts.cohort import CohortWriter
from medaudit.artifacts.identities import Identities, identity_line
from medaudit.artifacts.store import Artifact, Draft
from medaudit.progress import Progress
from medaudit.readers import notes
from medaudit.readers.batch import read_all
from medaudit.readers.layouts import Listing
from medaudit.readers.plan import Plan, make_plan
from medaudit.readers.pool import Workers
from medaudit.readers.settle import Ledger, Names, settle, shown
from medaudit.stages.refusals import Files, listed, objection, write_csv


@dataclass(frozen=True)
class Job:
    """One call of ingest: the source, the names of its cohort, and the options about refusals."""

    source: Path
    listing: Listing
    names: Names
    refused_csv: Path | None
    accept_refused: bool
    progress: Progress

    def named(self, refused: Iterable[Sequence[str]]) -> list[tuple[str, str]]:
        """(name in the source, reason) for (name in the cohort, reason)."""
        reasons = [(name, reason) for name, reason in refused]
        wanted = {name for name, _ in reasons}
        files = self.names.files(self.listing.entries) if wanted else ()
        said = {name: text for name, text in files if name in wanted}
        # a file that changed since the cohort was made may have no entry any more
        return [(said.get(name, name), reason) for name, reason in reasons]

    def tell(self, refused: Files) -> tuple[str, ...]:
        """Write the list of refused files where it was asked for; the lines for the screen."""
        write_csv(self.refused_csv, refused)
        return listed(refused, self.refused_csv)

    def judge(self, refused: Files, read: int) -> None:
        """Raise NothingReadable or TooManyRefused, with the list of refused files, where too many were refused."""
        counts = Counter(reason for _, reason in refused)
        problem = objection(self.source, counts, read, accepted=self.accept_refused)
        if problem is not None:
            problem.listed = self.tell(refused)
            raise problem


def make(job: Job, draft: Draft, known: Identities, workers: Workers) -> Artifact:
    """Read all files into the draft and commit it. Raises what `Job.judge` does."""
    listing = job.listing
    if not known.begin(resumed=draft.resumed):  # the identities of the rows so far are lost: read them again
        draft.scratch("rows.jsonl").unlink(missing_ok=True)
    plan = _plan(job, draft, workers)
    recipe = plan.recipe
    writer = CohortWriter(draft, (recipe.size, recipe.size), np.dtype(recipe.dtype))
    ledger = Ledger(draft.scratch("seen.bin"), writer.chunks_done * recipe.chunk)
    refused = len(writer.refused())
    job.progress.start("films", len(listing.entries))
    job.progress.advance(min(writer.chunks_done * recipe.chunk, len(listing.entries)))
    for chunk in read_all(listing, recipe, workers, writer.chunks_done):
        settled = settle(chunk, ledger, job.names, recipe)
        known.add(settled.identities)
        writer.append(settled.pixels, settled.rows, settled.refused)
        refused += len(settled.refused)
        job.progress.advance(len(chunk), refused=refused)
    found = job.named(writer.refused())
    job.judge(found, writer.rows_done)
    known.merge(identity_line("file", name, said) for name, said in job.names.files(listing.entries))
    settings = draft.request.settings
    synthetic = settings["origin"] == "synthetic"
    return writer.finish(
        note={
            "origin": settings["origin"],
            "role": "synthetic" if synthetic else "all",
            "layout": listing.layout,
            "source_facts": plan.facts,
            "warnings": ([] if synthetic else plan.warnings) + notes.warnings(writer.rows()),
        }
    )


def _plan(job: Job, draft: Draft, workers: Workers) -> Plan:
    """The plan, once the headers alone do not say that too much will be refused. Raises what `Job.judge` does."""
    settings, kept_at = draft.request.settings, draft.scratch("plan.json")
    how: tuple[Any, ...] = (settings["size"], settings["fit"], settings["depth"], workers, job.progress)
    plan = make_plan(kept_at, job.listing, *how)
    if objection(job.source, plan.facts["refused"], plan.readable, accepted=job.accept_refused) is not None:
        if plan.refused is None:  # kept by an earlier call, without the names that are to be shown
            kept_at.unlink()
            plan = make_plan(kept_at, job.listing, *how)
        job.judge([(shown(name), reason) for name, reason in plan.refused or ()], plan.readable)
    return plan
