"""Layouts: a tiny tree of each, guessed or asked for, gives patients, views and findings."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from layout_trees import PARENT, TREES, table
from pydicom.data import get_testdata_file
from reader_files import write_dicom, write_png

from medaudit.errors import ConfigProblem, LayoutUnknown, NothingReadable, SourceMissing, UsageProblem
from medaudit.readers import adapters, refusals, walking
from medaudit.readers.layouts import Listing, list_source
from medaudit.readers.records import Entry, view_word


def by_file(listing: Listing) -> dict[str, Entry]:
    return {entry.file: entry for entry in listing.entries}


def said(entry: Entry) -> tuple[str | None, str | None, str | None, str | None, tuple[str, ...]]:
    return entry.patient, entry.study, entry.view, entry.split, entry.labels


@pytest.mark.parametrize("asked", ["auto", "by name"])
@pytest.mark.parametrize("name", TREES)
def test_a_tiny_tree_of_each_layout(tmp_path: Path, name: str, asked: str) -> None:
    build, expected = TREES[name]
    build(tmp_path)
    listing = list_source(tmp_path, "auto" if asked == "auto" else name)
    assert listing.layout == name
    assert {file: said(entry) for file, entry in by_file(listing).items()} == expected
    assert listing.why and listing.warnings  # each of these sets has its trap


def test_every_published_adapter_has_a_tree() -> None:
    generic = {"metadata", "dicom", "plain"}
    assert {adapter.name for adapter in adapters.adapters()} == set(TREES) | generic
    assert len({adapter.order for adapter in adapters.adapters()}) == len(adapters.adapters())


def test_traps_and_refusals_of_the_layouts(tmp_path: Path) -> None:
    for name, (build, _) in TREES.items():
        build(tmp_path / name)
    listings = {name: list_source(tmp_path / name) for name in TREES}
    assert by_file(listings["padchest"])["54/unlisted.png"].refuse == refusals.UNLISTED
    assert listings["rsna"].accept == {refusals.SECONDARY_CAPTURE}
    assert listings["nih"].accept == set()
    assert not listings["vindr"].header_patient
    assert any("1 images that are not here" in text for text in listings["nih"].warnings)
    assert "NIH" in listings["rsna"].warnings[0]


# One more file of each set, in its naming.
NAMINGS = {
    "nih": "images/{0:08d}_000.png",
    "chexpert": "train/patient{0:05d}/study1/view1_frontal.jpg",
    "mimic-cxr": "files/p10/p1{0:07d}/s5{0:07d}/x.dcm",
    "vindr": "train/{0:032x}.dicom",
    "rsna": "stage_2_train_images/{0:08x}-14fd-4e49-80ba-63a80b6bddd6.dcm",
    "siim": PARENT + "/1.2.276.0.7230010.3.1.4.{0}.dcm",
}


@pytest.mark.parametrize("name", NAMINGS)
def test_without_its_tables_the_paths_tell_where_they_are_enough(tmp_path: Path, name: str) -> None:
    build, expected = TREES[name]
    build(tmp_path)
    for path in [*tmp_path.glob("*.csv"), *tmp_path.glob("*.gz")]:
        path.unlink()
    few = list_source(tmp_path)
    assert few.layout in ("plain", "dicom")  # a handful of names is a chance likeness
    assert {entry.patient for entry in few.entries} == {None}
    assert any(f"--layout {name}" in text for text in few.warnings)
    for i in range(500, 510):
        write = write_dicom if NAMINGS[name].endswith((".dcm", ".dicom")) else write_png
        write(tmp_path / NAMINGS[name].format(i))
    listing = list_source(tmp_path)
    assert listing.layout == name
    assert {f: e.patient for f, e in by_file(listing).items() if f in expected} == {
        f: said_[0] for f, said_ in expected.items()
    }
    from_names = any("come from their file names alone" in text for text in listing.warnings)
    assert from_names == any(entry.patient for entry in listing.entries)


class TestMetadata:
    def tree(self, root: Path) -> None:
        for i, name in enumerate(("a/x.png", "a/y.png", "b/x.png", "b/stray.png")):
            write_png(root / name, salt=i)
        table(
            root / "metadata.csv",
            "file & patient_id & study & view & split & labels",
            "a/x.png & P1 & S1 & PA & train & mass|nodule",
            "./a/y.png & P1 & S2 & Lateral & train & ",
            "b\\x.png & P2 & & & test & nodule; mass",
            "gone.png & P3 & & & &",
        )

    def test_is_read_as_it_stands(self, tmp_path: Path) -> None:
        self.tree(tmp_path)
        found = by_file(list_source(tmp_path))
        assert said(found["a/x.png"]) == ("P1", "S1", "PA", "train", ("mass", "nodule"))
        assert said(found["a/y.png"]) == ("P1", "S2", "LATERAL", "train", ())
        assert said(found["b/x.png"]) == ("P2", None, None, "test", ("nodule", "mass"))
        assert found["gone.png"].refuse == refusals.MISSING_FILE
        assert found["b/stray.png"].refuse == refusals.UNLISTED
        assert [e.refuse for f, e in found.items() if f in ("a/x.png", "a/y.png", "b/x.png")] == [None] * 3

    def test_comes_before_any_other_guess(self, tmp_path: Path) -> None:
        write_png(tmp_path / "00000001_000.png")
        table(tmp_path / "metadata.csv", "file & patient_id", "00000001_000.png & nih-1")
        listing = list_source(tmp_path)
        assert listing.layout == "metadata" and listing.entries[0].patient == "nih-1"

    def test_one_film_with_two_patients_is_refused(self, tmp_path: Path) -> None:
        write_png(tmp_path / "x.png")
        write_png(tmp_path / "y.png")
        table(
            tmp_path / "metadata.csv", "file & patient_id", "x.png & A", "x.png & B", "y.png & C", "y.png & C"
        )
        found = by_file(list_source(tmp_path))
        assert found["x.png"].refuse == refusals.PATIENT_CONFLICT
        assert found["y.png"].refuse is None

    @pytest.mark.parametrize(
        "text",
        [
            "file;patient_id\nx.png;A\n",
            "\ufefffile\tpatient_id\nx.png\tA\n",
            ' file , patient_id\r\n"x.png","A"\r\n',
        ],
    )
    def test_spellings_of_spreadsheets(self, tmp_path: Path, text: str) -> None:
        write_png(tmp_path / "x.png")
        (tmp_path / "metadata.csv").write_bytes(text.encode())
        assert list_source(tmp_path).entries[0].patient == "A"

    def test_a_name_outside_the_folder_is_never_opened(self, tmp_path: Path) -> None:
        write_png(tmp_path / "secret.png")
        write_png(tmp_path / "in/x.png")
        table(
            tmp_path / "in/metadata.csv",
            "file & patient_id",
            "../secret.png & A",
            "x.png & B",
            f"{tmp_path}/secret.png & C",
        )
        found = by_file(list_source(tmp_path / "in"))
        assert {f: e.refuse for f, e in found.items() if f != "x.png"} == {
            "../secret.png": refusals.OUTSIDE_FOLDER,
            f"{tmp_path}/secret.png": refusals.OUTSIDE_FOLDER,
        }


class TestManifestAndRegex:
    def test_the_manifest_overrides_where_it_says_something(self, tmp_path: Path) -> None:
        TREES["nih"][0](tmp_path / "set")
        manifest = table(
            tmp_path / "m.csv",
            "file & patient_id & view & labels",
            "images/00000013_004.png & other & LL & mass",
            "images_001/images/00000001_000.png & & &",
            "nowhere.png & P & &",
        )
        listing = list_source(tmp_path / "set", manifest=manifest)
        found = by_file(listing)
        assert said(found["images/00000013_004.png"]) == ("other", "00000013/004", "LATERAL", None, ("mass",))
        assert found["images_001/images/00000001_000.png"].patient == "00000001"
        assert found["nowhere.png"].refuse == refusals.MISSING_FILE
        assert listing.digest != list_source(tmp_path / "set").digest

    def test_the_regex_names_patients_and_refuses_what_it_does_not_fit(self, tmp_path: Path) -> None:
        for name in ("h1/p-07_a.png", "h1/p-07_b.png", "h2/p-08.png", "h2/other.png"):
            write_png(tmp_path / name)
        found = by_file(list_source(tmp_path, patient_regex=r"p-(\d+)"))
        assert [found[n].patient for n in ("h1/p-07_a.png", "h1/p-07_b.png", "h2/p-08.png")] == [
            "07",
            "07",
            "08",
        ]
        assert found["h2/other.png"].refuse == refusals.PATIENT_UNMATCHED
        assert by_file(list_source(tmp_path, patient_regex=r"h\d"))["h2/p-08.png"].patient == "h2"

    def test_faults_of_the_arguments(self, tmp_path: Path) -> None:
        write_png(tmp_path / "x.png")
        with pytest.raises(UsageProblem, match="no regular expression"):
            list_source(tmp_path, patient_regex="(")
        with pytest.raises(SourceMissing, match="not a file"):
            list_source(tmp_path, manifest=tmp_path / "none.csv")
        with pytest.raises(UsageProblem, match=r"no column that names files.*'name', 'patient_id'"):
            list_source(tmp_path, manifest=table(tmp_path / "m.csv", "name & patient_id", "x & y"))
        with pytest.raises(LayoutUnknown, match="mimic-cxr"):
            list_source(tmp_path, "mimic")
        with pytest.raises(LayoutUnknown, match=r"padchest; it needs .* ImageID"):
            list_source(tmp_path, "padchest")
        with pytest.raises(SourceMissing):
            list_source(tmp_path / "none")


class TestFolders:
    def test_a_pacs_export_without_endings(self, tmp_path: Path) -> None:
        for i in range(6):
            write_dicom(tmp_path / f"PA0/ST{i // 2}/1.2.840.{i}", PatientID=f"M{i // 2}")
        (tmp_path / "PA0/LICENSE").write_text("words")
        listing = list_source(tmp_path)
        assert listing.layout == "dicom" and "DICOM" in listing.why
        assert len(listing.entries) == 7

    def test_a_plain_folder_passes_side_files_over_and_says_so(self, tmp_path: Path) -> None:
        write_png(tmp_path / "normal/x.png")
        write_png(tmp_path / "sick/x.png")
        (tmp_path / "notes.txt").write_text("words")
        (tmp_path / ".DS_Store").write_bytes(b"x")
        listing = list_source(tmp_path)
        assert listing.layout == "plain" and listing.ignored == {".txt": 1}
        assert [said(e) for e in listing.entries] == [
            (None, None, None, None, ())
        ] * 2  # folders are no labels

    def test_one_file(self, tmp_path: Path) -> None:
        path = write_dicom(tmp_path / "x.dcm")
        assert [entry.file for entry in list_source(path).entries] == ["x.dcm"]

    def test_links_in_a_circle_end(self, tmp_path: Path) -> None:
        write_png(tmp_path / "a/x.png")
        (tmp_path / "a/again").symlink_to(tmp_path, target_is_directory=True)
        assert [entry.file for entry in list_source(tmp_path).entries] == ["a/x.png"]

    def test_nothing_to_read(self, tmp_path: Path) -> None:
        (tmp_path / "notes.txt").write_text("words")
        with pytest.raises(LayoutUnknown, match="plain"):
            list_source(tmp_path)
        np.savez(tmp_path / "films.npz", images=np.zeros((2, 3, 4), np.uint8))
        with pytest.raises(LayoutUnknown, match=r"films\.npz"):
            list_source(tmp_path)
        np.savez(tmp_path / "none.npz", images=np.zeros((0, 3, 4), np.uint8))
        with pytest.raises(NothingReadable):
            list_source(tmp_path / "none.npz")

    def test_order_of_the_disk_does_not_matter(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for i in (3, 1, 2):
            write_png(tmp_path / f"f{i}/x.png", salt=i)
        before = list_source(tmp_path)
        scan = walking.os.scandir
        monkeypatch.setattr(walking.os, "scandir", lambda folder: reversed(list(scan(folder))))
        after = list_source(tmp_path)
        assert after.entries == before.entries and after.digest == before.digest

    def test_the_digest_follows_names_sizes_and_tables(self, tmp_path: Path) -> None:
        write_png(tmp_path / "x.png")
        table(tmp_path / "metadata.csv", "file & patient_id", "x.png & A")
        digests = [list_source(tmp_path).digest]
        table(tmp_path / "metadata.csv", "file & patient_id", "x.png & B")
        digests.append(list_source(tmp_path).digest)
        write_png(tmp_path / "y.png")
        digests.append(list_source(tmp_path).digest)
        assert len(set(digests)) == 3


class TestDicomdir:
    def source(self) -> Path:
        return Path(str(get_testdata_file("DICOMDIR", download=False)))

    def test_lists_its_images(self) -> None:
        listing = list_source(self.source())
        assert listing.layout == "dicom" and "DICOMDIR" in listing.why
        assert all((listing.root / entry.file).is_file() for entry in listing.entries)
        listed = [entry for entry in listing.entries if entry.refuse is None]
        assert len(listed) == 31
        others = {entry.refuse for entry in listing.entries if entry not in listed}
        assert others == {refusals.UNLISTED}  # films of other media that lie in the same folder

    def test_finds_names_copied_to_lower_case(self, tmp_path: Path) -> None:
        listed = pydicom.dcmread(self.source())
        (tmp_path / "DICOMDIR").write_bytes(self.source().read_bytes())
        first = "/".join(
            next(
                r for r in listed.DirectoryRecordSequence if r.DirectoryRecordType == "IMAGE"
            ).ReferencedFileID
        )
        write_dicom(tmp_path / first.lower())
        listing = list_source(tmp_path / "DICOMDIR")
        assert listing.entries[0].file == first.lower()

    def test_in_a_folder_it_is_no_film(self, tmp_path: Path) -> None:
        (tmp_path / "DICOMDIR").write_bytes(self.source().read_bytes())
        write_dicom(tmp_path / "IM1")
        assert [entry.file for entry in list_source(tmp_path).entries] == ["IM1"]


def test_an_unknown_key_in_an_adapter_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "layouts").mkdir()
    (tmp_path / "layouts/x.yaml").write_text(
        "name: x\ntitle: X\norder: 1\nsuffixes: [.png]\npatients: ['{a}']\n"
    )
    monkeypatch.setattr(adapters, "__file__", str(tmp_path / "adapters.py"))
    adapters.adapters.cache_clear()
    try:
        with pytest.raises(ConfigProblem, match="patients"):
            adapters.adapters()
    finally:
        monkeypatch.undo()
        adapters.adapters.cache_clear()


WORDS = {
    "PA": "PA", "ap": "AP", "AP_horizontal": "AP", "Antero-posterior": "AP", "LLAT": "LATERAL", "L": "LATERAL",
    "Frontal": "FRONTAL", "OBLIQUE": "OTHER", "": None, None: None, "nan": None,
}  # fmt: skip


@pytest.mark.parametrize(("text", "word"), WORDS.items())
def test_words_for_views(text: str | None, word: str | None) -> None:
    assert view_word(text) == word
