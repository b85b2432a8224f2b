"""DICOM: known values at known pixels, one film in several encodings, and every refusal by name."""

import io
import json
import warnings
import zlib

import numpy as np
import pydicom
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, get_frame
from reader_files import dataset, ramp

from medaudit.readers import dicom, refusals
from medaudit.readers.codestream import stated_size
from medaudit.readers.refusals import ACCEPTABLE, Refused


def encoded(ds: Dataset) -> bytes:
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, ds, enforce_file_format=True)
    return stream.getvalue()


def local(name: str) -> bytes:
    path = get_testdata_file(name, download=False)
    if path is None:
        pytest.skip(f"{name} comes with pydicom-data, which is absent")
    with open(path, "rb") as stream:  # noqa: PTH123 - the path is a string of pydicom
        return stream.read()


def reason(data: bytes, accept: frozenset[str] = frozenset()) -> str:
    with pytest.raises(Refused) as caught:
        dicom.read(data, accept)
    return caught.value.reason


def by_hand(values: np.ndarray) -> np.ndarray:
    low, high = np.percentile(values, [0.5, 99.5])
    return np.clip((values - low) / (high - low), 0, 1)


class TestPolarityAndDepth:
    @pytest.mark.parametrize("bits", [8, 10, 12, 14, 15, 16])
    def test_monochrome2_follows_the_stored_values(self, bits: int) -> None:
        stored = ramp(top=2**bits - 1)
        film = dicom.read(encoded(dataset(stored, bits)))
        assert film.unit.shape == (7, 11) and film.unit.dtype == np.float32
        np.testing.assert_allclose(film.unit, by_hand(stored.astype(float)), atol=1e-6)
        assert film.route == "percentile"
        assert film.look.bits == bits

    @pytest.mark.parametrize("bits", [8, 10, 12, 16])
    def test_monochrome1_is_the_same_film(self, bits: int) -> None:
        stored = ramp(top=2**bits - 1)
        plain = dicom.read(encoded(dataset(stored, bits)))
        turned = dicom.read(
            encoded(dataset(2**bits - 1 - stored, bits, PhotometricInterpretation="MONOCHROME1"))
        )
        assert np.array_equal(plain.unit, turned.unit)

    def test_signed_values_are_turned_around_their_own_middle(self) -> None:
        stored = ramp(top=4095) - 2048
        plain = dicom.read(encoded(dataset(stored, signed=True)))
        turned = dicom.read(
            encoded(dataset(-1 - stored, signed=True, PhotometricInterpretation="MONOCHROME1"))
        )
        np.testing.assert_allclose(plain.unit, by_hand(stored.astype(float)), atol=1e-6)
        assert np.array_equal(plain.unit, turned.unit)

    @pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
    def test_a_negative_slope_turns_the_film_and_rescale_is_recorded(self, photometric: str) -> None:
        stored = ramp()
        plain = dicom.read(encoded(dataset(stored, PhotometricInterpretation=photometric)))
        turned = dicom.read(
            encoded(
                dataset(stored, PhotometricInterpretation=photometric, RescaleSlope=-2, RescaleIntercept=5)
            )
        )
        np.testing.assert_allclose(turned.unit, 1 - plain.unit, atol=1e-6)
        assert turned.route == "rescale" and plain.route == "percentile"

    def test_the_display_window_is_left_aside(self) -> None:
        windowed = dataset(ramp(), WindowCenter=100, WindowWidth=20)
        assert np.array_equal(dicom.read(encoded(windowed)).unit, dicom.read(encoded(dataset(ramp()))).unit)

    @given(slope=st.floats(0.01, 100), intercept=st.floats(-5000, 5000))
    def test_a_positive_rescale_changes_nothing_but_the_route(self, slope: float, intercept: float) -> None:
        scaled = dataset(ramp(), RescaleSlope=f"{slope:.6g}", RescaleIntercept=f"{intercept:.6g}")
        film = dicom.read(encoded(scaled))
        np.testing.assert_allclose(film.unit, dicom.read(encoded(dataset(ramp()))).unit, atol=1e-4)

    @pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
    def test_a_modality_table_is_applied_before_the_polarity(self, photometric: str) -> None:
        stored = ramp(top=255)
        table = (np.arange(256) ** 2 // 2).astype(np.uint16)  # not linear: the order matters
        item = Dataset()
        item.LUTDescriptor = [256, 0, 16]
        item.ModalityLUTType = "US"
        item.LUTData = table.tobytes()
        film = dicom.read(
            encoded(dataset(stored, 8, PhotometricInterpretation=photometric, ModalityLUTSequence=[item]))
        )
        looked_up = table[stored].astype(float)
        expected = by_hand(65535 - looked_up if photometric == "MONOCHROME1" else looked_up)
        np.testing.assert_allclose(film.unit, expected, atol=1e-6)
        assert film.route == "rescale"

    def test_padding_is_shown_as_air(self) -> None:
        stored = ramp(top=3000) + 500
        stored[:, :3] = 4095
        film = dicom.read(encoded(dataset(stored, PixelPaddingValue=4095)))
        assert (film.unit[:, :3] == 0).all()
        assert film.unit[-1, -1] == 1

    def test_bits_of_an_embedded_overlay_are_no_part_of_the_value(self) -> None:
        stored = ramp()
        dirty = dataset(stored | 0x8000, bits=16)
        dirty.BitsStored, dirty.HighBit = 12, 11
        dirty.add_new((0x6000, 0x0100), "US", 16)
        dirty.add_new((0x6000, 0x0102), "US", 15)
        assert np.array_equal(dicom.read(encoded(dirty)).unit, dicom.read(encoded(dataset(stored))).unit)

    def test_a_sign_that_does_not_fill_the_cell_is_extended(self) -> None:
        stored = ramp(top=4095) - 2048
        bare = _stated(dataset(stored & 0x0FFF, bits=16), 12)
        bare.PixelRepresentation = 1
        assert np.array_equal(
            dicom.read(encoded(bare)).unit, dicom.read(encoded(dataset(stored, signed=True))).unit
        )

    def test_values_past_bits_stored_saturate_and_never_wrap(self) -> None:
        stored = ramp(top=4095)
        wide = stored.copy()
        wide[-1, -1] = 4200
        film = dicom.read(encoded(_stated(dataset(wide, bits=16), 12)))
        assert film.unit[-1, -1] == film.unit.max() == 1


def _stated(ds: Dataset, bits: int) -> Dataset:
    ds.BitsStored, ds.HighBit = bits, bits - 1
    return ds


class TestOneFilmInManyEncodings:
    """RG1 and RG3 of pydicom-data: CR, MONOCHROME1, 15 and 10 bits; U: native, R: reversible, I: irreversible."""

    @pytest.mark.parametrize(("film", "largest"), [("RG1", 0.0185), ("RG3", 0.0089)])
    def test_all_encodings_come_out_as_one_image(self, film: str, largest: float) -> None:
        units = {
            kind: dicom.read(local(f"{film}_{kind}.dcm")).unit for kind in ("UNCR", "J2KR", "UNCI", "J2KI")
        }
        assert np.array_equal(units["UNCR"], units["J2KR"])
        assert np.array_equal(units["UNCI"], units["J2KI"])
        difference = np.abs(units["UNCR"] - units["J2KI"])
        assert 0 < difference.max() <= largest
        assert difference.mean() < 0.0025

    def test_lungs_are_dark_and_the_mediastinum_is_bright(self) -> None:
        unit = dicom.read(local("RG1_UNCR.dcm")).unit
        rows, columns = unit.shape
        band = unit[int(rows * 0.35) : int(rows * 0.5)]
        left, middle, right = (
            float(np.median(band[:, int(columns * a) : int(columns * b)]))
            for a, b in ((0.2, 0.35), (0.45, 0.55), (0.65, 0.8))
        )
        assert left < middle - 0.2 and right < middle - 0.2

    @pytest.mark.parametrize(
        "name",
        [
            "MR_small_RLE.dcm",
            "MR_small_jp2klossless.dcm",
            "MR_small_jpeg_ls_lossless.dcm",
            "MR_small_bigendian.dcm",
            "MR_small_implicit.dcm",
        ],
    )
    def test_lossless_syntaxes_give_the_native_image(self, name: str) -> None:
        native = dicom.read(local("MR_small.dcm"), ACCEPTABLE).unit
        assert np.array_equal(dicom.read(local(name), ACCEPTABLE).unit, native)

    def test_jpeg_lossless_and_deflated_are_read(self) -> None:
        assert dicom.read(local("JPEG-LL.dcm"), ACCEPTABLE).unit.shape == (1024, 256)
        assert dicom.read(local("image_dfl.dcm"), ACCEPTABLE).unit.shape == (512, 512)

    def test_lossy_overshoot_does_not_wrap_into_holes(self) -> None:
        reversible, lossy = (dicom.read(local(f"RG3_{kind}.dcm")).unit for kind in ("UNCR", "J2KI"))
        assert np.corrcoef(reversible.ravel(), lossy.ravel())[0, 1] > 0.998


class TestRefusals:
    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("JPEG-lossy.dcm", refusals.JPEG_12_BIT),
            ("MR_truncated.dcm", refusals.TRUNCATED),
            ("reportsi.dcm", refusals.STRUCTURED_REPORT),
            ("rtplan.dcm", refusals.OTHER_OBJECT),
            ("waveform_ecg.dcm", refusals.OTHER_OBJECT),
            ("emri_small.dcm", refusals.MULTI_FRAME),
            ("SC_rgb.dcm", refusals.COLOUR),
            ("examples_palette.dcm", refusals.COLOUR),
            ("examples_rgb_color.dcm", refusals.COLOUR),
            ("rtdose_1frame.dcm", refusals.BIT_DEPTH),
            (
                "JPEG2000-embedded-sequence-delimiter.dcm",
                refusals.TOO_MANY_PIXELS,
            ),  # so its damaged header says
        ],
    )
    def test_by_name_on_real_files(self, name: str, expected: str, capfd: pytest.CaptureFixture[str]) -> None:
        assert reason(local(name), ACCEPTABLE) == expected
        capfd.readouterr()  # a C codec's own words

    @pytest.mark.parametrize(
        ("tags", "expected"),
        [
            ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, refusals.SECONDARY_CAPTURE),
            ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7.2"}, refusals.SECONDARY_CAPTURE),
            ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.11.1"}, refusals.PRESENTATION_STATE),
            ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.59"}, refusals.KEY_OBJECTS),
            ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, refusals.LOCALIZER),
            ({"Modality": "CT"}, refusals.OTHER_MODALITY),
            ({"NumberOfFrames": 3}, refusals.MULTI_FRAME),
            ({"PixelData": None}, refusals.NO_PIXELS),
            ({"Rows": 60000, "Columns": 60000}, refusals.TOO_MANY_PIXELS),
            ({"Rows": 70}, refusals.TRUNCATED),
            ({"BitsAllocated": 32, "BitsStored": 32}, refusals.BIT_DEPTH),
        ],
    )
    def test_by_header_and_both_ways_alike(self, tags: dict, expected: str) -> None:
        data = encoded(dataset(ramp(), **tags))
        assert reason(data) == expected
        with pytest.raises(Refused) as caught:
            dicom.look(io.BytesIO(data))
        assert caught.value.reason == expected

    def test_the_unchanged_file_is_read(self) -> None:
        """The twin of the cases above: what they change is what is refused."""
        assert dicom.read(encoded(dataset(ramp()))).unit.shape == (7, 11)

    def test_constant_image(self) -> None:
        assert reason(encoded(dataset(np.full((7, 11), 77)))) == refusals.CONSTANT

    @pytest.mark.parametrize("kept", [0.999, 0.6, 0.1])
    @pytest.mark.parametrize("name", ["RG3_J2KI.dcm", "RG3_UNCR.dcm"])
    def test_a_file_cut_anywhere_is_refused(self, name: str, kept: float) -> None:
        data = local(name)
        assert reason(data[: int(len(data) * kept)]) == refusals.TRUNCATED

    def test_a_header_cut_before_its_size_is_truncated(self) -> None:
        data = local("RG3_UNCR.dcm")
        assert reason(data[:600]) == refusals.TRUNCATED

    @given(st.binary(max_size=400))
    def test_noise_is_refused_and_nothing_else(self, noise: bytes) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for data in (noise, b"\0" * 128 + b"DICM" + noise):
                assert reason(data) in refusals.REASONS

    @given(st.integers(132, 900), st.binary(min_size=1, max_size=6))
    @example(589, b"\0")  # HighBit with an unknown value representation
    def test_a_damaged_header_is_read_or_refused(self, at: int, patch: bytes) -> None:
        data = bytearray(encoded(dataset(ramp())))
        data[at : at + len(patch)] = patch
        try:
            unit = dicom.read(bytes(data)).unit
            assert np.isfinite(unit).all() and unit.min() >= 0 and unit.max() <= 1
        except Refused as refused:
            assert refused.reason in refusals.REASONS

    def test_a_deflated_bomb_is_not_inflated(self, monkeypatch: pytest.MonkeyPatch) -> None:
        data = local("image_dfl.dcm")
        start = 144 + int.from_bytes(data[140:144], "little")
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        block = packer.compress(zlib.decompress(data[start:], -15) + bytes(60 << 20)) + packer.flush()
        monkeypatch.setattr(dicom, "MAX_PIXELS", 1 << 20)
        assert reason(data[:start] + block, ACCEPTABLE) == refusals.TOO_MANY_PIXELS

    @pytest.mark.parametrize(
        "name", ["MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm", "JPEG-LL.dcm"]
    )
    def test_a_frame_that_states_a_huge_size_is_not_decoded(self, name: str) -> None:
        ds = pydicom.dcmread(io.BytesIO(local(name)))
        frame = bytearray(get_frame(ds.PixelData, 0, number_of_frames=1))
        assert stated_size(bytes(frame)) == (ds.Rows, ds.Columns)
        if frame[:2] == b"\xff\x4f":
            frame[8:16] = (60_000).to_bytes(4, "big") * 2
        else:
            at = frame.index(ds.Rows.to_bytes(2, "big") + ds.Columns.to_bytes(2, "big"))
            frame[at : at + 4] = (60_000).to_bytes(2, "big") * 2
        assert stated_size(bytes(frame)) == (60_000, 60_000)
        ds.PixelData = encapsulate([bytes(frame)])
        assert reason(encoded(ds), ACCEPTABLE) == refusals.TOO_MANY_PIXELS

    @given(st.binary(max_size=60), st.sampled_from([b"\xff\xd8", b"\xff\x4f\xff\x51", b""]))
    def test_noise_states_no_size_or_some_size(self, noise: bytes, start: bytes) -> None:
        size = stated_size(start + noise)
        assert size is None or len(size) == 2

    def test_every_reason_can_be_shown(self) -> None:
        assert len(refusals.REASONS) > 25
        assert all(isinstance(text, str) and "\n" not in text for text in refusals.REASONS)
        with pytest.raises(ValueError, match="vocabulary"):
            Refused("the file of Jane Doe")


