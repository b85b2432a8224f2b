"""The certificate of a release: what was checked, with which result, and what was not; fit to be handed out.

It is built from an allow-list of the audit's fields and never by striking things out of it: no row, no pseudonym,
no distance of a single image, no hash of training data. The ids of the synthetic cohort and of the audit are
hashes of manifests that hold keyed pseudonyms, so they tell nobody whether a given film was in training.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import date as calendar_date
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field

from medaudit.artifacts.certified_review import CertifiedReview
from medaudit.artifacts.findings import Audit, Bounds, PlantedRecord
from medaudit.artifacts.identifying import holds_pseudonym
from medaudit.artifacts.image_counts import Unused, of_release
from medaudit.artifacts.records import RateRecord, Record, Verdict
from medaudit.errors import ReleaseBroken, ReportLeak, UsageProblem

CERTIFICATE = "certificate.json"

# EDPB Opinion 28/2024: passing a test is evidence of resistance to that test only.
NOT_TESTED = (
    "release of the model's weights or access to the model",
    "text prompts and other conditioning than that used for this cohort",
    "linkage of the released images with outside data",
    "copies of other kinds than those planted, and copies weaker than planted",
    "membership inference by someone who holds the model",
)
TEXT_NOT_TESTED = "letters or markers drawn into the images (no text pass was made)"
LETTERS_NOT_TESTED = "single letters drawn into the images, such as side markers: the text pass may miss them"
NEVER = "never"  # of `--expires`: the certificate states no end
_YEARS = 2  # a signed certificate vouches so long unless the team says otherwise: attacks get better
CONDITIONS = (
    "not for diagnostic use",
    "no attempt to find or contact a person from these images",
    "the marks that say the images are synthetic stay on every copy",
    "any further image from the same model is audited together with these before it is released",
)


class CertifiedCounts(Record):
    """How much is in the release and how much it was compared with."""

    released: int
    withheld: int  # images left out because an earlier audit flagged them or letters were found in them
    train_images: int
    train_patients: int
    holdout_images: int
    holdout_patients: int
    flagged: int
    suspects: int
    set_aside: int | None = (
        None  # unusable images of the cohort, in no release; None: written by an earlier version
    )


class CertifiedCohortTest(Record):
    """The cohort test's result without the counts of single matches."""

    excess_p: float
    run_p: float
    smallest_detectable_run: int | None
    alpha: float
    permutations: int
    rejects: bool
    detector: str | None


class CertifiedDetector(Record):
    """A detector and the size of what it was calibrated on."""

    name: str
    meaning: str
    reference_size: int
    tail_points: int | None
    smallest_p: float
    alpha_familywise: float
    alpha_fdr: float


class TextPass(Record):
    """What looked for letters drawn into the images, and the places in the release where it found some (1-based)."""

    engine: str
    looked_at: int
    found_in: list[int]
    planted: int  # copies of released images with letters planted, as its control
    planted_found: int


class Signer(Record):
    """Whose key signs. It is stated so that a signature cannot be lost unnoticed; trust comes from elsewhere."""

    public_key: str  # the base64 line of minisign's format
    fingerprint: str  # SHA-256 of the 32 key bytes, hex


class Certificate(Record):
    """The whole of `certificate.json`."""

    schema_: Literal["medaudit.certificate/1"] = Field("medaudit.certificate/1", alias="schema")
    release_id: str
    verdict: Verdict
    reasons: list[str]
    date: str  # YYYYMMDD as stated by the releasing team, or empty
    synthetic_id: str
    audit_id: str
    counts: CertifiedCounts
    cohort_test: CertifiedCohortTest
    detectors: list[CertifiedDetector]
    power: list[PlantedRecord]
    minimum_power: float | None
    weakest_kind: str | None
    false_alarms: RateRecord
    bounds: Bounds
    budget: dict[str, float]
    not_tested: list[str]
    conditions: list[str]
    versions: dict[str, str]
    review: CertifiedReview | None = None  # None: no flag was cleared by people
    expires: str = ""  # YYYYMMDD, the last day on which it vouches; empty: no end is stated
    lineage: dict[str, str] = Field(
        default_factory=dict
    )  # ids by role, of nothing that holds a film's plain hash
    merkle_root: str = ""  # over all other files, medaudit.artifacts.merkle
    signer: Signer | None = None
    text_pass: TextPass | None = None

    model_config = ConfigDict(extra="forbid", populate_by_name=True)


