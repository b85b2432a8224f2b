"""The papers that go out with released images: a dataset card as plain text and the list of files."""

import csv
import io
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from medaudit.artifacts.certificate import CERTIFICATE, Certificate, TextPass

CARD = "README.txt"
LISTING = "images.csv"


def card(certificate: Certificate, form: str, model_id: str, settings: Mapping[str, Any]) -> str:
    """The dataset card, in the questions of a datasheet; every number comes from the certificate.

    Gebru et al. 2021, Datasheets for Datasets, and FDA's questions to synthetic data (purpose, source, generation, fit
    for use, limits). `settings` are those of the release. What only the team knows is left for them to state.
    """
    parts = (
        ("What this is", _what(certificate, form, model_id)),
        ("Why it was made", _MOTIVATION),
        ("What it holds", _composition(certificate, form, settings)),
        ("How it was made", _generation(certificate, model_id)),
        ("How it was prepared", _preparation(certificate, form, settings)),
        ("How it was audited", _audited(certificate)),
        ("What was not tested", [f"- {item}" for item in certificate.not_tested]),
        ("Uses", _USES),
        ("Limits", _limits(certificate)),
        ("How it is handed out: conditions", [f"- {item}" for item in certificate.conditions]),
        ("Maintenance", _maintenance(certificate)),
        ("Verify", _verify(certificate)),
    )
    lines = ["SYNTHETIC RADIOGRAPHS - NOT FOR DIAGNOSTIC USE", ""]
    for heading, body in parts:
        lines += [heading, *(line for item in body for line in _folded(item)), ""]
    return "\n".join(lines)


def _what(certificate: Certificate, form: str, model_id: str) -> list[str]:
    made_by = f"model {model_id[:16]}" if model_id else "a model that the cohort does not name"
    return [
        f"{certificate.counts.released} images made by {made_by}. No image shows a person. Format: {form}.",
        f"Release number {certificate.release_id}, which every image names or has its own numbers from"
        f"{f'; dated {certificate.date}' if certificate.date else ''}.",
    ]


def _composition(certificate: Certificate, form: str, settings: Mapping[str, Any]) -> list[str]:
    counts = certificate.counts
    kind = (
        f" as {settings['modality']}, transfer syntax {settings['transfer_syntax']}"
        if form == "dicom"
        else ""
    )
    where = (
        "the array `labels`" if form == "npz" else f"{LISTING} with the view and whether letters were found"
    )
    return [
        f"{counts.released} generated chest radiographs{kind}, each filed under a patient of its own. Left out of the "
        f"cohort, because an audit flagged them or letters were found in them: {counts.withheld}."
        + (
            f" Left out as unusable when the cohort was made: {counts.set_aside}." if counts.set_aside else ""
        ),
        f"Labels, where the generator was given any, are in {where}. No reader has confirmed them.",
        "Nothing of the training data is included: no film, no id, no distance to a single film.",
    ]


def _generation(certificate: Certificate, model_id: str) -> list[str]:
    counts = certificate.counts
    return [
        f"A generative model{f' (sha256 {model_id})' if model_id else ''} learnt from {counts.train_images} films of "
        f"{counts.train_patients} patients, so the audit was told. Who they are, "
        "under which consent or waiver, is for the releasing institution to state.",
    ]


def _preparation(certificate: Certificate, form: str, settings: Mapping[str, Any]) -> list[str]:
    looked = certificate.text_pass
    text = (
        f"A text pass ({looked.engine}) looked at {looked.looked_at} images and found letters in "
        f"{len(looked.found_in)}, which are marked YES, the others NO; it found {looked.planted_found} of "
        f"{looked.planted} lines planted as its control."
        if looked
        else "No text pass is counted, so every image counts as one that may hold letters: all are marked YES."
    )
    spacing = (
        f" The pixel spacing is nominal: {settings['field_mm']:g} mm over the longer side."
        if form == "dicom"
        else ""
    )
    return [_MARKS[form] + spacing, text]


