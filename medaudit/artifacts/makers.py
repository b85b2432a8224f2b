"""Which command makes an artifact, for the messages of those that miss one."""

_MAKERS = {
    "cohort": "ingest, split, dedup or generate",
    "findings": "audit or extract",
    "model": "train",
    "release": "release",
    "review": "review",
    "reviewed": "review AUDIT --apply VERDICTS",
}


def needed(kind: str | None) -> str:
    """`a findings artifact is needed here, made by medaudit audit or extract`."""
    by = f", made by medaudit {_MAKERS[kind]}" if kind in _MAKERS else ""
    return f"a {kind or 'medaudit'} artifact is needed here{by}"
