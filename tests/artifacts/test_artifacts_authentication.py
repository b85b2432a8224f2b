"""The authentication code of findings: which key is taken, what no longer fits, and what is said."""

import hashlib
import hmac
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medaudit.artifacts.authentication import (
    CODE,
    check_code,
    code_with,
    find_key,
    key_of_cohort,
    made_key,
    require_authentic,
)
from medaudit.artifacts.pseudonyms import KEY_NAME, key_fingerprint, load_or_make_key
from medaudit.artifacts.store import MANIFEST, Artifact, Draft, Request, open_artifact
from medaudit.errors import FindingsNotAuthentic, UsageProblem


def made(path: Path, key: bytes) -> Artifact:
    """A small artifact with its code."""
    with Draft(path, Request("findings", {"a": 1}, 0)) as draft:
        draft.file("x.json").write_text("{}")
        return draft.commit(seal=code_with(key))


def test_the_code_is_an_hmac_of_the_manifest_under_a_purpose(tmp_path: Path) -> None:
    key = load_or_make_key(tmp_path / KEY_NAME)
    artifact = made(tmp_path / "A", key)
    manifest = (tmp_path / "A" / MANIFEST).read_bytes()
    expected = hmac.new(key, b"medaudit findings\x1f" + manifest, hashlib.sha256).hexdigest()
    assert (tmp_path / "A" / CODE).read_text() == f"{key_fingerprint(key)} {expected}\n"
    assert (tmp_path / "A" / CODE).stat().st_mode & 0o077 == 0
    assert CODE not in artifact.manifest["files"]  # it cannot hold a hash of itself
    assert require_authentic(artifact, None, ()) == key


@settings(max_examples=60, deadline=None)
@given(place=st.integers(0, 10**6), value=st.integers(1, 255))
def test_any_changed_byte_of_the_manifest_is_found(
    tmp_path_factory: pytest.TempPathFactory, place: int, value: int
) -> None:
    folder = tmp_path_factory.mktemp("one")
    key = load_or_make_key(folder / KEY_NAME)
    artifact = made(folder / "A", key)
    text = bytearray((folder / "A" / MANIFEST).read_bytes())
    text[place % len(text)] ^= value
    (folder / "A" / MANIFEST).write_bytes(bytes(text))
    with pytest.raises(FindingsNotAuthentic, match="was changed after medaudit made it"):
        check_code(artifact, key)


def test_which_key_is_taken(tmp_path: Path) -> None:
    """The file given; else of the nearest folder that holds one, the one with the fingerprint, or medaudit.key."""
    site, other, third = (
        load_or_make_key(tmp_path / name) for name in (KEY_NAME, "a.key", "elsewhere/deep/own.key")
    )
    work = tmp_path / "T"
    assert find_key(None, [work]) == site
    assert find_key(None, [work], key_fingerprint(other)) == other
    assert find_key(None, [work], "00000000") == site
    assert find_key(tmp_path / "a.key", [work]) == other
    assert find_key(None, [tmp_path / "elsewhere" / "deep" / "T", work]) == third  # the nearest folder first
    assert find_key(None, [tmp_path / "1" / "2" / "T"]) == site  # two folders up
    assert find_key(None, [tmp_path / "1" / "2" / "3" / "T"]) is None
    assert find_key(None, []) is None
    (tmp_path / "signing.key").write_text("untrusted comment: minisign secret key\nAAAA\n")
    assert find_key(None, [work], "00000000") == site


def test_a_key_that_others_may_read_is_not_passed_over(tmp_path: Path) -> None:
    load_or_make_key(tmp_path / KEY_NAME)
    (tmp_path / KEY_NAME).chmod(0o644)
    with pytest.raises(UsageProblem, match="chmod 600"):
        find_key(None, [tmp_path / "T"])


def test_the_key_of_a_cohort_is_the_one_of_its_pseudonyms(tmp_path: Path) -> None:
    cohort = tmp_path / "T"
    assert key_of_cohort(None, [cohort], None, cohort) is None
    key = made_key(cohort)
    assert key_of_cohort(None, [cohort], None, cohort) == key
    assert key_of_cohort(None, [cohort], key_fingerprint(key), cohort) == key
    with pytest.raises(UsageProblem, match="is not the one at hand"):
        key_of_cohort(None, [cohort], "0a0b0c0d", cohort)
    with pytest.raises(UsageProblem, match="is not found near it; give it as --key"):
        key_of_cohort(None, [tmp_path / "1" / "2" / "3" / "4" / "T"], "0a0b0c0d", cohort)


def test_what_is_missing_or_of_another_site_is_said(tmp_path: Path) -> None:
    key = load_or_make_key(tmp_path / KEY_NAME)
    artifact = made(tmp_path / "A", key)
    (tmp_path / "other").mkdir()
    other = load_or_make_key(tmp_path / "other" / KEY_NAME)
    with pytest.raises(FindingsNotAuthentic, match=f"was made with the key {key_fingerprint(key)}"):
        check_code(artifact, other)
    with pytest.raises(FindingsNotAuthentic, match="give the key of its site"):
        require_authentic(artifact, None, [tmp_path / "other" / "T"])
    (tmp_path / "A" / CODE).unlink()
    with pytest.raises(FindingsNotAuthentic, match="carries no authentication code"):
        require_authentic(open_artifact(tmp_path / "A"), None, ())
    (tmp_path / "A" / CODE).mkdir()  # not even a file
    with pytest.raises(FindingsNotAuthentic, match="was changed"):
        require_authentic(open_artifact(tmp_path / "A"), None, ())


def test_a_code_that_is_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    artifact = made(tmp_path / "A", load_or_make_key(tmp_path / KEY_NAME))
    (tmp_path / "A" / CODE).unlink()
    os.mkfifo(tmp_path / "A" / CODE)
    with pytest.raises(FindingsNotAuthentic, match="was changed"):
        require_authentic(artifact, None, ())
