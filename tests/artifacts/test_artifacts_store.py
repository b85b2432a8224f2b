"""Artifacts are whole or not there: after a kill, a full disk, a second process or an edit."""

import errno
import json
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medaudit.artifacts import store
from medaudit.artifacts.store import (
    Draft,
    Request,
    canonical,
    file_sha256,
    finished,
    open_artifact,
    write_whole,
)
from medaudit.errors import ArtifactBroken, ArtifactKindMismatch, OutputExists, StorageFull, UsageProblem

REQUEST = Request("model", {"depth": 3}, 7, {"cohort": "c" * 64})


def fill(draft: Draft, words: int = 3) -> None:
    draft.file("a.txt").write_text("alpha")
    draft.file("deep/down/b.bin").write_bytes(bytes(range(256)) * words)
    draft.scratch("journal").write_text("not part of it")


def make(out: Path, request: Request = REQUEST) -> store.Artifact:
    with Draft(out, request) as draft:
        fill(draft)
        return draft.commit(facts_of="a test")


def everything(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def hidden(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.name.startswith("."))


def test_an_artifact_knows_what_it_is(tmp_path: Path) -> None:
    made = make(tmp_path / "M")
    assert made.kind == "model" and made.settings == {"depth": 3} and made.lineage == {"cohort": "c" * 64}
    assert sorted(made.manifest["files"]) == ["a.txt", "deep/down/b.bin"]
    assert made.manifest["facts_of"] == "a test" and made.manifest["seed"] == 7
    assert made.manifest["files"]["a.txt"] == file_sha256(made.file("a.txt"))
    assert (
        open_artifact(tmp_path / "M", "model").id == made.id == file_sha256(tmp_path / "M" / "manifest.json")
    )
    assert hidden(tmp_path) == hidden(tmp_path / "M") == []


def test_modes_are_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        make(tmp_path / "M")
    finally:
        os.umask(before)
    looked_at = 0
    for path in (tmp_path / "M", *(tmp_path / "M").rglob("*")):
        looked_at += 1
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)
    assert looked_at == 6


def test_same_request_same_bytes_other_request_other_id(tmp_path: Path) -> None:
    one, two = make(tmp_path / "one"), make(tmp_path / "two")
    assert everything(one.path) == everything(two.path) and one.id == two.id
    ids = {one.id}
    for changed in (
        Request("model", {"depth": 4}, 7, {"cohort": "c" * 64}),
        Request("model", {"depth": 3}, 8, {"cohort": "c" * 64}),
        Request("model", {"depth": 3}, 7, {"cohort": "d" * 64}),
    ):
        ids.add(make(tmp_path / f"other{len(ids)}", changed).id)
    assert len(ids) == 4


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=8,
    )
)
def test_canonical_text_is_a_round_trip_and_blind_to_order(value: object) -> None:
    text = canonical(value)
    assert json.loads(text) == value and canonical(json.loads(text)) == text
    if isinstance(value, dict):
        assert canonical(dict(reversed(list(value.items())))) == text


def test_finished_tells_own_from_foreign(tmp_path: Path) -> None:
    out = tmp_path / "M"
    assert finished(out, REQUEST) is None
    out.mkdir()
    assert finished(out, REQUEST) is None  # an empty folder is free
    made = make(out)
    assert finished(out, REQUEST) == made
    with pytest.raises(OutputExists):
        finished(out, Request("model", {"depth": 4}))
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "notes").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for taken in ("file", "folder", "link"):
        with pytest.raises(OutputExists):
            finished(tmp_path / taken, REQUEST)
    (out / "a.txt").write_text("edited")
    with pytest.raises(ArtifactBroken):
        finished(out, REQUEST)


def test_an_edited_or_missing_file_is_found(tmp_path: Path) -> None:
    make(tmp_path / "M")
    target = tmp_path / "M" / "deep" / "down" / "b.bin"
    whole = target.read_bytes()
    target.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(ArtifactBroken, match=r"b\.bin was changed"):
        open_artifact(tmp_path / "M")
    assert open_artifact(tmp_path / "M", verify=False).kind == "model"
    target.unlink()
    with pytest.raises(ArtifactBroken, match=r"b\.bin is missing"):
        open_artifact(tmp_path / "M")


