"""What the tests of review share: an audit with two flagged near-copies, and reviewers who answer by the key."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import audit_parts as parts
import numpy as np

from medaudit.artifacts.review import KEY
from medaudit.images import transforms as edit
from medaudit.stages import audit

COPIED = (3, 6)  # patients of T whose films S holds, hardly changed
CANARY = "Dr. Canary Reviewer"


def audited(folder: Path) -> Path:
    """T, H, S and A in the folder: rows 0 and 1 of S are near-copies, the others are of people nobody knows."""
    copies = np.stack([edit.gamma(film, 1.1) for film in parts.films(COPIED)]).astype(np.float32)
    synthetic = np.concatenate([copies, parts.films(range(800, 840))])
    train, holdout, made = parts.usual(folder, synthetic)
    audit.run(
        train, holdout, made, folder / "A", parts.settings(required_kinds=("identity", "gamma-0.6", "mirror"))
    )
    return folder / "A"


def verdicts(
    page: Path,
    flagged: str | Mapping[int, str] = "not-a-copy",
    *,
    reviewer: str = CANARY,
    missed: int = 0,
    **facts: Any,
) -> dict[str, Any]:
    """What a reviewer with the key would export: controls as they are, but `missed` planted copies taken for none.

    flagged: the answer to flagged pairs, or by row of S.
    """
    key = json.loads((page / KEY).read_text())
    answers = []
    for item in key["items"]:
        if item["control"] == "planted":
            said = "not-a-copy" if missed > 0 else "copy"
            missed -= 1
        elif item["control"]:
            said = "not-a-copy"
        else:
            said = flagged if isinstance(flagged, str) else flagged.get(item["synthetic_id"], "copy")
        reason = "anatomy" if said == "not-a-copy" else None
        answers.append(
            {"item": item["item"], "answer": said, "reason": reason, "note": "", "withhold": False}
        )
    body = {
        "schema": "medaudit.verdicts/1", "page": key["page"], "reviewer": reviewer, "named_as": "chest radiologist",
        "date": "2026-01-31", "answers": answers,
    }  # fmt: skip
    return {**body, **facts}


def save(path: Path, body: Any) -> Path:
    path.write_text(body if isinstance(body, str) else json.dumps(body))
    return path
