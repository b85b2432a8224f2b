"""train: cohort -> model. Composes reading, training and writing; a killed run goes on from its last checkpoint."""

from pathlib import Path

from medaudit.artifacts.cohort import Cohort, open_cohort
from medaudit.artifacts.store import Artifact, Draft, Request, finished, write_whole
from medaudit.config import TrainSettings, load_settings
from medaudit.progress import SILENT, Progress
from medaudit.stages.outcome import Outcome


def run(
    cohort: Path,
    config: Path,
    out: Path,
    device: str = "auto",
    seed: int = 0,
    progress: Progress = SILENT,
) -> Outcome:
    """Train on the rows of a cohort that are in use, as a YAML config says, and write a model to `out`.

    Raises SourceMissing, ConfigProblem, DeviceUnavailable, TrainingDiverged and what opening a cohort raises.
    """
    settings = load_settings(config, TrainSettings)
    return train_cohort(open_cohort(cohort), settings, out, device, seed, progress)


def train_cohort(
    cohort: Cohort, settings: TrainSettings, out: Path, device: str, seed: int, progress: Progress
) -> Outcome:
    """The same from an open cohort and settings at hand."""
    request = Request("model", settings.model_dump(mode="json"), seed, {"train": cohort.id})
    standing = finished(out, request)
    if standing is not None:
        return _outcome(standing, ("The model stands already, made with these very arguments.",))
    from medaudit.generators.models import class_table, write_model
    from medaudit.generators.processes import join
    from medaudit.generators.training import TrainingImages, train
    from medaudit.render.curve import loss_curve_svg

    table: list[list[str]] = []
    classes, counts = None, list[int]()
    if settings.conditional:
        table, classes, counts = class_table([cohort.labels[row] for row in cohort.in_use])
    images = TrainingImages(cohort.pixels, cohort.in_use, classes)
    team = join(device)
    draft = Draft(out, request)
    checkpoint = draft.scratch("checkpoint.safetensors")
    if not team.main:
        team.wait()
        train(images, settings, len(table), seed, team, checkpoint)
        team.wait()
        return Outcome(())
    with draft:
        team.wait()
        trained = train(images, settings, len(table), seed, team, checkpoint, progress)
        dtype = cohort.pixels.dtype.name
        write_model(draft.path, trained, settings, cohort.image_shape, dtype, table, counts)
        write_whole(draft.file("loss_curve.svg"), loss_curve_svg(trained.losses).encode())
        facts = {**trained.facts, "images": len(cohort.in_use), "set_aside": len(cohort) - len(cohort.in_use)}
        artifact = draft.commit(training=facts)
    team.wait()
    return _outcome(artifact, ())


def _outcome(artifact: Artifact, lines: tuple[str, ...]) -> Outcome:
    facts = artifact.manifest["training"]
    return Outcome(
        (
            *lines,
            f"Model at {artifact.path}: {facts['steps_done']} steps on {facts['images']} images, "
            f"stopped by the {'clock' if facts['stopped_by'] == 'clock' else 'last step'}.",
        ),
        {"model": artifact.id, "path": str(artifact.path), **facts},
        artifact.path,
    )
