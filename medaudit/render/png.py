"""Grey pictures as PNG files that hold nothing but pixels."""

import struct
import zlib

import numpy as np


def grey_png(pixels: np.ndarray) -> bytes:
    """(Y, X) uint8 → a grey PNG without any text chunk; each row as the difference to the one above (PNG, 9.2: Up)."""
    if pixels.ndim != 2 or pixels.dtype != np.uint8:
        raise ValueError("a (Y, X) uint8 picture is expected")
    height, width = pixels.shape
    above = np.concatenate([np.zeros_like(pixels[:1]), pixels[:-1]])
    rows = np.full((height, 1 + width), 2, dtype=np.uint8)
    rows[:, 1:] = pixels - above
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b""))
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body
