"""Copies and other pictures of training patients, told apart and counted apart; the flag and the verdict stay.

T and H have follow-up films (every third patient); S holds exact and mirrored copies, new pictures of patients of T,
and unseen people.
"""

from pathlib import Path

import audit_parts as parts
import numpy as np
import pytest

from medaudit.artifacts.cohort import open_cohort
from medaudit.artifacts.findings import Audit, open_audit, read_matches
from medaudit.images.transforms import gamma, mirror
from medaudit.progress import SILENT
from medaudit.protocol.described import Machine
from medaudit.protocol.duplicates import lines, same_films, searched
from medaudit.protocol.follow_ups import FollowUps
from medaudit.protocol.sides import Side
from medaudit.stages import audit
from medaudit.stages.outcome import Outcome

COPIED, PICTURED = (0, 7, 19, 33), (1, 4, 10, 22, 40)


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome, Audit]:
    folder = tmp_path_factory.mktemp("people")
    copies = [parts.film(0), mirror(parts.film(7)), gamma(parts.film(19), 1.5), parts.film(33)]
    pictures = parts.films(PICTURED, exposure=2)
    parts.usual(folder, np.concatenate([np.stack(copies), pictures, parts.films(parts.UNSEEN)]))
    outcome = audit.run(
        folder / "T", folder / "H", folder / "S", folder / "A", settings=parts.settings(), device="cpu"
    )
    return folder, outcome, open_audit(folder / "A")[1]


def test_copies_and_pictures_are_told_apart(audited: tuple[Path, Outcome, Audit]) -> None:
    folder, _, record = audited
    rows = read_matches(open_audit(folder / "A")[0]).to_pylist()
    assert record.verdict == "do-not-release"
    assert all(row["flagged"] for row in rows[: len(COPIED)])
    assert [row["relation"] for row in rows[: len(COPIED)]] == ["copy"] * len(COPIED)
    seen = [row for row in rows[len(COPIED) : len(COPIED) + len(PICTURED)] if row["flagged"]]
    assert len(seen) >= 3  # a new picture of the person gives the person away
    assert {row["relation"] for row in seen} == {"same-person"}
    assert {row["patient"] for row in seen} <= {f"p-{person:04}" for person in PICTURED}
    assert all(row["relation"] is None for row in rows if not row["flagged"])
    found = record.reidentification
    assert found is not None
    assert (found.copies, found.same_person) == (len(COPIED), len(seen))
    assert record.counts.flagged == found.copies + found.same_person


def test_the_verdict_says_it_in_its_own_line(audited: tuple[Path, Outcome, Audit]) -> None:
    _, outcome, record = audited
    found = record.reidentification
    assert found is not None
    assert f"{found.copies} as copies, {found.same_person} at least as the same person)" in outcome.lines[0]
    assert "give a training patient away" in record.reasons[0] and "copy a training" not in record.reasons[0]
    assert record.reasons[1].startswith(f"{found.same_person} of {record.counts.flagged} flagged images")
    assert found.known_again is not None and found.known_again.wording in record.reasons


def test_the_reference_is_the_follow_ups(audited: tuple[Path, Outcome, Audit]) -> None:
    found = audited[2].reidentification
    assert found is not None and found.known_again is not None
    assert found.follow_up_pairs == 40 and found.line_source == "follow-ups"
    assert found.copy_line == found.most_alike_follow_up and found.copy_line > 0
    known = found.known_again
    assert known.follow_ups == 20 and known.unseen == 120
    assert known.named.of == known.flagged.of == 20 and known.flagged.count <= known.named.count
    assert known.named.count >= 18 and known.auc == known.auc_high == 1
    assert known.auc_low == pytest.approx(0.0125 ** (1 / 20) * 0.0125 ** (1 / 120))  # of full separation


def test_follow_ups_leave_out_the_same_film(tmp_path: Path) -> None:
    """Patient 0: a film and its twin; 1: a film, its twin, another exposure; 2: one film; 3: two exposures."""
    images = np.concatenate(
        [parts.films([0, 0, 1, 1]), parts.films([1], 1), parts.films([2, 3]), parts.films([3], 1)]
    )
    other = parts.films(range(10, 30))
    names = [*parts.names([0, 0, 1, 1, 1, 2, 3, 3]), *parts.names(range(10, 30))]
    parts.write(tmp_path / "T", np.concatenate([images, other]), names, role="train")
    side = Side.of(open_cohort(tmp_path / "T"))
    machine = Machine("cpu", 1 << 28, SILENT, lambda name: tmp_path / name)
    limits = lines(searched(side, machine), machine, 0)
    assert same_films(images[[0, 2, 4]], images[[1, 4, 3]], limits).tolist() == [True, False, False]
    for seed in range(4):
        drawn = FollowUps.draw(side, np.zeros(0, dtype=int), limits, "train", seed)
        assert side.groups[drawn.place].tolist() == side.groups[[2, 6]].tolist()
        first, others, twins = drawn.place[0], drawn.others[0].tolist(), sorted(drawn.twins[0].tolist())
        assert (sorted(others), twins) == (([2, 3], [4]) if first == 4 else ([4], [2, 3]))
    assert not len(FollowUps.draw(side, side.groups[[2, 6]], limits, "train", 0))


def test_without_follow_ups_the_fixed_line_is_used(tmp_path: Path) -> None:
    once = range(60)
    parts.write(tmp_path / "T", parts.films(once), parts.names(once), role="train")
    held = range(500, 560)
    parts.write(tmp_path / "H", parts.films(held), parts.names(held), role="holdout")
    for name, images in (("S", parts.films(parts.UNSEEN)), ("C", parts.films([3, *parts.UNSEEN]))):
        parts.write(tmp_path / name, images, [None] * len(images), role="synthetic")
        audit.run(
            tmp_path / "T", tmp_path / "H", tmp_path / name, tmp_path / f"A{name}", settings=parts.settings(),
            device="cpu",
        )  # fmt: skip
    for name, copies in (("S", 0), ("C", 1)):
        found = open_audit(tmp_path / f"A{name}")[1].reidentification
        assert found is not None and found.known_again is None
        assert (found.copies, found.same_person, found.follow_up_pairs) == (copies, 0, 0)
        assert (found.copy_line, found.line_source, found.most_alike_follow_up) == (0.0, "fixed", None)
    assert "copies a training patient's scan" in open_audit(tmp_path / "AC")[1].reasons[0]
