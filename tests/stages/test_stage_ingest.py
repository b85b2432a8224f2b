"""ingest: from folders and npz to cohorts, with every refusal, resume, and nobody's id."""

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest
from pydicom.data import get_testdata_file
from reader_files import ramp, tree_bytes, write_dicom, write_png

from medaudit.artifacts.cohort import CohortWriter, open_cohort
from medaudit.artifacts.identities import read_identities
from medaudit.errors import LayoutUnknown, NothingReadable, OutputExists, SourceMissing, UsageProblem
from medaudit.images.intensity import fit_square, full_range_unit, to_depth
from medaudit.readers import batch, npz, refusals
from medaudit.stages import ingest


def mixed(root: Path) -> Path:
    """17 films of 5 patients in 12-bit DICOM, one duplicate, and six files that are refused."""
    for i in range(17):
        write_dicom(root / f"d{i // 4}/f{i:02d}", ramp(20, 14, salt=i), PatientID=f"MRN-{i % 5}")
    (root / "d9").mkdir()
    (root / "d9/again").write_bytes((root / "d1/f05").read_bytes())
    write_dicom(root / "d0/nopixels", PixelData=None)
    write_dicom(root / "d2/multi", NumberOfFrames=2)
    (root / "d2/empty").touch()
    (root / "d2/text.dcm").write_text("words")
    (root / "d3/cut").write_bytes((root / "d3/f12").read_bytes()[:-40])
    write_dicom(root / "d3/flat", np.full((20, 14), 9))
    return root


def columns(out: Path, *names: str) -> list[tuple]:
    rows = open_cohort(out).rows
    return list(zip(*(rows.column(name).to_pylist() for name in names), strict=True))


def said(folder: Path, named: Iterable[Sequence]) -> list[tuple]:
    """The same pairs with the source's own names, from the identity file."""
    known = {name: original for _, name, original in read_identities(folder / "medaudit.identities.jsonl")}
    return [(known[name], *rest) for name, *rest in named]


def test_a_mixed_folder_read_and_counted(tmp_path: Path) -> None:
    outcome = ingest.run(mixed(tmp_path / "in"), tmp_path / "C", size=16, accept_refused=True)
    cohort = open_cohort(tmp_path / "C")
    counts = cohort.artifact.manifest["refused"]["counts"]
    assert counts == {
        refusals.DUPLICATE: 1, refusals.NO_PIXELS: 1, refusals.MULTI_FRAME: 1, refusals.EMPTY_FILE: 1,
        refusals.NOT_DICOM: 1, refusals.TRUNCATED: 1, refusals.CONSTANT: 1,
    }  # fmt: skip
    assert sorted(said(tmp_path, cohort.artifact.manifest["refused"]["files"])) == [
        ("d0/nopixels", refusals.NO_PIXELS), ("d2/empty", refusals.EMPTY_FILE), ("d2/multi", refusals.MULTI_FRAME),
        ("d2/text.dcm", refusals.NOT_DICOM), ("d3/cut", refusals.TRUNCATED), ("d3/flat", refusals.CONSTANT),
        ("d9/again", refusals.DUPLICATE),
    ]  # fmt: skip
    assert outcome.lines[1].startswith("17 read, 7 refused: 1 ")
    assert cohort.image_shape == (16, 16) and cohort.pixels.dtype == np.uint16
    assert len(set(cohort.patients)) == 5 and cohort.has_patients
    assert {route for (route,) in columns(tmp_path / "C", "route")} == {"percentile"}
    manifest = cohort.artifact.manifest
    assert (manifest["origin"], manifest["role"], manifest["layout"]) == ("real", "all", "dicom")


def test_nobody_is_named_and_no_path_is_kept(tmp_path: Path) -> None:
    ingest.run(mixed(tmp_path / "in"), tmp_path / "C", size=16, accept_refused=True)
    manifest = (tmp_path / "C/manifest.json").read_text()
    rows = str(open_cohort(tmp_path / "C").rows.to_pylist())
    key = (tmp_path / "medaudit.key").read_text().strip()
    for secret in ("MRN-", "Doe", "1950", "1.2.826", "d9/again", "nopixels", "f05", str(tmp_path), key):
        assert secret not in manifest and secret not in rows
    assert (tmp_path / "medaudit.key").stat().st_mode & 0o077 == 0


