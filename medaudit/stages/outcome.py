"""What a stage hands back to the command line."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Outcome:
    """Lines for people, data for machines, the artifact written, and the exit code (0 unless a verdict)."""

    lines: tuple[str, ...]
    data: Mapping[str, Any] = field(default_factory=dict)
    path: Path | None = None
    exit_code: int = 0
