"""Whole files to be broken, made by the project's own phantoms and writers: the same bytes on every run."""

import io
import json
import sys
import warnings
import zipfile
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from PIL import Image
from pydicom.encaps import encapsulate

from medaudit.images.phantom import phantom

ROOT = Path(__file__).resolve().parent.parent
SHAPE = (48, 40)  # (Y, X)
IMAGES = 4


@cache
def films(count: int = IMAGES) -> np.ndarray:
    """(count, Y, X) phantoms, float32 in [0, 1]."""
    return np.stack([phantom(number, 0, SHAPE) for number in range(1, count + 1)]).astype(np.float32)


@cache
def pictures(kind: str) -> list[bytes]:
    """PNG, JPEG or TIFF in the ways that people store films."""
    unit = films(1)[0]
    gray, deep = Image.fromarray(np.uint8(unit * 255)), Image.fromarray(np.uint16(unit * 65535))
    noise = np.random.Generator(np.random.Philox(7)).integers(0, 256, SHAPE).astype(np.uint8)
    if kind == "PNG":
        colour = gray.convert("RGB")
        return [
            _stored(one, "PNG")
            for one in (gray, deep, colour, gray.convert("P"), gray.convert("LA"), gray.convert("1"))
        ] + [
            _stored(gray, "PNG", icc_profile=b"x" * 200),
            _stored(Image.fromarray(noise), "PNG", optimize=True),
        ]
    if kind == "JPEG":
        exif = Image.Exif()
        exif[0x010E] = "phantom"
        return [
            _stored(gray, "JPEG", quality=90),
            _stored(gray.convert("RGB"), "JPEG", quality=60, progressive=True),
            _stored(gray, "JPEG", exif=exif, restart_marker_blocks=2),
            _stored(gray.convert("CMYK"), "JPEG"),
            _stored(Image.fromarray(noise), "JPEG", optimize=True),
        ]
    floats = Image.fromarray(unit)
    return [
        *(
            _stored(gray, "TIFF", compression=how)
            for how in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg")
        ),
        _stored(gray.convert("1"), "TIFF", compression="group4"),
        _stored(deep, "TIFF"),
        _stored(deep, "TIFF", compression="tiff_lzw"),
        _stored(floats, "TIFF"),
        _stored(floats, "TIFF", compression="tiff_adobe_deflate"),
        _stored(gray, "TIFF", tiffinfo={262: 0}),
        _stored(gray, "TIFF", save_all=True, append_images=[gray]),
    ]


@cache
def dicoms() -> list[bytes]:
    """The sample data's own encodings, and further transfer syntaxes of the same film."""
    sys.path.insert(0, str(ROOT / "sample_data"))
    import make

    found = [make.encode(film) for film in _first(make.films(), 9)]
    plain = next(
        data
        for data in found
        if pydicom.dcmread(io.BytesIO(data)).file_meta.TransferSyntaxUID.endswith("1.2.1")
    )
    gray = Image.fromarray(np.uint8(films(1)[0] * 255))
    frames = {
        "1.2.840.10008.1.2.4.50": _stored(gray, "JPEG"),
        "1.2.840.10008.1.2.4.90": _stored(gray, "JPEG2000", no_jp2=True),
    }
    for syntax, frame in frames.items():
        ds = _read(plain)
        ds.Rows, ds.Columns, ds.BitsAllocated, ds.BitsStored, ds.HighBit = *SHAPE, 8, 8, 7
        ds.PixelData = encapsulate([frame])
        ds["PixelData"].VR = "OB"
        found.append(_as(ds, syntax))
    found += [
        _as(_read(plain), syntax)
        for syntax in ("1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99")
    ]
    ds = _read(plain)
    table = pydicom.Dataset()
    table.LUTDescriptor, table.ModalityLUTType, table.LUTData = (
        [4096, 0, 16],
        "US",
        np.arange(4096, dtype="<u2").tobytes(),
    )
    table["LUTData"].VR = "OW"
    ds.ModalityLUTSequence = [table]
    ds.NumberOfFrames = 1
    for tag, value in ((0x00280120, 0), (0x00280121, 5)):  # Pixel Padding Value, Range Limit
        ds.add_new(tag, "US", value)
    found.append(_as(ds, "1.2.840.10008.1.2.1"))
    found.append(found[-1][132:])  # as old files are, without a preamble
    return found


@cache
def archives() -> list[bytes]:
    """npz of films: compressed or not, plain or in MedMNIST's names, with ids and labels."""
    unit = films()
    ids = np.array([f"patient-{number // 2}" for number in range(IMAGES)])
    plain: dict[str, Any] = {
        "images": np.uint8(unit * 255),
        "patient_id": ids,
        "labels": np.arange(IMAGES) % 2,
    }
    split = {
        f"{name}_images": np.uint8(unit * 255)[part]
        for name, part in (("train", slice(2)), ("val", slice(2, 3)), ("test", slice(3, 4)))
    }
    split |= {
        f"{name}_labels": np.zeros((len(split[f"{name}_images"]), 3), np.uint8)
        for name in ("train", "val", "test")
    }
    deep = {
        "images": np.asfortranarray(np.uint16(unit * 65535)),
        "patient_id": ids.astype("S"),
        "view": np.array(["PA"] * IMAGES),
    }
    return [
        _npz(plain),
        _npz(plain, packed=False),
        _npz(split),
        _npz({"images": unit}),
        _npz(deep),
        _npz(deep, packed=False),
    ]


