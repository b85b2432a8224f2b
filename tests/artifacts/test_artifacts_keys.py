"""Signing keys and signatures: minisign takes ours, we take minisign's, and nonsense is refused in one line."""

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medaudit.artifacts.keys import (
    SecretKey,
    decoded,
    new_key,
    read_passphrase,
    read_public,
    read_secret,
    write_keys,
)
from medaudit.artifacts.signature import read_signature, sign
from medaudit.errors import KeyProblem, OutputExists, StorageFull, UsageProblem

KEY = SecretKey(bytes(range(8)), bytes(range(32)))
MINISIGN = pytest.mark.skipif(shutil.which("minisign") is None, reason="minisign is not installed")


def never() -> str:
    raise AssertionError("no passphrase is needed")


def minisign(*arguments: object, typed: str = "") -> subprocess.CompletedProcess[str]:
    call = ["minisign", *map(str, arguments)]
    return subprocess.run(call, capture_output=True, text=True, input=typed, check=False)


@pytest.mark.parametrize("passphrase", ["", "open sesame", "grüß Gott"])
def test_keys_come_back_and_only_the_owner_may_read_the_secret(tmp_path: Path, passphrase: str) -> None:
    secret, public = write_keys(tmp_path / "site", KEY, passphrase)
    assert (secret.name, public.name) == ("site.key", "site.pub")
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert read_secret(secret, (lambda: passphrase) if passphrase else never) == KEY
    assert read_public(public.read_text()) == KEY.public == read_public(KEY.public.text)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["site.key", "site.pub"]
    assert KEY.seed.hex() not in repr(KEY) and str(KEY.seed) not in repr(KEY)


def test_the_public_key_is_the_one_of_rfc_8032() -> None:
    # RFC 8032 sec. 7.1, test 1
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    assert SecretKey(bytes(8), seed).public.key.hex() == (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    )


def test_a_key_is_never_written_over(tmp_path: Path) -> None:
    secret, public = write_keys(tmp_path, KEY)
    assert (secret.name, public.name) == ("signing.key", "signing.pub")
    before = secret.read_bytes()
    for gone in (None, public):
        if gone:
            gone.unlink()
        with pytest.raises(OutputExists):
            write_keys(tmp_path, new_key())
    assert secret.read_bytes() == before
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageProblem):
        write_keys(tmp_path / "file" / "site", KEY)


def test_a_full_disk_leaves_no_secret_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageFull):
        write_keys(tmp_path / "site", KEY)
    assert list(tmp_path.iterdir()) == []


def refused(path: Path, passphrase: str = "x") -> str:
    with pytest.raises(KeyProblem) as caught:
        read_secret(path, lambda: passphrase)
    assert caught.value.exit_code == 2 and "\n" not in str(caught.value)
    return str(caught.value)


def test_what_is_no_key_is_refused_in_one_line(tmp_path: Path) -> None:
    secret, public = write_keys(tmp_path / "site", KEY, "open sesame")
    assert "passphrase does not open" in refused(secret, "close sesame")
    for mode in (0o640, 0o604, 0o602):
        secret.chmod(mode)
        assert "chmod 600" in refused(secret)
    secret.chmod(0o600)
    public.chmod(0o600)
    assert "is a public key" in refused(public)
    assert "cannot be read" in refused(tmp_path / "nowhere")
    assert "cannot be read" in refused(tmp_path)
    whole = secret.read_text()
    for nonsense in ("", "hello", "\0" * 200, "a\nb", whole[:-9], whole.replace("RWRT", "AAAA"), "é\né"):
        secret.write_text(nonsense)
        assert "no signing key" in refused(secret)


def test_a_key_that_asks_for_too_much_memory_is_no_key(tmp_path: Path) -> None:
    import base64

    secret, _ = write_keys(tmp_path / "site", KEY, "open sesame")
    comment, line, _ = secret.read_text().split("\n")
    raw = bytearray(base64.b64decode(line))
    raw[46:54] = (1 << 40).to_bytes(8, "little")
    secret.write_text(f"{comment}\n{base64.b64encode(raw).decode()}\n")
    assert "no signing key" in refused(secret)