def test_the_wrong_kind_is_a_usage_error(tmp_path: Path) -> None:
    make(tmp_path / "M")
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "M", tmp_path / "empty", tmp_path / "nowhere"):
        with pytest.raises(ArtifactKindMismatch) as caught:
            open_artifact(path, "cohort")
        assert caught.value.exit_code == UsageProblem.exit_code == 2
    manifest = tmp_path / "M" / "manifest.json"
    body = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**body, "schema": "medaudit.artifact/99"}))
    with pytest.raises(ArtifactKindMismatch, match="schema"):
        open_artifact(tmp_path / "M")


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "7", '{"kind": "model"}', '{"schema": 1, "kind": [], "files": {}}', "\xff"],
)
def test_a_manifest_that_is_none(tmp_path: Path, text: str) -> None:
    make(tmp_path / "M")
    (tmp_path / "M" / "manifest.json").write_text(text, encoding="latin1")
    with pytest.raises(ArtifactBroken):
        open_artifact(tmp_path / "M", "model")


@pytest.mark.parametrize("part", ["files", "lineage", "settings", "request", "kind"])
def test_a_manifest_that_lacks_a_part(tmp_path: Path, part: str) -> None:
    make(tmp_path / "M")
    manifest = tmp_path / "M" / "manifest.json"
    body = json.loads(manifest.read_text())
    for wrong in (None, 3, ["x"]):
        manifest.write_text(json.dumps({**body, part: wrong}))
        with pytest.raises(ArtifactBroken):
            open_artifact(tmp_path / "M", "model")


def test_an_error_of_ours_discards_and_any_other_keeps(tmp_path: Path) -> None:
    out = tmp_path / "M"
    with pytest.raises(UsageProblem), Draft(out, REQUEST) as draft:
        fill(draft)
        raise UsageProblem("no")
    assert list(tmp_path.iterdir()) == []
    for error in (KeyboardInterrupt, ZeroDivisionError):
        with pytest.raises(error), Draft(out, REQUEST) as draft:
            fill(draft)
            raise error
        assert not out.exists() and hidden(tmp_path) == [".M.partial"]
    with Draft(out, REQUEST) as draft:
        assert draft.resumed and draft.scratch("journal").read_text() == "not part of it"
        assert draft.file("a.txt").read_text() == "alpha"


def test_another_request_starts_from_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), Draft(tmp_path / "M", REQUEST) as draft:
        fill(draft)
        raise KeyboardInterrupt
    with Draft(tmp_path / "M", Request("model", {"depth": 4})) as draft:
        assert (
            not draft.resumed and not draft.file("a.txt").exists() and not draft.scratch("journal").exists()
        )


def test_half_written_leftovers_do_not_come_along(tmp_path: Path) -> None:
    undisturbed = make(tmp_path / "U")
    with pytest.raises(KeyboardInterrupt), Draft(tmp_path / "M", REQUEST) as draft:
        draft.file("deep/loss.json.tmp").write_text("half")
        raise KeyboardInterrupt
    assert everything(make(tmp_path / "M").path) == everything(undisturbed.path)


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for out in (tmp_path / "file" / "M", tmp_path / "file" / "deep" / "M"):
        with pytest.raises(UsageProblem, match="choose another --out"), Draft(out, REQUEST):
            pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(UsageProblem, match="choose another --out"), Draft(tmp_path / "M", REQUEST):
        pass
    tmp_path.chmod(0o700)


CHILD = """
import sys, time
from pathlib import Path
from medaudit.artifacts.store import Draft, Request
with Draft(Path(sys.argv[1]), Request("model", {"depth": 3}, 7, {"cohort": "c" * 64})) as draft:
    print("in", flush=True)
    time.sleep(60)
"""


def test_a_second_process_is_told_to_wait_and_a_dead_one_does_not_block(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path / "M")], stdout=subprocess.PIPE)
    assert child.stdout
    try:
        assert child.stdout.readline() == b"in\n"
        for request in (REQUEST, Request("model", {"depth": 4})):
            with (
                pytest.raises(OutputExists, match="another medaudit process"),
                Draft(tmp_path / "M", request),
            ):
                pass
        assert (tmp_path / ".M.partial").is_dir()  # the loser leaves the winner's draft alone
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    assert make(tmp_path / "M").kind == "model"
    assert hidden(tmp_path) == []


