"""One search of images against T under one detector, remembered so that a killed audit goes on after it.

Memory: see `described`; beside it about 40 bytes an image that asked. Axes: G images that ask.
"""

from io import BytesIO
from pathlib import Path

import numpy as np

from medaudit.artifacts.store import write_whole
from medaudit.protocol.described import Machine
from medaudit.protocol.found import Found, Images
from medaudit.protocol.indexes import Index


def search(
    images: Images, train: Index, k: int, machine: Machine, name: str, leave_out: np.ndarray | None = None
) -> Found:
    """Every image against all of T; `leave_out` (G,) is the patient not to compare with.

    Remembered under `name`, so that a killed audit goes on after its last whole portion.
    """
    whole = machine.scratch(f"{name}.npz")
    if whole.is_file():
        return _read(whole)
    parts: list[Found] = []
    machine.progress.start(name, len(images))
    for part in train.portions(len(images), machine):
        kept = machine.scratch(f"{name}-{part.start}-{part.stop}.npz")
        if kept.is_file():
            parts.append(_read(kept))
        else:
            out = None if leave_out is None else leave_out[part]
            parts.append(train.ask(images.images(part), k, out, machine))
            _write(kept, parts[-1])
        machine.progress.advance(part.stop - part.start)
    found = Found.joined(parts)
    _write(whole, found)  # a second look at the remainder reads it
    return found


def _read(kept: Path) -> Found:
    with np.load(kept, allow_pickle=False) as archive:
        return Found(**archive)


def _write(kept: Path, found: Found) -> None:
    stream = BytesIO()
    np.savez(stream, **vars(found))
    write_whole(kept, stream.getvalue())
