"""Each way in which a release can be broken is found, by name, with nothing but the folder."""

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from release_parts import all_bytes, make_audit, make_cohort

from medaudit.cli.app import run
from medaudit.errors import ArtifactKindMismatch, ReleaseBroken, SourceMissing
from medaudit.stages import release, verify

IMAGE = {"dicom": "images/000002.dcm", "png": "images/000002.png", "npz": "images.npz"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One whole release per format."""
    folder = tmp_path_factory.mktemp("whole")
    synthetic = make_cohort(folder / "S")
    make_audit(folder / "A", synthetic.id)
    for form in IMAGE:
        release.run(folder / "S", folder / "A", folder / form, form)
    return {form: folder / form for form in IMAGE}


@pytest.fixture(params=list(IMAGE))
def form(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def copy(whole: dict[str, Path], form: str, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole[form], tmp_path / "received"))


def rehash(folder: Path, *names: str) -> None:
    """What a forger does: write the new hashes into the manifest."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    for name in names:
        manifest["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    path.write_text(json.dumps(manifest))


def edit_json(path: Path, change: Callable[[dict], object]) -> None:
    body = json.loads(path.read_text())
    change(body)
    path.write_text(json.dumps(body))


def broken(folder: Path) -> str:
    with pytest.raises(ReleaseBroken) as caught:
        verify.run(folder)
    assert caught.value.exit_code == 1 and "\n" not in str(caught.value)
    return str(caught.value)


def test_a_whole_copy_verifies_and_is_not_touched(copy: Path) -> None:
    before = all_bytes(copy)
    assert verify.run(copy).exit_code == 0
    assert all_bytes(copy) == before


def test_one_flipped_bit_anywhere(copy: Path, form: str) -> None:
    for name in sorted(json.loads((copy / "manifest.json").read_text())["files"]):
        original = (copy / name).read_bytes()
        for place in (0, len(original) // 2, len(original) - 1):
            changed = bytearray(original)
            changed[place] ^= 1
            (copy / name).write_bytes(changed)
            assert f"{name} was changed" in broken(copy)
        (copy / name).write_bytes(original)
    assert verify.run(copy).exit_code == 0


def test_missing_added_renamed(copy: Path, form: str) -> None:
    name = IMAGE[form]
    (copy / "notes.txt").write_text("hello")
    assert "notes.txt was added" in broken(copy)
    (copy / "notes.txt").unlink()
    (copy / name).rename(copy / "other")
    message = broken(copy)
    assert f"{name} is missing" in message and "other was added" in message
    (copy / "other").rename(copy / name)
    assert verify.run(copy).exit_code == 0


@pytest.mark.parametrize(
    "name", [".DS_Store", "images/.DS_Store", "Thumbs.db", "desktop.ini", "._README.txt"]
)
def test_files_of_a_file_browser_are_named_as_what_they_are(
    whole: dict[str, Path], tmp_path: Path, name: str
) -> None:
    copy = Path(shutil.copytree(whole["dicom"], tmp_path / "received"))
    (copy / name).write_bytes(b"DOE^JANE")
    message = broken(copy)
    assert f"all files of the release are as released, but beside them lie {name}," in message
    assert "delete them" in message and "Ask the sender" not in message and "DOE" not in message
    (copy / IMAGE["dicom"]).write_bytes(b"")  # what is worse is said first
    message = broken(copy)
    assert f"{IMAGE['dicom']} was changed" in message and name not in message.replace("README.txt was", "")
    shutil.copy(whole["dicom"] / IMAGE["dicom"], copy / IMAGE["dicom"])
    (copy / name).unlink()
    assert verify.run(copy).exit_code == 0


def test_no_link_folder_or_listed_file_passes_as_one_of_a_file_browser(
    whole: dict[str, Path], tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(whole["dicom"], tmp_path / "received"))
    (copy / "Thumbs.db").symlink_to(tmp_path)
    assert "Thumbs.db was added" in broken(copy)
    (copy / "Thumbs.db").unlink()
    (copy / ".DS_Store").mkdir()
    assert ".DS_Store was added" in broken(copy)
    (copy / ".DS_Store").rmdir()
    (copy / "desktop.ini").write_text("x")
    rehash(copy, "desktop.ini")
    assert "desktop.ini is no part of a release" in broken(copy)
    (copy / "my.DS_Store").write_text("x")
    assert "my.DS_Store was added" in broken(copy)


def test_a_link_in_place_of_a_file(copy: Path, form: str, tmp_path: Path) -> None:
    (copy / IMAGE[form]).rename(tmp_path / "away")
    (copy / IMAGE[form]).symlink_to(tmp_path / "away")
    assert "is missing" in broken(copy)


def test_a_manifest_that_points_outside(copy: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("x")
    edit_json(
        copy / "manifest.json", lambda m: m["files"].update({"../outside": "0" * 64, "/etc/hosts": "0" * 64})
    )
    message = broken(copy)
    assert "../outside points outside" in message and "/etc/hosts points outside" in message


def test_a_stranger_whose_hash_is_in_the_manifest(copy: Path) -> None:
    (copy / "patients.csv").write_text("a,b")
    rehash(copy, "patients.csv")
    assert "patients.csv is no part of a release" in broken(copy)


def test_many_problems_are_counted(whole: dict[str, Path], tmp_path: Path) -> None:
    copy = Path(shutil.copytree(whole["dicom"], tmp_path / "received"))
    for number in range(9):
        (copy / f"extra{number}").write_text("x")
    message = broken(copy)
    assert "extra0 was added" in message and "and 4 more" in message and "extra8" not in message


DICOM_EDITS: dict[str, tuple[Callable[[pydicom.Dataset], object], str]] = {
    "mark removed": (lambda d: d.__delitem__("SyntheticData"), "SyntheticData"),
    "mark says no": (lambda d: setattr(d, "SyntheticData", "NO"), "SyntheticData"),
    "notice removed": (lambda d: setattr(d, "SeriesDescription", "CHEST PA"), "notice"),
    "name": (lambda d: setattr(d, "PatientName", "MUELLER^ANNA"), "patient name"),
    "id": (lambda d: setattr(d, "PatientID", "4711"), "patient id"),
    "birth date": (lambda d: setattr(d, "PatientBirthDate", "19610213"), "personal"),
    "institution": (lambda d: setattr(d, "InstitutionName", "St. Mary"), "does not write"),
    "private": (lambda d: d.add_new(0x00090010, "LO", "ACME"), "does not write"),
    "nested": (
        lambda d: setattr(d.ContributingEquipmentSequence[0], "InstitutionName", "St. Mary"),
        "does not write",
    ),
    "place": (lambda d: setattr(d, "SOPInstanceUID", "2.25.1"), "another place"),
}


@pytest.mark.parametrize("edit", list(DICOM_EDITS))
def test_a_forged_dicom_header(whole: dict[str, Path], tmp_path: Path, edit: str) -> None:
    copy = Path(shutil.copytree(whole["dicom"], tmp_path / "received"))
    change, words = DICOM_EDITS[edit]
    dataset = pydicom.dcmread(copy / IMAGE["dicom"])
    change(dataset)
    dataset.save_as(copy / IMAGE["dicom"])
    rehash(copy, IMAGE["dicom"])
    message = broken(copy)
    assert f"{IMAGE['dicom']} " in message and words in message
    assert "MUELLER" not in message and "4711" not in message and "1961" not in message


def test_two_images_exchanged(whole: dict[str, Path], tmp_path: Path) -> None:
    copy = Path(shutil.copytree(whole["dicom"], tmp_path / "received"))
    one, two = copy / "images/000001.dcm", copy / "images/000002.dcm"
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)
    rehash(copy, "images/000001.dcm", "images/000002.dcm")
    assert "another place" in broken(copy)


def test_a_png_or_npz_without_its_mark(whole: dict[str, Path], tmp_path: Path) -> None:
    copy = Path(shutil.copytree(whole["png"], tmp_path / "png"))
    with Image.open(copy / IMAGE["png"]) as image:
        image.load()
        Image.fromarray(np.asarray(image)).save(copy / IMAGE["png"])
    rehash(copy, IMAGE["png"])
    assert "text chunk" in broken(copy)
    copy = Path(shutil.copytree(whole["npz"], tmp_path / "npz"))
    with np.load(copy / "images.npz") as archive:
        held = {name: archive[name] for name in archive.files}
    for change, words in (
        ({"marking": None}, "marking"),
        ({"marking": np.array("[]")}, "marking"),
        ({"patients": np.array(["x"])}, "other arrays"),
        ({"images": held["images"][:5]}, "other arrays"),
        ({"burned_in": held["burned_in"][:5]}, "other arrays"),
        ({name: held[name][:5] for name in ("images", "labels", "burned_in")}, "holds 5 images"),
        ({"burned_in": None}, "whether text is drawn"),
        ({"burned_in": np.array(["YES"] * 5 + ["?"])}, "does not say whether text is drawn"),
        (
            {"burned_in": np.array(["YES"] * 5 + ["NO"])},
            "otherwise than the certificate whether text is drawn",
        ),
    ):
        np.savez(copy / "images.npz", **{k: v for k, v in {**held, **change}.items() if v is not None})
        rehash(copy, "images.npz")
        assert words in broken(copy)


def test_a_file_that_is_no_image(copy: Path, form: str) -> None:
    for content in (b"", b"hello", b"\x89PNG\r\n\x1a\n", b"PK\x03\x04"):
        (copy / IMAGE[form]).write_bytes(content)
        rehash(copy, IMAGE[form])
        assert f"{IMAGE[form]} cannot be read" in broken(copy)


CERTIFICATE_EDITS: dict[str, Callable[[dict], object]] = {
    "verdict": lambda c: c.update(verdict="do-not-release"),
    "rejects": lambda c: c["cohort_test"].update(rejects=True),
    "flagged": lambda c: c["counts"].update(flagged=1),
    "released": lambda c: c["counts"].update(released=5),
    "release": lambda c: c.update(release_id="0" * 64),
    "audit": lambda c: c.update(audit_id="0" * 64),
    "unknown key": lambda c: c.update(patient="x"),
}


@pytest.mark.parametrize("edit", list(CERTIFICATE_EDITS))
def test_a_forged_certificate(copy: Path, edit: str) -> None:
    edit_json(copy / "certificate.json", CERTIFICATE_EDITS[edit])
    rehash(copy, "certificate.json")
    assert "certificate.json" in broken(copy)


def test_a_forged_manifest(copy: Path, form: str) -> None:
    original = (copy / "manifest.json").read_text()
    for change in (
        lambda m: m.update(images=5),
        lambda m: m["settings"].update(format="tiff"),
        lambda m: m["files"].pop("README.txt"),
        lambda m: m.pop("lineage"),
        lambda m: m.pop("settings"),
        lambda m: m.update(request="0" * 64),
        lambda m: m.update(files=["a"]),
        lambda m: m.update(files={"README.txt": 3}),
    ):
        edit_json(copy / "manifest.json", change)
        broken(copy)
        (copy / "manifest.json").write_text(original)
    assert verify.run(copy).exit_code == 0
    for content in ("{", "[]", "null", ""):
        (copy / "manifest.json").write_text(content)
        assert "cannot be read" in broken(copy)
    (copy / "manifest.json").unlink()
    assert "no manifest.json" in broken(copy)


def test_both_ids_say_what_they_are(whole: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    folder = whole["dicom"]
    arguments = ["--synthetic", folder.parent / "S", "--audit", folder.parent / "A", "--out", folder]
    assert run(["release", *map(str, arguments), "--text", "off", "-q"]) == 0  # it stands: told once more
    said = capsys.readouterr().out.splitlines()
    manifest = json.loads((folder / "manifest.json").read_text())
    number, identity = (
        manifest["request"],
        hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest(),
    )
    (named,) = [line for line in said if line.startswith("release number ")]
    (proof,) = [line for line in said if line.startswith("release id ")]
    assert (
        named.startswith(f"release number {number[:16]}...: the name of this release")
        and "README.txt" in named
    )
    assert (
        proof.startswith(f"release id {identity[:16]}...: ")
        and "sha256sum" in proof
        and "manifest.json" in proof
    )
    assert number not in "".join(said) and identity not in "".join(said)
    assert number in (folder / "README.txt").read_text()
    assert run(["verify", str(folder), "-q"]) == 0
    assert f"release id {identity}: the SHA-256 of manifest.json" in capsys.readouterr().out


def test_what_is_no_release_at_all(tmp_path: Path) -> None:
    with pytest.raises(SourceMissing):
        verify.run(tmp_path / "nowhere")
    make_cohort(tmp_path / "S")
    with pytest.raises(ArtifactKindMismatch):
        verify.run(tmp_path / "S")


def test_verify_needs_no_torch(whole: dict[str, Path]) -> None:
    code = (
        "import sys; from pathlib import Path; from medaudit.stages import verify; "
        "verify.run(Path(sys.argv[1])); "
        "sys.exit(sorted({'torch', 'monai', 'diffusers', 'matplotlib', 'scipy'} & set(sys.modules)) or 0)"
    )
    for folder in whole.values():
        subprocess.run([sys.executable, "-c", code, str(folder)], check=True)
