#!/usr/bin/env bash
# Files that public bug reports of the field are about, and what ingest makes of them: for each kind, whether the
# cohort holds the pixels and the patients that are right. What is right is worked out here, by hand.
# MEDAUDIT: the program; PYTHON: a Python with numpy, pydicom, Pillow and pyarrow. Run in an empty folder.
set -u
MEDAUDIT=${MEDAUDIT:-medaudit}
PYTHON=${PYTHON:-python}
export OMP_NUM_THREADS=1

$PYTHON - <<'PY'
import io, json, os, struct, warnings
import numpy as np, pydicom
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import get_frame
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless, RLELossless

warnings.simplefilter("ignore")
SIDE = 32


def picture(salt, top=4095):
    y, x = np.mgrid[:SIDE, :SIDE]
    noise = np.random.Generator(np.random.Philox(salt)).normal(0, 0.03, (SIDE, SIDE))
    v = np.sin(x / 7 + salt) + np.cos(y / 5) + x / 30 + noise
    return np.rint((v - v.min()) / (v.max() - v.min()) * top).astype(np.int32)


def unit(values, inside=None):
    low, high = np.percentile(values if inside is None else values[inside], [0.5, 99.5])
    scaled = np.clip((values - low) / (high - low), 0, 1)
    return scaled if inside is None else np.where(inside, scaled, 0.0)


def cr(stored, bits=12, signed=False, syntax=None, **tags):
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1"
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    ds = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    ds.SOPClassUID, ds.SOPInstanceUID, ds.StudyInstanceUID = "1.2.840.10008.5.1.4.1.1.1", "1.2.3", "1.2"
    ds.PatientID, ds.Modality, ds.SamplesPerPixel, ds.PhotometricInterpretation = "P1", "CR", 1, "MONOCHROME2"
    ds.Rows, ds.Columns = stored.shape[:2]
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 8 if bits <= 8 else 16, bits, bits - 1
    ds.PixelRepresentation = int(signed)
    ds.PixelData = stored.astype(("i" if signed else "u") + ("1" if bits <= 8 else "2")).tobytes()
    if syntax:
        ds.compress(syntax, generate_instance_uid=False)
    for name, value in tags.items():
        if isinstance(value, tuple):
            ds.add_new(name, *value)
        elif value is None:
            delattr(ds, name)
        else:
            setattr(ds, name, value)
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, ds, enforce_file_format=True)
    return stream.getvalue()


def says(data, syntax):
    value = syntax.encode().ljust(len(syntax) + len(syntax) % 2, b"\0")
    at = data.index(b"\x02\x00\x10\x00UI")
    n = struct.unpack("<H", data[at + 6 : at + 8])[0]
    data = data[: at + 6] + struct.pack("<H", len(value)) + value + data[at + 8 + n :]
    return data[:140] + struct.pack("<I", struct.unpack("<I", data[140:144])[0] + len(value) - n) + data[144:]


def saved(image, kind, **options):
    stream = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(stream, kind, **options)
    return stream.getvalue()


p, g = picture(1), picture(2, 255).astype(np.uint8)
wide = dict(BitsStored=10, HighBit=9)
noise = np.random.Generator(np.random.Philox(9)).integers(0, 16, p.shape) << 12
inside = np.broadcast_to(np.arange(SIDE) >= 13, p.shape)
near = np.clip(g[..., None].astype(int) + np.random.Generator(np.random.Philox(3)).integers(-3, 4, (*g.shape, 3)), 0, 255)
luma = np.rint(near @ np.array([0.299, 0.587, 0.114])) / 255
table = Dataset()
table.LUTDescriptor, table.ModalityLUTType, curve = [256, 0, 8], "US", np.arange(255, -1, -1, dtype=np.uint8)
table.add_new("LUTData", "OW", curve.tobytes())
exif = Image.Exif()
exif[274] = 6
slope = cr(p, RescaleIntercept="0", RescaleSlope="1")
plain = b"\x28\x00\x53\x10DS\x02\x001 "
grid = np.zeros((2 * SIDE + 6, 3 * SIDE + 8), np.uint8)
for k in range(6):
    top, left = 2 + k // 3 * (SIDE + 2), 2 + k % 3 * (SIDE + 2)
    grid[top : top + SIDE, left : left + SIDE] = np.maximum(picture(20 + k, 255), 9)
j2k = cr(p, syntax=JPEG2000Lossless)

