"""What to do about an audit that does not clear a release, from what that audit already knows of the rest."""

from medaudit.artifacts.findings import EXIT_CODES, Audit
from medaudit.errors import NotReleasable
from medaudit.progress import Progress
from medaudit.stats.counted import counted

_TRAIN = "train again with less memorization"


def advice(record: Audit, *, again: bool) -> str:
    """One phrase; `again`: this was the audit of what is left once images were withheld."""
    if record.verdict == "inconclusive":
        about = "what is left once images are withheld is not known to be fit; " if again else ""
        return f"{about}the audit's reasons say what would resolve it"
    if again:
        return "so it does even without the withheld images; train again"
    rest = record.remainder
    if rest is not None and rest.enough:
        return f"release again with --withhold-flagged, or {_TRAIN}"
    if rest is not None:
        return _no_use(record)
    if not record.counts.flagged:
        return f"no single image is flagged, so leaving images out cannot help; {_TRAIN}"
    if record.counts.flagged == record.counts.synthetic:
        return f"every image is flagged, so nothing would be left; {_TRAIN}"
    return f"release again with --withhold-flagged, or {_TRAIN}"


def _no_use(record: Audit) -> str:
    """Why withholding the flagged images is not enough, in the words of the audit of the rest, which was made."""
    rest = record.remainder
    assert rest is not None
    what = counted(rest.withheld, "flagged image")
    why = f": {rest.reasons[0].rstrip('.')}" if rest.reasons else ""
    return (
        f"withholding is not enough, the audit says so already: without the {what} it is {rest.verdict}{why}"
    )


def refuse_known_rest(record: Audit, same_settings: bool, progress: Progress) -> None:
    """Raise NotReleasable, with the verdict of the rest, where the audit judged the rest and refused it.

    With other settings the rest is judged anew, which is said.
    """
    rest = record.remainder
    if rest is None or rest.enough:
        return
    if not same_settings:
        progress.say(f"{_no_use(record)}; other settings are given, so the rest is audited again")
        return
    raise not_releasable(record, _no_use(record), EXIT_CODES[rest.verdict])


def not_releasable(record: Audit, why: str, code: int = 0) -> NotReleasable:
    """The error that refuses a release under this audit; `code`: its exit code, the verdict's when 0."""
    error = NotReleasable(f"the audit says {record.verdict} ({record.counts.flagged} flagged): {why}")
    error.exit_code = code or EXIT_CODES[record.verdict] or NotReleasable.exit_code
    return error
