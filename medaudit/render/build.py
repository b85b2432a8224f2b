"""From facts to a document. The shareable builder takes a Summary and nothing else; that is the allow-list."""

from collections.abc import Iterable, Iterator
from typing import Any

from medaudit.render.appendix import appendix, glossary
from medaudit.render.confidential import Details, confidential_sections
from medaudit.render.document import Document, Edition, Section
from medaudit.render.facts import Summary
from medaudit.render.glossary import entries_for
from medaudit.render.header import header
from medaudit.render.pages import title, two_pages, verdict_sentence
from medaudit.render.verdict_words import LABELS


def shareable(summary: Summary) -> Document:
    """The edition that may leave the hospital."""
    return _document(summary, "shareable", [])


def confidential(summary: Summary, details: Details | None) -> Document:
    """The edition that stays inside: the same pages, and what `details` holds after them."""
    return _document(summary, "confidential", confidential_sections(details) if details is not None else [])


def _document(summary: Summary, edition: Edition, inside: list[Section]) -> Document:
    sections = [*two_pages(summary), *inside, *appendix(summary)]
    label, sentence = LABELS[summary.verdict], verdict_sentence(summary)
    reading = "\n".join([label, sentence, *words(section.model_dump() for section in sections)])
    return Document(
        title=title(summary),
        edition=edition,
        verdict=summary.verdict,
        verdict_label=label,
        verdict_sentence=sentence,
        header=header(summary, edition),
        sections=(*sections, glossary(entries_for(reading))),
        numbers=summary.model_dump(mode="json"),
    )


def words(value: Any) -> Iterator[str]:
    """Every string inside nested values."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from words(value.values())
    elif isinstance(value, Iterable) and not isinstance(value, bytes):
        for part in value:
            yield from words(part)
