"""Releases that somebody prepared to mislead or to wear out a receiver: one calm line each, in a moment."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from release_parts import make_audit, make_cohort

from medaudit.artifacts.merkle import merkle_root
from medaudit.cli.app import run
from medaudit.stages import release

MANIFEST, CERTIFICATE, FIRST = "manifest.json", "certificate.json", "images/000001.dcm"
Edit = Callable[[Path], object]
PLAIN_USER = [
    "setpriv",
    "--bounding-set=-dac_override,-dac_read_search",
    "--inh-caps=-dac_override,-dac_read_search",
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    synthetic = make_cohort(folder / "S")
    make_audit(folder / "A", synthetic.id)
    release.run(folder / "S", folder / "A", folder / "R")
    return folder / "R"


def forged(change: Callable[[dict[str, Any], dict[str, Any]], object]) -> Edit:
    """Edit manifest and certificate, and make hashes and Merkle root fit again."""

    def edit(folder: Path) -> None:
        manifest, certificate = (json.loads((folder / name).read_text()) for name in (MANIFEST, CERTIFICATE))
        change(manifest, certificate)
        for name in [one for one in manifest["files"] if len(one) < 99]:
            if (folder / name).is_file():
                manifest["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        certificate["merkle_root"] = manifest["merkle_root"] = merkle_root(manifest["files"])
        text = json.dumps(certificate)
        (folder / CERTIFICATE).write_text(text)
        manifest["files"][CERTIFICATE] = hashlib.sha256(text.encode()).hexdigest()
        (folder / MANIFEST).write_text(json.dumps(manifest))

    return edit


def count_of(number: Any) -> Edit:
    return forged(lambda m, c: (m.update(images=number), c["counts"].update(released=number)))


def around(before: bytes, after: bytes) -> Edit:
    """Text in front of the first image's header, behind its pixels, and hashes that fit."""

    def edit(folder: Path) -> None:
        data = (folder / FIRST).read_bytes()
        (folder / FIRST).write_bytes((before or data[:128]) + data[128:] + after)
        forged(lambda *_: None)(folder)

    return edit


def away(name: str) -> Edit:
    """A link in place of a file or folder, to the very same bytes outside."""

    def edit(folder: Path) -> None:
        outside = folder.parent.absolute() / "outside"
        (folder / name).rename(outside)
        (folder / name).symlink_to(outside)

    return edit


HOSTILE: dict[str, tuple[Edit, str]] = {
    "manifest is a link": (away(MANIFEST), "is a link"),
    "images is a link": (away("images"), "images was added"),
    "a folder with a name": (lambda f: (f / "images" / "DOE^JANE").mkdir(), "images/DOE^JANE was added"),
    "a hidden file": (lambda f: (f / ".notes").write_text("x"), ".notes was added"),
    "a link that leads nowhere": (lambda f: (f / "x").symlink_to("/nowhere"), "x was added"),
    "a link to the folder itself": (lambda f: (f / "x").symlink_to("."), "x was added"),
    "a pipe for an image": (lambda f: ((f / FIRST).unlink(), os.mkfifo(f / FIRST)), "is missing"),
    "no byte of a manifest": (lambda f: (f / MANIFEST).write_text(""), "cannot be read"),
    "a manifest nested deep": (lambda f: (f / MANIFEST).write_text("[" * 200_000), "cannot be read"),
    "a manifest of 8 GB": (lambda f: os.truncate(f / MANIFEST, 8 << 30), "cannot be read"),
    "a number of 100,000 digits": (lambda f: (f / MANIFEST).write_text('{"images":' + "9" * 100_000), "cannot"),
    "ten billion images": (count_of(10**10), "no known format or count"),
    "fewer than no images": (count_of(-1), "no known format or count"),
    "a name that no file can have": (forged(lambda m, _: m["files"].update({"a" * 5000: "0"})), "is missing"),
    "a name with a zero byte": (forged(lambda m, _: m["files"].update({"a\0b": "0"})), "a?b is missing"),
    "a name that clears the screen": (forged(lambda m, _: m["files"].update({"\x1b[2J": "0"})), "?[2J is missing"),
    "a last day in words": (forged(lambda _, c: c.update(expires="soon")), "names a last day that is none"),
    "a last day of no calendar": (forged(lambda _, c: c.update(expires="20260231")), "names a last day that is none"),
    "a certificate nested deep": (lambda f: (f / CERTIFICATE).write_text("[" * 100_000), "was changed"),
    "text before the header": (around(b"DOE^JANE" * 16, b""), "carries bytes beside its attributes"),
    "text behind the pixels": (around(b"", b"DOE^JANE 19610213"), "carries bytes beside its attributes"),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_one_line_and_exit_1(
    name: str,
    whole: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(whole, "received")
    edit, said = HOSTILE[name]
    edit(Path("received"))
    assert run(["verify", "received"]) == 1
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    assert err.startswith("ReleaseBroken: received") and said in err
    assert err[:-1].isprintable()


@pytest.mark.parametrize("name", [MANIFEST, FIRST, "images"])
def test_what_may_not_be_read_is_said(name: str, whole: Path, tmp_path: Path) -> None:
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        pytest.skip("setpriv is absent: root reads everything")
    shutil.copytree(whole, tmp_path / "received")
    (tmp_path / "received" / name).chmod(0)
    call = [sys.executable, "-m", "medaudit.cli.app", "verify", str(tmp_path / "received")]
    done = subprocess.run([*(PLAIN_USER if os.geteuid() == 0 else []), *call], capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert done.stderr.startswith("SourceMissing: ") and "may not read" in done.stderr


def test_a_link_to_a_whole_release_and_an_empty_folder(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "link").symlink_to(whole)
    assert run(["verify", str(tmp_path / "link")]) == 0
    (tmp_path / "empty").mkdir()
    capsys.readouterr()
    assert run(["verify", str(tmp_path / "empty")]) == 1
    assert "has no manifest.json" in capsys.readouterr().err


@pytest.mark.parametrize("syntax", ["jpeg-ls", "jpeg-2000", "rle"])
def test_bytes_behind_compressed_pixels_are_found(syntax: str, whole: Path, tmp_path: Path) -> None:
    folder = whole.parent
    out = tmp_path / "R"
    release.run(folder / "S", folder / "A", out, transfer_syntax=syntax)
    assert run(["verify", str(out)]) == 0
    around(b"", b"DOE^JANE 19610213")(out)
    assert run(["verify", str(out)]) == 1
