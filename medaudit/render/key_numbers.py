"""The table of key numbers: each beside its interval and the value it is to be held against."""

from medaudit.images.plants import BY_KIND
from medaudit.render import wording as say
from medaudit.render.document import Cell, KeyNumber, KeyNumbers, Section
from medaudit.render.facts import AuditFacts, DetectorFacts, ExtractionFacts, RateFacts, Summary
from medaudit.render.histogram import NOT_SHOWN
from medaudit.stats.intervals import clopper_pearson


def kind_name(kind: str) -> str:
    """A planted kind in plain words."""
    return BY_KIND[kind].words if kind in BY_KIND else kind.replace("-", " ")


def leading(audit: AuditFacts) -> DetectorFacts:
    """The detector that flagged most; among equals the one that found most planted copies."""

    def found(one: DetectorFacts) -> tuple[int, int]:
        planted = (plant.by_detector.get(one.name) for plant in audit.controls.planted)
        return one.flagged_familywise + one.flagged_fdr, sum(
            rate.count for rate in planted if rate is not None
        )

    return max(audit.detectors, key=found)


# What a board asks for and this audit does not measure: named, so that nobody takes silence for a zero.
_MEMBERSHIP = KeyNumber(
    name="Membership: telling who was in training",
    value=Cell(text="not tested"),
    interval="none",
    reference=Cell(text="0 % better than guessing", value=0),
)


def _rare_row(summary: Summary, audit: AuditFacts) -> KeyNumber:
    """The rarest finding that is named, or that none was looked at."""
    counts, found = audit.counts, summary.subgroups
    labels = [group for group in found.groups if group.kind == "label"] if found is not None else []
    if not labels or not counts.train_patients:
        return KeyNumber(
            name="Patients with rare findings, by themselves",
            value=Cell(text="not looked at"),
            interval="none",
            reference=Cell(text="as for all patients"),
        )
    rarest = labels[0]
    everyone = counts.patients_exposed / counts.train_patients
    return KeyNumber(
        name=f"Patients shown who have the rarest finding named ({rarest.name})",
        value=Cell(
            text=NOT_SHOWN
            if rarest.shown is None
            else f"{say.whole(rarest.shown)} of {say.whole(rarest.patients)}",
            value=rarest.shown,
        ),
        interval=say.span(rarest.low, rarest.high) if rarest.shown is not None else NOT_SHOWN,
        low=rarest.low,
        high=rarest.high,
        reference=Cell(text=f"{say.percent(everyone)} of all patients", value=everyone),
    )


def key_numbers(summary: Summary) -> Section:
    """Each number beside its interval and the value it is to be held against."""
    rows: list[KeyNumber] = []
    if summary.audit is not None:
        rows += _found_rows(summary.audit) + _control_rows(summary.audit) + _bound_rows(summary.audit)
        rows += [_MEMBERSHIP, _rare_row(summary, summary.audit)]
    if summary.extraction is not None:
        rows += _extraction_rows(summary.extraction)
    table = KeyNumbers(
        caption="Intervals hold with 95 % confidence unless marked otherwise. Every term is explained in the glossary.",
        rows=tuple(rows),
    )
    return Section(title="Key numbers", blocks=(table,), page="first")


def share(rate: RateFacts) -> Cell:
    """A rate as `97 of 100 (97.0 %)`."""
    return Cell(
        text=f"{say.whole(rate.count)} of {say.whole(rate.of)} ({say.percent(rate.value)})", value=rate.value
    )


def _found_rows(audit: AuditFacts) -> list[KeyNumber]:
    counts, test = audit.counts, audit.cohort_test
    interval = clopper_pearson(counts.flagged, counts.synthetic) if counts.synthetic else None
    found = f"{say.whole(counts.flagged)} of {say.whole(counts.synthetic)}"
    found += f" ({say.percent(interval.value)})" if interval else ""
    rows = [
        KeyNumber(
            name="Synthetic images that give a patient away"
            if audit.same_person
            else "Synthetic images found to be copies",
            value=Cell(text=found, value=counts.flagged),
            interval=say.span(interval.low, interval.high) if interval else say.NOT_RESOLVABLE,
            low=interval.low if interval else None,
            high=interval.high if interval else None,
            reference=Cell(text="0 in a cohort without copies", value=0),
        ),
        *_same_person_row(audit),
        KeyNumber(
            name="Training patients they show",
            value=Cell(
                text=f"{say.whole(counts.patients_exposed)} of {say.whole(counts.train_patients)}",
                value=counts.patients_exposed,
            ),
            interval="exact count",
            reference=Cell(text="0", value=0),
        ),
        KeyNumber(
            name="Suspects, listed for the reviewer",
            value=Cell(text=say.whole(counts.suspects), value=counts.suspects),
            interval="exact count",
            reference=_expected_suspects(audit),
        ),
        KeyNumber(
            name="Images nearer to a training patient than to any unseen one",
            value=Cell(
                text=f"{say.whole(test.nearest_in_train)} of {say.whole(test.of)}",
                value=test.nearest_in_train,
            ),
            interval=f"p-value {say.chance(test.excess_p)}",
            low=test.excess_p,
            reference=Cell(text=f"{say.number(test.expected)} by chance", value=test.expected),
        ),
        KeyNumber(
            name="Excess copy rate",
            value=Cell(text=say.percent(test.excess_copy_rate), value=test.excess_copy_rate),
            interval=say.span(test.excess_copy_rate_low, test.excess_copy_rate_high),
            low=test.excess_copy_rate_low,
            high=test.excess_copy_rate_high,
            reference=Cell(text="0 %", value=0),
        ),
    ]
    return rows + _closest_row(leading(audit))