def test_an_unguarded_key_with_a_flipped_bit_does_not_sign(tmp_path: Path) -> None:
    import base64

    secret, _ = write_keys(tmp_path / "site", KEY)
    comment, line, _ = secret.read_text().split("\n")
    raw = bytearray(base64.b64decode(line))
    raw[70] ^= 1
    secret.write_text(f"{comment}\n{base64.b64encode(raw).decode()}\n")
    assert "nothing can be signed" in refused(secret)


def test_a_passphrase_file_is_guarded_too(tmp_path: Path) -> None:
    path = tmp_path / "phrase"
    path.write_text("open sesame\nand more\n")
    path.chmod(0o644)
    with pytest.raises(KeyProblem, match="chmod 600"):
        read_passphrase(path)
    path.chmod(0o600)
    assert read_passphrase(path) == "open sesame"
    path.write_text("\n")
    for wrong in (path, tmp_path / "nowhere"):
        with pytest.raises(KeyProblem):
            read_passphrase(wrong)


@settings(max_examples=200)
@given(st.one_of(st.text(max_size=200), st.binary(max_size=200).map(lambda b: b.decode("latin-1"))))
def test_any_text_is_a_public_key_or_none(text: str) -> None:
    found = read_public(text)
    assert found is None or found.text in text


@settings(max_examples=200)
@given(st.binary(max_size=400))
def test_any_bytes_are_a_signature_or_none(raw: bytes) -> None:
    found = read_signature(raw)
    assert found is None or found.text().encode() == raw


@settings(max_examples=100)
@given(st.binary(max_size=200), st.integers(0), st.integers(0, 7))
def test_one_flipped_bit_of_data_or_signature_is_found(data: bytes, place: int, bit: int) -> None:
    text = sign(KEY, data, "medaudit release 0, 7 synthetic images").encode()
    whole = read_signature(text)
    assert whole is not None and whole.holds(KEY.public, data)
    changed = bytearray(text)
    changed[place % len(text)] ^= 1 << bit
    found = read_signature(bytes(changed))
    assert found is None or not found.holds(KEY.public, data)
    if data:
        other = bytearray(data)
        other[place % len(data)] ^= 1 << bit
        assert not whole.holds(KEY.public, bytes(other))
    assert not whole.holds(SecretKey(KEY.key_id, bytes(32)).public, data)
    assert not whole.holds(SecretKey(bytes(8), KEY.seed).public, data)


def test_base64_has_one_text_for_one_value() -> None:
    assert decoded("AA==", 1) == b"\0"
    for other in ("AB==", "AA=", "AA==\n", " AA==", "A A=="):
        assert decoded(other, 1) is None


@MINISIGN
@pytest.mark.parametrize("passphrase", ["", "open sesame"])
def test_minisign_checks_what_we_sign_and_signs_with_our_key(tmp_path: Path, passphrase: str) -> None:
    secret, public = write_keys(tmp_path / "site", new_key(), passphrase)
    key = read_secret(secret, lambda: passphrase)
    file = tmp_path / "manifest.json"
    file.write_bytes(b"{}\n")
    (tmp_path / "manifest.json.minisig").write_text(sign(key, file.read_bytes(), "medaudit release 0"))
    done = minisign("-Vm", file, "-p", public)
    assert done.returncode == 0 and "Signature and comment signature verified" in done.stdout
    assert "medaudit release 0" in done.stdout
    assert minisign("-Vm", file, "-P", key.public.text).returncode == 0
    file.write_bytes(b"{ }\n")
    assert minisign("-Vm", file, "-p", public).returncode != 0
    assert minisign("-Sm", file, "-s", secret, typed=passphrase + "\n").returncode == 0
    assert minisign("-Vm", file, "-p", public).returncode == 0


@MINISIGN
@pytest.mark.parametrize("passphrase", ["", "pw"])
def test_a_key_that_minisign_made_signs_here(tmp_path: Path, passphrase: str) -> None:
    secret, public = tmp_path / "a.key", tmp_path / "a.pub"
    unguarded = [] if passphrase else ["-W"]
    assert minisign("-G", *unguarded, "-p", public, "-s", secret, typed="pw\npw\n").returncode == 0
    key = read_secret(secret, lambda: passphrase)
    assert key.public == read_public(public.read_text())
    assert key.public.name.lstrip("0") in public.read_text()  # minisign writes no leading noughts
