"""The copy network in an audit: one more detector under the same budget, its own reference, and nothing of it left.

Axes: N synthetic images, E detectors; T and H of 60 patients each with follow-up films of 36 x 30 pixels.
"""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import audit_parts as parts
import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save_file

from medaudit.artifacts.cohort import open_cohort
from medaudit.artifacts.findings import open_audit
from medaudit.artifacts.store import file_sha256, open_artifact
from medaudit.config import AuditSettings, CopyNetSettings
from medaudit.detectors import DETECTORS, VECTOR_DETECTORS, label
from medaudit.detectors.copynet.dinov2 import Dinov2
from medaudit.detectors.copynet.embeddings import write_embeddings
from medaudit.detectors.copynet.opening import open_encoder
from medaudit.errors import (
    CohortMismatch,
    EmbeddingsMismatch,
    EncoderProblem,
    NotReleasable,
    OutputExists,
    ReferenceTooSmall,
    UsageProblem,
)
from medaudit.images.transforms import mirror
from medaudit.progress import SILENT
from medaudit.protocol.described import Described, Machine
from medaudit.protocol.grounds import settings_of
from medaudit.protocol.sides import Side
from medaudit.stages import audit, encoders, release, report
from medaudit.stages.encoders import network_again
from medaudit.stages.outcome import Outcome

COPIED = (3, 21)
NETWORK = CopyNetSettings(
    size=32, fold=2, channels=(8, 12), values=16, steps=24, batch=8, neighbours=2, warmup_steps=4,
    checkpoint_minutes=0.0,
)  # fmt: skip


def settings(**changes: Any) -> AuditSettings:
    return parts.settings(**{"copynet": NETWORK, "plants": 20, **changes})


def run(folder: Path, name: str = "A", **options: Any) -> Outcome:
    options = {"settings": settings(), "device": "cpu", "copy_network": "train", **options}
    return audit.run(folder / "T", folder / "H", folder / "S", folder / name, **options)


def hashes(folder: Path) -> dict[str, str]:
    return {path.name: file_sha256(path) for path in sorted(folder.iterdir())}


class Stop(BaseException):
    """Stands for a kill."""


class StopAfter:
    """Progress that kills the audit in its n-th step of a task, and keeps the names of the tasks."""

    def __init__(self, task: str = "", steps: int = 0) -> None:
        self.task, self.left, self.names = task, steps, list[str]()

    def start(self, name: str, total: int | None) -> None:
        self.names.append(name)

    def say(self, line: str) -> None:
        pass

    def advance(self, steps: int = 1, **facts: float | str) -> None:
        if self.names[-1] == self.task:
            self.left -= 1
            if self.left <= 0:
                raise Stop


@pytest.fixture(scope="module", autouse=True)
def without_structure() -> Iterator[None]:
    """The vector detectors suffice here and are quick."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoders, "DETECTORS", VECTOR_DETECTORS)
        yield


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """S: a copy and a mirrored copy, then unseen people; audited into A with a network trained on the way."""
    folder = tmp_path_factory.mktemp("copynet")
    made = [parts.film(COPIED[0]), mirror(parts.film(COPIED[1]))]
    parts.usual(folder, np.concatenate([np.stack(made), parts.films(parts.UNSEEN)]))
    run(folder)
    return folder


@pytest.fixture(scope="module")
def kept(site: Path) -> Path:
    """The encoder of an audit that kept it."""
    run(site, "A-kept", keep_encoder=site / "encoder")
    return site / "encoder"


def test_one_more_detector_under_the_same_budget(site: Path) -> None:
    record = open_audit(site / "A")[1]
    assert record.verdict == "do-not-release" and record.counts.flagged == len(COPIED)
    assert [one.name for one in record.detectors] == [*(d.name for d in VECTOR_DETECTORS), "copynet"]
    own = record.detectors[-1]
    assert own.encoder is not None and len(own.encoder) == 64
    assert [one.encoder for one in record.detectors[:-1]] == [None] * len(VECTOR_DETECTORS)
    assert record.budget["detectors"] == len(VECTOR_DETECTORS) + 1
    assert own.alpha_familywise == pytest.approx(0.05 * 0.6 / 2 / (len(VECTOR_DETECTORS) + 1))
    assert all("copynet" in planted.by_detector for planted in record.controls.planted)


def test_people_it_learnt_from_are_no_reference_for_it(site: Path) -> None:
    """H's people alone say what is close under the network, and only who is judged by all counts as a control."""
    record = open_audit(site / "A")[1]
    assert [one.reference_size for one in record.detectors] == [120] * len(VECTOR_DETECTORS) + [60]
    assert record.controls.negative.of == 60
    rows = pq.read_table(site / "A" / "reference.parquet").to_pylist()
    sources = [row["source"] for row in rows if row["detector"] == "copynet"]
    assert sources == ["holdout"] * 60
    others = [row["source"] for row in rows if row["detector"] == "rmse"]
    assert others == ["train"] * 60 + ["holdout"] * 60


