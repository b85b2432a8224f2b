"""Sources as they come: mixed formats, links, tables that lead out or name nothing. No image is lost in silence.

Everything goes through the front door: what is on the screen, what is in the manifest, what the exit code says.
"""

import json
import os
import resource
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from layout_trees import table
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MediaStorageDirectoryStorage
from reader_files import ramp, write_dicom, write_png

from medaudit.artifacts.cohort import open_cohort
from medaudit.cli.app import run

Screen = pytest.CaptureFixture[str]


def ingest(screen: Screen, source: Path, *options: str, out: str = "C") -> tuple[int, str]:
    """Exit code, and what stands on the screen."""
    code = run(["ingest", str(source), "--out", str(source.parent / out), "-q", *options])
    said = screen.readouterr()
    return code, said.out + said.err


def inspected(screen: Screen, source: Path, *options: str) -> dict:
    assert run(["inspect", str(source), "--json", *options]) == 0
    return json.loads(screen.readouterr().out)


def refused(folder: Path) -> dict[str, int]:
    return open_cohort(folder).artifact.manifest["refused"]["counts"]


def patients(folder: Path) -> list[str | None]:
    return list(open_cohort(folder).patients)


def nih_named(folder: Path, count: int) -> None:
    for i in range(count):
        write_png(folder / f"{i + 1:08d}_000.png", salt=i)


