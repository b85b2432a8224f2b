"""A template as an HTML file that stands alone: style and script inside, allowed by hash; nothing else may load."""

import base64
import hashlib
from importlib.resources import files

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup


def print_alone(name: str, *, script: str = "", **values: object) -> str:
    """`name`.html.j2 with `name`.css and the file `script`, if any. Every value is escaped unless it is Markup."""
    parts = {"style": _template(f"{name}.css"), **({"script": _template(script)} if script else {})}
    allowed = "; ".join(f"{kind}-src '{_digest(text)}'" for kind, text in parts.items())
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.from_string(_template(f"{name}.html.j2")).render(
        policy=f"default-src 'none'; img-src data:; {allowed}; base-uri 'none'; form-action 'none'",
        **{kind: Markup(text) for kind, text in parts.items()},  # ours, no input in it
        **values,
    )


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _template(name: str) -> str:
    return files("medaudit.render").joinpath("templates", name).read_text(encoding="utf-8")
