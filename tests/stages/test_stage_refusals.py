"""An image that is not read is not searched: with too many of them ingest stops, all are listed, the report says so."""

import csv
import json
import stat
from pathlib import Path

import pytest
import report_samples as samples
from reader_files import ramp, tree_bytes, write_dicom, write_png

from medaudit.artifacts.cohort import open_cohort
from medaudit.artifacts.store import open_artifact
from medaudit.cli.app import run
from medaudit.errors import TooManyRefused
from medaudit.readers import batch, files, refusals
from medaudit.render.document import Paragraph
from medaudit.render.pages import checked
from medaudit.stages import ingest


def folder(root: Path, good: int, bad: int, reason: str = "truncated") -> Path:
    """A folder of `good` DICOM images and `bad` ones that only decoding (`constant`) or the header finds faulty."""
    for n in range(good):
        write_dicom(root / f"ward7/good{n:03d}", ramp(salt=n), PatientID=f"MRN-{n // 2}")
    for n in range(bad):
        place = root / f"ward7/bad{n:03d}"
        if reason == "constant":
            write_dicom(place, ramp() * 0 + n + 5)
        else:
            place.write_bytes(write_dicom(place, ramp(salt=1000 + n)).read_bytes()[:-40])
    return root


@pytest.mark.parametrize(
    ("command", "reason"),
    [("inspect", "truncated"), *((c, r) for c in ("ingest", "synthetic") for r in ("truncated", "constant"))],
)
def test_nothing_readable_is_exit_2_with_the_list(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, reason: str
) -> None:
    folder(tmp_path / "in", 0, 13, reason)
    arguments = [command.replace("synthetic", "ingest"), str(tmp_path / "in")]
    if command != "inspect":
        arguments += [
            "--out",
            str(tmp_path / "C"),
            "--origin",
            "real" if command == "ingest" else "synthetic",
        ]
    assert run([*arguments, "--refused-csv", str(tmp_path / "refused.csv"), "-q"]) == 2
    out, err = capsys.readouterr()
    assert err.startswith("NothingReadable: ") and err.count("\n") == 1 and "13" in err and "ward7" not in err
    shown = [line for line in out.splitlines() if line.startswith("- ")]
    assert len(shown) == 10 and shown[0].startswith("- ward7/bad000: ")
    assert f"all 13 refused files, by name: {tmp_path / 'refused.csv'}" in out
    assert {path.name for path in tmp_path.iterdir()} <= {"in", "refused.csv", "medaudit.key"}


@pytest.mark.parametrize("origin", ["real", "synthetic"])
@pytest.mark.parametrize(
    ("good", "bad", "code"), [(19, 1, 0), (18, 1, 2), (38, 2, 0), (37, 2, 2), (39, 261, 2)]
)
@pytest.mark.parametrize("reason", ["truncated", "constant"])
def test_more_than_one_in_twenty_stops(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    good: int,
    bad: int,
    code: int,
    origin: str,
    reason: str,
) -> None:
    folder(tmp_path / "in", good, bad, reason)
    arguments = ["ingest", str(tmp_path / "in"), "--out", str(tmp_path / "C"), "--origin", origin, "-q"]
    assert run(arguments) == code
    out, err = capsys.readouterr()
    assert sum(line.startswith("- ward7/bad") for line in out.splitlines()) == min(bad, 10)
    if bad > 10:
        assert f"{bad - 10} more files were refused; --refused-csv FILE writes the whole list" in out
    if code:
        assert err.startswith(f"TooManyRefused: {bad} of {good + bad} images of ") and err.count("\n") == 1
        assert f"{bad} refused: {bad} " in err and "--accept-refused" in err and "ward7" not in err
    assert (tmp_path / "C").exists() == (code == 0)
    assert run([*arguments, "--accept-refused"]) == 0
    assert len(open_cohort(tmp_path / "C")) == good


def test_it_goes_on_where_it_stopped_and_ends_in_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "_MOST_IN_CHUNK", 4)
    folder(tmp_path / "in", 10, 3, "constant")
    options = {"key": tmp_path / "k", "size": 8}
    ingest.run(tmp_path / "in", tmp_path / "U", **options, accept_refused=True)
    with pytest.raises(TooManyRefused):
        ingest.run(tmp_path / "in", tmp_path / "C", **options)
    read, reads = files.read_file, []
    monkeypatch.setattr(files, "read_file", lambda *a, **k: reads.append(a) or read(*a, **k))
    with pytest.raises(TooManyRefused):  # called again without a word it says the same
        ingest.run(tmp_path / "in", tmp_path / "C", **options)
    ingest.run(tmp_path / "in", tmp_path / "C", **options, accept_refused=True)
    assert reads == []  # nothing was read again
    assert tree_bytes(tmp_path / "C") == tree_bytes(tmp_path / "U")


