"""The ledger: it only grows, its chain tells every change, and neither kills nor crowds nor a full disk break it."""

import multiprocessing
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medaudit.artifacts.ledger import Event, Ledger, people_sha256
from medaudit.errors import LedgerBroken, LedgerTooNew, LedgerUnreadable, StorageFull, UsageProblem

NAMES = [f"p-{number:016x}" for number in range(7)]


def filled(path: Path, rows: int = 5) -> Path:
    """A ledger with `rows` rows after the first, and one cohort with people."""
    with Ledger(path, write=True) as ledger:
        body = {
            "images": 9,
            "patients": 7,
            "known": True,
            "key": None,
            "patients_sha256": people_sha256(NAMES),
        }
        ledger.append("cohort", "c" * 64, body, ("c" * 64, NAMES))
        for number in range(rows - 1):
            ledger.append("audit", f"{number:064x}", {"verdict": "inconclusive", "n": number})
    return path


def tampered(path: Path, *statements: str, keep: bool = False) -> None:
    """Raw SQL with the guards taken away, and put back unless told otherwise."""
    with sqlite3.connect(path) as raw:
        guards = raw.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        assert len(guards) == 6
        for name, _ in guards:
            raw.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            raw.execute(statement)
        for _, text in guards if not keep else ():
            raw.execute(text)
    raw.close()


def test_rows_come_back_in_order_and_continue_each_other(tmp_path: Path) -> None:
    with Ledger(filled(tmp_path / "l"), write=False) as ledger:
        rows = ledger.check()
        assert [row.number for row in rows] == [1, 2, 3, 4, 5, 6]
        assert all(later.before == row.hash for row, later in pairwise(rows))
        assert len({row.hash for row in rows}) == 6
        assert ledger.people("c" * 64) == set(NAMES)
        assert ledger.cohorts_of(NAMES[3]) == {"c" * 64} and ledger.cohorts_of("p-none") == frozenset()


