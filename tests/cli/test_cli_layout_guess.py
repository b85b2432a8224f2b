"""What is guessed of a source, on which evidence, and what a table speaks for, through the front door."""

from pathlib import Path

import pytest
from layout_trees import table
from reader_files import ramp, write_dicom, write_png
from source_parts import Screen, ingest, nih_named, patients, refused

from medaudit.artifacts.cohort import open_cohort


class TestTablesInSubfolders:
    def test_a_table_speaks_for_its_folder_alone(self, tmp_path: Path, capsys: Screen) -> None:
        for i, name in enumerate(("x.png", "y.png", "a/x.png", "a/b/x.png", "a/b/y.png", "a/b/z.png")):
            write_png(tmp_path / "src" / name, salt=i)
        table(tmp_path / "src/a/b/metadata.csv", "file & patient_id", "x.png & DEEP", "y.png & DEEP")
        code, said = ingest(capsys, tmp_path / "src")
        assert code == 0 and "5 read, 1 refused: 1 not listed in the table" in said
        assert "a/b/metadata.csv names the files of its folder alone" in said
        found = dict(zip(range(5), patients(tmp_path / "C"), strict=True))
        named = [number for number, patient in found.items() if patient]
        # rows are in the order of names: a/b/x, a/b/y, a/x, x, y
        assert named == [0, 1]

    def test_two_sites_with_a_table_each(self, tmp_path: Path, capsys: Screen) -> None:
        for i, site in enumerate(("one", "two")):
            for k in range(3):
                write_png(tmp_path / f"src/{site}/{k}.png", salt=10 * i + k)
            table(
                tmp_path / f"src/{site}/metadata.csv",
                "file & patient_id",
                *(f"{k}.png & {site}-{k}" for k in range(3)),
            )
        code, said = ingest(capsys, tmp_path / "src")
        assert code == 0 and "layout: metadata" in said and "6 read, 0 refused" in said
        assert len(set(patients(tmp_path / "C"))) == 6

    def test_a_table_of_a_release_too(self, tmp_path: Path, capsys: Screen) -> None:
        head = "ImageID & ImageDir & StudyID & PatientID & Projection"
        for i, name in enumerate(("a.png", "old/a.png", "old/b.png")):
            write_png(tmp_path / "src" / name, salt=i)
        table(tmp_path / "src/padchest.csv", head, "a.png & 0 & 1 & NEW & PA")
        table(tmp_path / "src/old/padchest.csv", head, "a.png & 0 & 1 & OLD & PA", "b.png & 0 & 1 & OLD & PA")
        code, _ = ingest(capsys, tmp_path / "src", "--layout", "padchest")
        new, *old = patients(tmp_path / "C")
        assert code == 0 and len(set(old)) == 1 and new not in old

    def test_a_folder_of_tables_speaks_for_the_folder_above(self, tmp_path: Path, capsys: Screen) -> None:
        head = "ImageID & ImageDir & StudyID & PatientID & Projection"
        write_png(tmp_path / "src/0/a.png")
        table(tmp_path / "src/tables/padchest.csv", head, "a.png & 0 & 1 & P & PA")
        code, said = ingest(capsys, tmp_path / "src")
        assert code == 0 and "1 read, 0 refused" in said and "patients: 1" in said

    def test_a_metadata_without_images_in_its_folder_is_not_used(
        self, tmp_path: Path, capsys: Screen
    ) -> None:
        write_png(tmp_path / "src/images/x.png")
        table(tmp_path / "src/tables/metadata.csv", "file & patient_id", "images/x.png & P")
        code, said = ingest(capsys, tmp_path / "src")
        assert code == 0 and "patients: none named" in said
        assert "tables/metadata.csv applies to its own folder, which holds no image" in said

    def test_two_tables_that_name_two_patients(self, tmp_path: Path, capsys: Screen) -> None:
        for i, name in enumerate(("x.png", "a/y.png", "a/z.png")):
            write_png(tmp_path / "src" / name, salt=i)
        table(tmp_path / "src/metadata.csv", "file & patient_id", "x.png & A", "a/y.png & B")
        table(tmp_path / "src/a/metadata.csv", "file & patient_id", "y.png & C", "z.png & D")
        code, _ = ingest(capsys, tmp_path / "src")
        assert code == 0 and refused(tmp_path / "C") == {"listed with two patients": 1}
        assert len(set(patients(tmp_path / "C"))) == 2


