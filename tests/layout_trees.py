"""A tiny tree of each published data set, and what a reader must make of it."""

import csv
import gzip
from collections.abc import Callable
from pathlib import Path

from reader_files import write_dicom, write_png


def table(path: Path, header: str, *rows: str) -> Path:
    """A CSV whose cells are separated by `&` here, so that commas can stand inside them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    opened = gzip.open(path, "wt", newline="") if path.suffix == ".gz" else path.open("w", newline="")  # noqa: SIM115
    with opened as stream:
        writer = csv.writer(stream)
        for line in (header, *rows):
            writer.writerow([cell.strip() for cell in line.split("&")])
    return path


def nih(root: Path) -> None:
    for name in (
        "images_001/images/00000001_000.png",
        "images_001/images/00000001_001.png",
        "images/00000013_004.png",
    ):
        write_png(root / name)
    table(
        root / "Data_Entry_2017_v2020.csv",
        "Image Index & Finding Labels & Follow-up # & Patient ID & View Position & OriginalImage[Width & Height]",
        "00000001_000.png & Cardiomegaly|Effusion & 0 & 1 & PA & 2682 & 2749",
        "00000001_001.png & No Finding & 1 & 1 & AP & 2682 & 2749",
        "00000013_004.png & Nodule & 4 & 13 & PA & 1 & 1",
        "00000099_000.png & Nodule & 0 & 99 & PA & 1 & 1",
    )


def chexpert(root: Path) -> None:
    for name in (
        "patient00001/study1/view1_frontal",
        "patient00001/study1/view2_lateral",
        "patient00002/study1/view1_frontal",
    ):
        write_png(root / f"train/{name}.jpg")
    last = "valid/patient64541/study1/view1_frontal.jpg"
    write_png(root / last)
    head = "Path & Sex & Age & Frontal/Lateral & AP/PA & No Finding & Edema & Pneumonia"
    base = "CheXpert-v1.0-small"
    table(
        root / "train.csv",
        head,
        f"{base}/train/patient00001/study1/view1_frontal.jpg & F & 68 & Frontal & AP & & 1.0 & -1.0",
        f"{base}/train/patient00001/study1/view2_lateral.jpg & F & 68 & Lateral & & & 1.0 & 1.0",
        f"{base}/train/patient00002/study1/view1_frontal.jpg & F & 87 & Frontal & & 1.0 & & 0.0",
    )
    table(
        root / "valid.csv",
        head,
        f"{base}/valid/patient64541/study1/view1_frontal.jpg & M & 73 & Frontal & PA & 0 & 1 & 0",
    )


def mimic(root: Path) -> None:
    write_dicom(root / "files/p10/p10000032/s50414267/aaaa-1.dcm", PatientID="x")
    write_dicom(root / "files/p10/p10000032/s50414267/bbbb-2.dcm")
    write_dicom(root / "files/p11/p11000033/s60000001/cccc-3.dcm")
    table(
        root / "mimic-cxr-2.0.0-metadata.csv.gz",
        "dicom_id & subject_id & study_id & ViewPosition",
        "aaaa-1 & 10000032 & 50414267 & PA",
        "bbbb-2 & 10000032 & 50414267 & LATERAL",
        "cccc-3 & 11000033 & 60000001 & AP",
    )
    table(
        root / "mimic-cxr-2.0.0-split.csv.gz",
        "dicom_id & study_id & subject_id & split",
        "aaaa-1 & 50414267 & 10000032 & train",
    )
    table(
        root / "mimic-cxr-2.0.0-chexpert.csv.gz",
        "subject_id & study_id & Edema & Fracture",
        "10000032 & 50414267 & 1.0 & -1.0",
        "11000033 & 60000001 & & 1.0",
    )


def padchest(root: Path) -> None:
    write_png(root / "0/1000_a.png", bits=16)
    write_png(root / "54/2000_b.png", bits=16)
    write_png(root / "54/unlisted.png", bits=16)
    table(
        root / "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv",
        "ImageID & ImageDir & StudyID & PatientID & Projection & BitsStored_DICOM & Labels",
        "1000_a.png & 0 & 111 & 8400 & AP_horizontal & 12 & ['pleural effusion', ' cardiomegaly']",
        "2000_b.png & 54 & 222 & 8500 & L & 10 & ['normal']",
    )


def vindr(root: Path) -> None:
    one, two = "0" * 31 + "a", "f" * 32
    write_dicom(root / f"train/{one}.dicom", PatientID="every-film-the-same")
    write_dicom(root / f"test/{two}.dicom", PatientID="every-film-the-same")
    table(
        root / "train.csv",
        "image_id & class_name & class_id & rad_id & x_min",
        f"{one} & Cardiomegaly & 3 & R8 & 691",
        f"{one} & Aortic enlargement & 0 & R9 & 1264",
        f"{one} & Cardiomegaly & 3 & R10 & 690",
    )


def brax(root: Path) -> None:
    write_png(root / "images/id_aa/Study_1/Series_1/image-1-2-3.png")
    write_png(root / "images/id_bb/Study_1/Series_1/image-1-2-3.png")
    table(
        root / "master_spreadsheet_update.csv",
        "DicomPath & PngPath & PatientID & AccessionNumber & ViewPosition & Edema",
        "x & images/id_aa/Study_1/Series_1/image-1-2-3.png & id_aa & 7 & PA & 1",
        "x & images/id_bb/Study_1/Series_1/image-1-2-3.png & id_bb & 7 & RL & 0",
    )


RSNA = ("0004cfab-14fd-4e49-80ba-63a80b6bddd6", "00313ee0-9eaa-42f4-b0ab-c148ed3241cd")


def rsna(root: Path) -> None:
    for name in RSNA:
        write_dicom(root / f"stage_2_train_images/{name}.dcm", SOPClassUID="1.2.840.10008.5.1.4.1.1.7")
    table(
        root / "stage_2_train_labels.csv",
        "patientId & x & y & width & height & Target",
        f"{RSNA[0]} & & & & & 0",
        f"{RSNA[1]} & 1 & 2 & 3 & 4 & 1",
        f"{RSNA[1]} & 5 & 2 & 3 & 4 & 1",
    )


SIIM = "1.2.276.0.7230010.3.1.4.8323329.1000.1517875197.696624"


def siim(root: Path) -> None:
    parent = SIIM.replace(".4.", ".2.") + "/" + SIIM.replace(".4.", ".3.")
    write_dicom(root / f"dicom-images-train/{parent}/{SIIM}.dcm", SOPClassUID="1.2.840.10008.5.1.4.1.1.7")
    table(root / "train-rle.csv", "ImageId & EncodedPixels", f"{SIIM} & 12 3 4")


def openi(root: Path) -> None:
    write_png(root / "CXR1_1_IM-0001-3001.png")
    write_png(root / "CXR1_1_IM-0001-4001.png")
    write_png(root / "CXR10_IM-0002-1001.png")
    table(
        root / "indiana_projections.csv",
        "uid & filename & projection",
        "1 & CXR1_1_IM-0001-3001.png & Frontal",
    )
    table(root / "indiana_reports.csv", "uid & Problems", "1 & Opacity;Granuloma", "10 & normal")


ONE, TWO, LAST = (f"patient{number}/study1" for number in ("00001", "00002", "64541"))
PARENT = "dicom-images-train/" + SIIM.replace(".4.", ".2.") + "/" + SIIM.replace(".4.", ".3.")
TREES: dict[str, tuple[Callable[[Path], None], dict[str, tuple]]] = {
    "nih": (nih, {
        "images_001/images/00000001_000.png": ("00000001", "00000001/000", "PA", None, ("Cardiomegaly", "Effusion")),
        "images_001/images/00000001_001.png": ("00000001", "00000001/001", "AP", None, ("No Finding",)),
        "images/00000013_004.png": ("00000013", "00000013/004", "PA", None, ("Nodule",)),
    }),
    "chexpert": (chexpert, {
        "train/patient00001/study1/view1_frontal.jpg": ("patient00001", ONE, "AP", "train", ("Edema",)),
        "train/patient00001/study1/view2_lateral.jpg":
            ("patient00001", ONE, "LATERAL", "train", ("Edema", "Pneumonia")),
        "train/patient00002/study1/view1_frontal.jpg": ("patient00002", TWO, "FRONTAL", "train", ("No Finding",)),
        "valid/patient64541/study1/view1_frontal.jpg": ("patient64541", LAST, "PA", "valid", ("Edema",)),
    }),
    "mimic-cxr": (mimic, {
        "files/p10/p10000032/s50414267/aaaa-1.dcm": ("10000032", "50414267", "PA", "train", ("Edema",)),
        "files/p10/p10000032/s50414267/bbbb-2.dcm": ("10000032", "50414267", "LATERAL", None, ("Edema",)),
        "files/p11/p11000033/s60000001/cccc-3.dcm": ("11000033", "60000001", "AP", None, ("Fracture",)),
    }),
    "padchest": (padchest, {
        "0/1000_a.png": ("8400", "111", "AP", None, ("pleural effusion", "cardiomegaly")),
        "54/2000_b.png": ("8500", "222", "LATERAL", None, ("normal",)),
        "54/unlisted.png": (None, None, None, None, ()),
    }),
    "vindr": (vindr, {
        f"train/{'0' * 31}a.dicom": (None, None, None, "train", ("Cardiomegaly", "Aortic enlargement")),
        f"test/{'f' * 32}.dicom": (None, None, None, "test", ()),
    }),
    "brax": (brax, {
        "images/id_aa/Study_1/Series_1/image-1-2-3.png": ("id_aa", "id_aa/7", "PA", None, ("Edema",)),
        "images/id_bb/Study_1/Series_1/image-1-2-3.png": ("id_bb", "id_bb/7", "LATERAL", None, ()),
    }),
    "rsna": (rsna, {
        f"stage_2_train_images/{RSNA[0]}.dcm": (RSNA[0], None, None, "train", ("No Lung Opacity",)),
        f"stage_2_train_images/{RSNA[1]}.dcm": (RSNA[1], None, None, "train", ("Lung Opacity",)),
    }),
    "siim": (siim, {f"{PARENT}/{SIIM}.dcm": (None, None, None, "train", ("Pneumothorax",))}),
    "openi": (openi, {
        "CXR1_1_IM-0001-3001.png": ("1", "1", "FRONTAL", None, ("Opacity", "Granuloma")),
        "CXR1_1_IM-0001-4001.png": ("1", "1", None, None, ("Opacity", "Granuloma")),
        "CXR10_IM-0002-1001.png": ("10", "10", None, None, ("normal",)),
    }),
}  # fmt: skip
