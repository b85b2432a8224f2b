"""The command that tells what words mean: explain."""

from typing import Annotated

import typer

from medaudit.cli import completion
from medaudit.cli.options import Json, Quiet
from medaudit.cli.screen import carry_out


def register(app: typer.Typer) -> None:
    """Add the commands of this file to the program."""
    app.command("explain", rich_help_panel="Help")(explain)


def explain(
    term: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TERM", help="A word of the reports; without one, all are listed.",
            autocompletion=completion.terms, show_default=False,
        ),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:  # fmt: skip
    """Say in plain words what a term of the reports means.

    Example: medaudit explain eidetic k
    """
    from medaudit.stages import explain as stage

    carry_out("explain", lambda screen: stage.run(" ".join(term or [])), as_json=as_json, quiet=quiet)
