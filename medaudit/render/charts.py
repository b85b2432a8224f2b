"""Charts as figures of the document: the picture with its words and the numbers it was drawn from."""

import math

import numpy as np

from medaudit.render import wording as say
from medaudit.render.document import DRAWING, Cell, Figure, Table
from medaudit.render.facts import AuditFacts, DetectorFacts, ExtractionFacts
from medaudit.render.histogram import NOT_SHOWN, Histogram
from medaudit.render.key_numbers import kind_name, share
from medaudit.stats.extrapolation import patients_after

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
            Cell(text=NOT_SHOWN if ours is None else say.whole(ours), value=ours),
            Cell(text=NOT_SHOWN if theirs is None else say.whole(theirs), value=theirs),
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


_AHEAD = 20  # points of the forecast


def leak_chart(found: ExtractionFacts) -> Figure:
    """Patients against images generated, and how it would go on to twice as many."""
    from medaudit.render.figures import leak_curve

    points, total = found.leak_curve, found.patients_total_estimate
    ahead = _ahead(found)
    forecast = (
        f" Dashed: what {say.whole(points[-1].generated)} more images are expected to bring, "
        f"{say.whole(ahead[1][-1])} patients by then."
        if ahead
        else ""
    )
    return Figure(
        name="leak-curve",
        title="Patients extracted as more images are generated",
        caption=f"A curve that still rises says that more images would give away more patients.{forecast}",
        alt=f"Leak curve: {points[-1].patients} training patients after {points[-1].generated} generated images."
        + forecast,
        media="image/svg+xml",
        picture=leak_curve(
            [point.generated for point in points], [point.patients for point in points], ahead, total
        ),
        data=Table(
            caption="leak curve",
            columns=("images generated", "patients extracted"),
            rows=tuple(
                (
                    Cell(text=say.whole(point.generated), value=point.generated),
                    Cell(text=say.whole(point.patients), value=point.patients),
                )
                for point in points
            )
            + tuple(
                (
                    Cell(text=say.whole(made), value=made),
                    Cell(text=f"{say.number(many)} expected", value=many),
                )
                for made, many in zip(*(ahead or ((), ())), strict=True)
            ),
        ),
    )


def _ahead(found: ExtractionFacts) -> tuple[list[int], list[float]] | None:
    """Images and patients expected, from the last point of the curve to twice as many images."""
    last, rate, total = found.leak_curve[-1], found.new_patient_rate, found.patients_total_estimate
    if rate is None or total is None:
        return None
    more = np.linspace(0, last.generated, _AHEAD + 1)
    expected = patients_after(last.patients, last.generated, rate, total, more)
    if expected is None:
        return None
    return [round(last.generated + step) for step in more], [float(f"{many:.3g}") for many in expected]


def calibration_chart(audit: AuditFacts) -> Figure | None:
    """Unseen people among the training people of the reference, under the first detector that has both."""
    from medaudit.render.figures import calibration_plot

    detector = next((one for one in audit.detectors if one.calibration is not None), None)
    if detector is None or detector.calibration is None:
        return None
    found = detector.calibration
    columns = found.expected, found.unseen, found.synthetic, found.low, found.high
    rows = tuple(
        tuple(Cell(text=say.number(value), value=value) for value in row)
        for row in zip(*columns, strict=True)
    )
    inside = (
        "All points of unseen people lie within what chance explains"
        if not found.outside
        else f"{say.counted(found.outside, 'point')} of {len(found.expected)} of unseen people lie outside what chance "
        "explains; of twenty one may"
    )
    return Figure(
        name="calibration",
        title=f"Do unseen people score like the reference? Detector {detector.name}",
        caption="Dots on the dashed line: people the model never saw are as near to the training films as training "
        f"patients are to each other, which is what every p-value rests on. {inside}. Synthetic images below the line "
        "come closer than people do.",
        alt=f"Calibration plot of detector {detector.name}: p-values of unseen people and of synthetic images against "
        f"those expected. {inside}.",
        media=DRAWING,
        picture=calibration_plot(*columns),
        data=Table(
            caption="calibration",
            columns=("expected", "unseen people", "synthetic images", "95 % interval, low", "high"),
            rows=rows,
        ),
    )


def exposure_chart(audit: AuditFacts) -> Figure | None:
    """Training patients by how many flagged images name them; None where nobody is named."""
    from medaudit.render.figures import exposure_bars

    found = audit.exposure
    if found is None:
        return None
    rows = tuple(
        (Cell(text=images), Cell(text=NOT_SHOWN if count is None else say.whole(count), value=count))
        for images, count in zip(found.images, found.patients, strict=True)
    )
    return Figure(
        name="exposure",
        title="How often one patient is shown",
        caption="Training patients by the number of flagged images that name them. A patient shown often was "
        "remembered, not met by chance.",
        alt="Training patients by flagged images: "
        + "; ".join(f"{cells[0].text}: {cells[1].text}" for cells in rows),
        media=DRAWING,
        picture=exposure_bars(found.images, found.patients),
        data=Table(caption="exposure", columns=("flagged images", "training patients"), rows=rows),
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
