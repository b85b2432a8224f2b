"""Every way to refuse a release ends with an exit code that is not 0, one calm line, and nothing in place."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from forged_parts import forge, put
from release_parts import IMAGES, PATIENT_CANARY, TRAIN_CANARY, make_audit, make_cohort

from medaudit.artifacts.authentication import KEY_NAME
from medaudit.artifacts.second_looks import LedgerRecord
from medaudit.cli.app import run as front
from medaudit.errors import MedauditError, NotReleasable
from medaudit.stages import audit, release

Case = SimpleNamespace
SUPPORTED, REFUSED, OPEN = "release-supported", "do-not-release", "inconclusive"


@pytest.fixture
def case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    """S, T, H; second looks are played: they answer with `second`, and are counted in `looks`."""
    cohorts = {
        name: make_cohort(tmp_path / name, seed=seed, origin="synthetic" if name == "S" else "real")
        for seed, name in enumerate("STH")
    }
    found = Case(
        folder=tmp_path, s=tmp_path / "S", d=tmp_path / "D", id=cohorts["S"].id, second=(SUPPORTED, ()), looks=[],
        parents={"train_id": cohorts["T"].id, "holdout_id": cohorts["H"].id},
        call={"train": tmp_path / "T", "holdout": tmp_path / "H"}, letters=(),
    )  # fmt: skip

    def second_look(
        train: Path, holdout: Path, synthetic: Path, out: Path, *rest: Any, withheld: Any, **more: Any
    ) -> None:
        found.looks.append(withheld)
        verdict, flagged = found.second
        make_audit(out, found.id, verdict=verdict, flagged=flagged, withheld=withheld, **found.parents)

    monkeypatch.setattr(audit, "run", second_look)
    monkeypatch.setattr(release, "rows_with_letters", lambda *_: found.letters)
    return found


def audited(case: Case, verdict: str, flagged: tuple[int, ...] = (), **more: Any) -> Path:
    make_audit(case.folder / "A", case.id, verdict=verdict, flagged=flagged, **{**case.parents, **more})
    return case.folder / "A"


def flagged_before(case: Case) -> Path:
    """An audit under a ledger that flags what is out already."""
    first = audited(case, REFUSED, (2,))
    place = LedgerRecord(
        number=2, site_alpha=0.05, releases=["d" * 64], cohorts=["c" * 64], withheld=[[]], released_before=0,
        flagged_before=1,
    )  # fmt: skip
    edits = {"audit.json": put("ledger", value=place.model_dump(mode="json"))}
    return forge(first, case.folder / "L", edits, key=case.folder / KEY_NAME)


ALL = tuple(range(IMAGES))
USED = tuple(row for row in ALL if row != 5)


def _with(case: Case, **played: Any) -> Case:
    vars(case).update(played)
    return case


WAYS: dict[str, tuple[int, Callable[[Case], dict[str, Any]]]] = {
    "flags": (10, lambda c: {"audit": audited(c, REFUSED, (2,))}),
    "cohort test": (10, lambda c: {"audit": audited(c, REFUSED)}),
    "doubt": (20, lambda c: {"audit": audited(c, OPEN)}),
    "doubt, asked to withhold": (20, lambda c: {"audit": audited(c, OPEN), "withhold_flagged": True}),
    "nothing to withhold": (10, lambda c: {"audit": audited(c, REFUSED), "withhold_flagged": True}),
    "everything flagged": (10, lambda c: {"audit": audited(c, REFUSED, USED), "withhold_flagged": True}),
    "letters everywhere": (10, lambda c: {"audit": audited(_with(c, letters=USED), SUPPORTED), "withhold_text": True}),
    "second look refuses": (
        10,
        lambda c: {"audit": audited(_with(c, second=(REFUSED, (1,))), REFUSED, (2,)), "withhold_flagged": True},
    ),
    "second look doubts": (
        20,
        lambda c: {"audit": audited(_with(c, second=(OPEN, ())), REFUSED, (2,)), "withhold_flagged": True},
    ),
    "second look for letters refuses": (
        10,
        lambda c: {
            "audit": audited(_with(c, second=(REFUSED, (1,)), letters=(3,)), SUPPORTED), "withhold_text": True,
        },
    ),
    "letters of a refused set": (
        10, lambda c: {"audit": audited(_with(c, letters=(3,)), REFUSED, (2,)), "withhold_text": True},
    ),
    "letters of a doubtful set": (
        20, lambda c: {"audit": audited(_with(c, letters=(3,)), OPEN), "withhold_text": True},
    ),
    "flagged and out": (
        10, lambda c: {"audit": flagged_before(c), "withhold_flagged": True, "begin": lambda *_: None},
    ),
    "no ledger for an audit under one": (2, lambda c: {"audit": flagged_before(c)}),
    "another number of images": (1, lambda c: {"audit": audited(c, SUPPORTED, searched=5)}),
    "another cohort": (1, lambda c: {"audit": audited(_with(c, id="f" * 64), SUPPORTED)}),
    "films": (1, lambda c: {"audit": audited(c, SUPPORTED), "synthetic": c.folder / "T"}),
    "no cohorts to look again": (
        2, lambda c: {"audit": audited(c, REFUSED, (2,)), "withhold_flagged": True, "train": None},
    ),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_a_refusal_is_never_exit_code_0(case: Case, way: str) -> None:
    code, how = WAYS[way]
    asked = {"synthetic": case.s, "out": case.d, "format": "npz", **case.call, **how(case)}
    with pytest.raises(MedauditError) as caught:
        release.run(**asked)
    said = str(caught.value)
    assert caught.value.exit_code == code != 0
    assert "\n" not in said and PATIENT_CANARY not in said and TRAIN_CANARY not in said
    assert not case.d.exists() and NotReleasable.exit_code == 10


@pytest.mark.parametrize("way", ["flags", "doubt", "letters everywhere"])
def test_the_front_door_ends_with_the_same_code(
    case: Case, way: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, how = WAYS[way]
    asked = how(case)
    arguments = [
        "--synthetic",
        str(case.s),
        "--audit",
        str(asked["audit"]),
        "--out",
        str(case.d),
        "--text",
        "off",
    ]
    for name in ("train", "holdout"):
        arguments += [f"--{name}", str(case.call[name])]
    assert front(["release", *arguments, *(["--withhold-text"] if "withhold_text" in asked else [])]) == code
    assert capsys.readouterr().err.startswith("NotReleasable: ") and not case.d.exists()


@pytest.mark.parametrize("verdict", [REFUSED, OPEN])
def test_letters_buy_no_second_look_for_a_refused_set(case: Case, verdict: str) -> None:
    """A second look would clear it: it is not asked."""
    path = audited(_with(case, letters=(3,)), verdict, (2,) if verdict == REFUSED else ())
    with pytest.raises(NotReleasable):
        release.run(case.s, path, case.d, "npz", withhold_text=True, **case.call)
    assert case.looks == []
    if verdict == REFUSED:  # with the flagged images withheld as well there is one, without both
        release.run(case.s, path, case.d, "npz", withhold_text=True, withhold_flagged=True, **case.call)
        assert case.looks == [(2, 3)]
        assert len(np.load(case.d / "images.npz")["images"]) == 4