class TestMixedFormats:
    def source(self, root: Path) -> Path:
        nih_named(root / "src", 12)
        for i in range(5):
            write_dicom(root / f"src/scans/{i}", ramp(salt=50 + i), PatientID=f"MRN-{i}")
        return root / "src"

    def test_a_layout_that_covers_a_part_stops_and_says_what_it_leaves(
        self, tmp_path: Path, capsys: Screen
    ) -> None:
        code, said = ingest(capsys, self.source(tmp_path))
        assert code == 2 and said.startswith("ImagesLeft: ") and said.count("\n") == 1
        assert "covers 12 images and leaves 5" in said
        assert "scans/0" in said and "--only-layout" in said and "--layout plain" in said
        assert not (tmp_path / "C").exists() and not (tmp_path / "medaudit.key").exists()

    def test_told_to_it_goes_on_and_counts_what_it_left(self, tmp_path: Path, capsys: Screen) -> None:
        code, said = ingest(capsys, self.source(tmp_path), "--only-layout")
        assert code == 0 and "12 read, 5 refused: 5 outside the layout" in said
        assert refused(tmp_path / "C") == {"outside the layout": 5}

    def test_plain_reads_them_all(self, tmp_path: Path, capsys: Screen) -> None:
        code, said = ingest(capsys, self.source(tmp_path), "--layout", "plain")
        assert code == 0 and "17 read, 0 refused" in said

    def test_inspect_says_so_and_does_not_stop(self, tmp_path: Path, capsys: Screen) -> None:
        found = inspected(capsys, self.source(tmp_path))
        assert found["data"]["refused"] == {"outside the layout": 5} and found["data"]["left_by_layout"] == 5
        assert any("leaves 5" in line and "ingest stops" in line for line in found["lines"])
        quiet = inspected(capsys, tmp_path / "src", "--only-layout")
        assert not any("ingest stops" in line for line in quiet["lines"])
        assert any("5 outside the layout" in line for line in quiet["lines"])

    def test_a_manifest_that_names_them_has_them_read(self, tmp_path: Path, capsys: Screen) -> None:
        source = self.source(tmp_path)
        files = [p.relative_to(source).as_posix() for p in sorted(source.rglob("*")) if p.is_file()]
        manifest = table(
            tmp_path / "m.csv", "file & patient_id", *(f"{f} & P{i}" for i, f in enumerate(files))
        )
        code, said = ingest(capsys, source, "--manifest", str(manifest))
        assert code == 0 and "17 read, 0 refused" in said
        assert len(set(patients(tmp_path / "C"))) == 17

    @pytest.mark.parametrize("name", ["odd.bin", "noending", "deep/er/x.img", "x.txt"])
    def test_an_odd_name_hides_no_image(self, tmp_path: Path, capsys: Screen, name: str) -> None:
        for number, layout in enumerate(("plain", "nih")):
            source = tmp_path / str(number) / "src"
            nih_named(source, 12)
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            write_dicom(tmp_path / "one.dcm", ramp(salt=99)).rename(source / name)
            code, said = ingest(capsys, source, "--layout", layout, "--only-layout")
            assert code == 0
            assert ("13 read, 0 refused" if layout == "plain" else "12 read, 1 refused") in said

    @pytest.mark.parametrize("layout", ["nih", "plain", "metadata"])
    def test_what_cannot_be_read_is_refused_by_name_under_any_layout(
        self, tmp_path: Path, capsys: Screen, layout: str
    ) -> None:
        source = tmp_path / "src"
        nih_named(source, 12)
        if layout == "metadata":
            table(
                source / "metadata.csv",
                "file & patient_id",
                *(f"{i + 1:08d}_000.png & P{i}" for i in range(12)),
            )
        gray = Image.fromarray(ramp(top=255).astype(np.uint8))
        for ending in ("gif", "webp", "bmp", "jp2"):
            gray.save(source / f"x.{ending}")
        (source / "x.mhd").write_text("ObjectType = Image\nNDims = 2\n")
        with zipfile.ZipFile(source / "x.zip", "w") as archive:
            archive.writestr("a/b.png", (source / "00000001_000.png").read_bytes())
        with zipfile.ZipFile(source / "words.zip", "w") as archive:
            archive.writestr("a/b.txt", "words")
        (source / ".thumbs").mkdir()
        write_png(source / ".thumbs/x.png", salt=77)
        (source / ".DS_Store").write_bytes(b"words")
        (source / "notes.txt").write_text("words")
        os.mkfifo(source / "pipe")
        (source / "gone.png").symlink_to("nowhere.png")
        code, said = ingest(capsys, source, "--layout", layout)
        assert code == 0 and "12 read, 9 refused" in said
        expected = {
            f"{name}, a format that is not read": 1
            for name in ("GIF", "WebP", "BMP", "JPEG 2000", "MetaImage")
        }
        expected |= {"archive that is not unpacked": 1, "hidden file": 1, "no regular file": 1}
        lost = {"not listed in the table": 1} if layout == "metadata" else {"listed but missing": 1}
        assert refused(tmp_path / "C") == {**expected, **lost}
        assert inspected(capsys, source, "--layout", layout)["data"]["refused"] == {**expected, **lost}

    def test_an_npz_beside_pictures_stops(self, tmp_path: Path, capsys: Screen) -> None:
        nih_named(tmp_path / "src", 3)
        np.savez(tmp_path / "src/more.npz", images=np.zeros((5, 20, 16), np.uint8))
        np.savez(tmp_path / "src/numbers.npz", embeddings=np.zeros((5, 20), np.float32))
        code, said = ingest(capsys, tmp_path / "src")
        assert code == 2 and "more.npz" in said and "numbers" not in said and "source of its own" in said
        code, said = ingest(capsys, tmp_path / "src", "--only-layout")
        assert code == 0 and "3 read, 1 refused: 1 archive that is not unpacked" in said

    def test_npz_files_alone_are_all_told_of(self, tmp_path: Path, capsys: Screen) -> None:
        (tmp_path / "src").mkdir()
        for name in ("a", "b"):
            np.savez(tmp_path / f"src/{name}.npz", images=ramp(16, 12, 255)[None].astype(np.uint8))
        code, said = ingest(capsys, tmp_path / "src")
        assert code == 2 and "a.npz and 1 more" in said
        code, said = ingest(capsys, tmp_path / "src/a.npz", "--out", str(tmp_path / "C"))
        assert code == 0 and "1 other npz files lie beside the source and are not read" in said

    def test_arrays_under_other_names_are_counted(self, tmp_path: Path, capsys: Screen) -> None:
        films = np.random.Generator(np.random.Philox(3)).integers(0, 256, (7, 20, 16)).astype(np.uint8)
        np.savez(tmp_path / "in.npz", images=films[:4], extra=films[4:], numbers=np.zeros((4, 9)))
        code, said = ingest(capsys, tmp_path / "in.npz")
        assert code == 2 and said.startswith("ImagesLeft: ") and "in.npz/extra" in said
        code, said = ingest(capsys, tmp_path / "in.npz", "--only-layout")
        assert code == 0 and "4 read, 3 refused: 3 array under a name that is not read" in said

    def test_a_folder_or_file_of_another_format_is_refused_for_what_it_is(
        self, tmp_path: Path, capsys: Screen
    ) -> None:
        (tmp_path / "src").mkdir()
        Image.fromarray(ramp(top=255).astype(np.uint8)).save(tmp_path / "src/x.gif")
        for source in (tmp_path / "src", tmp_path / "src/x.gif"):
            code, said = ingest(capsys, source)
            assert code == 2 and "GIF, a format that is not read" in said

    def test_another_format_under_the_name_of_a_picture(self, tmp_path: Path, capsys: Screen) -> None:
        nih_named(tmp_path / "src", 2)
        Image.fromarray(ramp(top=255).astype(np.uint8)).save(tmp_path / "src/x.gif")
        (tmp_path / "src/x.gif").rename(tmp_path / "src/x.png")
        code, said = ingest(capsys, tmp_path / "src")
        assert code == 0 and "2 read, 1 refused: 1 GIF, a format that is not read" in said

    def test_the_report_prints_what_was_left(self, tmp_path: Path, capsys: Screen) -> None:
        from medaudit.stages.site import _cohort

        ingest(capsys, self.source(tmp_path), "--only-layout")
        facts = _cohort("train", open_cohort(tmp_path / "C"), hide=False)
        assert facts.refused == {"outside the layout": 5}