def test_pixels_are_those_of_the_film(tmp_path: Path) -> None:
    values = ramp(6, 9, top=255)
    write_png(tmp_path / "in/x.png", shape=(6, 9))
    for fit, size in (("pad", 9), ("crop", 6), ("squash", 6)):
        ingest.run(tmp_path / "in", tmp_path / fit, size=256, fit=fit)  # type: ignore[arg-type]
        expected = to_depth(fit_square(full_range_unit(values, 8), size, fit), np.uint8)  # type: ignore[arg-type]
        cohort = open_cohort(tmp_path / fit)
        assert cohort.pixels.dtype == np.uint8
        assert np.array_equal(cohort.pixels[0], expected)
    assert (open_cohort(tmp_path / "pad").pixels[0, 0] == 0).all()  # the band above the film


def test_small_films_are_not_enlarged_and_it_is_said(tmp_path: Path) -> None:
    write_png(tmp_path / "in/x.png", shape=(12, 12))
    outcome = ingest.run(tmp_path / "in", tmp_path / "C", size=64)
    assert open_cohort(tmp_path / "C").image_shape == (12, 12)
    assert any("--size 64 would only enlarge" in line for line in outcome.lines)


@pytest.mark.parametrize(
    ("depth", "bits", "kind"),
    [("auto", 8, "uint8"), ("auto", 16, "uint16"), ("8", 16, "uint8"), ("16", 8, "uint16")],
)
def test_depth(tmp_path: Path, depth: str, bits: int, kind: str) -> None:
    write_png(tmp_path / "in/x.png", bits=bits)
    ingest.run(tmp_path / "in", tmp_path / "C", depth=depth)  # type: ignore[arg-type]
    assert open_cohort(tmp_path / "C").pixels.dtype.name == kind


def test_two_processes_write_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "_MOST_IN_CHUNK", 3)
    mixed(tmp_path / "in")
    for workers in (1, 2):
        ingest.run(
            tmp_path / "in",
            tmp_path / f"C{workers}",
            size=16,
            workers=workers,
            key=tmp_path / "k",
            accept_refused=True,
        )
    assert tree_bytes(tmp_path / "C1") == tree_bytes(tmp_path / "C2")
    assert len(tree_bytes(tmp_path / "C1")) == 3


