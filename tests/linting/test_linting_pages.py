"""Canaries: each file of a shareable report is planted with what must not leave, and the linter must fire."""

import base64
import io
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import report_samples as samples
from PIL import Image

from medaudit.errors import ReportLeak
from medaudit.linting.pages import check_shareable as check_files
from medaudit.linting.pdf import read_pdf
from medaudit.render.document import Document, Figure, Paragraph, Section
from medaudit.render.html import print_html
from medaudit.render.pdf import print_pdf
from medaudit.stages.linting import expected

CANARY = samples.pseudonym(17)
PATH = "/srv/archive/films/0017"


def check_shareable(document: Document, html: str, pdf: bytes, text: str) -> None:
    """As `report` calls it; the hash of the clean report may stand in the files of a bad one."""
    may = expected(document)
    check_files(replace(may, own=may.own | {samples.document("refused").digest()}), html, pdf, text)


@pytest.fixture(scope="module")
def document() -> Document:
    return samples.document("refused")


@pytest.fixture(scope="module")
def clean(document: Document) -> tuple[str, bytes, str]:
    return print_html(document), print_pdf(document), document.to_json()


def with_text(document: Document, text: str) -> Document:
    """The document with one more paragraph, past the allow-list."""
    extra = Section(title="More", blocks=(Paragraph(text=text),))
    return document.model_copy(update={"sections": (*document.sections, extra)})


def film() -> bytes:
    """A picture as a film would be."""
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (40, 32), dtype=np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_clean_report_passes(document: Document, clean: tuple[str, bytes, str]) -> None:
    check_shareable(document, *clean)


def test_the_reader_sees_the_text_of_every_page(document: Document, clean: tuple[str, bytes, str]) -> None:
    found = read_pdf(clean[1])
    assert len(found.pages) >= 4 and found.images == 0
    assert "240 of 256 synthetic images were found to copy" in found.pages[0]
    assert "a named person decides" in found.pages[1]  # the sign-off is on the second page
    assert "Sign-off" in found.pages[1] and "Appendix" in found.pages[2]
    glossary = "".join(found.pages[2:])
    assert "Shuffling which patients count as training" in glossary
    assert any("Power per kind of planted copy" in string for string in found.strings)


@pytest.mark.parametrize("text", [CANARY, f"seen at {PATH}", "film 00017_000.png"])
@pytest.mark.parametrize("where", ["report.html", "report.pdf", "report.json"])
def test_text_is_found_in_each_file(
    document: Document, clean: tuple[str, bytes, str], text: str, where: str
) -> None:
    bad = with_text(document, f"Look here: {text} and no further.")
    html, pdf, written = clean
    if where == "report.html":
        html = print_html(bad)
    elif where == "report.json":
        written = bad.to_json()
    else:
        document, pdf = bad, print_pdf(bad)
        html, written = print_html(document).replace(text, ""), document.to_json().replace(text, "")
    with pytest.raises(ReportLeak, match=where) as caught:
        check_shareable(document, html, pdf, written)
    assert CANARY not in str(caught.value) and PATH not in str(caught.value)


def test_a_pseudonym_broken_over_two_lines_is_found(document: Document) -> None:
    bad = with_text(document, "x" * 5 + " " + " ".join(["word"] * 12) + f" {'w' * 60} {CANARY} {'w' * 70}")
    with pytest.raises(ReportLeak, match=r"report\.pdf"):
        check_shareable(bad, print_html(document), print_pdf(bad), document.to_json())


def test_an_alt_text_is_found_in_the_pdf(document: Document) -> None:
    def renamed(section: Section) -> Section:
        blocks = tuple(
            block.model_copy(update={"alt": f"Film of \u201e{CANARY}\u201d"})
            if isinstance(block, Figure)
            else block
            for block in section.blocks
        )
        return section.model_copy(update={"blocks": blocks})

    bad = document.model_copy(update={"sections": tuple(renamed(section) for section in document.sections)})
    with pytest.raises(ReportLeak, match=r"report\.pdf"):
        check_shareable(bad, print_html(document), print_pdf(bad), document.to_json())


def test_a_film_in_the_document_is_found(document: Document, clean: tuple[str, bytes, str]) -> None:
    figure = Figure(name="x", title="x", caption="x", alt="x", media="image/png", picture=film())
    section = Section(title="More", blocks=(figure,))
    bad = document.model_copy(update={"sections": (*document.sections, section)})
    assert read_pdf(print_pdf(bad)).images == 1
    with pytest.raises(ReportLeak, match="film"):
        check_shareable(bad, *clean)
    with pytest.raises(ReportLeak, match=r"report\.pdf"):
        check_shareable(document, clean[0], print_pdf(bad).replace(b"", b""), clean[2])


Change = Callable[[str], str]
_PAYLOAD = base64.b64encode(film()).decode()
_DRAWING = base64.b64encode(b'<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0"/></svg>').decode()


@pytest.mark.parametrize(
    "change",
    [
        lambda html: html.replace("</main>", f'<img src="data:image/png;base64,{_PAYLOAD}" alt=""></main>'),
        lambda html: html.replace(
            "</main>", f'<img src="data:image/svg+xml;base64,{_DRAWING}" alt=""></main>'
        ),
        lambda html: html.replace("</main>", f"<p>{_PAYLOAD}</p></main>"),
        lambda html: html.replace("</main>", '<img src="https://example.org/a" alt=""></main>'),
        lambda html: html.replace("</main>", "<script>1</script></main>"),
        lambda html: html.replace("</style>", "p{background:url(//example.org)}</style>"),
        lambda html: html.replace("<meta charset", '<meta http-equiv="refresh" content="0;x"><meta charset'),
        lambda html: html.replace("</main>", '<p onclick="x()">x</p></main>'),
        lambda html: html.replace("</main>", "<svg><image/></svg></main>"),
    ],
    ids=[
        "film",
        "unknown drawing",
        "bare payload",
        "fetch",
        "script",
        "style fetch",
        "refresh",
        "handler",
        "drawing",
    ],
)
def test_what_is_smuggled_into_the_page_is_found(
    document: Document, clean: tuple[str, bytes, str], change: Change
) -> None:
    html = change(clean[0])
    assert html != clean[0]
    with pytest.raises(ReportLeak, match=r"report\.html"):
        check_shareable(document, html, clean[1], clean[2])


def test_a_pdf_that_cannot_be_read_back_does_not_pass(
    document: Document, clean: tuple[str, bytes, str]
) -> None:
    other = with_text(document, "another document")
    with pytest.raises(ReportLeak, match="read back"):
        check_shareable(other, print_html(other), clean[1], other.to_json())
