"""Findings: the typed record that an audit writes as `audit.json`, and the columns of `matches.parquet`.

Every rate carries its interval and its counts; what the data cannot support is None beside a sentence that says
what would resolve it.
"""

from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ConfigDict, Field

from medaudit.artifacts.records import RateRecord, Record, Verdict
from medaudit.artifacts.second_looks import LedgerRecord, Remainder, WithoutFlags
from medaudit.artifacts.store import Artifact, open_artifact
from medaudit.artifacts.utility import UtilityRecord
from medaudit.errors import ArtifactBroken

AUDIT_JSON = "audit.json"
EXTRACT_JSON = "extract.json"
MATCHES = "matches.parquet"
DETECTOR_MATCHES = "matches_by_detector.parquet"
REFERENCE = "reference.parquet"
# of images that were released before and audited again together with S: the same two tables
RELEASED_MATCHES = "matches_released.parquet"
RELEASED_BY_DETECTOR = "matches_released_by_detector.parquet"

EXIT_CODES: dict[str, int] = {"release-supported": 0, "do-not-release": 10, "inconclusive": 20}

_MATCH_FIELDS = [
    pa.field("synthetic_id", pa.int64(), nullable=False),  # row of S
    pa.field("train_id", pa.int64(), nullable=False),  # row of T, the nearest training image
    pa.field("patient", pa.string()),  # its pseudonym
    pa.field("detector", pa.string(), nullable=False),
    pa.field("score", pa.float64(), nullable=False),  # -log adaptive ratio, larger is more copy-like
    pa.field("distance", pa.float64(), nullable=False),  # the detector's distance, exact copies are 0
    pa.field("p_value", pa.float64(), nullable=False),  # conformal
    pa.field("q_value", pa.float64(), nullable=False),  # Benjamini-Hochberg within the detector
    pa.field("p_upper", pa.float64()),  # upper limit of the tail p-value; null where no tail could be fitted
    pa.field("eidetic_k", pa.int64(), nullable=False),  # training images within the match radius of train_id
    pa.field("eidetic_patients", pa.int64(), nullable=False),
    pa.field("flagged", pa.bool_(), nullable=False),
    pa.field("suspect", pa.bool_(), nullable=False),
    pa.field("runner_up_id", pa.int64()),
    pa.field("runner_up_patient", pa.string()),
    pa.field("runner_up_score", pa.float64()),
    # of a flagged image: `copy` of a film, or `same-person`: no more alike than another film of the person can be
    pa.field("relation", pa.string()),
]
_SURE_COLUMNS = {"detector", "score", "distance"}  # of every table of matches or of the reference
# matches.parquet: one row per synthetic image in use, of the detector that found it most copy-like;
# matches_by_detector.parquet: the same columns, one row per image and detector.
MATCH_SCHEMA = pa.schema(_MATCH_FIELDS)

# What unseen people scored: one row per reference patient and detector.
REFERENCE_SCHEMA = pa.schema(
    [
        pa.field("patient", pa.string()),
        pa.field("source", pa.string(), nullable=False),  # `train` (leave-one-patient-out) or `holdout`
        pa.field("detector", pa.string(), nullable=False),
        pa.field("score", pa.float64(), nullable=False),
        pa.field("distance", pa.float64(), nullable=False),
    ]
)


class Counts(Record):
    """How much was compared with how much."""

    synthetic: int
    train_images: int
    train_patients: int
    holdout_images: int
    holdout_patients: int
    flagged: int
    suspects: int
    patients_exposed: int  # distinct training patients named by flagged images
    train_unread: int = 0  # images of T's source that were refused at ingest, and so not searched
    holdout_unread: int = 0  # the same of H's source, where it is another one than T's


class CohortTest(Record):
    """Is S closer to T than to H? STATISTICS 3."""

    nearest_in_train: int
    of: int
    expected: float
    excess_p: float
    run_length: int
    run_patients: int
    run_p: float
    smallest_detectable_run: int | None
    excess_copy_rate: float | None
    excess_copy_rate_low: float | None
    excess_copy_rate_high: float | None
    alpha: float
    permutations: int
    rejects: bool
    detector: str | None = None  # whose distance says which real image is nearest


class DetectorRecord(Record):
    """One detector: its reference, its line, what it found."""

    name: str
    meaning: str
    neighbours: int
    reference_size: int
    tail_points: int | None  # None: the reference is too small for a tail
    smallest_p: float  # 1 / (reference_size + 1)
    alpha_familywise: float
    alpha_fdr: float
    score_line: float | None  # score from which one image alone is flagged
    flagged_familywise: int
    flagged_fdr: int
    suspects: int
    expected_suspects: float  # E0 = N / (reference_size + 1)
    fdr_needs: int  # copies needed before Benjamini-Hochberg could see them
    match_radius: float  # distance used for eidetic k
    closest_synthetic: float  # smallest distance of S to T
    closest_unseen: float  # smallest distance of the reference to T
    encoder: str | None = (
        None  # SHA-256 of a learnt detector's weights; its reference is held-out people only
    )


