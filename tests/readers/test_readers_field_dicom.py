"""DICOM files as the field's bug reports describe them: the pixels that come out are those of the picture, by hand.

docs/reading.md lists the kinds and what is decided about each.
"""

import io
import tempfile
import warnings
from pathlib import Path

import gdcm
import numpy as np
import pydicom
import pytest
from field_files import (
    GRAY3,
    M1,
    P8,
    P12,
    W8,
    W12,
    Case,
    by_percentiles,
    colour,
    dicom_cases,
    encoded,
    native,
    packed,
    picture,
    says,
    stated_bits,
)
from pydicom.uid import JPEG2000Lossless, RLELossless
from reader_files import dataset

from medaudit.artifacts.cohort import open_cohort
from medaudit.readers import dicom, files, notes, refusals
from medaudit.readers.refusals import Refused
from medaudit.stages import ingest

CASES = dicom_cases()
LOSSLESS = gdcm.TransferSyntax.JPEGLosslessProcess14_1
BASELINE = gdcm.TransferSyntax.JPEGBaselineProcess1


def by_gdcm(data: bytes, syntax: int) -> bytes:
    """The file with its pixels compressed by GDCM, an encoder that is not under test."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.dcm"
        path.write_bytes(data)
        reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
        reader.SetFileName(str(path))
        assert reader.Read()
        change.SetTransferSyntax(gdcm.TransferSyntax(syntax))
        change.SetInput(reader.GetImage())
        assert change.Change()
        writer.SetFileName(str(path))
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        assert writer.Write()
        return path.read_bytes()


def changed(data: bytes, **tags: object) -> bytes:
    ds = pydicom.dcmread(io.BytesIO(data))
    for name, value in tags.items():
        setattr(ds, name, value)
    return encoded(ds)


def read(data: bytes) -> tuple[np.ndarray, object]:
    film = files.read_data(data, "a.dcm")
    return film.unit, film.look.facts.get("notes")


def reason(data: bytes) -> str:
    with pytest.raises(Refused) as caught:
        files.read_data(data, "a.dcm")
    return caught.value.reason


def test_there_are_many_kinds_and_no_two_are_one_file() -> None:
    assert len(CASES) >= 90
    assert len({data() for data, _, _ in CASES.values()}) == len(CASES)


@pytest.mark.parametrize("name", CASES)
def test_the_pixels_are_those_of_the_picture(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    data, expected, tolerance = CASES[name]
    unit, _ = read(data())
    assert unit.shape == expected.shape
    np.testing.assert_allclose(unit, expected, atol=max(tolerance, 2e-6))
    capfd.readouterr()  # a C codec's own words


def test_all_kinds_in_one_folder_give_the_right_cohort(tmp_path: Path) -> None:
    """Through ingest: 16-bit pixels of each kind, in the order of the names."""
    source = tmp_path / "source"
    source.mkdir()
    for number, (data, _, _) in enumerate(CASES.values()):
        (source / f"{number:03d}.dcm").write_bytes(data())
    outcome = ingest.run(source, tmp_path / "cohort", size=32, depth="16")
    cohort = open_cohort(tmp_path / "cohort")
    assert outcome.data["refused"] == {} and len(cohort) == len(CASES)
    for pixels, (name, (_, expected, tolerance)) in zip(cohort.pixels, CASES.items(), strict=True):
        difference = np.abs(pixels / 65535 - expected).max()
        assert difference <= tolerance + 1 / 65535, name
    said = "\n".join(outcome.data["warnings"])
    for words in ("contradicts their pixel data", "above what BitsStored allows", "MONOCHROME2 was assumed"):
        assert words in said
    assert "Doe" not in said and "MRN" not in said


JPEG: dict[str, Case] = {
    "12 bits": (lambda: by_gdcm(native(), LOSSLESS), W12, 0),
    "MONOCHROME1": (lambda: by_gdcm(native(4095 - P12, **M1), LOSSLESS), W12, 0),
    "12 bits signed": (lambda: by_gdcm(native(P12 - 2048, 12, True), LOSSLESS), W12, 0),
    "16 bits signed": (
        lambda: by_gdcm(native(picture(65535) - 32768, 16, True), LOSSLESS), by_percentiles(picture(65535)), 0,
    ),
    "8 bits signed": (lambda: by_gdcm(native(P8 - 128, 8, True), LOSSLESS), W8, 0),
    "header says 16 bits": (
        lambda: changed(by_gdcm(native(), LOSSLESS), BitsStored=16, HighBit=15), W12, 0,
    ),
    "header says 10 bits": (
        lambda: changed(by_gdcm(native(), LOSSLESS), BitsStored=10, HighBit=9), W12, 0,
    ),
    "header says 8 bits allocated": (
        lambda: changed(by_gdcm(native(), LOSSLESS), BitsAllocated=8, BitsStored=8, HighBit=7), W12, 0,
    ),
    "sides of another shape": (lambda: changed(by_gdcm(native(), LOSSLESS), Rows=64, Columns=16), W12, 0),
    "one row less in the header": (lambda: changed(by_gdcm(native(), LOSSLESS), Rows=31), W12, 0),
    "says explicit": (lambda: says(by_gdcm(native(), LOSSLESS), "1.2.840.10008.1.2.1"), W12, 0),
    "says JPEG 2000": (lambda: says(by_gdcm(native(), LOSSLESS), "1.2.840.10008.1.2.4.90"), W12, 0),
    "baseline says explicit": (
        lambda: says(by_gdcm(native(P8, 8), BASELINE), "1.2.840.10008.1.2.1"), W8, 0.06,
    ),
    "baseline in a header of 12 bits": (
        lambda: changed(by_gdcm(native(P8, 8), BASELINE), BitsAllocated=16, BitsStored=12, HighBit=11), W8, 0.06,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", JPEG)
def test_jpeg_whatever_its_header_says(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    data, expected, tolerance = JPEG[name]
    unit, _ = read(data())
    np.testing.assert_allclose(unit, expected, atol=max(tolerance, 2e-6))
    capfd.readouterr()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (native(), None),
        (encoded(packed(JPEG2000Lossless)), None),
        (native(P12, RescaleSlope="2", RescaleIntercept="-7"), None),
        (native(P12, SamplesPerPixel=None), [notes.CORRECTED]),
        (says(encoded(packed(RLELossless)), "1.2.840.10008.1.2.1"), [notes.CORRECTED]),
        (native(P12, RescaleSlope="0"), [notes.CORRECTED]),
        (stated_bits(P12, 10), [notes.WIDER]),
        (stated_bits(P12 | 0x8000, 12), None),
        (native(P12, PhotometricInterpretation=None), [notes.POLARITY]),
        (native(P12, **M1, PresentationLUTShape="INVERSE"), None),
        (native(P12, **M1, PresentationLUTShape="IDENTITY"), [notes.TWO_POLARITIES]),
        (native(P12, PresentationLUTShape="IDENTITY"), None),
        (native(P12, PresentationLUTShape="INVERSE"), [notes.TWO_POLARITIES]),
    ],
)
def test_what_had_to_be_decided_is_noted_and_nothing_else(data: bytes, expected: list[str] | None) -> None:
    assert read(data)[1] == expected


def test_a_few_values_above_bits_stored_are_kept_and_wrap_nowhere() -> None:
    stored = P12.copy()
    stored[3:5, 7] = 4095 + 200
    np.testing.assert_allclose(read(stated_bits(stored, 12))[0], by_percentiles(stored), atol=2e-6)


def test_signed_values_that_need_more_than_bits_stored() -> None:
    values = P12 - 2048
    assert values.min() < -512 and values.max() > 511
    data = stated_bits(values & 0xFFFF, 10, PixelRepresentation=1)
    np.testing.assert_allclose(read(data)[0], W12, atol=2e-6)


def _floating(name: str, kind: str, bits: int) -> bytes:
    ds = dataset(P12, 16)
    for tag in ("PixelData", "BitsStored", "HighBit", "PixelRepresentation"):
        delattr(ds, tag)
    ds.BitsAllocated = bits
    setattr(ds, name, P12.astype(kind).tobytes())
    return encoded(ds)


def test_what_is_refused_and_by_which_name() -> None:
    strong = GRAY3.copy()
    strong[4:8, 4:8] = (255, 30, 30)
    tinted = GRAY3 + np.array([30, 0, 0]) * (GRAY3 < 200)
    twice = P12.astype("<u2").tobytes() * 2
    palette = dataset(P8, 8, PhotometricInterpretation="PALETTE COLOR")
    refused = {
        "a coloured marker": (colour(strong), refusals.COLOUR),
        "a tint": (colour(tinted), refusals.COLOUR),
        "a palette": (encoded(palette), refusals.COLOUR),
        "float": (_floating("FloatPixelData", "<f4", 32), refusals.BIT_DEPTH),
        "double": (_floating("DoubleFloatPixelData", "<f8", 64), refusals.BIT_DEPTH),
        "two frames of data, one in the header": (native(P12, PixelData=twice), refusals.EXCESS_PIXELS),
        "two bytes short": (native(P12, PixelData=twice[: 2 * P12.size - 2]), refusals.TRUNCATED),
        "a cut last fragment": (encoded(packed(JPEG2000Lossless))[:-40], refusals.TRUNCATED),
    }
    assert {name: reason(data) for name, (data, _) in refused.items()} == {
        name: expected for name, (_, expected) in refused.items()
    }


def test_a_damaged_header_is_refused_by_look_too() -> None:
    data = native()
    at = data.index(b"\x28\x00\x02\x00US")
    broken = data[: at + 4] + b"\x55\xf7" + data[at + 6 :]  # no value representation
    with pytest.raises(Refused, match=refusals.UNDECODABLE):
        dicom.look(io.BytesIO(broken))


def test_a_slope_changes_nothing_but_which_end_is_bright() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for slope, expected in (("1e-300", W12), ("-1e-300", by_percentiles(-P12)), ("7.5", W12)):
            np.testing.assert_allclose(read(native(P12, RescaleSlope=slope))[0], expected, atol=2e-6)
