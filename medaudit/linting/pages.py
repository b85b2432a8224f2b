"""Looks through the finished files of a report for what must not be in them.

The allow-list decides what goes in; this is the second look, at the bytes that would leave the hospital: HTML with
its data URIs decoded, PDF with its streams inflated and its glyphs read back, JSON.
"""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from html import unescape
from html.parser import HTMLParser

from medaudit.errors import ReportLeak
from medaudit.linting.known import NOTHING, Known
from medaudit.linting.pdf import read_pdf
from medaudit.linting.texts import found_in

_DATA_URI = re.compile(r"data:([\w/+.-]+)(?:;[\w=-]+)*;base64,([A-Za-z0-9+/=\s]+)")
_BASE64_RUN = re.compile(r"[A-Za-z0-9+/]{200,}={0,2}")
_FETCHED_STYLE = re.compile(r"url\(|@import|image-set\(", re.IGNORECASE)
_TAGS = frozenset(
    {
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "header",
        "main",
        "footer",
        "section",
        "div",
        "p",
        "span",
    }
    | {
        "b",
        "bdi",
        "code",
        "ul",
        "li",
        "dl",
        "dt",
        "dd",
        "pre",
        "figure",
        "figcaption",
        "img",
        "h1",
        "h2",
        "h3",
    }
    | {"table", "caption", "thead", "tbody", "tr", "th", "td"}
)
_ATTRIBUTES = frozenset(
    {"lang", "charset", "http-equiv", "content", "name", "class", "role", "scope", "data-label", "src", "alt"}
    | {"tabindex", "aria-label"}
)
_SCRIPT = re.compile(r"<script|\son\w+\s*=|javascript:", re.IGNORECASE)
_RASTER = re.compile(r"data:image/(?!svg)|<image\b", re.IGNORECASE)


@dataclass(frozen=True)
class Expected:
    """What a report is meant to hold: `charts`, the SHA-256 of its drawings; `must_read`, words of its first page;
    `on_every_page`, the foot of each; `own`, the hashes and dates that it may name."""

    charts: frozenset[str]
    must_read: str
    on_every_page: str
    own: frozenset[str] = frozenset()


def check_shareable(
    expected: Expected, html: str, pdf: bytes, json_text: str, known: Known = NOTHING
) -> None:
    """Raise ReportLeak when a file names someone, or holds a picture that is none of the report's charts."""
    known = known.strictly()
    _check_html(html, expected, known)
    _check_text(json_text, "report.json", expected, known)
    if _payload(json_text):
        raise _leak("report.json", "an encoded payload")
    inside = read_pdf(pdf)
    if expected.must_read not in inside.pages[0] or any(
        expected.on_every_page not in page for page in inside.pages
    ):
        raise _leak("report.pdf", "text that cannot be read back")
    if inside.images:
        raise _leak("report.pdf", "a film")
    # Cells of a page run together when they are read back, and could look like a date.
    _check_text("\n".join(inside.pages), "report.pdf", expected, known, dates=False)
    _check_text("\n".join(inside.strings), "report.pdf", expected, known)
    _check_text(
        "\n".join(inside.streams), "report.pdf", expected, known.strictly(False), paths=False, dates=False
    )


def check_confidential(
    html: str, pdf: bytes, json_text: str, known: Known, edition: str = "confidential"
) -> None:
    """Raise ReportLeak when a file holds a forbidden word or a plain hash of a film: what even the edition that stays
    inside may not.

    Pseudonyms and films belong into it; names of people, paths on disk and hashes that anyone could look up do not.
    """
    inside = read_pdf(pdf)
    texts = (
        ("report.html", unescape(_DATA_URI.sub("", html))),
        ("report.json", json_text),
        ("report.pdf", "\n".join([*inside.pages, *inside.strings])),
    )
    for where, text in texts:
        if known.names(text):
            raise _leak(where, "a word that stands among the forbidden ones", edition)
        if known.hashes(text):
            raise _leak(where, "a plain hash of a real file", edition)


def _check_html(html: str, expected: Expected, known: Known) -> None:
    if not _Tags.all_inert(html):
        raise _leak("report.html", "a script or something to fetch")
    for media, payload in _DATA_URI.findall(html):
        try:
            decoded = base64.b64decode(payload, validate=False)
        except binascii.Error:
            raise _leak("report.html", "an encoded payload") from None
        if media != "image/svg+xml" or hashlib.sha256(decoded).hexdigest() not in expected.charts:
            raise _leak("report.html", "a picture that is no chart of this report")
        drawing = decoded.decode("utf-8", "replace")
        if _RASTER.search(drawing) or _SCRIPT.search(drawing):
            raise _leak("report.html", "a film or a script inside a chart")
        _check_text(drawing, "report.html", expected, known.strictly(False), paths=False, dates=False)
    rest = _DATA_URI.sub("", html)
    if _payload(rest):
        raise _leak("report.html", "an encoded payload")
    # Tags carry slashes of their own; only what a reader or an attribute says is looked at for paths.
    _check_text(unescape(re.sub(r"</?[a-z][a-z0-9]*|/?>", " ", rest)), "report.html", expected, known)


def _payload(text: str) -> bool:
    """Whether a long base64 run stands in the text; a word without a digit is none, however long."""
    return any(re.search(r"\d", run) for run in _BASE64_RUN.findall(text))


class _Tags(HTMLParser):
    """Holds the tags and attributes of a page against those that a report is made of."""

    def __init__(self) -> None:
        super().__init__()
        self.inert, self._in_style = True, False

    @classmethod
    def all_inert(cls, html: str) -> bool:
        """Whether nothing in the page runs, loads, links or submits."""
        page = cls()
        page.feed(html)
        page.close()
        return page.inert

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = {name for name, _ in attrs}
        sources = [value or "" for name, value in attrs if name == "src"]
        loads = any(not source.startswith("data:image/") for source in sources)
        moves = any(name == "http-equiv" and value != "Content-Security-Policy" for name, value in attrs)
        self.inert &= tag in _TAGS and names <= _ATTRIBUTES and not loads and not moves
        self._in_style = tag == "style"

    def handle_data(self, data: str) -> None:
        self.inert &= not (self._in_style and _FETCHED_STYLE.search(data))

    def handle_endtag(self, tag: str) -> None:
        self._in_style = False


def _check_text(
    text: str, where: str, expected: Expected, known: Known, *, paths: bool = True, dates: bool = True
) -> None:
    complaint = found_in(text, known, own=expected.own, paths=paths, dates=dates)
    if complaint:
        raise _leak(where, complaint)


def _leak(where: str, what: str, edition: str = "shareable") -> ReportLeak:
    other = ", ask for --edition confidential or" if edition == "shareable" else ";"
    return ReportLeak(
        f"{where} of the {edition} edition would hold {what}; nothing was written{other} report this as a defect"
    )