def test_agreement_is_that_of_the_table(site: Path) -> None:
    record = open_audit(site / "A")[1]
    agreed = record.agreement
    assert agreed is not None
    rows = pq.read_table(site / "A" / "matches_by_detector.parquet").to_pylist()
    flags = {(row["detector"], row["synthetic_id"]): row["patient"] for row in rows if row["flagged"]}
    images = sorted({image for _, image in flags})
    by = {image: [name for name in agreed.detectors if (name, image) in flags] for image in images}
    assert agreed.images == [(image, len(by[image])) for image in images] and len(images) == len(COPIED)
    for a, one in enumerate(agreed.detectors):
        assert agreed.alone[a] == sum(by[image] == [one] for image in images)
        for b, other in enumerate(agreed.detectors):
            assert agreed.both[a][b] == sum(one in by[image] and other in by[image] for image in images)
    assert agreed.several == sum(len(found) > 1 for found in by.values())
    assert agreed.wording in run(site).lines


def test_the_report_says_who_agrees(site: Path) -> None:
    """Counts in both editions; which image how many detectors flag in the confidential one only."""
    agreed = open_audit(site / "A")[1].agreement
    assert agreed is not None
    for edition in report.EDITIONS:
        report.run([site / "A"], site / f"R-{edition}", edition=edition)
        page = (site / f"R-{edition}" / report.HTML).read_text()
        assert agreed.wording in page and "Images flagged by both detectors" in page
        assert "unseen patients only" in page
        assert str(open_audit(site / "A")[1].detectors[-1].encoder)[:16] in page
        assert (f"flagged by {agreed.images[0][1]}" in page) is (edition == "confidential")


def test_findings_hold_nothing_that_was_learnt(site: Path) -> None:
    artifact = open_audit(site / "A")[0]
    assert set(artifact.manifest["files"]) == {
        "audit.json", "matches.parquet", "matches_by_detector.parquet", "reference.parquet"
    }  # fmt: skip
    assert artifact.settings["copy_network"] == "train" and artifact.settings["copynet"]["steps"] == 24
    assert {path.name for path in site.iterdir() if path.name.startswith(".")} == set()


@pytest.mark.parametrize(("task", "steps"), [("copy network", 9), ("copynet-*-plants", 1)])
def test_a_killed_audit_goes_on_with_its_network(site: Path, task: str, steps: int) -> None:
    own = open_audit(site / "A")[1].detectors[-1].encoder
    name = f"A-killed-{steps}"
    with pytest.raises(Stop):
        run(site, name, progress=StopAfter(task.replace("*", str(own)[:16]), steps))
    watched = StopAfter()
    run(site, name, progress=watched)
    assert ("copy network" in watched.names) is (
        task == "copy network"
    )  # a whole network is not trained again
    assert hashes(site / name) == hashes(site / "A")


