"""Only what an audit cleared goes out, marked, the same bytes each time, and nothing in it names a person."""

import csv
import io
import json
import os
import signal
import stat
import zipfile
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pydicom
import pytest
from PIL import Image
from release_parts import (
    PATH_CANARY,
    PATIENT_CANARY,
    TRAIN_CANARY,
    X,
    Y,
    all_bytes,
    make_audit,
    make_cohort,
)

from medaudit.artifacts.cohort import open_cohort
from medaudit.artifacts.findings import Counts
from medaudit.errors import (
    CohortMismatch,
    MedauditError,
    NotReleasable,
    OutputExists,
    ReportLeak,
    UsageProblem,
)
from medaudit.stages import release, verify
from medaudit.writers.dicom import twelve_bits

FORMATS = ("dicom", "png", "npz")
IN_USE = [0, 1, 2, 3, 4, 6]


@pytest.fixture
def case(tmp_path: Path) -> SimpleNamespace:
    """A cohort S and an audit A that clears it."""
    synthetic = make_cohort(tmp_path / "S")
    make_audit(tmp_path / "A", synthetic.id)
    return SimpleNamespace(
        s=tmp_path / "S", a=tmp_path / "A", d=tmp_path / "D", folder=tmp_path, id=synthetic.id
    )


def test_a_cleared_cohort_goes_out_and_verifies(case: SimpleNamespace) -> None:
    outcome = release.run(case.s, case.a, case.d)
    assert outcome.exit_code == 0 and outcome.data["released"] == 6
    cohort = open_cohort(case.s)
    names = sorted(p.name for p in (case.d / "images").iterdir())
    assert names == [f"{i:06d}.dcm" for i in range(1, 7)]
    for name, row in zip(names, IN_USE, strict=True):
        found = pydicom.dcmread(case.d / "images" / name)
        assert np.array_equal(found.pixel_array, twelve_bits(np.asarray(cohort.pixels[row])))
        assert found.SyntheticData == "YES" and found.Modality == "DX"
    certificate = json.loads((case.d / "certificate.json").read_text())
    assert certificate["counts"]["released"] == 6 and certificate["verdict"] == "release-supported"
    assert certificate["counts"]["train_patients"] == 307
    assert any("letters" in item for item in certificate["not_tested"])
    assert stat.S_IMODE(case.d.stat().st_mode) == 0o700
    checked = verify.run(case.d)
    assert checked.exit_code == 0 and checked.data["id"] == outcome.data["id"]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_png_and_npz_keep_every_bit(tmp_path: Path, dtype: type) -> None:
    synthetic = make_cohort(tmp_path / "S", dtype=dtype)
    make_audit(tmp_path / "A", synthetic.id)
    pixels = np.asarray(open_cohort(tmp_path / "S").pixels)[IN_USE]
    release.run(tmp_path / "S", tmp_path / "A", tmp_path / "P", "png")
    for position in range(6):
        with Image.open(tmp_path / "P" / "images" / f"{position + 1:06d}.png") as image:
            assert np.array_equal(np.asarray(image), pixels[position])
    rows = list(csv.DictReader(io.StringIO((tmp_path / "P" / "images.csv").read_text())))
    assert [row["labels"] for row in rows] == ["", "pneumonia", "", "pneumonia", "", ""]
    assert [row["view"] for row in rows] == ["PA", "AP", "LATERAL", "", "PA", "LATERAL"]
    release.run(tmp_path / "S", tmp_path / "A", tmp_path / "N", "npz")
    with np.load(tmp_path / "N" / "images.npz", allow_pickle=False) as archive:
        assert archive["images"].dtype == dtype and np.array_equal(archive["images"], pixels)
        assert archive["labels"].tolist() == ["", "pneumonia", "", "pneumonia", "", ""]
    assert verify.run(tmp_path / "P").exit_code == verify.run(tmp_path / "N").exit_code == 0


