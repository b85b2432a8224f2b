"""Pseudonyms: stable under one key, different under another, and the key stays with its owner."""

import os
import re
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medaudit.artifacts.pseudonyms import KEY_BYTES, key_fingerprint, load_or_make_key, pseudonym
from medaudit.errors import UsageProblem

KEYS = st.binary(min_size=KEY_BYTES, max_size=KEY_BYTES)


@given(KEYS, KEYS, st.text(max_size=30), st.text(max_size=30))
def test_one_id_one_pseudonym_under_one_key(key: bytes, other: bytes, one: str, two: str) -> None:
    found = pseudonym(key, one)
    assert re.fullmatch(r"p-[0-9a-f]{16}", found) and found == pseudonym(key, one)
    assert (found == pseudonym(key, two)) == (one == two)
    assert (found == pseudonym(other, one)) == (key == other)
    study = pseudonym(key, one, kind="study")
    assert study.startswith("s-") and study[2:] != found[2:]


@given(KEYS)
def test_a_fingerprint_does_not_tell_the_key(key: bytes) -> None:
    found = key_fingerprint(key)
    assert re.fullmatch(r"[0-9a-f]{8}", found) and found == key_fingerprint(key)
    assert found not in key.hex() or len(set(key)) < 4


def test_a_known_pseudonym_stays_what_it_is() -> None:
    # printf 'patient\x1f4711' | openssl dgst -sha256 -mac HMAC -macopt hexkey:<64 zeros>   (OpenSSL 3.0)
    assert pseudonym(bytes(32), "4711") == "p-a0afc3ed6f83e8bb"


def test_the_key_is_made_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "site" / "medaudit.key"
    before = os.umask(0)
    try:
        key = load_or_make_key(path)
    finally:
        os.umask(before)
    assert len(key) == KEY_BYTES and load_or_make_key(path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["medaudit.key"]
    assert load_or_make_key(tmp_path / "other.key") != key


def test_many_processes_agree_on_one_key(tmp_path: Path) -> None:
    children = []
    for number in range(6):
        child = os.fork()
        if child == 0:
            (tmp_path / f"seen{number}").write_bytes(load_or_make_key(tmp_path / "medaudit.key"))
            os._exit(0)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 6
    assert len({(tmp_path / f"seen{number}").read_bytes() for number in range(6)}) == 1


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "medaudit.key"
    load_or_make_key(path)
    for mode in (0o640, 0o604, 0o660):
        path.chmod(mode)
        with pytest.raises(UsageProblem, match="chmod 600"):
            load_or_make_key(path)


@pytest.mark.parametrize("content", [b"", b"hello", b"00" * 31, b"00" * 33, b"\xff\xfe" * 32, b"zz" * 32])
def test_what_is_no_key_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "medaudit.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(UsageProblem, match="no medaudit key"):
        load_or_make_key(path)


@pytest.mark.parametrize("hard_links", [True, False])
def test_a_file_system_without_hard_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hard_links: bool
) -> None:
    if not hard_links:

        def refuse(self: Path, target: Path) -> None:
            raise PermissionError("not supported")

        monkeypatch.setattr(Path, "hardlink_to", refuse)
    key = load_or_make_key(tmp_path / "medaudit.key")
    assert load_or_make_key(tmp_path / "medaudit.key") == key
    assert [p.name for p in tmp_path.iterdir()] == ["medaudit.key"]
