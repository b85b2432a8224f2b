"""YAML that a stranger may have written: plain values, or one line that names the line and quotes nothing."""

import os
import time
from pathlib import Path

import pytest

from medaudit.errors import ConfigProblem, SourceMissing
from medaudit.plain_yaml import parse_yaml, read_yaml


def chain(begin: str, link: str) -> bytes:
    """Nine names, each holding the one before it nine times: 9 ** 9 values once unfolded."""
    lines = [f"a: &a {begin}"]
    for before, name in zip("abcdefgh", "bcdefghi", strict=True):
        lines.append(f"{name}: &{name} " + link.format(", ".join([f"*{before}"] * 9)))
    return "\n".join(lines).encode()


HOSTILE: dict[str, tuple[bytes, str]] = {
    "nested in a line": (b"a: " + b"[" * 100_000, "line 1: more than 40 values within each other"),
    "nested in lines": (b"".join(b" " * n + b"a:\n" for n in range(400)), "line 40: more than 40"),
    "a number of 100,000 digits": (b"steps: " + b"9" * 100_000, "line 1: a value that cannot be read"),
    "a hexadecimal one": (b"steps: 0x" + b"f" * 100_000, "line 1: a value that cannot be read"),
    "one in sixties": (b"steps: " + b"1:" * 5000 + b"1", "line 1: a value that cannot be read"),
    "aliases that unfold": (chain("[x]", "[{}]"), "line 2: an alias (*name) is not read; write the value out"),
    "merged keys that unfold": (chain("{x: 1}", "{{<<: [{}]}}"), "line 2: an alias"),
    "a list of itself": (b"&a [*a]", "line 1: an alias"),
    "a key twice": (b"steps: 3\nbatch: 4\nsteps: 5\n", "line 3: a key that was given before"),
    "a day that is none": (b"\nalpha: 2020-99-99", "line 2: a value that cannot be read"),
    "a truth that is none": (b"alpha: !!bool maybe", "line 1: a value that cannot be read"),
    "a number that is none": (b"alpha: !!int ''", "line 1: a value that cannot be read"),
    "a time that is none": (b"alpha: !!timestamp foo", "line 1: a value that cannot be read"),
    "code": (b"!!python/object/apply:os.system ['true']", "line 1: a value or tag that is not read"),
    "a list that says it is a mapping": (b"a: !!map [x, y, z]", "line 1: a value or tag that is not read"),
    "a word that says it is a mapping": (b"!!map word", "line 1: a value or tag that is not read"),
    "a list as a key": (b"? [a]\n: 3", "line 1: a value or tag that is not read"),
    "two documents": (b"steps: 1\n---\nsteps: 2", "line 2: a second document; give one"),
    "not closed": (b"a: [SECRET\n", "it cannot be understood"),
    "Latin-1": ("steps: é".encode("latin-1"), "it is not in UTF-8"),
    "UTF-16": ("steps: 3".encode("utf-16"), "it is not in UTF-8"),
    "a null": (b"steps: \0", "a character that no text has"),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_text_is_refused_at_once_with_its_line(name: str) -> None:
    data, words = HOSTILE[name]
    began = time.monotonic()
    with pytest.raises(ConfigProblem) as caught:
        parse_yaml(data, "c.yaml")
    assert time.monotonic() - began < 5
    said = str(caught.value)
    assert said.startswith("c.yaml is not valid YAML: ") and words in said
    assert "SECRET" not in said and "\n" not in said and len(said) < 200


def test_plain_values_come_as_they_stand() -> None:
    text = "﻿a: 1\nb: [1.5, yes, word]\nc: {d: null}\ne: &anchor 7\n"  # a byte order mark, and a name that nobody uses
    assert parse_yaml(text.encode(), "c.yaml") == {"a": 1, "b": [1.5, True, "word"], "c": {"d": None}, "e": 7}
    assert parse_yaml(b"", "c.yaml") is None
    assert parse_yaml(b"{" * 0 + b"a: " + b"[" * 30 + b"]" * 30, "c.yaml")["a"] != []


def test_what_is_no_plain_file_of_a_configs_size(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "none.yaml", tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(SourceMissing):
            read_yaml(path, "c.yaml")
    (tmp_path / "long.yaml").write_bytes(b"a: 1\n" * 100_000)
    with pytest.raises(ConfigProblem, match="larger than 128 KiB"):
        read_yaml(tmp_path / "long.yaml", "c.yaml")
