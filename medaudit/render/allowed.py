"""What may enter a report: sentences that name no one, finite numbers, records that take what they declare."""

import math
import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

from medaudit.artifacts.identifying import FILE_PATH, holds_pseudonym
from medaudit.errors import ReportLeak

# Control characters, and those that turn the direction of what follows: nobody sees them, and they can make a page
# read otherwise than its file (Unicode TR 36, 3.2).
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_LONGEST_TEXT = 600


def plain_text(text: str) -> str:
    """A sentence of the findings, when it names no one and nothing on disk; ReportLeak otherwise.

    Characters that nobody sees are written out.
    """
    if holds_pseudonym(text) or FILE_PATH.search(text) or len(text) > _LONGEST_TEXT:
        raise ReportLeak(
            "a sentence of the findings holds a pseudonym, a path or more text than a sentence; "
            "it cannot enter a report, run the audit again with this version"
        )
    text = text.replace("`", "")  # marks of code, which a page would print
    return _UNSEEN.sub(lambda match: f"\\u{ord(match.group()):04x}", text)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


PlainText = Annotated[str, AfterValidator(plain_text)]
Finite = Annotated[float | None, AfterValidator(_finite)]


class Aggregate(BaseModel):
    """A record of aggregates; reads the fields it declares from any object and ignores the rest."""

    model_config = ConfigDict(frozen=True, from_attributes=True, extra="forbid")
