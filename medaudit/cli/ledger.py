"""The commands of `medaudit ledger`: list, check, export, withdraw."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from medaudit.cli.options import Json, LedgerFile, RecordedBy, RecordedDate, refuse_unused
from medaudit.cli.screen import carry_out
from medaudit.errors import UsageProblem
from medaudit.regular import read_regular

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


@ledger.command("pseudonym")
def pseudonym(
    key: Annotated[Path, typer.Option("--key", metavar="FILE", help="The key of `ingest`: medaudit.key.")],
    number: Annotated[
        Path | None,
        typer.Option(
            "--number-file", metavar="FILE", help="Holds the number; else it is read from the input."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Print the pseudonym that a patient's number of the hospital has in cohorts, ledger and confidential reports.

    The number is asked for unseen, or read from the input or a file: never give it on the command line.

    Example: medaudit ledger pseudonym --key work/medaudit.key
    """
    from medaudit.stages import pseudonym as stage

    carry_out(
        "ledger pseudonym", lambda screen: stage.run(key, _number_of(number)), as_json=as_json, quiet=True
    )


@ledger.command("withdraw")
def withdraw(
    ctx: typer.Context,
    path: LedgerFile,
    reason: Annotated[str, typer.Option("--reason", help="Why, in a few words; no names.")],
    patient: Annotated[
        str | None,
        typer.Option("--patient", metavar="PSEUDONYM", help="As in the cohorts: p- and 16 hex digits."),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(
            "--key",
            metavar="FILE",
            help="Of `ingest`: reads the hospital's number instead, and finds the pseudonym.",
        ),
    ] = None,
    number: Annotated[
        Path | None,
        typer.Option(
            "--number-file", metavar="FILE", help="With --key: holds the number; else the input does."
        ),
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
    from medaudit.stages.pseudonym import of_ledger

    if key is None:
        refuse_unused(ctx, "goes with --key, which makes the pseudonym", "number")
    elif patient is not None or release is not None:
        raise UsageProblem("--key asks for a patient's number; leave --patient and --release out")

    carry_out(
        "ledger withdraw",
        lambda screen: stage.withdraw(
            path,
            patient if key is None else of_ledger(path, key, _number_of(number)),
            release,
            reason,
            date,
            by,
            by_number=key is not None,
        ),
        as_json=as_json,
        quiet=True,
    )


def _number_of(path: Path | None) -> Callable[[], str]:
    """What reads the hospital's number: a file, the input, or the person at the terminal, who does not see it."""

    def asked() -> str:
        try:
            if path is not None:
                return read_regular(path).decode("utf-8")
            if not sys.stdin.isatty():
                return sys.stdin.read()
        except (OSError, UnicodeDecodeError):
            raise UsageProblem(
                "the patient's number cannot be read; give a text file that holds it alone"
            ) from None
        return str(typer.prompt("patient's number in the hospital", hide_input=True, err=True))

    return asked
