"""The review from end to end: the command line writes the page, reviewers press keys in a browser, verdicts go back."""

import json
import re
import socket
from contextlib import suppress
from pathlib import Path

import pytest
import review_parts as parts
from browser import Browser, chromium

from medaudit.artifacts.review import KEY, PAGE, open_review
from medaudit.cli.app import run

STATUS = "document.getElementById('status').textContent"
WHERE = "document.getElementById('where').textContent"
COUNT = "document.getElementById('count').textContent"
FOCUS = "document.activeElement.id"
HOSTILE = "</textarea></script><script>alert(1)</script> שלום"


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """T, H, S, A, and the page as the command line writes it; skipped where there is no browser."""
    chromium()
    folder = tmp_path_factory.mktemp("page")
    parts.audited(folder)
    call = [
        "review",
        folder / "A",
        "--train",
        folder / "T",
        "--synthetic",
        folder / "S",
        "--controls",
        "17",
        "-q",
    ]
    assert run([str(one) for one in call]) == 0
    return folder


def items(work: Path) -> list[dict[str, str]]:
    return json.loads((work / "A.review" / KEY).read_text())["items"]


def answer_all(browser: Browser, work: Path, flagged: dict[int, str]) -> None:
    """Press what a reviewer with good eyes would, from the pair on which the page stands."""
    for item in items(work):
        said = {"planted": "1", "different": "3"}.get(item["control"]) or flagged[item["synthetic_id"]]  # type: ignore[index]
        browser.press(*(("3", "1") if said == "3" else (said,)))


