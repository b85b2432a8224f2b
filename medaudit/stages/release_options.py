"""Whether the options of a release fit, before anything is read or written."""

from typing import Any

from medaudit.artifacts.certificate import day
from medaudit.errors import UsageProblem


def check_options(options: dict[str, Any]) -> None:
    """Raise UsageProblem for what does not fit; `text` becomes the detector that will look, or empty."""
    from medaudit.writers.dicom import SOP_CLASSES, SYNTAXES
    from medaudit.writers.formats import FORMATS
    from medaudit.writers.text import text_engine

    for name, known in (("format", FORMATS), ("modality", SOP_CLASSES), ("transfer_syntax", SYNTAXES)):
        if options[name] not in known:
            raise UsageProblem(f"{name} {options[name]!r} is not known; choose one of {', '.join(known)}")
    if options["date"]:
        day(options["date"], "--date")
    if not 1 <= options["field_mm"] <= 2000:
        raise UsageProblem("the nominal field is given in mm, between 1 and 2000")
    options["text"] = text_engine(options["text"])
