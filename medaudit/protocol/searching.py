"""One search of images against T under one detector, remembered so that a killed audit goes on after it.

Memory: see `described`; beside it about 40 bytes an image that asked. Axes: G images that ask.
"""

from io import BytesIO

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
    parts: list[Found] = []
    machine.progress.start(name, len(images))
    for part in train.portions(len(images), machine):
        kept = machine.scratch(f"{name}-{part.start}-{part.stop}.npz")
        if kept.is_file():
            with np.load(kept, allow_pickle=False) as archive:
                parts.append(Found(**archive))
        else:
            out = None if leave_out is None else leave_out[part]
            parts.append(train.ask(images.images(part), k, out, machine))
            stream = BytesIO()
            np.savez(stream, **vars(parts[-1]))
            write_whole(kept, stream.getvalue())
        machine.progress.advance(part.stop - part.start)
    return Found.joined(parts)
