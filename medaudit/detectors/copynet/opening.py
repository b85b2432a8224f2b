"""One door for an encoder by path: a copy network's folder, or a safetensors file of a known architecture."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from medaudit.detectors.copynet.detector import EncoderDetector
from medaudit.detectors.copynet.embeddings import open_embeddings, write_embeddings
from medaudit.detectors.copynet.foreign import load_foreign_encoder
from medaudit.detectors.copynet.weights import RECORD, load_copynet
from medaudit.errors import EncoderProblem, SourceMissing

EMBEDDINGS = "embeddings.safetensors"
_PORTION = 256  # films described at once


def save_embeddings(
    path: Path, detector: EncoderDetector, cohort_id: str, films: Callable[[slice], np.ndarray], count: int
) -> None:
    """Describe `count` films of a cohort, (n, Y, X) for a slice of places, and write them to a file."""
    blocks = (
        detector.describe(films(slice(start, min(start + _PORTION, count))))[:, 0]
        for start in range(0, count, _PORTION)
    )
    values = detector.describe(films(slice(0, 1))).shape[-1]
    write_embeddings(path, detector.id, cohort_id, count, values, blocks)


def open_encoder(path: Path, cohort_id: str, device: torch.device | str = "cpu") -> EncoderDetector:
    """The detector at a path; a copy network must have been trained on the cohort named.

    Embeddings that lie beside a copy network are used. Raises SourceMissing where nothing stands, EncoderProblem
    for what is no encoder or another cohort's, EmbeddingsMismatch for embeddings of others.
    """
    if not path.exists():
        raise SourceMissing(
            f"{path} does not exist; give an encoder's folder or safetensors file, or `train`"
        )
    if not path.is_dir():
        return load_foreign_encoder(path, device)
    if (path / RECORD).is_file():
        detector = load_copynet(path, cohort_id, device)
        if (path / EMBEDDINGS).is_file():
            detector.saved[cohort_id] = open_embeddings(path / EMBEDDINGS, detector.id).of(cohort_id)
        return detector
    files = sorted(path.glob("*.safetensors"))
    if len(files) != 1:
        raise EncoderProblem(
            f"{path} holds {len(files) or 'no'} safetensors {'files' if len(files) > 1 else 'file'} and no {RECORD}; "
            "give the file itself, or the folder of a copy network"
        )
    return load_foreign_encoder(files[0], device)
