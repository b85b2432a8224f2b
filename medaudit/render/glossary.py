"""The plain-language lines of the terms that a document uses."""

import re
from functools import cache
from importlib.resources import files

import yaml

from medaudit.render.document import Part


class Term(Part):
    """A term, its line, and the other spellings under which it occurs."""

    term: str
    line: str
    also: tuple[str, ...] = ()

    def occurs_in(self, text: str) -> bool:
        """Whether any spelling stands in the text as a word of its own."""
        spellings = "|".join(re.escape(word) for word in (self.term, *self.also))
        return re.search(rf"(?<![\w-])(?:{spellings})(?![\w-])", text, re.IGNORECASE) is not None


@cache
def terms() -> tuple[Term, ...]:
    """Every term of glossary.yaml, in alphabetical order."""
    body = yaml.safe_load(
        files("medaudit.render").joinpath("templates/glossary.yaml").read_text(encoding="utf-8")
    )
    return tuple(sorted((Term.model_validate(entry) for entry in body), key=lambda one: one.term.lower()))


def entries_for(text: str) -> tuple[tuple[str, str], ...]:
    """Term and line of everything that occurs in `text`, or in the line of a term that does."""
    found: dict[str, Term] = {}
    reading = text
    while reading:
        fresh = [one for one in terms() if one.term not in found and one.occurs_in(reading)]
        found.update((one.term, one) for one in fresh)
        reading = "\n".join(one.line for one in fresh)
    return tuple((one.term, one.line) for one in terms() if one.term in found)
