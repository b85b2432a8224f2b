"""The plain-language lines of the terms that a document uses, and that `medaudit explain` prints: one source for both.

Only YAML is loaded here, so that a shell can complete the terms at once.
"""

import re
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.resources import files

import yaml


@dataclass(frozen=True)
class Term:
    """A term, its line, and the other spellings under which it occurs."""

    term: str
    line: str
    also: tuple[str, ...] = ()

    @property
    def spellings(self) -> tuple[str, ...]:
        """The term, and what else it is called."""
        return (self.term, *self.also)

    def occurs_in(self, text: str) -> bool:
        """Whether any spelling stands in the text as a word of its own."""
        spellings = "|".join(re.escape(word) for word in self.spellings)
        return re.search(rf"(?<![\w-])(?:{spellings})(?![\w-])", text, re.IGNORECASE) is not None


@cache
def terms() -> tuple[Term, ...]:
    """Every term of glossary.yaml, in alphabetical order."""
    body = yaml.safe_load(
        files("medaudit.render").joinpath("templates/glossary.yaml").read_text(encoding="utf-8")
    )
    made = (Term(entry["term"], entry["line"], tuple(entry.get("also", ()))) for entry in body)
    return tuple(sorted(made, key=lambda one: one.term.lower()))


def entries_for(text: str) -> tuple[tuple[str, str], ...]:
    """Term and line of everything that occurs in `text`, or in the line of a term that does."""
    found: dict[str, Term] = {}
    reading = text
    while reading:
        fresh = [one for one in terms() if one.term not in found and one.occurs_in(reading)]
        found.update((one.term, one) for one in fresh)
        reading = "\n".join(one.line for one in fresh)
    return tuple((one.term, one.line) for one in terms() if one.term in found)


def look_up(asked: str) -> Term | None:
    """The term of this name or spelling; case, hyphens and spaces do not matter."""
    wanted = _plain(asked)
    return next((one for one in terms() if wanted in map(_plain, one.spellings)), None)


def close_to(asked: str, count: int = 3) -> tuple[str, ...]:
    """Terms whose name or spelling is nearly what was asked, or holds it as a word; closest first."""
    by_spelling = {_plain(word): one.term for one in terms() for word in one.spellings}
    wanted = _plain(asked)
    near = get_close_matches(wanted, by_spelling, n=2 * count, cutoff=0.65)
    holding = [word for word in by_spelling if wanted and f" {wanted} " in f" {word} "]
    return tuple(dict.fromkeys(by_spelling[word] for word in [*near, *holding]))[:count]


def _plain(word: str) -> str:
    return " ".join(re.findall(r"\w+", word.lower()))
