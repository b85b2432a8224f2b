"""Weights, embeddings and encoders on disk: what is written comes back, and what does not belong is refused by name."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from medaudit.config import CopyNetSettings
from medaudit.detectors.copynet.densenet import DenseNet121
from medaudit.detectors.copynet.dinov2 import Dinov2
from medaudit.detectors.copynet.embeddings import append_embeddings, open_embeddings, write_embeddings
from medaudit.detectors.copynet.foreign import load_foreign_encoder
from medaudit.detectors.copynet.network import build_encoder, describe_encoder
from medaudit.detectors.copynet.training import TrainedCopyNet
from medaudit.detectors.copynet.weights import load_copynet, save_copynet
from medaudit.errors import EmbeddingsMismatch, EncoderProblem
from medaudit.images.phantom import phantom

SETTINGS = CopyNetSettings(size=32, fold=2, channels=(8, 12), values=24)
FILMS = np.stack([phantom(60 + i, 0, (36, 30)) for i in range(3)])


def saved(folder: Path, seed: int = 0, cohort: str = "cohort-a") -> str:
    folder.mkdir(exist_ok=True)
    network = build_encoder(describe_encoder(SETTINGS), seed).eval()
    trained = TrainedCopyNet(network, describe_encoder(SETTINGS), [(1, 2.5)], {"steps_done": 1})
    return save_copynet(folder, trained, SETTINGS, seed, cohort)


def test_weights_come_back(tmp_path: Path) -> None:
    id = saved(tmp_path / "a")
    loaded = load_copynet(tmp_path / "a", "cohort-a")
    again = load_copynet(tmp_path / "a")
    assert loaded.id == again.id == id and len(id) == 64
    assert np.array_equal(loaded.describe(FILMS), again.describe(FILMS))
    assert saved(tmp_path / "b", seed=1) != id
    record = json.loads((tmp_path / "a" / "encoder.json").read_text())
    assert record["cohort"] == "cohort-a" and record["settings"]["size"] == 32 and record["version"]


def test_weights_of_another_cohort_or_of_nothing_are_refused(tmp_path: Path) -> None:
    saved(tmp_path / "a")
    saved(tmp_path / "b", seed=1)
    with pytest.raises(EncoderProblem, match="trained on another cohort"):
        load_copynet(tmp_path / "a", "cohort-b")
    with pytest.raises(EncoderProblem, match=r"holds no encoder\.json"):
        load_copynet(tmp_path)
    (tmp_path / "a" / "encoder.safetensors").write_bytes(
        (tmp_path / "b" / "encoder.safetensors").read_bytes()
    )
    with pytest.raises(EncoderProblem, match="is not the one"):
        load_copynet(tmp_path / "a")
    (tmp_path / "a" / "encoder.safetensors").unlink()
    with pytest.raises(EncoderProblem, match="is missing"):
        load_copynet(tmp_path / "a")


@pytest.mark.parametrize(
    "change", [{"channels": [8, 16]}, {"type": "other/1"}, {"size": 33}, {"blocks": "x"}]
)
def test_shapes_that_do_not_fit_are_refused(tmp_path: Path, change: dict[str, object]) -> None:
    saved(tmp_path)
    path = tmp_path / "encoder.json"
    record = json.loads(path.read_text())
    record["architecture"] |= change
    path.write_text(json.dumps(record))
    with pytest.raises(EncoderProblem, match="do not fit") as caught:
        load_copynet(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", '{"schema": "medaudit.encoder/1"}', '{"schema": 3}'])
def test_a_record_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    saved(tmp_path)
    (tmp_path / "encoder.json").write_text(text)
    with pytest.raises(EncoderProblem, match=r"encoder\.json is not"):
        load_copynet(tmp_path)


def rows(count: int, first: int = 0) -> np.ndarray:
    return (first + np.arange(count * 5, dtype=np.float32)).reshape(count, 5)


def blocks(values: np.ndarray, step: int = 2) -> Iterator[np.ndarray]:
    return (values[start : start + step] for start in range(0, len(values), step))


def test_embeddings_are_appended(tmp_path: Path) -> None:
    path = tmp_path / "embeddings.safetensors"
    first = write_embeddings(path, "enc", "a", 7, 5, blocks(rows(7)))
    assert np.array_equal(first.rows, rows(7)) and first.rows.shape == (7, 5)
    both = append_embeddings(path, "enc", "b", 3, blocks(rows(3, 100)))
    assert np.array_equal(both.rows, np.concatenate([rows(7), rows(3, 100)]))
    assert np.array_equal(both.of("b"), rows(3, 100)) and np.array_equal(both.of("a"), rows(7))
    assert [(part.cohort, part.rows) for part in open_embeddings(path, "enc", ["a", "b"]).parts] == [
        ("a", 7),
        ("b", 3),
    ]
    assert torch.equal(load_file(path)["embeddings"], torch.from_numpy(np.array(both.rows)))
    assert not list(tmp_path.glob("*.tmp"))


def test_embeddings_of_others_are_refused_and_nothing_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "e"
    write_embeddings(path, "enc", "a", 7, 5, blocks(rows(7)))
    before = path.read_bytes()
    with pytest.raises(EmbeddingsMismatch, match="another encoder"):
        append_embeddings(path, "other", "b", 3, blocks(rows(3)))
    with pytest.raises(EmbeddingsMismatch, match="holds this cohort already"):
        append_embeddings(path, "enc", "a", 3, blocks(rows(3)))
    with pytest.raises(EmbeddingsMismatch, match="other cohorts"):
        open_embeddings(path, "enc", ["b"])
    with pytest.raises(EmbeddingsMismatch, match="none of this cohort"):
        open_embeddings(path).of("b")
    with pytest.raises(ValueError, match="announced"):
        append_embeddings(path, "enc", "b", 4, blocks(rows(3)))
    with pytest.raises(ValueError, match="shape"):
        append_embeddings(path, "enc", "b", 3, blocks(rows(3)[:, :4]))
    assert path.read_bytes() == before and not list(tmp_path.glob("*.tmp"))


@pytest.mark.parametrize("harm", ["cut", "flip", "none", "text", "foreign"])
def test_broken_embeddings_are_refused(tmp_path: Path, harm: str) -> None:
    path = tmp_path / "e"
    write_embeddings(path, "enc", "a", 7, 5, blocks(rows(7)))
    data = bytearray(path.read_bytes())
    if harm == "flip":
        data[-3] ^= 1
    path.write_bytes(
        {"cut": data[:-4], "flip": data, "none": b"", "text": b"no embeddings here", "foreign": b""}[harm]
    )
    if harm == "foreign":
        save_file({"embeddings": torch.zeros(2, 3)}, path)
    with pytest.raises(
        EmbeddingsMismatch, match="not whole" if harm in ("cut", "flip") else "holds no embeddings"
    ):
        open_embeddings(path)
    with pytest.raises(EmbeddingsMismatch, match="is not a file"):
        open_embeddings(tmp_path / "absent")


def test_densenet_by_path(tmp_path: Path) -> None:
    path = tmp_path / "xrv.safetensors"
    tensors = {f"model.{name}": value.contiguous() for name, value in DenseNet121(1).state_dict().items()}
    save_file({**tensors, "model.classifier.weight": torch.zeros(18, 1024)}, path)
    seen = load_foreign_encoder(path, size=64)
    assert seen.name == "densenet121" and len(seen.id) == 64
    found = seen.poses(FILMS)
    assert found.shape == (3, 2, 1, 1024) and np.isfinite(found).all()
    assert np.array_equal(seen.describe(FILMS[1:2]), seen.describe(FILMS)[1:2])
    assert (
        sum(p.numel() for p in DenseNet121(3).parameters()) == 7_978_856 - 1_025_000
    )  # torchvision's, less its head
    del tensors["model.features.norm5.weight"]
    save_file(tensors, path)
    with pytest.raises(EncoderProblem, match="1 tensors of a densenet121 are missing"):
        load_foreign_encoder(path)


@pytest.mark.slow
def test_densenet_is_the_one_of_another_library() -> None:
    from monai.networks.nets import DenseNet121 as Twin

    twin = Twin(spatial_dims=2, in_channels=1, out_channels=4).eval()
    own = DenseNet121(1).eval()
    names = {name.replace(".layers.", "."): value for name, value in twin.features.state_dict().items()}
    own.features.load_state_dict(names)
    films = torch.from_numpy(np.stack([phantom(60 + i, 0, (64, 64)) for i in range(2)]))[:, None]
    with torch.inference_mode():
        expected = torch.relu(twin.features((2 * films - 1) * 1024)).mean((2, 3))
        found = own(films)
    assert torch.allclose(found, torch.nn.functional.normalize(expected, dim=1), atol=1e-5)


def test_dinov2_by_path(tmp_path: Path) -> None:
    path = tmp_path / "vit.safetensors"
    tensors = dict(Dinov2(128, 2, 5).state_dict())
    save_file({**tensors, "embeddings.mask_token": torch.zeros(1, 128)}, path)
    seen = load_foreign_encoder(path, size=42)  # 3 x 3 patches where 5 x 5 positions were learnt
    found = seen.describe(FILMS)
    assert seen.name == "dinov2" and found.shape == (3, 1, 128) and np.isfinite(found).all()
    tensors["encoder.layer.1.mlp.fc1.weight"] = torch.zeros(7, 128)
    save_file(tensors, path)
    with pytest.raises(EncoderProblem, match="shapes are not those"):
        load_foreign_encoder(path)
    with torch.device("meta"):
        base = Dinov2(768, 12, 37)
    # the published ViT-B/14 has 86,580,480 parameters, 768 of them the mask token that only training uses
    assert sum(p.numel() for p in base.parameters()) == 86_580_480 - 768


def test_pickles_and_unknown_networks_are_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(2)}, tmp_path / "a.pt")
    with pytest.raises(EncoderProblem, match="convert it where you trust it"):
        load_foreign_encoder(tmp_path / "a.pt")
    save_file({"a": torch.zeros(2)}, tmp_path / "b.safetensors")
    with pytest.raises(EncoderProblem, match="no known architecture"):
        load_foreign_encoder(tmp_path / "b.safetensors")
    with pytest.raises(EncoderProblem, match="is not a file"):
        load_foreign_encoder(tmp_path / "absent.safetensors")
