"""What the readers hand on: the listing of a source and its entries, a look at a header, a decoded image.

Axes: (Y, X) rows and columns of pixels.
"""

import math
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

MAX_PIXELS = 100_000_000  # an image of 43 x 43 cm at 0.05 mm has 74 million; more is refused before decoding
_ALWAYS_FITS = 12_000_000  # pixels, 60 bytes each while an image is read
_PIXELS_A_BYTE = 250  # a radiograph, with its noise, fills more: blank ones and bombs do not

# How sources spell a view → the word kept. What is not here becomes OTHER.
_VIEWS = {
    "PA": "PA",
    "POSTEROANTERIOR": "PA",
    "AP": "AP",
    "ANTEROPOSTERIOR": "AP",
    "APAXIAL": "AP",
    "APHORIZONTAL": "AP",
    "APSUPINE": "AP",
    "APERECT": "AP",
    "L": "LATERAL",
    "LL": "LATERAL",
    "RL": "LATERAL",
    "LAT": "LATERAL",
    "LLAT": "LATERAL",
    "RLAT": "LATERAL",
    "LATERAL": "LATERAL",
    "LEFTLATERAL": "LATERAL",
    "RIGHTLATERAL": "LATERAL",
    "FRONTAL": "FRONTAL",
}

# What tools write into a cell without a value, lower case.
BLANK = frozenset({"", "nan", "none", "null", "n/a"})
# What tools write for a missing id, and what de-identification writes for every patient: neither names one.
_NO_PATIENT = BLANK | frozenset(
    {"na", "<na>", "nat", "unknown", "removed", "redacted", "anon", "anonymous"}
    | {"anonymized", "anonymised", "deidentified", "de-identified", "patient^anonymous", "anonymous^patient"}
)
_WHOLE_FLOAT = re.compile(r"(\d+)\.0+")


def patient_id(text: str | None) -> str | None:
    """A patient's id as every source of it is compared; None where it names no patient.

    Left away are blanks and NUL at the ends, the decimals of a number that a table with gaps made a float (`12.0`),
    and the difference between composed and decomposed letters. Case and leading zeros are kept: both can matter.
    """
    known = unicodedata.normalize("NFC", text or "").strip(" \0\t\r\n\v\f\ufeff\xa0")
    whole = _WHOLE_FLOAT.fullmatch(known)
    if whole:
        known = whole.group(1)
    return known if known and known.lower() not in _NO_PATIENT else None


def unfolds_too_far(pixels: int, stored_bytes: int) -> bool:
    """Whether so many pixels cannot be a radiograph's in a file this short, and would take gigabytes."""
    return pixels > most_pixels(stored_bytes)


def most_pixels(stored_bytes: int) -> int:
    """Pixels that a file of this length may unfold to."""
    return max(_ALWAYS_FITS, _PIXELS_A_BYTE * stored_bytes)


def view_word(text: str | None) -> str | None:
    """PA, AP, LATERAL, FRONTAL (one of the first two, not said which), OTHER; None when nothing is said."""
    letters = "".join(c for c in (text or "").upper() if c.isalpha())
    if not letters or letters in ("NA", "NAN", "NONE", "UNKNOWN", "UNK"):
        return None
    return _VIEWS.get(letters, "OTHER")


# Words for a split, with a number or without. Any other text in that place could be anything, also a name.
_SPLIT = re.compile(
    r"(?:train(?:ing)?|val(?:id|idate|idation)?|dev(?:el|elopment)?|test(?:ing)?|hold[_-]?out|held[_-]?out|fold|part|split)?"
    r"[ _-]?\d{0,3}",
    re.IGNORECASE,
)


def split_word(text: str | None) -> str | None:
    """The split that a source names, where the word is a usual one; any other text becomes `other`."""
    return None if not text else text if _SPLIT.fullmatch(text) else "other"


@dataclass(frozen=True)
class Entry:
    """One image of a source. `file` is its name relative to the source; `refuse` a reason known from the listing."""

    file: str
    patient: str | None = None
    study: str | None = None
    view: str | None = None
    split: str | None = None
    labels: tuple[str, ...] = ()
    refuse: str | None = None


@dataclass(frozen=True)
class Look:
    """What a header says. `facts` are fit for the manifest: no name, date or id; ids stand beside them."""

    kind: str  # DICOM, PNG, JPEG, TIFF, npz
    rows: int
    columns: int
    bits: int
    coding: str  # transfer syntax or file format: pairs (coding, bits) are decoded once before a long run
    facts: Mapping[str, object] = field(default_factory=dict)
    patient: str | None = None
    study: str | None = None
    view: str | None = None


@dataclass(frozen=True)
class Film:
    """A decoded image: `unit` (Y, X) float32 in [0, 1], bright is dense; `route` how it got there."""

    unit: np.ndarray
    route: str  # rescale, percentile, full range
    look: Look


@dataclass(frozen=True)
class ImageArray:
    """One array of images in the archive: its name, the split it stands for, and its shape (N, Y, X[, 3])."""

    name: str
    split: str | None
    shape: tuple[int, ...]
    dtype: np.dtype
    in_order: bool  # C order: rows lie one after the other
    packed_bytes: int  # in the archive

    @property
    def film_bytes(self) -> int:
        """Bytes of one image."""
        return math.prod(self.film_shape) * self.dtype.itemsize

    @property
    def film_shape(self) -> tuple[int, ...]:
        """Shape of one image, channels last where there are any."""
        return self.shape[1:]


@dataclass(frozen=True)
class Listing:
    """What a source holds. `root`: the folder that files are relative to; `arrays`: of an npz alone."""

    root: Path
    layout: str
    why: str
    entries: list[Entry]
    digest: str  # SHA-256 over names, sizes and tables
    size_bytes: int = 0  # of all files, or of an npz unpacked
    ignored: Mapping[str, int] = field(default_factory=dict)  # endings of files that are no images
    warnings: tuple[str, ...] = ()  # go into the manifest: counts, no name
    accept: frozenset[str] = frozenset()
    header_patient: bool = True
    npz_path: Path | None = None
    arrays: tuple[ImageArray, ...] = ()
    notes: tuple[str, ...] = ()  # for the screen only: may name files of the source
    left: tuple[str, ...] = ()  # images outside the layout that could be read; refused among `entries`
    from_names: frozenset[str] = frozenset()  # files whose patient is known from their name alone
    links_outside: int = 0  # files reached through links out of the source


def fill(entry: Entry, look: Look, *, header_patient: bool = True) -> Entry:
    """`entry` with patient, study and view from the header where the listing named none; the patient's id tidied, the
    split as a usual word.
    """
    return replace(
        entry,
        patient=patient_id(entry.patient) or (patient_id(look.patient) if header_patient else None),
        study=entry.study or look.study,
        view=entry.view or look.view,
        split=split_word(entry.split),
    )
