"""The record of an extraction, and what it says on the screen. The words of the verdict are stats/extraction's."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medaudit.artifacts.findings import EXTRACT_JSON, MATCHES, Extraction, LeakPoint
from medaudit.protocol.duplicates import Doubles
from medaudit.protocol.matching_repeats import Matches, named_by_cliques, sightings
from medaudit.protocol.repeats import Repeats
from medaudit.protocol.sides import Side
from medaudit.stats.extraction import (
    EdgeLine,
    ExtractionEvidence,
    decide_extraction,
    leak,
    seen_share,
    wording,
)


@dataclass(frozen=True)
class Attack:
    """All that an extraction looked at and found."""

    train: Side
    holdout: Side
    synthetic: Side
    clique_size: int
    alpha: float
    doubles: Doubles
    repeats: Repeats
    matches: Matches


def extraction_record(attack: Attack) -> Extraction:
    """extract.json, with the verdict and its reasons."""
    train, synthetic, matches, repeats = attack.train, attack.synthetic, attack.matches, attack.repeats
    members, generated = repeats.cliques.members, len(synthetic)
    image, patient = sightings(matches, train)
    named = sorted(set(named_by_cliques(matches, train)))
    leaked = leak(
        image, patient, [(members[clique], person) for clique, person in named], attack.clique_size, generated
    )
    evidence = ExtractionEvidence(
        generated=generated,
        train_images=len(train),
        clique_size=attack.clique_size,
        cliques=len(members),
        matched_cliques=int(matches.in_train.sum()),
        flagged_images=len(np.unique(image)),
        patients=leaked.patients,
        matched_holdout=int(matches.in_holdout.sum()),
        cliques_in_holdout=repeats.among_unseen,
        not_enumerated=repeats.cliques.not_enumerated,
        line=repeats.line,
        detectors_without_line=tuple(
            seen.bench.detector.name for seen in matches.images if seen.bench.tail is None
        ),
        duplicates_across=len(attack.doubles.across),
        patient_level=train.cohort.has_patients and attack.holdout.cohort.has_patients,
        seen_share=seen_share(generated, len(train), attack.clique_size, attack.alpha),
        alpha=attack.alpha,
    )
    verdict, reasons = decide_extraction(evidence)
    return Extraction(
        schema_="medaudit.extract/1",
        verdict=verdict,  # type: ignore[arg-type]
        reasons=reasons,
        generated=generated,
        conditions=_conditions(synthetic),
        edge_threshold=repeats.line.threshold,
        edge_false_rate=repeats.line.false_rate,
        clique_size=attack.clique_size,
        cliques=evidence.cliques,
        cliques_in_holdout=evidence.cliques_in_holdout,
        matched_cliques=evidence.matched_cliques,
        matched_holdout=evidence.matched_holdout,
        patients_extracted=leaked.patients,
        leak_curve=[LeakPoint(generated=step, patients=seen) for step, seen in leaked.curve],
        new_patient_rate=leaked.new_patient_rate,
        patients_total_estimate=leaked.patients_total,
        wording=wording(evidence),
        train_images=evidence.train_images,
        flagged_images=evidence.flagged_images,
        not_enumerated=evidence.not_enumerated,
        edge_pairs=repeats.line.pairs,
        detectors_without_line=list(evidence.detectors_without_line),
        duplicates_across=evidence.duplicates_across,
        patient_level=evidence.patient_level,
        seen_share=evidence.seen_share,
        alpha=evidence.alpha,
    )


def evidence_of(record: Extraction) -> ExtractionEvidence:
    """What the verdict rests on, read off the record; its own verdict and reasons are not looked at."""
    return ExtractionEvidence(
        generated=record.generated,
        train_images=record.train_images,
        clique_size=record.clique_size,
        cliques=record.cliques,
        matched_cliques=record.matched_cliques,
        flagged_images=record.flagged_images,
        patients=record.patients_extracted,
        matched_holdout=record.matched_holdout,
        cliques_in_holdout=record.cliques_in_holdout,
        not_enumerated=record.not_enumerated,
        line=EdgeLine(record.edge_threshold, record.edge_false_rate, record.edge_pairs),
        detectors_without_line=tuple(record.detectors_without_line),
        duplicates_across=record.duplicates_across,
        patient_level=record.patient_level,
        seen_share=record.seen_share,
        alpha=record.alpha,
    )


def summary(record: Extraction, out: Path) -> tuple[str, ...]:
    """The verdict with its numbers, the groups, the reasons, the files."""
    return (
        f"{record.verdict}: {record.generated:,} generated images gave away {record.patients_extracted:,} "
        "training patients",
        f"groups of repeated images: {record.cliques:,}, of which {record.matched_cliques:,} match a training "
        f"image and {record.matched_holdout:,} a held-out image",
        *(f"- {reason}" for reason in record.reasons),
        f"findings: {out / EXTRACT_JSON}, every group's match: {out / MATCHES}",
    )


def _conditions(synthetic: Side) -> list[str]:
    """The label sets the images were generated under, sorted; none for an unconditional model."""
    labels = synthetic.cohort.labels
    return sorted({", ".join(labels[row]) for row in synthetic.rows if labels[row]})
