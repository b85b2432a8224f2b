"""What a long computation says while it runs. The command line draws it; everyone below only calls it."""

from typing import Protocol


class Progress(Protocol):
    """A receiver of progress. `start` opens a named task, `advance` moves it, `say` prints one plain line."""

    def start(self, name: str, total: int | None) -> None: ...

    def advance(self, steps: int = 1, **facts: float | str) -> None: ...

    def say(self, line: str) -> None: ...


class Silent:
    """Progress that nobody watches."""

    def start(self, name: str, total: int | None) -> None:
        """Ignore the start of a task."""

    def advance(self, steps: int = 1, **facts: float | str) -> None:
        """Ignore a step."""

    def say(self, line: str) -> None:
        """Ignore a line."""


SILENT: Progress = Silent()