def test_a_kept_encoder_serves_the_next_audit(
    site: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = open_audit(site / "A")[1].detectors[-1].encoder
    artifact = open_artifact(kept, "encoder")
    assert set(artifact.manifest["files"]) == {
        "embeddings.safetensors",
        "encoder.json",
        "encoder.safetensors",
    }
    assert artifact.lineage == {"train": open_cohort(site / "T").id}
    assert kept.stat().st_mode & 0o777 == 0o700
    watched = StopAfter()
    run(site, "A-again", copy_network=str(kept), progress=watched)
    assert "copy network" not in watched.names
    assert hashes(site / "A-again") == hashes(site / "A-kept")  # the same request
    for file in ("audit.json", "matches.parquet", "reference.parquet"):
        assert file_sha256(site / "A-again" / file) == file_sha256(site / "A" / file)
    assert open_audit(site / "A-again")[1].detectors[-1].encoder == own
    before = hashes(kept)
    watched = StopAfter()
    run(site, "A-third", keep_encoder=kept, progress=watched)
    assert "copy network" not in watched.names and hashes(kept) == before
    with pytest.raises(OutputExists):
        run(site, "A-fourth", keep_encoder=site / "T")


def test_an_encoder_of_another_cohort_is_refused(kept: Path, tmp_path: Path) -> None:
    parts.usual(tmp_path, parts.films(parts.UNSEEN[:4]), train=20, holdout=20)
    with pytest.raises(EncoderProblem, match="another cohort"):
        run(tmp_path, copy_network=str(kept))
    assert {path.name for path in tmp_path.iterdir()} == {"T", "H", "S"}


def test_saved_embeddings_are_used_and_others_refused(site: Path, kept: Path, tmp_path: Path) -> None:
    cohort = open_cohort(site / "T")
    saved = open_encoder(kept, cohort.id)
    rows = saved.saved[cohort.id]
    assert np.array_equal(rows, saved.describe(cohort.unit(slice(None)))[:, 0])
    asked: list[int] = []
    honest = saved.describe
    saved.describe = lambda images: asked.append(len(images)) or honest(images)  # type: ignore[method-assign]
    described = Described.of(Side.of(cohort), saved, Machine("cpu", 1 << 30, SILENT, lambda name: tmp_path))
    assert not asked and np.array_equal(described.index.vectors[3:7, 0], rows[3:7])
    saved.saved[cohort.id] = rows[:-1]
    with pytest.raises(EmbeddingsMismatch, match="of 79 films and the cohort has 80"):
        Described.of(Side.of(cohort), saved, Machine("cpu", 1 << 30, SILENT, lambda name: tmp_path))
    shutil.copytree(kept, tmp_path / "other")
    file = tmp_path / "other" / "embeddings.safetensors"
    write_embeddings(file, saved.id, open_cohort(site / "H").id, 2, 16, [rows[:2]])
    with pytest.raises(EmbeddingsMismatch, match="none of this cohort"):
        run(site, "A-other", copy_network=str(tmp_path / "other"))
    assert not (site / "A-other").exists()


def test_an_encoder_from_elsewhere_is_a_detector_of_its_name(site: Path, tmp_path: Path) -> None:
    torch.manual_seed(3)
    network = Dinov2(64, 1, 2)
    with torch.no_grad():
        network.embeddings.position_embeddings.normal_(generator=torch.Generator().manual_seed(1))
    save_file(dict(network.state_dict()), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text("{}")
    parts.usual(tmp_path, parts.films(parts.UNSEEN[:3]), train=44, holdout=44)
    run(tmp_path, settings=settings(plants=10, required_kinds=("identity",)), copy_network=str(tmp_path))
    own = open_audit(tmp_path / "A")[1].detectors[-1]
    assert own.name == "dinov2" and own.encoder == file_sha256(tmp_path / "model.safetensors")
    assert own.reference_size == 44


def test_two_encoders_of_one_name_are_told_apart_in_scratch(kept: Path, site: Path) -> None:
    one = open_encoder(kept, open_cohort(site / "T").id)
    assert label(one) == f"copynet-{one.id[:16]}"
    one.id = "f" * 64
    assert label(one) == "copynet-ffffffffffffffff"
    assert [label(detector) for detector in DETECTORS] == [detector.name for detector in DETECTORS]


def test_a_second_look_uses_the_same_network(site: Path, kept: Path, tmp_path: Path) -> None:
    trained, by_path = (open_audit(site / name)[0] for name in ("A", "A-kept"))
    plain = replace(trained, manifest={**trained.manifest, "settings": {}})
    assert network_again(trained, None) == network_again(trained, "train") == "train"
    assert network_again(plain, None) is None
    assert network_again(by_path, str(kept)) == str(kept)
    with pytest.raises(UsageProblem, match="give the same with --copy-network"):
        network_again(by_path, None)
    with pytest.raises(CohortMismatch, match="leave --copy-network out"):
        network_again(plain, "train")
    tensors = dict(Dinov2(64, 1, 2).state_dict())
    save_file(tensors, tmp_path / "other.safetensors")
    with pytest.raises(CohortMismatch, match="is not the encoder that the audit used"):
        network_again(by_path, str(tmp_path / "other.safetensors"))


def test_release_looks_at_the_rest_with_the_network(site: Path, kept: Path, tmp_path: Path) -> None:
    # Other settings than the audit's: else release says at once what the audit knows of the rest.
    other = settings_of(open_audit(site / "A")[0]).model_copy(update={"bootstrap": 201})

    def withheld(audited: str, name: str, network: str | None = None) -> str | None:
        """What the second look used; its plants are too few to clear anything."""
        with pytest.raises(NotReleasable, match="inconclusive"):
            release.run(
                site / "S", site / audited, tmp_path / name, "npz", True, site / "T", site / "H", device="cpu",
                copy_network=network, settings=other,
            )  # fmt: skip
        artifact, record = open_audit(tmp_path / f"{name}.audit")
        assert record.withheld == [0, 1] and record.detectors[-1].name == "copynet"
        return str(artifact.settings["copy_network"])

    assert withheld("A", "trained") == "train"
    assert withheld("A-kept", "kept", str(kept)) == open_audit(site / "A")[1].detectors[-1].encoder
    with pytest.raises(UsageProblem, match="give the same with --copy-network"):
        release.run(
            site / "S", site / "A-kept", tmp_path / "no", "npz", True, site / "T", site / "H", device="cpu",
            settings=other,
        )  # fmt: skip
    assert not list(tmp_path.glob("no*"))


def test_what_cannot_be_trained_or_kept(tmp_path: Path) -> None:
    parts.write(tmp_path / "T", np.stack([parts.film(1, e) for e in range(4)]), ["p-1"] * 4, role="train")
    parts.write(tmp_path / "H", parts.films(range(500, 506)), parts.names(range(500, 506)), role="holdout")
    parts.write(tmp_path / "S", parts.films(parts.UNSEEN[:3]), [None] * 3, role="synthetic")
    cases: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({}, ReferenceTooSmall, "leave --copy-network out"),
        ({"keep_encoder": tmp_path / "E"}, ReferenceTooSmall, "leave --copy-network out"),
        ({"keep_encoder": tmp_path / "E", "copy_network": None}, UsageProblem, "--copy-network train"),
    ]
    for options, error, words in cases:
        with pytest.raises(error, match=words):
            run(tmp_path, **options)
        assert {path.name for path in tmp_path.iterdir()} == {"T", "H", "S"}


def doubled(count: int) -> Callable[..., tuple[Any, ...]]:
    """The usual detectors and `count` further ones that see what RMSE sees, under names of their own."""
    from medaudit.detectors.pixel import Rmse

    more = []
    for number in range(count):
        one = Rmse()
        one.name = f"rmse-{number}"
        more.append(one)
    return lambda *_: (*VECTOR_DETECTORS, *more)


def test_more_detectors_than_the_reference_supports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thirty detectors share alpha: with few people none could flag anything, and the result says so."""
    monkeypatch.setattr(encoders.CopyNetwork, "detectors", doubled(26))
    parts.usual(tmp_path, parts.films([2, *parts.UNSEEN[:5]]), train=14, holdout=14)
    outcome = run(tmp_path, copy_network=None, settings=settings(plants=10, required_kinds=("identity",)))
    record = open_audit(tmp_path / "A")[1]
    assert outcome.exit_code == 20 and record.counts.flagged == 0
    assert len(record.detectors) == 30
    assert all(one.tail_points is None and one.fdr_needs > 6 for one in record.detectors)
    assert any(
        reason.startswith("With alpha shared by 30 detectors rmse, ") and "could flag no image" in reason
        for reason in record.reasons
    )
    spent = record.budget
    flags = 30 * (spent["familywise_each"] + spent["fdr_each"])
    assert np.isclose(spent["cohort_excess"] + spent["cohort_run"] + flags, 0.05)


def test_many_detectors_and_enough_people(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thirty detectors on a reference that supports them: the copies are found and nobody unseen is flagged."""
    monkeypatch.setattr(encoders.CopyNetwork, "detectors", doubled(26))
    run(site, "A-many", copy_network=None, settings=settings(required_kinds=("identity",)))
    record = open_audit(site / "A-many")[1]
    assert [image for image, _ in record.agreement.images] == [0, 1]  # type: ignore[union-attr]
    assert record.controls.negative.count == 0 and record.controls.negative.of == 120
    assert not any("could flag no image" in reason for reason in record.reasons)
