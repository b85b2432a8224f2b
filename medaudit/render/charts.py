"""Charts as figures of the document: the picture with its words and the numbers it was drawn from."""

import math

from medaudit.render import wording as say
from medaudit.render.document import Cell, Figure, Table
from medaudit.render.facts import AuditFacts, DetectorFacts, ExtractionFacts
from medaudit.render.histogram import Histogram
from medaudit.render.key_numbers import kind_name, share

RATIO_AXIS = "relative distance (adaptive ratio, no unit)"


def ratio_chart(detector: DetectorFacts) -> Figure | None:
    """Relative distances of synthetic images and unseen people, with the flagging line."""
    if detector.ratios is None:
        return None
    line = math.exp(-detector.score_line) if detector.score_line is not None else None
    return _histogram(detector, detector.ratios, "relative distance", RATIO_AXIS, line)


def distance_chart(detector: DetectorFacts) -> Figure | None:
    """Plain distances, in the detector's own unit."""
    if detector.distances is None:
        return None
    axis = f"distance (unit of detector {detector.name})"
    return _histogram(detector, detector.distances, "distance", axis, None)


def _histogram(detector: DetectorFacts, data: Histogram, what: str, axis: str, line: float | None) -> Figure:
    from medaudit.render.figures import histogram

    slug = f"{what.replace(' ', '-')}-{detector.name}"
    cells = tuple(
        (
            Cell(text=f"{say.number(low)} to {say.number(high)}", value=low),
            Cell(text="0 to 9" if ours is None else say.whole(ours), value=ours),
            Cell(text="0 to 9" if theirs is None else say.whole(theirs), value=theirs),
        )
        for low, high, ours, theirs in zip(
            data.edges, data.edges[1:], data.synthetic, data.unseen, strict=False
        )
    )
    return Figure(
        name=slug,
        title=f"{what.capitalize()}, detector {detector.name}",
        caption="Synthetic images above, unseen people below. The further left, the more alike a training film."
        + (" Images left of the dashed line are flagged one by one." if line is not None else ""),
        alt=f"Histogram of the {what} to the nearest training image: {data.synthetic_of} synthetic images above, "
        f"{data.unseen_of} unseen people below. The numbers are in report.json.",
        media="image/svg+xml",
        picture=histogram(data, axis, line, "flagging line"),
        data=Table(caption="cells", columns=(axis, "synthetic images", "unseen people"), rows=cells),
    )


def leak_chart(found: ExtractionFacts) -> Figure:
    """Patients against images generated."""
    from medaudit.render.figures import leak_curve

    points = found.leak_curve
    return Figure(
        name="leak-curve",
        title="Patients extracted as more images are generated",
        caption="A curve that still rises says that more images would give away more patients.",
        alt=f"Leak curve: {points[-1].patients} training patients after {points[-1].generated} generated images.",
        media="image/svg+xml",
        picture=leak_curve([point.generated for point in points], [point.patients for point in points]),
        data=Table(
            caption="leak curve",
            columns=("images generated", "patients extracted"),
            rows=tuple(
                (
                    Cell(text=say.whole(point.generated), value=point.generated),
                    Cell(text=say.whole(point.patients), value=point.patients),
                )
                for point in points
            ),
        ),
    )


def power_figure(audit: AuditFacts) -> Figure:
    """Power per kind of planted copy, with its interval and the line required."""
    from medaudit.render.figures import power_chart

    everything, needed = audit.controls.planted, audit.settings.required_power
    planted = [one for one in everything if one.required] or list(everything)
    rows = tuple(
        (
            Cell(text=kind_name(one.kind)),
            share(one.power),
            Cell(text=say.percent(one.power.low), value=one.power.low),
            Cell(text=say.percent(one.power.high), value=one.power.high),
        )
        for one in planted
    )
    weak = any(one.required and one.power.low < needed for one in planted)
    return Figure(
        name="power",
        title="How surely each kind of copy is found",
        caption="Dot: share found. Bar: 95 % interval."
        + (f" All {len(everything)} kinds are in the appendix." if len(planted) < len(everything) else "")
        + (" Open square: required, but its interval reaches below the line." if weak else ""),
        alt="Power per kind of planted copy: "
        + "; ".join(f"{kind_name(one.kind)} {say.percent(one.power.value)}" for one in planted),
        media="image/svg+xml",
        picture=power_chart(
            [kind_name(one.kind) for one in planted],
            [(one.power.value, one.power.low, one.power.high) for one in planted],
            [one.required for one in planted],
            needed,
        ),
        data=Table(caption="power", columns=("Kind", "Found", "Low", "High"), rows=rows),
    )
