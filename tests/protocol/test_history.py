"""Who concerns whom, and alpha over any sequence of audits: for every patient it stays below what was stated."""

import multiprocessing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medaudit.artifacts.ledger import Ledger
from medaudit.config import AuditSettings
from medaudit.errors import UsageProblem
from medaudit.protocol.history import People, concerning, reach_of_patient, standing_releases
from medaudit.protocol.reserving import _part, checked_note


def people(cohort: str, names: str, known: bool = True, key: str | None = None) -> People:
    return People(cohort, frozenset(f"p-{name}" for name in names), known, key)


def reserve(ledger: Ledger, who: People, number: int | str, alpha: float = 0.05) -> dict[str, float]:
    """One audit of these people, as `begin` records it."""
    ledger.append("cohort", who.cohort, who.body(len(who.names)), (who.cohort, who.names))
    stated = AuditSettings(alpha=alpha)  # type: ignore[call-arg]
    facts = {"train": who.cohort, "holdout": "h", "synthetic": "s", "model": None}
    return ledger.append("budget", str(number), lambda: {**facts, **_part(ledger, who, stated)}).body


@settings(max_examples=40, deadline=None)
@given(
    audits=st.lists(
        st.tuples(st.sets(st.sampled_from("abcdef"), min_size=1), st.sampled_from([0.01, 0.05, 0.1, 0.2])),
        min_size=1,
        max_size=12,
    )
)
def test_no_patient_is_audited_beyond_alpha(
    audits: list[tuple[set[str], float]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    spent: dict[str, float] = {}
    stated: dict[str, float] = {}
    with Ledger(tmp_path_factory.mktemp("alpha") / "l", write=True) as ledger:
        for number, (names, alpha) in enumerate(audits):
            who = people("".join(sorted(names)), "".join(names))
            body = reserve(ledger, who, number, alpha)
            assert body["site_alpha"] <= alpha
            for name in names:
                stated.setdefault(name, body["site_alpha"])
                spent[name] = spent.get(name, 0) + body["alpha"]
                assert spent[name] < stated[name]
        ledger.check()


def _reserve_many(path: str, who: str, count: int) -> None:
    with Ledger(Path(path), write=True) as ledger:
        for number in range(count):
            reserve(ledger, people("A", "ab"), f"{who}{number}")


def test_two_processes_that_reserve_at_once_get_parts_of_their_own(tmp_path: Path) -> None:
    """Each number once: were the audits counted before the ledger is held, two would take the same part of alpha."""
    spawn = multiprocessing.get_context("spawn")
    both = [spawn.Process(target=_reserve_many, args=(str(tmp_path / "l"), who, 12)) for who in "xy"]
    for one in both:
        one.start()
    for one in both:
        one.join(120)
    assert [one.exitcode for one in both] == [0, 0]
    with Ledger(tmp_path / "l", write=False) as ledger:
        parts = [event.body["number"] for event in ledger.check() if event.kind == "budget"]
    assert parts == list(range(1, 25))


def test_the_same_people() -> None:
    one = people("A", "abc", key="k1")
    assert one.same_as(people("A", ""))
    assert one.same_as(people("B", "cde", key="k1")) and not one.same_as(people("B", "de", key="k1"))
    assert not one.same_as(people("B", "de"))  # a key that is not known is taken for the same
    assert one.same_as(people("B", "de", key="k2"))  # pseudonyms under two keys cannot be compared
    assert one.same_as(people("B", "de", known=False)) and people("B", "", known=False).same_as(one)


def test_other_patients_have_a_budget_of_their_own(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l", write=True) as ledger:
        numbers = [
            reserve(ledger, people(names, names), place)["number"]
            for place, names in enumerate(["ab", "cd", "bc", "ef", "ab"])
        ]
        assert numbers == [1, 1, 3, 1, 3]
        assert [
            event.subject for event, _ in concerning(ledger, ledger.events(), "budget", people("x", "d"))
        ] == ["1"]


def test_when_too_little_is_left_the_audit_is_refused_and_nothing_recorded(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l", write=True) as ledger:
        for number in range(31):
            reserve(ledger, people("ab", "ab"), number)
        with pytest.raises(UsageProblem, match="audited 31 times; what is left of alpha"):
            reserve(ledger, people("ab", "ab"), 31)
        assert len(ledger.check()) == 33


def test_a_patient_in_a_cohort_that_was_never_audited_is_found(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l", write=True) as ledger:
        who = people("A", "ab")
        ledger.append("cohort", who.cohort, who.body(2), (who.cohort, who.names))
        assert reach_of_patient(ledger, ledger.events(), "p-a").held_out == ["A"]
        assert not any(reach_of_patient(ledger, ledger.events(), "p-z").as_dict().values())


@pytest.mark.parametrize("text", ["a\nb", "a" * 201, "\x1b[0m", "tab\there"])
def test_notes_are_one_line(text: str) -> None:
    with pytest.raises(UsageProblem):
        checked_note("--by", text)
    assert checked_note("--by", "Dr Ünal, data office") == "Dr Ünal, data office"


def test_what_is_out_is_what_any_standing_release_of_a_cohort_let_out(tmp_path: Path) -> None:
    released = [
        ("R1", "S1", [1, 2, 3]),
        ("R2", "S1", [2, 3, 4]),
        ("R3", "S2", [5]),
        ("R4", "S1", []),
        ("R5", "S3", []),
    ]
    with Ledger(tmp_path / "l", write=True) as ledger:
        who, others = people("A", "ab"), people("B", "yz")
        for side in (who, others):
            ledger.append("cohort", side.cohort, side.body(2), (side.cohort, side.names))
        for name, synthetic, withheld in released:
            train = "B" if name == "R5" else "A"
            ledger.append("release", name, {"train": train, "synthetic": synthetic, "withheld": withheld})
        ledger.append("withdrawal", "release:R4", {})
        found = standing_releases(ledger, ledger.events(), who, "S9")
        assert [(event.subject, body["withheld"]) for event, body in found] == [("R1", [2, 3]), ("R3", [5])]
        assert [event.subject for event, _ in standing_releases(ledger, ledger.events(), who, "S1")] == ["R3"]
