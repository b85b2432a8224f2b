"""Extract: repeats of training films are grouped and named, unseen people are not; the rest of the run."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from forged_parts import both, column, forge, put

from medaudit import seeds
from medaudit.artifacts.authentication import KEY_NAME
from medaudit.artifacts.cohort import CohortWriter, open_cohort
from medaudit.artifacts.findings import MATCH_SCHEMA, open_extraction, read_matches
from medaudit.artifacts.store import Draft, Request
from medaudit.errors import (
    CohortMismatch,
    FindingsContradict,
    FindingsNotAuthentic,
    PatientInBothSplits,
    ReferenceTooSmall,
    UsageProblem,
)
from medaudit.images.intensity import to_depth
from medaudit.images.transforms import add_noise
from medaudit.protocol.recheck import extraction_contradictions
from medaudit.stages import extract, report, train

SHAPE = (24, 20)
PATIENTS, HELD = 60, 70


def anatomy(name: str) -> np.ndarray:
    """(Y, X) a smooth film of its own, in [0, 1]."""
    rng = seeds.generator(5, name)
    rows, columns = np.mgrid[0 : 1 : SHAPE[0] * 1j, 0 : 1 : SHAPE[1] * 1j]
    film = np.zeros(SHAPE)
    for wave in range(1, 5):
        for across in range(1, 5):
            film += (
                rng.normal() / np.hypot(wave, across)
                * np.cos(np.pi * wave * rows + rng.uniform(0, 6)) * np.cos(np.pi * across * columns + rng.uniform(0, 6))
            )  # fmt: skip
    return np.clip(0.5 + 0.25 * film / film.std(), 0, 1).astype(np.float32)


def cohort(
    out: Path, films: np.ndarray, patients: list[str | None], labels: tuple[str, ...] = (), **facts: str
) -> Path:
    lineage = {key: facts.pop(key) for key in ("model", "train") if key in facts}
    with Draft(out, Request("cohort", {"name": out.name}, 0, lineage)) as draft:
        writer = CohortWriter(draft, SHAPE, np.uint8)
        rows = [
            {"file": f"{i}.png", "patient": patient, "labels": [labels[i % len(labels)]] if labels else []}
            for i, patient in enumerate(patients)
        ]
        writer.append(to_depth(films, np.uint8), rows)
        writer.finish(note=facts)
    return out


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """model, T and H, and two synthetic cohorts: one that repeats films of T, one of unseen people."""
    root = tmp_path_factory.mktemp("house")
    with Draft(root / "model", Request("model", {}, 0)) as draft:
        draft.file("note.json").write_text("{}\n")
        model = draft.commit()
    train = np.stack([anatomy(f"t{i}") for i in range(PATIENTS)])
    names = [f"p-{i:03d}" for i in range(PATIENTS)]
    cohort(root / "T", train, names, role="train", origin="real")
    held = np.stack([anatomy(f"h{i}") for i in range(HELD)])
    cohort(root / "H", held, [f"q-{i:03d}" for i in range(HELD)], role="holdout", origin="real")
    rng = seeds.generator(5, "noise")
    # Patients 3 (six times), 11 (five), 20 (once), among people nobody has seen.
    copied = [3] * 6 + [11] * 5 + [20]
    copies = [add_noise(train[i], 0.02, rng) for i in copied]
    strangers = [anatomy(f"s{i}") for i in range(40)]
    order = seeds.generator(5, "order").permutation(len(copied) + len(strangers))
    made = np.stack([*copies, *strangers])[order]
    facts = {"origin": "synthetic", "role": "synthetic", "model": model.id}
    cohort(root / "S", made, [None] * len(made), **facts)
    cohort(root / "clean", np.stack(strangers), [None] * len(strangers), **facts)
    (root / "truth.json").write_text(
        json.dumps([copied[i] if i < len(copied) else -1 for i in order.tolist()])
    )
    return root


def attack(house: Path, out: str, synthetic: str = "S", **arguments: object):
    return extract.run(
        house / "model",
        house / "T",
        house / "H",
        house / out,
        device="cpu",
        synthetic=house / synthetic,
        **arguments,
    )


def test_repeats_of_training_films_are_grouped_and_named(house: Path) -> None:
    outcome = attack(house, "X")
    assert outcome.exit_code == 10
    artifact, record = open_extraction(house / "X")
    truth = np.array(json.loads((house / "truth.json").read_text()))
    groups = pq.read_table(artifact.file(extract.CLIQUES)).to_pydict()
    found = {
        frozenset(row for row, c in zip(groups["synthetic_id"], groups["clique"], strict=True) if c == clique)
        for clique in set(groups["clique"])
    }
    assert found == {frozenset(np.flatnonzero(truth == 3)), frozenset(np.flatnonzero(truth == 11))}
    assert (record.cliques, record.matched_cliques, record.matched_holdout) == (2, 2, 0)
    matches = read_matches(artifact)
    assert matches.schema.equals(MATCH_SCHEMA)
    assert sorted(zip(matches["train_id"].to_pylist(), matches["patient"].to_pylist(), strict=True)) == [
        (3, "p-003"),
        (11, "p-011"),
    ]
    for row in matches.to_pylist():  # the medoid is a member of the clique of that very patient
        assert truth[row["synthetic_id"]] == row["train_id"]
    assert record.patients_extracted == 3  # the single copy is named as a single image
    assert record.leak_curve[0].patients == 0 and record.leak_curve[-1].patients == 3
    assert record.leak_curve[-1].generated == record.generated == len(truth)
    assert record.new_patient_rate == pytest.approx(1 / len(truth))
    assert record.edge_false_rate <= 0.1 / (len(truth) - 1)
    assert record.cliques_in_holdout == 0


FORGED = {
    "verdict": {"extract.json": put("verdict", value="release-supported")},
    "verdict and counts": {
        "extract.json": both(
            put("verdict", value="release-supported"),
            put("patients_extracted", value=0),
            put("matched_cliques", value=0),
            put("flagged_images", value=0),
        )
    },
    "flags": {"matches_by_detector.parquet": column("flagged", False)},
    "patients": {"extract.json": put("patients_extracted", value=0)},
    "reasons": {"extract.json": put("reasons", value=["Nothing was found."])},
    "alpha": {"extract.json": put("alpha", value=1e-9)},
    "reference": {"reference.parquet": column("score", 50.0)},
}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_extraction_is_refused(house: Path, tmp_path: Path, name: str) -> None:
    found = house / "X"
    if not found.exists():
        attack(house, "X")
    assert list(extraction_contradictions(*open_extraction(found))) == []
    forged = forge(found, tmp_path / "X", FORGED[name])
    with pytest.raises(FindingsNotAuthentic):
        report.run([forged], tmp_path / "R", key=house / KEY_NAME)
    held = forge(found, tmp_path / "held", FORGED[name], key=house / KEY_NAME)
    with pytest.raises(FindingsContradict):
        report.run([held], tmp_path / "R", key=house / KEY_NAME)
    assert not (tmp_path / "R").exists()


def test_the_same_call_finds_its_result_and_another_folder_gets_the_same_bytes(house: Path) -> None:
    first = attack(house, "X")
    again = attack(house, "X-again")
    for name in (extract.MATCHES, extract.CLIQUES, extract.DETECTOR_MATCHES, extract.EXTRACT_JSON):
        assert (house / "X" / name).read_bytes() == (house / "X-again" / name).read_bytes()
    assert first.data == again.data
    assert not (house / "X" / extract.GENERATED).exists()


def test_unseen_people_are_not_named(house: Path) -> None:
    outcome = attack(house, "X-clean", "clean")
    record = open_extraction(house / "X-clean")[1]
    assert (record.cliques, record.matched_cliques, record.patients_extracted) == (0, 0, 0)
    assert outcome.exit_code == 20  # forty images are too few to find nothing in
    assert any("Too few images were generated" in reason for reason in record.reasons)
    assert len(read_matches(open_extraction(house / "X-clean")[0])) == 0


def test_refusals(house: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="at least 2"):
        attack(house, "bad", clique_size=1)
    with pytest.raises(CohortMismatch, match="swapped"):
        extract.run(
            house / "model", house / "H", house / "T", house / "bad", synthetic=house / "S", device="cpu"
        )
    with Draft(tmp_path / "other", Request("model", {"other": 1}, 0)) as draft:
        draft.file("note.json").write_text("{}\n")
        draft.commit()
    with pytest.raises(CohortMismatch, match="another model"):
        extract.run(
            tmp_path / "other", house / "T", house / "H", house / "bad", synthetic=house / "S", device="cpu"
        )
    few = cohort(tmp_path / "few", np.stack([anatomy(f"h{i}") for i in range(3)]), ["q-0", "q-1", "q-2"])
    with pytest.raises(ReferenceTooSmall, match="3 held-out patients"):
        extract.run(house / "model", house / "T", few, house / "bad", synthetic=house / "S", device="cpu")
    both = cohort(tmp_path / "both", np.stack([anatomy(f"h{i}") for i in range(5)]), ["p-001", *"bcde"])
    with pytest.raises(PatientInBothSplits, match="1 patient"):
        extract.run(house / "model", house / "T", both, house / "bad", synthetic=house / "S", device="cpu")
    assert not (house / "bad").exists()


CONFIG = """
steps: 4
batch: 4
warmup_steps: 2
conditional: true
network: {unshuffle: 2, channels: [8], norm_groups: 4}
sampling: {steps: 2, batch: 4}
"""


class Stop(BaseException):
    """Stands for a kill."""


class KillAt:
    """Progress that ends the process, as a kill would, when the task named has begun."""

    def __init__(self, name: str) -> None:
        self.name, self.seen = name, []

    def start(self, name: str, total: int | None) -> None:
        self.seen.append(name)

    def advance(self, steps: int = 1, **facts: float | str) -> None:
        if self.seen[-1] == self.name:
            raise Stop

    def say(self, line: str) -> None:
        pass


def test_it_generates_itself_per_class_and_goes_on_after_a_kill(house: Path, tmp_path: Path) -> None:
    films = np.stack([anatomy(f"t{i}") for i in range(12)])
    t = cohort(tmp_path / "T", films, [f"p-{i}" for i in range(12)], ("effusion", "normal"), role="train")
    (tmp_path / "config.yaml").write_text(CONFIG)
    train.run(t, tmp_path / "config.yaml", tmp_path / "M", "cpu", seed=1)
    arguments = {"count": 10, "clique_size": 3, "device": "cpu", "seed": 4}
    out = extract.run(tmp_path / "M", t, house / "H", tmp_path / "X", **arguments).path
    assert out is not None
    record = open_extraction(out)[1]
    made = open_cohort(out / extract.GENERATED)
    assert record.generated == len(made) == 10
    assert record.conditions == ["effusion", "normal"]
    assert open_extraction(out)[0].lineage["model"] == made.artifact.lineage["model"]
    whole = {p.relative_to(out): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}
    shutil.rmtree(out)
    for task in ("generate", "rmse-synthetic", "tile-holdout"):
        with pytest.raises(Stop):
            extract.run(tmp_path / "M", t, house / "H", tmp_path / "X", progress=KillAt(task), **arguments)
        assert not out.exists()
    watched = KillAt("nothing")
    extract.run(tmp_path / "M", t, house / "H", tmp_path / "X", progress=watched, **arguments)
    assert "rmse-train" not in watched.seen  # what was searched before the kill is not searched again
    assert {p.relative_to(out): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()} == whole
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []
