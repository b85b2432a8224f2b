"""The program `medaudit`: one command, one stage, one exit code.

Exit codes: 0 release-supported or done, 10 do-not-release, 20 inconclusive, 2 usage, 1 error, 130 interrupted.
"""

import os
import sys
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path

import typer

from medaudit.cli import audits, cohorts, evidence, keys, ledger, models, review, words
from medaudit.cli.helping import Group, dress, names
from medaudit.cli.needed import missing
from medaudit.cli.refused import refused, unreadable_name
from medaudit.cli.screen import show_error, show_listed
from medaudit.errors import MedauditError

_INTERRUPTED = 130

app = typer.Typer(
    name="medaudit",
    cls=Group,
    help="Find patients' scans among synthetic radiographs before the images are published.",
    epilog="Exit codes: 0 release-supported or done, 10 do-not-release, 20 inconclusive, 2 usage, 1 error.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:
    if value:
        from medaudit import __version__

        typer.echo(f"medaudit {__version__}")
        raise typer.Exit()


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """Find patients' scans among synthetic radiographs before the images are published."""


for room in (cohorts, models, audits, evidence, review, keys, ledger, words):
    room.register(app)
dress(app)

_COMMANDS = names(app)


def main() -> None:
    """Entry point of the console script: run the command line, turn errors into one line and an exit code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code. Nothing but the exit code and the streams comes out."""
    told = partial(show_error, as_json="--json" in arguments, command=_command_of(arguments))
    try:
        if (problem := unreadable_name(arguments)) is not None:
            raise problem
        code = int(app(args=arguments, prog_name="medaudit", standalone_mode=False) or 0)
        if code == _INTERRUPTED:  # typer turns the key into an exit code and says nothing
            raise KeyboardInterrupt
        return code
    except MedauditError as error:
        show_listed(error.listed, as_json="--json" in arguments)
        told(type(error).__name__, str(error), error.exit_code)
        return error.exit_code
    except typer.Exit as leave:
        return leave.exit_code
    except (KeyboardInterrupt, typer.Abort):
        told("Interrupted", "stopped; run the same command again to go on", _INTERRUPTED)
        return _INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        return _not_ours(error, told, arguments)


def _command_of(arguments: list[str]) -> str | None:
    """The command that was asked for, a group's with its name before it; None when the first word is none."""
    words = [one for one in arguments if not one.startswith("-")]
    asked = (" ".join(words[:count]) for count in (2, 1) if len(words) >= count)
    return next((name for name in asked if name in _COMMANDS), None)


def _not_ours(error: Exception, told: Callable[[str, str, int], None], arguments: list[str]) -> int:
    """Usage errors of the parser exit 2; anything else is a defect and is shown without its values."""
    formatted = getattr(error, "format_message", None)
    if formatted is not None and hasattr(error, "exit_code"):
        context = getattr(error, "ctx", None)
        called = context.command_path if context is not None else "medaudit"
        # A call without a command has printed its help and says nothing more. Its exit code is 2 and not 0, which
        # means release-supported: in a script the command may be an empty variable.
        said = missing(error) or formatted().strip() or "no command was given; the help above lists them"
        told("UsageProblem", f"{said} (see {called} --help)", error.exit_code)
        return error.exit_code
    if isinstance(error, MemoryError):
        told("MemoryFull", "not enough memory; use fewer images at a time", 1)
        return 1
    if isinstance(error, OSError) and (known := refused(error, arguments)) is not None:
        told(type(known).__name__, str(known), known.exit_code)
        return known.exit_code
    # A value in a traceback may be a patient's: by default only the place in the code is shown.
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(frame.filename).name}:{frame.lineno}"
    told(
        "Defect",
        f"{type(error).__name__} at {place}; please report this line (MEDAUDIT_TRACEBACK=1 shows more and may "
        "show patients' data)",
        1,
    )
    if os.environ.get("MEDAUDIT_TRACEBACK") == "1":
        traceback.print_exception(error)
    return 1


if __name__ == "__main__":
    main()