kinds = {  # file name, bytes, pixels that are right, or the word REFUSED
    "PresentationLUTShape INVERSE": ("a.dcm", cr(4095 - p, PresentationLUTShape="INVERSE"), unit(p)),
    "PhotometricInterpretation in lower case": ("a.dcm", cr(4095 - p, PhotometricInterpretation="monochrome1"), unit(p)),
    "values of 12 bits, BitsStored says 10": ("a.dcm", cr(p, 16, **wide), unit(p)),
    "garbage above BitsStored 12": ("a.dcm", cr(p | noise, 16, BitsStored=12, HighBit=11), unit(p)),
    "padding -2000 on 40 %, stated as unsigned": (
        "a.dcm", cr(np.where(inside, p - 1000, -2000), 16, True, PixelPaddingValue=("US", 63536)), unit(p, inside)),
    "RescaleSlope 0": ("a.dcm", cr(p, RescaleSlope="0", RescaleIntercept="0"), unit(p)),
    "RescaleSlope 1,0": ("a.dcm", slope.replace(plain, plain[:6] + b"\x04\x001,0 "), unit(p)),
    "RescaleSlope 1e300": ("a.dcm", slope.replace(plain, plain[:6] + b"\x06\x001e300 "), unit(p)),
    "modality LUT of bytes": ("a.dcm", cr(g, 8, ModalityLUTSequence=[table]), unit(curve[g].astype(float))),
    "no SamplesPerPixel": ("a.dcm", cr(p, SamplesPerPixel=None), unit(p)),
    "no PixelRepresentation": ("a.dcm", cr(p, PixelRepresentation=None), unit(p)),
    "JPEG 2000 that says it is uncompressed": ("a.dcm", says(j2k, "1.2.840.10008.1.2.1"), unit(p)),
    "uncompressed that says it is JPEG": ("a.dcm", says(cr(p), "1.2.840.10008.1.2.4.70"), unit(p)),
    "JPEG 2000, sides of another shape in the header": (
        "a.dcm", cr(p, syntax=JPEG2000Lossless, Rows=64, Columns=16), unit(p)),
    "JPEG-LS of 12 bits, header says 10": ("a.dcm", cr(p, syntax=JPEGLSLossless, **wide), unit(p)),
    "RLE, signed, sign not extended": ("a.dcm", cr((p - 2048) & 4095, syntax=RLELossless, PixelRepresentation=1), unit(p)),
    "JPEG 2000 without the last delimiter": ("a.dcm", j2k[: j2k.rindex(b"\xfe\xff\xdd\xe0")], unit(p)),
    "JPEG with EXIF orientation 6": ("a.jpg", saved(g, "JPEG", quality=100, exif=exif), np.rot90(g, -1) / 255),
    "RGB of a latent diffusion model": ("a.png", saved(near.astype(np.uint8), "PNG"), luma),
    "TIFF of float, white is zero": ("a.tif", saved(-p.astype(np.float32), "TIFF", tiffinfo={262: 0}), unit(p)),
    "BMP": ("a.bmp", saved(g, "BMP"), g / 255),
    "JPEG 2000 file": ("a.jp2", saved(p.astype(np.uint16), "JPEG2000", irreversible=False), unit(p)),
    "a grid of six images in one file": ("a.png", saved(grid, "PNG"), "REFUSED"),
    "a sampler's arr_0": ("a.npz", {"arr_0": np.stack([g] * 2), "arr_1": np.arange(2)}, g / 255),
}
expected = []
for number, (name, (file, data, right)) in enumerate(kinds.items()):
    os.makedirs(f"in/{number}")
    if isinstance(data, dict):
        np.savez(f"in/{number}/{file}", **data)
    else:
        open(f"in/{number}/{file}", "wb").write(data)
    expected.append([name, file, right if isinstance(right, str) else right.tolist()])
json.dump(expected, open("expected.json", "w"))

patients = {  # ids of six images, and how many patients they name
    "12.0 and 12": (["12.0", "12", "12", "12.0", "7", "7"], 2),
    "words for no patient": (["NA", "<NA>", "ANONYMOUS", "anon", "a", "b"], 2),
    "an accent, composed or not": (["\u00e91", "e\u03011", "a", "a", "b", "b"], 3),
}
images = np.stack([picture(k, 255) for k in range(6)]).astype(np.uint8)
for number, (name, (ids, count)) in enumerate(patients.items()):
    np.savez(f"in/ids{number}.npz", images=images, patient_id=np.array(ids))
json.dump([[name, count] for name, (_, count) in patients.items()], open("patients.json", "w"))
PY

echo "\$ medaudit ingest IN --out C --size 32 --depth 16     (once for each kind)"
count=$(ls in | grep -c '^[0-9]*$')
for i in $(seq 0 $((count - 1))); do
  source=in/$i
  [ -e "in/$i/a.npz" ] && source=in/$i/a.npz
  timeout 60 $MEDAUDIT ingest "$source" --out "c$i" --key site.key --size 32 --depth 16 >"out$i" 2>&1
  echo "exit $?" >>"out$i"
done
for i in 0 1 2; do
  timeout 60 $MEDAUDIT ingest "in/ids$i.npz" --out "ids$i" --key site.key --size 32 >"outids$i" 2>&1
done

$PYTHON - <<'PY'
import json, os
import numpy as np, pyarrow.parquet as pq

wrong = 0
for number, (name, file, right) in enumerate(json.load(open("expected.json"))):
    said = open(f"out{number}").read().strip().splitlines()
    if not os.path.exists(f"c{number}/pixels.npy"):
        got = "refused: " + next((l.split("refused:")[-1].strip() for l in said if "refused:" in l), said[-2] if said[1:] else said[-1])
        good = right == "REFUSED"
    elif right == "REFUSED":
        got, good = "read as one image", False
    else:
        pixels = np.load(f"c{number}/pixels.npy")[0] / 65535
        away = np.abs(pixels - np.array(right)).max()
        good = bool(away < 0.02)
        got = "the right pixels" if good else f"wrong pixels, off by up to {away:.2f} of the range"
    wrong += not good
    print(f"{'ok   ' if good else 'WRONG'} {name}: expected {'a refusal' if right == 'REFUSED' else 'the right pixels'}, got {got[:90]}")
for number, (name, count) in enumerate(json.load(open("patients.json"))):
    found = len({p for p in pq.read_table(f"ids{number}/rows.parquet")["patient"].to_pylist() if p})
    wrong += found != count
    print(f"{'ok   ' if found == count else 'WRONG'} {name}: expected {count} patients, got {found}")
print(f"{wrong} wrong")
raise SystemExit(wrong > 0)
PY
echo "exit $?"
