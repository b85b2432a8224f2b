"""Manifests from anybody: what does not fit is no manifest, told in one line by whatever command opens it."""

import json
from pathlib import Path
from typing import Any

import pytest

from medaudit.artifacts.manifests import parsed
from medaudit.artifacts.store import Draft, Request, open_artifact
from medaudit.errors import ArtifactBroken

ENVIRONMENT = {
    "system": "Linux", "architecture": "x86_64", "processor": "cpu", "python": "3.11", "packages": 3,
    "packages_sha256": None,
}  # fmt: skip


def made(tmp_path: Path) -> dict[str, Any]:
    with Draft(tmp_path / "A", Request("findings", {"alpha": 0.05}, 3, {"train": "ab" * 32})) as draft:
        draft.file("a.txt").write_text("x")
        draft.commit(
            refused={"counts": {"colour": 1}, "files": [["b.png", "colour"]]}, environment=ENVIRONMENT
        )
    return json.loads((tmp_path / "A" / "manifest.json").read_bytes())


WRONG: dict[str, Any] = {
    "files": [[], {"a.txt": 3}, "x", None],
    "lineage": [{"train": ["ab"]}, {"train": None}, []],
    "settings": [None, [], 3],
    "versions": [None, "x", {"numpy": 2}, {"numpy": "2" * 1000}],
    "seed": ["NaN", [], 1.5, True],
    "refused": [[], {"counts": []}, {"counts": {"a": "b"}}, {"files": [["a"]]}, {"files": [["a", 1]]}, {"files": {}}],
    "environment": [[], "x", {"system": "Linux"}, {**ENVIRONMENT, "packages": None}, {**ENVIRONMENT, "python": 3}],
    "kind": [None, [], 3],
    "request": [None, {}],
    "rows": ["3", True, None, [1]],
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(WRONG))
def test_a_value_of_another_type_is_damage(name: str, tmp_path: Path) -> None:
    manifest = made(tmp_path)
    assert parsed(json.dumps(manifest).encode()) == manifest
    for value in WRONG[name]:
        (tmp_path / "A" / "manifest.json").write_text(json.dumps({**manifest, name: value}))
        with pytest.raises(ArtifactBroken, match=r"manifest\.json cannot be read"):
            open_artifact(tmp_path / "A")


@pytest.mark.parametrize("name", ["schema", "kind", "request", "files", "lineage", "settings", "versions"])
def test_what_every_manifest_states_must_be_there(name: str, tmp_path: Path) -> None:
    manifest = made(tmp_path)
    del manifest[name]
    assert parsed(json.dumps(manifest).encode()) is None


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\xff",
        b"[" * 100_000,
        b"9" * 100_000,
        b"NaN",
        b'{"a": 1e999}',
        b'{"a": -Infinity}',
        b"[]",
        b"null",
    ],
)
def test_text_that_is_no_manifest(text: bytes) -> None:
    assert parsed(text) is None


def test_a_number_that_json_does_not_have(tmp_path: Path) -> None:
    manifest = made(tmp_path)
    text = json.dumps({**manifest, "settings": {"alpha": 0.125}})
    assert parsed(text.encode()) is not None
    for number in ("NaN", "Infinity", "1e999"):
        assert parsed(text.replace("0.125", number).encode()) is None