@pytest.mark.parametrize("form", FORMATS)
def test_same_inputs_same_bytes_and_a_second_call_is_done_at_once(case: SimpleNamespace, form: str) -> None:
    first = release.run(case.s, case.a, case.d, form)
    second = release.run(case.s, case.a, case.folder / "elsewhere", form)
    assert all_bytes(case.d) == all_bytes(case.folder / "elsewhere")
    before = (case.d / "manifest.json").stat().st_mtime_ns
    assert release.run(case.s, case.a, case.d, form).data == first.data == second.data
    assert (case.d / "manifest.json").stat().st_mtime_ns == before


@pytest.mark.parametrize("form", FORMATS)
def test_nothing_in_a_release_names_a_person_or_a_path(case: SimpleNamespace, form: str) -> None:
    release.run(case.s, case.a, case.d, form)
    canaries = [PATIENT_CANARY, TRAIN_CANARY, *PATH_CANARY.split("/"), str(case.folder), "7a" * 32, "0123456"]
    canaries += ["0.98765", "0.04321", "train_id"]
    looked_at = 0
    for content in all_bytes(case.d).values():
        for text in (content, *opened(content)):
            looked_at += 1
            for canary in canaries:
                assert canary.encode() not in text and canary.encode("utf-16-le") not in text
    assert looked_at >= 4
    assert PATIENT_CANARY in str(open_cohort(case.s).rows.to_pylist())  # they were there to be found


def opened(content: bytes) -> list[bytes]:
    """What a compressed container holds: zip entries, and zlib chunks of a PNG."""
    found = []
    if zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            found += [archive.read(name) for name in archive.namelist()]
    if content[:4] == b"\x89PNG":
        place = content.index(b"IDAT")
        length = int.from_bytes(content[place - 4 : place], "big")
        found.append(zlib.decompress(content[place + 4 : place + 4 + length]))
    return found


@pytest.mark.parametrize(("verdict", "code"), [("do-not-release", 10), ("inconclusive", 20)])
def test_what_was_not_cleared_stays(case: SimpleNamespace, verdict: str, code: int) -> None:
    make_audit(case.folder / "B", case.id, verdict=verdict, flagged=(2,) if code == 10 else ())
    with pytest.raises(NotReleasable) as caught:
        release.run(case.s, case.folder / "B", case.d)
    assert caught.value.exit_code == code and verdict in str(caught.value)
    assert not case.d.exists()
    assert NotReleasable.exit_code == 10


def test_an_audit_of_another_cohort_is_refused(case: SimpleNamespace) -> None:
    other = make_cohort(case.folder / "S2", seed=1)
    make_audit(case.folder / "B", other.id)
    with pytest.raises(CohortMismatch):
        release.run(case.s, case.folder / "B", case.d)
    make_audit(case.folder / "C", case.id, searched=5)
    with pytest.raises(CohortMismatch):
        release.run(case.s, case.folder / "C", case.d)
    assert not case.d.exists()


def test_real_films_are_never_released(tmp_path: Path) -> None:
    real = make_cohort(tmp_path / "R", origin="real")
    make_audit(tmp_path / "A", real.id)
    with pytest.raises(CohortMismatch, match="not a synthetic cohort"):
        release.run(tmp_path / "R", tmp_path / "A", tmp_path / "D")


def test_a_pseudonym_among_the_labels_stops_the_release(tmp_path: Path) -> None:
    synthetic = make_cohort(tmp_path / "S", label=TRAIN_CANARY)
    make_audit(tmp_path / "A", synthetic.id)
    for form in FORMATS:
        with pytest.raises(ReportLeak):
            release.run(tmp_path / "S", tmp_path / "A", tmp_path / "D", form)
    assert not (tmp_path / "D").exists()


def test_rows_withheld_by_the_audit_are_left_out(case: SimpleNamespace) -> None:
    make_audit(case.folder / "B", case.id, withheld=(1, 4))
    outcome = release.run(case.s, case.folder / "B", case.d)
    assert outcome.data["released"] == 4 and outcome.data["withheld"] == 2
    cohort = open_cohort(case.s)
    for position, row in enumerate((0, 2, 3, 6), start=1):
        found = pydicom.dcmread(case.d / "images" / f"{position:06d}.dcm")
        assert np.array_equal(found.pixel_array, twelve_bits(np.asarray(cohort.pixels[row])))
    assert json.loads((case.d / "certificate.json").read_text())["counts"]["withheld"] == 2
    assert verify.run(case.d).data["withheld"] == 2


