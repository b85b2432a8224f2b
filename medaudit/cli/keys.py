"""The command that makes signing keys, and how a passphrase is asked for: never on the command line."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from medaudit.cli.options import Json, Quiet
from medaudit.cli.screen import carry_out
from medaudit.errors import KeyProblem

PassphraseFile = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file", help="First line: the key's passphrase (mode 0600). Asked for if not given."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands of this file to the program."""
    app.command("keygen", rich_help_panel="Evidence")(keygen)


def keygen(
    out: Annotated[
        Path, typer.Option("--out", help="Folder (signing.key, signing.pub) or name without its ending.")
    ],
    passphrase: Annotated[
        bool, typer.Option("--passphrase", help="Protect the secret key; the passphrase is asked for.")
    ] = False,
    passphrase_file: PassphraseFile = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make the key pair that signs releases; minisign can use both files.

    Example: medaudit keygen --out keys/site --passphrase
    """
    from medaudit.stages import keygen as stage

    def asked() -> str:
        if passphrase_file is not None:
            return passphrase_of(passphrase_file)()
        return _prompt("passphrase of the new key", twice=True) if passphrase else ""

    carry_out("keygen", lambda screen: stage.run(out, passphrase=asked), as_json=as_json, quiet=quiet)


def passphrase_of(path: Path | None) -> Callable[[], str]:
    """What asks for a passphrase when it is needed: the file if there is one, else the person at the terminal."""

    def from_file() -> str:
        from medaudit.artifacts.keys import read_passphrase

        assert path is not None
        return read_passphrase(path)

    return from_file if path is not None else lambda: _prompt("passphrase of the key", twice=False)


def _prompt(question: str, *, twice: bool) -> str:
    if not sys.stdin.isatty():
        raise KeyProblem("the key has a passphrase and nobody is at a terminal; give --passphrase-file")
    answer: str = typer.prompt(question, hide_input=True, confirmation_prompt=twice, err=True)
    return answer
