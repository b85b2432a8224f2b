"""What the document says, for each verdict; the allow-list; the glossary."""

import json
import re

import pyarrow as pa
import pytest
import report_samples as samples
from pydantic import ValidationError

from medaudit.artifacts.findings import Reidentification
from medaudit.errors import ReportLeak
from medaudit.render import build
from medaudit.render.allowed import plain_text
from medaudit.render.build import words
from medaudit.render.confidential import PAIRS_SHOWN, ROWS_SHOWN, Details, _chosen, match_table
from medaudit.render.document import Cell, Document, KeyNumbers, Section, SignOff, Table
from medaudit.render.facts import ReidentificationFacts, Summary
from medaudit.render.glossary import entries_for, terms
from medaudit.render.pages import verdict_sentence


@pytest.fixture(scope="module")
def refused() -> Document:
    return samples.document("refused", extracted=True)


def said(document: Document) -> str:
    """Every word of a document."""
    return "\n".join(words(document.body())).replace("\u00a0", " ")


def test_the_refusal_in_one_sentence_with_its_numbers() -> None:
    assert verdict_sentence(samples.summary("refused")) == (
        "240 of 256 synthetic images were found to copy radiographs of 40 training patients."
    )


def test_pictures_of_persons_are_not_called_copies() -> None:
    found = Reidentification.model_validate(samples.reidentification(240, same_person=12))
    summary = samples.summary("refused", reidentification=ReidentificationFacts.model_validate(found))
    assert verdict_sentence(summary) == (
        "240 of 256 synthetic images were found to give 40 training patients away: 228 as copies of radiographs, "
        "12 as another picture of the same person."
    )
    text = said(build.shareable(summary))
    assert "Synthetic images that give a patient away" in text
    assert (
        "Of these, another picture of the person rather than a copy of a film" in text and "12 of 240" in text
    )
    assert "found to be copies" not in text and "flagged as copies" not in text
    assert "Follow-up films that named the right patient" in text and "7 of 9" in text
    assert "fixed; the follow-up films of these cohorts ask for no higher one, and are too few" in text
    shown = dict(entries_for(text))
    assert {"another picture of the same person", "AUC", "follow-up film"} <= set(shown)


def test_the_line_between_copies_and_persons_says_where_it_comes_from() -> None:
    def text(**changes: object) -> str:
        found = Reidentification.model_validate({**samples.reidentification(0), **changes})
        return said(
            build.shareable(
                samples.summary("supported", reidentification=ReidentificationFacts.model_validate(found))
            )
        )

    assert "no patient of these cohorts has two films" in text(follow_up_pairs=0, known_again=None)
    assert "not resolvable" in text(follow_up_pairs=0, known_again=None)
    drawn = {"line_source": "follow-ups", "copy_line": 0.4}
    assert "the most alike of the follow-up films" in text(**drawn)
    assert "at most 1 in 100 would be called a copy" in text(**drawn, follow_up_pairs=99)
    assert "Copies of films and pictures of persons" not in said(
        build.shareable(samples.summary("supported", reidentification=None))
    )


def test_the_support_names_its_confidence_and_what_was_tested() -> None:
    sentence = verdict_sentence(samples.summary("supported")).replace("\u00a0", " ")
    assert sentence == (
        "None of 256 synthetic images was found to copy a training patient's radiograph; "
        "with 95 % confidence the model copies in fewer than 16 in 1,000 of its images, for the kinds tested."
    )


def test_inconclusive_is_no_pass() -> None:
    assert "could not have seen enough" in verdict_sentence(samples.summary("inconclusive"))


def test_a_rejected_cohort_test_without_flags_is_said() -> None:
    record = samples.audit("supported")
    record.cohort_test.rejects = True
    record.verdict = "do-not-release"
    document = build.shareable(
        samples.summary("supported", cohort_test=record.cohort_test, verdict="do-not-release")
    )
    assert "as a whole lies closer to the training patients" in document.verdict_sentence
    assert document.verdict == "do-not-release"


def test_the_graver_verdict_heads_the_report() -> None:
    assert samples.summary("supported", samples.extraction()).verdict == "do-not-release"
    assert samples.summary("inconclusive", samples.extraction(0)).verdict == "inconclusive"
    assert samples.summary(None, samples.extraction(0)).verdict == "release-supported"


def test_conditions_fit_what_was_found() -> None:
    def conditions(document: Document) -> str:
        return "\n".join(words(next(s for s in document.sections if s.title == "Conditions").model_dump()))

    assert "will not write it" in conditions(samples.document("refused"))
    assert "may go out" in conditions(samples.document("supported"))
    mixed = build.shareable(samples.summary("supported", samples.extraction()))
    assert mixed.verdict == "do-not-release" and "release looks at the audit alone" in conditions(mixed)
    alone = build.shareable(samples.summary(None, samples.extraction(0)))
    assert "clears no images" in conditions(alone)