class TestColour:
    def test_three_equal_channels_are_gray(self) -> None:
        stored = ramp(top=255)
        coloured = dataset(
            stored, 8, SamplesPerPixel=3, PhotometricInterpretation="RGB", PlanarConfiguration=0
        )
        coloured.PixelData = np.repeat(stored.astype(np.uint8)[:, :, None], 3, axis=2).tobytes() + b"\0"
        assert np.array_equal(
            dicom.read(encoded(coloured)).unit, dicom.read(encoded(dataset(stored, 8))).unit
        )

    def test_one_coloured_pixel_is_colour(self) -> None:
        pixels = np.repeat(ramp(top=255).astype(np.uint8)[:, :, None], 3, axis=2)
        pixels[3, 4, 2] ^= 128
        coloured = dataset(
            ramp(top=255), 8, SamplesPerPixel=3, PhotometricInterpretation="RGB", PlanarConfiguration=0
        )
        coloured.PixelData = pixels.tobytes() + b"\0"
        assert reason(encoded(coloured)) == refusals.COLOUR
        with pytest.raises(Refused, match=refusals.COLOUR):
            dicom.look(io.BytesIO(encoded(coloured)))


class TestHeader:
    def test_facts_hold_no_name_date_or_id(self) -> None:
        found = dicom.look(io.BytesIO(encoded(dataset(ramp(), ImagerPixelSpacing=[0.2, 0.15]))))
        text = json.dumps(dict(found.facts))
        assert found.facts["spacing_mm"] == [0.2, 0.15]
        assert found.patient == "MRN-1" and found.view == "PA"
        for secret in ("MRN", "Doe", "1950", "1.2.826"):
            assert secret not in text

    def test_free_text_in_a_coded_field_is_not_passed_on(self) -> None:
        ds = dataset(ramp())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ds.Modality = "Jane Doe born 1950-01-01"
            data = encoded(ds)
        found = dicom.look(io.BytesIO(data), ACCEPTABLE)
        assert found.facts["modality"] == "OTHER"

    @pytest.mark.parametrize(
        ("tags", "view"),
        [({"ViewPosition": "AP"}, "AP"), ({"ViewPosition": "LL"}, "LATERAL"), ({"ViewPosition": ""}, None)],
    )
    def test_views(self, tags: dict, view: str | None) -> None:
        assert dicom.look(io.BytesIO(encoded(dataset(ramp(), **tags)))).view == view

    def test_view_code(self) -> None:
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator = "399067008", "SCT"
        ds = dataset(ramp(), ViewPosition=None, ViewCodeSequence=[item])
        assert dicom.look(io.BytesIO(encoded(ds))).view == "LATERAL"

    def test_a_file_without_preamble_is_read(self) -> None:
        ds = dataset(ramp())
        stream = io.BytesIO()
        pydicom.dcmwrite(stream, ds, enforce_file_format=True)
        bare = stream.getvalue()
        length = int.from_bytes(bare[140:144], "little")
        assert np.array_equal(dicom.read(bare[144 + length :]).unit, dicom.read(bare).unit)

    def test_a_synthetic_capture_of_our_own_is_let_in(self) -> None:
        ds = dataset(ramp(), SOPClassUID="1.2.840.10008.5.1.4.1.1.7", Modality="OT")
        assert reason(encoded(ds)) == refusals.SECONDARY_CAPTURE
        ds.add_new((0x0008, 0x001C), "CS", "YES")
        assert dicom.read(encoded(ds)).look.facts["synthetic"] is True

    def test_an_embedded_jpeg_that_is_garbage_is_refused(self, capfd: pytest.CaptureFixture[str]) -> None:
        ds = dataset(ramp())
        ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.70"
        ds.PixelData = encapsulate([b"\xff\xd8" + bytes(40)])
        ds["PixelData"].is_undefined_length = True
        assert reason(encoded(ds)) == refusals.UNDECODABLE
        capfd.readouterr()
