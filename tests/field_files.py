"""Kinds of files that public bug reports of the field are about: each with the pixels that are right, or a refusal.

What is right is computed here from the picture by hand (numpy), never by the readers. All pictures are square, so that
a cohort of their size holds their pixels unchanged. Axes: (Y, X) pixels.
"""

import io
import struct
import warnings
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)
from reader_files import dataset

SIDE = 32
Case = tuple[Callable[[], bytes], np.ndarray, float]  # bytes, what is right, tolerance


def picture(top: int = 4095, salt: int = 0) -> np.ndarray:
    """(SIDE, SIDE) int32 in [0, top]: smooth with a little noise, as a radiograph is, and no symmetry."""
    y, x = np.mgrid[:SIDE, :SIDE]
    noise = np.random.Generator(np.random.Philox(40 + salt)).normal(0, 0.03, (SIDE, SIDE))
    values = np.sin(x / 7 + salt) + np.cos(y / 5) + x / 30 + noise
    values = (values - values.min()) / (values.max() - values.min())
    return np.rint(values * top).astype(np.int32)


def by_percentiles(values: np.ndarray, inside: np.ndarray | None = None) -> np.ndarray:
    """Percentiles 0.5 and 99.5 become 0 and 1; what is not inside becomes 0 and does not count."""
    values = np.asarray(values, dtype=float)
    low, high = np.percentile(values if inside is None else values[inside], [0.5, 99.5])
    unit = np.clip((values - low) / (high - low), 0, 1)
    return unit if inside is None else np.where(inside, unit, 0.0)


P12, P8 = picture(), picture(255)
W12, W8 = by_percentiles(P12), by_percentiles(P8)


def encoded(ds: Dataset) -> bytes:
    """The bytes of a DICOM file; what pydicom thinks of odd values is left aside."""
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pydicom.dcmwrite(stream, ds, enforce_file_format=True)
    return stream.getvalue()