def test_nothing_is_recorded_twice(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l", write=True) as ledger:
        first = ledger.append("audit", "a", {"n": 1})
        assert ledger.append("audit", "a", {"n": 2}) == first
        assert ledger.append("release", "a", {"n": 2}).number == 3
        assert len(ledger.events()) == 3


def test_the_file_is_private_also_while_it_is_written(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        with Ledger(tmp_path / "l", write=True) as ledger:
            ledger.append("audit", "a", {})
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    finally:
        os.umask(old)
    assert modes == {"l": 0o600, "l-wal": 0o600, "l-shm": 0o600}
    (tmp_path / "l").chmod(0o640)
    with pytest.raises(UsageProblem, match="chmod 600"):
        Ledger(tmp_path / "l", write=False)


@pytest.mark.parametrize("table", ["events", "people"])
@pytest.mark.parametrize(
    "verb", ["UPDATE {} SET {} = {}", "DELETE FROM {}", "REPLACE INTO {} SELECT * FROM {}"]
)
def test_plain_sql_can_only_add(tmp_path: Path, table: str, verb: str) -> None:
    filled(tmp_path / "l")
    column = {"events": "body", "people": "patient"}[table]
    raw = sqlite3.connect(tmp_path / "l")
    given = (table, table) if verb.startswith("REPLACE") else (table, column, column)
    with pytest.raises(sqlite3.IntegrityError, match="only grows"):
        raw.execute(verb.format(*given))
    raw.close()


CHANGES = {
    "UPDATE events SET body = '{\"n\":9}' WHERE number = 4": "row 4 was changed",
    "UPDATE events SET kind = 'review' WHERE number = 3": "row 3 was changed",
    "UPDATE events SET hash = 'f00' WHERE number = 6": "row 6 was changed",
    "UPDATE events SET before = 'f00' WHERE number = 5": "row 5 does not continue row 4",
    "DELETE FROM events WHERE number = 3": "row 3 was removed",
    "DELETE FROM events WHERE number = 1": "row 1 was removed",
    "DELETE FROM events WHERE number > 4": "row 5 was removed, and with it the end",
    "DELETE FROM events": "row 1 was removed",
    "DELETE FROM people WHERE patient LIKE '%3'": "the patients of row 2 were changed",
    "INSERT INTO people VALUES ('other', 'p-1')": "a cohort that no row names",
    "DROP TABLE people": "damaged or a table of it is missing",
    "UPDATE events SET number = 99 WHERE number = 6": "row 6 was removed",
}


@pytest.mark.parametrize("statement", CHANGES)
def test_a_change_past_the_guards_is_found_and_its_row_told(tmp_path: Path, statement: str) -> None:
    tampered(filled(tmp_path / "l"), statement, keep="people" in statement and "DROP" in statement)
    with pytest.raises(LedgerBroken, match=CHANGES[statement]), Ledger(tmp_path / "l", write=False) as ledger:
        ledger.check()


def test_an_edited_row_whose_hash_was_made_again_breaks_the_next(tmp_path: Path) -> None:
    with Ledger(filled(tmp_path / "l"), write=False) as ledger:
        row = ledger.events()[3]
    edited = Event(row.number, row.kind, row.subject, '{"n":9}', row.before, "").expected_hash()
    tampered(tmp_path / "l", f"UPDATE events SET body = '{{\"n\":9}}', hash = '{edited}' WHERE number = 4")
    with (
        pytest.raises(LedgerBroken, match="row 5 does not continue row 4"),
        Ledger(tmp_path / "l", write=False) as ledger,
    ):
        ledger.check()


def test_guards_taken_away_are_missed(tmp_path: Path) -> None:
    tampered(filled(tmp_path / "l"), keep=True)
    with pytest.raises(LedgerBroken, match="guards"), Ledger(tmp_path / "l", write=False) as ledger:
        ledger.check()


def test_only_the_kept_head_tells_of_a_careful_cut(tmp_path: Path) -> None:
    with Ledger(filled(tmp_path / "l"), write=False) as ledger:
        rows = ledger.events()
    cut = "DELETE FROM events WHERE number > 4"
    tampered(tmp_path / "l", cut, "UPDATE sqlite_sequence SET seq = 4 WHERE name = 'events'")
    with Ledger(tmp_path / "l", write=False) as ledger:
        assert len(ledger.check()) == 4  # a whole chain, though a shorter one
        assert len(ledger.check(expect_head=rows[2].hash)) == 4
        with pytest.raises(LedgerBroken, match="the head that was kept is not in its chain"):
            ledger.check(expect_head=rows[-1].hash)


def test_nothing_is_added_to_a_head_that_was_changed(tmp_path: Path) -> None:
    tampered(filled(tmp_path / "l"), "UPDATE events SET body = '{}' WHERE number = 6")
    with pytest.raises(LedgerBroken, match="row 6"), Ledger(tmp_path / "l", write=True) as ledger:
        ledger.append("audit", "new", {})


@settings(max_examples=30, deadline=None)
@given(
    body=st.dictionaries(
        st.text(max_size=8), st.text(max_size=20) | st.integers(-(2**60), 2**60), max_size=4
    ),
    subject=st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=30
    ),
)
def test_any_text_survives(
    body: dict[str, object], subject: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("any") / "l"
    try:
        str(body).encode()
    except UnicodeEncodeError:
        return
    with Ledger(path, write=True) as ledger:
        ledger.append("audit", subject, body)
    with Ledger(path, write=False) as ledger:
        row = ledger.check()[-1]
    assert row.body == body and row.subject == subject


# --- files that are none ---


def test_a_ledger_of_a_later_version_is_refused_by_name(tmp_path: Path) -> None:
    filled(tmp_path / "l")
    raw = sqlite3.connect(tmp_path / "l")
    raw.execute("PRAGMA user_version = 2")
    raw.close()
    before = (tmp_path / "l").read_bytes()
    for write in (True, False):
        with pytest.raises(LedgerTooNew, match="version 2; this medaudit knows up to 1"):
            Ledger(tmp_path / "l", write=write)
    assert (tmp_path / "l").read_bytes() == before


def test_files_that_are_no_ledger(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no ledger at all, but long enough to be read as one\n" * 40)
    raw = sqlite3.connect(tmp_path / "other")
    raw.execute("CREATE TABLE mine (x)")
    raw.close()
    (tmp_path / "folder").mkdir()
    for name in ("text", "other"):
        (tmp_path / name).chmod(0o600)
        before = (tmp_path / name).read_bytes()
        for write in (True, False):
            with pytest.raises(LedgerUnreadable, match="not a ledger"):
                Ledger(tmp_path / name, write=write)
        assert (tmp_path / name).read_bytes() == before
    with pytest.raises(LedgerUnreadable, match="folder"):
        Ledger(tmp_path / "folder", write=True)
    with pytest.raises(LedgerUnreadable, match="does not exist"):
        Ledger(tmp_path / "absent", write=False)
    with pytest.raises(LedgerUnreadable, match="cannot be written there"):
        Ledger(tmp_path / "text" / "l", write=True)
    (tmp_path / "empty").touch(0o600)
    with pytest.raises(LedgerUnreadable, match="empty"):
        Ledger(tmp_path / "empty", write=False)


def test_a_file_cut_in_the_middle(tmp_path: Path) -> None:
    whole = filled(tmp_path / "l", 400).read_bytes()
    (tmp_path / "l").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(LedgerBroken, match="damaged"), Ledger(tmp_path / "l", write=False) as ledger:
        ledger.check()


def test_a_read_only_file_is_checked_but_not_added_to(tmp_path: Path) -> None:
    filled(tmp_path / "l").chmod(0o400)
    with Ledger(tmp_path / "l", write=False) as ledger:
        assert len(ledger.check()) == 6
    with pytest.raises(LedgerUnreadable, match="read-only"):
        Ledger(tmp_path / "l", write=True)
    assert [file.name for file in tmp_path.iterdir()] == ["l"]


def test_a_full_disk_leaves_what_stood(tmp_path: Path) -> None:
    filled(tmp_path / "l")
    with Ledger(tmp_path / "l", write=True) as ledger:
        pages = ledger._ask("PRAGMA page_count")[0][0]
        ledger._ask(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(StorageFull, match="nothing was recorded"):
            ledger.append("audit", "large", {"x": "y" * 100_000})
        assert len(ledger.check()) == 6
        ledger._ask("PRAGMA max_page_count = 100000")
        assert ledger.append("audit", "large", {"x": "y" * 100_000}).number == 7


# --- several processes ---


def _write(path: str, who: str, rows: int) -> None:
    with Ledger(Path(path), write=True) as ledger:
        for number in range(rows):
            ledger.append("audit", f"{who}-{number}", {"n": number})


def test_two_processes_that_write_at_once_both_succeed(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=_write, args=(str(tmp_path / "l"), who, 50)) for who in ("a", "b")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(120)
    assert [writer.exitcode for writer in writers] == [0, 0]
    with Ledger(tmp_path / "l", write=False) as ledger:
        rows = ledger.check()
    assert len(rows) == 101
    for who in ("a", "b"):
        own = [row.subject for row in rows if row.kind == "audit" and row.subject.startswith(who)]
        assert own == [f"{who}-{number}" for number in range(50)]


@pytest.mark.parametrize("after", [1, 7, 40])
def test_a_killed_writer_leaves_a_whole_chain(tmp_path: Path, after: int) -> None:
    """The child says each row once it stands; whatever it said is there, and at most one row more."""
    program = (
        "import sys; from pathlib import Path; from medaudit.artifacts.ledger import Ledger\n"
        "with Ledger(Path(sys.argv[1]), write=True) as ledger:\n"
        "    for n in range(100000):\n"
        "        names = [f'p-{n}-{i}' for i in range(200)]\n"
        "        ledger.append('cohort', f'{n:064x}', {'n': n}, (f'{n:064x}', names))\n"
        "        print(n, flush=True)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "l")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        said = -1
        while said < after:
            said = int(child.stdout.readline())
        time.sleep(0.003 * after)
        child.send_signal(signal.SIGKILL)
        said = max([said, *(int(line) for line in child.stdout.read().split("\n")[:-1])])
    assert child.returncode == -signal.SIGKILL
    with Ledger(tmp_path / "l", write=True) as ledger:
        rows = ledger.events()
        assert said + 2 <= len(rows) <= said + 3  # the first row is `opened`
        for row in rows[1:]:
            assert len(ledger.people(row.subject)) == 200
        assert ledger.append("audit", "after", {}).number == len(rows) + 1


def test_a_writer_killed_between_a_row_and_its_patients_leaves_neither(tmp_path: Path) -> None:
    """The list of names kills the process when it is asked for: the row is in by then, and not yet committed."""
    filled(tmp_path / "l")
    program = (
        "import os, signal, sys; from pathlib import Path; from medaudit.artifacts.ledger import Ledger\n"
        "class Names:\n"
        "    def __iter__(self):\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "with Ledger(Path(sys.argv[1]), write=True) as ledger:\n"
        "    ledger.append('cohort', 'f' * 64, {'n': 1}, ('f' * 64, Names()))\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "l")], check=False)
    assert done.returncode == -signal.SIGKILL
    with Ledger(tmp_path / "l", write=True) as ledger:
        assert len(ledger.check()) == 6 and ledger.people("f" * 64) == frozenset()
        assert ledger.append("cohort", "e" * 64, {"patients_sha256": people_sha256([])}).number == 7


def test_a_copy_without_its_log_is_read(tmp_path: Path) -> None:
    """What list and check need of a backup on a disk that cannot be written."""
    filled(tmp_path / "l")
    (tmp_path / "copy").mkdir()
    shutil.copy(tmp_path / "l", tmp_path / "copy" / "l")
    (tmp_path / "copy").chmod(0o500)
    with Ledger(tmp_path / "copy" / "l", write=False) as ledger:
        assert len(ledger.check()) == 6
    (tmp_path / "copy").chmod(0o700)
