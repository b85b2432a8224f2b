"""Looks through the finished files of a shareable report for what must not be in them.

The allow-list decides what goes in; this is the second look, at the bytes that would leave the hospital: HTML with
its data URIs decoded, PDF with its streams inflated and its glyphs read back, JSON.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Collection
from html import unescape

from medaudit.errors import ReportLeak
from medaudit.render.document import Document
from medaudit.render.facts import FILE_PATH, PSEUDONYM
from medaudit.render.pdftext import read_pdf

_DATA_URI = re.compile(r"data:([\w/+.-]+)(?:;[\w=-]+)*;base64,([A-Za-z0-9+/=\s]+)")
_BASE64_RUN = re.compile(r"[A-Za-z0-9+/]{200,}={0,2}")
_OUTSIDE = re.compile(
    r"""(?:src|href|action|data)\s*=\s*["']?\s*(?!data:|#|["'])[\w/.]|url\(|@import""", re.IGNORECASE
)
_SCRIPT = re.compile(r"<script|\son\w+\s*=|javascript:", re.IGNORECASE)
_RASTER = re.compile(r"data:image/(?!svg)|<image\b", re.IGNORECASE)
_PATHS_OF_FORMATS = re.compile(r"http://www\.w3\.org/\S+|https?://\S+|xmlns\S*")


def check_shareable(document: Document, html: str, pdf: bytes, json_text: str) -> None:
    """Raise ReportLeak when a file holds a pseudonym, a path, or a picture that is none of the document's charts."""
    charts = {figure.digest for figure in document.figures() if figure.media == "image/svg+xml"}
    if any(figure.media != "image/svg+xml" for figure in document.figures()):
        raise _leak("the document", "a film")
    _check_html(html, charts)
    _check_text(json_text, "report.json")
    if _BASE64_RUN.search(json_text):
        raise _leak("report.json", "an encoded payload")
    inside = read_pdf(pdf)
    if document.verdict_label not in inside.pages[0] or any(
        document.digest()[:16] not in page for page in inside.pages
    ):
        raise _leak("report.pdf", "text that cannot be read back")
    if inside.images:
        raise _leak("report.pdf", "a film")
    _check_text("\n".join([*inside.pages, *inside.strings]), "report.pdf")
    _check_text("\n".join(inside.streams), "report.pdf", paths=False)


def _check_html(html: str, charts: Collection[str]) -> None:
    if _SCRIPT.search(_DATA_URI.sub("", html)) or _OUTSIDE.search(_DATA_URI.sub("data:", html)):
        raise _leak("report.html", "a script or something to fetch")
    for media, payload in _DATA_URI.findall(html):
        try:
            decoded = base64.b64decode(payload, validate=False)
        except binascii.Error:
            raise _leak("report.html", "an encoded payload") from None
        if media != "image/svg+xml" or hashlib.sha256(decoded).hexdigest() not in charts:
            raise _leak("report.html", "a picture that is no chart of this report")
        drawing = decoded.decode("utf-8", "replace")
        if _RASTER.search(drawing) or _SCRIPT.search(drawing):
            raise _leak("report.html", "a film or a script inside a chart")
        _check_text(drawing, "report.html", paths=False)
    rest = _DATA_URI.sub("", html)
    if _BASE64_RUN.search(rest):
        raise _leak("report.html", "an encoded payload")
    # Tags carry slashes of their own; only what a reader or an attribute says is looked at for paths.
    _check_text(unescape(re.sub(r"</?[a-z][a-z0-9]*|/?>", " ", rest)), "report.html")


def _check_text(text: str, where: str, *, paths: bool = True) -> None:
    if PSEUDONYM.search(text) or PSEUDONYM.search(re.sub(r"\s+", "", text)):
        raise _leak(where, "a pseudonym")
    if paths and FILE_PATH.search(_PATHS_OF_FORMATS.sub("", text)):
        raise _leak(where, "a file's path")


def _leak(where: str, what: str) -> ReportLeak:
    return ReportLeak(
        f"{where} of the shareable edition would hold {what}; nothing was written, ask for --edition confidential "
        "or report this as a defect"
    )
