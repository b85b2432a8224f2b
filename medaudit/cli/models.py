"""Commands about models: train, generate."""

from pathlib import Path
from typing import Annotated

import typer

from medaudit.cli.given import check_given
from medaudit.cli.options import Config, Device, Json, Model, Out, Quiet, Seed
from medaudit.cli.screen import carry_out


def register(app: typer.Typer) -> None:
    """Add the commands of this file to the program."""
    app.command("train", rich_help_panel="Models")(train)
    app.command("generate", rich_help_panel="Models")(generate)


def train(
    cohort: Annotated[Path, typer.Option("--cohort", metavar="FOLDER", help="Training cohort T.")],
    config: Config,
    out: Out,
    device: Device = "auto",
    seed: Seed = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a diffusion model on a cohort; a killed run goes on from its last checkpoint.

    Example: medaudit train --cohort work/T --config configs/xray64.yaml --out work/model
    """
    from medaudit.config import TrainSettings, load_settings

    load_settings(config, TrainSettings)
    check_given(cohorts=(cohort,), out=out, device=device)
    from medaudit.stages import train as stage

    carry_out(
        "train",
        lambda screen: stage.run(cohort, config, out, device=device, seed=seed, progress=screen),
        as_json=as_json,
        quiet=quiet,
    )


def generate(
    model: Model,
    count: Annotated[int, typer.Option("--count", min=1, metavar="N", help="Images to generate.")],
    out: Out,
    prompts_from: Annotated[
        Path | None,
        typer.Option(
            "--prompts-from", metavar="FOLDER", help="Cohort whose labels are drawn, for conditional models."
        ),
    ] = None,
    device: Device = "auto",
    seed: Seed = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Generate a synthetic cohort, one seed per image: image 17 is the same whatever the count.

    Example: medaudit generate --model work/model --count 1000 --out work/S
    """
    check_given(cohorts=(prompts_from,), model=model, out=out, device=device)
    from medaudit.stages import generate as stage

    carry_out(
        "generate",
        lambda screen: stage.run(
            model, count, out, prompts_from=prompts_from, device=device, seed=seed, progress=screen
        ),
        as_json=as_json,
        quiet=quiet,
    )
