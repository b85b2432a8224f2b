"""The second look: withholding the flagged images, judged at once, as a whole audit of the rest would judge it."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import audit_parts as parts
import numpy as np
import pytest

from medaudit.artifacts.cohort import open_cohort
from medaudit.artifacts.findings import Audit, open_audit, read_matches
from medaudit.cli.app import run as front
from medaudit.errors import ArtifactKindMismatch
from medaudit.stages import audit, clearance

FEW = range(800, 848)


def run(folder: Path, name: str = "A", **options: Any) -> Audit:
    options = {"settings": parts.settings(), "device": "cpu", **options}
    audit.run(folder / "T", folder / "H", folder / "S", folder / name, **options)
    return open_audit(folder / name)[1]


def few_copies(folder: Path) -> None:
    parts.usual(folder, np.concatenate([parts.films([0, 7, 19, 7]), parts.films(FEW)]))


def closeness_without_copies(folder: Path) -> None:
    """Two copies, and averages of training films: none a copy, all close to T."""
    mixed = [parts.films(parts.generator(i).choice(60, 8, replace=False)).mean(axis=0) for i in range(31)]
    parts.usual(folder, np.concatenate([parts.films([4, 9]), np.stack(mixed)]))


def weak_rest(folder: Path) -> None:
    """Copies, and too few other images for the cohort test."""
    parts.usual(folder, np.concatenate([parts.films([4, 9, 11]), parts.films(range(800, 803))]))


CASES = [
    (few_copies, "release-supported"),
    (closeness_without_copies, "do-not-release"),
    (weak_rest, "inconclusive"),
]


@pytest.mark.parametrize(("make", "verdict"), CASES)
def test_the_rest_is_judged_as_a_whole_audit_of_it_would(tmp_path: Path, make: Any, verdict: str) -> None:
    make(tmp_path)
    record = run(tmp_path)
    assert record.verdict == "do-not-release" and record.remainder is not None
    rest = record.remainder
    matches = read_matches(open_audit(tmp_path / "A")[0]).to_pylist()
    flagged = [row["synthetic_id"] for row in matches if row["flagged"]]
    whole = run(tmp_path, "B", withheld=flagged, alpha_spent=0.025)
    assert rest.verdict == whole.verdict == verdict
    assert rest.reasons == whole.reasons
    assert (rest.synthetic, rest.flagged, rest.suspects) == (
        whole.counts.synthetic, whole.counts.flagged, whole.counts.suspects,
    )  # fmt: skip
    assert (rest.excess_p, rest.run_p) == (whole.cohort_test.excess_p, whole.cohort_test.run_p)
    assert rest.cohort_rejects == whole.cohort_test.rejects
    assert rest.minimum_power == whole.controls.minimum_power
    assert rest.hidden_copies == whole.bounds.hidden_copies
    assert rest.distinct == whole.variety.distinct and rest.withheld == len(flagged) == record.counts.flagged
    assert rest.alpha == pytest.approx(0.025) and rest.enough == (verdict == "release-supported")
    assert whole.remainder is None  # a second look has no third


def test_the_words_when_withholding_is_enough(tmp_path: Path) -> None:
    few_copies(tmp_path)
    assert run(tmp_path).next_steps == [
        "Withhold the 4 flagged images: they are marked `flagged` in matches.parquet.",
        "Withholding the 4 flagged images would be enough: the remaining 48 images pass the same audit with the 0.025 "
        "of alpha that a second look has; release with --withhold-flagged writes them.",
        "3 training patients of 60 account for the flags: train again without them, if they are few, or give the model "
        "more patients.",
    ]


def test_the_words_when_it_is_not(tmp_path: Path) -> None:
    closeness_without_copies(tmp_path)
    record = run(tmp_path)
    assert record.remainder is not None and record.remainder.cohort_rejects
    assert record.next_steps[0] == record.remainder.wording
    assert record.remainder.wording.startswith("Withholding the ")
    assert "would not be enough: among the remaining" in record.remainder.wording
    assert "the cohort test still rejects" in record.remainder.wording
    assert record.next_steps[-1].startswith("Train again so that the model remembers less")
    outcome = audit.run(
        tmp_path / "T",
        tmp_path / "H",
        tmp_path / "S",
        tmp_path / "A",
        settings=parts.settings(),
        device="cpu",
    )
    assert any(line.startswith("next: Withholding the ") for line in outcome.lines)
    assert outcome.data["remainder"]["enough"] is False


def test_the_words_when_the_rest_is_too_little(tmp_path: Path) -> None:
    weak_rest(tmp_path)
    steps = run(tmp_path).next_steps
    assert steps[0] == (
        "Withholding the 3 flagged images would not be enough: an audit of the remaining 3 images is inconclusive, for "
        "reasons that withholding does not mend."
    )
    about = "Without the 3 flagged images: "
    assert steps[1].startswith(f"{about}the set holds only 3 different images")
    assert steps[3].startswith(f"{about}generate and audit more different images: the set holds 3")
    needed = re.findall(r"(?:no fewer than|needs) (\d+)", " ".join(steps))
    assert len(needed) == 2 and len(set(needed)) == 1
    assert not any("Train again so" in step for step in steps)


@pytest.mark.parametrize(("make", "code", "verdict"), [
    (closeness_without_copies, 10, "do-not-release"), (weak_rest, 20, "inconclusive"),
])  # fmt: skip
def test_release_says_at_once_what_the_audit_knows_already(
    tmp_path: Path, make: Any, code: int, verdict: str, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """No second audit is made: withholding is refused with the verdict of the rest, and nothing is written."""
    make(tmp_path)
    record = run(tmp_path)
    looks: list[int] = []
    monkeypatch.setattr(audit, "run", lambda *_, **__: looks.append(1))
    asked = [
        "--synthetic",
        tmp_path / "S",
        "--audit",
        tmp_path / "A",
        "--out",
        tmp_path / "D",
        "--text",
        "off",
    ]
    more = ["--withhold-flagged", "--train", tmp_path / "T", "--holdout", tmp_path / "H"]
    assert front(["release", *map(str, [*asked, *more]), "-q"]) == code
    said = capsys.readouterr().err
    flagged = record.counts.flagged
    assert said.count("\n") == 1 and looks == [] and not (tmp_path / "D").exists()
    assert (
        f"withholding is not enough, the audit says so already: without the {flagged} flagged images" in said
    )
    assert f"it is {verdict}" in said and "--withhold-flagged" not in said
    # without the option the advice is no other
    assert front(["release", *map(str, asked), "-q"]) == 10
    assert "--withhold-flagged" not in capsys.readouterr().err
    # settings that are not the audit's are another question
    said_of: list[str] = []
    with pytest.raises(ArtifactKindMismatch):  # the audit that is played here writes nothing
        clearance.audit_the_rest(
            open_cohort(tmp_path / "S"), open_audit(tmp_path / "A")[0], record, tmp_path / "T", tmp_path / "H",
            tmp_path / "D.audit", parts.settings(required_kinds=("identity",)), "cpu", 0,
            SimpleNamespace(say=said_of.append),  # type: ignore[arg-type]
        )  # fmt: skip
    assert looks == [1] and "other settings are given, so the rest is audited again" in said_of[0]


def test_nothing_is_left(tmp_path: Path) -> None:
    parts.usual(tmp_path, parts.films([3, 8, 21]))
    record = run(tmp_path)
    assert record.verdict == "do-not-release" and record.remainder is None
    assert record.next_steps[0] == "Every image is flagged, so withholding would leave nothing to release."


def test_images_withheld_before_stay_withheld(tmp_path: Path) -> None:
    few_copies(tmp_path)
    record = run(tmp_path, withheld=[0, 50])
    assert record.remainder is not None and record.remainder.withheld == 3
    assert record.remainder.synthetic == 4 + len(FEW) - 2 - 3
