"""What a command shows: rich progress on a terminal, plain lines elsewhere, JSON for machines.

Results go to stdout, progress and errors to stderr.
"""

import json
import math
import sys
import textwrap
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from medaudit import __version__
from medaudit.cli.refused import one_line
from medaudit.stages.outcome import Outcome

_PLAIN_INTERVAL_S = 20.0
_WIDEST = 110  # columns: longer lines tire the eye
_VERDICT_STYLE = {0: "bold green", 10: "bold red", 20: "bold yellow"}


class Screen:
    """Progress drawn for people; use it as a context manager. Implements medaudit.progress.Progress."""

    def __init__(self, *, as_json: bool = False, quiet: bool = False) -> None:
        self.as_json = as_json
        self.quiet = quiet or as_json
        self.console = Console(stderr=True, highlight=False)
        self._live: Progress | None = None
        self._task: TaskID | None = None
        self._name, self._total, self._done, self._resumed = "", None, 0, 0
        self._said_at = self._began_at = 0.0

    def __enter__(self) -> "Screen":
        if not self.quiet and self.console.is_terminal:
            self._live = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                TextColumn("{task.fields[facts]}"),
                TimeRemainingColumn(),
                console=self.console,
                transient=True,
            )
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def start(self, name: str, total: int | None) -> None:
        """Open a named task of `total` steps (None: unknown)."""
        self._name, self._total, self._done, self._resumed = name, total, 0, 0  # type: ignore[assignment]
        self._began_at = self._said_at = time.monotonic()
        if self._live is not None:
            if self._task is not None:
                self._live.remove_task(self._task)
            self._task = self._live.add_task(escape(name), total=total, facts="")

    def advance(self, steps: int = 1, **facts: float | str) -> None:
        """Move the open task; facts are shown beside the bar."""
        if self._done == 0 and steps > 1 and time.monotonic() - self._began_at < 1:
            self._resumed = steps  # a resumed task opens with what stood already: no measure of speed
        self._done += steps
        words = "  ".join(f"{key} {_short(value)}" for key, value in facts.items())
        if self._live is not None and self._task is not None:
            self._live.update(self._task, advance=steps, facts=words)
            return
        now = time.monotonic()
        if not self.quiet and now - self._said_at >= _PLAIN_INTERVAL_S:
            self._said_at = now
            of = f" of {self._total}" if self._total else ""
            left = ""
            if self._total and self._done > self._resumed:
                rate = (self._done - self._resumed) / (now - self._began_at)
                seconds = (self._total - self._done) / rate
                left = f", about {seconds:.0f} s left"
            self.console.print(
                f"{self._name}: {self._done}{of}{left}  {words}".rstrip(), markup=False, soft_wrap=True
            )

    def say(self, line: str) -> None:
        """Print one line above the progress."""
        if not self.quiet:
            (self._live.console if self._live else self.console).print(line, markup=False, soft_wrap=True)


def carry_out(command: str, stage: Callable[[Screen], Outcome], *, as_json: bool, quiet: bool) -> None:
    """Call one stage under a progress display, print its outcome, leave with its exit code."""
    with Screen(as_json=as_json, quiet=quiet) as screen:
        outcome = stage(screen)
    show(command, outcome, as_json=as_json)
    raise typer.Exit(outcome.exit_code)


def show(command: str, outcome: Outcome, *, as_json: bool) -> None:
    """Print a finished command: its lines, or one JSON object."""
    if as_json:
        body: dict[str, Any] = {
            **_envelope(command, outcome.exit_code, ok=True),
            "path": str(outcome.path) if outcome.path else None,
            "lines": list(outcome.lines),
            "data": dict(outcome.data),
        }
        _print_object(_finite(body))
        return
    console = Console(highlight=False)
    before = ""
    for position, line in enumerate(map(one_line, outcome.lines)):
        is_verdict = position == 0 and "verdict" in outcome.data
        style = _VERDICT_STYLE.get(outcome.exit_code) if is_verdict else None
        bullet = line.startswith("- ")
        if console.is_terminal:
            if (position == 1 and "verdict" in outcome.data) or bullet != before.startswith("- "):
                console.print()
            line_shown = _wrapped(line, min(console.width, _WIDEST))
        else:
            line_shown = line
        console.print(line_shown, style=style, markup=False, soft_wrap=True)
        before = line


def _wrapped(line: str, width: int) -> str:
    """A line folded at `width`, what follows indented, so that each line can be told from the next."""
    if line.startswith("- "):
        return textwrap.fill(line[2:], width, initial_indent="  • ", subsequent_indent="    ")
    return textwrap.fill(
        line, width, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )


def show_listed(lines: Sequence[str], *, as_json: bool) -> None:
    """Print on stdout what an error found out, such as the files refused, before the error is told; not in JSON."""
    if lines and not as_json:
        show("", Outcome(tuple(lines)), as_json=False)


def show_error(name: str, message: str, exit_code: int, *, as_json: bool, command: str | None = None) -> None:
    """Print one line that says what is wrong and what to do."""
    message = one_line(message)
    if as_json:
        body = {**_envelope(command, exit_code, ok=False), "error": name, "message": message}
        _print_object(body)
    sys.stderr.write(f"{name}: {message}\n")


def _print_object(body: Any) -> None:
    """One object on one line, in UTF-8 or, where stdout is in another encoding, in ASCII."""
    in_utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    text = json.dumps(body, ensure_ascii=not in_utf8, default=str, allow_nan=False)
    # a name in no encoding becomes the escape that JSON has for it
    sys.stdout.write(text.encode("utf-8", errors="backslashreplace").decode() + "\n")


def _envelope(command: str | None, exit_code: int, *, ok: bool) -> dict[str, Any]:
    """What every answer in JSON opens with: docs/json.md."""
    return {
        "schema": "medaudit.command/1",
        "version": __version__,
        "command": command,
        "ok": ok,
        "exit_code": exit_code,
    }


def _finite(value: Any) -> Any:
    """The same values with null for what JSON has no number for: infinities and NaN."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list | tuple) else value


def _short(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.4g}"
