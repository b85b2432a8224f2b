"""The record of the machine: its kind, and a hash that anyone can make again from the versions; no name."""

import getpass
import hashlib
import json
import platform
import subprocess
import sys
from importlib.metadata import version

import pytest

from medaudit.artifacts import environment as under_test
from medaudit.artifacts.environment import environment


def test_kind_of_machine_and_hash_of_the_packages() -> None:
    found = environment("cuda:1")
    assert found["processor"] == "cuda" and found["architecture"] == platform.machine()
    assert found["packages"] > 20 and found == environment("cuda:0")
    packages = under_test._packages()
    assert packages["numpy"] == version("numpy") and "pytest" not in packages
    lines = "".join(f"{name}=={packages[name]}\n" for name in sorted(packages))
    assert found["packages_sha256"] == hashlib.sha256(lines.encode()).hexdigest()


def test_another_version_gives_another_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    before = environment("cpu")["packages_sha256"]
    packages = under_test._packages()
    monkeypatch.setattr(under_test, "_packages", lambda: {**packages, "numpy": "0.0.1"})
    assert environment("cpu")["packages_sha256"] != before
    monkeypatch.setattr(under_test, "_packages", dict)
    assert environment("cpu")["packages_sha256"] is None


def test_nothing_names_the_machine_or_its_user() -> None:
    told = json.dumps(environment("cpu"))
    assert platform.node() not in told and getpass.getuser() not in told.split('"')


def test_it_loads_nothing_heavy() -> None:
    code = (
        "import sys, medaudit.artifacts.environment as e; e.environment('cpu'); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
