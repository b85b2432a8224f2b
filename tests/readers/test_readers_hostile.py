"""Files made to break a reader: codecs that end their process, lengths of gigabytes, pictures that unfold."""

import io
import json
import os
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEGBaseline8Bit
from reader_files import dataset, ramp, write_png

from medaudit.cli.app import run
from medaudit.readers import dicom, raster, refusals
from medaudit.readers.refusals import Refused


def encoded(ds: Dataset) -> bytes:
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, ds, enforce_file_format=True)
    return stream.getvalue()


def broken_jpeg(name: str) -> bytes:
    """JPEG baseline in DICOM. `crash`: GDCM ends the process over noise behind the first marker."""
    buffer = io.BytesIO()
    Image.fromarray(ramp(top=255).astype(np.uint8)).save(buffer, "JPEG")
    frame = buffer.getvalue()
    ds = dataset(ramp(top=255), bits=8)
    ds.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    ds.PixelData = encapsulate([frame[:2] + b"\xb0\x0a\x54\x15" + frame[4:] if name == "crash" else frame])
    ds["PixelData"].VR = "OB"
    return encoded(ds)


def test_a_codec_that_ends_its_process_costs_one_file_in_a_small_set_too(tmp_path: Path) -> None:
    source = tmp_path / "films"
    source.mkdir()
    for name in ("a", "crash", "z"):
        (source / f"{name}.dcm").write_bytes(broken_jpeg(name))
    write_png(source / "picture.png", salt=3)
    program = [sys.executable, "-m", "medaudit.cli.app"]
    key = ["--key", str(tmp_path / "k.key"), "--out", str(tmp_path / "C"), "-q", "--accept-refused"]
    for arguments in (["inspect", str(source), "-q"], ["ingest", str(source), *key]):
        done = subprocess.run(
            [*program, *arguments], capture_output=True, text=True, check=False, timeout=100
        )
        assert (done.returncode, done.stderr) == (0, "")
    manifest = json.loads((tmp_path / "C" / "manifest.json").read_bytes())
    assert manifest["refused"]["counts"] == {refusals.DECODER_CRASHED: 1, refusals.DUPLICATE: 1}
    assert manifest["rows"] == 2


def test_a_length_of_gigabytes_makes_no_room_for_them(tmp_path: Path) -> None:
    """In its own process, which may take 600 MB: a tag before the pixels states 2 GB."""
    whole = encoded(dataset(ramp()))
    at = whole.index(b"\x08\x00\x60\x00CS")
    (tmp_path / "a.dcm").write_bytes(
        whole[:at] + b"\x08\x00\x5f\x00OB\0\0" + (2**31).to_bytes(4, "little") + whole[at:]
    )
    (tmp_path / "b.dcm").write_bytes(whole)
    limited = "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (1200 << 20,) * 2); "
    program = [
        sys.executable,
        "-c",
        limited + "from medaudit.cli.app import run; sys.exit(run(sys.argv[1:]))",
    ]
    arguments = ["inspect", str(tmp_path), "--json"]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [*program, *arguments], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["data"]["refused"] == {refusals.TRUNCATED: 1}, done.stdout


def test_a_blank_film_that_unfolds_to_gigabytes_is_refused_by_its_header() -> None:
    ds = dataset(ramp())
    ds.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    ds.Rows = ds.Columns = 9000  # 81 million pixels, of a frame of a few bytes
    ds.PixelData = encapsulate([b"\xff\xd8\xff\xd9"])
    ds["PixelData"].VR = "OB"
    with pytest.raises(Refused, match=refusals.TOO_MANY_PIXELS):
        dicom.read(encoded(ds))
    blank = io.BytesIO()
    Image.new("L", (9000, 9000)).save(blank, "PNG")
    with pytest.raises(Refused, match=refusals.TOO_MANY_PIXELS):
        raster.read(blank.getvalue())
    with pytest.raises(Refused, match=refusals.TOO_MANY_PIXELS):
        raster.look(blank)


def test_a_tag_that_pydicom_reads_only_when_it_is_asked_for(tmp_path: Path) -> None:
    ds = dataset(ramp())
    ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    data = encoded(ds)
    start = 144 + int.from_bytes(data[140:144], "little")
    inner = zlib.decompress(data[start:], -zlib.MAX_WBITS).replace(
        b"\xe0\x7f\x10\x00OW", b"\xe0\x7f\x10\x00OS"
    )
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    (tmp_path / "a.dcm").write_bytes(data[:start] + packer.compress(inner) + packer.flush())
    write_png(tmp_path / "b.png")
    with pytest.raises(Refused, match=refusals.UNDECODABLE):
        dicom.look(io.BytesIO((tmp_path / "a.dcm").read_bytes()))
    done = run(
        [
            "ingest",
            str(tmp_path),
            "--out",
            str(tmp_path / "C"),
            "--key",
            str(tmp_path / "k.key"),
            "-q",
            "--accept-refused",
        ]
    )
    assert done == 0
