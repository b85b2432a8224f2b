"""What an audit says on the screen."""

from pathlib import Path

from medaudit.artifacts.findings import AUDIT_JSON, MATCHES, Audit, Controls, Counts
from medaudit.artifacts.image_counts import ImageCounts, Unused, of_audit
from medaudit.protocol.utility import utility_line
from medaudit.stats.counted import counted


def summary(record: Audit, out: Path, beside: Unused | None = None) -> tuple[str, ...]:
    """What a tired reader needs: the verdict with its numbers, the counts, the power, the reasons, the files.

    `beside`: what of the synthetic cohort never came before the audit, where that is known.
    """
    counts, controls = record.counts, record.controls
    lines = [
        f"{record.verdict}: {counts.flagged:,} of {counts.synthetic:,} synthetic images flagged{_as(record)}, "
        f"{counts.patients_exposed:,} of {counts.train_patients:,} training patients named",
        f"searched against all {counts.train_images:,} images of {counts.train_patients:,} training patients; "
        f"unseen people: {counts.holdout_patients:,} held-out patients ({counts.holdout_images:,} images)",
        *_unread(counts),
        f"false alarms: {controls.negative.count:,} of {controls.negative.of:,} unseen people",
        _planted(controls),
        *_generative(controls),
    ]
    if record.agreement and record.agreement.wording:
        lines.append(record.agreement.wording)
    lines += _others(of_audit(record, beside))
    lines += [f"- {reason}" for reason in record.reasons]
    lines += [f"next: {step}" for step in record.next_steps]
    lines += utility_line(record.utility)
    return (*lines, f"findings: {out / AUDIT_JSON}, every match: {out / MATCHES}")


def _others(images: ImageCounts) -> list[str]:
    """Images of the cohort that are not among those searched, or that are suspects; nothing where there are none."""
    parts = []
    if images.suspects:
        were = "suspect is" if images.suspects == 1 else "suspects are"
        parts.append(f"{images.suspects:,} {were} listed for the reviewer, neither flagged nor withheld")
    if images.withheld_before:
        were = "image was" if images.withheld_before == 1 else "images were"
        parts.append(f"{images.withheld_before:,} {were} withheld before this audit")
    if images.set_aside:
        was = "unusable image was" if images.set_aside == 1 else "unusable images were"
        parts.append(f"{images.set_aside:,} {was} set aside when the cohort was made")
    if images.refused:
        were = "was" if images.refused == 1 else "were"
        parts.append(f"{counted(images.refused, 'file')} of its source {were} refused")
    return [f"{images.searched:,} images of this cohort searched; {'; '.join(parts)}"] if parts else []


def _unread(counts: Counts) -> list[str]:
    """Images of the real side that could not be read at ingest."""
    sides = ((counts.train_unread, "training"), (counts.holdout_unread, "held-out"))
    parts = [f"{count:,} of the {side} source" for count, side in sides if count]
    return [f"not searched, because they could not be read: {', '.join(parts)} (images)"] if parts else []


def _as(record: Audit) -> str:
    """What the flagged images are: copies, unless some are not shown to be."""
    found = record.reidentification
    if found is None or not found.same_person:
        return " as copies"
    return f" ({found.copies:,} as copies, {found.same_person:,} at least as the same person)"


def _planted(controls: Controls) -> str:
    """Kinds whose copies were all found in one number; the others by name."""
    whole = [one for one in controls.planted if one.power.count == one.power.of]
    rest = [f"{one.kind} {one.power.count}/{one.power.of}" for one in controls.planted if one not in whole]
    line = f"planted copies: all found of {len(whole)} of {len(controls.planted)} kinds"
    kinds = [kind for kind in controls.given_up if kind != "generative"]
    left = f"; {len(kinds)} kinds not tried (controls: quick)" if kinds else ""
    return line + "".join(f"; {part}" for part in rest) + left


def _generative(controls: Controls) -> list[str]:
    """What became of the over-trained model's copies, or why there are none."""
    made, name = controls.generative, "copies by an over-trained model"
    if made is None:
        return [f"{name}: not run, {controls.generative_not_run}"] if controls.generative_not_run else []
    if made.power is None:
        return [f"{name}: none of its {made.generated:,} images was a clear copy of a film"]
    return [
        f"{name}: {made.power.count:,} of {made.power.of:,} found, of {made.patients:,} patients (interval "
        f"{made.power.low:.1%} to {made.power.high:.1%}); {made.generated - made.clear:,} images were no clear copy"
    ]
