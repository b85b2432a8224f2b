"""A release says nothing of the machine and the moment that wrote it: two accounts on two days make the same bytes."""

import os
import socket
import struct
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pydicom
import pytest
from release_parts import all_bytes, make_audit, make_cohort

from medaudit.artifacts.keys import new_key, write_keys

FORMATS = ("dicom", "png", "npz")
# In a process of its own, so that the account, the place and the clock are another's; S, A, key and format are given.
RELEASE = """
import os, sys, time
from pathlib import Path
os.umask(int(sys.argv[1], 8))
ahead = float(sys.argv[2])
for name in ("time", "localtime", "gmtime"):
    def shifted(*given, real=getattr(time, name), now=time.time):
        return real(*given) if given else (now() + ahead if real is now else real(now() + ahead))
    setattr(time, name, shifted)
time.tzset()
from medaudit.stages import release
folder = Path(sys.argv[3])
assert time.time() > 0 and time.localtime().tm_year >= 2000
release.run(folder / "S", folder / "A", Path("D"), sys.argv[4], date="20261124", sign=folder / "site.key")
"""
ACCOUNTS = (
    ("canaryuser77", "canaryhost77", "UTC", "077", 0.0),
    ("canaryuser88", "canaryhost88", "Asia/Tokyo", "022", 86_400.0 * 400),
)


@pytest.fixture(scope="module", params=FORMATS)
def twice(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, Path]:
    """The format and the same signed release, made by two accounts in folders of their own."""
    folder = tmp_path_factory.mktemp("canaryfolder77")
    synthetic = make_cohort(folder / "S")
    make_audit(folder / "A", synthetic.id)
    write_keys(folder / "site", new_key())
    made = []
    for user, host, zone, umask, ahead in ACCOUNTS:
        home = folder / f"home-{user}"
        home.mkdir()
        said = {"USER": user, "LOGNAME": user, "HOSTNAME": host, "HOME": str(home), "TZ": zone}
        asked = [sys.executable, "-c", RELEASE, umask, str(ahead), str(folder), request.param]
        subprocess.run(asked, check=True, cwd=home, env={**os.environ, **said})
        made.append(home / "D")
    return request.param, made[0], made[1]


def test_two_accounts_make_the_same_bytes(twice: tuple[str, Path, Path]) -> None:
    form, one, two = twice
    first, second = all_bytes(one), all_bytes(two)
    assert len(first) >= {"dicom": 11, "png": 11, "npz": 5}[form]
    assert first == second
    modes = {path.stat().st_mode & 0o777 for path in (*one.rglob("*"), *two.rglob("*")) if path.is_file()}
    assert modes == {0o600}


def test_no_file_names_account_machine_place_or_day(twice: tuple[str, Path, Path]) -> None:
    _, one, _ = twice
    words = [word for account in ACCOUNTS for word in account[:3] if word != "UTC"]
    words += [
        "canaryfolder77",
        str(Path.cwd()),
        str(Path(sys.prefix)),
        str(Path.home()) + "/",
        sys.executable,
    ]
    words += [socket.gethostname()] if len(socket.gethostname()) >= 6 else []
    for when in (time.time(), time.time() + ACCOUNTS[1][4]):
        day = time.gmtime(when)
        words += [time.strftime(form, day) for form in ("%Y-%m-%d", "%d %b %Y", "%a %b %d")]
        words += [time.strftime("%Y%m%d", day)] if time.strftime("%Y%m%d", day) != "20261124" else []
    found = [
        (name, word)
        for name, data in all_bytes(one).items()
        for word in words
        if any(word.encode(kind) in data for kind in ("utf-8", "utf-16-le"))
    ]
    assert found == []


def test_what_stands_in_the_files_beside_the_pixels(twice: tuple[str, Path, Path]) -> None:
    form, one, _ = twice
    looked = 0
    for path in sorted((one / "images").iterdir()) if form != "npz" else [one / "images.npz"]:
        looked += 1
        if form == "dicom":
            dataset = pydicom.dcmread(path)
            times = {
                element.keyword: element.value for element in dataset.iterall() if element.VR in ("TM", "DT")
            }
            dates = {element.keyword: element.value for element in dataset.iterall() if element.VR == "DA"}
            assert set(times.values()) <= {""} and dates == {"StudyDate": "20261124", "PatientBirthDate": ""}
            assert not any(tag.is_private for tag in dataset.keys())  # noqa: SIM118 -- iterating gives elements
            assert "SourceApplicationEntityTitle" not in dataset.file_meta
        elif form == "png":
            assert [kind for kind, _ in chunks(path.read_bytes())] == [
                b"IHDR", *[b"tEXt"] * 7, b"iTXt", b"IDAT", b"IEND"
            ]  # fmt: skip
        else:
            with zipfile.ZipFile(path) as archive:
                assert archive.comment == b"" and len(archive.infolist()) == 4
                for entry in archive.infolist():
                    assert entry.date_time == (1980, 1, 1, 0, 0, 0) and entry.comment == b""
                    assert entry.create_system == 3 and entry.external_attr == 0o600 << 16
    assert looked == (1 if form == "npz" else 6)


def chunks(png: bytes) -> list[tuple[bytes, bytes]]:
    """(type, body) of each chunk, read without Pillow."""
    found, place = [], 8
    while place < len(png):
        length, kind = struct.unpack(">I4s", png[place : place + 8])
        found.append((kind, png[place + 8 : place + 8 + length]))
        place += 12 + length
    return found
