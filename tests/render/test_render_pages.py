"""HTML and PDF: everything escaped, nothing fetched, tagged, the same bytes each time."""

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
import report_samples as samples

from medaudit.linting.pdf import read_pdf
from medaudit.render import build
from medaudit.render.document import Paragraph, Section
from medaudit.render.html import print_html
from medaudit.render.pdf import print_pdf

HOSTILE = (
    '<script>alert(1)</script> & "#image(\\"x\\")" $ x $ \\ #pagebreak() *bold* _it_ @ref <label> {{ 7 * 7 }}'
)


class Page(HTMLParser):
    """Tags, attributes and texts of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_hostile_text_is_only_text() -> None:
    plain = samples.document("supported")
    hostile = plain.model_copy(
        update={"sections": (*plain.sections, Section(title=HOSTILE, blocks=(Paragraph(text=HOSTILE),)))}
    )
    page = Page(print_html(hostile))
    assert HOSTILE in page.texts
    assert not {tag for tag, _ in page.tags} & {"script", "label", "iframe", "object", "form", "link"}
    before, after = read_pdf(print_pdf(plain)), read_pdf(print_pdf(hostile))
    assert len(before.pages) == len(after.pages)
    assert "#pagebreak()" in "".join(after.pages) and "{{7*7}}" in "".join(after.pages).replace(" ", "")


def test_the_page_stands_alone_under_its_policy() -> None:
    html = print_html(samples.document("refused", extracted=True))
    page = Page(html)
    metas = [attributes for tag, attributes in page.tags if tag == "meta"]
    policy = next(m["content"] for m in metas if m.get("http-equiv") == "Content-Security-Policy")
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)
    assert style is not None and policy is not None
    digest = base64.b64encode(hashlib.sha256(style.group(1).encode()).digest()).decode()
    assert policy.startswith("default-src 'none'") and f"'sha256-{digest}'" in policy
    assert "unsafe" not in policy and "script-src" not in policy
    assert not any("style" in attributes or "href" in attributes for _, attributes in page.tags)
    sources = [attributes["src"] or "" for tag, attributes in page.tags if tag == "img"]
    assert len(sources) == 8 and all(source.startswith("data:image/svg+xml;base64,") for source in sources)
    assert all(attributes.get("alt") for tag, attributes in page.tags if tag == "img")
    assert len(html) < 1_000_000
    for query in ("prefers-color-scheme: dark", "@media print", "max-width: 40rem"):
        assert query in style.group(1)


def test_tables_have_headers_for_screen_readers() -> None:
    page = Page(print_html(samples.document("supported")))
    tables = sum(tag == "table" for tag, _ in page.tags)
    assert tables >= 5
    assert sum(tag == "caption" for tag, _ in page.tags) == tables
    assert sum(attributes.get("scope") == "col" for tag, attributes in page.tags if tag == "th") >= 3 * tables


@pytest.mark.parametrize("case", ["refused", "supported", "inconclusive"])
def test_verdict_on_page_one_sign_off_on_page_two(case: str) -> None:
    document = samples.document(case, extracted=case == "refused")
    pages = read_pdf(print_pdf(document)).pages
    tight = [re.sub(r"\s", "", page) for page in pages]
    assert re.sub(r"\s", "", document.verdict_sentence) in tight[0]
    for title in ("Why", "What was checked", "Key numbers", "How close the images come"):
        assert re.sub(r"\s", "", title) in tight[0]
    for title in ("What was not tested", "Conditions", "Sign-off"):
        assert re.sub(r"\s", "", title) in tight[1]
    assert tight[2].startswith("Appendix")


def test_what_decides_stays_on_the_first_page_and_remarks_go_to_the_appendix() -> None:
    reasons = [
        f"Reason number {place}: " + "the power is too low for this kind of copy. " * 3 for place in range(10)
    ]
    document = build.shareable(samples.summary("inconclusive", reasons=reasons))
    pages = read_pdf(print_pdf(document)).pages
    assert "Reason number 5" in pages[0] and "Reason number 6" not in pages[0] + pages[1]
    assert "4 further remarks in the appendix" in pages[0].replace("\u00a0", " ")
    assert all(f"Reason number {place}" in "".join(pages[2:]) for place in range(6, 10))
    assert "Sign-off" in pages[1] and pages[2].startswith("Appendix")


def test_pdf_is_tagged_dateless_and_the_same_each_time() -> None:
    document = samples.document("supported")
    pdf = print_pdf(document)
    assert pdf == print_pdf(document)
    assert b"/MarkInfo<</Marked true" in pdf and b"/Lang(en)" in pdf
    assert b"pdfuaid" in pdf  # PDF/UA-1
    assert b"CreationDate" not in pdf and b"ModDate" not in pdf


def test_editions_differ_in_name_and_digest() -> None:
    shareable = samples.document("supported")
    confidential = shareable.model_copy(update={"edition": "confidential"})
    assert shareable.digest() != confidential.digest()
    assert "CONFIDENTIAL" in print_html(confidential) and "CONFIDENTIAL" not in print_html(shareable)
    marked = read_pdf(print_pdf(confidential)).pages
    assert all("CONFIDENTIAL" in page for page in marked) and len(marked) >= 4
