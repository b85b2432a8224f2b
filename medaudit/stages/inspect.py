"""inspect: what a source holds, what was guessed, and what cannot be read, before anything runs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medaudit.progress import SILENT, Progress
from medaudit.readers.layouts import Columns, Listing, list_source
from medaudit.readers.left import left_line
from medaudit.readers.pool import Workers, worker_count
from medaudit.readers.refusals import counted
from medaudit.readers.settle import shown
from medaudit.readers.survey import Survey, survey, try_codings
from medaudit.stages.outcome import Outcome
from medaudit.stages.refusals import check_csv, listed, objection, too_many, write_csv


def run(
    source: Path,
    layout: str = "auto",
    manifest: Path | None = None,
    patient_regex: str | None = None,
    workers: int | None = None,
    progress: Progress = SILENT,
    *,
    only_layout: bool = False,
    columns: Columns = Columns(),  # noqa: B008 - frozen
    refused_csv: Path | None = None,
) -> Outcome:
    """Read headers only, and decode one image of each coding. `refused_csv` takes the names of the files refused.

    `only_layout`: what the layout leaves is meant to be left, and no note says that ingest would stop for it. Raises
    SourceMissing, LayoutUnknown, and NothingReadable, with all that was found out, where no file can be read.
    """
    check_csv(refused_csv, source)
    listing = list_source(source, layout, manifest, patient_regex, columns)
    with Workers(worker_count(workers, len(listing.entries), listing.size_bytes)) as used:
        found = survey(listing, used, progress)
    tried = try_codings(listing, found)
    facts = found.facts()
    decodes = {f"{coding}, {bits} bit": reason or "decoded" for (coding, bits), reason in tried.items()}
    data: dict[str, Any] = {
        "layout": listing.layout,
        "why": listing.why,
        **facts,
        "decodes": decodes,
        "ignored": dict(listing.ignored),
        "left_by_layout": len(listing.left),
        "links_outside": listing.links_outside,
        "warnings": [*listing.warnings, *found.warnings()],
    }
    refused = [(shown(name), reason) for name, reason in found.refused_files]
    write_csv(refused_csv, refused)
    lines = _lines(listing, found, data, listed(refused, refused_csv))
    left = left_line(listing)
    if left and not only_layout:
        lines.append(f"note: {left}; ingest stops there unless --only-layout is given")
    if (problem := objection(source, found.refused, found.readable, accepted=True)) is not None:
        problem.listed = tuple(lines)
        raise problem
    return Outcome(tuple(lines), data)


def _lines(
    listing: Listing, found: Survey, data: Mapping[str, Any], refused: tuple[str, ...] = ()
) -> list[str]:
    lines = [
        f"layout: {listing.layout} ({listing.why})",
        f"images: {found.readable} of {found.films} readable by their headers, {counted(found.refused)}",
        *refused,
        f"patients: {patients_line(data['films_per_patient'])}",
        f"views: {_counts(data['views'])}",
        f"formats: {_counts(data['formats'])}",
    ]
    if found.splits:
        lines.append(f"splits named by the source: {_counts(data['splits'])}")
    if found.modalities:
        lines.append(f"modalities: {_counts(data['modalities'])}")
        lines.append(f"polarity: {_counts(data['polarities'])}")
    for name, count in data["codings"].items():
        lines.append(f"coding: {name}: {_films(count)}, one tried: {data['decodes'][name]}")
    if found.readable:
        lines.append(
            f"size: short sides {found.smallest} to {found.shortest} px, longest side {found.longest} px"
        )
    if listing.ignored:
        lines.append(f"passed over, by ending: {_counts(listing.ignored)}")
    if too_many(found.refused, found.readable) and found.readable:
        lines.append("ingest stops at so many refused images unless --accept-refused is given")
    return lines + [f"note: {text}" for text in dict.fromkeys((*data["warnings"], *screen_notes(listing)))]


def screen_notes(listing: Listing) -> list[str]:
    """What the user is told of a listing and no artifact keeps; it may name files of the source."""
    links = listing.links_outside
    said = [f"{links} files reached through links outside the source"] if links else []
    return [*said, *listing.notes]


def patients_line(facts: Mapping[str, float]) -> str:
    """`117 (1 to 66 images each, median 2; 64 with more than one)`."""
    if not facts["patients"]:
        return "none named"
    if facts["fewest"] == facts["most"]:
        return f"{facts['patients']} ({_films(int(facts['most']))} each)"
    return (
        f"{facts['patients']} ({facts['fewest']} to {facts['most']} images each, median {facts['median']:g}; "
        f"{facts['with_several']} with more than one)"
    )


def _films(count: int) -> str:
    return "1 image" if count == 1 else f"{count} images"


def _counts(counts: Mapping[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{name} {count}" for name, count in ordered) or "none"