@pytest.mark.slow
def test_two_reviewers_by_keyboard_and_back_through_the_front_door(
    work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, count, saved = (work / "A.review" / PAGE).as_uri(), len(items(work)), []
    for name, flagged in (("Dr. A. Reader", {0: "3", 1: "3"}), ("Dr. B. Reader", {0: "3", 1: "4"})):
        downloads = tmp_path / name
        downloads.mkdir()
        with Browser(tmp_path / f"profile {name}", downloads) as browser:
            browser.open(page)
            assert browser.ask(WHERE) == f"Pair 1 of {count}"
            browser.press("e")
            assert "name" in browser.ask(STATUS) and browser.ask(FOCUS) == "reviewer"
            browser.type(name)
            browser.press("Tab")
            browser.type("chest radiologist")
            browser.press("Escape")
            answer_all(browser, work, flagged)
            assert browser.ask(COUNT) == f"{count} of {count} answered"
            assert "save the file" in browser.ask(STATUS)
            browser.press("e")
            saved.append(browser.downloaded())
            assert [one for one in browser.requests if not one.startswith("data:image/png")] == [page]
            assert browser.complaints == []
    body = json.loads(saved[0].read_text())
    assert body["reviewer"] == "Dr. A. Reader" and body["named_as"] == "chest radiologist"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", body["date"]) and len(body["answers"]) == count
    capsys.readouterr()
    call = ["review", work / "A", "--apply", saved[0], "--apply", saved[1], "--out", tmp_path / "R", "--json"]
    assert run([str(one) for one in call]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["command"] == "review" and (told["data"]["cleared"], told["data"]["stands"]) == (1, 1)
    record = open_review(tmp_path / "R")[1]
    assert [one.decision for one in record.images] == ["cleared", "stands"]
    assert all(one.sensitivity and one.sensitivity.value == 1 for one in record.reviewers)
    assert record.agreement[0].kappa is not None


@pytest.mark.slow
def test_undo_notes_moves_and_a_closed_browser_lose_nothing(work: Path, tmp_path: Path) -> None:
    page, count = (work / "A.review" / PAGE).as_uri(), len(items(work))
    with Browser(tmp_path / "profile", tmp_path) as browser:
        browser.open(page)
        browser.press("1")
        assert browser.ask(WHERE) == f"Pair 2 of {count}" and "Pair 1: copy" in browser.ask(STATUS)
        browser.press("3")
        assert not browser.ask("document.getElementById('why').hidden")
        browser.press("Escape")
        assert browser.ask("document.getElementById('why').hidden") and browser.ask(COUNT).startswith("1 of")
        browser.press("3", "5")
        assert "reason into the note" in browser.ask(STATUS) and browser.ask(FOCUS) == "note"
        browser.type(HOSTILE)
        browser.press("Escape")
        assert browser.ask(COUNT).startswith("2 of")
        browser.press("w", "ArrowRight", "4", "u")
        assert browser.ask(WHERE) == f"Pair 3 of {count}" and browser.ask(COUNT).startswith("2 of")
        browser.press("ArrowLeft", "ArrowLeft", "k")
        assert browser.ask(WHERE) == f"Pair 1 of {count}" and "no pair before" in browser.ask(STATUS)
        browser.press("z", "c", "i", "s", "l")
        assert browser.ask("document.getElementById('zoomed').textContent") == "2x"
        assert "invert" in browser.ask("document.querySelector('.pane img').style.filter")
        browser.press("g")
        assert browser.ask(WHERE) == f"Pair 3 of {count}"
    with Browser(tmp_path / "profile", tmp_path) as browser:
        browser.open(page)
        assert browser.ask(COUNT).startswith("2 of") and "still here" in browser.ask(STATUS)
        browser.press("ArrowLeft")
        assert browser.ask("document.getElementById('note').value") == HOSTILE
        assert browser.ask("document.getElementById('withhold').checked")
        assert browser.ask("document.scripts.length") == 2 and browser.complaints == []
        browser.ask("document.getElementById('reviewer').focus()")
        browser.type("Dr. C")
        browser.press("Escape", "e")
        draft = browser.downloaded()
        assert f"{count - 2} pairs are still open" in browser.ask(STATUS)
    assert json.loads(draft.read_text())["answers"][1]["note"] == HOSTILE
    assert run(["review", str(work / "A"), "--apply", str(draft), "--out", str(tmp_path / "R")]) == 1
    assert not (tmp_path / "R").exists()
    with Browser(tmp_path / "another profile", tmp_path / "elsewhere") as browser:
        browser.open(page)
        assert browser.ask(COUNT).startswith("0 of")
        browser.give("#load", draft)
        browser.wait(f"{COUNT}.startsWith('2 of')")
        strange = parts.save(tmp_path / "strange", {"page": "another", "answers": []})
        browser.give("#load", strange)
        browser.wait(f"{STATUS}.includes('nothing was changed')")
        assert browser.ask(COUNT).startswith("2 of")


@pytest.mark.slow
def test_nothing_leaves_the_page_and_nothing_else_runs_in_it(work: Path, tmp_path: Path) -> None:
    """Two listeners wait for the same attempts: of a page without the policy, and of ours."""
    bare = parts.save(tmp_path / "bare.html", "<!doctype html><title>bare</title><body></body>")
    with (
        socket.create_server(("127.0.0.1", 0)) as open_ear,
        socket.create_server(("127.0.0.1", 0)) as ear,
        Browser(tmp_path / "profile", tmp_path) as browser,
    ):
        browser.open(bare.as_uri())
        browser.ask(attempts(open_ear))
        assert b"HTTP/1.1" in heard(open_ear)
        assert browser.ask("window.ran") == 1
        browser.open((work / "A.review" / PAGE).as_uri())
        browser.ask(attempts(ear))
        assert heard(ear) == b""
        assert not browser.ask("window.ran")
        assert sum("Content Security Policy" in one for one in browser.complaints) >= 5


def heard(ear: socket.socket) -> bytes:
    """What callers said within a second or so; Chromium may call ahead of a frame's policy and then say nothing."""
    ear.settimeout(1)
    said = b""
    while True:
        try:
            caller = ear.accept()[0]
        except TimeoutError:
            return said
        with caller:
            caller.settimeout(0.5)
            with suppress(TimeoutError):
                said += caller.recv(200)


def attempts(ear: socket.socket) -> str:
    """A script that tries every way out of a page towards a listener, and to run a script of its own."""
    place = f"http://127.0.0.1:{ear.getsockname()[1]}"
    return (
        "{ const add = (name, facts) => document.body.append(Object.assign(document.createElement(name), facts));"
        f" new Image().src = '{place}/i'; add('iframe', {{ src: '{place}/f' }});"
        f" add('link', {{ rel: 'stylesheet', href: '{place}/l' }}); fetch('{place}/x').catch(() => 0);"
        f" navigator.sendBeacon('{place}/b', 'pixels'); add('script', {{ textContent: 'window.ran = 1' }}); 0 }}"
    )


@pytest.mark.slow
def test_it_fits_a_phone_the_dark_and_paper_and_says_what_it_shows(work: Path, tmp_path: Path) -> None:
    with Browser(tmp_path / "profile", tmp_path) as browser:
        browser.open((work / "A.review" / PAGE).as_uri())
        grounds = []
        for dark in (False, True):
            browser.resize(360, 740, dark=dark)
            assert browser.ask("document.documentElement.scrollWidth") == 360
            grounds.append(browser.ask("getComputedStyle(document.body).backgroundColor"))
            bar = browser.ask("document.querySelector('.answers').getBoundingClientRect().bottom")
            assert 0 < bar <= 741  # the answers are in reach of a thumb
        assert grounds[0] == "rgb(255, 255, 255)" != grounds[1]
        browser.resize(1280, 900)
        alt = browser.ask("[...document.images].map((one) => one.alt)")
        assert len(alt) == 4 and sum(bool(one) for one in alt) == 3 and "Synthetic image of pair 1" in alt
        assert browser.ask("document.getElementById('status').getAttribute('aria-live')") == "polite"
        assert browser.ask("document.querySelectorAll('h1').length") == 1
        browser.press("Tab")
        assert browser.ask("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        fields = "[...document.querySelectorAll('button, input, textarea')]"
        named = "one.textContent.trim() || (one.labels && one.labels.length)"
        assert browser.ask(f"{fields}.length") > 15 and browser.ask(f"{fields}.every((one) => {named})")
        browser.resize(1280, 900, media="print")
        assert browser.ask("getComputedStyle(document.querySelector('.banner')).position") == "static"
        assert browser.ask("getComputedStyle(document.querySelector('details')).display") == "none"
        assert browser.pdf().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--train and --synthetic"),
        (["--train", "T"], "--train and --synthetic"),
        (["--train", "T", "--synthetic", "S", "--page", "P"], "--page goes with --apply"),
        (["--apply", "v.json", "--train", "T"], "leave them out"),
    ],
)
def test_a_wrong_call_is_one_line_and_exit_2(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["review", str(tmp_path / "A"), *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
