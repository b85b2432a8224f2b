"""Walking a folder: each file once, links followed, whatever the order of the disk."""

import os
from pathlib import Path

import pytest

from medaudit.readers import walking
from medaudit.readers.walking import walk


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(path.name.encode())


@pytest.mark.parametrize("backwards", [False, True])
def test_links_to_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backwards: bool) -> None:
    source, elsewhere = tmp_path / "source", tmp_path / "elsewhere"
    touch(source / "b/x", source / "b/c/y", elsewhere / "z", elsewhere / "deep/w", tmp_path / "beside")
    (source / "a").symlink_to("b")  # within: b keeps its own name
    (source / "b/again").symlink_to(source)
    (source / "up").symlink_to(tmp_path)  # holds the source: in a circle
    (source / "self").symlink_to("self")
    (source / "out").symlink_to(elsewhere)
    (source / "out2").symlink_to(elsewhere / "deep")
    (elsewhere / "back").symlink_to(source)
    (source / "file").symlink_to(elsewhere / "z")
    (source / "other").symlink_to("b/x")
    if backwards:
        scan = os.scandir
        monkeypatch.setattr(walking.os, "scandir", lambda folder: reversed(list(scan(folder))))
    found = walk(source)
    names = ["b/c/y", "b/x", "file", "other", "out/deep/w", "out/z", "self"]
    assert [name for name, _ in found.files] == names
    assert dict(found.files)["self"] == -1 and dict(found.files)["out/z"] == 1
    assert found.outside == 3


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "gone").symlink_to("nowhere")
    touch(tmp_path / "x")
    found = walk(tmp_path)
    assert found.files == [("gone", -1), ("pipe", -1), ("x", 1), ("zero", -1)]
    assert found.outside == 1


def test_hidden_files_are_kept_apart(tmp_path: Path) -> None:
    touch(
        tmp_path / ".x",
        tmp_path / ".git/y",
        tmp_path / "__MACOSX/z",
        tmp_path / "a/Thumbs.db",
        tmp_path / "a/b",
    )
    found = walk(tmp_path)
    assert [name for name, _ in found.files] == ["a/b"]
    assert [name for name, _ in found.hidden] == [".git/y", ".x", "__MACOSX/z", "a/Thumbs.db"]
