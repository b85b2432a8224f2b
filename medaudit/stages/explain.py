"""medaudit explain: a term of the reports in plain words; without one, all of them."""

from dataclasses import asdict

from medaudit.errors import TermUnknown
from medaudit.render.glossary import Term, close_to, entries_for, look_up, terms
from medaudit.stages.outcome import Outcome


def run(asked: str = "") -> Outcome:
    """The line of one term, or the list of terms. Raises TermUnknown, with the closest terms, for another word."""
    if not asked.strip():
        names = [one.term for one in terms()]
        told = (", ".join(names), "medaudit explain TERM says what one of them means")
        return Outcome(told, {"terms": [asdict(one) for one in terms()]})
    found = look_up(asked)
    if found is None and (kind := _kind_of_copy(asked)) is not None:
        return Outcome(
            (f"{kind.term}: {kind.line}", "see: planted copy"), {**_plain(kind), "see": ["planted copy"]}
        )
    if found is None:
        near = close_to(asked)
        hint = f"did you mean {_either(near)}?" if near else "medaudit explain lists the terms"
        raise TermUnknown(f"{asked!r} is not a term of the reports; {hint}")
    related = [name for name, _ in entries_for(found.line) if name != found.term]
    lines = [f"{found.term}: {found.line}"]
    if found.also:
        lines.append(f"also: {', '.join(found.also)}")
    if related:
        lines.append(f"see: {', '.join(related)}")
    return Outcome(tuple(lines), {**_plain(found), "see": related})


def _kind_of_copy(asked: str) -> Term | None:
    """A kind of planted copy by the name that an audit prints, such as `noise-0.05`."""
    from medaudit.images.plants import BY_KIND

    plant = BY_KIND.get(asked.strip().lower().replace(" ", "-"))
    return None if plant is None else Term(plant.kind, f"A kind of planted copy: copies {plant.words}.")


def _plain(term: Term) -> dict[str, object]:
    return {"term": term.term, "line": term.line, "also": list(term.also)}


def _either(names: tuple[str, ...]) -> str:
    quoted = [repr(name) for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"
