"""`medaudit extract`: which images does the model repeat, and whose are they? Carlini et al. 2023, sec. 4.2.

Many images are generated, those that repeat are grouped (cliques under the tile distance, the line drawn from unseen
people), and groups and single images are matched with T as an audit does it. Memory: see `searching`; beside that
the generated images under the tile distance, and the list of close pairs.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from medaudit.artifacts.authentication import check_code, code_with, key_of_cohort, made_key
from medaudit.artifacts.cohort import open_cohort
from medaudit.artifacts.environment import environment
from medaudit.artifacts.findings import (
    DETECTOR_MATCHES,
    EXIT_CODES,
    EXTRACT_JSON,
    MATCH_SCHEMA,
    MATCHES,
    REFERENCE,
    open_extraction,
    write_record,
)
from medaudit.artifacts.store import MANIFEST, Draft, Request, finished, open_artifact
from medaudit.config import REFERENCE_PEOPLE
from medaudit.devices import pick_device
from medaudit.errors import CohortMismatch, UsageProblem
from medaudit.progress import SILENT, Progress
from medaudit.protocol.belonging import check_real, open_sides
from medaudit.protocol.described import Machine, check_memory
from medaudit.protocol.duplicates import find_doubles
from medaudit.protocol.engines import LOCAL, open_engine
from medaudit.protocol.examination import match_table, reference_table
from medaudit.protocol.extract_record import Attack, extraction_record, summary
from medaudit.protocol.matching_repeats import half_of_alpha, match
from medaudit.protocol.repeats import find_repeats
from medaudit.protocol.scoring import draw_people
from medaudit.protocol.sides import Side
from medaudit.stages import generate
from medaudit.stages.outcome import Outcome
from medaudit.stats.matching import rows_of_speakers, usable_neighbours

MEMORY_BYTES = 1 << 30
ALPHA = 0.05  # the chance of naming anyone when nobody was copied
NEIGHBOURS = 50  # k of the adaptive ratio
CLIQUES = "cliques.parquet"
GENERATED = "generated"  # the cohort made here; confidential


def run(
    model: Path,
    train: Path,
    holdout: Path,
    out: Path,
    count: int = 512,
    clique_size: int = 4,
    device: str = "auto",
    seed: int = 0,
    progress: Progress = SILENT,
    *,
    synthetic: Path | None = None,
    memory_bytes: int = MEMORY_BYTES,
    engine: str = LOCAL,
    ray_address: str | None = None,
    key: Path | None = None,
) -> Outcome:
    """Generate `count` images (or take the cohort `synthetic`), group the repeats, match them with T and H.

    `engine`, `ray_address` and `key` as in `audit`. The exit code is the verdict's. Raises UsageProblem,
    CohortMismatch, PatientInBothSplits, ReferenceTooSmall, EngineUnavailable, ClusterLost, and what loading the model
    raises.
    """
    if count < 2 or clique_size < 2:
        raise UsageProblem("count and clique size must be at least 2")
    processor = str(pick_device(device))
    cohorts = {"train": open_cohort(train), "holdout": open_cohort(holdout)}
    check_real(cohorts["train"], cohorts["holdout"])
    check_memory(memory_bytes, Side.of(cohorts["train"]))
    secret = key_of_cohort(key, (train, holdout, out), cohorts["train"].key, train)
    parents = {"model": _model_id(model), **{name: cohort.id for name, cohort in cohorts.items()}}
    settings = {"command": "extract", "clique_size": clique_size, "alpha": ALPHA, "neighbours": NEIGHBOURS}
    settings |= {"count": count} if synthetic is None else {}
    parents |= {} if synthetic is None else {"synthetic": _made_by(synthetic, parents["model"])}
    request = Request("findings", settings, seed, parents)
    if finished(out, request) is None:
        with open_engine(engine, ray_address, processor, memory_bytes) as by, Draft(out, request) as draft:
            source = synthetic if synthetic is not None else draft.path / GENERATED
            if synthetic is None:
                generate.run(model, count, source, device=device, seed=seed, progress=progress)
            sides = open_sides(train, holdout, source, ())
            machine = Machine(processor, memory_bytes, progress, draft.scratch, by)
            attack = _attack(*sides, clique_size, seed, machine)
            write_record(draft.file(EXTRACT_JSON), extraction_record(attack))
            _write_tables(draft, attack)
            draft.commit(environment=environment(processor), seal=code_with(secret or made_key(train)))
    artifact, record = open_extraction(out)
    check_code(artifact, secret or made_key(train))
    data = record.model_dump(mode="json", by_alias=True)
    return Outcome(summary(record, out), data, out, EXIT_CODES[record.verdict])


def _attack(train: Side, holdout: Side, synthetic: Side, size: int, seed: int, machine: Machine) -> Attack:
    """Unseen people, groups of repeats, then whose they are."""
    doubles = find_doubles(train, holdout, machine, seed)
    usable, doubled = usable_neighbours(NEIGHBOURS, train.groups)[1], (doubles.in_train, doubles.in_holdout)
    people = draw_people(train, holdout, usable, doubled, REFERENCE_PEOPLE, seed)
    repeats = find_repeats(synthetic, holdout, people.holdout, size, seed, machine)
    medoids = np.array(repeats.cliques.medoids, dtype=np.int64)
    cohorts, budget = (train, holdout, synthetic), half_of_alpha(ALPHA)
    matches = match(*cohorts, medoids, people, NEIGHBOURS, budget, seed, machine)
    return Attack(train, holdout, synthetic, size, ALPHA, doubles, repeats, matches)


def _write_tables(draft: Draft, attack: Attack) -> None:
    """A row per medoid, a row per image and detector, the reference, and who is in which clique (rows of S)."""
    train, synthetic, matches = attack.train, attack.synthetic, attack.matches
    everything = pa.concat_tables([match_table(seen, train, synthetic) for seen in matches.images])
    pq.write_table(everything, draft.file(DETECTOR_MATCHES))
    people = [reference_table(seen, train, attack.holdout) for seen in matches.images]
    pq.write_table(pa.concat_tables(people), draft.file(REFERENCE))
    medoids = MATCH_SCHEMA.empty_table()
    if matches.medoids:
        picked = synthetic.at(np.array(attack.repeats.cliques.medoids))
        tables = pa.concat_tables([match_table(seen, train, picked) for seen in matches.medoids])
        judged = [seen.judged for seen in matches.medoids]
        speaking = rows_of_speakers(
            [j.flagged for j in judged], [j.upper for j in judged], [j.p for j in judged]
        )
        medoids = tables.take(pa.array(speaking))
    pq.write_table(medoids, draft.file(MATCHES))
    groups = attack.repeats.cliques.members
    columns = {
        "clique": [number for number, members in enumerate(groups) for _ in members],
        "synthetic_id": [int(synthetic.rows[place]) for members in groups for place in members],
    }
    schema = pa.schema([(name, pa.int64()) for name in columns])
    pq.write_table(pa.table(columns, schema=schema), draft.file(CLIQUES))


def _model_id(model: Path) -> str:
    """The id of the model's artifact, or of a foreign model's files."""
    if (model / MANIFEST).is_file():
        return open_artifact(model, "model").id
    from medaudit.generators.loading import load_model

    return load_model(model, "cpu").id


def _made_by(synthetic: Path, model_id: str) -> str:
    """The id of a synthetic cohort. Raises CohortMismatch when another model made it."""
    artifact = open_cohort(synthetic).artifact
    if artifact.lineage.get("model", model_id) != model_id:
        raise CohortMismatch(f"{synthetic} was generated by another model; give that one as --model")
    return artifact.id