def test_two_pages_hold_what_a_board_needs(refused: Document) -> None:
    pages = {
        page: [s.title for s in refused.sections if s.page == page]
        for page in ("first", "second", "appendix")
    }
    assert pages["first"] == ["Why", "What was checked", "Key numbers", "How close the images come"]
    assert pages["second"] == [
        "What this audit could have seen",
        "What was not tested",
        "Released, withheld, changed, marked",
        "What would change it",
        "Conditions",
        "Sign-off",
    ]
    for title in ("Calibration", "Controls", "Extraction from the model", "Limits", "Provenance", "Glossary"):
        assert title in pages["appendix"]
    sign_off = [b for s in refused.sections for b in s.blocks if isinstance(b, SignOff)]
    assert len(sign_off) == 1
    assert {"Name", "Role", "Date"} <= set(sign_off[0].fields) and sign_off[0].comment


def test_key_numbers_stand_beside_interval_and_reference(refused: Document) -> None:
    rows = {
        row.name: row
        for s in refused.sections
        for b in s.blocks
        if isinstance(b, KeyNumbers)
        for row in b.rows
    }
    assert len(rows) >= 8
    assert all(row.interval and row.reference.text for row in rows.values())
    found = rows["Synthetic images found to be copies"]
    assert found.value.value == 240
    assert found.low is not None and found.high is not None and found.low < 240 / 256 < found.high
    assert rows["False alarms: unseen people flagged"].high == pytest.approx(0.0260, abs=1e-4)


def test_what_would_change_it_stands_on_the_second_page() -> None:
    for case, expected in (
        ("refused", "Withholding the 240 flagged images would not be enough"),
        ("inconclusive", "with at least 2 more held-out patients"),
        ("supported", None),
    ):
        found = [s for s in samples.document(case).sections if s.title == "What would change it"]
        assert len(found) == (expected is not None)
        if expected is not None:
            assert found[0].page == "second" and expected in "\n".join(words_of(found[0]))


def words_of(section: Section) -> list[str]:
    return list(words(section.model_dump()))


def test_unseen_people_of_another_source_are_not_called_the_same() -> None:
    assert "unseen patients from the same source." in said(samples.document("supported"))
    other = samples.facts(samples.audit("inconclusive")).model_copy(update={"one_source": False})
    summary = samples.summary("inconclusive").model_copy(update={"audit": other})
    assert "unseen patients from the same source." not in said(build.shareable(summary))


def test_nothing_is_called_safe_and_nothing_shouts() -> None:
    for case in ("refused", "supported", "inconclusive"):
        text = said(samples.document(case))
        assert not re.search(r"\b(?:safe|safely|guarantee|anonymous)\b|!", text, re.IGNORECASE)


def test_json_holds_every_number_of_the_page(refused: Document) -> None:
    body = json.loads(refused.to_json())
    assert body["schema"] == "medaudit.report/1"
    assert body["document_sha256"] == refused.digest()
    assert body["numbers"]["audit"]["counts"]["flagged"] == 240
    assert body["numbers"]["extraction"]["leak_curve"][-1] == {"generated": 2000, "patients": 33}
    cells = [c for s in refused.sections for b in s.blocks if isinstance(b, Table) for r in b.rows for c in r]
    numeric = [cell for cell in cells if re.fullmatch(r"[\d,.]+", cell.text)]
    assert len(numeric) > 30
    assert all(cell.value is not None for cell in numeric)
    assert len([f for f in refused.figures() if f.data is not None]) == len(list(refused.figures())) == 8


def test_figures_have_titles_captions_and_alt_texts(refused: Document) -> None:
    figures = list(refused.figures())
    assert {"power", "leak-curve", "relative-distance-local-contrast"} <= {f.name for f in figures}
    assert all(f.title and f.caption and len(f.alt) > 20 for f in figures)
    assert len({f.name for f in figures}) == len(figures)


def test_extremes_and_rows_do_not_reach_the_shareable_edition(refused: Document) -> None:
    text = refused.to_json()
    for canary in ("0.0087654321", "0.0987654321", "0.0712345", "4711", "bacterial", samples.pseudonym(3)):
        assert canary not in text
    assert "p-0" not in text


def test_the_shareable_builder_takes_nothing_but_a_summary() -> None:
    assert list(build.shareable.__annotations__) == ["summary", "return"]
    with pytest.raises(ValidationError):
        Summary.model_validate({**samples.summary("refused").model_dump(), "matches": []})