@pytest.mark.parametrize("verdict", ["release-supported", "do-not-release"])
def test_flagged_images_are_withheld_and_the_rest_is_audited_again(
    case: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, verdict: str
) -> None:
    audit = pytest.importorskip("medaudit.stages.audit")
    train, holdout = make_cohort(case.folder / "T", seed=2), make_cohort(case.folder / "H", seed=3)
    parents = {"train_id": train.id, "holdout_id": holdout.id}
    make_audit(case.folder / "B", case.id, verdict="do-not-release", flagged=(0, 6), **parents)
    asked = {}

    def second_look(train, holdout, synthetic, out, settings, *rest, withheld, alpha_spent, **more):
        asked.update(withheld=withheld, alpha_spent=alpha_spent, alpha=settings.alpha, out=out)
        make_audit(
            out,
            case.id,
            verdict=verdict,
            flagged=(1,) if verdict != "release-supported" else (),
            withheld=withheld,
        )

    monkeypatch.setattr(audit, "run", second_look)
    with pytest.raises(UsageProblem):
        release.run(case.s, case.folder / "B", case.d, withhold_flagged=True)
    with pytest.raises(CohortMismatch):
        release.run(
            case.s,
            case.folder / "B",
            case.d,
            withhold_flagged=True,
            train=case.folder / "H",
            holdout=case.folder / "T",
        )
    assert not asked
    call = {"withhold_flagged": True, "train": case.folder / "T", "holdout": case.folder / "H"}
    if verdict == "release-supported":
        assert release.run(case.s, case.folder / "B", case.d, **call).data["withheld"] == 2
        assert len(list((case.d / "images").iterdir())) == 4
        assert verify.run(case.d).exit_code == 0
    else:
        with pytest.raises(NotReleasable):
            release.run(case.s, case.folder / "B", case.d, **call)
        assert not case.d.exists()
    assert asked["withheld"] == (0, 6) and asked["alpha_spent"] == pytest.approx(asked["alpha"] / 2)
    assert asked["out"] == case.folder / "D.audit"


def test_withholding_cannot_mend_a_cohort_test(case: SimpleNamespace) -> None:
    pytest.importorskip("medaudit.stages.audit")
    train, holdout = make_cohort(case.folder / "T", seed=2), make_cohort(case.folder / "H", seed=3)
    parents = {"train_id": train.id, "holdout_id": holdout.id}
    call = {"withhold_flagged": True, "train": case.folder / "T", "holdout": case.folder / "H"}
    make_audit(case.folder / "B", case.id, verdict="do-not-release", **parents)
    with pytest.raises(NotReleasable, match="no single image"):
        release.run(case.s, case.folder / "B", case.d, **call)
    make_audit(case.folder / "C", case.id, verdict="do-not-release", flagged=(0, 1, 2, 3, 4, 6), **parents)
    with pytest.raises(NotReleasable, match="every image"):
        release.run(case.s, case.folder / "C", case.d, **call)


@pytest.mark.parametrize(
    "wrong",
    [
        {"format": "tiff"},
        {"modality": "MG"},
        {"transfer_syntax": "jpeg"},
        {"date": "2024-01-01"},
        {"date": "20241301"},
        {"date": "2024111"},
        {"field_mm": 0},
    ],
)
def test_options_that_do_not_fit(case: SimpleNamespace, wrong: dict[str, object]) -> None:
    with pytest.raises(UsageProblem):
        release.run(case.s, case.a, case.d, **wrong)
    assert not case.d.exists()


@pytest.mark.parametrize("modality", ["DX", "CR", "SC"])
@pytest.mark.parametrize("syntax", ["explicit", "jpeg-ls", "jpeg-2000", "rle"])
def test_options_reach_the_files(case: SimpleNamespace, modality: str, syntax: str) -> None:
    release.run(case.s, case.a, case.d, modality=modality, transfer_syntax=syntax, date="20250630")
    found = pydicom.dcmread(case.d / "images" / "000003.dcm")
    assert found.StudyDate == "20250630" and found.BurnedInAnnotation == "YES"
    assert found.Modality == {"SC": "OT"}.get(modality, modality)
    assert np.array_equal(found.pixel_array, twelve_bits(np.asarray(open_cohort(case.s).pixels[2])))
    assert verify.run(case.d).exit_code == 0