def test_workers_that_outlive_a_killed_parent_do_not_hold_the_lock(tmp_path: Path) -> None:
    ready, wake = os.pipe(), os.pipe()
    parent = os.fork()
    if parent == 0:
        with Draft(tmp_path / "M", REQUEST):
            if os.fork() == 0:  # a worker that waits for work
                os.write(ready[1], b"w")
                os.read(wake[0], 1)
                os._exit(0)
            os.kill(os.getpid(), signal.SIGKILL)
    assert os.read(ready[0], 1) == b"w"
    os.waitpid(parent, 0)
    try:
        assert make(tmp_path / "M").kind == "model"
    finally:
        os.write(wake[1], b"x")
        for descriptor in (*ready, *wake):
            os.close(descriptor)


def test_what_was_finished_meanwhile_is_not_written_again(tmp_path: Path) -> None:
    make(tmp_path / "M")
    before = everything(tmp_path / "M")
    with pytest.raises(OutputExists), Draft(tmp_path / "M", REQUEST):
        pass
    assert everything(tmp_path / "M") == before and hidden(tmp_path) == []


def test_killed_at_random_moments_of_writing_and_commit(tmp_path: Path) -> None:
    undisturbed = everything(make(tmp_path / "U").path)
    started = time.perf_counter()
    make(tmp_path / "V")
    usual = time.perf_counter() - started
    draw, kills = random.Random(3), 0
    for _ in range(25):
        child = os.fork()
        if child == 0:
            make(tmp_path / "M")
            os._exit(0)
        time.sleep(draw.uniform(0, 1.5 * usual))
        os.kill(child, signal.SIGKILL)
        kills += os.WIFSIGNALED(os.waitpid(child, 0)[1])
        if (tmp_path / "M").exists():
            assert everything(tmp_path / "M") == undisturbed  # whole, or not there
            shutil.rmtree(tmp_path / "M")
    assert kills >= 3
    assert everything((finished(tmp_path / "M", REQUEST) or make(tmp_path / "M")).path) == undisturbed
    assert hidden(tmp_path) == []


@pytest.mark.parametrize("step", range(12))
def test_killed_at_each_step_of_commit(tmp_path: Path, step: int) -> None:
    undisturbed = everything(make(tmp_path / "U").path)
    child = os.fork()
    if child == 0:
        left = step

        def count_down(path: Path) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

        store._sync = count_down  # type: ignore[assignment]
        make(tmp_path / "M")
        os._exit(0)
    os.waitpid(child, 0)
    if (tmp_path / "M").exists():
        assert everything(tmp_path / "M") == undisturbed
    again = finished(tmp_path / "M", REQUEST) or make(tmp_path / "M")
    assert everything(again.path) == undisturbed and hidden(tmp_path) == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_named_and_the_draft_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def full(*_: object) -> None:
        raise OSError(code, "no room")

    with (
        pytest.raises(StorageFull, match="run the same command again"),
        Draft(tmp_path / "M", REQUEST) as draft,
    ):
        fill(draft)
        full()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StorageFull):
            make(tmp_path / "M")
        with pytest.raises(StorageFull):
            make(tmp_path / "M", Request("model", {"depth": 9}))  # full at its very first file
    assert not (tmp_path / "M").exists()
    with pytest.raises(OSError, match="elsewhere"), Draft(tmp_path / "M", REQUEST):
        raise OSError(errno.EIO, "elsewhere")
    assert make(tmp_path / "M").kind == "model" and hidden(tmp_path) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Path:
    """A file system of one mebibyte; skipped where mounting is not allowed."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("a tmpfs cannot be mounted here")
    yield place  # type: ignore[misc]
    subprocess.run(["umount", str(place)], check=True)


def test_a_disk_that_is_really_full(small_disk: Path) -> None:
    (small_disk / "ballast").write_bytes(bytes(900 << 10))
    with pytest.raises(StorageFull), Draft(small_disk / "M", REQUEST) as draft:
        draft.file("big").write_bytes(bytes(400 << 10))
    assert not (small_disk / "M").exists()
    (small_disk / "ballast").unlink()
    with Draft(small_disk / "M", REQUEST) as draft:
        assert draft.resumed
        draft.file("big").write_bytes(bytes(400 << 10))
        draft.commit()
    assert open_artifact(small_disk / "M").kind == "model"


def test_write_whole_leaves_the_old_bytes_when_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_whole(tmp_path / "x", b"old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no room")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError):
        write_whole(tmp_path / "x", b"new")
    assert (tmp_path / "x").read_bytes() == b"old"
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o600
