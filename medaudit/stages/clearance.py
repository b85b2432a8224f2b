"""Whether an audit clears a cohort for release, and the second audit when flagged images are left out."""

from collections.abc import Collection
from pathlib import Path

from medaudit.artifacts.cohort import Cohort
from medaudit.artifacts.findings import DETECTOR_MATCHES, EXIT_CODES, MATCHES, Audit, open_audit, read_matches
from medaudit.artifacts.store import Artifact, open_artifact
from medaudit.config import AuditSettings, check_settings
from medaudit.errors import ArtifactBroken, CohortMismatch, ConfigProblem, NotReleasable, UsageProblem
from medaudit.progress import Progress
from medaudit.protocol.together import Begin
from medaudit.stats.together import WAYS_OUT

_ADVICE = {
    "do-not-release": "release again with --withhold-flagged, or train again with less memorization",
    "inconclusive": "the audit's reasons say what would resolve it",
}


def audit_of(cohort: Cohort, path: Path) -> tuple[Artifact, Audit]:
    """The audit at `path`. Raises CohortMismatch unless S is synthetic and the audit looked at this very S."""
    if cohort.artifact.manifest.get("origin") != "synthetic":
        raise CohortMismatch(
            f"{cohort.artifact.path} is not a synthetic cohort; only generated images are released"
        )
    artifact, record = open_audit(path)
    if artifact.lineage.get("synthetic") != cohort.id:
        raise CohortMismatch(f"{path} is the audit of another cohort; run medaudit audit on this one")
    return artifact, record


def settings_of(audit: Artifact) -> AuditSettings:
    """The settings that an audit ran with. Raises ArtifactBroken for what no audit can have run with."""
    stated = {name: audit.settings[name] for name in AuditSettings.model_fields if name in audit.settings}
    try:
        return check_settings(stated, AuditSettings, str(audit.path))
    except ConfigProblem:
        raise ArtifactBroken(
            f"{audit.path}: the settings in its manifest.json are no audit's; run the audit again"
        ) from None


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
) -> tuple[Artifact, Audit]:
    """Set the flagged rows aside, but the `spared` ones whose flags people cleared, and those in `also`, and audit what
    is left into `out`, with what is left of the error budget."""
    from medaudit.stages import audit
    from medaudit.stages.encoders import network_again

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
    )
    return audit_of(cohort, out)


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
    advice = "so it does even without the flagged images; train again" if again else _ADVICE[record.verdict]
    raise _not_releasable(record, advice)


def _not_releasable(record: Audit, advice: str) -> NotReleasable:
    error = NotReleasable(f"the audit says {record.verdict} ({record.counts.flagged} flagged): {advice}")
    error.exit_code = EXIT_CODES[record.verdict] or NotReleasable.exit_code
    return error
