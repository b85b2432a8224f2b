"""Commands that test: audit, extract. Their exit code is the verdict."""

from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from medaudit.cli.given import check_given
from medaudit.cli.options import (
    CopyNetwork,
    Device,
    Engine,
    Holdout,
    Json,
    LedgerOption,
    Memory,
    Model,
    OptionalConfig,
    Out,
    Quiet,
    RayAddress,
    RecordedBy,
    RecordedDate,
    SearchEngine,
    Seed,
    SiteKey,
    Synthetic,
    Train,
    WithRelease,
    memory_bytes,
    refuse_unused,
    refuse_without_ledger,
)
from medaudit.cli.screen import carry_out


class Controls(StrEnum):
    """How many controls an audit runs."""

    full = "full"
    quick = "quick"


def register(app: typer.Typer) -> None:
    """Add the commands of this file to the program."""
    app.command("audit", rich_help_panel="Tests")(audit)
    app.command("extract", rich_help_panel="Tests")(extract)


def audit(
    ctx: typer.Context,
    train: Train,
    holdout: Holdout,
    synthetic: Synthetic,
    out: Out,
    config: OptionalConfig = None,
    image_is_patient: Annotated[
        bool, typer.Option("--one-image-one-patient", help="You state that no patient has two images.")
    ] = False,
    copy_network: CopyNetwork = None,
    keep_encoder: Annotated[
        Path | None,
        typer.Option(
            "--keep-encoder",
            metavar="FOLDER",
            help="Folder for the encoder that --copy-network train trains.",
        ),
    ] = None,
    controls: Annotated[
        Controls | None,
        typer.Option(
            "--controls",
            help="quick: only the required kinds of copies are planted and no model is over-trained; the result says "
            "what was given up. Default: as in the config, or full.",
        ),
    ] = None,
    engine: SearchEngine = Engine.local,
    ray_address: RayAddress = None,
    ledger: LedgerOption = None,
    with_release: WithRelease = None,
    by: RecordedBy = "",
    date: RecordedDate = "",
    key: SiteKey = None,
    memory: Memory = "1GiB",
    device: Device = "auto",
    seed: Seed = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Search every synthetic image against every training image and say which copy which patient.

    Exit code: 0 release-supported, 10 do-not-release, 20 inconclusive.

    Example: medaudit audit --train work/T --holdout work/H --synthetic work/S --out work/A
    """
    from medaudit.config import AuditSettings, load_settings

    settings = load_settings(config, AuditSettings) if config else AuditSettings()
    if image_is_patient:
        settings = settings.model_copy(update={"one_image_one_patient": True})
    if controls is not None:
        settings = settings.model_copy(update={"controls": controls.value})
    working = memory_bytes(memory)
    refuse_without_ledger(ledger, with_release=with_release)
    if ledger is None:
        refuse_unused(ctx, "is for the ledger; give --ledger as well", "by", "date")
    if engine is Engine.local:
        refuse_unused(ctx, "is for --engine ray; give both or neither", "ray_address")
    if copy_network != "train":
        refuse_unused(ctx, "keeps what is trained; give it with --copy-network train", "keep_encoder")
    encoder = None if copy_network in (None, "train") else Path(str(copy_network))
    check_given(cohorts=(train, holdout, synthetic), files=(encoder,), out=out, device=device, ledger=ledger)
    from medaudit.stages import audit as stage
    from medaudit.stages import recorded

    run = stage.run
    if ledger is not None:
        run = partial(recorded.audit, recorded.Book(ledger, by, date), with_release or ())
    carry_out(
        "audit",
        lambda screen: run(
            train,
            holdout,
            synthetic,
            out,
            settings=settings,
            device=device,
            seed=seed,
            progress=screen,
            memory_bytes=working,
            engine=engine.value,
            ray_address=ray_address,
            copy_network=copy_network,
            keep_encoder=keep_encoder,
            key=key,
        ),
        as_json=as_json,
        quiet=quiet,
    )


def extract(
    ctx: typer.Context,
    model: Model,
    train: Train,
    holdout: Holdout,
    out: Out,
    count: Annotated[int, typer.Option("--count", min=2, metavar="N", help="Images to generate.")] = 512,
    clique_size: Annotated[
        int,
        typer.Option(
            "--clique-size", min=2, metavar="N", help="Generated images that must agree with each other."
        ),
    ] = 4,
    synthetic: Annotated[
        Path | None,
        typer.Option(
            "--synthetic", metavar="FOLDER", help="Use this cohort of the same model instead of generating."
        ),
    ] = None,
    engine: SearchEngine = Engine.local,
    ray_address: RayAddress = None,
    ledger: LedgerOption = None,
    by: RecordedBy = "",
    date: RecordedDate = "",
    key: SiteKey = None,
    memory: Memory = "1GiB",
    device: Device = "auto",
    seed: Seed = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Generate many images, find those that repeat, and match them with patients: memorization extraction.

    Exit code: 0 release-supported, 10 do-not-release, 20 inconclusive.

    Example: medaudit extract --model work/model --train work/T --holdout work/H --out work/X
    """
    working = memory_bytes(memory)
    if ledger is None:
        refuse_unused(ctx, "is for the ledger; give --ledger as well", "by", "date")
    if engine is Engine.local:
        refuse_unused(ctx, "is for --engine ray; give both or neither", "ray_address")
    check_given(cohorts=(train, holdout, synthetic), model=model, out=out, device=device, ledger=ledger)
    from medaudit.stages import extract as stage
    from medaudit.stages import recorded

    run = stage.run if ledger is None else partial(recorded.extract, recorded.Book(ledger, by, date))
    carry_out(
        "extract",
        lambda screen: run(
            model,
            train,
            holdout,
            out,
            count=count,
            clique_size=clique_size,
            synthetic=synthetic,
            device=device,
            seed=seed,
            progress=screen,
            memory_bytes=working,
            engine=engine.value,
            ray_address=ray_address,
            key=key,
        ),
        as_json=as_json,
        quiet=quiet,
    )
