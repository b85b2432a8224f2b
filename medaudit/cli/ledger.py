"""The commands of `medaudit ledger`: list, check, export, withdraw."""

from pathlib import Path
from typing import Annotated

import typer

from medaudit.cli.options import Json, LedgerFile, RecordedBy, RecordedDate
from medaudit.cli.screen import carry_out

ledger = typer.Typer(
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="What this site audited, released and withdrew: list it, check its chain, export it, withdraw.\n\n"
    "Example: medaudit ledger list --ledger site.ledger --json",
)


def register(app: typer.Typer) -> None:
    """Add the commands of this file to the program."""
    app.add_typer(ledger, name="ledger", rich_help_panel="Evidence")


@ledger.command("list")
def show(path: LedgerFile, as_json: Json = False) -> None:
    """Print every row and the head of the chain.

    Example: medaudit ledger list --ledger site.ledger
    """
    from medaudit.stages import ledger as stage

    carry_out("ledger list", lambda screen: stage.show(path), as_json=as_json, quiet=True)


@ledger.command("check")
def check(
    path: LedgerFile,
    expect_head: Annotated[
        str | None,
        typer.Option(
            "--expect-head", metavar="HASH", help="The head that was kept: finds rows cut off at the end."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check that no row was changed, taken out or, with the head that you kept, cut off.

    Example: medaudit ledger check --ledger site.ledger
    """
    from medaudit.stages import ledger as stage

    carry_out("ledger check", lambda screen: stage.check(path, expect_head), as_json=as_json, quiet=True)


@ledger.command("export")
def export(
    path: LedgerFile,
    out: Annotated[Path, typer.Option("--out", help="File to write, one JSON object a line.")],
    as_json: Json = False,
) -> None:
    """Write every row with its hash to a file, without the lists of patients.

    Example: medaudit ledger export --ledger site.ledger --out ledger.jsonl
    """
    from medaudit.stages import ledger as stage

    carry_out("ledger export", lambda screen: stage.export(path, out), as_json=as_json, quiet=True)


@ledger.command("withdraw")
def withdraw(
    path: LedgerFile,
    reason: Annotated[str, typer.Option("--reason", help="Why, in a few words; no names.")],
    patient: Annotated[
        str | None,
        typer.Option("--patient", metavar="PSEUDONYM", help="As in the cohorts: p- and 16 hex digits."),
    ] = None,
    release: Annotated[
        str | None, typer.Option("--release", metavar="ID", help="Of a release, or its first digits.")
    ] = None,
    date: RecordedDate = "",
    by: RecordedBy = "",
    as_json: Json = False,
) -> None:
    """Record that a patient or a release is withdrawn and list what must be done.

    Example: medaudit ledger withdraw --ledger site.ledger --release 3f2a9c1e --reason "found a copy"
    """
    from medaudit.stages import ledger as stage

    carry_out(
        "ledger withdraw",
        lambda screen: stage.withdraw(path, patient, release, reason, date, by),
        as_json=as_json,
        quiet=True,
    )
