"""`medaudit index`: what every vector detector sees of a cohort, kept in its folder, so that audits need not make it.

A killed run goes on after its last whole portions. Films added since `begun_with` was indexed are all it describes.
"""

import shutil
from pathlib import Path

from medaudit.artifacts.cohort import Cohort, open_cohort
from medaudit.artifacts.store import disk_full_named
from medaudit.detectors import VECTOR_DETECTORS
from medaudit.errors import IndexMismatch, UsageProblem
from medaudit.progress import SILENT, Progress
from medaudit.protocol.described import grow_index, index_folder
from medaudit.protocol.sides import Side
from medaudit.stages.outcome import Outcome


def run(cohort: Path, begun_with: Path | None = None, progress: Progress = SILENT) -> Outcome:
    """Index a cohort, going on from what stands there, or from the index of a cohort with the same first films.

    Raises IndexMismatch for an index of another version, StorageFull, UsageProblem for a folder that takes no files.
    """
    source = open_cohort(cohort)
    earlier = None if begun_with is None else open_cohort(begun_with)
    side, sizes = Side.of(source), {}
    for detector in VECTOR_DETECTORS:
        folder = index_folder(source, detector)
        try:
            with disk_full_named(cohort):
                if earlier is not None and not folder.exists():
                    _take_over(index_folder(earlier, detector), folder)
                grow_index(folder, side, detector, progress)
        except OSError:
            raise UsageProblem(f"{cohort} takes no index; make its folder writable") from None
        sizes[detector.name] = sum(file.stat().st_size for file in folder.iterdir())
    return _outcome(source, cohort, sizes)


def _take_over(earlier: Path, folder: Path) -> None:
    """Copy an earlier cohort's index; the copy takes its name only when it is whole."""
    if not earlier.is_dir():
        raise IndexMismatch(f"{earlier.parent.parent} has no index; run `medaudit index` on it first")
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    folder.parent.mkdir(mode=0o700, exist_ok=True)
    shutil.copytree(earlier, partial)
    partial.rename(folder)


def _outcome(source: Cohort, path: Path, sizes: dict[str, int]) -> Outcome:
    total = sum(sizes.values())
    count = len(source.in_use)
    return Outcome(
        (f"Index of {path}: {count} films, {len(sizes)} detectors, {total / 1e6:.0f} MB.",),
        {"cohort": source.id, "path": str(path), "films": count, "bytes": sizes},
        path,
    )
