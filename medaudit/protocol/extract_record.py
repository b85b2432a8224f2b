"""The record of an extraction, and what it says on the screen. The words of the verdict are stats/extraction's."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medaudit.artifacts.findings import EXTRACT_JSON, MATCHES, Extraction, LeakPoint
from medaudit.protocol.duplicates import Doubles
from medaudit.protocol.matching_repeats import Matches, named_by_cliques, sightings
from medaudit.protocol.repeats import Repeats
from medaudit.protocol.sides import Side
from medaudit.stats.extraction import ExtractionEvidence, decide_extraction, leak, seen_share, wording


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