def limited(arguments: list[str], seconds: int = 40) -> tuple[int, str]:
    """Run in a process of its own, which may take little memory and little time."""
    done = subprocess.run(
        [sys.executable, "-m", "medaudit.cli.app", *arguments, "-q"],
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30)),
    )
    return done.returncode, done.stdout + done.stderr


class TestLinks:
    @pytest.mark.parametrize("to", ["/dev/zero", "pipe"])
    def test_a_link_to_a_device_or_pipe_is_refused_by_name(self, tmp_path: Path, to: str) -> None:
        write_png(tmp_path / "src/a.png", salt=1)
        if to == "pipe":
            to = str(tmp_path / "pipe")
            os.mkfifo(to)
        for name in ("x.png", "x.dcm", "x"):
            (tmp_path / "src" / name).symlink_to(to)
        code, said = limited(["ingest", str(tmp_path / "src"), "--out", str(tmp_path / "C")])
        assert code == 0 and "1 read, 3 refused: 3 no regular file" in said

    @pytest.mark.parametrize(
        "arguments",
        [
            ["ingest", "{pipe}"],
            ["ingest", "{npz}"],
            ["ingest", "{src}", "--manifest", "{pipe}"],
            ["ingest", "{folder with metadata}"],
            ["ingest", "{src}", "--key", "{pipe}"],
            ["ingest", "{dicomdir}"],
        ],
        ids=str,
    )
    def test_nowhere_is_a_pipe_opened(self, tmp_path: Path, arguments: list[str]) -> None:
        write_png(tmp_path / "src/a.png")
        write_png(tmp_path / "tabled/a.png")
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        (tmp_path / "tabled/metadata.csv").symlink_to(pipe)
        (tmp_path / "x.npz").symlink_to(pipe)
        (tmp_path / "DICOMDIR").symlink_to(pipe)
        paths = {
            "{pipe}": pipe,
            "{npz}": tmp_path / "x.npz",
            "{src}": tmp_path / "src",
            "{folder with metadata}": tmp_path / "tabled",
            "{dicomdir}": tmp_path / "DICOMDIR",
        }
        code, said = limited([str(paths.get(a, a)) for a in arguments] + ["--out", str(tmp_path / "C")])
        assert code == 2 and said.count("\n") == 1 and not (tmp_path / "C").exists()

    def test_links_out_of_the_source_are_followed_and_counted(self, tmp_path: Path, capsys: Screen) -> None:
        write_png(tmp_path / "src/a.png", salt=1)
        write_png(tmp_path / "elsewhere/b.png", salt=2)
        write_png(tmp_path / "elsewhere/deep/c.png", salt=3)
        write_png(tmp_path / "d.png", salt=4)
        (tmp_path / "src/out").symlink_to(tmp_path / "elsewhere")
        (tmp_path / "src/d.png").symlink_to(tmp_path / "d.png")
        (tmp_path / "src/loop").symlink_to(tmp_path / "src")
        (tmp_path / "src/above").symlink_to(tmp_path)
        (tmp_path / "elsewhere/back").symlink_to(tmp_path / "src")
        for origin in ("real", "synthetic"):
            code, said = ingest(capsys, tmp_path / "src", "--origin", origin, out=origin)
            assert code == 0 and "4 read, 0 refused" in said
            assert "3 files reached through links outside the source" in said
            assert open_cohort(tmp_path / origin).artifact.manifest["source_facts"]["links_outside"] == 3
        found = inspected(capsys, tmp_path / "src")
        assert found["data"]["links_outside"] == 3 and found["data"]["films"] == 4
        assert "note: 3 files reached through links outside the source" in found["lines"]


