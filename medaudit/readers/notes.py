"""What a reader had to decide about an image: short codes in a row's facts, counted in the manifest's warnings.

A note holds nothing of the file itself: no name, no tag value.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

NEARLY_GRAY = "nearly gray"
TURNED = "turned"
CORRECTED = "header corrected"
WIDER = "more bits than stated"
POLARITY = "polarity assumed"
TWO_POLARITIES = "two polarities"

_SENTENCES = {
    NEARLY_GRAY: "stored in colour with nearly equal channels; their luminance was read",
    TURNED: "stored with an EXIF orientation; they were turned as a viewer shows them",
    CORRECTED: "with a header that contradicts their pixel data or leaves something out; the pixel data was believed",
    WIDER: "with pixel values above what BitsStored allows; see docs/reading.md",
    POLARITY: "without a usable PhotometricInterpretation; MONOCHROME2 was assumed, so check that bone is bright",
    TWO_POLARITIES: "with a PresentationLUTShape that contradicts their PhotometricInterpretation; they were inverted, "
    "so check that bone is bright",
}


def noted(facts: Mapping[str, object], notes: Iterable[str]) -> dict[str, object]:
    """Facts of an image with the notes, in their own order, each once; unchanged where there are none."""
    kept = list(dict.fromkeys(notes))
    return {**facts, "notes": kept} if kept else dict(facts)


def warnings(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """One sentence for each note in the facts of a cohort's rows: how many of the images, and what was done."""
    images, counts = 0, Counter[str]()
    for row in rows:
        images += 1
        counts.update(row["facts"].get("notes", ()))
    return [
        f"{counts[code]} of {images} images are {text}" for code, text in _SENTENCES.items() if counts[code]
    ]
