"""audit: copies named, unseen people let through, every mismatch refused, killed runs end in the same bytes.

Axes: N synthetic images, (Y, X) pixels unequal, T and H with follow-up films.
"""

from pathlib import Path
from typing import Any

import audit_parts as parts
import numpy as np
import pyarrow.parquet as pq
import pytest

from medaudit.artifacts.cohort import open_cohort
from medaudit.artifacts.findings import MATCH_SCHEMA, REFERENCE_SCHEMA, open_audit, read_matches
from medaudit.artifacts.store import file_sha256
from medaudit.config import PLANTED_KINDS
from medaudit.detectors import DETECTORS
from medaudit.errors import (
    OutputExists,
)
from medaudit.images.transforms import add_noise, mirror
from medaudit.protocol.controls import Plants
from medaudit.protocol.sides import Side
from medaudit.stages import audit, report
from medaudit.stages.outcome import Outcome

COPIED = (0, 7, 19, 33, 58)
FILES = ("audit.json", "matches.parquet", "matches_by_detector.parquet", "reference.parquet")


def run(folder: Path, name: str = "A", **options: Any) -> Outcome:
    options = {"settings": parts.settings(), "device": "cpu", **options}
    return audit.run(folder / "T", folder / "H", folder / "S", folder / name, **options)