class TestNamesThatLeadOut:
    def dicomdir(self, folder: Path, *names: list[str]) -> Path:
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = MediaStorageDirectoryStorage, "1.2"
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        ds.DirectoryRecordSequence = []
        for name in names:
            record = pydicom.Dataset()
            record.DirectoryRecordType = "IMAGE"
            record.add(pydicom.DataElement(0x00041500, "CS", name, validation_mode=pydicom.config.IGNORE))
            ds.DirectoryRecordSequence.append(record)
        ds.save_as(folder / "DICOMDIR", enforce_file_format=True)
        return folder / "DICOMDIR"

    def test_a_dicomdir_stays_in_its_folder(self, tmp_path: Path, capsys: Screen) -> None:
        write_dicom(tmp_path / "cd/IM1", ramp(salt=1), PatientID="A")
        write_dicom(tmp_path / "cd/odd.img", ramp(salt=2), PatientID="A")
        write_dicom(tmp_path / "cd/IM3", ramp(salt=3), PatientID="A")
        write_dicom(tmp_path / "SECRET", ramp(salt=4), PatientID="B")
        names = ["IM1"], ["odd.img"], ["..", "SECRET"], [str(tmp_path / "SECRET")], ["gone"]
        source = self.dicomdir(tmp_path / "cd", *names)
        assert run(["ingest", str(source), "--out", str(tmp_path / "C"), "-q"]) == 0
        said = capsys.readouterr().out
        assert "2 read, 4 refused" in said and "names 2 files outside its folder" in said
        assert refused(tmp_path / "C") == {
            "named outside the folder": 2,
            "listed but missing": 1,
            "not listed in the table": 1,
        }
        assert len(set(patients(tmp_path / "C"))) == 1

    @pytest.mark.parametrize("how", ["metadata", "manifest", "nih", "padchest"])
    def test_no_table_does(self, tmp_path: Path, capsys: Screen, how: str) -> None:
        nih_named(tmp_path / "src", 3)
        write_png(tmp_path / "00000009_000.png", salt=9)
        out = ("../00000009_000.png", str(tmp_path / "00000009_000.png"), "..\\00000009_000.png", "C:\\x.png")
        names = [*out, "00000001_000.png", "00000002_000.png", "00000003_000.png"]
        options: list[str] = []
        if how in ("metadata", "manifest"):
            path = tmp_path / ("src/metadata.csv" if how == "metadata" else "m.csv")
            table(path, "file & patient_id", *(f"{name} & P" for name in names))
            options = ["--manifest", str(path)] if how == "manifest" else []
        elif how == "nih":
            head = "Image Index & Finding Labels & Patient ID & View Position"
            table(tmp_path / "src/Data_Entry_2017.csv", head, *(f"{name} & & 1 & PA" for name in names))
        else:
            head = "ImageID & ImageDir & StudyID & PatientID & Projection"
            table(tmp_path / "src/padchest.csv", head, *(f"{name} & 0 & 1 & 1 & PA" for name in names))
        code, said = ingest(capsys, tmp_path / "src", *options)
        assert code == 0 and "3 read, " in said
        assert refused(tmp_path / "C")["named outside the folder"] == 4


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
        assert code == 0 and "patients: 3 (2 films each)" in said

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
        assert code == 0 and "patients: 3 (2 films each)" in said and "6 read, 0 refused" in said

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
        assert code == 0 and "patients: 2 (3 films each)" in said
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
        assert code == 0 and "4 read, 0 refused" in said and "patients: 2 (2 films each)" in said

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
        assert "tables/metadata.csv speaks for its own folder, which holds no image" in said

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
        assert code == 0 and "layout: dicom" in said and "patients: 6 (2 films each)" in said

    def test_a_table_with_common_columns_is_no_vindr(self, tmp_path: Path, capsys: Screen) -> None:
        for i in range(4):
            write_dicom(tmp_path / f"src/{i}.dcm", ramp(salt=i), PatientID=f"MRN-{i // 2}")
        table(tmp_path / "src/train.csv", "image_id & class_name", "0 & a", "1 & b")
        code, said = ingest(capsys, tmp_path / "src")
        assert code == 0 and "layout: dicom" in said and "patients: 2 (2 films each)" in said
