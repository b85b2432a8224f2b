"""Rare findings and subgroups: whom the flagged images show, subgroup by subgroup, and what the audit cannot say."""

from medaudit.render import wording as say
from medaudit.render.document import Block, Cell, Paragraph, Section, Table
from medaudit.render.facts import Summary
from medaudit.render.histogram import NOT_SHOWN, SMALLEST_CELL
from medaudit.render.subgroup_facts import GroupFacts, SubgroupFacts

_TITLE = "Rare findings and subgroups"
_NOT_GIVEN = (
    "Not looked at: the training cohort was not given to this report, so the labels and views of its films are not "
    "known here. Name it with --cohort and the patients shown are counted by label and by view."
)
_NOTHING_KNOWN = (
    "Not resolvable: the training films carry no labels and are of one view; no subgroup can be told apart."
)
_OPEN = (
    "Power was measured over all training films together, not within a subgroup. A patient with a rare finding is "
    "easier to remember for a model and easier to recognise for a reader than the average patient, so a low number "
    "for everyone does not vouch for the few."
)


def subgroups(summary: Summary) -> Section | None:
    """The section of the appendix; it says so where nothing can be said."""
    if summary.audit is None:
        return None
    found = summary.subgroups
    if found is None:
        given = any(cohort.role == "train" for cohort in summary.cohorts)
        said = _NOTHING_KNOWN if given else _NOT_GIVEN
        return Section(title=_TITLE, blocks=(Paragraph(text=f"{said} {_OPEN}"),))
    blocks: list[Block] = [Paragraph(text=f"{_kept_back(found)}{_OPEN}")]
    if found.groups:
        blocks.insert(0, _table(found))
    return Section(title=_TITLE, blocks=tuple(blocks))


def _table(found: SubgroupFacts) -> Table:
    whole = "" if found.shown is None else f" Of all: {share_shown(found.shown, found.patients)}."
    return Table(
        caption="Training patients by label and by view, the rarest first: how many of them are shown by a flagged "
        f"image, with the 95 % interval of that share.{whole} A patient with several counts in each."
        + (f" {say.whole(found.left_out)} more common ones are left out." if found.left_out else ""),
        columns=("Subgroup", "By", "Patients", "Shown by flagged images", "95 % interval"),
        rows=tuple(_row(group) for group in found.groups),
        numeric=(2, 3, 4),
        weights=(4, 2, 2, 3, 3),
    )


def share_shown(shown: int, of: int) -> str:
    """`3 of 40 (7.5 %)`."""
    return f"{say.whole(shown)} of {say.whole(of)} ({say.percent(shown / of)})"


def _row(group: GroupFacts) -> tuple[Cell, ...]:
    hidden = group.shown is None
    return (
        Cell(text=group.name),
        Cell(text=group.kind),
        Cell(text=say.whole(group.patients), value=group.patients),
        Cell(text=NOT_SHOWN)
        if group.shown is None
        else Cell(text=share_shown(group.shown, group.patients), value=group.shown),
        Cell(text=NOT_SHOWN if hidden else say.span(group.low, group.high)),
    )


def _kept_back(found: SubgroupFacts) -> str:
    if not found.kept_back:
        return ""
    many = say.counted(found.kept_back, "subgroup")
    verb = "is" if found.kept_back == 1 else "are"
    return (
        f"{many} of fewer than {SMALLEST_CELL} patients {verb} not named in this edition; the confidential one names "
        "them. "
    )
