"""Tensors on disk: what the system refuses is told as the system's own error."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from medaudit.checkpoints import save_tensors

LIMITED = """
import resource, sys
from pathlib import Path
import torch
from medaudit.checkpoints import save_tensors
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
try:
    save_tensors({"a": torch.ones(10_000)}, Path(sys.argv[1]))
except OSError as error:
    print(error.errno)
"""


def test_what_the_system_refuses_is_its_own_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        save_tensors({"a": torch.ones(1000)}, tmp_path / "none" / "a")
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path / "a")], capture_output=True, text=True, check=False
    )
    assert done.stdout == f"{errno.EFBIG}\n", done.stderr


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    save_tensors({"a": torch.arange(5)}, tmp_path / "a.safetensors", {"state": "{}"})
    assert load_file(tmp_path / "a.safetensors")["a"].tolist() == [0, 1, 2, 3, 4]
