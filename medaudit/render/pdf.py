"""A document as a tagged PDF (PDF/UA-1), set by typst: fixed template, text as data, no clock, no network.

The template reads the document as JSON, so no text of it is ever source code. Fonts are those inside the typst
wheel; fonts of the machine are ignored, or its bytes would differ from another's.
"""

import json
import re
import tempfile
from importlib.resources import files
from pathlib import Path
from typing import Any

from medaudit.errors import UsageProblem
from medaudit.render.document import SCHEMA, Document

_NO_GLYPH = re.compile(r'the text `"(.+?)"` could not be displayed', re.DOTALL)
_SELDOM_IN_FONTS = 0x2E80  # from here on: Chinese, Japanese, Korean, emoji
_MOST_TRIES = 30
_SUFFIX = {"image/svg+xml": "svg", "image/png": "png"}


def print_pdf(document: Document) -> bytes:
    """The PDF's bytes, the same for the same document on any machine with the same typst.

    Characters that its fonts lack (Chinese, say) stand as their code points, U+75C5; HTML and JSON keep them.
    """
    template = files("medaudit.render").joinpath("templates/report.typ").read_bytes()
    with tempfile.TemporaryDirectory(prefix="medaudit-") as folder:
        root = Path(folder)
        text = json.dumps(_written_out(_with_pictures(document, root)), ensure_ascii=False)
        for _ in range(_MOST_TRIES):
            (root / "document.json").write_text(text, encoding="utf-8")
            done = _compiled(template, folder)
            if isinstance(done, bytes):
                return done
            lacking = {
                one for one in done if not one.isascii()
            }  # the others are in every font, and JSON's own
            lacking |= {character for character in text if ord(character) >= _SELDOM_IN_FONTS}
            text = "".join(f"[U+{ord(one):04X}]" if one in lacking else one for one in text)
    raise UsageProblem("the report holds characters that cannot be set; write names in Latin letters")


def _written_out(value: Any) -> Any:
    """The same values with control characters named: no font has them, and JSON writes them in letters that one has."""
    if isinstance(value, str):
        return "".join(f"[U+{ord(one):04X}]" if ord(one) < 32 and one not in "\n\t" else one for one in value)
    if isinstance(value, dict):
        return {key: _written_out(inner) for key, inner in value.items()}
    return [_written_out(inner) for inner in value] if isinstance(value, list | tuple) else value


def _compiled(template: bytes, folder: str) -> bytes | str:
    """The PDF, or characters that its fonts lack."""
    import typst

    options: dict[str, Any] = {"ignore_system_fonts": True, "timestamp": 0, "pdf_standards": ["ua-1"]}
    try:
        return typst.compile(template, root=folder, format="pdf", **options)
    except typst.TypstError as error:
        lacking = "".join(_NO_GLYPH.findall(str(error)))
        if not lacking:
            raise
        return lacking


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
