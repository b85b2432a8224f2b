"""The floors of the house: a folder is what its code may know, and imports only go down.

The test reads every import of the package, wherever it stands in the file, and holds it against the plan.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "medaudit"

FLOOR = {
    "errors": 0,
    "seeds": 0,
    "progress": 0,
    "images": 0,
    "stats": 0,
    "plain_yaml": 1,
    "config": 1,
    "devices": 1,
    "checkpoints": 1,
    "regular": 1,
    "artifacts": 1,
    "readers": 2,
    "linting": 2,
    "writers": 2,
    "generators": 2,
    "search": 2,
    "detectors": 2,
    "render": 2,
    "protocol": 3,
    "stages": 4,
    "cli": 5,
}

# What each room may import from outside the standard library.
FOREIGN = {
    "errors": set(),
    "progress": set(),
    "seeds": {"numpy"},
    "images": {"numpy", "scipy", "skimage"},
    "stats": {"numpy", "scipy"},
    "plain_yaml": {"yaml"},
    "config": {"pydantic"},
    "devices": {"torch"},
    "checkpoints": {"torch", "safetensors"},
    "regular": set(),
    "artifacts": {"numpy", "pyarrow", "pydantic", "safetensors", "cryptography"},
    "readers": {"numpy", "pydicom", "PIL", "tifffile", "yaml", "gdcm", "pyarrow"},
    "linting": {"numpy", "pydicom", "PIL"},
    "writers": {"numpy", "pydicom", "PIL", "rapidocr"},
    "generators": {"numpy", "torch", "diffusers", "monai", "safetensors", "accelerate", "pydantic", "yaml"},
    "search": {"numpy", "torch", "ray", "networkx", "numba"},
    "detectors": {"numpy", "scipy", "skimage", "torch", "safetensors"},
    "render": {"numpy", "pyarrow", "yaml", "jinja2", "markupsafe", "matplotlib", "typst", "pydantic"},
    "protocol": {"numpy", "pyarrow"},
    "stages": {"numpy", "pyarrow"},
    "cli": {"typer", "rich"},
}

# Words of the world outside that floor 0 must not know.
FORBIDDEN_ON_FLOOR_0 = {
    "pathlib",
    "os",
    "time",
    "datetime",
    "random",
    "io",
    "tempfile",
    "shutil",
    "subprocess",
}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(source: str) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import in line {node.lineno}: write the whole name"
            if node.module == "medaudit":
                for alias in node.names:
                    yield f"medaudit.{alias.name}", node.lineno
            else:
                yield node.module or "", node.lineno


def complaints(room: str, source: str) -> list[str]:
    """What is wrong with the imports of one file of the room named."""
    import sys

    found = []
    for name, line in imports_of(source):
        top, *rest = name.split(".")
        if top == "medaudit":
            other = rest[0] if rest else ""
            if other in ("", "__version__") or other == room:
                continue
            if other not in FLOOR:
                found.append(f"line {line}: {name} is in no room of the plan")
            elif FLOOR[other] > FLOOR[room]:
                found.append(f"line {line}: {room} looks up to {other}")
            elif FLOOR[other] == FLOOR[room] == 2:
                found.append(f"line {line}: {room} and {other} do not know each other")
        elif top in sys.stdlib_module_names:
            if FLOOR[room] == 0 and top in FORBIDDEN_ON_FLOOR_0:
                found.append(f"line {line}: floor 0 does not know {top}")
        elif top not in FOREIGN[room]:
            found.append(f"line {line}: {room} does not speak to {top}")
    return found


def test_every_room_is_on_the_plan() -> None:
    rooms = {room_of(path) for path in modules()} - {"__init__"}
    assert len(rooms) >= 12
    assert rooms <= set(FLOOR)


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_only_go_down(path: Path) -> None:
    room = room_of(path)
    if room == "__init__":
        assert not list(imports_of(path.read_text()))
        return
    assert complaints(room, path.read_text()) == []


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("stats", "from pathlib import Path"),
        ("stats", "import torch"),
        ("images", "from medaudit.artifacts.store import Draft"),
        ("artifacts", "def f():\n    import medaudit.stages.audit"),
        ("search", "from medaudit.detectors import DETECTORS"),
        ("stages", "from medaudit.cli import app"),
        ("cli", "from medaudit import attic"),
        ("render", "import torch.nn"),
    ],
)
def test_the_check_fires(room: str, source: str) -> None:
    assert len(complaints(room, source)) == 1


def test_floor_0_neither_prints_nor_uses_global_randomness() -> None:
    looked_at = 0
    for path in modules():
        room = room_of(path)
        if FLOOR.get(room) != 0:
            continue
        looked_at += 1
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in ("print", "open", "input"), f"{path.name}:{node.lineno} calls {called}"
                if called.startswith("np.random."):
                    assert called in ("np.random.Generator", "np.random.Philox"), f"{path.name}:{node.lineno}"
    assert looked_at >= 10


def test_stages_are_short() -> None:
    stages = sorted((PACKAGE / "stages").glob("*.py"))
    assert len(stages) >= 3
    long = {path.name: n for path in stages if (n := len(path.read_text().splitlines())) > 250}
    assert long == {}
