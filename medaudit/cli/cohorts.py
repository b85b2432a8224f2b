"""Commands about cohorts: inspect, ingest, split, dedup, index."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from medaudit.cli.given import check_given
from medaudit.cli.options import (
    CohortPath,
    FileColumn,
    Holdout,
    Json,
    Layout,
    Manifest,
    Memory,
    OnlyLayout,
    Out,
    PatientColumn,
    PatientRegex,
    Quiet,
    RefusedCsv,
    Seed,
    Source,
    Train,
    memory_bytes,
)
from medaudit.cli.screen import carry_out


def register(app: typer.Typer) -> None:
    """Add the commands of this file to the program."""
    app.command("inspect", rich_help_panel="Cohorts")(inspect)
    app.command("ingest", rich_help_panel="Cohorts")(ingest)
    app.command("split", rich_help_panel="Cohorts")(split)
    app.command("dedup", rich_help_panel="Cohorts")(dedup)
    app.command("index", rich_help_panel="Cohorts")(index)


def inspect(
    source: Source,
    layout: Layout = "auto",
    manifest: Manifest = None,
    patient_regex: PatientRegex = None,
    only_layout: OnlyLayout = False,
    file_column: FileColumn = None,
    patient_column: PatientColumn = None,
    refused_csv: RefusedCsv = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say what a source holds before anything runs: layout, patients, views, syntaxes, what cannot be read.

    Example: medaudit inspect /data/chest
    """
    from medaudit.readers.filetables import Columns
    from medaudit.stages import inspect as stage

    carry_out(
        "inspect",
        lambda screen: stage.run(
            source,
            layout=layout,
            manifest=manifest,
            patient_regex=patient_regex,
            progress=screen,
            only_layout=only_layout,
            columns=Columns(file_column, patient_column),
            refused_csv=refused_csv,
        ),
        as_json=as_json,
        quiet=quiet,
    )


def ingest(
    source: Source,
    out: Out,
    origin: Annotated[
        Literal["real", "synthetic"], typer.Option("--origin", help="What the films are.")
    ] = "real",
    layout: Layout = "auto",
    size: Annotated[
        int, typer.Option("--size", min=8, metavar="PX", help="Side in pixels; smaller films stay small.")
    ] = 256,
    fit: Annotated[
        Literal["pad", "crop", "squash"],
        typer.Option("--fit", help="What to do with a film that is not square."),
    ] = "pad",
    depth: Annotated[
        Literal["auto", "8", "16"],
        typer.Option("--depth", help="Bits of a stored pixel; auto: 16 where a film has more than 8."),
    ] = "auto",
    manifest: Manifest = None,
    patient_regex: PatientRegex = None,
    only_layout: OnlyLayout = False,
    file_column: FileColumn = None,
    patient_column: PatientColumn = None,
    key: Annotated[
        Path | None,
        typer.Option(
            "--key",
            metavar="FILE",
            help="Key of the pseudonyms; made next to --out when absent. Keep it secret. The identity file, which "
            "says what the pseudonyms stand for, is kept next to it.",
        ),
    ] = None,
    accept_refused: Annotated[
        bool,
        typer.Option(
            "--accept-refused",
            help="Go on when more than 5 % of the images cannot be read; they are not searched.",
        ),
    ] = False,
    refused_csv: RefusedCsv = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, metavar="N", help="Processes; all cores if unset.")
    ] = None,
    seed: Seed = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Read a source into a cohort with keyed pseudonyms instead of patient ids.

    Example: medaudit ingest /data/chest --out work/all --size 256
    """
    check_given(out=out)
    from medaudit.readers.filetables import Columns
    from medaudit.stages import ingest as stage

    carry_out(
        "ingest",
        lambda screen: stage.run(
            source,
            out,
            origin=origin,
            layout=layout,
            size=size,
            fit=fit,
            depth=depth,
            manifest=manifest,
            patient_regex=patient_regex,
            key=key,
            workers=workers,
            seed=seed,
            progress=screen,
            only_layout=only_layout,
            columns=Columns(file_column, patient_column),
            accept_refused=accept_refused,
            refused_csv=refused_csv,
        ),
        as_json=as_json,
        quiet=quiet,
    )


def split(
    cohort: CohortPath,
    train: Train,
    holdout: Holdout,
    fraction: Annotated[
        float, typer.Option("--fraction", metavar="SHARE", help="Share of patients for training.")
    ] = 0.5,
    train_patients: Annotated[
        int | None, typer.Option("--train-patients", min=1, metavar="N", help="How many, instead of a share.")
    ] = None,
    holdout_patients: Annotated[
        int | None,
        typer.Option(
            "--holdout-patients", min=1, metavar="N", help="Hold out this many; the rest is left out."
        ),
    ] = None,
    image_is_patient: Annotated[
        bool, typer.Option("--one-image-one-patient", help="You state that no patient has two images.")
    ] = False,
    seed: Seed = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Divide a cohort into training and held-out patients; half and half, because a small hold-out sees little.

    Example: medaudit split work/all --train work/T --holdout work/H
    """
    check_given(cohorts=(cohort,))
    from medaudit.stages import split as stage

    carry_out(
        "split",
        lambda screen: stage.run(
            cohort,
            train,
            holdout,
            fraction=fraction,
            train_patients=train_patients,
            holdout_patients=holdout_patients,
            one_image_one_patient=image_is_patient,
            seed=seed,
            progress=screen,
        ),
        as_json=as_json,
        quiet=quiet,
    )


def dedup(
    cohort: CohortPath,
    out: Out,
    against: Annotated[
        Path | None,
        typer.Option(
            "--against", metavar="FOLDER", help="A second cohort, to find films that stand in both."
        ),
    ] = None,
    memory: Memory = "1GiB",
    seed: Seed = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Mark near-duplicates of a cohort and list their groups, across patients apart.

    Example: medaudit dedup work/all --out work/clean
    """
    working = memory_bytes(memory)
    check_given(cohorts=(cohort, against), out=out)
    from medaudit.stages import dedup as stage

    carry_out(
        "dedup",
        lambda screen: stage.run(
            cohort, out, against=against, seed=seed, progress=screen, memory_bytes=working
        ),
        as_json=as_json,
        quiet=quiet,
    )


def index(
    cohort: CohortPath,
    begun_with: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FOLDER",
            help="An indexed cohort with the same first films: only what is new is described.",
        ),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Keep in a cohort's folder what the detectors see of it, so that audits of it start at once.

    Example: medaudit index T
    """
    check_given(cohorts=(cohort, begun_with))
    from medaudit.stages import index as stage

    carry_out(
        "index",
        lambda screen: stage.run(cohort, begun_with, screen),
        as_json=as_json,
        quiet=quiet,
    )