def native(stored: np.ndarray = P12, bits: int = 12, signed: bool = False, **tags: Any) -> bytes:
    """A CR file with `stored`; tags given as None are taken out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return encoded(dataset(stored, bits, signed, **tags))


def stated_bits(cells: np.ndarray, bits: int, **tags: Any) -> bytes:
    """16-bit cells whose header states `bits`."""
    ds = dataset(cells, 16, **tags)
    ds.BitsStored, ds.HighBit = bits, bits - 1
    return encoded(ds)


def packed(
    syntax: UID, stored: np.ndarray = P12, signed: bool = False, bits: int = 12, **tags: Any
) -> Dataset:
    """The same, compressed; the tags are set after the compression, so that they may contradict it."""
    ds = dataset(stored, bits, signed)
    error = {"jls_error": 2} if syntax == JPEGLSNearLossless else {}
    ds.compress(syntax, generate_instance_uid=False, **error)
    for name, value in tags.items():
        setattr(ds, name, value)
    return ds


def says(data: bytes, syntax: str) -> bytes:
    """The file with another transfer syntax in its meta information, and nothing else changed."""
    value = syntax.encode().ljust(len(syntax) + len(syntax) % 2, b"\0")
    at = data.index(b"\x02\x00\x10\x00UI")
    (length,) = struct.unpack("<H", data[at + 6 : at + 8])
    data = data[: at + 6] + struct.pack("<H", len(value)) + value + data[at + 8 + length :]
    (group,) = struct.unpack("<I", data[140:144])
    return data[:140] + struct.pack("<I", group + len(value) - length) + data[144:]


def bare(data: bytes) -> bytes:
    """The data set alone: no preamble, no meta information."""
    return data[144 + struct.unpack("<I", data[140:144])[0] :]


def slope_of(text: bytes, stored: np.ndarray = P12) -> bytes:
    """A file whose RescaleSlope is this text, byte for byte."""
    plain = b"\x28\x00\x53\x10DS\x02\x001 "
    data = native(stored, RescaleIntercept="0", RescaleSlope="1")
    assert plain in data
    return data.replace(plain, plain[:6] + struct.pack("<H", len(text)) + text)


def padded(value: int, stated: int, vr: str, signed: bool) -> Case:
    """40 % of the picture is `value` and PixelPaddingValue states it, in either value representation."""
    inside = np.broadcast_to(np.arange(SIDE) >= 13, (SIDE, SIDE))
    values = P12 - 1000 if signed else P12

    def data() -> bytes:
        ds = dataset(np.where(inside, values, value), 16, signed)
        ds.add_new("PixelPaddingValue", vr, stated)
        return encoded(ds)

    return data, by_percentiles(values, inside), 0


def colour(pixels: np.ndarray, kind: str = "RGB", planar: int | None = 0) -> bytes:
    """An 8-bit file of three samples (Y, X, 3)."""
    ds = dataset(P8, 8, SamplesPerPixel=3, PhotometricInterpretation=kind)
    if planar is not None:
        ds.PlanarConfiguration = planar
    order = np.moveaxis(pixels, 2, 0) if planar == 1 else pixels
    ds.PixelData = np.ascontiguousarray(order).astype(np.uint8).tobytes()
    return encoded(ds)


def lookup(bits: int, table: np.ndarray, **tags: Any) -> bytes:
    """An 8-bit file with a modality LUT."""
    item = Dataset()
    item.LUTDescriptor, item.ModalityLUTType = [len(table), 0, bits], "US"
    item.add_new("LUTData", "OW", table.tobytes())
    return native(P8, 8, ModalityLUTSequence=[item], **tags)


def fragmented(syntax: UID) -> bytes:
    """Three fragments and an empty basic offset table."""
    ds = packed(syntax)
    frame = get_frame(ds.PixelData, 0, number_of_frames=1)
    ds.PixelData = encapsulate([frame], fragments_per_frame=3, has_bot=False)
    ds["PixelData"].is_undefined_length = True
    return encoded(ds)


def undelimited(syntax: UID) -> bytes:
    """The sequence delimiter after the last fragment is missing."""
    data = encoded(packed(syntax))
    return data[: data.rindex(b"\xfe\xff\xdd\xe0")]


def other_syntax(syntax: UID) -> bytes:
    """The picture in another uncompressed transfer syntax."""
    ds = dataset(P12)
    ds.file_meta.TransferSyntaxUID = syntax
    if syntax == ExplicitVRBigEndian:
        ds.PixelData = P12.astype(">u2").tobytes()
    return encoded(ds)


GRAY3 = np.repeat(P8[:, :, None], 3, axis=2)
YBR = np.dstack([P8, np.full_like(P8, 128), np.full_like(P8, 128)])
YBR422 = np.stack([P8[:, 0::2], P8[:, 1::2], *np.full((2, SIDE, SIDE // 2), 128)], axis=2)
NEAR = np.clip(GRAY3 + np.random.Generator(np.random.Philox(3)).integers(-3, 4, GRAY3.shape), 0, 255)
LUMA = np.rint(NEAR @ np.array([0.299, 0.587, 0.114]))  # ITU-R BT.601
OVERLAY = np.zeros_like(P12)
OVERLAY[5:9, 3:28] = 1 << 15
NOISE = np.random.Generator(np.random.Philox(1)).integers(0, 16, P12.shape) << 12
CURVE = (np.arange(256) ** 2 // 2).astype("<u2")
M1: dict[str, Any] = {"PhotometricInterpretation": "MONOCHROME1"}


def dicom_cases() -> dict[str, Case]:
    """Name → a DICOM file that holds the picture, and its pixels."""
    cases: dict[str, Case] = {
        "padding, signed": padded(-2000, -2000, "SS", True),
        "padding, signed, stated unsigned": padded(-2000, 63536, "US", True),
        "padding, unsigned": padded(65535, 65535, "US", False),
        "padding, unsigned, stated signed": padded(65535, -1, "SS", False),
    }
    same: dict[str, Callable[[], bytes]] = {
        "plain": lambda: native(),
        "MONOCHROME1": lambda: native(4095 - P12, **M1),
        "MONOCHROME1, slope -1": lambda: native(P12, **M1, RescaleSlope=-1, RescaleIntercept=4095),
        "lower case monochrome1": lambda: native(4095 - P12, PhotometricInterpretation="monochrome1"),
        "NUL behind MONOCHROME1": lambda: native(4095 - P12, **M1).replace(b"HROME1 ", b"HROME1\0"),
        "PresentationLUTShape INVERSE": lambda: native(4095 - P12, PresentationLUTShape="INVERSE"),
        "MONOCHROME1 and INVERSE": lambda: native(4095 - P12, **M1, PresentationLUTShape="INVERSE"),
        "MONOCHROME1 and IDENTITY": lambda: native(4095 - P12, **M1, PresentationLUTShape="IDENTITY"),
        "window": lambda: native(P12, WindowCenter=100, WindowWidth=20),
        "garbage past BitsStored": lambda: stated_bits(P12 | NOISE, 12),
        "undeclared overlay past BitsStored": lambda: stated_bits(P12 | OVERLAY, 12),
        "BitsStored 10 over 12-bit values": lambda: stated_bits(P12, 10),
        "BitsStored 10, MONOCHROME1": lambda: stated_bits(4095 - P12, 10, **M1),
        "slope 0": lambda: slope_of(b"0 "),
        "slope with a comma": lambda: slope_of(b"1,0 "),
        "slope of blanks": lambda: slope_of(b"    "),
        "slope of two values": lambda: slope_of(b"1\\1 "),
        "slope of no number": lambda: slope_of(b"one "),
        "slope -1,0": lambda: slope_of(b"-1,0", 4095 - P12),
        "slope 1e300": lambda: slope_of(b"1e300 "),
        "intercept 1e30": lambda: native(P12, RescaleSlope="1", RescaleIntercept="1e30"),
        "NumberOfFrames 0": lambda: native(P12, NumberOfFrames="0"),
        "NumberOfFrames 1": lambda: native(P12, NumberOfFrames="1 "),
        "samples said RGB, one there": lambda: native(P12, PhotometricInterpretation="RGB"),
        "samples said YBR, one there": lambda: native(P12, PhotometricInterpretation="YBR_FULL"),
        "PhotometricInterpretation empty": lambda: native(P12, PhotometricInterpretation=""),
        "big endian": lambda: other_syntax(ExplicitVRBigEndian),
        "implicit": lambda: other_syntax(ImplicitVRLittleEndian),
        "deflated": lambda: other_syntax(DeflatedExplicitVRLittleEndian),
        "says implicit, is explicit": lambda: says(native(), "1.2.840.10008.1.2"),
        "says explicit, is implicit": lambda: says(other_syntax(ImplicitVRLittleEndian), "1.2.840.10008.1.2.1"),
        "says JPEG lossless, is native": lambda: says(native(), "1.2.840.10008.1.2.4.70"),
        "says JPEG 2000, is native": lambda: says(native(), "1.2.840.10008.1.2.4.90"),
        "says RLE, is native": lambda: says(native(), "1.2.840.10008.1.2.5"),
        "no preamble": lambda: native()[132:],
        "data set alone": lambda: bare(native()),
        "data set alone, implicit": lambda: bare(other_syntax(ImplicitVRLittleEndian)),
        "data set alone, JPEG 2000": lambda: bare(encoded(packed(JPEG2000Lossless))),
        "pixel data 2 bytes longer": lambda: native(P12, PixelData=P12.astype("<u2").tobytes() + b"\0\0"),
        "RLE signed, sign not extended": lambda: encoded(
            packed(RLELossless, (P12 - 2048) & 0xFFF, PixelRepresentation=1)
        ),
        "JPEG 2000 unsigned, header signed": lambda: encoded(
            packed(JPEG2000Lossless, (P12 - 2048) & 0xFFF, PixelRepresentation=1)
        ),
        "JPEG 2000 signed, header unsigned": lambda: encoded(
            packed(JPEG2000Lossless, P12 - 2048, True, PixelRepresentation=0)
        ),
        **{
            f"without {name}": lambda name=name: native(P12, **{name: None})  # type: ignore[misc]
            for name in (
                "PhotometricInterpretation", "SamplesPerPixel", "PixelRepresentation", "BitsStored", "HighBit",
            )
        },
    }  # fmt: skip
    for name, syntax in (("RLE", RLELossless), ("JPEG-LS", JPEGLSLossless), ("JPEG 2000", JPEG2000Lossless)):
        same |= _packed_cases(name, syntax)
    cases |= {name: (data, W12, 0) for name, data in same.items()}
    cases |= {name: (data, W8, 0) for name, data in _gray_in_colour().items()}
    half = np.minimum(np.arange(256), 127)
    return cases | {
        "nearly gray RGB": (lambda: colour(NEAR), by_percentiles(LUMA), 0),
        "JPEG-LS near-lossless": (lambda: encoded(packed(JPEGLSNearLossless)), W12, 4 / 4095),
        "modality LUT": (lambda: lookup(16, CURVE), by_percentiles(CURVE[P8]), 0),
        "modality LUT, INVERSE": (
            lambda: lookup(16, CURVE, PresentationLUTShape="INVERSE"), by_percentiles(-1.0 * CURVE[P8]), 0,
        ),
        "modality LUT of 128 entries": (
            lambda: lookup(16, CURVE[:128]), by_percentiles(CURVE[half[P8]]), 0,
        ),
        "modality LUT of 12 bits": (lambda: lookup(12, CURVE >> 4), by_percentiles((CURVE >> 4)[P8]), 0),
        "JPEG 2000 of 8 bits in cells of 16": (
            lambda: encoded(packed(JPEG2000Lossless, P8, bits=8, BitsAllocated=16)), W8, 0,
        ),
        "JPEG-LS of 8 bits in cells of 16": (
            lambda: encoded(packed(JPEGLSLossless, P8, bits=8, BitsAllocated=16)), W8, 0,
        ),
        "modality LUT of bytes": (
            lambda: lookup(8, np.arange(255, -1, -1, dtype=np.uint8)), by_percentiles(255 - P8), 0,
        ),
    }  # fmt: skip


def _packed_cases(name: str, syntax: UID) -> dict[str, Callable[[], bytes]]:
    cases: dict[str, Callable[[], bytes]] = {
        f"{name}": lambda: encoded(packed(syntax)),
        f"{name} signed": lambda: encoded(packed(syntax, P12 - 2048, True)),
        f"{name} MONOCHROME1": lambda: encoded(packed(syntax, 4095 - P12, **M1)),
        f"{name} says explicit": lambda: says(encoded(packed(syntax)), "1.2.840.10008.1.2.1"),
        f"{name} says implicit": lambda: says(encoded(packed(syntax)), "1.2.840.10008.1.2"),
        f"{name} says JPEG lossless": lambda: says(encoded(packed(syntax)), "1.2.840.10008.1.2.4.70"),
        f"{name} says JPEG baseline": lambda: says(encoded(packed(syntax)), "1.2.840.10008.1.2.4.50"),
        f"{name} says JPEG 2000": lambda: says(encoded(packed(syntax)), "1.2.840.10008.1.2.4.91"),
        f"{name} header says 16 bits": lambda: encoded(packed(syntax, BitsStored=16, HighBit=15)),
        f"{name} header says 10 bits": lambda: encoded(packed(syntax, BitsStored=10, HighBit=9)),
        f"{name} without delimiter": lambda: undelimited(syntax),
    }
    if name != "RLE":  # one fragment a frame, and no size of its own
        cases[f"{name} in three fragments"] = lambda: fragmented(syntax)
        cases[f"{name} one row less in the header"] = lambda: encoded(packed(syntax, Rows=SIDE - 1))
        cases[f"{name} sides of another shape"] = lambda: encoded(
            packed(syntax, Rows=SIDE * 2, Columns=SIDE // 2)
        )
    return cases


def _gray_in_colour() -> dict[str, Callable[[], bytes]]:
    return {
        "RGB": lambda: colour(GRAY3),
        "RGB by planes": lambda: colour(GRAY3, planar=1),
        "RGB without PlanarConfiguration": lambda: colour(GRAY3, planar=None),
        "three samples said MONOCHROME2": lambda: colour(GRAY3, "MONOCHROME2"),
        "YBR_FULL": lambda: colour(YBR, "YBR_FULL"),
        "YBR_FULL_422": lambda: colour(YBR422, "YBR_FULL_422"),
    }


def png_of(pixels: np.ndarray | Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """A file that Pillow writes."""
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def raw_png(pixels: np.ndarray, colour_type: int, depth: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG written by hand: kinds that Pillow does not write. PNG 1.2, section 11."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    rows, columns = pixels.shape[:2]
    lines = pixels.astype(">u2" if depth == 16 else "u1").reshape(rows, -1)
    head = struct.pack(">IIBBBBB", columns, rows, depth, colour_type, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + line.tobytes() for line in lines))
    parts = [(b"IHDR", head), *chunks, (b"IDAT", body), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def raw_tiff(pixels: bytes, bits: int, sample_format: int = 1, photometric: int = 1) -> bytes:
    """An uncompressed TIFF of one strip, written by hand. TIFF 6.0, sections 2 and 4."""
    tags = [
        (256, SIDE),
        (257, SIDE),
        (258, bits),
        (259, 1),
        (262, photometric),
        (273, 8),
        (277, 1),
        (278, SIDE),
    ]
    tags += [(279, len(pixels)), (339, sample_format)]
    entries = b"".join(struct.pack("<HHII", number, 4, 1, value) for number, value in tags)
    head = b"II*\0" + struct.pack("<I", 8 + len(pixels))
    return head + pixels + struct.pack("<H", len(tags)) + entries + bytes(4)
