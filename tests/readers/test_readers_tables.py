"""Templates and joined tables, against plain twins."""

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medaudit.errors import UsageProblem
from medaudit.readers.tables import LabelRule, TableRule, first_of, load, read_labels, render

RULE = TableRule(files=("t.csv",), columns=("id",), key="{id}")


def test_templates() -> None:
    values = {"a": "1", "b c": " x ", "blank": "", "none": "NaN"}
    assert render("{a}/{b c}", values) == "1/x"
    assert render("{a}/{blank}", values) is None
    assert render("{none}", values) is None
    assert render("{absent}", values) is None
    assert first_of(("{blank}", "{absent}", "{a}"), values) == "1"
    assert first_of((), values) is None


@given(st.dictionaries(st.text("abc /#", min_size=1, max_size=4), st.text("xyz 12", max_size=5), min_size=1))
def test_a_template_of_all_fields_holds_all_cells(values: dict[str, str]) -> None:
    template = "|".join(f"{{{name}}}" for name in values)
    cells = [text.strip() for text in values.values()]
    assert render(template, values) == ("|".join(cells) if all(cells) else None)


def test_labels() -> None:
    assert read_labels(LabelRule(column=("f",), separator=r"\|"), {"f": "a|b||a"}) == ("a", "b")
    assert read_labels(LabelRule(column=("f",), pattern="'([^']+)'"), {"f": "['a', 'b']"}) == ("a", "b")
    coded = LabelRule(column=("f",), values={"-1": "none", "*": "some"})
    assert read_labels(coded, {"f": "-1"}) == ("none",) and read_labels(coded, {"f": "3 4"}) == ("some",)
    wide = LabelRule(columns=("x", "y", "z"))
    assert read_labels(wide, {"x": "1.0", "y": "-1", "z": "1"}) == ("x", "z")
    assert read_labels(wide, {}) == ()


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("PQ"), st.sampled_from("uvw")), max_size=12))
def test_joined_rows_against_a_plain_twin(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple]
) -> None:
    path = tmp_path_factory.mktemp("t") / "t.csv"
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([("id", "patient", "finding"), *rows])
    found = load(path, RULE, {"patient"}, ("{patient}",), LabelRule(column=("finding",)))
    for key in "ab":
        mine = [row for row in rows if row[0] == key]
        if not mine:
            assert key not in found.rows
            continue
        assert found.rows[key] == ({"patient": mine[0][1]}, tuple(dict.fromkeys(row[2] for row in mine)))
        assert (key in found.conflicts) == (len({row[1] for row in mine}) > 1)


def test_a_table_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,x\n1,2\n")
    with pytest.raises(UsageProblem, match="no column 'patient'"):
        load(
            tmp_path / "t.csv",
            TableRule(files=("t",), columns=("id", "patient"), key="{id}"),
            set(),
            (),
            None,
        )
    (tmp_path / "t.csv").write_text("id\n" + "x" * 200_000 + "\n")
    with pytest.raises(UsageProblem, match="cannot be read"):
        load(tmp_path / "t.csv", RULE, set(), (), None)
    (tmp_path / "t.csv.gz").write_bytes(b"no gzip")
    with pytest.raises(UsageProblem):
        load(tmp_path / "t.csv.gz", RULE, set(), (), None)
