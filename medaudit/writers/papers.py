"""The papers that go out with released images: a dataset card as plain text and the list of files."""

import csv
import io
from collections.abc import Sequence

from medaudit.artifacts.certificate import Certificate

CARD = "README.txt"
LISTING = "images.csv"


def card(certificate: Certificate, form: str, model_id: str) -> str:
    """The dataset card: what this is, what was checked, what was not, how to verify it."""
    counts = certificate.counts
    made_by = f"model {model_id[:16]}" if model_id else "a model that the cohort does not name"
    lines = [
        "SYNTHETIC RADIOGRAPHS - NOT FOR DIAGNOSTIC USE",
        "",
        f"{counts.released} images made by {made_by}. No image shows a person. Format: {form}.",
        f"Release {certificate.release_id}.",
        "",
        "What was checked",
        f"  Every image was compared with all {counts.train_images} training images of {counts.train_patients} "
        f"patients, and with {counts.holdout_images} images of {counts.holdout_patients} patients the model never saw.",
        f"  Verdict of medaudit: {certificate.verdict}.",
        *(f"  {reason}" for reason in certificate.reasons),
        f"  Images left out because an earlier audit flagged them: {counts.withheld}.",
        "  certificate.json holds the numbers with their intervals.",
        "",
        "What was not tested",
        *(f"  - {item}" for item in certificate.not_tested),
        "",
        "Conditions",
        *(f"  - {item}" for item in certificate.conditions),
        "",
        "Marks",
        f"  {_MARKS[form]}",
        "",
        "Verify",
        f"  Install medaudit {certificate.versions.get('medaudit', '')} and run: medaudit verify THIS_FOLDER",
        "  This checks every file's SHA-256, that none is missing or added, every mark, and the certificate. Compare",
        "  the id that it prints with the one that the sender gave you by another way.",
        "",
    ]
    return "\n".join(lines)


def listing(names: Sequence[str], views: Sequence[str | None], labels: Sequence[Sequence[str]]) -> str:
    """CSV with one line per image: file, view (may be empty), labels joined by `|`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", "view", "labels"])
    for name, view, found in zip(names, views, labels, strict=True):
        writer.writerow([name, view or "", "|".join(found)])
    return text.getvalue()


_MARKS = {
    "dicom": "SyntheticData (0008,001C) is YES in every file; patients are named SYNTHETIC^...; the pixel spacing is "
    "nominal. Pixels have 12 bits, stored without loss.",
    "png": "Every file has text chunks and an XMP packet that say it is synthetic (IPTC digital source type "
    "trainedAlgorithmicMedia).",
    "npz": "images.npz holds `images` (n, Y, X), `labels` (n,) and `marking`, a JSON text that says it is synthetic.",
}
