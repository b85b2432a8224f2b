"""The report and the review page as people meet them, in headless Chromium: on a phone, in the dark, on paper.

Colours are those that the browser computed; contrast as in WCAG 2.2, 1.4.3.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import report_samples as samples
from browser import Browser, chromium

from medaudit.artifacts.review import LONGEST_NAME, LONGEST_NOTE, REASONS, VERDICTS_SCHEMA
from medaudit.render.html import print_html
from medaudit.render.review_page import Shown, print_page
from medaudit.writers.raster import grey_webp

# Every text that is seen: its colour and the ground below it, as [r, g, b], its size in px and whether it is bold.
TEXTS = """(() => {
  const canvas = document.createElement("canvas"); canvas.width = canvas.height = 1;
  const draw = canvas.getContext("2d", { willReadFrequently: true });
  const over = (colours) => {
    draw.clearRect(0, 0, 1, 1);
    for (const one of colours) { draw.fillStyle = one; draw.fillRect(0, 0, 1, 1); }
    return [...draw.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.getClientRects().length) continue;
    if (["SCRIPT", "STYLE", "NOSCRIPT"].includes(element.tagName)) continue;
    if (element.closest(":disabled")) continue;
    const grounds = [], style = getComputedStyle(element);
    for (let up = element; up; up = up.parentElement) grounds.unshift(getComputedStyle(up).backgroundColor);
    const below = [getComputedStyle(document.documentElement).colorScheme.includes("dark") &&
      matchMedia("(prefers-color-scheme: dark)").matches ? "rgb(18, 18, 18)" : "rgb(255, 255, 255)", ...grounds];
    found.push({ text: walker.currentNode.data.trim().slice(0, 40), colour: over([...below, style.color]),
      ground: over(below), size: parseFloat(style.fontSize), bold: Number(style.fontWeight) >= 700 });
  }
  return found;
})()"""
WIDER = """[...document.querySelectorAll("body *")].filter((one) => {
  const box = one.getBoundingClientRect();
  return box.width > 1 && box.right > document.documentElement.clientWidth + 1 && !one.closest("pre");
}).map((one) => one.tagName + "." + one.className)"""  # what is in a pre scrolls by itself
SEEN_FIELDS = """[...document.querySelectorAll("button, input, textarea, select, summary, [role=toolbar]")]
  .filter((one) => one.getClientRects().length).map((one) => one.id || one.textContent.trim())"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    chromium()
    folder = tmp_path_factory.mktemp("pages")
    for name in ("refused", "supported"):
        text = print_html(samples.document(name, extracted=name == "refused"))
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    rng = np.random.Generator(np.random.Philox(3))
    shown = [
        Shown(f"{n:016x}", *rng.integers(0, 256, (2, 40, 40), dtype=np.uint8), None, "") for n in range(5)
    ]
    text = print_page("ab" * 32, shown, REASONS, VERDICTS_SCHEMA, (LONGEST_NOTE, LONGEST_NAME), grey_webp)
    (folder / "review.html").write_text(text, encoding="utf-8")
    return {path.stem: path for path in folder.glob("*.html")}


@pytest.fixture(params=["refused", "supported", "review"])
def page(request: pytest.FixtureRequest, pages: dict[str, Path], tmp_path: Path) -> Any:
    with Browser(tmp_path / "profile", tmp_path) as browser:
        browser.open(pages[request.param].as_uri())
        yield browser, pages[request.param]


def contrast(one: dict[str, Any]) -> float:
    """(L1 + 0.05) / (L2 + 0.05) of the relative luminances. WCAG 2.2."""

    def luminance(colour: list[int]) -> float:
        parts = np.array(colour) / 255
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ (0.2126, 0.7152, 0.0722))

    high, low = sorted((luminance(one["colour"]), luminance(one["ground"])), reverse=True)
    return (high + 0.05) / (low + 0.05)


def too_faint(texts: list[dict[str, Any]]) -> list[str]:
    """Texts under the least contrast for their size: 4.5, or 3 from 24 px, bold from 18.66 px."""
    large = [one["size"] >= 24 or (one["bold"] and one["size"] >= 18.66) for one in texts]
    return [
        f"{one['text']!r}: {contrast(one):.2f}"
        for one, is_large in zip(texts, large, strict=True)
        if contrast(one) < (3 if is_large else 4.5)
    ]


@pytest.mark.slow
def test_every_text_can_be_read_by_day_and_in_the_dark(page: tuple[Browser, Path]) -> None:
    browser, _ = page
    grounds = []
    for dark in (False, True):
        browser.resize(1280, 900, dark=dark)
        texts = browser.ask(TEXTS)
        assert len(texts) > 25 and too_faint(texts) == []
        grounds.append(texts[-1]["ground"])
        # the measure would fire: grey on grey
        browser.ask("document.querySelector('h1').style.color = 'rgb(128, 128, 128)'")
        browser.ask("document.querySelector('h1').style.background = 'rgb(120, 120, 120)'")
        assert len(too_faint(browser.ask(TEXTS))) >= 1
        browser.ask("document.querySelector('h1').removeAttribute('style')")
    assert sum(grounds[0]) > 700 and sum(grounds[1]) < 200  # it was dark indeed


@pytest.mark.slow
@pytest.mark.parametrize("width", [360, 768, 1280])
def test_nothing_scrolls_sideways(page: tuple[Browser, Path], width: int) -> None:
    browser, _ = page
    browser.resize(width, 740)
    assert browser.ask("document.documentElement.scrollWidth") <= width
    assert browser.ask(WIDER) == []


@pytest.mark.slow
def test_paper_shows_nothing_to_press_and_all_there_is_to_read(page: tuple[Browser, Path]) -> None:
    browser, path = page
    on_screen = browser.ask(SEEN_FIELDS)
    assert (len(on_screen) > 10) is (path.stem == "review")
    if path.stem == "review":
        browser.press("3", "1", "ArrowLeft", "w", "n")
        browser.type("the scapula differs")
        browser.press("Escape")
    browser.resize(1280, 900, media="print", dark=True)
    assert browser.ask(SEEN_FIELDS) == []
    texts = browser.ask(TEXTS)
    assert too_faint(texts) == [] and len(texts) > 5
    if path.stem == "review":  # what was answered is on the paper though no button is
        said = browser.ask("document.getElementById('said').innerText")
        assert said.startswith("Answer: not a copy: the anatomy differs") and "To be left out." in said
        assert said.endswith("Note: the scapula differs")
    ground = browser.ask("getComputedStyle(document.body).backgroundColor")
    assert ground in ("rgb(255, 255, 255)", "rgba(0, 0, 0, 0)")  # ink is not spent on a dark page
    assert browser.pdf().startswith(b"%PDF")


@pytest.mark.slow
def test_the_page_asks_for_nothing_but_itself(page: tuple[Browser, Path]) -> None:
    browser, path = page
    browser.look(1280, 900)
    assert [one for one in browser.requests if not one.startswith("data:image/")] == [path.as_uri()]
    assert browser.complaints == []
