"""A document as one HTML file: no script, no request, pictures and style inside."""

import base64
import hashlib
from importlib.resources import files

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from medaudit.render.document import SCHEMA, Document


def _template(name: str) -> str:
    return files("medaudit.render").joinpath("templates", name).read_text(encoding="utf-8")


def print_html(document: Document) -> str:
    """The page. Every text is escaped; the one style sheet is allowed by its hash and nothing else may load."""
    style = _template("report.css")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.from_string(_template("report.html.j2")).render(
        document=document,
        policy=policy,
        style=Markup(style),  # ours, no input in it
        schema=SCHEMA,
        digest=document.digest(),
    )
