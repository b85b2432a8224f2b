"""The plan of an ingest: what the headers said, and the recipe that follows from it.

It is kept beside the draft, so that a resumed run goes on with the same recipe and need not look again.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medaudit.artifacts.store import write_whole
from medaudit.images.intensity import Fit
from medaudit.progress import SILENT, Progress
from medaudit.readers.batch import Recipe
from medaudit.readers.pool import Workers
from medaudit.readers.records import Listing
from medaudit.readers.survey import survey


@dataclass(frozen=True)
class Plan:
    """`facts` and `warnings` go into the manifest and hold no id and no name."""

    recipe: Recipe
    readable: int  # images whose header raises no objection
    facts: dict[str, Any]
    warnings: list[str]
    refused: list[tuple[str, str]] | None = None  # (name, reason); not known of a plan that was kept


def make_plan(
    kept_at: Path,
    listing: Listing,
    size: int,
    fit: Fit,
    depth: str,
    workers: Workers,
    progress: Progress = SILENT,
) -> Plan:
    """Look at every header, or take up the plan kept at `kept_at`.

    Films are never enlarged: `size` gives way to the largest side found, the long one for padding and the
    short one for cropping and squashing. `depth` auto takes 16 bits where one image has more than 8.
    """
    refused = None
    if kept_at.exists():
        body = json.loads(kept_at.read_text())
    else:
        found = survey(listing, workers, progress)
        refused = found.refused_files
        deep = depth == "16" or (depth == "auto" and found.bits > 8)
        body = {
            "size": max(1, min(size, found.longest if fit == "pad" else found.shortest)),
            "dtype": "uint16" if deep else "uint8",
            "readable": found.readable,
            "facts": {**found.facts(), "links_outside": listing.links_outside},
            "warnings": [*listing.warnings, *found.warnings()],
        }
        write_whole(kept_at, json.dumps(body, sort_keys=True).encode())
    recipe = Recipe(
        root=listing.root,
        accept=listing.accept,
        header_patient=listing.header_patient,
        size=body["size"],
        fit=fit,
        dtype=body["dtype"],
        source_bytes=max((array.film_bytes for array in listing.arrays), default=0),
    )
    return Plan(recipe, body["readable"], body["facts"], body["warnings"], refused)