class AgreementRecord(Record):
    """Which detectors flag the same images; axes of E detectors in the order of `detectors`."""

    detectors: list[str]
    both: list[list[int]]  # images flagged by both; on the diagonal by that detector, alone or not
    alone: list[int]  # images flagged by this detector and no other
    by_number: list[int]  # images flagged by exactly 1, 2, ... E detectors
    several: int
    one_patient: int  # of `several`: all that flag it name the same patient
    images: list[tuple[int, int]]  # (row of S, detectors that flag it), flagged images only
    wording: str


class PlantedRecord(Record):
    """Planted copies of one kind and strength; found means flagged and the right patient named."""

    kind: str
    strength: str
    required: bool
    power: RateRecord
    by_detector: dict[str, RateRecord]


class GenerativeRecord(Record):
    """Copies that a small diffusion model made of the few films it was over-trained on.

    A clear copy is several times nearer to one of its films than to the others, in RMSE; the other images are neither
    hits nor misses. The interval of a power is over the patients copied, not over the images.
    """

    films: int  # of as many patients
    steps: int
    generated: int
    clear: int  # images that are a clear copy of one film
    patients: int  # whose films came back as clear copies
    ratio_line: float  # RMSE to the nearest film over RMSE to the next, at most, of a clear copy
    median_ratio: float  # over all images generated
    median_rmse: float | None  # of clear copies to their films; None without any
    learnt_at: tuple[int, int] | None = None  # (Y, X) the model learnt at, where films are larger
    power: RateRecord | None  # None: no clear copy, so nothing is known
    by_detector: dict[str, RateRecord] = Field(default_factory=dict)


class Controls(Record):
    """What the audit would have seen."""

    negative: RateRecord  # unseen people flagged, each against a reference without them
    planted: list[PlantedRecord]
    minimum_power: float | None  # smallest lower limit among required kinds
    weakest_kind: str | None
    falls_under: dict[str, str] = Field(default_factory=dict)  # family of edits: strength where power < 0.8
    not_planted: list[str] = Field(default_factory=list)  # kinds for which T has not what they need
    given_up: list[str] = Field(default_factory=list)  # kinds that the settings left out to save time
    generative: GenerativeRecord | None = None
    generative_not_run: str | None = None  # why there is none


class Bounds(Record):
    """What may still be in there. STATISTICS 6."""

    model_rate_upper: float | None  # highest copying rate that is compatible with no flag
    sources: int | None = (
        None  # training films that a model must copy, about equally often, for the rate to hold
    )
    hidden_copies: int | None  # most training films whose copies could all have been missed in this release
    alpha: float
    wording: str


class Duplicates(Record):
    """Near-duplicates within the real data."""

    across_patients_in_train: int
    across_train_and_holdout: int
    pairs: list[tuple[str, int, int]] = Field(default_factory=list)  # (where, row, row), at most 100
    lines: dict[str, float] = Field(
        default_factory=dict
    )  # largest distance of a duplicate under each detector
    people_left_out: int = 0  # reference patients set aside because a film of theirs has a duplicate


class SourceCheck(Record):
    """Whether T and H look like films of one source."""

    p_value: float
    level: float  # at or below it they do not
    differs: bool
    feature: str  # what differs most, in words
    difference: float  # of its means, in standard deviations; above 0 when T has more of it
    train_people: int
    holdout_people: int
    permutations: int


class LikenessRecord(Record):
    """Whether images of S are as near to unseen people as people are: `count` of `of` are among the nearest tenth."""

    detector: str
    count: int
    of: int
    expected: float  # if images were people
    p_nearer: float
    p_farther: float


class VarietyRecord(Record):
    """How many different images S holds; near-identical ones count once."""

    distinct: int
    repeated: int  # images that have a twin
    groups: int  # sets of twins
    largest: int  # images in the largest set


class KnownAgain(Record):
    """How surely real follow-up films of training patients, each asked without itself, give the patient away."""

    follow_ups: int  # patients of T with two films that differ, one film each
    unseen: int  # people whose scores theirs are held against
    auc: float  # chance that a follow-up scores higher than an unseen person
    auc_low: float  # patient bootstrap, 95 %
    auc_high: float
    named: RateRecord  # the match is a film of the right patient
    flagged: RateRecord  # and flagged, were it the only such image of a release of this size
    detector: str
    wording: str


class Reidentification(Record):
    """Flagged images that copy a film, and those that are no closer than another film of the same person can be."""

    copies: int
    same_person: int
    copy_line: float  # closeness above which a flagged image is called a copy; 0 is the fixed line
    line_source: Literal["follow-ups", "fixed"]
    follow_up_pairs: int  # patients of T and H with several films, one pair each
    most_alike_follow_up: float | None
    known_again: KnownAgain | None  # None: no patient of T has two films that differ