def hashes(folder: Path) -> dict[str, str]:
    return {path.name: file_sha256(path) for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """S: exact, noisy and mirrored copies of five patients, then unseen people; audited into A."""
    folder = tmp_path_factory.mktemp("copies")
    rng = parts.generator(5)
    made = [
        parts.film(COPIED[0]),
        add_noise(parts.film(COPIED[1]), 0.02, rng),
        mirror(parts.film(COPIED[2])),
        add_noise(parts.film(COPIED[3]), 0.03, rng),
        parts.film(COPIED[4]),
    ]
    parts.usual(folder, np.concatenate([np.stack(made), parts.films(parts.UNSEEN)]))
    run(folder)
    return folder


@pytest.fixture(scope="module")
def unseen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unseen")
    parts.usual(folder, parts.films(parts.UNSEEN))
    run(folder)
    return folder


def test_copies_are_flagged_with_the_right_patient(copies: Path) -> None:
    artifact, record = open_audit(copies / "A")
    assert record.verdict == "do-not-release"
    assert artifact.manifest["lineage"] == {
        name: open_cohort(copies / folder).id
        for name, folder in (("train", "T"), ("holdout", "H"), ("synthetic", "S"))
    }
    matches = read_matches(artifact)
    assert matches.schema.equals(MATCH_SCHEMA)
    rows = matches.to_pylist()
    assert [row["synthetic_id"] for row in rows] == list(range(len(COPIED) + len(parts.UNSEEN)))
    assert [row["synthetic_id"] for row in rows if row["flagged"]] == list(range(len(COPIED)))
    train = open_cohort(copies / "T")
    for row, person in zip(rows, COPIED, strict=False):
        assert row["patient"] == f"p-{person:04}" == train.patients[row["train_id"]]
        assert row["train_id"] == person
        assert row["runner_up_patient"] != row["patient"] and row["runner_up_score"] < row["score"]
        assert row["eidetic_k"] >= 1 and row["eidetic_patients"] == 1
    for exact in (0, 4):
        assert rows[exact]["distance"] == 0 and rows[exact]["score"] == np.inf and rows[exact]["p_upper"] == 0
    assert rows[1]["distance"] > 0
    assert record.counts.flagged == record.counts.patients_exposed == len(COPIED)


def test_the_outcome_speaks(copies: Path) -> None:
    outcome = run(copies)  # stands already
    assert outcome.exit_code == 10
    assert outcome.lines[0].startswith("do-not-release: 5 of 29 synthetic images flagged")
    assert any("planted copies: all found of" in line for line in outcome.lines)
    assert outcome.data["schema"] == "medaudit.audit/1"
    assert "p-00" not in " ".join(outcome.lines)


def test_unseen_people_pass(unseen: Path) -> None:
    record = open_audit(unseen / "A")[1]
    assert record.verdict == "release-supported", record.reasons
    assert record.counts.model_dump() == {
        "synthetic": 24, "train_images": 80, "train_patients": 60, "holdout_images": 80, "holdout_patients": 60,
        "flagged": 0, "suspects": record.counts.suspects, "patients_exposed": 0,
        "train_unread": 0, "holdout_unread": 0,
    }  # fmt: skip
    assert record.controls.negative.of == 120 and record.controls.negative.count <= 2
    assert [planted.kind for planted in record.controls.planted] == list(parts.FEW_KINDS)
    assert set(record.controls.given_up) == {*PLANTED_KINDS, "generative"} - set(parts.FEW_KINDS)
    assert record.controls.minimum_power == min(
        planted.power.low for planted in record.controls.planted if planted.required
    )
    spent = record.budget
    flags = len(DETECTORS) * (spent["familywise_each"] + spent["fdr_each"])
    assert np.isclose(spent["cohort_excess"] + spent["cohort_run"] + flags, 0.05)
    assert record.bounds.model_rate_upper is not None and record.bounds.hidden_copies is not None
    assert record.cohort_test.detector == "local-contrast"
    assert record.bounds.sources is not None and record.likeness is not None
    assert (record.likeness.of, record.likeness.detector) == (24, "local-contrast")
    assert not [reason for reason in record.reasons if "than people do" in reason]


def test_tables_agree_with_a_search_by_hand(copies: Path) -> None:
    """The RMSE rows of both tables against a three-line twin."""
    train, synthetic = (open_cohort(copies / name) for name in "TS")
    pixels, asked = (cohort.unit(slice(None)).astype(np.float64) for cohort in (train, synthetic))
    distance = np.sqrt(np.square(asked[:, None] - pixels[None]).mean(axis=(2, 3)))  # (N, M)
    table = pq.read_table(copies / "A" / "matches_by_detector.parquet")
    rows = [row for row in table.to_pylist() if row["detector"] == "rmse"]
    assert len(rows) == len(synthetic) and len(table) == len(DETECTORS) * len(synthetic)
    k = open_audit(copies / "A")[1].detectors[0].neighbours
    assert k == 20
    for row, near in zip(rows, distance, strict=True):
        assert row["train_id"] == near.argmin()
        assert row["distance"] == pytest.approx(near.min(), abs=1e-7)
        mean = np.sort(near)[:k].mean()
        others = near[train.patients != row["patient"]]
        assert np.exp(-row["runner_up_score"]) == pytest.approx(others.min() / (0.5 * mean), rel=1e-5)
    reference = pq.read_table(copies / "A" / "reference.parquet")
    assert reference.schema.equals(REFERENCE_SCHEMA)
    people = [row for row in reference.to_pylist() if row["detector"] == "rmse"]
    assert [row["source"] for row in people] == ["train"] * 60 + ["holdout"] * 60
    assert len({row["patient"] for row in people}) == 120
    scores = np.array([row["score"] for row in people])
    for row in rows:
        assert row["p_value"] == (1 + (scores >= row["score"]).sum()) / 121


def test_rows_of_s_in_another_order(copies: Path, tmp_path: Path) -> None:
    source = open_cohort(copies / "S")
    order = parts.generator(2).permutation(len(source))
    for name in "TH":
        (tmp_path / name).symlink_to(copies / name)
    parts.write(tmp_path / "S", source.unit(order), [None] * len(source), role="synthetic")
    run(tmp_path)
    before = read_matches(open_audit(copies / "A")[0]).to_pylist()
    after = read_matches(open_audit(tmp_path / "A")[0]).to_pylist()
    for place, row in enumerate(after):
        assert row == {**before[order[place]], "synthetic_id": place}


def test_small_memory_gives_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With 128 KiB the descriptions lie in files and the images ask one by one."""
    parts.usual(tmp_path, parts.films([2, 800]), train=9, holdout=8)
    read = []
    honest = np.fromfile
    monkeypatch.setattr(np, "fromfile", lambda *args, **named: read.append(args[0]) or honest(*args, **named))
    run(tmp_path, settings=parts.settings(plants=10))
    assert not read
    run(tmp_path, "A-small", settings=parts.settings(plants=10), memory_bytes=1 << 17)
    assert len(set(read)) >= 3  # T under two detectors and more, H under one
    assert hashes(tmp_path / "A") == hashes(tmp_path / "A-small")


def test_a_killed_audit_goes_on(unseen: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from medaudit.search import nearest as room

    honest, calls, last = room.nearest, [0], [-1]

    def counted(*arguments: Any, **options: Any) -> Any:
        calls[0] += 1
        if calls[0] == last[0]:
            raise KeyboardInterrupt
        return honest(*arguments, **options)

    monkeypatch.setattr(room, "nearest", counted)
    run(unseen, "A-whole")
    whole = calls[0]
    for last[0] in (1, whole // 2, whole // 2):
        calls[0] = 0
        with pytest.raises(KeyboardInterrupt):
            run(unseen, "A-killed")
        assert not (unseen / "A-killed").exists()
    calls[0], last[0] = 0, -1
    run(unseen, "A-killed")
    assert 0 < calls[0] < whole  # what was searched was not searched again
    assert hashes(unseen / "A-killed") == hashes(unseen / "A") == hashes(unseen / "A-whole")


def test_withheld_rows_are_left_out_and_alpha_shrinks(copies: Path) -> None:
    withheld = (0, 1, 2, 3, 4)
    outcome = run(copies, "A-rest", withheld=withheld, alpha_spent=0.025)
    artifact, record = open_audit(copies / "A-rest")
    assert record.withheld == list(withheld) and record.counts.synthetic == len(parts.UNSEEN)
    assert set(read_matches(artifact).column("synthetic_id").to_pylist()) == set(range(5, 29))
    assert record.counts.flagged == 0 and record.verdict != "do-not-release"
    assert record.budget["familywise_each"] == pytest.approx(0.025 * 0.6 / 2 / len(DETECTORS))
    assert any("5 images were withheld" in line for line in outcome.lines)


def test_the_kind_of_machine_is_recorded(unseen: Path, tmp_path: Path) -> None:
    told = open_audit(unseen / "A")[0].manifest["environment"]
    assert told["processor"] == "cpu" and told["packages"] > 20 and len(told["packages_sha256"]) == 64
    report.run([unseen / "A"], tmp_path / "R")
    text = (tmp_path / "R" / "report.html").read_text()
    assert told["packages_sha256"] in text and "computed by cpu" in text


def test_the_folder_is_taken(unseen: Path) -> None:
    with pytest.raises(OutputExists):
        run(unseen, seed=1)


@pytest.mark.parametrize(("train", "holdout", "images"), [(3, 3, 1), (2, 1, 5), (1, 4, 2), (60, 1, 1)])
def test_tiny_cohorts_are_inconclusive(tmp_path: Path, train: int, holdout: int, images: int) -> None:
    parts.usual(tmp_path, parts.films(range(800, 800 + images)), train=train, holdout=holdout)
    outcome = run(tmp_path)
    assert outcome.exit_code == 20 and outcome.data["verdict"] == "inconclusive"
    record = open_audit(tmp_path / "A")[1]
    assert len(record.reasons) >= 1 and record.counts.flagged == 0
    if train == 1:
        assert any("one patient id" in reason for reason in record.reasons)


def test_without_patient_ids(tmp_path: Path) -> None:
    parts.write(tmp_path / "T", parts.films(range(50)), [None] * 50, role="train")
    parts.write(tmp_path / "H", parts.films(range(500, 545)), [None] * 45, role="holdout")
    parts.write(tmp_path / "S", parts.films(parts.UNSEEN), [None] * 24, role="synthetic")
    record = open_audit(run(tmp_path).path or tmp_path)[1]
    assert not record.patient_level and record.verdict == "inconclusive"
    assert any("no patient ids" in reason for reason in record.reasons)
    assert record.counts.train_patients == 50
    assert read_matches(open_audit(tmp_path / "A")[0]).column("patient").to_pylist() == [None] * 24
    run(tmp_path, "A-stated", settings=parts.settings(one_image_one_patient=True))
    stated = open_audit(tmp_path / "A-stated")[1]
    assert stated.patient_level and not any("patient ids" in reason for reason in stated.reasons)


def test_duplicates_void_the_comparison_but_not_a_copy(tmp_path: Path) -> None:
    rng = parts.generator(11)
    parts.usual(tmp_path, np.concatenate([parts.films(parts.UNSEEN), parts.films([8])]))
    twins = np.stack([add_noise(parts.film(4), 0.01, rng), parts.film(9), *parts.films(range(500, 560))])
    parts.rewrite(tmp_path, "H", twins, parts.names([700, 701, *range(500, 560)]), role="holdout")
    rows = open_cohort(tmp_path / "T")
    across = np.concatenate([rows.unit(slice(None)), add_noise(parts.film(20), 0.01, rng)[None]])
    parts.rewrite(tmp_path, "T", across, [*rows.patients, "p-0777"], role="train")
    first = run(tmp_path, withheld=[24])
    record = open_audit(tmp_path / "A")[1]
    assert first.exit_code == 20
    assert record.duplicates.across_train_and_holdout == 2 and record.duplicates.across_patients_in_train == 1
    assert {tuple(pair) for pair in record.duplicates.pairs} == {
        ("train and holdout", 4, 0), ("train and holdout", 9, 1), ("train", 20, 80),
    }  # fmt: skip
    assert record.duplicates.people_left_out == 6
    assert {detector.reference_size for detector in record.detectors} == {61 + 62 - 6}
    assert run(tmp_path, "A-copy").exit_code == 10


def test_files_that_could_not_be_read_are_named(tmp_path: Path) -> None:
    parts.usual(tmp_path, parts.films(range(500, 502)), train=6, holdout=6)
    refused = [("a.dcm", "truncated"), ("b.dcm", "truncated")]
    parts.rewrite(tmp_path, "T", parts.films(range(6)), parts.names(range(6)), role="train", refused=refused)
    assert any(
        reason.startswith("2 files of the training source") for reason in run(tmp_path).data["reasons"]
    )


def test_plants_are_stored_like_the_release_and_name_their_patient(unseen: Path) -> None:
    train = Side.of(open_cohort(unseen / "T"))
    plants = Plants.draw(train, parts.settings(controls="full", plants=10), np.array([2]), 8, seed=4)
    assert len(plants) == 30 * 10 and 2 not in train.groups[plants.place]
    made = plants.images(slice(None))
    assert made.dtype == np.float32 and np.array_equal(np.rint(made * 255) / np.float32(255), made)
    assert np.array_equal(plants.images(slice(240, 275)), made[240:275])  # the same in any batch
    own = plants.kind == "identity"
    assert np.array_equal(made[own], train.images(plants.place[own]))
    assert not np.array_equal(
        made[plants.kind == "noise-0.05"], train.images(plants.place[plants.kind == "noise-0.05"])
    )


@pytest.mark.real
def test_unseen_children_are_not_accused_and_copies_are(tmp_path: Path, real_data: Path) -> None:
    with np.load(real_data / "pneumoniamnist" / "pneumoniamnist_dev.npz", allow_pickle=False) as archive:
        images, people = archive["images"] / np.float32(255), archive["patient_id"].astype(str)
    drawn = parts.generator(3).permutation(np.unique(people))
    for name, chosen, role in (("T", drawn[:50], "train"), ("H", drawn[306:806], "holdout")):
        rows = np.isin(people, chosen)
        parts.write(tmp_path / name, images[rows], list(people[rows]), role=role)
    posing = np.array([np.flatnonzero(people == person)[0] for person in drawn[50:306]])
    parts.write(tmp_path / "S", images[posing], [None] * 256, role="synthetic")
    few = parts.settings(plants=12)
    record = open_audit(run(tmp_path, settings=few).path or tmp_path)[1]
    assert record.counts.flagged <= 1 and record.verdict != "do-not-release"
    train = open_cohort(tmp_path / "T")
    rng = parts.generator(9)
    rows = rng.integers(0, len(train), 64)
    noisy = np.stack([add_noise(image, 0.03, rng) for image in train.unit(rows)])
    parts.rewrite(tmp_path, "S", noisy, [None] * 64, role="synthetic")
    run(tmp_path, "A-copies", settings=few)
    matches = read_matches(open_audit(tmp_path / "A-copies")[0]).to_pylist()
    right = [
        m["flagged"] and m["patient"] == train.patients[row] for m, row in zip(matches, rows, strict=True)
    ]
    assert sum(right) >= 61
