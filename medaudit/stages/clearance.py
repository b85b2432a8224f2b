"""Whether an audit clears a cohort for release, what to do where it does not, and the audit without flagged images."""

from collections.abc import Collection
from pathlib import Path

from medaudit.artifacts.cohort import Cohort
from medaudit.artifacts.findings import DETECTOR_MATCHES, EXIT_CODES, MATCHES, Audit, read_matches
from medaudit.artifacts.store import Artifact, open_artifact
from medaudit.config import AuditSettings
from medaudit.errors import CohortMismatch, NotReleasable, UsageProblem
from medaudit.progress import Progress
from medaudit.protocol.grounds import settings_of
from medaudit.protocol.recheck import open_trusted_audit
from medaudit.protocol.together import Begin
from medaudit.stats.counted import counted
from medaudit.stats.together import WAYS_OUT

_TRAIN = "train again with less memorization"


def audit_of(cohort: Cohort, path: Path, key: Path | None = None) -> tuple[Artifact, Audit]:
    """The audit at `path`, authentic and in agreement with itself (protocol/recheck), of this very synthetic cohort.

    Raises CohortMismatch for a real cohort and for the audit of another one.
    """
    if cohort.artifact.manifest.get("origin") != "synthetic":
        raise CohortMismatch(
            f"{cohort.artifact.path} is not a synthetic cohort; only generated images are released"
        )
    artifact, record = open_trusted_audit(path, key, (cohort.artifact.path,))
    if artifact.lineage.get("synthetic") != cohort.id:
        raise CohortMismatch(f"{path} is the audit of another cohort; run medaudit audit on this one")
    return artifact, record


def audit_the_rest(
    cohort: Cohort,
    first: Artifact,
    record: Audit,
    train: Path | None,
    holdout: Path | None,
    out: Path,
    settings: AuditSettings,
    device: str,
    seed: int,
    progress: Progress,
    copy_network: str | None = None,
    spared: Collection[int] = (),
    also: tuple[int, ...] = (),
    begin: Begin | None = None,
    key: Path | None = None,
) -> tuple[Artifact, Audit]:
    """Set the flagged rows aside, but the `spared` ones whose flags people cleared, and those in `also`, and audit what
    is left into `out`, with what is left of the error budget."""
    from medaudit.stages import audit
    from medaudit.stages.encoders import network_again

    if not spared and not also:  # the audit has judged this very rest
        _refuse_known_rest(record, settings == settings_of(first), progress)
    if train is None or holdout is None:
        raise UsageProblem("withholding audits the rest again; give --train and --holdout")
    if record.ledger is not None and record.ledger.flagged_before:
        raise _not_releasable(
            record, f"flagged images are out already, so withholding cannot help: {WAYS_OUT}"
        )
    for path, role in ((train, "train"), (holdout, "holdout")):
        if open_artifact(path, "cohort", verify=False).id != first.lineage.get(role):
            raise CohortMismatch(f"{path} is not the cohort that the audit calls {role}; give the same again")
    copy_network = network_again(first, copy_network)
    flagged: set[int] = set()
    for name in (MATCHES, DETECTOR_MATCHES):
        matches = read_matches(first, name)
        flagged.update(matches.filter(matches.column("flagged")).column("synthetic_id").to_pylist())
    flagged -= set(spared)
    if record.verdict == "do-not-release" and not flagged - set(record.withheld) and not spared:
        raise _not_releasable(
            record, "no single image is flagged, so leaving images out cannot help; train again"
        )
    flagged |= {*record.withheld, *also}
    if len(flagged) == len(cohort.in_use):
        raise _not_releasable(
            record, "every image is flagged or withheld; nothing would be left; train again"
        )
    # Half of alpha for each look. The first look flagged at the whole alpha, which sets aside at least the images
    # that half of it would have.
    audit.run(
        train,
        holdout,
        cohort.artifact.path,
        out,
        settings,
        device,
        seed,
        progress,
        withheld=tuple(sorted(flagged)),
        alpha_spent=settings.alpha / 2,
        copy_network=copy_network,
        begin=begin,
        key=key,
    )
    return audit_of(cohort, out, key)


def rows_with_letters(cohort: Cohort, engine: str, progress: Progress) -> tuple[int, ...]:
    """The rows in which the text pass finds letters. Raises UsageProblem when it cannot tell."""
    from medaudit.writers.text import look_for_text

    if not engine:
        raise UsageProblem(
            "--withhold-text needs the text pass; install medaudit[text] and leave --text on auto"
        )
    found = look_for_text(cohort.pixels, cohort.in_use, progress)
    if found is None:
        raise UsageProblem(
            "the text pass missed what was planted for it, so it cannot say which images to withhold"
        )
    return tuple(int(cohort.in_use[number - 1]) for number in found.found_in)


def require_clearance(record: Audit, *, again: bool) -> None:
    """Raise NotReleasable, with the verdict's exit code, unless the verdict is release-supported.

    `again` tells that this is the second look, after flagged images were left out.
    """
    if record.verdict == "release-supported":
        return
    if record.ledger is not None and record.ledger.flagged_before:
        raise _not_releasable(record, f"flagged images are out already: {WAYS_OUT}")
    raise _not_releasable(record, _advice(record, again=again))


def _advice(record: Audit, *, again: bool) -> str:
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


def _refuse_known_rest(record: Audit, same_settings: bool, progress: Progress) -> None:
    """Raise NotReleasable, with the verdict of the rest, where the audit judged the rest and refused it.

    With other settings the rest is judged anew, which is said.
    """
    rest = record.remainder
    if rest is None or rest.enough:
        return
    if not same_settings:
        progress.say(f"{_no_use(record)}; other settings are given, so the rest is audited again")
        return
    raise _not_releasable(record, _no_use(record), EXIT_CODES[rest.verdict])


def _not_releasable(record: Audit, why: str, code: int = 0) -> NotReleasable:
    """The error that refuses a release under this audit; `code`: its exit code, the verdict's when 0."""
    error = NotReleasable(f"the audit says {record.verdict} ({record.counts.flagged} flagged): {why}")
    error.exit_code = code or EXIT_CODES[record.verdict] or NotReleasable.exit_code
    return error
