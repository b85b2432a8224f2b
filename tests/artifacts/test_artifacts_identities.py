"""The identity file: whole, private, no line lost: by a kill, by several processes at once, by a full disk."""

import errno
import json
import multiprocessing
import os
import random
import signal
import stat
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medaudit.artifacts.identities import (
    Identities,
    drop_gathered,
    identities_path,
    identity_line,
    is_keyed_file,
    read_identities,
)
from medaudit.artifacts.pseudonyms import pseudonym
from medaudit.errors import NothingReadable, TooManyRefused, UsageProblem


def lines(first: int, count: int) -> list[bytes]:
    return [identity_line("file", f"f-{n:016x}", f"ward/{n}.png") for n in range(first, first + count)]


def merged(path: Path, out: Path, new: list[bytes]) -> None:
    with Identities(path, out) as known:
        known.begin(resumed=False)
        known.add(new)
        known.merge()


def test_where_it_lies_and_what_is_a_keyed_name() -> None:
    assert identities_path(Path("work/medaudit.key")) == Path("work/medaudit.identities.jsonl")
    assert identities_path(Path("site")) == Path("site.identities.jsonl")
    assert is_keyed_file(pseudonym(b"k" * 32, "a.png", kind="file"))
    assert not any(
        map(is_keyed_file, ("a.png", "f-01234", "f-0123456789abcdef.png", "source-01234567/0000001"))
    )


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=6), max_size=6), max_size=5)
)
def test_several_ingests_give_the_sorted_set_of_all_lines(
    tmp_path_factory: pytest.TempPathFactory, ingests: list[list[str]]
) -> None:
    folder = tmp_path_factory.mktemp("merge")
    path = folder / "k.identities.jsonl"
    for number, names in enumerate(ingests):
        merged(path, folder / f"C{number}", [identity_line("patient", f"p-{name}", name) for name in names])
    expected = sorted({name for names in ingests for name in names})
    found = [original for _, _, original in read_identities(path)] if ingests else []
    assert sorted(found) == expected
    if ingests:
        text = path.read_bytes().decode().split("\n")
        assert text[-1] == "" and text[:-1] == sorted(set(text[:-1]))
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert [entry.name for entry in folder.iterdir()] == [path.name]


def test_a_line_that_is_no_utf_8_stops_no_ingest_and_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "k.identities.jsonl"
    path.write_bytes(b"m\xfcller\n")
    merged(path, tmp_path / "C", lines(0, 2))
    assert sorted(path.read_bytes().splitlines(keepends=True)) == sorted([b"m\xfcller\n", *lines(0, 2)])


def test_a_file_that_a_person_edited_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "k.identities.jsonl"
    # not in order, an empty line, no last line end
    path.write_bytes(lines(5, 1)[0] + b"\n" + lines(2, 1)[0].rstrip())
    merged(path, tmp_path / "C", lines(3, 1))
    assert sorted(path.read_bytes().splitlines(keepends=True)) == sorted([*lines(2, 2), *lines(5, 1)])


def _merge_many(path: Path, number: int) -> None:
    for turn in range(10):
        merged(path, path.with_name(f"C{number}"), lines(100 * number + 10 * turn, 10))


def test_processes_at_once_lose_no_line(tmp_path: Path) -> None:
    path = tmp_path / "k.identities.jsonl"
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_merge_many, args=(path, number)) for number in range(5)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    assert path.read_bytes().splitlines(keepends=True) == lines(0, 500)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_killed_anywhere_it_is_whole_and_the_next_call_completes_it(tmp_path: Path) -> None:
    path, draw, kills = tmp_path / "k.identities.jsonl", random.Random(3), 0
    merged(path, tmp_path / "before", lines(9000, 500))

    def ingest() -> None:
        with Identities(path, tmp_path / "C") as known:
            known.begin(resumed=True)
            for chunk in range(5):
                known.add(lines(100 * chunk, 100))
            known.merge(lines(500, 3000))

    for _ in range(200):
        child = os.fork()
        if child == 0:
            ingest()
            os._exit(0)
        time.sleep(draw.uniform(0.001, 0.05))
        os.kill(child, signal.SIGKILL)
        kills += os.WIFSIGNALED(os.waitpid(child, 0)[1])
        found = path.read_bytes().splitlines(keepends=True)
        assert found in (lines(9000, 500), [*lines(0, 3500), *lines(9000, 500)])
        if kills >= 8:
            break
    assert kills >= 8
    ingest()
    assert path.read_bytes().splitlines(keepends=True) == [*lines(0, 3500), *lines(9000, 500)]


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "k.identities.jsonl"
    merged(path, tmp_path / "A", lines(0, 3))
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "no room")

    with Identities(path, tmp_path / "B") as known:
        known.begin(resumed=False)
        known.add(lines(3, 2))
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="no room"):
            known.merge(lines(5, 2))
        assert path.read_bytes() == before
        monkeypatch.undo()
        known.merge(lines(5, 2))
    assert path.read_bytes().splitlines(keepends=True) == lines(0, 7)


@pytest.mark.parametrize(
    ("error", "kept"), [(KeyboardInterrupt, True), (TooManyRefused, True), (NothingReadable, False)]
)
def test_what_was_gathered_stays_exactly_as_long_as_the_draft(
    tmp_path: Path, error: type[BaseException], kept: bool
) -> None:
    path, out = tmp_path / "k.identities.jsonl", tmp_path / "C"
    with pytest.raises(error), Identities(path, out) as known:
        assert known.begin(resumed=False)
        known.add(lines(0, 4))
        raise error
    (left,) = [*tmp_path.iterdir()] if kept else [None]
    if left is None:
        return
    assert stat.S_IMODE(left.stat().st_mode) == 0o600
    with left.open("ab") as stream:
        stream.write(lines(7, 1)[0][:20])  # the power failed
    with Identities(path, out) as known:
        assert known.begin(resumed=True)
        known.merge()
    assert path.read_bytes().splitlines(keepends=True) == lines(0, 4)


def test_gathered_lines_that_are_gone_are_noticed(tmp_path: Path) -> None:
    path, out = tmp_path / "k.identities.jsonl", tmp_path / "C"
    with pytest.raises(KeyboardInterrupt), Identities(path, out) as known:
        known.begin(resumed=False)
        raise KeyboardInterrupt
    drop_gathered(path, out)
    assert list(tmp_path.iterdir()) == []
    with Identities(path, out) as known:
        assert not known.begin(resumed=True)


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "vault").mkdir()
    (tmp_path / "k.identities.jsonl").symlink_to(tmp_path / "vault/site.jsonl")
    merged(tmp_path / "k.identities.jsonl", tmp_path / "C", lines(0, 2))
    assert (tmp_path / "k.identities.jsonl").is_symlink()
    assert len(list(read_identities(tmp_path / "vault/site.jsonl"))) == 2


def test_a_place_that_takes_no_file_and_a_file_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "k.identities.jsonl").mkdir()
    with (
        pytest.raises(UsageProblem, match="--key"),
        Identities(tmp_path / "k.identities.jsonl", tmp_path / "C") as known,
    ):
        known.begin(resumed=False)
    for number, text in enumerate(
        ("words", "[1]\n", "{}\n", json.dumps({"kind": "cat", "name": "", "original": ""}))
    ):
        path = tmp_path / f"{number}.jsonl"
        path.write_text(text)
        with pytest.raises(UsageProblem, match="no identity file"):
            list(read_identities(path))
