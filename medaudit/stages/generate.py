"""generate: model -> synthetic cohort, one seed an image; a killed run goes on after its last whole block."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medaudit.artifacts.cohort import Cohort, CohortWriter, open_cohort
from medaudit.artifacts.store import Artifact, Draft, Request, finished
from medaudit.errors import CohortMismatch, ModelUnreadable, UsageProblem
from medaudit.images.intensity import to_depth
from medaudit.progress import SILENT, Progress
from medaudit.seeds import generator
from medaudit.stages.outcome import Outcome

if TYPE_CHECKING:
    from medaudit.generators.sampling import GenerativeModel


def run(
    model: Path,
    count: int,
    out: Path,
    prompts_from: Path | None = None,
    device: str = "auto",
    seed: int = 0,
    progress: Progress = SILENT,
) -> Outcome:
    """Generate `count` images into a cohort at `out`; image i is the same bytes for any `count`.

    A conditional model is given the labels of rows drawn from the cohort `prompts_from`, or, without it, its classes
    as often as they were in training. Raises UsageProblem, CohortMismatch and what load_model raises.
    """
    if count < 1:
        raise UsageProblem("count must be at least 1")
    from medaudit.generators.loading import load_model
    from medaudit.generators.processes import join

    team = join(device)
    loaded = load_model(model, team.device)
    prompts = None if prompts_from is None else open_cohort(prompts_from)
    request = _request(loaded, count, prompts, seed)
    standing = finished(out, request)
    if standing is not None:
        return _outcome(standing)
    class_of = _classes(loaded, prompts, seed)
    if not team.main:
        _generate(loaded, count, seed, class_of, team, None, progress)
        team.wait()
        return Outcome(())
    with Draft(out, request) as draft:
        writer = CohortWriter(draft, loaded.image_shape, np.dtype(loaded.dtype))
        progress.start("generate", count)
        _generate(loaded, count, seed, class_of, team, writer, progress)
        note = {
            "origin": "synthetic",
            "role": "synthetic",
            "device": team.device.type,
            "source": loaded.source,
        }
        artifact = writer.finish(note=note)
    team.wait()
    return _outcome(artifact)


def _request(model: "GenerativeModel", count: int, prompts: Cohort | None, seed: int) -> Request:
    parents = {"model": model.id}
    if model.train_id is not None:
        parents["train"] = model.train_id
    if prompts is not None:
        parents["prompts"] = prompts.id
    settings = {"count": count, "sampling": model.sampling.model_dump(), "classes": len(model.classes)}
    return Request("cohort", settings, seed, parents)


def _classes(model: "GenerativeModel", prompts: Cohort | None, seed: int) -> Callable[[int], int] | None:
    """The class of each index; None for an unconditional model."""
    if not model.classes:
        if prompts is not None:
            raise UsageProblem("the model takes no labels; leave out --prompts-from")
        return None
    if prompts is None:
        return model.class_by_frequency(seed)
    place = {tuple(labels): i for i, labels in enumerate(model.class_labels)}
    codes = [place.get(tuple(sorted(set(prompts.labels[row])))) for row in prompts.in_use]
    unknown = codes.count(None)
    if unknown:
        raise CohortMismatch(
            f"{unknown} rows of --prompts-from have labels the model was not trained on; give its training cohort"
        )

    def class_of(index: int) -> int:
        return int(codes[generator(seed, "prompt", index).integers(len(codes))] or 0)

    return class_of


def _generate(
    model: "GenerativeModel",
    count: int,
    seed: int,
    class_of: Callable[[int], int] | None,
    team: Any,
    writer: CohortWriter | None,
    progress: Progress,
) -> None:
    """Every process computes its blocks, the main one writes them."""
    from medaudit.generators.sampling import blocks_of, sample_block

    size = model.sampling.batch
    done = int(team.from_main(writer.rows_done if writer is not None else 0))
    progress.advance(done)
    blocks = list(blocks_of(count, size, done))
    for start in range(0, len(blocks), team.size):
        # Past the end a process repeats the last block, so that all take part in the gather.
        mine = blocks[min(start + team.rank, len(blocks) - 1)]
        together = team.gather(sample_block(model, mine, seed, class_of))
        if writer is not None:
            if not np.isfinite(together).all():
                raise ModelUnreadable(
                    "the model generates values that are no numbers; its weights are damaged"
                )
            base = blocks[start] * size
            wanted = together[: min((len(blocks) - start) * size, count - base)]
            rows = [_row(model, seed, base + i, class_of) for i in range(len(wanted))]
            writer.append(to_depth(wanted, writer.dtype), rows)
            progress.advance(len(wanted))


def _row(
    model: "GenerativeModel", seed: int, index: int, class_of: Callable[[int], int] | None
) -> Mapping[str, Any]:
    from medaudit.generators.sampling import image_seed

    labels = [] if class_of is None else model.class_labels[class_of(index)]
    facts = {"image_seed": image_seed(seed, index)}
    return {"file": f"generated/{index:06d}", "labels": labels, "facts": facts, "route": "generated"}


def _outcome(artifact: Artifact) -> Outcome:
    rows = artifact.manifest["rows"]
    return Outcome(
        (f"Synthetic cohort at {artifact.path}: {rows} images.",),
        {"cohort": artifact.id, "path": str(artifact.path), "rows": rows},
        artifact.path,
    )
