"""The words of an audit under a ledger: its part of alpha, and what was released before."""

from collections.abc import Sequence


def share_sentence(number: int, alpha: float, site_alpha: float) -> str:
    """Which audit of these people it is and what it spends."""
    return (
        f"By the site's ledger this is audit {number} of these training patients: it spends alpha {alpha:.3g} of "
        f"{site_alpha:g}, and all audits of a patient together stay below {site_alpha:g}."
    )


def together_sentence(images: int, before: int, releases: int) -> str:
    """How much of the audited set is out already."""
    what = "an earlier release" if releases == 1 else f"{releases:,} earlier releases"
    return (
        f"Of the {images:,} images audited {before:,} were released before, in {what} that the same patients' films "
        "stand behind; the verdict is about all of them together."
    )


def flagged_before(flagged: int, releases: int) -> str:
    """Flagged images that went out already."""
    images = "1 flagged image is" if flagged == 1 else f"{flagged:,} flagged images are"
    where = "an earlier release" if releases == 1 else f"{releases:,} earlier releases"
    return f"{images} out already, in {where}: no withholding can help."


def next_step(releases: Sequence[str]) -> str:
    """What to do about releases that hold flagged images."""
    ids = ", ".join(release[:16] for release in releases)
    return f"withdraw the earlier release {ids} (medaudit ledger withdraw --release), tell its receivers, audit again"
