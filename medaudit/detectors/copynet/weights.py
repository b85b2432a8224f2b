"""A trained copy network on disk: `encoder.safetensors`, and `encoder.json` that says what it is and whose.

Both are inert; the record holds the hash of the weights, so that two halves of different networks are refused.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from medaudit import __version__
from medaudit.artifacts.store import canonical, file_sha256, write_whole
from medaudit.config import CopyNetSettings
from medaudit.detectors.copynet.detector import CopyNet
from medaudit.detectors.copynet.network import build_encoder
from medaudit.detectors.copynet.training import TrainedCopyNet
from medaudit.errors import EncoderProblem

SCHEMA = "medaudit.encoder/1"
WEIGHTS = "encoder.safetensors"
RECORD = "encoder.json"


def save_copynet(
    folder: Path, trained: TrainedCopyNet, settings: CopyNetSettings, seed: int, cohort_id: str
) -> str:
    """Write both files into `folder`, the weights first; returns the encoder's id.

    `cohort_id` is the id of the cohort it was trained on.
    """
    body = {name: value.detach().contiguous() for name, value in trained.network.state_dict().items()}
    data = save(body)
    record = {
        "schema": SCHEMA,
        "version": __version__,
        "architecture": trained.architecture,
        "settings": settings.model_dump(mode="json"),
        "seed": seed,
        "cohort": cohort_id,
        "training": trained.facts,
        "losses": trained.losses,
        "weights_sha256": hashlib.sha256(data).hexdigest(),
    }
    write_whole(folder / WEIGHTS, data)
    write_whole(folder / RECORD, (json.dumps(record, indent=1, sort_keys=True) + "\n").encode())
    return encoder_id(record)


def load_copynet(folder: Path, cohort_id: str | None = None, device: torch.device | str = "cpu") -> CopyNet:
    """The detector whose files lie in `folder`; with `cohort_id` only if it was trained on that cohort.

    Raises EncoderProblem when the files are no encoder, do not fit together, or belong to another cohort.
    """
    record = _record(folder)
    if cohort_id is not None and record["cohort"] != cohort_id:
        raise EncoderProblem(f"{folder} was trained on another cohort; train the copy network on this one")
    weights = folder / WEIGHTS
    if not weights.is_file():
        raise EncoderProblem(f"{folder}: {WEIGHTS} is missing; train the copy network again")
    if file_sha256(weights) != record["weights_sha256"]:
        raise EncoderProblem(f"{folder}: {WEIGHTS} is not the one that {RECORD} describes; train it again")
    try:
        network = build_encoder(record["architecture"])
        network.load_state_dict(load(weights.read_bytes()))
    except (KeyError, ValueError, TypeError, RuntimeError, SafetensorError):
        raise EncoderProblem(
            f"{folder}: {RECORD} and {WEIGHTS} do not fit; train the copy network again"
        ) from None
    return CopyNet(network, network.size, device=device, id=encoder_id(record))


def encoder_id(record: dict[str, Any]) -> str:
    """SHA-256 over what decides an embedding: the architecture and the weights."""
    body = {"architecture": record["architecture"], "weights": record["weights_sha256"]}
    return hashlib.sha256(canonical(body).encode()).hexdigest()


def _record(folder: Path) -> dict[str, Any]:
    """The record beside the weights, its fields present and of their types."""
    path = folder / RECORD
    if not path.is_file():
        raise EncoderProblem(f"{folder} holds no {RECORD}; give the folder of a trained copy network")
    try:
        record = json.loads(path.read_bytes())
        known = record["schema"] == SCHEMA
        whole = isinstance(record["architecture"], dict) and all(
            isinstance(record[name], str) for name in ("cohort", "weights_sha256")
        )
    except (ValueError, KeyError, TypeError):
        raise EncoderProblem(f"{folder}: {RECORD} is not an encoder's record; train it again") from None
    if not known or not whole:
        raise EncoderProblem(f"{folder}: {RECORD} is not of schema {SCHEMA}; train the copy network again")
    return record
