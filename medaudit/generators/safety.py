"""What may be read from a model folder: safetensors, JSON and YAML. A pickle runs code when it is loaded."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from medaudit.artifacts.store import MANIFEST, file_sha256, open_artifact
from medaudit.errors import ModelUnreadable, ModelUnsafe, SourceMissing

KINDS = (
    "a medaudit model, a diffusers folder (unet/config.json with its safetensors, scheduler/), "
    "or a MONAI bundle (configs/, models/*.safetensors)"
)

_PICKLE_NAMES = {".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".pt2", ".joblib", ".ts", ".h5"}
_CODE_MAGIC = (b"PK\x03\x04", b"PK\x05\x06", *(bytes([0x80, protocol]) for protocol in range(6)), b"\x89HDF")
_ADVICE = (
    "convert it where you trust it (safetensors.torch.save_file(model.state_dict(), 'model.safetensors')) "
    "and leave the original out of the folder"
)


def check_folder(folder: Path) -> None:
    """Whether a folder may hold a model, told before any library is loaded that would read one.

    Raises SourceMissing, ModelUnsafe, ModelUnreadable, ArtifactKindMismatch, ArtifactBroken.
    """
    if not folder.is_dir():
        raise SourceMissing(f"{folder} is not a folder; give {KINDS}")
    refuse_pickles(folder)
    if (folder / MANIFEST).is_file():
        open_artifact(folder, "model", verify=False)
    elif not any((folder / name).exists() for name in ("model_index.json", "unet", "configs", "config.json")):
        raise ModelUnreadable(f"{folder} holds no model that medaudit can read; give {KINDS}")


def refuse_pickles(folder: Path) -> None:
    """Raise ModelUnsafe when a file's name or first bytes are a pickle's, a zip's (torch.save) or HDF5's."""
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        name = path.relative_to(folder)
        if path.suffix.lower() in _PICKLE_NAMES:
            raise ModelUnsafe(f"{folder}: {name} may run code when loaded; {_ADVICE}")
        try:
            with path.open("rb") as stream:
                head = stream.read(4)
        except OSError:
            raise ModelUnreadable(f"{folder}: {name} may not be read; check its permissions") from None
        # A safetensors file starts with the length of its header, which may look like anything.
        if path.suffix != ".safetensors" and head.startswith(_CODE_MAGIC):
            raise ModelUnsafe(f"{folder}: {name} is a pickle or an archive whatever its name says; {_ADVICE}")


def folder_id(folder: Path, files: Iterable[Path]) -> str:
    """SHA-256 over names and contents of the files a model was read from: the id of a model that is not medaudit's."""
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(f"{path.relative_to(folder).as_posix()}\0{file_sha256(path)}\n".encode())
    return digest.hexdigest()
