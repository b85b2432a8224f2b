"""Commands that hand on: report, release, verify, demo."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from medaudit.cli.options import (
    CopyNetwork,
    Device,
    Json,
    LedgerOption,
    Out,
    Quiet,
    RecordedBy,
    Seed,
    Synthetic,
    WithRelease,
    refuse_without_ledger,
)
from medaudit.cli.screen import carry_out


def register(app: typer.Typer) -> None:
    """Add the commands of this file to the program."""
    app.command("report", rich_help_panel="Evidence")(report)
    app.command("release", rich_help_panel="Evidence")(release)
    app.command("verify", rich_help_panel="Evidence")(verify)
    app.command("demo", rich_help_panel="Evidence")(demo)


def report(
    findings: Annotated[
        list[Path], typer.Argument(metavar="FINDINGS...", help="Folders of audit or extract.")
    ],
    out: Out,
    edition: Annotated[
        Literal["shareable", "confidential"],
        typer.Option("--edition", help="The shareable one names nobody."),
    ] = "shareable",
    train: Annotated[
        Path | None, typer.Option("--train", help="T, for pictures (confidential only).")
    ] = None,
    synthetic: Annotated[
        Path | None, typer.Option("--synthetic", help="S, for pictures (confidential only).")
    ] = None,
    institution: Annotated[str, typer.Option("--institution", help="Named in the header.")] = "",
    protocol: Annotated[str, typer.Option("--protocol", help="Protocol number, named in the header.")] = "",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write the report a review board acts on: HTML, PDF and JSON.

    Example: medaudit report work/A --out work/report
    """
    from medaudit.stages import report as stage

    carry_out(
        "report",
        lambda screen: stage.run(
            findings,
            out,
            edition=edition,
            train=train,
            synthetic=synthetic,
            institution=institution,
            protocol=protocol,
            progress=screen,
        ),
        as_json=as_json,
        quiet=quiet,
    )


def release(
    synthetic: Synthetic,
    audit: Annotated[Path, typer.Option("--audit", help="The audit of this very cohort.")],
    out: Out,
    form: Annotated[
        Literal["dicom", "png", "npz"], typer.Option("--format", help="Of the released images.")
    ] = "dicom",
    modality: Annotated[Literal["DX", "CR", "SC"], typer.Option("--modality", help="Of DICOM files.")] = "DX",
    transfer_syntax: Annotated[
        Literal["explicit", "jpeg-ls", "jpeg-2000", "rle"],
        typer.Option("--transfer-syntax", help="Of DICOM files; all are lossless."),
    ] = "explicit",
    date: Annotated[str, typer.Option("--date", help="YYYYMMDD for the files and the certificate.")] = "",
    withhold_flagged: Annotated[
        bool,
        typer.Option(
            "--withhold-flagged", help="Leave flagged images out and audit the rest again (needs T, H)."
        ),
    ] = False,
    train: Annotated[Path | None, typer.Option("--train", help="T, with --withhold-flagged.")] = None,
    holdout: Annotated[Path | None, typer.Option("--holdout", help="H, with --withhold-flagged.")] = None,
    copy_network: CopyNetwork = None,
    ledger: LedgerOption = None,
    with_release: WithRelease = None,
    receiver: Annotated[
        list[str] | None,
        typer.Option("--receiver", help="Who gets it, for the ledger: told when it is withdrawn."),
    ] = None,
    by: RecordedBy = "",
    device: Device = "auto",
    seed: Seed = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write the cleared images, marked as synthetic; refuses what was not cleared.

    Example: medaudit release --synthetic work/S --audit work/A --out work/release
    """
    from functools import partial

    from medaudit.stages import recorded
    from medaudit.stages import release as stage

    refuse_without_ledger(ledger, with_release=with_release, receiver=receiver)
    run = stage.run
    if ledger is not None:
        book = recorded.Book(ledger, by, date)
        run = partial(recorded.release, book, with_release or (), receiver or ())
    carry_out(
        "release",
        lambda screen: run(
            synthetic,
            audit,
            out,
            format=form,
            modality=modality,
            transfer_syntax=transfer_syntax,
            date=date,
            withhold_flagged=withhold_flagged,
            train=train,
            holdout=holdout,
            copy_network=copy_network,
            device=device,
            seed=seed,
            progress=screen,
        ),
        as_json=as_json,
        quiet=quiet,
    )


def verify(
    folder: Annotated[Path, typer.Argument(metavar="RELEASE", help="A released folder.")],
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Check a released folder on the receiver's own machine: every hash, every mark, nothing added or missing.

    Example: medaudit verify work/release
    """
    from medaudit.stages import verify as stage

    carry_out("verify", lambda screen: stage.run(folder), as_json=as_json, quiet=quiet)


def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder to write.")] = Path("demo-out"),
    real: Annotated[
        Path | None, typer.Option("--real", help="Use these films (npz or folder with patient ids) instead.")
    ] = None,
    device: Device = "auto",
    seed: Seed = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run the main job from end to end, in minutes on two cores, and explain each step.

    Example: medaudit demo
    """
    from medaudit.stages import demo as stage

    carry_out(
        "demo",
        lambda screen: stage.run(out, real=real, device=device, seed=seed, progress=screen),
        as_json=as_json,
        quiet=quiet,
    )
