"""medaudit's own model folder: model.safetensors (averaged weights), model.json (what they are), loss.csv."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from medaudit.artifacts.store import Artifact, write_whole
from medaudit.checkpoints import save_tensors
from medaudit.config import SamplingSettings, TrainSettings, check_settings
from medaudit.errors import MedauditError, ModelUnreadable
from medaudit.generators.denoising import Denoiser
from medaudit.generators.filling import filled
from medaudit.generators.networks import build_network
from medaudit.generators.sampling import GenerativeModel
from medaudit.generators.training import Trained

SCHEMA = "medaudit.model/1"
WEIGHTS = "model.safetensors"
RECORD = "model.json"


def class_table(labels: Sequence[Sequence[str]]) -> tuple[list[list[str]], np.ndarray, list[int]]:
    """Classes of a cohort, one for each set of labels that occurs, sorted; each row's class (n,) int64; counts."""
    sets = [tuple(sorted(set(row))) for row in labels]
    table = sorted(set(sets))
    place = {key: i for i, key in enumerate(table)}
    classes = np.array([place[key] for key in sets], dtype=np.int64)
    return [list(key) for key in table], classes, np.bincount(classes, minlength=len(table)).tolist()


def class_name(labels: Sequence[str]) -> str:
    """A class in words: its labels, or `unlabelled`."""
    return " + ".join(labels) or "unlabelled"


def write_model(
    folder: Path,
    trained: Trained,
    settings: TrainSettings,
    image_shape: tuple[int, int],
    dtype: str,
    class_labels: list[list[str]],
    class_counts: list[int],
) -> None:
    """Write the three files into `folder`, an artifact's draft."""
    save_tensors({k: v.contiguous() for k, v in trained.weights.items()}, folder / WEIGHTS)
    record = {
        "schema": SCHEMA,
        "architecture": trained.architecture,
        "image_shape": list(image_shape),
        "dtype": dtype,
        "preconditioning": {"kind": "edm", "sigma_data": settings.noise.sigma_data},
        "sampling": settings.sampling.model_dump(),
        "class_labels": class_labels,
        "class_counts": class_counts,
    }
    write_whole(folder / RECORD, (json.dumps(record, indent=1, sort_keys=True) + "\n").encode())
    lines = ["step,loss", *(f"{step},{loss!r}" for step, loss in trained.losses)]
    write_whole(folder / "loss.csv", ("\n".join(lines) + "\n").encode())


def read_model(artifact: Artifact, device: torch.device) -> GenerativeModel:
    """The model of an opened artifact. Raises ModelUnreadable when record and weights do not fit."""
    path = artifact.path
    try:
        record: dict[str, Any] = json.loads(artifact.file(RECORD).read_text())
        if record["schema"] != SCHEMA:
            raise ModelUnreadable(
                f"{path}: schema {record['schema']!r} is not known; this version reads {SCHEMA}"
            )
        if record["preconditioning"]["kind"] != "edm":
            raise ModelUnreadable(f"{path}: preconditioning is not edm; make the model again")
        sigma_data = float(record["preconditioning"]["sigma_data"])
        height, width = (int(n) for n in record["image_shape"])
        labels = [[str(label) for label in row] for row in record["class_labels"]]
        counts = [int(n) for n in record["class_counts"]]
        dtype = str(np.dtype(record["dtype"]))
        described = record["architecture"]
        network = filled(lambda: build_network(described), described, [artifact.file(WEIGHTS)])
        sampling = check_settings(record["sampling"], SamplingSettings, f"{path}: model.json: sampling")
    except MedauditError:
        raise
    except Exception:  # whatever json, diffusers or torch find wrong with a foreign-made record
        raise ModelUnreadable(f"{path}: model.json and model.safetensors do not fit; make it again") from None
    denoiser = Denoiser(network, sigma_data).to(device).eval().requires_grad_(False)
    return GenerativeModel(
        denoise=denoiser,
        image_shape=(height, width),
        sampling=sampling,
        device=device,
        id=artifact.id,
        classes=[class_name(row) for row in labels],
        class_labels=labels,
        class_counts=counts,
        dtype=dtype,
        train_id=artifact.lineage.get("train"),
    )