class TestGuesses:
    def test_one_name_is_no_data_set(self, tmp_path: Path, capsys: Screen) -> None:
        nih_named(tmp_path / "src", 1)
        for source in (tmp_path / "src", tmp_path / "src/00000001_000.png"):
            code, said = ingest(capsys, source, "--key", str(tmp_path / "key"), out=f"C-{source.name}")
            assert code == 0 and "layout: plain" in said and "patients: none named" in said
            assert "named as in NIH ChestX-ray14, too few" in said and "--layout nih" in said

    def test_a_folder_of_that_name_is_no_evidence(self, tmp_path: Path, capsys: Screen) -> None:
        for i in range(12):
            folder = tmp_path / f"src/{i + 1:08d}_000.png"
            write_png(folder / "scan.png", salt=i)
            (tmp_path / f"src/{i + 101:08d}_000.png").symlink_to("nowhere")
        code, said = ingest(capsys, tmp_path / "src")
        assert code == 0 and "layout: plain" in said and "patients: none named" in said

    def test_dates_are_no_patients(self, tmp_path: Path, capsys: Screen) -> None:
        for i in range(12):
            write_png(tmp_path / f"src/20230115_{i:03d}.png", salt=i)
        code, said = ingest(capsys, tmp_path / "src")
        assert code == 0 and "layout: plain" in said and "patients: none named" in said

    def test_enough_names_are_taken_and_said(self, tmp_path: Path, capsys: Screen) -> None:
        nih_named(tmp_path / "src", 12)
        code, said = ingest(capsys, tmp_path / "src")
        assert code == 0
        assert "layout: nih (12 of 12 images are named as in NIH ChestX-ray14)" in said
        assert "the patient ids of 12 images come from their file names alone" in said
        kept = open_cohort(tmp_path / "C").artifact.manifest["warnings"]
        assert any("come from their file names alone" in text for text in kept)
        rows = (f"{i + 1:08d}_000.png & P{i}" for i in range(12))
        manifest = table(tmp_path / "m.csv", "file & patient_id", *rows)
        code, said = ingest(capsys, tmp_path / "src", "--manifest", str(manifest), out="C2")
        assert code == 0 and "file names alone" not in said

    def test_a_table_is_evidence_only_of_files_that_it_names(self, tmp_path: Path, capsys: Screen) -> None:
        for i in range(12):
            write_png(tmp_path / f"src/scan{i}.png", salt=i)
        head = "Image Index & Finding Labels & Patient ID & View Position"
        table(tmp_path / "src/Data_Entry_2017.csv", head, "00000001_000.png & x & 1 & PA")
        code, said = ingest(capsys, tmp_path / "src")
        assert code == 0 and "layout: plain" in said

    @pytest.mark.parametrize(
        "name",
        [
            "export/{0:08x}-14fd-4e49-80ba-63a80b6bddd6.dcm",  # any PACS; the set of RSNA takes names for patients
            "train/{0:032x}.dcm",  # checksums; VinDr-CXR has headers passed over
            "1.2.276.0.7230010.3.1.2.1/1.2.276.0.7230010.3.1.3.1/1.2.276.0.7230010.3.1.4.{0}.dcm",  # any of dcmtk's
            "p00000001/s1/{0}.dcm",
        ],
    )
    def test_names_that_other_sources_have_too(self, tmp_path: Path, capsys: Screen, name: str) -> None:
        for i in range(12):
            write_dicom(tmp_path / "src" / name.format(i), ramp(salt=i), PatientID=f"MRN-{i // 2}")
        code, said = ingest(capsys, tmp_path / "src")
        assert code == 0 and "layout: dicom" in said and "patients: 6 (2 images each)" in said

    def test_a_table_with_common_columns_is_no_vindr(self, tmp_path: Path, capsys: Screen) -> None:
        for i in range(4):
            write_dicom(tmp_path / f"src/{i}.dcm", ramp(salt=i), PatientID=f"MRN-{i // 2}")
        table(tmp_path / "src/train.csv", "image_id & class_name", "0 & a", "1 & b")
        code, said = ingest(capsys, tmp_path / "src")
        assert code == 0 and "layout: dicom" in said and "patients: 2 (2 images each)" in said
