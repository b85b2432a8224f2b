"""manifest.json: its text → what it states, or nothing where it does not fit, as anybody may have written it; kinds."""

import json
import math
from typing import Any

# What other code takes for granted of a manifest. Kinds differ in which of the second group they have.
_ALWAYS = {
    "schema": str, "kind": str, "request": str, "files": dict, "lineage": dict, "settings": dict, "versions": dict,
}  # fmt: skip
_WHERE_PRESENT = {
    "refused": dict, "environment": dict, "rows": int, "image_shape": list, "dtype": str, "origin": str, "role": str,
    "layout": str, "source_facts": dict, "warnings": list, "training": dict, "images": int, "merkle_root": str,
    "burned_in": dict, "document": str, "verdict": str,
}  # fmt: skip
_OF_TEXTS = ("files", "lineage", "versions")
_LONGEST_VERSION = 200  # characters
_MACHINE = ("system", "architecture", "processor", "python")
# The commands that make an artifact of each kind, for the messages of those that miss one.
_MAKERS = {
    "cohort": "ingest, split, dedup or generate",
    "findings": "audit or extract",
    "model": "train",
    "release": "release",
    "review": "review",
    "reviewed": "review AUDIT --apply VERDICTS",
}


def parsed(text: bytes) -> dict[str, Any] | None:
    """The manifest in these bytes; None when they hold none."""
    try:
        manifest = json.loads(text, parse_float=_finite, parse_constant=_finite)
    except (ValueError, RecursionError):  # nested deeper than any reader goes
        return None
    if not isinstance(manifest, dict) or not all(name in manifest for name in _ALWAYS):
        return None
    for name, kind in {**_ALWAYS, **_WHERE_PRESENT}.items():
        if name in manifest and (not isinstance(manifest[name], kind) or isinstance(manifest[name], bool)):
            return None
    for name in _OF_TEXTS:
        if not all(isinstance(value, str) for value in manifest.get(name, {}).values()):
            return None
    if any(len(value) > _LONGEST_VERSION for value in manifest["versions"].values()):
        return None
    known = _counted(manifest.get("refused", {})) and _machine(manifest.get("environment"))
    return manifest if known and _is_number_or_none(manifest.get("seed")) else None


def needed(kind: str | None) -> str:
    """`a findings artifact is needed here, made by medaudit audit or extract`."""
    by = f", made by medaudit {_MAKERS[kind]}" if kind in _MAKERS else ""
    return f"a {kind or 'medaudit'} artifact is needed here{by}"


def _counted(refused: dict[str, Any]) -> bool:
    """Whether refusals are counts by reason, and pairs of a file and its reason."""
    counts, files = refused.get("counts", {}), refused.get("files", [])
    return (
        isinstance(counts, dict)
        and isinstance(files, list)
        and all(isinstance(count, int) for count in counts.values())
        and all(
            isinstance(pair, list) and len(pair) == 2 and all(isinstance(part, str) for part in pair)
            for pair in files
        )
    )


def _machine(environment: dict[str, Any] | None) -> bool:
    """Whether a machine is described as artifacts/environment describes it, or not at all."""
    if not environment:
        return True
    return all(isinstance(environment.get(name), str) for name in _MACHINE) and (
        isinstance(environment.get("packages"), int)
        and isinstance(environment.get("packages_sha256"), str | None)
    )


def _is_number_or_none(value: Any) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool))


def _finite(text: str) -> float:
    """A number that JSON has; raises ValueError for the others."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value
