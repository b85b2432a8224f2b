"""`medaudit audit`: is anyone of T recognisable in S? STATISTICS 1 to 7, composed.

Every synthetic image is compared with every training image by every detector; what counts as close is learnt from
unseen people (training patients without themselves, and held-out patients); planted copies and unseen people taken
through the identical path say what would have been seen. Memory: see `scoring`; T is never loaded whole when large.
"""

from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq

from medaudit.artifacts.authentication import check_code, code_with, key_of_cohort, made_key
from medaudit.artifacts.environment import environment
from medaudit.artifacts.findings import (
    AUDIT_JSON,
    EXIT_CODES,
    open_audit,
    write_record,
)
from medaudit.artifacts.image_counts import unused
from medaudit.artifacts.store import Draft, Request, finished
from medaudit.config import AuditSettings
from medaudit.devices import pick_device
from medaudit.errors import ReferenceTooSmall, UsageProblem
from medaudit.progress import SILENT, Progress
from medaudit.protocol.audit import examine_cohorts
from medaudit.protocol.audit_summary import summary
from medaudit.protocol.audit_tables import flagged_pairs, tables
from medaudit.protocol.belonging import open_sides
from medaudit.protocol.carried import spare
from medaudit.protocol.described import Machine, check_memory
from medaudit.protocol.engines import LOCAL, open_engine
from medaudit.protocol.outlook import whole_record
from medaudit.protocol.together import Begin
from medaudit.stages.encoders import CopyNetwork
from medaudit.stages.outcome import Outcome

MEMORY_BYTES = 1 << 30


def run(
    train: Path,
    holdout: Path,
    synthetic: Path,
    out: Path,
    settings: AuditSettings | None = None,
    device: str = "auto",
    seed: int = 0,
    progress: Progress = SILENT,
    *,
    withheld: Sequence[int] = (),
    alpha_spent: float = 0.0,
    copy_network: str | None = None,
    keep_encoder: Path | None = None,
    memory_bytes: int = MEMORY_BYTES,
    engine: str = LOCAL,
    ray_address: str | None = None,
    begin: Begin | None = None,
    key: Path | None = None,
) -> Outcome:
    """Audit S against T with H as unseen people; the exit code is the verdict's.

    `withheld`: rows of S that will not be released; `alpha_spent`: what earlier audits used of alpha;
    `copy_network`: `train`, or an encoder's path; `keep_encoder`: where to keep the one that is trained;
    `engine`: local or ray, `ray_address`: of a cluster that runs. The engine leaves no trace in the findings.
    `key`: the site's key, of which the findings carry a code; looked for beside the cohorts where it is not given.
    `begin`: asks a ledger for this audit's part of alpha and for what was released before (stages/recorded).
    Raises CohortMismatch, PatientInBothSplits, EmptyCohort, ReferenceTooSmall, DeviceUnavailable, UsageProblem,
    EncoderProblem, EngineUnavailable, ClusterLost.
    """
    settings = settings or AuditSettings()  # type: ignore[call-arg]
    if not 0 <= alpha_spent < settings.alpha:
        raise UsageProblem(
            f"alpha_spent must leave something of alpha {settings.alpha:g}; raise alpha in the config"
        )
    processor = str(pick_device(device))
    left_out = sorted(int(row) for row in withheld)
    sides = open_sides(train, holdout, synthetic, left_out)
    if len(sides[0]) < 2:
        raise ReferenceTooSmall(f"{train} has one image in use; an audit needs at least two training images")
    never = unused(sides[2].cohort)
    check_memory(memory_bytes, sides[0])
    secret = key_of_cohort(key, (train, holdout, synthetic, out), sides[0].cohort.key, train)
    network = CopyNetwork.of(
        copy_network, keep_encoder, sides[0], settings.copynet, seed, processor, progress
    )
    request = Request(
        "findings",
        {
            "command": "audit",
            **settings.model_dump(mode="json"),
            "withheld": left_out,
            "alpha_spent": alpha_spent,
            "copy_network": network.id,
        },
        seed,
        {name: side.cohort.id for name, side in zip(("train", "holdout", "synthetic"), sides, strict=True)},
    )
    share = begin(request, settings, sides) if begin is not None else None
    if share is not None:
        settings = share.settings(settings)
        request = share.request(request, settings)
    if finished(out, request) is None:
        with open_engine(engine, ray_address, processor, memory_bytes) as by, Draft(out, request) as draft:
            machine = Machine(processor, memory_bytes, progress, draft.scratch, by)
            size = len(sides[2].cohort)
            if share is not None:
                sides = (*sides[:2], share.joined(sides[2], draft, left_out))
            detectors = network.detectors(sides[0], machine)
            case, examined, plants = examine_cohorts(*sides, detectors, settings, alpha_spent, seed, machine)
            if share is not None:
                case, examined, spared = spare(case, examined, share.cleared(size))
            record = whole_record(case, examined, plants, left_out, seed, machine)
            found = tables(case, examined)
            if share is not None:
                record = share.noted(record, flagged_pairs(found), size, spared)
                found = share.parted(found, size, spared)
            write_record(draft.file(AUDIT_JSON), record)
            for name, table in found.items():
                pq.write_table(table, draft.file(name))
            draft.commit(environment=environment(processor), seal=code_with(secret or made_key(train)))
    artifact, record = open_audit(out)
    check_code(artifact, secret or made_key(train))
    data = record.model_dump(mode="json", by_alias=True)
    return Outcome(summary(record, out, never), data, out, EXIT_CODES[record.verdict])
