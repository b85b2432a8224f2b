"""What the report says of usefulness: one paragraph and one table, and a warning on page two where it is in doubt."""

from collections.abc import Callable

from medaudit.render import wording as say
from medaudit.render.document import Cell, Paragraph, Section, Table
from medaudit.render.facts import Summary
from medaudit.render.utility_facts import TwinFacts, UtilityFacts
from medaudit.stats.usefulness import findings, sentences
from medaudit.stats.utility import FEWEST, Figures, Twin

_TITLE = "Usefulness of the images"
_NOT_JUDGED = (
    f"Not resolvable: {FEWEST} synthetic images and {2 * FEWEST} unseen people are needed, and an audit by a "
    "version that looks at it."
)
_LARGE = 1000  # factors beyond it are only called large
_ASIDE = "This is no part of the verdict: useless images give nobody away, and useful ones may."


def utility(summary: Summary) -> Section | None:
    """Fidelity and diversity against unseen real films, each beside what real films reach."""
    if summary.audit is None:
        return None
    found = summary.audit.utility
    if found is None:
        return Section(title=_TITLE, blocks=(Paragraph(text=_NOT_JUDGED),))
    lead = Paragraph(text=f"{_words(found)} {_ASIDE} {_looked_at(found)}")
    rows = [
        _row("Film density: neighbourhoods an image lies in (1: as a real film)", found.density, say.number),
        _row("Film coverage: unseen films with an image like them", found.coverage, say.percent),
        _row("Grey values: distance, of the range from black to white", found.grey, say.percent),
        _row("Power spectrum: typical factor between the two (1: equal)", found.spectrum, _factor),
        _row("Fine detail, as a multiple of that of unseen films (1: equal)", found.detail, _factor),
    ]
    if found.labels is not None:
        rows.append(_row("Labels: largest difference of a label's share", found.labels, say.percent))
    table = Table(
        caption="Synthetic images against unseen films, and two halves of the unseen films against each other; "
        "intervals at 95 %.",
        columns=("Measure", "Synthetic", "Interval", "Real", "Interval of real"),
        rows=tuple(rows),
        numeric=(1, 2, 3, 4),
        weights=(5, 2, 3, 2, 3),
    )
    labelled = () if found.labels is not None else (Paragraph(text=_NO_LABELS, quiet=True),)
    return Section(title=_TITLE, blocks=(lead, table, *labelled))


_NO_LABELS = "The balance of labels was not compared: one of the two sides carries none."


def utility_warning(summary: Summary) -> Section | None:
    """The plain sentence that a set may be of little use; nothing where it is as good as real films."""
    if summary.audit is None or summary.audit.utility is None:
        return None
    found = summary.audit.utility
    if not findings(_figures(found)):
        return None
    text = f"{_words(found)} {_ASIDE} The figures are in the appendix."
    return Section(title="Whether the images are of use", blocks=(Paragraph(text=text),), page="second")


def _words(found: UtilityFacts) -> str:
    return " ".join(sentences(_figures(found)))


def _looked_at(found: UtilityFacts) -> str:
    people = say.counted(found.people, "unseen patient")
    of_people = "" if found.people == found.of_people else f" of {say.whole(found.of_people)}"
    images = say.counted(found.images, "image")
    of = "" if found.images == found.of else f" drawn from {say.whole(found.of)}"
    return (
        f"Looked at: {images}{of}, and one film each of {people}{of_people}; compared {say.whole(found.halvings)} "
        f"times at random, {say.whole(found.each)} against {say.whole(found.each)}."
    )


def _row(name: str, twin: TwinFacts, form: Callable[[float], str]) -> tuple[Cell, ...]:
    return (
        Cell(text=name),
        Cell(text=form(twin.value), value=twin.value),
        Cell(text=f"{form(twin.low)} to {form(twin.high)}"),
        Cell(text=form(twin.real), value=twin.real),
        Cell(text=f"{form(twin.real_low)} to {form(twin.real_high)}"),
    )


def _factor(value: float) -> str:
    return (
        f"over {say.whole(_LARGE)}"
        if value > _LARGE
        else "under 0.001"
        if value < 1 / _LARGE
        else say.number(value)
    )


def _figures(found: UtilityFacts) -> Figures:
    return Figures(
        found.each,
        density=_twin(found.density),
        coverage=_twin(found.coverage),
        grey=_twin(found.grey),
        spectrum=_twin(found.spectrum),
        detail=_twin(found.detail),
        labels=None if found.labels is None else _twin(found.labels),
    )


def _twin(twin: TwinFacts) -> Twin:
    return Twin(**twin.model_dump())