def test_headers_alone_stop_it_before_anything_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder(tmp_path / "in", 10, 3)
    read, reads = files.read_file, []
    monkeypatch.setattr(files, "read_file", lambda *a, **k: reads.append(a) or read(*a, **k))
    for _ in range(2):  # and the second time the list is shown as well
        with pytest.raises(TooManyRefused) as caught:
            ingest.run(tmp_path / "in", tmp_path / "C", size=8)
        assert [line.split(":")[0] for line in caught.value.listed] == [f"- ward7/bad00{n}" for n in range(3)]
    assert reads == []


def test_copies_and_what_is_no_image_do_not_count(tmp_path: Path) -> None:
    root = folder(tmp_path / "in", 10, 0)
    for n in range(10):
        (root / f"ward7/good{n:03d}").with_name(f"twin{n:03d}").write_bytes(
            (root / f"ward7/good{n:03d}").read_bytes()
        )
        write_dicom(
            root / f"ward7/report{n}",
            PixelData=None, Rows=None, Columns=None, SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11", Modality="SR",
        )  # fmt: skip
        (root / f"ward7/notes{n}.txt").write_text("words")
    outcome = ingest.run(root, tmp_path / "C", size=8)
    assert outcome.data["refused"] == {refusals.DUPLICATE: 10, refusals.STRUCTURED_REPORT: 10}
    assert outcome.data["unread"] == 0
    # a copy is one image that is read: 1 of 21 may be refused, of 10 it may not
    write_dicom(root / "ward7/flat", ramp() * 0 + 3)
    ingest.run(root, tmp_path / "C2", size=8)
    assert refusals.images({refusals.DUPLICATE: 10, refusals.CONSTANT: 1, refusals.KEY_OBJECTS: 4}, 10) == 21


def test_the_list_in_a_file_of_the_user(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = folder(tmp_path / "in", 30, 0)
    write_png(root / 'ward7/a, "b".png').write_bytes(b"words")
    arguments = ["ingest", str(root), "--layout", "dicom", "--out", str(tmp_path / "C"), "-q"]
    (root / 'ward7/a, "b".png').rename(root / 'ward7/a, "b"')
    for place in ("in/list.csv", "C/list.csv", "in", "none/list.csv"):
        assert run([*arguments, "--refused-csv", str(tmp_path / place)]) == 2
        err = capsys.readouterr().err
        assert err.startswith("UsageProblem: ") and "--refused-csv" in err
    assert {path.name for path in tmp_path.iterdir()} == {"in"}
    assert not (root / "list.csv").exists()
    listed = tmp_path / "refused.csv"
    for _ in range(2):  # a command that has nothing left to do writes it as well
        assert run([*arguments, "--refused-csv", str(listed)]) == 0
        with listed.open(newline="") as stream:
            assert list(csv.reader(stream)) == [["file", "reason"], ['ward7/a, "b"', refusals.NOT_IMAGE]]
        assert stat.S_IMODE(listed.stat().st_mode) == 0o600
        listed.unlink()
    assert run(["inspect", str(root), "--layout", "dicom", "--refused-csv", str(listed)]) == 0
    assert listed.read_text().count("\n") == 2
    # no name of it is in the JSON, which programs keep
    capsys.readouterr()
    assert run(["ingest", str(root), "--layout", "dicom", "--out", str(tmp_path / "D"), "--json"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert body["data"]["refused"] == {refusals.NOT_IMAGE: 1} and body["data"]["unread"] == 1
    assert "ward7" not in json.dumps(body["data"])


def test_both_parts_and_what_comes_of_them_tell_what_was_refused(tmp_path: Path) -> None:
    folder(tmp_path / "in", 60, 3)
    at = {name: str(tmp_path / name) for name in ("all", "T", "H", "clean")}
    assert run(["ingest", str(tmp_path / "in"), "--out", at["all"], "--size", "8", "-q"]) == 0
    assert run(["split", at["all"], "--train", at["T"], "--holdout", at["H"], "-q"]) == 0
    assert run(["dedup", at["T"], "--out", at["clean"], "-q"]) == 0
    for name in ("T", "H", "clean"):
        refused = open_artifact(tmp_path / name, "cohort").manifest["refused"]
        assert refused == {"counts": {refusals.TRUNCATED: 3}, "files": []}


@pytest.mark.parametrize(
    ("train", "holdout", "words"),
    [
        (0, 0, "Nothing on the real side was sampled. "),
        (1, 0, "was sampled, but 1 more image of the training source could not be read and was not searched. "),
        (
            3, 1_200,
            "was sampled, but 3 more images of the training source and 1,200 more images of the held-out source could "
            "not be read and were not searched. ",
        ),
    ],
)  # fmt: skip
def test_the_first_page_says_how_many_were_not_searched(train: int, holdout: int, words: str) -> None:
    summary = samples.summary("supported")
    assert summary.audit is not None
    counts = summary.audit.counts.model_copy(update={"train_unread": train, "holdout_unread": holdout})
    found = checked(summary.model_copy(update={"audit": summary.audit.model_copy(update={"counts": counts})}))
    assert found.page == "first"
    assert words in " ".join(block.text for block in found.blocks if isinstance(block, Paragraph))