def certify(
    audit: Audit,
    *,
    release_id: str,
    synthetic_id: str,
    audit_id: str,
    released: int,
    date: str,
    versions: dict[str, str],
    review: Mapping[str, Any] | None = None,
    expires: str = "",
    lineage: Mapping[str, str] | None = None,
    signer: Signer | None = None,
    text_pass: TextPass | None = None,
    beside: Unused | None = None,
) -> Certificate:
    """The certificate of `released` images under an audit; `beside`: what of the cohort never came before it."""
    counts, test, controls = audit.counts, audit.cohort_test, audit.controls
    images = of_release(audit, released, len(audit.withheld), beside=beside)
    return Certificate(
        release_id=release_id,
        verdict=audit.verdict,
        reasons=list(audit.reasons),
        date=date,
        synthetic_id=synthetic_id,
        audit_id=audit_id,
        counts=CertifiedCounts(
            released=released,
            withheld=len(audit.withheld),
            set_aside=images.set_aside,
            train_images=counts.train_images,
            train_patients=counts.train_patients,
            holdout_images=counts.holdout_images,
            holdout_patients=counts.holdout_patients,
            flagged=images.flagged,
            suspects=images.suspects,
        ),
        cohort_test=CertifiedCohortTest(
            excess_p=test.excess_p,
            run_p=test.run_p,
            smallest_detectable_run=test.smallest_detectable_run,
            alpha=test.alpha,
            permutations=test.permutations,
            rejects=test.rejects,
            detector=test.detector,
        ),
        detectors=[
            CertifiedDetector(**{name: getattr(one, name) for name in CertifiedDetector.model_fields})
            for one in audit.detectors
        ],
        power=list(controls.planted),
        minimum_power=controls.minimum_power,
        weakest_kind=controls.weakest_kind,
        false_alarms=controls.negative,
        bounds=audit.bounds,
        budget=dict(audit.budget),
        not_tested=[*NOT_TESTED, LETTERS_NOT_TESTED if text_pass else TEXT_NOT_TESTED],
        conditions=list(CONDITIONS),
        versions=dict(versions),
        review=None if review is None else CertifiedReview.model_validate(review),
        expires=expires,
        lineage=dict(lineage or {}),
        signer=signer,
        text_pass=text_pass,
    )


def letters(released: int, text_pass: TextPass | None) -> dict[str, Any]:
    """What the manifest says of letters drawn into the images: who looked, and how many are marked YES and NO."""
    marked = len(text_pass.found_in) if text_pass else released
    return {"looked_by": text_pass.engine if text_pass else None, "YES": marked, "NO": released - marked}


def last_day(date: str, expires: str, *, signed: bool) -> str:
    """The certificate's last day: as asked for, else two years after `date` when it is signed, else none ("").

    No clock is read: without a date there is nothing to count from. Dates are YYYYMMDD. Raises UsageProblem.
    """
    if expires == NEVER:
        return ""
    if expires:
        if day(expires, "--expires") < (day(date, "--date") if date else calendar_date.min):
            raise UsageProblem("--expires lies before --date; give a later day")
        return expires
    if not signed or not date:
        return ""
    start = day(date, "--date")
    year = start.year + _YEARS
    leap = (start.month, start.day) == (2, 29)
    return f"{year:04d}0228" if leap else f"{year:04d}{start:%m%d}"


def day(text: str, option: str) -> calendar_date:
    """A date written YYYYMMDD. Raises UsageProblem that names the option."""
    try:
        return calendar_date.fromisoformat(text if re.fullmatch(r"[0-9]{8}", text) else "")
    except ValueError:
        raise UsageProblem(f"{option.removeprefix('--')} {text!r} is not YYYYMMDD") from None


def is_day(text: str) -> bool:
    """Whether a text is a date written YYYYMMDD."""
    try:
        day(text, "")
    except UsageProblem:
        return False
    return True


def read_certificate(path: Path) -> Certificate:
    """Read a certificate. Raises ReleaseBroken when it is absent or does not fit its schema."""
    try:
        return Certificate.model_validate_json(path.read_text())
    except (OSError, ValueError):
        raise ReleaseBroken(
            f"{path.parent}: {CERTIFICATE} is missing or does not fit its schema; ask the sender for the release again"
        ) from None


def refuse_pseudonyms(texts: Iterable[str]) -> None:
    """Raise ReportLeak when a text that is to be handed out holds anything shaped like a keyed pseudonym."""
    if any(holds_pseudonym(text) for text in texts):
        raise ReportLeak(
            "a text of the release would have held a patient's pseudonym; nothing was written. "
            "Look at the labels of the synthetic cohort"
        )
