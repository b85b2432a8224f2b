"""One door for models: medaudit's own folder, a diffusers folder, a MONAI bundle. Weights are data, never code.

No hub, no pickle, no `_target_` is evaluated: constructor arguments are taken from an allow-list, weights from
safetensors.
"""

from pathlib import Path

import torch

from medaudit.artifacts.store import MANIFEST, open_artifact
from medaudit.devices import pick_device
from medaudit.errors import MedauditError, ModelUnreadable
from medaudit.generators import foreign, models
from medaudit.generators.safety import KINDS, check_folder
from medaudit.generators.sampling import GenerativeModel


def load_model(folder: Path, device: str | torch.device = "auto") -> GenerativeModel:
    """The model in a folder, ready to sample.

    Raises SourceMissing, ModelUnsafe (a pickle anywhere in the folder), ModelUnreadable (a piece is missing or does
    not fit), ArtifactBroken (a medaudit model was changed), DeviceUnavailable.
    """
    check_folder(folder)
    place = pick_device(device) if isinstance(device, str) else device
    try:
        return _read(folder, place)
    except (MedauditError, MemoryError, OSError):
        raise
    except Exception:  # a config from anywhere may hold anything; nothing of it was run as code
        raise ModelUnreadable(
            f"{folder}: its configs and weights do not fit together; save the model again"
        ) from None


def _read(folder: Path, place: torch.device) -> GenerativeModel:
    """The same once the folder may be read. Whatever a foreign config provokes comes out as it is."""
    if (folder / MANIFEST).is_file():
        return models.read_model(open_artifact(folder, "model"), place)
    if (folder / "model_index.json").is_file() or (folder / "unet").is_dir():
        return foreign.read_diffusers(folder, place)
    if (folder / "configs").is_dir():
        return foreign.read_monai(folder, place)
    if (folder / "config.json").is_file():
        return foreign.read_diffusers(folder, place)
    raise ModelUnreadable(f"{folder} holds no model that medaudit can read; give {KINDS}")
