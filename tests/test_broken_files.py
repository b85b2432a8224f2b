"""A few of the broken files of benchmarks/fuzz.py: each is read or refused in one line, and nothing is lost."""

import contextlib
import io
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "benchmarks"))

import fuzz
import fuzz_cases as cases
import fuzz_mutations as mutations
import fuzz_seeds as seeds

from medaudit.cli.app import run

FILES = 12


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("site")
    (base / "films").mkdir()
    for number, data in enumerate(seeds.pictures("PNG")[:4]):
        (base / "films" / f"{number}.png").write_bytes(data)
    (base / "site.key").write_text(cases.KEY)
    (base / "site.key").chmod(0o600)
    return base


@pytest.mark.parametrize("kind", ["DICOM", "PNG", "JPEG", "TIFF", "npz", "CSV", "YAML"])
def test_broken_files_are_read_or_refused(kind: str, site: Path, tmp_path: Path) -> None:
    results = []
    for number in range(FILES):
        folder = tmp_path / str(number)
        folder.mkdir()
        case = cases.KINDS[kind](site, folder, number, cases.draw_of(7, kind, number))
        before, said = {path.name for path in folder.iterdir()}, io.StringIO()
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            code = run([*case.arguments, "-q"])
        results.append(fuzz.judged(case, code, said.getvalue(), before))
    assert [why for result, why in results if result == "defect"] == []
    assert "refused" in {result for result, _ in results}


def test_the_same_seed_breaks_the_same_way() -> None:
    def all_of(seed: int) -> list[bytes]:
        draw = cases.draw_of(seed, "PNG", 3)
        text = [
            mutations.mutated_text(seeds.configs(), draw),
            mutations.mutated_json([b'{"a": [1, {"b": 2}]}'], draw),
        ]
        return [*(mutations.mutated(seeds.pictures("PNG"), draw, seeds.SHAPE) for _ in range(20)), *text]

    assert all_of(1) == all_of(1) != all_of(2)
    assert len(set(all_of(1))) >= 15


def test_what_is_no_answer_is_a_defect(tmp_path: Path) -> None:
    case = cases.Case(["ingest", "x", "--out", str(tmp_path / "C")], tmp_path / "C")
    assert fuzz.judged(case, 1, "NothingReadable: nothing\n", set()) == ("refused", "NothingReadable")
    assert fuzz.judged(case, 1, "Defect: ValueError at x.py:3\n", set())[0] == "defect"
    assert fuzz.judged(case, 1, "one\ntwo\n", set())[0] == "defect"
    assert fuzz.judged(case, 139, "NothingReadable: nothing\n", set())[0] == "defect"
    (tmp_path / ".C.partial").mkdir()
    assert fuzz.judged(case, 1, "NothingReadable: nothing\n", set())[1] == "left behind: .C.partial"
    (tmp_path / ".C.partial").rename(tmp_path / "C")
    assert fuzz.judged(case, 0, "", set())[1].startswith("a result that is not whole")
