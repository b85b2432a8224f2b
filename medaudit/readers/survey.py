"""What a source holds, from headers only: counts that inspect prints and ingest plans with.

Patients are counted by the ids of the source, which stay in memory; what leaves as `facts` holds counts alone.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from medaudit.progress import SILENT, Progress
from medaudit.readers import files, npz, refusals
from medaudit.readers.pool import Workers, chunked
from medaudit.readers.records import Entry, ImageArray, Listing, Look, fill
from medaudit.readers.refusals import Refused

_CHUNK = 256
_SERIAL_BELOW = 2000  # headers: read while the processes are still starting
_SHARED_FROM = 10  # images; in smaller sets one patient with most of them is nothing odd
_SHARED_PART = 0.5


@dataclass
class Survey:
    """Counts over the images of a source. `examples` names one file of each (coding, bits).

    `refused_files` are (name, reason), for the user's own screen; they are in no facts.
    """

    films: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    refused_files: list[tuple[str, str]] = field(default_factory=list)
    formats: Counter[str] = field(default_factory=Counter)
    modalities: Counter[str] = field(default_factory=Counter)
    polarities: Counter[str] = field(default_factory=Counter)
    codings: Counter[tuple[str, int]] = field(default_factory=Counter)
    views: Counter[str] = field(default_factory=Counter)
    splits: Counter[str] = field(default_factory=Counter)
    patients: Counter[str] = field(default_factory=Counter)
    examples: dict[tuple[str, int], str] = field(default_factory=dict)
    longest: int = 0  # px: the largest long side
    shortest: int = 0  # px: the largest short side
    smallest: int = 0  # px: the smallest short side
    synthetic: int = 0  # images that say of themselves that they are synthetic

    @property
    def readable(self) -> int:
        """Films whose header raises no objection."""
        return self.films - sum(self.refused.values())

    @property
    def nameless(self) -> int:
        """Readable images without a patient."""
        return self.readable - sum(self.patients.values())

    @property
    def bits(self) -> int:
        """The largest depth."""
        return max((bits for _, bits in self.codings), default=8)

    def films_per_patient(self) -> dict[str, float]:
        """See the function of that name."""
        return films_per_patient(self.patients)

    def facts(self) -> dict[str, Any]:
        """The counts as JSON, without an id or a name."""
        return {
            "films": self.films,
            "readable": self.readable,
            "refused": _by_name(self.refused),
            "formats": _by_name(self.formats),
            "modalities": _by_name(self.modalities),
            "polarities": _by_name(self.polarities),
            "codings": {f"{coding}, {bits} bit": n for (coding, bits), n in sorted(self.codings.items())},
            "views": _by_name(self.views),
            "splits": _by_name(self.splits),
            "films_per_patient": self.films_per_patient(),
            "films_without_patient": self.nameless,
            "longest_side": self.longest,
            "largest_short_side": self.shortest,
            "smallest_short_side": self.smallest,
            "synthetic": self.synthetic,
        }

    def warnings(self) -> list[str]:
        """What a careful reader would want to know of the patients and the images."""
        found = []
        most = max(self.patients.values(), default=0)
        if self.readable >= _SHARED_FROM and most > _SHARED_PART * self.readable:
            found.append(
                f"one patient id is given to {most} of {self.readable} images: it names the set, not a person; "
                "give the patients with --manifest or --patient-regex"
            )
        if self.nameless:
            found.append(
                f"{self.nameless} of {self.readable} images name no patient; "
                "give the patients with --manifest or --patient-regex"
            )
        alike = Counter(patient.casefold().lstrip("0") for patient in self.patients)
        doubtful = sum(count for count in alike.values() if count > 1)
        if doubtful:
            found.append(
                f"{doubtful} patient ids differ from another one only in case or leading zeros and are kept apart; "
                "where they are one patient, write them alike and give them with --manifest"
            )
        if self.synthetic:
            found.append(f"{self.synthetic} images say of themselves that they are synthetic")
        return found


def films_per_patient(films: Iterable[str | None]) -> dict[str, float]:
    """Patients, and fewest, median and most images of one; patients with more than one. None is nobody.

    Takes a patient for each image, or a Counter of images by patient.
    """
    counter = films if isinstance(films, Counter) else Counter(patient for patient in films if patient)
    counts = sorted(counter.values())
    if not counts:
        return {"patients": 0}
    return {
        "patients": len(counts),
        "fewest": counts[0],
        "median": median(counts),
        "most": counts[-1],
        "with_several": sum(1 for count in counts if count > 1),
    }


@dataclass(frozen=True)
class _Header:
    """Looks at one entry; a reason stands for a refusal."""

    listing: Listing

    def __call__(self, entry: Entry) -> Look | str:
        if entry.refuse:
            return entry.refuse
        try:
            return files.look_file(self.listing.root, entry.file, self.listing.accept)
        except Refused as refused:
            return refused.reason
        except MemoryError:
            return refusals.TOO_MANY_PIXELS


def survey(listing: Listing, workers: Workers, progress: Progress = SILENT) -> Survey:
    """Look at every header of the listing; several processes share the work."""
    found = Survey()
    progress.start("headers", len(listing.entries))
    if listing.npz_path is not None:
        for array, part in _by_array(listing):
            _count_all(found, listing, part, [_npz_look(entry, array) for entry in part])
            progress.advance(len(part))
        return found
    used = workers if len(listing.entries) >= _SERIAL_BELOW else Workers(1)
    bare = _Header(Listing(listing.root, listing.layout, "", [], "", accept=listing.accept))
    chunks = chunked(listing.entries, _CHUNK)
    looked = used.run_chunks(bare, chunks, lambda entry: refusals.DECODER_CRASHED)
    for part, looks in zip(chunked(listing.entries, _CHUNK), looked, strict=True):
        _count_all(found, listing, part, looks)
        progress.advance(len(part))
    return found


def try_codings(listing: Listing, found: Survey) -> dict[tuple[str, int], str | None]:
    """Decode one file of each (coding, bits): None where it came out, else the reason.

    That a codec is installed is no proof that it can read what a site's machines wrote.
    """
    results: dict[tuple[str, int], str | None] = {}
    if listing.npz_path is not None:
        return dict.fromkeys(found.examples)
    for pair, name in sorted(found.examples.items()):
        try:
            files.read_file(listing.root, name, listing.accept)
            results[pair] = None
        except Refused as refused:
            # one faulty image proves nothing against the codec
            results[pair] = None if refused.reason == refusals.CONSTANT else refused.reason
        except MemoryError:
            results[pair] = refusals.TOO_MANY_PIXELS
    return results


def _count_all(
    found: Survey, listing: Listing, entries: Iterable[Entry], looks: Iterable[Look | str]
) -> None:
    for entry, look in zip(entries, looks, strict=True):
        found.films += 1
        if isinstance(look, str):
            found.refused[look] += 1
            found.refused_files.append((entry.file, look))
            continue
        _count(found, fill(entry, look, header_patient=listing.header_patient), look)


def _count(found: Survey, entry: Entry, look: Look) -> None:
    found.formats[look.kind] += 1
    if look.kind == "DICOM":
        found.modalities[str(look.facts.get("modality") or "not said")] += 1
        found.polarities[str(look.facts.get("photometric") or "not said")] += 1
    pair = (look.coding, look.bits)
    found.codings[pair] += 1
    found.examples.setdefault(pair, entry.file)
    found.views[entry.view or "not said"] += 1
    if entry.split:
        found.splits[entry.split] += 1
    if entry.patient:
        found.patients[entry.patient] += 1
    short, long = sorted((look.rows, look.columns))
    found.smallest = short if not found.longest else min(found.smallest, short)
    found.longest, found.shortest = max(found.longest, long), max(found.shortest, short)
    found.synthetic += bool(look.facts.get("synthetic"))


def _by_array(listing: Listing) -> Iterable[tuple[ImageArray | None, list[Entry]]]:
    start = 0
    for array in listing.arrays:
        yield array, listing.entries[start : start + array.shape[0]]
        start += array.shape[0]
    yield None, listing.entries[start:]


def _npz_look(entry: Entry, array: ImageArray | None) -> Look | str:
    if entry.refuse or array is None:
        return entry.refuse or refusals.MISSING_FILE
    try:
        return npz.look(array)
    except Refused as refused:
        return refused.reason


def _by_name(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items()))
