"""Names in tables → files: nothing outside is reached, and nothing is guessed between two."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medaudit.readers.naming import Files, inside

INSIDE = {
    "x.png": "x.png", "./a/x.png": "a/x.png", "a\\x.png": "a/x.png", " x.png ": "x.png", "a/../x.png": "x.png",
    "a//x.png": "a/x.png", "..x.png": "..x.png", "a/..b/x": "a/..b/x",
}  # fmt: skip
OUTSIDE = [
    "../x.png", "..\\x.png", "a/../../x.png", "/etc/passwd", "\\etc\\passwd", "C:\\x.png", "c:/x.png", "//host/x.png",
    "\\\\host\\x.png", "..", ".", "/", "/data/sources/x.png",
]  # fmt: skip


@pytest.mark.parametrize(("text", "name"), INSIDE.items())
def test_names_inside(text: str, name: str) -> None:
    assert inside(text) == inside(text, Path("/data/source")) == name


@pytest.mark.parametrize("text", OUTSIDE)
def test_names_that_lead_out(text: str) -> None:
    assert inside(text) is None and inside(text, Path("/data/source")) is None


def test_an_absolute_name_inside_the_source_is_a_name_inside() -> None:
    assert inside("/data/source/a/x.png", Path("/data/source")) == "a/x.png"
    assert inside("/data/source/../x.png", Path("/data/source")) is None


@pytest.mark.parametrize("ending", [".png", ".jpeg", ".tif", ".bmp", ".gif", ".webp", ".jp2", ".dcm", ".ima"])
def test_every_ending_of_an_image_may_be_left_out(ending: str) -> None:
    assert Files([f"a/x{ending}"]).find("x").file == f"a/x{ending}"


def test_with_and_without_ending_and_folders() -> None:
    files = Files(["images/a/x.png", "images/b/y.PNG", "images/b/z.dcm", "w"], ["notes/x.csv"])
    for name in (
        "images/a/x.png",
        "images/a/x",
        "a/x.png",
        "x",
        "X.png",
        "set/images/a/x.png",
        "set/images/a/X",
    ):
        assert files.find(name).file == "images/a/x.png", name
    assert files.find("y.png").file == "images/b/y.PNG"
    assert files.find("w.dcm").file == "w"  # a file without ending is named with one
    assert files.find("notes/x.csv").file == "notes/x.csv"
    for name in ("x.dcm", "c/x.png", "x.csv", "ax.png", "x.png/y", "images", "set/x.png"):
        assert files.find(name).file is None and not files.find(name).ambiguous, name


def test_nothing_is_guessed_between_two() -> None:
    files = Files(["a/x.png", "b/x.png", "c/y.png", "c/y.dcm", "v.png", "d/v.png"])
    assert files.find("a/x").file == "a/x.png"
    for name in ("x", "x.png", "y", "c/y"):
        assert files.find(name).file is None and files.find(name).ambiguous, name
    assert files.find("y.png").file == "c/y.png"
    assert files.find("v").file == "v.png"  # the very file, but for the ending
    assert files.find("d/v").file == "d/v.png"


def twin(name: str, files: list[str]) -> set[str]:
    """The files that a name could mean, by looking at each."""

    def parts(text: str) -> tuple[list[str], str]:
        stem, _, ending = text.rpartition(".")
        return (stem if stem else text).casefold().split("/"), ending.lower() if stem else ""

    wanted, ending = parts(name)
    fitting = []
    for file in files:
        have, other = parts(file)
        shorter = min(len(wanted), len(have))
        if (not ending or not other or ending == other) and wanted[-shorter:] == have[-shorter:]:
            fitting.append((have == wanted, file))
    return {file for same, file in fitting if same} or {file for _, file in fitting}


NAMES = st.builds(
    lambda parts, ending: "/".join(parts) + ending,
    st.lists(st.sampled_from("aAb"), min_size=1, max_size=3),
    st.sampled_from(["", ".png", ".dcm"]),
)


@given(st.lists(NAMES, unique=True, max_size=8), NAMES)
def test_the_index_finds_what_looking_at_each_file_finds(files: list[str], name: str) -> None:
    found, expected = Files(files).find(name), {name} if name in files else twin(name, files)
    assert found.file == (next(iter(expected)) if len(expected) == 1 else None)
    assert found.ambiguous == (len(expected) > 1)