def _same_person_row(audit: AuditFacts) -> list[KeyNumber]:
    if not audit.same_person:
        return []
    return [
        KeyNumber(
            name="Of these, another picture of the person rather than a copy of a film",
            value=Cell(
                text=f"{say.whole(audit.same_person)} of {say.whole(audit.counts.flagged)}",
                value=audit.same_person,
            ),
            interval="exact count",
            reference=Cell(text="0", value=0),
        )
    ]


def _expected_suspects(audit: AuditFacts) -> Cell:
    expected = sum(detector.expected_suspects for detector in audit.detectors)
    return Cell(text=f"up to {say.number(expected, 2)} by chance", value=expected)


def _closest_row(detector: DetectorFacts) -> list[KeyNumber]:
    if detector.quantile is None or detector.close_synthetic is None:
        return []
    name = (
        f"Distance that the closest {say.level(detector.quantile)} of synthetic images keep ({detector.name})"
    )
    return [
        KeyNumber(
            name=name,
            value=Cell(text=say.number(detector.close_synthetic), value=detector.close_synthetic),
            interval="as measured",
            reference=Cell(
                text=f"{say.number(detector.close_unseen)} for unseen people", value=detector.close_unseen
            ),
        )
    ]


def _control_rows(audit: AuditFacts) -> list[KeyNumber]:
    negative = audit.controls.negative
    rows = [
        KeyNumber(
            name="False alarms: unseen people flagged",
            value=share(negative),
            interval=say.span(negative.low, negative.high),
            low=negative.low,
            high=negative.high,
            reference=Cell(text="0 %", value=0),
        )
    ]
    weakest = [one for one in audit.controls.planted if one.kind == audit.controls.weakest_kind]
    needed = audit.settings.required_power
    for planted in weakest[:1]:
        rows.append(
            KeyNumber(
                name=f"Power for the weakest required kind of copy ({kind_name(planted.kind)})",
                value=share(planted.power),
                interval=say.span(planted.power.low, planted.power.high),
                low=planted.power.low,
                high=planted.power.high,
                reference=Cell(text=f"interval above {say.level(needed)}", value=needed),
            )
        )
    made = audit.controls.generative
    if made is not None and made.power is not None:
        rows.append(
            KeyNumber(
                name="Power for copies by an over-trained model",
                value=share(made.power),
                interval=f"{say.span(made.power.low, made.power.high)}, over "
                f"{say.counted(made.patients, 'patient')}",
                low=made.power.low,
                high=made.power.high,
                reference=Cell(text=f"{say.level(needed)} or more", value=needed),
            )
        )
    return rows


def _bound_rows(audit: AuditFacts) -> list[KeyNumber]:
    bounds = audit.bounds
    if audit.counts.flagged:
        return []
    sure = f"upper limit, {say.level(1 - bounds.alpha)}"
    missed = (
        say.NOT_RESOLVABLE if bounds.hidden_copies is None else f"at most {say.whole(bounds.hidden_copies)}"
    )
    rate = say.NOT_RESOLVABLE if bounds.model_rate_upper is None else say.fewer_than(bounds.model_rate_upper)
    several = bounds.sources is not None and bounds.sources > 1
    return [
        KeyNumber(
            name="Training films of which copies of the tested kinds may have been missed",
            value=Cell(text=missed, value=bounds.hidden_copies),
            interval=sure,
            reference=Cell(text=f"of {say.counted(audit.counts.train_images, 'film')}"),
        ),
        KeyNumber(
            name="How often the model may copy",
            value=Cell(text=rate, value=bounds.model_rate_upper),
            interval=sure,
            reference=Cell(
                text=f"if it copies {bounds.sources} films or more" if several else "for the kinds tested"
            ),
        ),
    ]


def _extraction_rows(extraction: ExtractionFacts) -> list[KeyNumber]:
    return [
        KeyNumber(
            name="Training patients extracted from the model",
            value=Cell(text=say.whole(extraction.patients_extracted), value=extraction.patients_extracted),
            interval=f"exact count, from {say.counted(extraction.generated, 'image')}",
            reference=Cell(
                text=f"{say.whole(extraction.matched_holdout)} matches with unseen people",
                value=extraction.matched_holdout,
            ),
        )
    ]
