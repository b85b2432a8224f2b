"""A signed release: what a receiver with the public key finds, and what each kind of damage is called."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from release_parts import all_bytes, make_audit, make_cohort

from medaudit.artifacts import store
from medaudit.artifacts.certificate import last_day
from medaudit.artifacts.keys import PublicKey, SecretKey, write_keys
from medaudit.artifacts.merkle import merkle_root
from medaudit.artifacts.signature import sign
from medaudit.cli.app import run as medaudit
from medaudit.errors import (
    CertificateExpired,
    KeyProblem,
    MedauditError,
    OutputExists,
    ReleaseBroken,
    SignatureWrong,
    UsageProblem,
)
from medaudit.stages import keygen, release, verify

KEY, OTHER = SecretKey(b"8 bytes.", bytes(range(32))), SecretKey(b"another.", bytes(32))
PUBLIC = KEY.public.text
SEAL = "manifest.json.minisig"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """S, an audit A that clears it, a key, and D signed with it."""
    folder = tmp_path_factory.mktemp("site")
    synthetic = make_cohort(folder / "S")
    make_audit(folder / "A", synthetic.id)
    write_keys(folder / "site", KEY)
    signed(folder, folder / "D")
    return folder


def signed(site: Path, out: Path, date: str = "20260101", **more: object) -> Path:
    release.run(site / "S", site / "A", out, date=date, sign=site / "site.key", **more)  # type: ignore[arg-type]
    return out


@pytest.fixture
def copy(site: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(site / "D", tmp_path / "received"))


def broken(
    folder: Path, error: type[ReleaseBroken] = ReleaseBroken, key: str = PUBLIC, on: str = "20270101"
) -> str:
    with pytest.raises(error) as caught:
        verify.run(folder, key=key, on=on)
    assert caught.value.exit_code == 1 and "\n" not in str(caught.value)
    return str(caught.value)


def reseal(folder: Path, key: SecretKey = KEY) -> None:
    """What the sender alone can do: sign the manifest as it is now."""
    (folder / SEAL).write_text(sign(key, (folder / "manifest.json").read_bytes(), "medaudit release"))


def edit(path: Path, change: Callable[[dict], object]) -> None:
    body = json.loads(path.read_text())
    change(body)
    path.write_text(json.dumps(body))


def test_a_signed_release_verifies_with_key_line_file_or_fingerprint(copy: Path, site: Path) -> None:
    before = all_bytes(copy)
    spelled = ":".join(KEY.public.fingerprint.upper()[i : i + 4] for i in range(0, 64, 4))
    for key in (PUBLIC, str(site / "site.pub"), KEY.public.fingerprint, spelled):
        outcome = verify.run(copy, key=key, on="20270101")
        assert outcome.exit_code == 0 and outcome.data["signature_trusted"]
        assert outcome.data["signer"] == KEY.public.fingerprint and outcome.data["expires"] == "20280101"
        assert any("the one you trust" in line for line in outcome.lines)
    assert all_bytes(copy) == before


def test_without_a_key_verify_says_what_it_did_not_check(copy: Path, site: Path, tmp_path: Path) -> None:
    outcome = verify.run(copy, on="20270101")
    assert any("not checked against a key you trust" in line for line in outcome.lines)
    assert not outcome.data["signature_trusted"]
    release.run(site / "S", site / "A", tmp_path / "plain")
    outcome = verify.run(tmp_path / "plain")
    assert any("not signed" in line for line in outcome.lines) and outcome.data["signer"] is None
    assert "not signed" in broken(tmp_path / "plain", SignatureWrong)


def test_same_key_same_bytes_and_the_certificate_binds_all(site: Path, tmp_path: Path) -> None:
    assert all_bytes(signed(site, tmp_path / "again")) == all_bytes(site / "D")
    assert all_bytes(signed(site, site / "D")) == all_bytes(
        tmp_path / "again"
    )  # a second call is done at once
    manifest = json.loads((site / "D" / "manifest.json").read_text())
    certificate = json.loads((site / "D" / "certificate.json").read_text())
    assert certificate["merkle_root"] == manifest["merkle_root"] == merkle_root(manifest["files"])
    assert certificate["signer"] == {"public_key": PUBLIC, "fingerprint": KEY.public.fingerprint}
    assert set(certificate["lineage"]) == {"synthetic", "audit", "model"}
    write_keys(tmp_path / "other", OTHER)
    with pytest.raises(OutputExists):
        release.run(site / "S", site / "A", site / "D", date="20260101", sign=tmp_path / "other.key")


@pytest.mark.skipif(shutil.which("minisign") is None, reason="minisign is not installed")
def test_minisign_checks_a_release(copy: Path, site: Path) -> None:
    call = ["minisign", "-Vm", str(copy / "manifest.json"), "-p", str(site / "site.pub")]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "Signature and comment signature verified" in done.stdout
    assert "6 synthetic images, until 20280101" in done.stdout
    (copy / "manifest.json").write_bytes((copy / "manifest.json").read_bytes() + b" ")
    assert subprocess.run(call, capture_output=True, check=False).returncode != 0


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_one_flipped_bit_of_any_file(copy: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(all_bytes(copy))))
    original = (copy / name).read_bytes()
    changed = bytearray(original)
    changed[data.draw(st.integers(0, len(original) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    key = data.draw(st.sampled_from([PUBLIC, KEY.public.fingerprint, ""]))
    try:
        (copy / name).write_bytes(changed)
        with pytest.raises(MedauditError) as caught:
            verify.run(copy, key=key, on="20270101")
        assert "\n" not in str(caught.value)
        assert key != PUBLIC or (name in str(caught.value) and isinstance(caught.value, ReleaseBroken))
    finally:
        (copy / name).write_bytes(original)


def test_every_file_of_a_release_is_covered(copy: Path) -> None:
    """Each name once, so that no draw of the property test above is needed to see it."""
    names = sorted(all_bytes(copy))
    assert len(names) == 11
    for name in names:
        original = (copy / name).read_bytes()
        (copy / name).write_bytes(original[:-1] + bytes([original[-1] ^ 1]))
        assert name in broken(copy)
        (copy / name).write_bytes(original)
    assert verify.run(copy, key=PUBLIC, on="20270101").exit_code == 0


def test_missing_added_renamed(copy: Path) -> None:
    for name in sorted(all_bytes(copy)):
        content = (copy / name).read_bytes()
        (copy / name).unlink()
        message = broken(copy)
        assert name in message and ("missing" in message or "has no manifest" in message)
        (copy / name).write_bytes(content)
    (copy / "images" / "000002.dcm").rename(copy / "images" / "000009.dcm")
    assert "images/000002.dcm is missing: it was renamed to images/000009.dcm" in broken(copy)
    (copy / "images" / "000009.dcm").rename(copy / "images" / "000002.dcm")
    (copy / "images" / "no\nte\x1b[31m.txt").write_text("x")
    assert "images/no?te?[31m.txt was added" in broken(copy)


def test_a_wrong_key_and_a_signature_by_another(copy: Path, tmp_path: Path) -> None:
    assert "another key" in broken(copy, SignatureWrong, OTHER.public.text)
    assert "another key" in broken(copy, SignatureWrong, OTHER.public.fingerprint)
    impostor = PublicKey(KEY.key_id, OTHER.public.key)  # the same id is no proof
    assert "was changed" in broken(copy, SignatureWrong, impostor.text)
    reseal(copy, OTHER)
    assert "another key" in broken(copy, SignatureWrong)
    assert "was changed" in broken(copy, SignatureWrong, key="")
    (copy / SEAL).unlink()
    assert "not signed" in broken(copy, SignatureWrong)
    assert f"{SEAL} is missing" in broken(copy, SignatureWrong, key="")


def test_a_forger_without_the_key_cannot_edit_the_certificate(copy: Path) -> None:
    edit(copy / "certificate.json", lambda c: c.update(expires="20991231"))
    assert "certificate.json was changed" in broken(copy)
    import hashlib

    digest = hashlib.sha256((copy / "certificate.json").read_bytes()).hexdigest()
    edit(copy / "manifest.json", lambda m: m["files"].update({"certificate.json": digest}))
    assert "was changed after it was signed" in broken(copy, SignatureWrong)
    assert "was changed after it was signed" in broken(copy, SignatureWrong, key="")
    reseal(copy)  # the sender may
    assert verify.run(copy, key=PUBLIC, on="20991231").exit_code == 0
    edit(copy / "manifest.json", lambda m: m.update(merkle_root="0" * 64))
    reseal(copy)
    assert "another Merkle root" in broken(copy)


def test_the_last_day(copy: Path, site: Path, tmp_path: Path) -> None:
    assert verify.run(copy, key=PUBLIC, on="20280101").exit_code == 0
    assert "ended on 20280101" in broken(copy, CertificateExpired, on="20280102")
    assert "ended on 20280101" in broken(copy, CertificateExpired, key="", on="20280102")
    endless = signed(site, tmp_path / "E", date="")
    outcome = verify.run(endless, key=PUBLIC, on="99991231")
    assert any("states no end" in line for line in outcome.lines) and outcome.data["expires"] is None
    stated = tmp_path / "F"
    release.run(site / "S", site / "A", stated, expires="20260630")
    broken(stated, CertificateExpired, key="", on="20260701")
    with pytest.raises(UsageProblem):
        verify.run(copy, on="tomorrow")


@pytest.mark.parametrize(
    ("date", "expires", "is_signed", "expected"),
    [
        ("20260315", "", True, "20280315"),
        ("20240229", "", True, "20260228"),
        ("20260315", "", False, ""),
        ("", "", True, ""),
        ("20260315", "never", True, ""),
        ("", "20300101", False, "20300101"),
        ("20260315", "20260315", True, "20260315"),
    ],
)
def test_how_long_a_certificate_holds(date: str, expires: str, is_signed: bool, expected: str) -> None:
    assert last_day(date, expires, signed=is_signed) == expected


def test_days_that_are_none() -> None:
    for date, expires in (("20260315", "20260314"), ("", "2026-01-01"), ("", "soon"), ("", "20260231")):
        with pytest.raises(UsageProblem):
            last_day(date, expires, signed=True)


def test_keys_that_are_none_stop_before_anything_is_written(site: Path, tmp_path: Path) -> None:
    keygen.run(tmp_path / "guarded", passphrase=lambda: "open sesame")
    (tmp_path / "nonsense").write_text("hello")
    (tmp_path / "nonsense").chmod(0o600)
    call = {"synthetic": site / "S", "audit": site / "A", "out": tmp_path / "D"}
    for key in ("guarded.key", "guarded.pub", "nonsense", "nowhere"):
        with pytest.raises(KeyProblem) as caught:
            release.run(**call, sign=tmp_path / key, passphrase=lambda: "wrong")  # type: ignore[arg-type]
        assert "\n" not in str(caught.value) and not (tmp_path / "D").exists()
    (tmp_path / "guarded.key").chmod(0o644)
    with pytest.raises(KeyProblem, match="chmod 600"):
        release.run(**call, sign=tmp_path / "guarded.key")  # type: ignore[arg-type]
    for key in ("nowhere", str(tmp_path / "nonsense"), str(tmp_path), "ab" * 31, "\0"):
        with pytest.raises(KeyProblem):
            verify.run(site / "D", key=key)
    with pytest.raises(KeyProblem, match="never hand it on"):
        verify.run(site / "D", key=str(site / "site.key"))


def test_a_kill_between_manifest_and_signature_leaves_no_release(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from medaudit.artifacts import signature

    def full(*_: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("medaudit.stages.signing.sign", full)
    with pytest.raises(Exception, match="disk is full"):
        signed(site, tmp_path / "D")
    assert not (tmp_path / "D").exists()
    monkeypatch.setattr("medaudit.stages.signing.sign", signature.sign)
    assert all_bytes(signed(site, tmp_path / "D")) == all_bytes(site / "D")


def test_a_kill_after_the_signature_was_written_ends_in_the_same_bytes(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = all_bytes(signed(site, tmp_path / "whole"))
    tidied = shutil.rmtree

    def killed(path: Path, **how: object) -> None:
        if Path(path).name == store._SCRATCH:
            raise KeyboardInterrupt
        tidied(path, **how)

    monkeypatch.setattr(store.shutil, "rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        signed(site, tmp_path / "again")
    monkeypatch.undo()
    assert all_bytes(signed(site, tmp_path / "again")) == whole


def test_a_signature_that_was_lost_or_damaged_is_made_again(site: Path, tmp_path: Path) -> None:
    out = signed(site, tmp_path / "out")
    whole = all_bytes(out)
    for harm in (Path.unlink, lambda path: path.write_text("damaged")):
        harm(out / SEAL)
        signed(site, out)
        assert all_bytes(out) == whole


def test_the_front_door(site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd = tmp_path / "Röntgen 'x' \u202eabc"
    odd.mkdir()
    (odd / "phrase").write_text("open sesame\n")
    (odd / "phrase").chmod(0o600)
    phrase = ["--passphrase-file", str(odd / "phrase")]
    assert medaudit(["keygen", "--out", str(odd / "k"), *phrase]) == 0
    assert medaudit(["keygen", "--out", str(odd / "k"), *phrase]) == 2
    common = ["release", "--synthetic", str(site / "S"), "--audit", str(site / "A"), "--text", "off"]
    sign_it = ["--out", str(odd / "D"), "--sign", str(odd / "k.key"), "--date", "20260101"]
    assert medaudit([*common, *sign_it]) == 2
    assert "give --passphrase-file" in capsys.readouterr().err
    assert medaudit([*common, *sign_it, *phrase]) == 0
    shown = capsys.readouterr().out
    assert "signed by key" in shown and "holds until 20280101" in shown
    check = ["verify", str(odd / "D"), "--on", "20260606"]
    assert medaudit([*check, "--key", str(odd / "k.pub")]) == 0
    assert medaudit(check) == 0
    assert medaudit([*check, "--key", str(site / "site.pub")]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert medaudit(["verify", str(odd / "D"), "--on", "20300101", "--json"]) == 1
    assert '"error": "CertificateExpired"' in capsys.readouterr().out


def test_verify_with_a_key_needs_no_torch(site: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from medaudit.stages import verify; "
        "verify.run(Path(sys.argv[1]), key=sys.argv[2], on='20270101'); "
        "heavy = {'torch', 'monai', 'diffusers', 'matplotlib', 'scipy', 'rapidocr', 'onnxruntime', 'cv2'}; "
        "sys.exit(sorted(heavy & set(sys.modules)) or 0)"
    )
    subprocess.run([sys.executable, "-c", code, str(site / "D"), PUBLIC], check=True)
