"""For each argument that a command needs: one sentence that says what to give and what makes it."""

from typing import Any

_MADE = "medaudit ingest makes a cohort of a folder of radiographs"
_LEDGER = (
    "the file in which this site records its audits and releases; medaudit audit --ledger FILE makes it, and the "
    "variable MEDAUDIT_LEDGER can name it once for all"
)

# By command and argument, or by argument where it means the same everywhere.
WHY = {
    "source": "give the folder, npz file or DICOMDIR that holds the radiographs",
    "cohort": f"give the folder of a cohort; {_MADE}",
    "findings": "give the folder that medaudit audit or medaudit extract wrote, or both",
    "verify folder": "give the folder of a release, as it was received",
    "review audit": "give the folder that medaudit audit wrote: its flagged images are reviewed",
    "--out": "give the folder to write the result to; it must not exist yet",
    "keygen --out": "give the name of the key pair: NAME.key and NAME.pub are written",
    "ledger export --out": "give the file to write the rows to",
    "--train": "the training cohort holds all patients that the model was trained on; medaudit split makes it together "
    "with the held-out cohort",
    "split --train": "give the folder to write the training cohort to; the model is trained on it alone",
    "--holdout": "the held-out cohort holds patients that the model never saw, and the audit learns from them how "
    "close unseen patients come. medaudit split makes it before training; for a model that is trained already, "
    "medaudit ingest reads other patients of the same hospital and the same preparation. "
    "No audit is possible without them",
    "extract --holdout": "the held-out cohort holds patients that the model never saw: generated images that match "
    "them show how often chance finds a match. medaudit split makes it before training, medaudit ingest from other "
    "patients",
    "split --holdout": "give the folder to write the held-out cohort to: patients whom the model must never see",
    "--synthetic": "give the cohort of generated images; medaudit generate makes it, or medaudit ingest FOLDER "
    "--origin synthetic for images from elsewhere",
    "train --cohort": "give the training cohort that medaudit split made",
    "--config": "give a YAML file with the settings of the model; the folder configs of the project holds some",
    "--model": "give the folder of a model: of medaudit train, of diffusers, or a MONAI bundle with safetensors",
    "--count": "say how many images to generate",
    "--audit": "only what an audit cleared is released: give the folder that medaudit audit wrote for this very "
    "synthetic cohort",
    "--ledger": _LEDGER,
    "--key": "give the key of the pseudonyms, medaudit.key: medaudit ingest made it next to the first cohort",
    "--reason": "say in a few words why; no names",
}


def missing(error: Any) -> str | None:
    """What to say of a missing argument; None for an error of the parser that is about something else."""
    param, context = getattr(error, "param", None), getattr(error, "ctx", None)
    if type(error).__name__ != "MissingParameter" or param is None or context is None:
        return None
    command = context.command_path.partition(" ")[2]
    sentence = WHY.get(f"{command} {param.opts[0]}") or WHY.get(param.opts[0])
    if sentence is None:
        return None
    what = param.opts[0] if param.opts[0].startswith("-") else param.metavar
    return f"{what} is missing: {sentence}"
