"""Every count of images, wherever it is written, held against the images that are really there.

The truth is counted anew from the cohort, the tables of matches, the reviewers' decisions and the released files.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from html import unescape
from pathlib import Path
from typing import Any

import audit_parts as parts
import numpy as np
import pytest
import review_parts
import yaml

from medaudit.artifacts.authentication import KEY_NAME
from medaudit.artifacts.findings import DETECTOR_MATCHES, open_audit, read_matches
from medaudit.cli.app import run
from medaudit.images import transforms as edit
from medaudit.stages import review, review_apply

UNUSABLE, REFUSED = 17, 1
KINDS = ("identity", "gamma-0.6", "mirror")


@dataclass(frozen=True)
class Truth:
    """Of one synthetic cohort; None: there is no release."""

    refused: int | None
    set_aside: int | None
    withheld_before: int
    searched: int
    flagged: int
    cleared: int
    suspects: int
    released: int | None = None
    withheld: int | None = None


def settings(folder: Path) -> Path:
    path = folder / "audit.yaml"
    body = parts.settings(required_kinds=KINDS).model_dump(mode="json")
    path.write_text(yaml.safe_dump({name: body[name] for name in (*parts.QUICK, "required_kinds")}))
    return path


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """S: two near-copies and 40 others; another cohort of 24 without copies. One image of each is unusable."""
    folder = tmp_path_factory.mktemp("counts")
    copies = np.stack([edit.gamma(one, 1.1) for one in parts.films((3, 6))]).astype(np.float32)
    facts: dict[str, Any] = {"marks": {UNUSABLE: "constant image"}, "refused": [("x.png", "not an image")]}
    parts.usual(folder, np.concatenate([copies, parts.films(range(800, 840))]), **facts)
    parts.write(folder / "clean", parts.films(range(800, 824)), [None] * 24, role="synthetic", **facts)
    return folder


@dataclass(frozen=True)
class Said:
    """What the program said of one case: screens and files, by name."""

    truth: Truth
    texts: dict[str, str]
    records: dict[str, Any]


def told(capsys: pytest.CaptureFixture[str], *arguments: str | Path, code: int = 0) -> str:
    """The screen of a command."""
    capsys.readouterr()
    assert run([*map(str, arguments), "-q"]) == code
    return capsys.readouterr().out


def audited(work: Path, cohort: str, out: str, code: int, capsys: pytest.CaptureFixture[str]) -> str:
    folders = [
        word for role, name in (("train", "T"), ("holdout", "H")) for word in (f"--{role}", work / name)
    ]
    more = ["--synthetic", work / cohort, "--out", work / out, "--config", settings(work), "--device", "cpu"]
    return told(capsys, "audit", *folders, *more, code=code)


def reported(
    work: Path, audit: str, out: Path, capsys: pytest.CaptureFixture[str], *more: str | Path
) -> Said:
    """Both editions of the report."""
    texts, records = {}, {}
    for edition in ("shareable", "confidential"):
        given = ["--out", out / edition, "--edition", edition, "--key", work / KEY_NAME]
        told(capsys, "report", work / audit, *given, *more)
        html = (out / edition / "report.html").read_text()
        html = re.sub(r"<(style|script|svg)\b.*?</\1>", " ", html, flags=re.DOTALL)
        texts[edition] = re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html)))
        records[edition] = json.loads((out / edition / "report.json").read_text())["numbers"]
    return Said(Truth(None, None, 0, 0, 0, 0, 0), texts, records)


def flags(work: Path, audit: str) -> tuple[set[int], set[int]]:
    """Rows of S that any detector flags, and those that are suspect under one and flagged under none."""
    rows = read_matches(open_audit(work / audit)[0], DETECTOR_MATCHES).to_pylist()
    flagged = {row["synthetic_id"] for row in rows if row["flagged"]}
    return flagged, {row["synthetic_id"] for row in rows if row["suspect"]} - flagged


def released_images(folder: Path) -> int:
    with np.load(folder / "images.npz") as archive:
        return len(archive["images"])


def released(
    work: Path, cohort: str, audit: str, out: Path, capsys: pytest.CaptureFixture[str], *more: str | Path
) -> tuple[dict[str, str], dict[str, Any]]:
    """Screens and papers of a release; records of its certificate and manifest."""
    where = [
        "--synthetic",
        work / cohort,
        "--audit",
        work / audit,
        "--out",
        out,
        "--format",
        "npz",
        "--text",
        "off",
    ]
    screen = told(capsys, "release", *where, *more)
    texts = {
        "release": screen,
        "verify": told(capsys, "verify", out),
        "card": (out / "README.txt").read_text(),
    }
    return texts, {
        "certificate": json.loads((out / "certificate.json").read_text()),
        "manifest": json.loads((out / "manifest.json").read_text()),
    }


# --- what a count is called, in records and in sentences -----------------------------------------------------------

# Of a record's dotted path, the field of Truth that it must equal. Checked against every count that occurs.
PATHS = {
    r"images\.(refused|set_aside|withheld_before|searched|flagged|cleared|suspects|released|withheld)": r"\1",
    r"audit\.counts\.synthetic": "searched",
    r"audit\.counts\.(flagged|suspects)": r"\1",
    r"audit\.withheld": "withheld_before",
    r"audit\.remainder\.withheld": "flagged",
    r"release\.images": "released",
    r"release\.(withheld|cleared|set_aside)": r"\1",
    r"review\.(flagged|cleared)": r"\1",
    r"counts\.(released|withheld|flagged|suspects|set_aside)": r"\1",  # of a certificate
    r"review\.cleared|settings\.review\.cleared": "cleared",
    r"images": "released",  # of a manifest
}
# Counts of something else, by path: of one detector, of a planted kind, of T or H, of the audit of the rest.
OTHERS = re.compile(
    r"audit\.(detectors|controls|agreement|exposure|reidentification|utility|variety)\.|audit\.remainder\.(synthetic|flagged)"
    r"|review\.(stands|withheld)$|cohorts\.|subgroups\.|.*\.(train|holdout)_|images\.released_before$|power\.|detectors\."
    r"|audit\.counts\.patients|text_pass\."
)
NAMES = re.compile(
    r"(refused|set_aside|withheld|withheld_before|searched|synthetic|flagged|cleared|suspects?|released|images)$"
)


def counts(record: Any, path: str = "") -> Iterator[tuple[str, int]]:
    """Every whole number whose name is one of images, with its dotted path."""
    if isinstance(record, dict):
        for name, value in record.items():
            yield from counts(value, f"{path}.{name}" if path else name)
    elif isinstance(record, list):
        for value in record:
            yield from counts(value, path)
    elif isinstance(record, int) and not isinstance(record, bool) and NAMES.search(path):
        yield path, record


NUMBER = r"(?<![\d.,])(\d[\d,]*|none|None)"
# What a sentence counts: pattern with one number, field of Truth.
SENTENCES = [
    (rf"released {NUMBER} images", "released"),
    (rf"whole: {NUMBER} images", "released"),
    (rf"Images released {NUMBER} images?, in the release", "released"),
    (rf"{NUMBER} images made by", "released"),
    (rf"{NUMBER} generated chest radiographs", "released"),
    (rf"writes the {NUMBER} images? that were searched", "searched"),
    (rf"All {NUMBER} synthetic images", "searched"),
    (rf"of {NUMBER} synthetic images", "searched"),
    (rf"{NUMBER} images of this cohort searched", "searched"),
    (rf"of {NUMBER} images were flagged", "searched"),
    (rf"among the {NUMBER} searched", "searched"),
    (rf"(?:; |^|Images )withheld {NUMBER} by that release", "withheld"),
    (rf"; withheld {NUMBER}", "withheld"),
    (rf"letters were found in them: {NUMBER}", "withheld"),
    (rf"{NUMBER} withheld[,)]", "withheld"),
    (rf"{NUMBER} of them before this audit", "withheld_before"),
    (rf"Images withheld {NUMBER} before this audit", "withheld_before"),
    (rf"{NUMBER} images? (?:was|were) withheld before", "withheld_before"),
    (rf"{NUMBER} of (?:the )?\d+ synthetic images flagged", "flagged"),
    (rf"{NUMBER} of \d+ synthetic images (?:was|were) found to", "flagged"),
    (rf"{NUMBER} of those searched (?:is|are) flagged", "flagged"),
    (rf"[Ww]ithholding the {NUMBER} flagged", "flagged"),
    (rf"Withhold the {NUMBER} flagged", "flagged"),
    (rf"Flagged: {NUMBER}", "cleared"),
    (rf"{NUMBER} flagged and cleared by people", "cleared"),
    (rf"{NUMBER} cleared by people", "cleared"),
    (rf"{NUMBER} of \d+ images (?:was|were) flagged, looked at", "cleared"),
    (rf"{NUMBER} suspects?\b", "suspects"),
    (rf"Suspects:? {NUMBER}", "suspects"),
    (rf"{NUMBER} (?:suspects? (?:is|are) )?listed for the reviewer", "suspects"),
    (rf"{NUMBER} images? flagged or suspect", "flagged or suspect"),
    (rf"{NUMBER} images? lies? closer to a training image than any", "suspects"),
    (rf"{NUMBER} unusable", "set_aside"),
    (rf"unusable when the cohort was made: {NUMBER}", "set_aside"),
    (rf"{NUMBER} files? of its source (?:was|were) refused", "refused"),
]  # fmt: skip


def value_of(word: str) -> int:
    return 0 if word.lower() == "none" else int(word.replace(",", ""))


def check(said: Said) -> set[str]:
    """Hold every count against the truth; returns the fields that were met."""
    met: set[str] = set()
    truth = asdict(said.truth)
    truth["flagged or suspect"] = truth["flagged"] + truth["suspects"]
    for place, record in said.records.items():
        for path, count in counts(record):
            name = next(
                (re.sub(one, field, path) for one, field in PATHS.items() if re.fullmatch(one, path)), None
            )
            if name is None:
                assert OTHERS.search(path), (
                    f"{place}: {path} = {count} is a count that this test does not know"
                )
                continue
            assert truth[name] == count, f"{place}: {path} says {count}, there are {truth[name]} {name}"
            met.add(name)
    for place, text in said.texts.items():
        assert not re.search(r"held back", text, flags=re.IGNORECASE), place
        for pattern, name in SENTENCES:
            for match in re.finditer(pattern, text):
                shown = text[max(0, match.start() - 60) : match.end() + 60]
                assert truth[name] == value_of(match[1]), (
                    f"{place}: {shown!r}; there are {truth[name]} {name}"
                )
                met.add(name)
    return met


def test_nothing_flagged_with_suspects_and_images_that_are_unusable(
    work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    screen = audited(work, "clean", "B", 0, capsys)
    flagged, suspects = flags(work, "B")
    assert not flagged and suspects  # what this case is for
    before = Truth(REFUSED, 1, 0, 23, 0, 0, len(suspects))
    cohort = ("--cohort", work / "clean")
    report = reported(work, "B", tmp_path / "before", capsys, *cohort)
    assert check(Said(before, {"audit": screen, **report.texts}, report.records)) == {
        "refused", "set_aside", "withheld_before", "searched", "flagged", "cleared", "suspects",
        "flagged or suspect",
    }  # fmt: skip
    texts, records = released(work, "clean", "B", tmp_path / "D", capsys)
    after = Truth(REFUSED, 1, 0, 23, 0, 0, len(suspects), released_images(tmp_path / "D"), 0)
    assert after.released == 23  # suspects go out, the unusable image does not
    check(Said(after, texts, records))
    report = reported(work, "B", tmp_path / "after", capsys, *cohort, "--release", tmp_path / "D")
    assert {"released", "withheld", "suspects"} <= check(Said(after, report.texts, report.records))
    for text in report.texts.values():
        assert "A suspect is not flagged and not withheld" in text


def test_flags_that_people_cleared_and_flags_that_are_withheld(
    work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    screen = audited(work, "S", "A", 10, capsys)
    flagged, suspects = flags(work, "A")
    assert flagged == {0, 1} and suspects
    none = Truth(None, None, 0, 41, 2, 0, len(suspects))
    with_cohort = Truth(REFUSED, 1, 0, 41, 2, 0, len(suspects))
    report = reported(work, "A", tmp_path / "refused", capsys)
    check(Said(with_cohort, {"audit": screen}, {}))
    check(Said(none, report.texts, report.records))

    review.run(work / "A", work / "T", work / "S")
    again = ["--withhold-flagged", "--train", work / "T", "--holdout", work / "H"]
    for name, answers, cleared in (
        ("all", {0: "not-a-copy", 1: "not-a-copy"}, 2),
        ("one", {0: "not-a-copy"}, 1),
    ):
        out = tmp_path / name
        out.mkdir()
        files = [
            review_parts.save(
                out / f"{who}.json", review_parts.verdicts(work / "A.review", answers, reviewer=who)
            )
            for who in ("First Reader", "Second Reader")
        ]
        review_apply.run(work / "A", files, out / "R")
        more = ["--review", out / "R", *(again if cleared == 1 else [])]
        texts, records = released(work, "S", "A", out / "D", capsys, *more)
        count = released_images(out / "D")
        # the certificate counts the images of the audit that cleared them: the rest, where some were withheld
        sure = Truth(None, 1, 2 - cleared, count, cleared, cleared, len(suspects), count, 2 - cleared)
        assert count == 41 - (2 - cleared)
        check(Said(sure, texts, records))
        report = reported(work, "A", out / "report", capsys, "--release", out / "D", "--review", out / "R")
        seen = Truth(None, 1, 0, 41, 2, cleared, len(suspects), count, 2 - cleared)
        assert {"released", "withheld", "cleared"} <= check(Said(seen, report.texts, report.records))
    report = reported(work, str(tmp_path / "one" / "D.audit"), tmp_path / "rest", capsys)
    rest = flags(tmp_path / "one", "D.audit")
    check(Said(Truth(None, None, 1, 40, len(rest[0]), 0, len(rest[1])), report.texts, report.records))


def test_the_check_of_counts_would_fire() -> None:
    truth = Truth(None, None, 0, 25, 2, 0, 3)
    for record in ({"images": {"flagged": 3}}, {"audit": {"withheld": 5}}, {"counts": {"suspects": 0}}):
        with pytest.raises(AssertionError):
            check(Said(truth, {}, {"x": record}))
    with pytest.raises(AssertionError, match="does not know"):
        check(Said(truth, {}, {"x": {"new": {"suspects": 3}}}))
    for text in ("All 26 synthetic images", "Images held back 0", "4 suspects", "withholding the 1 flagged"):
        with pytest.raises(AssertionError):
            check(Said(truth, {"x": text}, {}))
