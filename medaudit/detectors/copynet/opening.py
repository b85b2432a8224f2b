"""One door for an encoder by path: a copy network's folder, or a safetensors file of a known architecture."""

from pathlib import Path

import torch

from medaudit.detectors.copynet.detector import EncoderDetector
from medaudit.detectors.copynet.foreign import load_foreign_encoder
from medaudit.detectors.copynet.weights import RECORD, load_copynet
from medaudit.errors import EncoderProblem, SourceMissing


def open_encoder(path: Path, cohort_id: str, device: torch.device | str = "cpu") -> EncoderDetector:
    """The detector at a path; a copy network must have been trained on the cohort named.

    Raises SourceMissing where nothing stands, EncoderProblem for what is no encoder or another cohort's.
    """
    if not path.exists():
        raise SourceMissing(
            f"{path} does not exist; give an encoder's folder or safetensors file, or `train`"
        )
    if not path.is_dir():
        return load_foreign_encoder(path, device)
    if (path / RECORD).is_file():
        return load_copynet(path, cohort_id, device)
    files = sorted(path.glob("*.safetensors"))
    if len(files) != 1:
        raise EncoderProblem(
            f"{path} holds {len(files) or 'no'} safetensors {'files' if len(files) > 1 else 'file'} and no {RECORD}; "
            "give the file itself, or the folder of a copy network"
        )
    return load_foreign_encoder(files[0], device)
