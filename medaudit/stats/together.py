"""The words of an audit under a ledger: its part of alpha, and what was released before."""

from collections.abc import Sequence

NO_BOUND = "Flags were cleared by people, so no upper limit of what was missed is stated"


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


WAYS_OUT = (
    "withdraw that release (medaudit ledger withdraw --release) and tell its receivers, or let people look at them "
    "(medaudit review AUDIT --synthetic with its cohort, applied with --ledger) and audit again"
)


def cleared_before(images: int) -> str:
    """Released images that are flagged again, and whose pairs people had cleared."""
    if images == 1:
        what, ends = (
            "1 image that is out already is",
            "the same pair and cleared it, so this flag does not stand",
        )
    else:
        what = f"{images:,} images that are out already are"
        ends = "the same pairs and cleared them, so these flags do not stand"
    return f"{what} flagged again; by the site's ledger people looked at {ends}. {NO_BOUND}."


def next_step(releases: Sequence[str]) -> str:
    """What to do about releases that hold flagged images."""
    ids = ", ".join(release[:16] for release in releases)
    return (
        f"withdraw the earlier release {ids} (medaudit ledger withdraw --release) and tell its receivers, or let "
        "people look at what is flagged (medaudit review AUDIT --synthetic with the cohort of that release, applied "
        "with --ledger); then audit again"
    )