@pytest.mark.parametrize(
    "text",
    [
        "image of p-0123456789abcdef",
        "read from /srv/films/0001",
        "see C:\\films\\a",
        "film 00001_000.png",
        "word " * 200,
    ],
)
def test_free_text_with_a_person_or_a_path_is_refused(text: str) -> None:
    with pytest.raises(ReportLeak):
        plain_text(text)
    with pytest.raises(ReportLeak):
        samples.summary("refused", reasons=[text])


@pytest.mark.parametrize(
    "text", ["and/or 3/4 of WP29 05/2014", "power is at least 93.0 %", "K >= 5 (n_H = n_T)"]
)
def test_plain_sentences_pass(text: str) -> None:
    assert plain_text(text) == text


def test_numbers_that_are_not_finite_become_empty() -> None:
    assert Cell(text="infinite", value=float("inf")).value is None


def test_small_references_say_not_resolvable() -> None:
    text = said(samples.document("inconclusive"))
    assert "not resolvable" in text
    assert "no tail: reference too small" in text


def test_without_patient_ids_the_report_says_so() -> None:
    assert "names no patients" in said(build.shareable(samples.summary("inconclusive", patient_level=False)))


def test_every_term_of_the_pages_is_in_the_glossary(refused: Document) -> None:
    shown = {
        term for s in refused.sections for b in s.blocks if b.kind == "glossary" for term, _ in b.entries
    }
    wanted = {
        "adaptive ratio", "alpha", "Chao1", "clique", "cohort", "confidence", "detector", "excess copy rate",
        "extraction", "false alarm", "false discovery", "family-wise", "flagged", "Good-Turing", "interval",
        "leading run", "linkage", "membership", "negative control", "p-value", "permutation", "planted copy", "power",
        "reference", "seed", "suspect", "synthetic image", "tail", "training patient", "unseen patient", "weights",
    }  # fmt: skip
    assert wanted <= shown
    lines = [line for _, line in entries_for(said(refused))]
    assert len(lines) > 30 and all(line[0].isupper() and line.endswith(".") for line in lines)


def test_glossary_prints_only_what_occurs_and_what_its_lines_use() -> None:
    names = [one.term.lower() for one in terms()]
    assert names == sorted(names) and len(names) == len(set(names)) > 40
    found = dict(entries_for("The leading run."))
    assert "leading run" in found and "Chao1" not in found
    assert "training patient" in found  # because the line of leading run uses it
    assert "copy" not in dict(entries_for("photocopying"))


def test_the_confidential_table_names_the_relation() -> None:
    record = samples.audit("refused")
    matches, _, _ = samples.tables(record)
    place = matches.schema.get_field_index("relation")
    person = ["same-person" if flagged else None for flagged in matches.column("flagged").to_pylist()]
    for relation, rule in (
        (matches.column("relation"), "flagged"),
        (pa.array(person), "flagged, same person"),
    ):
        table = match_table(
            Details(audit=record, matches=matches.set_column(place, "relation", relation), lineage={})
        ).blocks[1]
        assert isinstance(table, Table) and {row[8].text for row in table.rows} == {rule}


def test_confidential_adds_matches_but_lists_no_more_than_a_page() -> None:
    record = samples.audit("refused", synthetic=1013)
    matches, _, _ = samples.tables(record)
    section = match_table(Details(audit=record, matches=matches, lineage={}))
    table = section.blocks[1]
    assert isinstance(table, Table) and len(table.rows) == ROWS_SHOWN
    ratios = [row[4].value for row in table.rows]
    assert ratios == sorted(ratios) and ratios[0] == 0
    flagged = record.counts.flagged
    assert f"{flagged - ROWS_SHOWN:,} more are in matches.parquet" in section.blocks[0].model_dump()["text"]


def test_pairs_show_every_patient_once_before_any_twice() -> None:
    record = samples.audit("refused")
    matches, _, _ = samples.tables(record)
    chosen = _chosen(matches)
    assert len(chosen) == len({row["patient"] for row in chosen}) == PAIRS_SHOWN
    few = matches.filter(pa.compute.less(matches.column("train_id"), 3))
    named = {row["patient"] for row in few.to_pylist() if row["flagged"]}
    assert {row["patient"] for row in _chosen(few)[: len(named)]} == named


def test_a_clean_cohort_shows_its_nearest_pairs_for_the_reviewer() -> None:
    record = samples.audit("supported")
    matches, _, _ = samples.tables(record)
    chosen = _chosen(matches)
    assert len(chosen) == 4 and not any(row["flagged"] for row in chosen)
