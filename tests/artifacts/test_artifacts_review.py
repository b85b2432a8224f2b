"""Verdicts are read as from a stranger: whatever a file holds, one line comes out and nothing of what it held."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from medaudit.artifacts.review import NamedAs, Verdicts, read_verdicts
from medaudit.errors import ReviewMismatch

GOOD: dict[str, Any] = {
    "schema": "medaudit.verdicts/1",
    "page": "ab" * 32,
    "reviewer": "Dr. Ä. O'Neill-שלום",
    "named_as": "chest radiologist (10 years), site B",
    "date": "2026-02-28",
    "answers": [
        {"item": "0123456789abcdef", "answer": "not-a-copy", "reason": "anatomy", "note": "ribs\n5 to 7"}
    ],
}
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def test_what_a_page_exports_is_read(tmp_path: Path) -> None:
    (tmp_path / "v.json").write_text(json.dumps(GOOD))
    found = read_verdicts(tmp_path / "v.json")
    assert found.reviewer == GOOD["reviewer"] and found.answers[0].reason == "anatomy"


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(name=st.sampled_from(sorted(GOOD)), value=anything, inside=st.booleans())
def test_any_value_anywhere_is_taken_or_refused_in_one_line(
    tmp_path: Path, name: str, value: Any, inside: bool
) -> None:
    body = json.loads(json.dumps(GOOD))
    if inside:
        body["answers"][0]["note"] = value
    else:
        body[name] = value
    (tmp_path / "v.json").write_text(json.dumps(body))
    try:
        read_verdicts(tmp_path / "v.json")
    except ReviewMismatch as problem:
        assert "\n" not in str(problem) and len(str(problem)) < 250
        if isinstance(value, str) and len(value) > 12:
            assert value not in str(problem)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_refused_in_one_line(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "v.json").write_bytes(data)
    with pytest.raises(ReviewMismatch) as caught:
        read_verdicts(tmp_path / "v.json")
    assert "\n" not in str(caught.value)


def test_no_file_a_folder_and_a_huge_file_are_refused(tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as stream:
        stream.truncate((16 << 20) + 1)
    for path in (tmp_path, tmp_path / "absent", tmp_path / "huge"):
        with pytest.raises(ReviewMismatch):
            read_verdicts(path)


@pytest.mark.parametrize("text", ["", "chest radiologist", "Dr. Ö. Äbc (senior)", "reader 2", "R&D, site A"])
def test_a_role_may_be_published(text: str) -> None:
    assert TypeAdapter(NamedAs).validate_python(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "p-00c0ffee00c0ffee", "P-00C0FFEE00C0FFEE", "/data/ward7", "C:\\films", "me@hospital.example", "<b>x</b>",
        "born 1961-02-13", "13.02.1961", "MRN 4711008", "a\nb", "x" * 81, "\u202eevil",
    ],
)  # fmt: skip
def test_what_points_at_someone_is_not_a_role(text: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(NamedAs).validate_python(text)


def test_the_record_refuses_what_it_does_not_know() -> None:
    with pytest.raises(ValidationError):
        Verdicts.model_validate({**GOOD, "extra": 1})
