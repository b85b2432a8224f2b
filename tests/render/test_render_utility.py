"""Usefulness in the report: one paragraph and one table, and a plain warning on page two where there is a fault."""

from typing import Any

import pytest
import report_samples as samples

from medaudit.artifacts.utility import UtilityRecord
from medaudit.render import build
from medaudit.render.document import Document, Table
from medaudit.render.html import print_html

WARNING = "Whether the images are of use"


def made(count: int = 256, **changes: Any) -> Document:
    record = UtilityRecord(**samples.utility(count, **changes))
    return build.shareable(samples.summary("supported", utility=record))


def sections(document: Document) -> dict[str, str]:
    return {
        one.title: "\n".join(build.words(one.model_dump())).replace("\u00a0", " ")
        for one in document.sections
    }


def test_a_useful_set_has_its_paragraph_and_table_and_no_warning() -> None:
    found = sections(made())
    text = found["Usefulness of the images"]
    assert "as close to real films as real films are to each other" in text
    assert (
        "no part of the verdict" in text
        and "90 unseen patients" in text
        and "200 times at random, 45 against 45" in text
    )
    assert "0.91 to 1.22" in text and "95.3 %" in text and "96.2 %" in text
    assert "balance of labels was not compared" in text
    assert WARNING not in found


def test_each_number_of_the_table_is_in_the_json() -> None:
    document = made(labels=(0.02, 0.01, 0.04, 0.03, 0.01, 0.05))
    (section,) = [one for one in document.sections if one.title == "Usefulness of the images"]
    (table,) = [block for block in section.blocks if isinstance(block, Table)]
    assert [row[1].value for row in table.rows] == [1.08, 0.953, 0.0113, 1.14, 0.91, 0.02]
    assert [row[3].value for row in table.rows] == [1.0, 0.962, 0.0062, 1.06, 1.0, 0.03]
    assert document.numbers["audit"]["utility"]["coverage"]["low"] == 0.911


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"density": (0, 0, 0.01, 1, 0.9, 1.1), "detail": (52, 51, 53, 1, 0.9, 1.1)}, "look like noise"),
        ({"detail": (0.05, 0.04, 0.06, 1, 0.9, 1.1)}, "are blurred: they hold 5%"),
        ({"coverage": (0.1, 0.08, 0.12, 0.96, 0.9, 1)}, "repeat a few kinds of film: only 10%"),
        (
            {"spectrum": (1e10, 9e9, 2e10, 1, 1, 1.1), "detail": (0, 0, 0, 1, 1, 1)},
            "under 1% of the fine detail",
        ),
    ],
)
def test_a_fault_is_said_on_page_two_and_changes_no_verdict(changes: dict[str, Any], words: str) -> None:
    document = made(**changes)
    warning = [one for one in document.sections if one.title == WARNING]
    assert len(warning) == 1 and warning[0].page == "second"
    assert words in sections(document)[WARNING] and words in sections(document)["Usefulness of the images"]
    assert document.verdict == "release-supported"
    assert words in print_html(document)


def test_what_was_sampled_is_said() -> None:
    text = sections(made(10_000))["Usefulness of the images"]
    assert "1,000 images drawn from 10,000" in text


def test_findings_without_usefulness_say_what_it_needs() -> None:
    found = sections(build.shareable(samples.summary("supported", utility=None)))
    assert "Not resolvable: 10 synthetic images and 20 unseen people" in found["Usefulness of the images"]
    assert WARNING not in found