def test_another_request_does_not_overwrite(case: SimpleNamespace) -> None:
    release.run(case.s, case.a, case.d)
    before = all_bytes(case.d)
    with pytest.raises(OutputExists):
        release.run(case.s, case.a, case.d, "png")
    assert all_bytes(case.d) == before


def test_killed_and_called_again_gives_the_same_bytes(case: SimpleNamespace) -> None:
    release.run(case.s, case.a, case.folder / "undisturbed")

    class Killer:
        def __init__(self, after: int) -> None:
            self.left = after

        def start(self, name: str, total: int | None) -> None: ...

        def say(self, line: str) -> None: ...

        def advance(self, steps: int = 1, **facts: float | str) -> None:
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    for after in (1, 4, 6):
        child = os.fork()
        if child == 0:
            release.run(case.s, case.a, case.d, progress=Killer(after))
            os._exit(0)
        assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
        assert not case.d.exists()
    release.run(case.s, case.a, case.d)
    assert all_bytes(case.d) == all_bytes(case.folder / "undisturbed")
    assert [p.name for p in case.folder.iterdir() if p.name.startswith(".")] == []


def test_every_refusal_is_one_calm_line(case: SimpleNamespace) -> None:
    make_audit(case.folder / "B", case.id, verdict="inconclusive")
    for call in ({"audit": case.folder / "B"}, {"audit": case.s}, {"audit": case.a, "format": "gif"}):
        with pytest.raises(MedauditError) as caught:
            release.run(case.s, out=case.d, **call)
        assert "\n" not in str(caught.value) and PATIENT_CANARY not in str(caught.value)


def test_image_size_is_stated_in_the_header(case: SimpleNamespace) -> None:
    release.run(case.s, case.a, case.d, field_mm=360.0)
    found = pydicom.dcmread(case.d / "images" / "000001.dcm")
    assert (found.Rows, found.Columns) == (Y, X)
    assert [float(v) for v in found.ImagerPixelSpacing] == [10.0, 10.0]  # 360 mm over the longer side of 36


def test_our_own_reader_reads_what_we_write(case: SimpleNamespace) -> None:
    files = pytest.importorskip("medaudit.readers.files")
    from medaudit.images.intensity import percentile_unit

    cohort = open_cohort(case.s)
    for modality in ("DX", "CR"):
        for syntax in ("explicit", "jpeg-ls"):
            out = case.folder / f"{modality}-{syntax}"
            release.run(case.s, case.a, out, modality=modality, transfer_syntax=syntax)
            for position, row in enumerate(IN_USE, start=1):
                film, _ = files.read_file(out, f"images/{position:06d}.dcm")
                expected = percentile_unit(twelve_bits(np.asarray(cohort.pixels[row])).astype(np.float64))
                assert np.abs(film.unit - expected).max() < 1e-6


def test_once_copies_were_taken_out_the_rest_bounds_no_rate_of_the_model() -> None:
    from medaudit.protocol.audit_record import bounds_of

    counts = Counts(
        synthetic=1000,
        train_images=1,
        train_patients=1,
        holdout_images=1,
        holdout_patients=1,
        flagged=0,
        suspects=0,
        patients_exposed=0,
    )
    untouched, rest = (bounds_of(counts, None, 0.96, 0.05, withheld=withheld) for withheld in (False, True))
    assert untouched.model_rate_upper is not None and "copies in at most" in untouched.wording
    assert rest.model_rate_upper is None and "copies in at most" not in rest.wording
    assert rest.hidden_copies == untouched.hidden_copies is not None


