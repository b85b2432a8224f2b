"""The head of the first page: whose report, of what, made with which tool; what nobody stated is said to be open."""

from medaudit.render import wording as say
from medaudit.render.facts import Summary

_SHORT = 16  # digits of an id on the page; report.json and the appendix hold all of them


def header(summary: Summary, edition: str) -> tuple[tuple[str, str], ...]:
    """Names and values; the report's hash is added where the page is printed, because it covers this head too."""
    origin, site = summary.origin, summary.site
    commit = f", commit {origin.commit[:12]}" if origin.commit else ""
    items = [
        (
            "Edition",
            f"{edition}: " + ("may leave the hospital" if edition == "shareable" else "internal only"),
        ),
        ("Institution", summary.institution or "not stated"),
        ("Protocol", summary.protocol or "not stated"),
        ("Tool", f"medaudit {origin.versions.get('medaudit', 'unknown version')}{commit}"),
        ("Date", site.date or "see sign-off"),
        ("Review again by", site.review_by or "see sign-off"),
        ("Release id", _release(summary)),
        ("Signing key", site.signer_key or "not stated"),
    ]
    ids = (
        ("Audit id", origin.audit_id),
        ("Extraction id", origin.extraction_id),
        ("Cohort id", origin.synthetic_id),
    )
    items += [(name, identity[:_SHORT]) for name, identity in ids if identity]
    return tuple(items)


def _release(summary: Summary) -> str:
    release = summary.release
    if release is None:
        return "none: no release was given to this report"
    facts = [say.counted(release.images, "image"), release.format]
    if release.withheld:
        facts.append(f"{say.whole(release.withheld)} withheld")
    if release.cleared:
        facts.append(f"{say.whole(release.cleared)} cleared by people")
    return f"{release.id[:_SHORT]} ({', '.join(facts)})"