@pytest.mark.parametrize("source", ["folder", "npz"])
@pytest.mark.parametrize("when", [0, 1, 3, 5])
def test_interrupted_anywhere_it_ends_in_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: int, source: str
) -> None:
    monkeypatch.setattr(batch, "_MOST_IN_CHUNK", 3)
    if source == "folder":
        path = mixed(tmp_path / "in")
    else:
        path = tmp_path / "in.npz"
        rng = np.random.Generator(np.random.Philox(2))
        films = rng.integers(0, 256, (20, 5, 7)).astype(np.uint8)
        np.savez_compressed(path, train_images=films[:13], val_images=films[13:17], test_images=films[17:])
    options = {"size": 16, "key": tmp_path / "k", "accept_refused": True}
    ingest.run(path, tmp_path / "undisturbed", **options)
    append, calls = CohortWriter.append, 0

    def interrupted(self: CohortWriter, *args: object, **named: object) -> None:
        nonlocal calls
        if calls == when:
            raise KeyboardInterrupt
        calls += 1
        append(self, *args, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(CohortWriter, "append", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ingest.run(path, tmp_path / "resumed", **options)
    assert not (tmp_path / "resumed").exists()
    monkeypatch.setattr(CohortWriter, "append", append)
    ingest.run(path, tmp_path / "resumed", **options)
    assert tree_bytes(tmp_path / "resumed") == tree_bytes(tmp_path / "undisturbed")
    # one identity file, of both calls, and nothing left next to it
    assert {path.name for path in tmp_path.iterdir()} - {"k", "in", "in.npz"} == {
        "undisturbed", "resumed", "k.identities.jsonl",
    }  # fmt: skip


def test_called_again_it_is_done_and_a_changed_source_is_noticed(tmp_path: Path) -> None:
    mixed(tmp_path / "in")
    first = ingest.run(tmp_path / "in", tmp_path / "C", size=16, accept_refused=True)
    again = ingest.run(tmp_path / "in", tmp_path / "C", size=16)
    assert first.data["cohort"] == again.data["cohort"] and first.lines == again.lines
    with pytest.raises(OutputExists):
        ingest.run(tmp_path / "in", tmp_path / "C", size=12)
    write_dicom(tmp_path / "in/new", ramp(20, 14, salt=99))
    with pytest.raises(OutputExists):
        ingest.run(tmp_path / "in", tmp_path / "C", size=16)


def test_one_file_under_two_patients_is_refused_by_that_name(tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "c.png"):
        write_png(tmp_path / "in" / name)
    (tmp_path / "in/metadata.csv").write_text("file,patient_id\na.png,A\nb.png,B\nc.png,A\n")
    ingest.run(tmp_path / "in", tmp_path / "C")
    counts = open_cohort(tmp_path / "C").artifact.manifest["refused"]["counts"]
    assert counts == {refusals.DUPLICATE: 1, refusals.DUPLICATE_OTHER_PATIENT: 1}


def test_labels_views_and_splits_come_along(tmp_path: Path) -> None:
    write_png(tmp_path / "in/a.png", salt=1)
    (tmp_path / "in/metadata.csv").write_text(
        "file,patient_id,study,view,split,labels\na.png,A,S,Lateral,train,x|y\n"
    )
    ingest.run(tmp_path / "in", tmp_path / "C")
    ((view, split, labels, study, facts),) = columns(
        tmp_path / "C", "view", "split", "labels", "study", "facts"
    )
    assert (view, split, labels) == ("LATERAL", "train", ["x", "y"]) and study.startswith("s-")
    assert json.loads(facts) == {"format": "PNG", "bits_stored": 8, "rows": 7, "columns": 11}


def test_one_key_one_pseudonym_and_another_key_another(tmp_path: Path) -> None:
    write_dicom(tmp_path / "in/a")
    for out, key in (("C1", "k1"), ("C2", "k1"), ("C3", "k2")):
        ingest.run(tmp_path / "in", tmp_path / out, key=tmp_path / key)
    one, two, three = (open_cohort(tmp_path / out).patients[0] for out in ("C1", "C2", "C3"))
    assert one == two != three


def test_synthetic_films_have_no_patient_and_need_no_key(tmp_path: Path) -> None:
    write_dicom(tmp_path / "in/a", PatientID="SYN-000001")
    ingest.run(tmp_path / "in", tmp_path / "S", origin="synthetic")
    cohort = open_cohort(tmp_path / "S")
    assert cohort.patients[0] is None and not (tmp_path / "medaudit.key").exists()
    assert (cohort.artifact.manifest["origin"], cohort.artifact.manifest["role"]) == (
        "synthetic",
        "synthetic",
    )
    assert cohort.artifact.manifest["warnings"] == []


def test_one_id_on_all_films_is_noticed(tmp_path: Path) -> None:
    for i in range(12):
        write_dicom(tmp_path / f"in/f{i}", ramp(salt=i), PatientID="ANON")
    outcome = ingest.run(tmp_path / "in", tmp_path / "C")
    (warning,) = open_cohort(tmp_path / "C").artifact.manifest["warnings"]
    assert "12 of 12 images" in warning and "ANON" not in warning
    assert f"note: {warning}" in outcome.lines
    for i in range(12):
        write_dicom(tmp_path / f"in/f{i}", ramp(salt=i), PatientID=f"MRN-{i // 3}")
    ingest.run(tmp_path / "in", tmp_path / "C2")
    assert open_cohort(tmp_path / "C2").artifact.manifest["warnings"] == []


def test_an_npz_with_faulty_films(tmp_path: Path) -> None:
    films = np.random.Generator(np.random.Philox(4)).random((9, 6, 8)).astype(np.float32)
    films[2, 3, 3], films[5] = np.nan, 0.25
    ids = np.array([f"P{i // 2}" for i in range(9)])
    np.savez(tmp_path / "in.npz", images=films, patient_id=ids, labels=np.arange(9) % 2)
    ingest.run(tmp_path / "in.npz", tmp_path / "C", accept_refused=True)
    counts = open_cohort(tmp_path / "C").artifact.manifest["refused"]["counts"]
    assert counts == {refusals.NOT_FINITE: 1, refusals.CONSTANT: 1}
    third = columns(tmp_path / "C", "file", "labels")[2]
    assert (*said(tmp_path, [third])[0],) == ("in.npz/images/0000003", ["1"])
    assert open_cohort(tmp_path / "C").pixels.dtype == np.uint16


def test_an_array_of_too_large_films_is_refused_and_the_rest_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.Generator(np.random.Philox(4))
    small, large = rng.integers(0, 256, (5, 6, 8)), rng.integers(0, 256, (3, 60, 80))
    np.savez(tmp_path / "in.npz", train_images=small.astype(np.uint8), test_images=large.astype(np.uint8))
    monkeypatch.setattr(npz, "MAX_PIXELS", 1000)
    ingest.run(tmp_path / "in.npz", tmp_path / "C", accept_refused=True)
    cohort = open_cohort(tmp_path / "C")
    assert len(cohort) == 5 and cohort.image_shape == (8, 8)
    assert cohort.artifact.manifest["refused"]["counts"] == {refusals.TOO_MANY_PIXELS: 3}


def test_a_name_that_is_no_text_is_kept_as_text(tmp_path: Path) -> None:
    write_png(tmp_path / "in/a.png")
    (tmp_path / "in/a.png").rename(Path(os.fsdecode(bytes(tmp_path / "in") + b"/\xe9.png")))
    Path(os.fsdecode(bytes(tmp_path / "in") + b"/\xfe.png")).touch()
    ingest.run(tmp_path / "in", tmp_path / "C", accept_refused=True)
    files = columns(tmp_path / "C", "file", "mark")
    assert said(tmp_path, files) == [("\\udce9.png", None)]
    refused = open_cohort(tmp_path / "C").artifact.manifest["refused"]["files"]
    assert said(tmp_path, refused) == [("\\udcfe.png", refusals.EMPTY_FILE)]


@pytest.mark.parametrize(("film", "largest"), [("RG1", 0.0004), ("RG3", 0.0003)])
def test_the_encodings_of_one_film_are_one_image(tmp_path: Path, film: str, largest: float) -> None:
    (tmp_path / "in").mkdir()
    for kind in ("UNCR", "J2KR", "J2KI"):
        path = get_testdata_file(f"{film}_{kind}.dcm", download=False)
        if path is None:
            pytest.skip("pydicom-data is absent")
        shutil.copy(str(path), tmp_path / "in")
    ingest.run(tmp_path / "in", tmp_path / "C", size=64)
    lossy, reversible, native = open_cohort(tmp_path / "C").unit(slice(None))
    assert np.array_equal(reversible, native)
    assert 0 < np.abs(lossy - native).max() < largest


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_png(tmp_path / "in/a.png", salt=1)
    write_png(tmp_path / "in/b.png", salt=2)
    opened = os.open

    def guarded(path: Path, *args: object, **named: object) -> int:
        if str(path).endswith("b.png"):
            raise PermissionError(errno.EACCES, "no")
        return opened(path, *args, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", guarded)
    outcome = ingest.run(tmp_path / "in", tmp_path / "C", accept_refused=True)
    assert outcome.lines[1] == f"1 read, 1 refused: 1 {refusals.NO_PERMISSION}"


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda root: None, SourceMissing, "does not exist"),
        (lambda root: root.mkdir(), LayoutUnknown, "known layout"),
        (lambda root: write_dicom(root / "a", PixelData=None), NothingReadable, "1 refused: 1 no pixels"),
        (lambda root: write_dicom(root / "a", np.full((7, 11), 3)), NothingReadable, "1 constant image"),
    ],
)
def test_nothing_half_written(
    tmp_path: Path, make: Callable[[Path], object], error: type[Exception], words: str
) -> None:
    make(tmp_path / "in")
    with pytest.raises(error, match=words) as caught:
        ingest.run(tmp_path / "in", tmp_path / "C")
    assert "\n" not in str(caught.value)
    assert not [path for path in tmp_path.iterdir() if path.name not in ("in", "medaudit.key")]


