"""Subgroups: counted as planted, small ones kept back, honest where nothing is known; membership: untested."""

from typing import Any

import pytest
import report_samples as samples
from hypothesis import given
from hypothesis import strategies as st

from medaudit.render import build
from medaudit.render.document import Section, Table
from medaudit.render.facts import Summary
from medaudit.render.subgroup_facts import SubgroupFacts, subgroup_facts

VIEWS = ("PA", "AP")


def row(person: int, *labels: str, view: str | None = "PA", mark: str | None = None) -> dict[str, Any]:
    return {"patient": samples.pseudonym(person), "labels": list(labels), "view": view, "mark": mark}


def planted() -> tuple[list[dict[str, Any]], set[str]]:
    """60 people: all `normal` or `effusion`, 12 with `nodule`, 4 with `hernia`; the first 30 are shown."""
    rows = [row(person, "normal" if person % 3 else "effusion") for person in range(60)]
    rows += [row(person, "nodule") for person in range(20, 32)]
    rows += [row(person, "hernia") for person in range(4)]
    rows += [row(99, "ghost", mark="duplicate"), {**row(0, "nobody"), "patient": None}]
    return rows, {samples.pseudonym(person) for person in range(30)}


def facts(hide: bool) -> SubgroupFacts:
    found = subgroup_facts(*planted(), VIEWS, hide)
    assert found is not None
    return found


def test_patients_are_counted_by_label_the_rarest_first() -> None:
    found = facts(hide=False)
    told = [(one.name, one.patients, one.shown) for one in found.groups]
    assert told == [("hernia", 4, 4), ("nodule", 12, 10), ("effusion", 20, 10), ("normal", 40, 20)]
    assert (found.patients, found.shown, found.kept_back) == (60, 30, 0)
    nodule = found.groups[1]
    assert nodule.low is not None and nodule.high is not None and nodule.low < 10 / 12 < nodule.high


def test_the_outside_learns_of_no_group_and_no_count_under_ten() -> None:
    found = facts(hide=True)
    assert [one.name for one in found.groups] == ["nodule", "effusion", "normal"]
    assert found.kept_back == 1
    # 4 people with a hernia are shown; were all other counts given, the total would give that one away
    assert [one.shown for one in found.groups].count(None) == 1
    assert all(one.low is None for one in found.groups if one.shown is None)


@given(
    st.lists(st.tuples(st.integers(0, 40), st.sampled_from("abcd"), st.sampled_from(VIEWS)), max_size=80),
    st.sets(st.integers(0, 40)),
)
def test_no_small_number_passes(rows: list[tuple[int, str, str]], shown: set[int]) -> None:
    made = [row(person, label, view=view) for person, label, view in rows]
    found = subgroup_facts(made, {samples.pseudonym(person) for person in shown}, VIEWS, hide=True)
    anyone = {person for person, *_ in rows} & shown
    for one in found.groups if found is not None else ():
        assert one.patients >= 10
        assert one.shown is None or one.shown >= 10 or (one.shown == 0 and not anyone)


def test_views_count_only_where_they_differ() -> None:
    assert subgroup_facts([row(1), row(2)], (), VIEWS, hide=False) is None
    found = subgroup_facts([row(1), row(2, view="AP"), row(3, view="PRIVATE")], (), VIEWS, hide=False)
    assert found is not None and {one.name for one in found.groups} == set(VIEWS)


def section(summary: Summary, title: str) -> Section:
    return next(one for one in build.shareable(summary).sections if one.title == title)


def words(found: Section) -> str:
    return " ".join(getattr(block, "text", "") for block in found.blocks)


def test_the_table_and_the_key_number_say_the_same() -> None:
    summary = samples.summary().model_copy(update={"subgroups": facts(hide=False)})
    table = section(summary, "Rare findings and subgroups").blocks[0]
    assert isinstance(table, Table)
    assert [cell.text for cell in table.rows[1]][:4] == ["nodule", "label", "12", "10 of 12 (83.3\u00a0%)"]
    keys = section(summary, "Key numbers").blocks[0]
    rare = next(one for one in keys.rows if "rarest" in one.name)  # type: ignore[union-attr]
    assert "hernia" in rare.name and rare.value.text == "4 of 4" and rare.low is not None
    assert "counted by subgroup" in str(section(summary, "What was not tested"))


def test_without_the_training_cohort_it_says_so() -> None:
    summary = samples.summary()
    assert "was not given" in words(section(summary, "Rare findings and subgroups"))
    keys = section(summary, "Key numbers").blocks[0]
    assert any(one.value.text == "not looked at" for one in keys.rows)  # type: ignore[union-attr]


@pytest.mark.parametrize("case", ["refused", None])
def test_membership_is_said_to_be_untested(case: str | None) -> None:
    summary = samples.summary(case, None if case else samples.extraction())
    found = section(summary, "Membership")
    assert words(found).startswith("Not tested") and "advantage" in words(found)


def test_usefulness_is_untested_only_where_it_was_not_measured() -> None:
    measured = section(samples.summary(), "What was not tested")
    assert "Usefulness: whether" not in str(measured) and "was measured" in words(measured)
    skipped = section(samples.summary(utility=None), "What was not tested")
    assert "Usefulness: whether" in str(skipped) and "was measured" not in words(skipped)
