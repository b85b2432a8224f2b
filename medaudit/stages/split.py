"""split: one cohort → training and held-out cohorts with no patient in both."""

from pathlib import Path

import numpy as np

from medaudit.artifacts.cohort import Cohort, open_cohort, write_subset
from medaudit.artifacts.store import Artifact, Draft, Request, finished
from medaudit.errors import UsageProblem
from medaudit.progress import SILENT, Progress
from medaudit.seeds import generator
from medaudit.stages.outcome import Outcome
from medaudit.stats.partition import partition_patients


def run(
    cohort: Path,
    train: Path,
    holdout: Path,
    fraction: float = 0.5,
    train_patients: int | None = None,
    holdout_patients: int | None = None,
    one_image_one_patient: bool = False,
    seed: int = 0,
    progress: Progress = SILENT,
) -> Outcome:
    """Divide by patients; the training cohort gets `fraction` of them, or the numbers asked for.

    Rows set aside go along with their patient and stay set aside. Killed between the two cohorts, the next call
    makes the missing one. Raises UsageProblem when patients are not known or do not suffice.
    """
    if train.absolute() == holdout.absolute():
        raise UsageProblem("--train and --holdout must be two folders")
    source = open_cohort(cohort)
    patients = _patients(source, cohort, one_image_one_patient)
    used = source.in_use
    try:
        first, second = partition_patients(
            patients[used], generator(seed, "split"), fraction, train_patients, holdout_patients
        )
    except ValueError as problem:
        raise UsageProblem(f"{cohort} cannot be split so: {problem}") from None
    settings = {
        "fraction": fraction,
        "train_patients": train_patients,
        "holdout_patients": holdout_patients,
        "one_image_one_patient": one_image_one_patient,
    }
    parts = {"train": (train, used[first]), "holdout": (holdout, used[second])}
    requests = {
        role: Request("cohort", {**settings, "role": role}, seed, {"cohort": source.id}) for role in parts
    }
    made = {role: finished(out, requests[role]) for role, (out, _) in parts.items()}  # both are free, or ours
    progress.start("split", 2)
    artifacts: dict[str, Artifact] = {}
    for role, (out, rows) in parts.items():
        artifacts[role] = made[role] or _write(
            source, out, requests[role], role, _rows_of(source, patients, rows)
        )
        progress.advance()
    return _outcome(source, patients, {role: rows for role, (_, rows) in parts.items()}, artifacts)


def _patients(source: Cohort, path: Path, one_image_one_patient: bool) -> np.ndarray:
    """(N,) whose each row is; a row of its own where the caller vouches that no patient has two."""
    if source.has_patients:
        return source.patients
    if not one_image_one_patient:
        missing = sum(1 for row in source.in_use if source.patients[row] is None)
        raise UsageProblem(
            f"{missing} films of {path} name no patient, so no split can keep patients apart; ingest with --manifest "
            "or --patient-regex, or state --one-image-one-patient"
        )
    named = [patient if patient is not None else row for row, patient in enumerate(source.patients)]
    return np.array(named, dtype=object)


def _rows_of(source: Cohort, patients: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """All rows, those set aside too, of the patients who stand in `rows`, in the cohort's order."""
    members = set(patients[rows])
    return np.array([row for row in range(len(source)) if patients[row] in members], dtype=np.int64)


def _write(source: Cohort, out: Path, request: Request, role: str, rows: np.ndarray) -> Artifact:
    facts = source.artifact.manifest
    kept = {name: facts[name] for name in ("origin", "layout", "warnings") if name in facts}
    with Draft(out, request) as draft:
        return write_subset(draft, source, rows, note={**kept, "role": role, "key": source.key})


def _outcome(
    source: Cohort, patients: np.ndarray, rows: dict[str, np.ndarray], artifacts: dict[str, Artifact]
) -> Outcome:
    counts = {role: len(set(patients[part])) for role, part in rows.items()}
    total = len(set(patients[source.in_use]))
    left = total - sum(counts.values())
    lines = [
        f"training: {counts['train']} patients, {len(rows['train'])} films",
        f"held out: {counts['holdout']} patients, {len(rows['holdout'])} films",
        f"no patient is in both; {left} patients left out" if left else "no patient is in both",
    ]
    data = {
        role: {"id": artifacts[role].id, "patients": counts[role], "films": len(rows[role])}
        for role in artifacts
    }
    return Outcome(tuple(lines), {**data, "patients_left_out": left})