@pytest.mark.parametrize("options", [{"size": 4}, {"fit": "stretch"}, {"origin": "other"}, {"depth": "12"}])
def test_arguments_out_of_range(tmp_path: Path, options: dict) -> None:
    write_png(tmp_path / "in/a.png")
    with pytest.raises(UsageProblem):
        ingest.run(tmp_path / "in", tmp_path / "C", **options)
    assert not (tmp_path / "C").exists()


def test_header_only_patients_are_not_used_where_the_layout_forbids(tmp_path: Path) -> None:
    write_dicom(tmp_path / f"in/train/{'0' * 32}.dicom", PatientID="SHARED")
    ingest.run(tmp_path / "in", tmp_path / "C", layout="vindr")
    assert open_cohort(tmp_path / "C").patients[0] is None


@pytest.mark.real
def test_real_films(tmp_path: Path, real_data: Path) -> None:
    outcome = ingest.run(real_data / "pneumoniamnist/pneumoniamnist_dev.npz", tmp_path / "C")
    source = np.load(real_data / "pneumoniamnist/pneumoniamnist_dev.npz", allow_pickle=False)
    cohort = open_cohort(tmp_path / "C")
    assert np.array_equal(cohort.pixels, source["images"])
    assert outcome.data["patients"]["patients"] == 1930 and outcome.data["patients"]["with_several"] == 338
