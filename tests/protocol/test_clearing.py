"""What a ledger allows: all that an audit could let out may go again in another form, nothing new may.

The truth is planted: who released which rows of which cohort under which audit is written by the test.
Axes: N images of S1.
"""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medaudit.artifacts.ledger import Ledger, people_sha256
from medaudit.artifacts.second_looks import LedgerRecord
from medaudit.errors import CohortMismatch, MedauditError, NotReleasable
from medaudit.protocol.clearing import require_ledger_clearance

NAMES = ["p-00000000000000a1", "p-00000000000000a2", "p-00000000000000a3"]
TRAIN, HOLDOUT, A1, A2, S1, S2 = "T", "H", "A1", "A2", "S1", "S2"
N = 5


class Site:
    """A ledger written by hand: T, the audit A1 of S1 and the audit A2 of S2, and the releases that a test plants."""

    def __init__(self, path: Path) -> None:
        self.ledger = Ledger(path, write=True)
        self.releases = 0
        body = {
            "images": 9,
            "patients": 3,
            "known": True,
            "key": "k1",
            "patients_sha256": people_sha256(NAMES),
        }
        self.ledger.append("cohort", TRAIN, body, (TRAIN, NAMES))
        for audit, synthetic in ((A1, S1), (A2, S2)):
            facts = {
                "train": TRAIN,
                "holdout": HOLDOUT,
                "synthetic": synthetic,
                "model": None,
                "releases": [],
            }
            self.ledger.append("audit", audit, facts)

    def released(self, synthetic: str, cleared_by: str, withheld: Sequence[int] = ()) -> str:
        self.releases += 1
        name = f"R{self.releases}"
        self.ledger.append(
            "release", name,
            {"synthetic": synthetic, "train": TRAIN, "cleared_by": cleared_by, "withheld": list(withheld),
             "audit": cleared_by, "receivers": []},
        )  # fmt: skip
        return name

    def asks(self, withheld: Sequence[int] = (), audit: str = A1, **place: Any) -> dict[str, Any]:
        """A release of S1 under an audit that set these rows aside and looked at the cohorts of `place`."""
        cohorts = place.get("cohorts", [])
        record = LedgerRecord(
            number=1,
            site_alpha=0.05,
            releases=[f"r{one}" for one in cohorts],
            cohorts=cohorts,
            withheld=place.get("left_out", [[] for _ in cohorts]),
            released_before=0,
            flagged_before=0,
        )
        return require_ledger_clearance(
            self.ledger,
            SimpleNamespace(id=audit, path=Path(audit)),  # type: ignore[arg-type]
            SimpleNamespace(ledger=record, withheld=list(withheld)),  # type: ignore[arg-type]
        )

    def allows(self, withheld: Sequence[int] = (), **place: Any) -> bool:
        try:
            self.asks(withheld, **place)
        except MedauditError:
            return False
        return True


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "l")


def test_what_is_out_whole_may_go_in_another_form_whatever_was_released_since(site: Site) -> None:
    site.released(S1, A1)
    site.released(S2, A2)
    assert site.asks()["synthetic"] == S1


def test_a_part_that_is_out_does_not_let_the_rest_follow(site: Site) -> None:
    """The second look of A1 withheld rows 0 and 1; S2 went out; A1 itself could let these two rows out."""
    site.released(S1, A1, [0, 1])
    assert site.allows()  # nothing else is out
    site.released(S2, A2)
    with pytest.raises(CohortMismatch, match="1 earlier release of the same training patients stands"):
        site.asks()
    assert site.allows([0, 1])  # an audit that sets both aside has nothing new to let out
    assert site.allows([0, 1, 2]) and not site.allows([0]) and not site.allows([2])


def test_another_audit_of_the_same_cohort_is_held_against_what_is_out_since(site: Site) -> None:
    site.released(S1, "another audit")
    site.released(S2, A2)
    with pytest.raises(CohortMismatch, match="run medaudit audit again with --with-release"):
        site.asks()


def test_parts_are_not_added_up_to_a_whole(site: Site) -> None:
    """Each of two releases held back what the other let out: no release let all of it out."""
    site.released(S1, A1, [0])
    site.released(S1, A1, [1])
    site.released(S2, A2)
    assert not site.allows()


def test_what_is_out_whole_is_no_way_round_a_withdrawal(site: Site) -> None:
    release = site.released(S1, A1)
    site.ledger.append("withdrawal", f"patient:{NAMES[1]}", {"reason": "asked"})
    with pytest.raises(NotReleasable, match="1 patient of the training cohort withdrew"):
        site.asks()
    site.ledger.append("withdrawal", f"release:{release}", {"reason": "found"})
    assert not site.allows()


def test_a_withdrawn_release_ends_it_even_where_another_stands(site: Site) -> None:
    gone = site.released(S1, A1)
    site.released(S1, A1)
    site.ledger.append("withdrawal", f"release:{gone}", {"reason": "found"})
    with pytest.raises(NotReleasable, match="was withdrawn; it is not released again"):
        site.asks()


def test_an_audit_that_looked_at_what_is_out_is_allowed_and_one_that_left_rows_out_is_not(site: Site) -> None:
    site.released(S2, A2, [3])
    assert site.allows(cohorts=[S2], left_out=[[3]])
    assert site.allows(cohorts=[S2], left_out=[[]])  # it looked at more than went out
    assert not site.allows(cohorts=[S2], left_out=[[2, 3]])  # row 2 is out and was not looked at
    assert not site.allows(cohorts=["S3"]) and not site.allows()


def test_an_audit_that_the_ledger_does_not_know_is_refused_first(site: Site) -> None:
    site.released(S1, "A9")
    with pytest.raises(CohortMismatch, match="is no audit that"):
        site.asks(audit="A9")


rows = st.sets(st.integers(0, N - 1))


@settings(max_examples=150, deadline=None)
@given(
    out=st.lists(st.tuples(st.sampled_from([A1, "A1b"]), rows), max_size=3),
    aside=rows,
    since=st.booleans(),
)
def test_allowed_is_what_lets_nothing_new_out(
    out: list[tuple[str, set[int]]], aside: set[int], since: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """By images: with S2 out unseen, A1 may let its images out exactly when one release of its own held them all."""
    site = Site(tmp_path_factory.mktemp("clearing") / "l")
    for audit, withheld in out:
        site.released(S1, audit, sorted(withheld))
    if since:
        site.released(S2, A2)
    everything = set(range(N))
    wanted = everything - aside
    own = [everything - withheld for audit, withheld in out if audit == A1]
    assert site.allows(sorted(aside)) == (not since or any(wanted <= gone for gone in own))
    site.ledger.__exit__(None, None, None)
