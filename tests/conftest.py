"""What several tests share: where the real films are, and one thread per worker for steady numbers."""

import os
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real films; tests that need it are skipped, by name, where it is absent."""
    folder = Path(os.environ.get("MEDAUDIT_REAL_DATA", ROOT / ".." / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("real films are absent: set MEDAUDIT_REAL_DATA")
    return folder


@pytest.fixture(scope="module")
def records_by_hand() -> Iterator[None]:
    """Findings that a test made up to see them printed: their numbers need not agree with their tables.

    That medaudit refuses such findings is tested in stages/test_stage_forged.
    """
    nothing = {name: lambda *_: iter(()) for name in ("contradictions", "extraction_contradictions")}
    with mock.patch.multiple("medaudit.protocol.recheck", **nothing):
        yield
