"""What the readers hand on: an entry of the listing, a look at a header, a decoded film.

Axes: (Y, X) rows and columns of pixels.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

MAX_PIXELS = 100_000_000  # a film of 43 x 43 cm at 0.05 mm has 74 million; more is refused before decoding

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
    """One film of a source. `file` is its name relative to the source; `refuse` a reason known from the listing."""

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
    """A decoded film: `unit` (Y, X) float32 in [0, 1], bright is dense; `route` how it got there."""

    unit: np.ndarray
    route: str  # rescale, percentile, full range
    look: Look


def fill(entry: Entry, look: Look, *, header_patient: bool = True) -> Entry:
    """`entry` with patient, study and view from the header where the listing named none; its split as a usual word."""
    return replace(
        entry,
        patient=entry.patient or (look.patient if header_patient else None),
        study=entry.study or look.study,
        view=entry.view or look.view,
        split=split_word(entry.split),
    )
