"""What looks like a pseudonym is found in whatever it stands, and nothing that the program itself names looks so."""

import re

import pytest
import report_samples as samples
from hypothesis import given
from hypothesis import strategies as st

from medaudit.artifacts.certificate import certify, refuse_pseudonyms
from medaudit.artifacts.identifying import holds_pseudonym
from medaudit.artifacts.pseudonyms import KEY_BYTES, pseudonym
from medaudit.artifacts.review import Verdicts
from medaudit.errors import ReportLeak
from medaudit.linting.known import Known
from medaudit.linting.texts import found_in
from medaudit.render.allowed import plain_text

MADE = st.builds(
    lambda key, identifier, kind: pseudonym(key, identifier, kind=kind),
    st.binary(min_size=KEY_BYTES, max_size=KEY_BYTES),
    st.text(max_size=12),
    st.sampled_from(["patient", "study", "regex", "source"]),
)
BEFORE = st.sampled_from(["", "patient ", "(", "film_", "7", "é", "a/", "id=", "\n"])
AFTER = st.sampled_from(["", " ", ".png", "_2", "0f", "x", ")"])


@given(MADE, BEFORE, AFTER, st.booleans())
def test_every_pseudonym_is_found_whatever_stands_around_it(
    name: str, before: str, after: str, upper: bool
) -> None:
    text = f"{before}{name.upper() if upper else name}{after}"
    assert holds_pseudonym(text)
    assert found_in(text, Known()) == "a pseudonym"
    with pytest.raises(ReportLeak):
        refuse_pseudonyms(["well", text])
    with pytest.raises(ReportLeak):
        plain_text(text)


@given(
    MADE, st.sampled_from(["", "of ", "patient "]), st.integers(2, 17), st.sampled_from([" ", "\n", "\n  "])
)
def test_one_broken_over_two_lines_is_found_after_any_word(name: str, word: str, at: int, gap: str) -> None:
    assert holds_pseudonym(f"{word}{name[:at]}{gap}{name[at:]} came")


@given(MADE, st.sampled_from(["", "Dr ", "Dr", "reader "]))
def test_no_reviewer_is_named_by_one(name: str, before: str) -> None:
    body = {"schema": "medaudit.verdicts/1", "page": "x", "reviewer": "A", "answers": []}
    assert Verdicts.model_validate({**body, "named_as": "Reader 1"}).named_as == "Reader 1"
    with pytest.raises(ValueError, match="not a role or a name"):
        Verdicts.model_validate({**body, "named_as": f"{before}{name}"})


@given(st.text(st.sampled_from("0123456789abcdef"), min_size=64, max_size=64))
def test_names_that_the_program_makes_are_none(digits: str) -> None:
    made = [
        f"copynet-{digits[:16]}",
        digits,
        f"sha256-{digits}",
        f"medaudit 0.1.0+g{digits[:12]}",
        f"blur-1 {digits[:3]} of 100 100 100 34 21 100 99 98",
        "12345678-1234-1234-1234-123456789abc",
    ]
    assert not [text for text in made if holds_pseudonym(text)]


@pytest.mark.parametrize("case", ["refused", "supported", "inconclusive"])
def test_reports_and_certificates_are_free_of_them(case: str) -> None:
    ids = {"release_id": "a" * 64, "synthetic_id": "b" * 64, "audit_id": "c" * 64}
    audit = samples.audit(case)
    released = audit.counts.synthetic  # as many as were searched, or no certificate is made
    made = certify(audit, **ids, released=released, date="20261124", versions={"medaudit": "0.1.0"})
    text = made.model_dump_json()
    assert re.search(r"[a-z]-\d", text)  # kinds of copies come close
    assert not holds_pseudonym(text)
    assert not holds_pseudonym(samples.document(case).to_json())
