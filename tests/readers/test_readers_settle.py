"""Duplicates and pseudonyms: the ledger against a dict, also across an interruption."""

import json
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from medaudit.artifacts.identities import is_keyed_file
from medaudit.artifacts.pseudonyms import pseudonym
from medaudit.readers import refusals
from medaudit.readers.batch import DIGEST_BYTES, NO_DIGEST, Outcome, Recipe
from medaudit.readers.records import Entry
from medaudit.readers.settle import Ledger, Names, settle

KEY = bytes(range(32))
NAMES = Names(KEY, "ab" * 32)
RECIPE = Recipe(Path(), frozenset(), True, 3, "pad", "uint8")
FILES = st.lists(
    st.tuples(st.integers(0, 4), st.sampled_from(["p-00000001", "p-00000002", None])), max_size=20
)


def digest(number: int) -> bytes:
    return bytes([number]) * DIGEST_BYTES if number else NO_DIGEST


def twin(films: list[tuple[int, str | None]]) -> list[str | None]:
    seen: dict[int, str | None] = {}
    reasons: list[str | None] = []
    for number, owner in films:
        if number == 0 or number not in seen:
            reasons.append(None)
            seen.setdefault(number, owner)
        else:
            reasons.append(refusals.DUPLICATE if seen[number] == owner else refusals.DUPLICATE_OTHER_PATIENT)
    return reasons


@given(FILES, st.integers(0, 20), st.integers(0, 20))
def test_the_ledger_knows_what_came_before_a_kill(
    tmp_path_factory, films: list[tuple[int, str | None]], done: int, ahead: int
) -> None:
    path = tmp_path_factory.mktemp("ledger") / "seen.bin"
    done = min(done, len(films))
    first = Ledger(path, 0)
    # the ledger is written ahead of the rows: a kill in between leaves records of rows that do not stand
    reasons = first.enter(
        [digest(n) for n, _ in films[: done + ahead]], [o for _, o in films[: done + ahead]]
    )[:done]
    second = Ledger(path, done)
    reasons += second.enter([digest(n) for n, _ in films[done:]], [o for _, o in films[done:]])
    assert reasons == twin(films)


def made(file: str, patient: str | None, number: int, study: str | None = "1") -> Outcome:
    row = {"file": file, "patient": patient, "study": study, "labels": [], "facts": {}, "route": "full range"}
    return Outcome(file, None, np.full((3, 3), number, np.uint8), row, digest(number))


def test_settled_chunk(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "seen.bin", 0)
    chunk = [
        made("a", "MRN-1", 1),
        Outcome("b", refusals.NO_PIXELS),
        made("c", "MRN-2", 2),
        made("d", "MRN-1", 1),
        made("e", "MRN-2", 1),
        made("f", None, 3, None),
    ]
    settled = settle(chunk, ledger, NAMES, RECIPE)
    rows = settled.rows
    assert settled.pixels[:, 0, 0].tolist() == [1, 2, 3] and settled.pixels.shape == (3, 3, 3)
    keyed = {name: pseudonym(KEY, name, kind="file") for name in "abcdef"}
    assert [row["file"] for row in rows] == [keyed[name] for name in "acf"]
    assert all(is_keyed_file(name) for name in keyed.values()) and len(set(keyed.values())) == 6
    assert settled.refused == [
        (keyed["b"], refusals.NO_PIXELS),
        (keyed["d"], refusals.DUPLICATE),
        (keyed["e"], refusals.DUPLICATE_OTHER_PATIENT),
    ]
    entries = [Entry(read.file) for read in chunk]
    assert list(NAMES.files(entries)) == [(keyed[name], name) for name in "abcdef"]
    kept = {(one["kind"], one["name"], one["original"]) for one in map(json.loads, settled.identities)}
    assert {("patient", rows[0]["patient"], "MRN-1"), ("study", rows[1]["study"], "1")} < kept
    assert rows[0]["patient"].startswith("p-") and rows[0]["patient"] != rows[1]["patient"]
    assert rows[0]["study"] != rows[1]["study"]  # study 1 of two patients
    assert rows[2]["patient"] is None and rows[2]["study"] is None
    assert "MRN" not in str(rows)


def test_without_a_key_nobody_is_named_and_files_are_told_by_their_place(tmp_path: Path) -> None:
    names, ledger = Names(None, "0f" * 32), Ledger(tmp_path / "seen.bin", 0)
    settle([made("of MRN-0", None, 0), Outcome("b", refusals.NO_PIXELS)], ledger, names, RECIPE)
    settled = settle([made("of MRN-1", "MRN-1", 1)], Ledger(tmp_path / "seen.bin", 2), names, RECIPE)
    (row,) = settled.rows
    assert row["patient"] is None and row["study"] is None and settled.identities == []
    assert row["file"] == "source-0f0f0f0f/0000002"
