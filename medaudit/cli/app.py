"""The program `medaudit`: one command, one stage, one exit code.

Exit codes: 0 release-supported or done, 10 do-not-release, 20 inconclusive, 2 usage, 1 error, 130 interrupted.
"""

import os
import sys
import traceback
from pathlib import Path

import typer

from medaudit.cli import audits, cohorts, evidence, ledger, models
from medaudit.cli.screen import show_error
from medaudit.errors import MedauditError

app = typer.Typer(
    name="medaudit",
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


for room in (cohorts, models, audits, evidence, ledger):
    room.register(app)


def main() -> None:
    """Entry point of the console script: run the command line, turn errors into one line and an exit code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code. Nothing but the exit code and the streams comes out."""
    as_json = "--json" in arguments
    try:
        code = app(args=arguments, prog_name="medaudit", standalone_mode=False)
        return int(code or 0)
    except MedauditError as error:
        show_error(type(error).__name__, str(error), error.exit_code, as_json=as_json)
        return error.exit_code
    except typer.Exit as leave:
        return leave.exit_code
    except (KeyboardInterrupt, typer.Abort):
        show_error("Interrupted", "stopped; run the same command again to go on", 130, as_json=as_json)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        return _not_ours(error, as_json)


def _not_ours(error: Exception, as_json: bool) -> int:
    """Usage errors of the parser exit 2; anything else is a defect and is shown without its values."""
    formatted = getattr(error, "format_message", None)
    if formatted is not None and hasattr(error, "exit_code"):
        context = getattr(error, "ctx", None)
        where = f" (see {context.command_path} --help)" if context is not None else ""
        show_error("UsageProblem", formatted() + where, error.exit_code, as_json=as_json)
        return error.exit_code
    if isinstance(error, MemoryError):
        show_error("MemoryFull", "not enough memory; use fewer images at a time", 1, as_json=as_json)
        return 1
    # A value in a traceback may be a patient's: by default only the place in the code is shown.
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(frame.filename).name}:{frame.lineno}"
    show_error(
        "Defect",
        f"{type(error).__name__} at {place}; please report this line (MEDAUDIT_TRACEBACK=1 shows more and may "
        "show patients' data)",
        1,
        as_json=as_json,
    )
    if os.environ.get("MEDAUDIT_TRACEBACK") == "1":
        traceback.print_exception(error)
    return 1


if __name__ == "__main__":
    main()
