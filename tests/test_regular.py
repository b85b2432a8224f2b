"""Only regular files are opened: nothing is read to no end, nothing is waited for."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from medaudit.regular import NotRegular, open_regular, read_regular


def bound(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))


@pytest.mark.parametrize(
    "make",
    [
        os.mkfifo,
        lambda path: path.symlink_to("/dev/zero"),
        lambda path: path.symlink_to("/dev/null"),
        Path.mkdir,
        bound,
    ],
)
def test_what_is_no_regular_file_is_not_opened(
    tmp_path: Path, make: Callable[[Path], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path is short
    make(Path("x"))
    opened = []
    monkeypatch.setattr(os, "open", lambda *args, **named: opened.append(args))
    with pytest.raises(NotRegular):
        open_regular(Path("x"))
    assert opened == []  # opening alone can set a device to work


def test_what_takes_the_place_of_a_file_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x").write_bytes(b"film")
    os.mkfifo(tmp_path / "pipe")
    opened = os.open
    monkeypatch.setattr(os, "open", lambda path, flags: opened(tmp_path / "pipe", flags))
    with pytest.raises(NotRegular):
        open_regular(tmp_path / "x")


def test_a_file_and_a_link_to_one_are_read(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"film")
    (tmp_path / "link").symlink_to("x")
    assert read_regular(tmp_path / "x") == read_regular(tmp_path / "link") == b"film"
    with pytest.raises(FileNotFoundError):
        read_regular(tmp_path / "none")
