"""The page can be read: contrast by WCAG 2.1, headings in order, words for every picture; in a browser, any width."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib.resources import files
from itertools import pairwise, product
from pathlib import Path

import pytest
import report_samples as samples
from browser import Browser, chromium

from medaudit.render import build
from medaudit.render.figures import INK, QUIET, WRITTEN
from medaudit.render.html import print_html
from medaudit.render.pdf import print_pdf

CSS = files("medaudit.render").joinpath("templates/report.css").read_text(encoding="utf-8")


def palettes() -> Iterator[dict[str, str]]:
    """The colours of light, dark and print, by name."""
    for block in re.findall(r":root \{([^}]*)\}", CSS):
        yield dict(re.findall(r"--([\w-]+): (#[0-9a-f]{3,6})", block))


def luminance(colour: str) -> float:
    # WCAG 2.1, relative luminance
    digits = colour[1:] if len(colour) == 7 else "".join(2 * one for one in colour[1:])
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_every_text_stands_out_in_light_dark_and_print() -> None:
    found = list(palettes())
    assert len(found) == 3 and contrast("#000", "#ffffff") == pytest.approx(21)
    for colours in found:
        pairs = list(product(("ink", "quiet"), ("paper", "wash")))
        pairs += [(name, f"{name}-wash") for name in ("stop", "go", "wait")] + [("stop", "paper")]
        low = {pair: contrast(colours[pair[0]], colours[pair[1]]) for pair in pairs}
        assert min(low.values()) >= 4.5, low


def test_letters_in_charts_stand_out() -> None:
    colours = [INK, QUIET, *WRITTEN.values()]
    assert min(contrast(colour.lower(), "#ffffff") for colour in colours) >= 4.5


@pytest.mark.parametrize("case", ["refused", "supported", "inconclusive"])
def test_headings_go_down_one_level_at_a_time_and_pictures_have_words(case: str) -> None:
    html = print_html(samples.document(case, case == "refused"))
    levels = [int(level) for level in re.findall(r"<h([1-6])[ >]", html)]
    assert levels[0] == 1 and levels.count(1) == 1 and len(levels) > 20
    assert all(after - before <= 1 for before, after in pairwise(levels))
    alts = re.findall(r'<img [^>]*alt="([^"]*)"', html)
    assert len(alts) == html.count("<img ") and all(len(alt) > 20 for alt in alts)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A full report with names that are long, written from the right, or hostile; skipped without a browser."""
    chromium()
    names = {
        "institution": "Krankenhausbetriebsgesellschaft" * 5 + " مستشفى الجامعة",
        "protocol": '"><script>document.title="hit"</script> בית חולים',
    }
    summary = samples.summary("refused", samples.extraction()).model_copy(update=names)
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(print_html(build.shareable(summary)), encoding="utf-8")
    return path


@pytest.mark.slow
def test_it_fits_any_width_asks_for_nothing_and_runs_nothing(page: Path, tmp_path: Path) -> None:
    with Browser(tmp_path / "profile", tmp_path) as browser:
        browser.open(page.as_uri())
        for width in (1280, 768, 360, 320):
            for dark in (False, True):
                browser.resize(width, 900, dark=dark)
                assert browser.ask("document.documentElement.scrollWidth") <= width, width
        assert browser.ask("document.title").startswith("Release audit")
        assert not [url for url in browser.requests if not url.startswith(("file:", "data:"))]
        browser.press("Tab")
        assert browser.ask("document.activeElement.tagName") == "PRE"  # what scrolls sideways can be reached


@pytest.mark.slow
def test_on_paper_the_board_reads_two_pages(tmp_path: Path) -> None:
    plain = tmp_path / "plain.html"
    plain.write_text(print_html(samples.document("refused", True)), encoding="utf-8")
    with Browser(tmp_path / "profile", tmp_path) as browser:
        browser.open(plain.as_uri())
        printed = browser.pdf()
    (tmp_path / "printed.pdf").write_bytes(printed)
    reader = shutil.which("pdftotext")
    if reader is None:
        pytest.skip("no pdftotext")
    done = subprocess.run(
        [reader, str(tmp_path / "printed.pdf"), "-"], capture_output=True, text=True, check=True
    )
    pages = done.stdout.split("\f")
    assert "How close the images come" in pages[0] and "Sign-off" in pages[1] and "Appendix" in pages[2]


@pytest.mark.parametrize("name", ["x" * 300, "f0" * 32, "Krankenhausbetriebsgesellschaft" * 6])
def test_no_word_leaves_its_place_in_the_pdf(name: str, tmp_path: Path) -> None:
    reader = shutil.which("pdftotext")
    if reader is None:
        pytest.skip("no pdftotext")
    summary = samples.summary().model_copy(update={"institution": name, "protocol": name})
    (tmp_path / "report.pdf").write_bytes(print_pdf(build.shareable(summary)))
    call = [reader, "-bbox", "-l", "1", str(tmp_path / "report.pdf"), "-"]
    words = subprocess.run(call, capture_output=True, text=True, check=True).stdout
    ends = [float(one) for one in re.findall(r'xMax="([\d.]+)"', words)]
    assert len(ends) > 100 and max(ends) <= 595.3 - 19 / 25.4 * 72 + 1  # A4 less its margin, in points
    header = re.findall(r'xMin="([\d.]+)" yMin="([\d.]+)" xMax="([\d.]+)" yMax="[\d.]+">([^<]*)<', words)
    left = [float(end) for start, _, end, word in header if len(word) >= 18 and float(start) < 250]
    if len(name) <= 80:  # longer ones have the whole line
        assert left and max(left) < 297  # the left column of the head ends before the right one begins