@pytest.mark.parametrize("form", FORMATS)
def test_letters_found_are_named_by_number_and_tagged(
    case: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    from medaudit.artifacts.certificate import TextPass
    from medaudit.writers import text

    found = TextPass(engine="rapidocr 0", looked_at=6, found_in=[2, 5], planted=6, planted_found=6)
    monkeypatch.setattr(text, "engine", lambda: "rapidocr 0")
    monkeypatch.setattr(text, "look_for_text", lambda *_: found)
    outcome = release.run(case.s, case.a, case.d, form, text="auto")
    assert any("letters found in 2 of 6 images: numbers 2, 5" in line for line in outcome.lines)
    assert outcome.data["text_found_in"] == [2, 5]
    certificate = json.loads((case.d / "certificate.json").read_text())
    assert certificate["text_pass"]["found_in"] == [2, 5]
    assert any("single letters" in item for item in certificate["not_tested"])
    assert not any("no text pass" in item for item in certificate["not_tested"])
    assert "found letters in 2" in " ".join((case.d / "README.txt").read_text().split())
    if form == "dicom":
        tags = [pydicom.dcmread(p).BurnedInAnnotation for p in sorted((case.d / "images").iterdir())]
        assert tags == ["NO", "YES", "NO", "NO", "YES", "NO"]
    if form != "npz":
        rows = list(csv.DictReader(io.StringIO((case.d / "images.csv").read_text())))
        assert [row["letters"] for row in rows] == ["no", "yes", "no", "no", "yes", "no"]
    assert verify.run(case.d).exit_code == 0


def test_a_text_pass_that_is_not_believed_changes_no_tag(
    case: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from medaudit.writers import text

    monkeypatch.setattr(text, "engine", lambda: "rapidocr 0")
    monkeypatch.setattr(text, "look_for_text", lambda *_: None)
    outcome = release.run(case.s, case.a, case.d, text="auto")
    assert any("no text pass is counted" in line for line in outcome.lines)
    tags = {pydicom.dcmread(p).BurnedInAnnotation for p in (case.d / "images").iterdir()}
    assert tags == {"YES"}
    assert "letters" in csv.DictReader(io.StringIO((case.d / "images.csv").read_text())).fieldnames  # type: ignore[operator]


def test_images_with_letters_are_withheld_and_the_rest_is_audited_again(
    case: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from medaudit.artifacts.certificate import TextPass
    from medaudit.stages import audit
    from medaudit.writers import text

    train, holdout = make_cohort(case.folder / "T", seed=2), make_cohort(case.folder / "H", seed=3)
    make_audit(case.folder / "B", case.id, train_id=train.id, holdout_id=holdout.id)
    asked = {}

    def second_look(train, holdout, synthetic, out, settings, *rest, withheld, alpha_spent, **more):
        asked.update(withheld=withheld, alpha_spent=alpha_spent / settings.alpha)
        make_audit(out, case.id, withheld=withheld)

    def look(pixels: np.ndarray, rows: np.ndarray, *_: object) -> TextPass:
        found = [position for position, row in enumerate(rows, start=1) if row in (0, 6)]
        return TextPass(engine="x", looked_at=len(rows), found_in=found, planted=4, planted_found=4)

    monkeypatch.setattr(audit, "run", second_look)
    monkeypatch.setattr(text, "engine", lambda: "")
    call = {"withhold_text": True, "text": "auto", "train": case.folder / "T", "holdout": case.folder / "H"}
    with pytest.raises(UsageProblem, match="needs the text pass"):
        release.run(case.s, case.folder / "B", case.d, **call)
    monkeypatch.setattr(text, "engine", lambda: "x")
    monkeypatch.setattr(text, "look_for_text", look)
    outcome = release.run(case.s, case.folder / "B", case.d, **call)
    assert asked == {"withheld": (0, 6), "alpha_spent": 0.5}
    assert outcome.data["withheld"] == 2 and outcome.data["text_found_in"] == []
    assert {pydicom.dcmread(p).BurnedInAnnotation for p in (case.d / "images").iterdir()} == {"NO"}
    assert verify.run(case.d).exit_code == 0
    make_audit(case.folder / "C", case.id, verdict="do-not-release", flagged=(2,))
    with pytest.raises(NotReleasable):  # letters are no reason to look again at what was refused
        release.run(case.s, case.folder / "C", case.folder / "E", **call)
