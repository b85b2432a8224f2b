"""What a shell offers on the tab key beside commands and options: config files and terms.

Called by the shell for every press of the key, so nothing heavy is loaded here.
"""

from collections.abc import Iterator
from pathlib import Path

import typer


def terms(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Terms of the glossary that begin with the words typed so far, each from the present word on, with its line."""
    from medaudit.render.glossary import terms as all_terms

    before = "".join(f"{word} " for word in ctx.params.get("term") or ())
    wanted = f"{before}{incomplete}".lower()
    return [(one.term[len(before) :], one.line) for one in all_terms() if one.term.lower().startswith(wanted)]


def configs(incomplete: str) -> list[str]:
    """YAML files and folders that begin so; before anything is typed those of configs/ first."""
    return [*([] if incomplete else _beginning("configs/")), *_beginning(incomplete)]


def _beginning(typed: str) -> Iterator[str]:
    folder, _, name = typed.rpartition("/")
    base = Path(folder or ("/" if typed.startswith("/") else "."))
    try:
        entries = sorted(base.iterdir())
    except OSError:
        return
    prefix = f"{folder}/" if "/" in typed else ""
    for entry in entries:
        if not entry.name.startswith(name) or (entry.name.startswith(".") and not name):
            continue
        if entry.is_dir():
            yield f"{prefix}{entry.name}/"
        elif entry.suffix in (".yaml", ".yml"):
            yield f"{prefix}{entry.name}"
