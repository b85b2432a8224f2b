"""The tables of an audit. Axes: N synthetic images, E detectors."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from medaudit.artifacts.findings import DETECTOR_MATCHES, MATCHES, REFERENCE
from medaudit.protocol.audit_record import Case
from medaudit.protocol.examination import Examined, match_table, reference_table
from medaudit.stats.matching import rows_of_speakers


def tables(case: Case, examined: Sequence[Examined]) -> dict[str, pa.Table]:
    """By file name: matches by detector (E * N rows), the match of the detector that speaks for each image (N rows),
    and the reference."""
    everything = pa.concat_tables(
        [match_table(seen, case.train, case.synthetic, case.related.relation) for seen in examined]
    )
    judged = [seen.judged for seen in examined]
    speaking = rows_of_speakers([j.flagged for j in judged], [j.upper for j in judged], [j.p for j in judged])
    people = [reference_table(seen, case.train, case.holdout) for seen in examined]
    return {
        DETECTOR_MATCHES: everything,
        MATCHES: everything.take(pa.array(speaking)),
        REFERENCE: pa.concat_tables(people),
    }


def flagged_pairs(tables: dict[str, pa.Table]) -> np.ndarray:
    """(n, 2) rows of S with rows of T for which any detector flags them, ascending, each once."""
    found = tables[DETECTOR_MATCHES]
    flagged = found.filter(found.column("flagged"))
    pairs = [flagged.column(name).to_numpy() for name in ("synthetic_id", "train_id")]
    return np.unique(np.stack(pairs, axis=1), axis=0)
