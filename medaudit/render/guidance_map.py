"""What laws, opinions and standards ask for, against what a report gives: dated data files, one a document."""

from datetime import date
from functools import cache
from importlib.resources import files

import yaml

from medaudit.render.document import Block, Cell, Paragraph, Part, Section, Table
from medaudit.render.facts import Summary

_IN_ORDER = ("hipaa", "wp29", "edpb", "iso27559", "nist800188")
NOTHING_GIVEN = "nothing in this report"


class Gives(Part):
    """Evidence, by the findings that it comes from."""

    always: str = ""
    audit: str = ""
    extraction: str = ""


class Item(Part):
    """One thing that a document asks for."""

    where: str
    asks: str
    gives: Gives
    lacks: str


class Guidance(Part):
    """One document: when it was issued, and when this map of it was written."""

    name: str
    title: str
    source: str
    issued: date
    mapped: date
    items: tuple[Item, ...]


@cache
def guidance() -> tuple[Guidance, ...]:
    """Every document that is mapped, in the order printed."""
    folder = files("medaudit.render").joinpath("guidance")
    return tuple(
        Guidance.model_validate(yaml.safe_load(folder.joinpath(f"{name}.yaml").read_text(encoding="utf-8")))
        for name in _IN_ORDER
    )


def dates() -> frozenset[str]:
    """Every date that the maps name, as printed."""
    return frozenset(day.isoformat() for one in guidance() for day in (one.issued, one.mapped))


def coverage(summary: Summary) -> Section:
    """What each document asks for, what this report gives as evidence, and what it does not give."""
    lead = Paragraph(
        text="What laws, opinions and standards ask of whoever releases such data, beside what this report gives as "
        "evidence and what it leaves open. A map, not legal advice; nothing here says that a document is complied with."
    )
    blocks: list[Block] = [lead]
    for one in guidance():
        rows = tuple(
            tuple(
                Cell(text=words) for words in (item.where, item.asks, _given(item.gives, summary), item.lacks)
            )
            for item in one.items
        )
        blocks.append(
            Table(
                title=one.name,
                caption=f"{one.title}. Issued {one.issued}, mapped {one.mapped}. {one.source}",
                columns=("Where", "Asks", "This report gives", "It does not give"),
                rows=rows,
                weights=(3, 5, 6, 6),
            )
        )
    return Section(title="Attack coverage and guidance", blocks=tuple(blocks))


def _given(gives: Gives, summary: Summary) -> str:
    parts = (
        gives.always,
        gives.audit if summary.audit is not None else "",
        gives.extraction if summary.extraction is not None else "",
    )
    return " ".join(part for part in parts if part) or NOTHING_GIVEN