def _audited(certificate: Certificate) -> list[str]:
    counts, test, unseen = certificate.counts, certificate.cohort_test, certificate.false_alarms
    weakest = (
        f" The weakest of the kinds that decide ({certificate.weakest_kind}) is found with probability at least "
        f"{certificate.minimum_power:.3f}."
        if certificate.minimum_power is not None
        else ""
    )
    return [
        f"Every image was compared with all {counts.train_images} training images of {counts.train_patients} patients, "
        f"and with {counts.holdout_images} images of {counts.holdout_patients} patients the model never saw.",
        f"Verdict of medaudit: {certificate.verdict}. Flagged: {counts.flagged}"
        f"{', each cleared by people' if certificate.review else ''}. Suspects: {counts.suspects}; a suspect is not "
        "flagged and not left out.",
        *(reason[:1].upper() + reason[1:] for reason in certificate.reasons),
        f"Detectors: {', '.join(one.name for one in certificate.detectors)}. Copies of {len(certificate.power)} kinds "
        f"were planted.{weakest}",
        f"False alarms: {unseen.count} of {unseen.of} unseen people (interval {unseen.low:.4f} to {unseen.high:.4f}). "
        f"The set as a whole: p = {test.excess_p:.4f} and {test.run_p:.4f}, allowed {test.alpha:g}.",
        f"{CERTIFICATE} holds these numbers and their intervals.",
    ]


def _limits(certificate: Certificate) -> list[str]:
    return [
        certificate.bounds.wording[:1].upper() + certificate.bounds.wording[1:].rstrip(".") + ".",
        "A passed test is evidence against the tested kind of copy only (EDPB Opinion 28/2024).",
        "The images repeat what the training films were like: their machines, their patients, their rare findings or "
        "the lack of them. Whether they stand for your patients was not tested.",
    ]


def _maintenance(certificate: Certificate) -> list[str]:
    if certificate.expires:
        until = f"The certificate vouches for this release up to {certificate.expires}; ask for a new audit after that."
    else:
        until = "The certificate states no end. Attacks get better: ask the sender whether it still stands."
    return [until, "A release that is withdrawn is withdrawn by its number or id; the sender keeps the list."]


def _verify(certificate: Certificate) -> list[str]:
    version, key = certificate.versions.get("medaudit", ""), certificate.signer
    option = " --key KEY" if key else ""
    return [
        f"Install medaudit {version} and run: medaudit verify THIS_FOLDER{option}",
        "This checks every file's SHA-256, that none is missing or added, every mark, and the certificate.",
        "It prints two numbers: the release number above, and a release id, which is the SHA-256 of manifest.json. The "
        "manifest lists the hash of this card too, so the id binds every byte but cannot stand in here.",
        f"KEY is the sender's public key or its fingerprint, {key.fingerprint}, which must have reached you by "
        "another way than this folder. With minisign alone: minisign -Vm manifest.json -P KEY, then compare the "
        "SHA-256 of every file with manifest.json."
        if key
        else "Compare the id that it prints with the one that the sender gave you by another way; this release is not "
        "signed.",
    ]


def _folded(text: str) -> list[str]:
    """An item as indented lines; text is never cut inside a word, so that ids can be copied."""
    hang = "    " if text.startswith("- ") else "  "
    return textwrap.wrap(
        text, 110, initial_indent="  ", subsequent_indent=hang, break_long_words=False, break_on_hyphens=False
    )


def listing(
    names: Sequence[str],
    views: Sequence[str | None],
    labels: Sequence[Sequence[str]],
    text_pass: TextPass | None = None,
) -> str:
    """CSV, one line an image: file, view (may be empty), labels joined by `|`, letters (yes, no or not looked for)."""
    found_in = frozenset(text_pass.found_in if text_pass else ())
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", "view", "labels", "letters"])
    for number, (name, view, found) in enumerate(zip(names, views, labels, strict=True), start=1):
        letters = ("yes" if number in found_in else "no") if text_pass else "not looked for"
        writer.writerow([name, view or "", "|".join(found), letters])
    return text.getvalue()


_MOTIVATION = [
    "To let others build and test software on radiographs without handing out a patient's film. The releasing "
    "institution states its own purpose, funding and contact beside this file, which states what was measured.",
]
_USES = [
    "Meant for: teaching, trying out software, augmenting training sets whose results are then checked on real films.",
    "Not for: diagnosis, claims about how often a disease occurs, or as the only test set of a medical device.",
]
_MARKS = {
    "dicom": "SyntheticData (0008,001C) is YES in every file; patients are named SYNTHETIC^000001 and so on. "
    "Pixels have 12 bits, stored without loss. BurnedInAnnotation (0028,0301) is YES where letters may be drawn in.",
    "png": "Every file has text chunks and an XMP packet that say it is synthetic (IPTC digital source type "
    "trainedAlgorithmicMedia). The text chunk BurnedInAnnotation is YES where letters may be drawn in.",
    "npz": "images.npz holds `images` (n, Y, X), `labels` (n,), `burned_in` (n,), YES where letters may be drawn in, "
    "and `marking`, a JSON text that says it is synthetic.",
}