def zip_again(data: bytes, edit: Any) -> bytes:
    """An archive in which one member went through `edit`, with lengths and checksums that fit."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        members = old.infolist()
        chosen = edit.choose(members)
        for info in members:
            body = old.read(info)
            new.writestr(
                zipfile.ZipInfo(info.filename), edit(body) if info is chosen else body, info.compress_type
            )
    return out.getvalue()


def deflate_again(data: bytes, edit: Any) -> bytes:
    """A deflated DICOM file whose data set went through `edit` before it was packed."""
    start = 144 + int.from_bytes(data[140:144], "little")
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return (
        data[:start] + packer.compress(edit(zlib.decompress(data[start:], -zlib.MAX_WBITS))) + packer.flush()
    )


@cache
def tables() -> list[bytes]:
    """Tables beside the films `0.png` to `3.png`, as --manifest and metadata.csv have them."""
    rows = [
        f"{number}.png,p{number // 2},s{number},PA,train,{('effusion|nodule', '')[number % 2]}"
        for number in range(IMAGES)
    ]
    head = "file,patient_id,study,view,split,labels"
    text = "\n".join([head, *rows]) + "\n"
    return [
        text.encode(),
        text.replace(",", ";").encode("utf-8-sig"),
        text.replace("p1", '"p ""1"""').encode(),
        "\n".join(["file,patient_id", *(f"./{n}.png,p{n}" for n in range(IMAGES))]).encode(),
    ]


@cache
def configs() -> list[bytes]:
    """The configs that come with medaudit, and an audit's."""
    audit = "alpha: 0.05\nplants: 40\nrequired_kinds: [identity, mirror]\n"
    audit += "copynet: {steps: 10, channels: [8, 16, 16]}\nlong: 1e-3\n"
    whole = audit.replace("long: 1e-3\n", "")
    return [
        *(path.read_bytes() for path in sorted((ROOT / "configs").glob("*.yaml"))),
        audit.encode(),
        whole.encode(),
    ]


def weights(folder: Path) -> bytes:
    """The safetensors of a model folder."""
    return (folder / "model.safetensors").read_bytes()


def write_model(path: Path) -> None:
    """A model of medaudit's, hardly trained, of 16 x 16 pixels: an artifact at `path`."""
    import torch

    from medaudit.artifacts.store import Draft, Request
    from medaudit.config import TrainSettings, check_settings
    from medaudit.generators import models, networks
    from medaudit.generators.training import Trained

    body = {"steps": 1, "network": {"channels": [8, 8], "grid": 8}, "sampling": {"steps": 2, "batch": 1}}
    settings = check_settings(body, TrainSettings, "fuzz")
    torch.manual_seed(0)
    described = networks.describe_network(settings.network, (16, 16), 0)
    network = networks.build_network(described, 0)
    trained = Trained({k: v.detach() for k, v in network.state_dict().items()}, described, [(1, 1.0)], {})
    with Draft(path, Request("model", settings.model_dump(mode="json"), 0, {"train": "ab" * 32})) as draft:
        models.write_model(draft.path, trained, settings, (16, 16), "uint8", [], [])
        draft.commit(training={"steps_done": 1, "images": 1, "stopped_by": "steps"})


def write_diffusers(path: Path) -> None:
    """A diffusers pipeline folder of a model of 16 x 16 pixels."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel

        torch.manual_seed(0)
        unet = UNet2DModel(
            sample_size=16,
            in_channels=1,
            out_channels=1,
            block_out_channels=(8, 8),
            layers_per_block=1,
            norm_num_groups=4,
            down_block_types=("DownBlock2D",) * 2,
            up_block_types=("UpBlock2D",) * 2,
        )
        DDPMPipeline(unet, DDPMScheduler(num_train_timesteps=20)).save_pretrained(path)


def rehash(folder: Path) -> None:
    """Let a manifest state the files as they are now, as a hostile sender would."""
    import hashlib

    path = folder / "manifest.json"
    manifest = json.loads(path.read_bytes())
    manifest["files"] = {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in manifest["files"]
    }
    path.write_text(json.dumps(manifest, sort_keys=True, indent=1))


def _stored(image: Image.Image, kind: str, **how: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **how)
    return stream.getvalue()


def _npz(arrays: dict[str, np.ndarray], *, packed: bool = True) -> bytes:
    stream = io.BytesIO()
    (np.savez_compressed if packed else np.savez)(stream, **arrays)
    return stream.getvalue()


def _read(data: bytes) -> pydicom.Dataset:
    return pydicom.dcmread(io.BytesIO(data))


def _as(ds: pydicom.Dataset, syntax: str) -> bytes:
    """A data set written in a transfer syntax; only native pixels are turned by pydicom."""
    ds.file_meta.TransferSyntaxUID = syntax
    stream = io.BytesIO()
    if syntax == "1.2.840.10008.1.2.2":
        values = np.frombuffer(ds.PixelData, "<u2").astype(">u2")
        ds.PixelData = values.tobytes()
    pydicom.dcmwrite(
        stream,
        ds,
        enforce_file_format=True,
        implicit_vr=syntax == "1.2.840.10008.1.2",
        little_endian=syntax != "1.2.840.10008.1.2.2",
    )
    return stream.getvalue()


def _first(items: Any, count: int) -> list[Any]:
    return [item for item, _ in zip(items, range(count), strict=False)]