class Audit(Record):
    """The whole of `audit.json`."""

    schema_: Literal["medaudit.audit/1"] = Field("medaudit.audit/1", alias="schema")
    verdict: Verdict
    reasons: list[str]
    counts: Counts
    cohort_test: CohortTest
    detectors: list[DetectorRecord]
    controls: Controls
    bounds: Bounds
    duplicates: Duplicates
    patient_level: bool  # False: no patient ids, the verdict is capped at inconclusive
    most_of_one: tuple[int, int] = (0, 0)  # images of the patient with the most, in T and in H
    budget: dict[str, float]  # how alpha was spent
    withheld: list[int] = Field(default_factory=list)  # rows of S set aside before this audit
    variety: VarietyRecord | None = None
    source: SourceCheck | None = None  # None: not compared
    likeness: LikenessRecord | None = None  # None: too few images or people
    agreement: AgreementRecord | None = None  # None: written by an earlier version
    reidentification: Reidentification | None = None
    remainder: Remainder | None = None  # None: nothing was flagged, or this was the second look already
    without_flags: WithoutFlags | None = None  # None: nothing was flagged
    next_steps: list[str] = Field(default_factory=list)  # what would change the verdict
    utility: UtilityRecord | None = (
        None  # no part of the verdict; None: too few images or people, or not asked
    )
    ledger: LedgerRecord | None = None  # None: not under a ledger

    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class LeakPoint(Record):
    """After `generated` images, `patients` distinct training patients had been extracted."""

    generated: int
    patients: int


class Extraction(Record):
    """The whole of `extract.json`: generate, cluster, match. STATISTICS 6, Carlini et al. 2023 sec. 4.2."""

    schema_: Literal["medaudit.extract/1"] = Field("medaudit.extract/1", alias="schema")
    verdict: Verdict
    reasons: list[str]
    generated: int
    conditions: list[str]
    edge_threshold: float  # tile distance under which two generated images are joined
    edge_false_rate: float  # share of held-out pairs of different patients under it
    clique_size: int
    cliques: int
    cliques_in_holdout: int  # the same procedure on unseen people: the negative control
    matched_cliques: int  # cliques that match a training image beyond the reference
    matched_holdout: int  # cliques that match a held-out image beyond the reference
    patients_extracted: int
    leak_curve: list[LeakPoint]
    new_patient_rate: float | None  # Good-Turing f1 / G
    patients_total_estimate: float | None  # Chao1
    wording: str
    # what else the verdict rests on
    train_images: int
    flagged_images: int  # single images that match a training image beyond the reference
    not_enumerated: int
    edge_pairs: int  # pairs of held-out images from which the edge threshold was drawn
    detectors_without_line: list[str]
    duplicates_across: int
    patient_level: bool
    seen_share: float | None
    alpha: float

    model_config = ConfigDict(extra="forbid", populate_by_name=True)


def write_record(path: Path, record: Record) -> None:
    """Write a record as indented JSON."""
    path.write_text(record.model_dump_json(by_alias=True, indent=1) + "\n")


def open_audit(path: Path) -> tuple[Artifact, Audit]:
    """Open a findings artifact made by `audit`. Raises ArtifactBroken when its audit.json cannot be read."""
    artifact = open_artifact(path, "findings")
    file = artifact.file(AUDIT_JSON)
    if AUDIT_JSON not in artifact.manifest["files"]:  # only what the manifest lists is covered by its hashes
        raise ArtifactBroken(f"{path} holds no audit.json; give a folder made by medaudit audit")
    try:
        return artifact, Audit.model_validate_json(file.read_text())
    except ValueError:
        raise ArtifactBroken(f"{path}: audit.json does not fit its schema; run the audit again") from None


def open_extraction(path: Path) -> tuple[Artifact, Extraction]:
    """Open a findings artifact made by `extract`."""
    artifact = open_artifact(path, "findings")
    file = artifact.file(EXTRACT_JSON)
    if EXTRACT_JSON not in artifact.manifest["files"]:
        raise ArtifactBroken(f"{path} holds no extract.json; give a folder made by medaudit extract")
    try:
        return artifact, Extraction.model_validate_json(file.read_text())
    except ValueError:
        raise ArtifactBroken(f"{path}: extract.json does not fit its schema; run it again") from None


def read_matches(artifact: Artifact, name: str = MATCHES) -> pa.Table:
    """The table of matches of a findings artifact. Raises ArtifactBroken for a file that holds none."""
    try:
        table = pq.read_table(artifact.file(name)) if name in artifact.manifest["files"] else None
    except (pa.ArrowException, OSError):
        table = None
    if table is None or not set(table.column_names) >= _SURE_COLUMNS:
        raise ArtifactBroken(f"{artifact.path}: {name} is no table of matches; make the findings again")
    return table


def patients_shown(artifact: Artifact) -> set[str]:
    """Pseudonyms of the training patients that flagged images name, under any detector."""
    named: set[str] = set()
    for name in (MATCHES, DETECTOR_MATCHES):
        if name in artifact.manifest["files"]:
            matches = read_matches(artifact, name)
            named.update(matches.filter(matches.column("flagged")).column("patient").to_pylist())
    return named - {None}
