"""Seeds derived by name, so that every random number of a run follows from one integer and a label."""

import hashlib

import numpy as np


def derive(seed: int, *labels: str | int) -> int:
    """A 63-bit seed that depends on `seed` and on every label, stable across machines and versions.

    SHA-256 of the labels keeps streams apart: image 17 and step 17 never share noise.
    """
    text = "\x1f".join([str(int(seed)), *(f"{type(label).__name__}:{label}" for label in labels)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *labels: str | int) -> np.random.Generator:
    """A numpy generator (Philox) for the stream named by the labels."""
    return np.random.Generator(np.random.Philox(derive(seed, *labels)))
