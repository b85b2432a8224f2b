"""How --help looks: flags without a type beside them, and examples that can be copied from a narrow terminal."""

import re
import shutil
import textwrap
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from medaudit.cli.given import refuse_unwritable

_EXAMPLE = "Example: "
_OPTION = re.compile(r"(?<!\S)(--\S+) (?!-)")  # and the space before its value: no line breaks there
_BORDER = 4  # columns that help keeps free


class Command(TyperCommand):
    """A command whose help reads well at 80 columns."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The parameters; a flag shows no type, as it takes no value."""
        return _without_types(super().get_params(ctx))

    def invoke(self, ctx: Any) -> Any:
        """Run the command, once it is sure that what it writes can be written where it was asked for."""
        refuse_unwritable(str(self.name), ctx.params)
        return super().invoke(ctx)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help, its example folded as a shell would take it."""
        whole = self.help
        self.help = folded(whole or "", shutil.get_terminal_size().columns - _BORDER)
        try:
            super().format_help(ctx, formatter)
        finally:
            self.help = whole


class Group(TyperGroup):
    """The program: its own options show no types either."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The parameters; a flag shows no type, as it takes no value."""
        return _without_types(super().get_params(ctx))


def dress(app: typer.Typer) -> None:
    """Give every command of the program this help."""
    for command in app.registered_commands:
        command.cls = Command
    for group in app.registered_groups:
        if group.typer_instance is not None:
            dress(group.typer_instance)


def names(app: typer.Typer) -> set[str]:
    """What can be asked of the program: `audit`; of a group `ledger` and `ledger list`."""
    found = {str(command.name) for command in app.registered_commands}
    for group in app.registered_groups:
        inside = names(group.typer_instance) if group.typer_instance is not None else set()
        found |= {str(group.name), *(f"{group.name} {name}" for name in inside)}
    return found


def folded(text: str, width: int) -> str:
    """The same text; an example longer than `width` goes on in the next line after a backslash."""
    paragraphs = text.split("\n\n")
    for place, paragraph in enumerate(paragraphs):
        if paragraph.startswith(_EXAMPLE):
            words = _OPTION.sub("\\1\N{NO-BREAK SPACE}", " ".join(paragraph.split()))
            lines = textwrap.wrap(words, width - 2, break_long_words=False, break_on_hyphens=False)
            paragraphs[place] = " \\\n".join(lines).replace("\N{NO-BREAK SPACE}", " ")
    return "\n\n".join(paragraphs)


def _without_types(params: list[Any]) -> list[Any]:
    for param in params:
        if isinstance(param, TyperOption) and param.is_flag:
            param.metavar = " "
    return params
