"""Sources as they come: mixed formats, links, names that lead out. No image is lost in silence.

Everything goes through the front door: what is on the screen, what is in the manifest, what the exit code says.
"""

import os
import resource
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pydicom
import pytest
from layout_trees import table
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MediaStorageDirectoryStorage
from reader_files import ramp, write_dicom, write_png
from source_parts import Screen, ingest, inspected, nih_named, patients, refused

from medaudit.artifacts.cohort import open_cohort
from medaudit.cli.app import run

UNREAD = {  # how files of other formats open
    "jxl": b"\0\0\0\x0cJXL \r\n\x87\n",
    "heic": b"\0\0\0\x18ftypheic",
    "nrrd": b"NRRD0004\ntype: short\n",
    "fits": b"SIMPLE  =                    T",
}


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
        for ending, head in UNREAD.items():
            (source / f"x.{ending}").write_bytes(head + bytes(60))
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
            for name in ("JPEG XL", "HEIF", "NRRD", "FITS", "MetaImage")
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
        assert code == 0 and "3 read, 1 refused: 1 outside the layout" in said

    def test_what_only_layout_leaves_out_needs_no_second_flag(self, tmp_path: Path, capsys: Screen) -> None:
        nih_named(tmp_path / "src", 3)
        films = np.random.Generator(np.random.Philox(3)).integers(0, 256, (7, 20, 16)).astype(np.uint8)
        np.savez(tmp_path / "src/more.npz", images=films)
        np.savez(tmp_path / "in.npz", images=films[:4], extra=films[4:])
        for source in (tmp_path / "src", tmp_path / "in.npz"):
            out = tmp_path / f"C {source.name}"
            call = ["ingest", str(source), "--out", str(out), "-q", "--only-layout"]
            assert run(call) == 0, capsys.readouterr().err
            capsys.readouterr()

    def test_a_damaged_file_named_as_an_image_is_counted(self, tmp_path: Path, capsys: Screen) -> None:
        nih_named(tmp_path / "src", 12)
        (tmp_path / "src/old.dcm").write_bytes(b"\x08\0\x05\0\x10\0\xff\xff" + bytes(range(200)))
        (tmp_path / "src/array.npy").write_bytes(b"\x93NUMPY\x01\0\x0f\0{'descr': '<f4'")
        assert ingest(capsys, tmp_path / "src")[0] == 0
        expected = {"named as DICOM but is not": 1, "archive that is not unpacked": 1}
        assert refused(tmp_path / "C") == expected

    def test_npz_files_alone_are_all_told_of(self, tmp_path: Path, capsys: Screen) -> None:
        (tmp_path / "src").mkdir()
        for name in ("a", "b"):
            np.savez(tmp_path / f"src/{name}.npz", images=ramp(16, 12, 255)[None].astype(np.uint8))
        code, said = ingest(capsys, tmp_path / "src")
        assert code == 2 and "a.npz and 1 more" in said
        code, said = ingest(capsys, tmp_path / "src/a.npz", "--out", str(tmp_path / "C"))
        assert code == 0 and "1 other npz files next to the source are not read" in said

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
        (tmp_path / "src/x.nrrd").write_bytes(UNREAD["nrrd"])
        for source in (tmp_path / "src", tmp_path / "src/x.nrrd"):
            code, said = ingest(capsys, source)
            assert code == 2 and "NRRD, a format that is not read" in said

    def test_another_format_under_the_name_of_a_picture(self, tmp_path: Path, capsys: Screen) -> None:
        nih_named(tmp_path / "src", 2)
        (tmp_path / "src/x.png").write_bytes(UNREAD["nrrd"])
        code, said = ingest(capsys, tmp_path / "src")
        assert code == 0 and "2 read, 1 refused: 1 NRRD, a format that is not read" in said

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
        code, said = limited(
            ["ingest", str(tmp_path / "src"), "--out", str(tmp_path / "C"), "--accept-refused"]
        )
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
        assert run(["ingest", str(source), "--out", str(tmp_path / "C"), "-q", "--accept-refused"]) == 0
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
