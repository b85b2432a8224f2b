"""A document as a tagged PDF (PDF/UA-1), set by typst: fixed template, text as data, no clock, no network.

The template reads the document as JSON, so no text of it is ever source code. Fonts are those inside the typst
wheel; fonts of the machine are ignored, or its bytes would differ from another's.
"""

import json
import tempfile
from importlib.resources import files
from pathlib import Path
from typing import Any

from medaudit.render.document import SCHEMA, Document

_SUFFIX = {"image/svg+xml": "svg", "image/png": "png"}


def print_pdf(document: Document) -> bytes:
    """The PDF's bytes, the same for the same document on any machine with the same typst."""
    import typst

    template = files("medaudit.render").joinpath("templates/report.typ").read_bytes()
    with tempfile.TemporaryDirectory(prefix="medaudit-") as folder:
        root = Path(folder)
        body = _with_pictures(document, root)
        (root / "document.json").write_text(json.dumps(body), encoding="utf-8")
        options: dict[str, Any] = {"ignore_system_fonts": True, "timestamp": 0, "pdf_standards": ["ua-1"]}
        return typst.compile(template, root=folder, format="pdf", **options)


def _with_pictures(document: Document, root: Path) -> dict[str, Any]:
    """The document as plain values beside its pictures as files; each figure names its own."""
    body = document.body()
    body.pop("numbers")
    body["digest"], body["schema"] = document.digest(), SCHEMA
    written = []
    for place, figure in enumerate(document.figures()):
        name = f"{place}.{_SUFFIX[figure.media]}"
        (root / name).write_bytes(figure.picture)
        written.append(name)
    names = iter(written)
    for section in body["sections"]:
        for block in section["blocks"]:
            if block["kind"] == "figure":
                block["file"] = next(names)
                block.pop("data")
    return body
