"""What the tests of sources share: one call of ingest or inspect, what it said, and what stands in the manifest."""

import json
from pathlib import Path

import pytest
from reader_files import write_png

from medaudit.artifacts.cohort import open_cohort
from medaudit.cli.app import run

Screen = pytest.CaptureFixture[str]


def ingest(screen: Screen, source: Path, *options: str, out: str = "C") -> tuple[int, str]:
    """Exit code, and what stands on the screen; however many images are refused."""
    code = run(["ingest", str(source), "--out", str(source.parent / out), "-q", "--accept-refused", *options])
    said = screen.readouterr()
    return code, said.out + said.err


def inspected(screen: Screen, source: Path, *options: str) -> dict:
    assert run(["inspect", str(source), "--json", *options]) == 0
    return json.loads(screen.readouterr().out)


def refused(folder: Path) -> dict[str, int]:
    return open_cohort(folder).artifact.manifest["refused"]["counts"]


def patients(folder: Path) -> list[str | None]:
    return list(open_cohort(folder).patients)


def nih_named(folder: Path, count: int) -> None:
    for i in range(count):
        write_png(folder / f"{i + 1:08d}_000.png", salt=i)
