"""What has changed since the audit before this one."""

from medaudit.render import wording as say
from medaudit.render.document import Cell, Section, Table
from medaudit.render.facts import AuditFacts, Summary
from medaudit.render.site_facts import PreviousFacts
from medaudit.render.verdict_words import LABELS


def changes(summary: Summary) -> Section | None:
    """The two audits side by side; None where no earlier one was given."""
    audit, before = summary.audit, summary.previous
    if audit is None or before is None:
        return None
    table = Table(
        caption=f"Audit {before.audit_id[:16]}, and this one. {_same(before)}",
        columns=("", "Before", "Now"),
        rows=tuple(tuple(cells) for cells in _rows(before, audit)),
        numeric=(1, 2),
        weights=(5, 3, 3),
    )
    return Section(title="Changes since the last audit", blocks=(table,), page="second")


def _rows(before: PreviousFacts, now: AuditFacts) -> list[tuple[Cell, Cell, Cell]]:
    ours = now.counts

    def count(name: str, theirs: int, value: int) -> tuple[Cell, Cell, Cell]:
        return (
            Cell(text=name),
            Cell(text=say.whole(theirs), value=theirs),
            Cell(text=say.whole(value), value=value),
        )

    power, rate = before.minimum_power, before.model_rate_upper
    return [
        (Cell(text="Verdict"), Cell(text=LABELS[before.verdict]), Cell(text=LABELS[now.verdict])),
        count("Synthetic images", before.synthetic, ours.synthetic),
        count("Flagged", before.flagged, ours.flagged),
        count("Training patients they show", before.patients_exposed, ours.patients_exposed),
        (
            Cell(text="Power for the weakest required kind, lower limit"),
            Cell(text=say.percent(power), value=power),
            Cell(text=say.percent(now.controls.minimum_power), value=now.controls.minimum_power),
        ),
        (
            Cell(text="How often the model may copy, upper limit"),
            Cell(text=say.percent(rate), value=rate),
            Cell(text=say.percent(now.bounds.model_rate_upper), value=now.bounds.model_rate_upper),
        ),
    ]


def _same(before: PreviousFacts) -> str:
    """Which of the cohorts are the same, in one sentence."""
    named = (
        ("training", before.same_train),
        ("held-out", before.same_holdout),
        ("synthetic", before.same_synthetic),
    )
    same, other = ([name for name, is_same in named if is_same is which] for which in (True, False))
    sentence = "; ".join(
        f"{say.joined(words)} cohort{'s' if len(words) > 1 else ''} {what}"
        for words, what in ((same, "unchanged"), (other, "new"))
        if words
    )
    version = "the same version of medaudit" if before.same_version else "another version of medaudit"
    alone = (
        "" if same else " They share no cohort: nothing here shows that both are of one site and one model."
    )
    return f"{sentence[0].upper()}{sentence[1:]}; {version}.{alone}"
