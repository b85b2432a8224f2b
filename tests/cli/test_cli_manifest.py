"""Tables of patients through the front door: --manifest and metadata.csv, as people write them."""

from collections.abc import Callable
from pathlib import Path

import pytest
from layout_trees import table
from reader_files import write_png
from source_parts import Screen, ingest

from medaudit.artifacts.cohort import open_cohort
from medaudit.cli.app import run


class TestManifest:
    def source(self, root: Path) -> Path:
        for i in range(6):
            write_png(root / f"src/set/im{i}.png", salt=i)
        return root / "src"

    def test_one_that_names_nothing_is_refused(self, tmp_path: Path, capsys: Screen) -> None:
        source = self.source(tmp_path)
        manifest = table(tmp_path / "m.csv", "file & patient_id", "other.png & A", "set/im9.png & B")
        for command in ("ingest", "inspect"):
            extra = ["--out", str(tmp_path / "C")] if command == "ingest" else []
            assert run([command, str(source), "--manifest", str(manifest), *extra, "-q"]) == 2
            assert "the manifest names 0 of 6 files" in capsys.readouterr().err
        assert not (tmp_path / "C").exists()
        manifest.rename(source / "metadata.csv")
        code, said = ingest(capsys, source)
        assert code == 2 and "metadata.csv names 0 of 6 files" in said

    @pytest.mark.parametrize("how", ["manifest", "metadata"])
    def test_a_partial_match_says_both_numbers(self, tmp_path: Path, capsys: Screen, how: str) -> None:
        source = self.source(tmp_path)
        path = source / "metadata.csv" if how == "metadata" else tmp_path / "m.csv"
        table(path, "file & patient_id", "set/im0.png & A", "set/im1.png & B", "gone.png & C")
        code, said = ingest(capsys, source, *(["--manifest", str(path)] if how == "manifest" else []))
        assert code == 0
        assert "names 2 of 6 files; 4 files are not named, 1 of its names are of no file here" in said

    @pytest.mark.parametrize(
        ("file", "patient"),
        [
            ("file", "patient_id"), ("filename", "PatientID"), ("File Name", "Patient ID"), ("file_name", "patient"),
            ("path", "subject_id"), ("image", "Subject"), ("image_id", "PATIENT_ID"), ("Image Index", "patientId"),
            ("dicom_id", "subjectid"), ("ImageID", "PatientNumber"), ("FILEPATH", "mrn"),
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("how", ["manifest", "metadata"])
    def test_usual_names_of_columns(
        self, tmp_path: Path, capsys: Screen, file: str, patient: str, how: str
    ) -> None:
        source = self.source(tmp_path)
        path = source / "metadata.csv" if how == "metadata" else tmp_path / "m.csv"
        table(path, f"age & {patient} & {file}", *(f"9 & P{i // 2} & set/im{i}.png" for i in range(6)))
        code, said = ingest(capsys, source, *(["--manifest", str(path)] if how == "manifest" else []))
        assert code == 0 and "patients: 3 (2 images each)" in said

    @pytest.mark.parametrize(
        "spelled",
        [
            "im{}.png", "im{}", "set/im{}", "src/set/im{}.png", "data\\src\\set\\im{}.PNG",
            "./set/im{}.png", "{root}/src/set/im{}.png",
        ],
    )  # fmt: skip
    def test_files_with_or_without_ending_and_folders(
        self, tmp_path: Path, capsys: Screen, spelled: str
    ) -> None:
        source = self.source(tmp_path)
        spelled = spelled.replace("{root}", str(tmp_path))
        rows = (f"{spelled.format(i)} & P{i // 2}" for i in range(6))
        manifest = table(tmp_path / "m.csv", "file & patient_id", *rows)
        code, said = ingest(capsys, source, "--manifest", str(manifest))
        assert code == 0 and "patients: 3 (2 images each)" in said and "6 read, 0 refused" in said

    def test_a_name_that_fits_two_files_is_refused(self, tmp_path: Path, capsys: Screen) -> None:
        source = self.source(tmp_path)
        write_png(source / "other/im0.png", salt=20)
        manifest = table(tmp_path / "m.csv", "file & patient_id", "im0.png & A", "im1.png & B")
        code, said = ingest(capsys, source, "--manifest", str(manifest))
        assert code == 2 and "1 names in m.csv do not say which file they mean" in said
        # two rows, one file: the source is a part of what the table is about
        table(manifest, "file & patient_id", "one/set/im1.png & A", "two/set/im1.png & B")
        code, said = ingest(capsys, source, "--manifest", str(manifest))
        assert code == 2 and "do not say which file they mean" in said

    def test_columns_are_named_or_told_apart_by_the_user(self, tmp_path: Path, capsys: Screen) -> None:
        source = self.source(tmp_path)
        rows = (f"set/im{i}.png & {i} & P{i} & Q{i // 3}" for i in range(6))
        manifest = table(tmp_path / "m.csv", "path & image_id & patient_id & subject", *rows)
        options = ["--manifest", str(manifest)]
        code, said = ingest(capsys, source, *options)
        assert code == 2 and "'path', 'image_id'" in said and "--file-column" in said
        code, said = ingest(capsys, source, *options, "--file-column", "path")
        assert code == 2 and "'patient_id', 'subject'" in said and "--patient-column" in said
        code, said = ingest(capsys, source, *options, "--file-column", "path", "--patient-column", "subject")
        assert code == 0 and "patients: 2 (3 images each)" in said
        code, said = ingest(capsys, source, *options, "--file-column", "bild")
        assert code == 2 and "no column 'bild'; it has 'path', 'image_id', 'patient_id', 'subject'" in said

    @pytest.mark.parametrize("option", ["--file-column", "--patient-column"])
    def test_a_column_of_no_table_is_a_fault(self, tmp_path: Path, capsys: Screen, option: str) -> None:
        code, said = ingest(capsys, self.source(tmp_path), option, "x")
        assert code == 2 and "--manifest" in said

    def test_what_is_missing_is_named_with_what_is_there(self, tmp_path: Path, capsys: Screen) -> None:
        source = self.source(tmp_path)
        for head, missing in (("bild & patient", "names files"), ("file & kind", "names patients")):
            manifest = table(tmp_path / "m.csv", head, "set/im0.png & A")
            code, said = ingest(capsys, source, "--manifest", str(manifest))
            assert code == 2 and f"no column that {missing}" in said
            assert all(repr(name) in said for name in head.split(" & "))
        table(tmp_path / "m.csv", "set/im0.png & MRN-1", "set/im1.png & MRN-2")
        code, said = ingest(capsys, source, "--manifest", str(tmp_path / "m.csv"))
        assert code == 2 and "no row of column names" in said and "MRN" not in said
        table(source / "metadata.csv", "bild & patient", "set/im0.png & A")
        code, said = ingest(capsys, source)
        assert code == 2 and "'bild', 'patient'" in said

    @pytest.mark.parametrize(
        "dialect",
        [
            lambda text: text.encode(),
            lambda text: b"\xef\xbb\xbf" + text.encode(),
            lambda text: text.replace(",", ";").replace("|", ",").encode(),
            lambda text: text.replace(",", "\t").encode(),
            lambda text: text.replace("\n", "\r\n").encode(),
            lambda text: text.encode("latin-1"),
            lambda text: text.encode("utf-16"),
            lambda text: b"sep=;\r\n" + text.replace(",", ";").encode(),
        ],
        ids=["plain", "BOM", "semicolon", "tab", "CRLF", "latin-1", "UTF-16", "sep="],
    )
    @pytest.mark.parametrize("how", ["manifest", "metadata"])
    def test_dialects(
        self, tmp_path: Path, capsys: Screen, dialect: Callable[[str], bytes], how: str
    ) -> None:
        for i in range(4):
            write_png(tmp_path / f"src/Größe {i}.png", salt=i)
        rows = "".join(f'Größe {i}.png,"P|{i // 2}","a|b; c"\n' for i in range(4))
        path = tmp_path / ("src/metadata.csv" if how == "metadata" else "m.csv")
        path.write_bytes(dialect('file,patient_id,"note|more;"\n' + rows))
        options = ["--manifest", str(path)] if how == "manifest" else []
        code, said = ingest(capsys, tmp_path / "src", *options)
        assert code == 0 and "4 read, 0 refused" in said and "patients: 2 (2 images each)" in said

    def test_columns_without_patients_are_said(self, tmp_path: Path, capsys: Screen) -> None:
        source = self.source(tmp_path)
        manifest = table(
            tmp_path / "m.csv", "file & pat & labels", *(f"set/im{i}.png & P{i} & x" for i in range(6))
        )
        code, said = ingest(capsys, source, "--manifest", str(manifest))
        assert code == 0 and "m.csv has no column that names patients; it has 'file', 'pat', 'labels'" in said
        warnings = open_cohort(tmp_path / "C").artifact.manifest["warnings"]
        assert not any("m.csv" in text or "'pat'" in text for text in warnings)

    def test_a_faulty_metadata_gives_way_to_a_manifest(self, tmp_path: Path, capsys: Screen) -> None:
        source = self.source(tmp_path)
        table(source / "metadata.csv", "a & b", "c & d")
        manifest = table(tmp_path / "m.csv", "file & patient_id", *(f"im{i} & P{i // 2}" for i in range(6)))
        code, said = ingest(capsys, source, "--manifest", str(manifest))
        assert code == 0 and "patients: 3" in said and "metadata.csv cannot be used" in said
