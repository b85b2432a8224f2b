"""Pictures of a report, drawn with matplotlib's Agg and SVG printers: same numbers in, same bytes out.

Colours are Okabe and Ito's (2008), which readers with any colour vision tell apart; shapes differ as well. Charts
are drawn narrow, so that their labels stay readable on a telephone. Axes: (Y, X) pixels.
"""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from medaudit.render.histogram import Histogram
from medaudit.render.png import grey_png
from medaudit.render.svg import slim

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

SYNTHETIC, UNSEEN, INK, QUIET = "#D55E00", "#0072B2", "#222222", "#707070"
WRITTEN = {
    SYNTHETIC: "#A84A00",
    UNSEEN: UNSEEN,
}  # the same as letters, which need more contrast than areas do
_STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
    "svg.hashsalt": "medaudit",
    "svg.fonttype": "path",
    "legend.frameon": False,
    "hatch.linewidth": 0.6,
}
WATERMARK = "CONFIDENTIAL"


@contextmanager
def _canvas(width: float, height: float, layout: str = "constrained") -> Iterator["Canvas"]:
    """A figure in the house style, in inches, that belongs to no window system."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(cast(Any, _STYLE)):
        figure = Figure(figsize=(width, height), layout=cast(Any, layout))
        FigureCanvasAgg(figure)
        yield figure


def _svg(figure: "Canvas") -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return slim(buffer.getvalue())


def histogram(data: Histogram, label: str, line: float | None, line_name: str) -> bytes:
    """SVG: share of synthetic images and of unseen people per cell, one above the other, on one axis.

    `label` names the axis with its unit; `line` marks the flagging line, with its `line_name`.
    """
    # Margins are fixed because the labels' widths are known; a layout engine would draw everything twice.
    with _canvas(4.4, 3.2, "none") as figure:
        figure.subplots_adjust(left=0.125, right=0.945, top=0.93, bottom=0.145, hspace=0.32)
        upper, lower = figure.subplots(2, 1, sharex=True)
        edges = np.asarray(data.edges)
        rows = (
            (upper, data.synthetic, data.synthetic_of, SYNTHETIC, "synthetic images", None),
            (lower, data.unseen, data.unseen_of, UNSEEN, "unseen people", "////"),
        )
        for axis, counts, of, colour, name, hatch in rows:
            shares = np.array([0.0 if count is None else 100 * count / of for count in counts])
            axis.bar(
                edges[:-1], shares, np.diff(edges), align="edge", color=colour, edgecolor="white", linewidth=0.5,
                hatch=hatch,
            )  # fmt: skip
            hidden = any(count is None for count in counts)
            note = " (small cells not shown)" if hidden else ""
            axis.set_title(f"{of:,} {name}{note}", loc="left", fontsize=9.5, color=WRITTEN[colour])
            axis.set_ylabel("share (%)")
            axis.set_ylim(0, max(10.0, 1.08 * float(shares.max())))
            axis.margins(x=0)
            if line is not None and edges[0] <= line <= edges[-1]:
                axis.axvline(line, color=INK, linestyle="--", linewidth=1.1)
        if line is not None and edges[0] <= line <= edges[-1]:
            left = line > edges[0] + 0.3 * (edges[-1] - edges[0])
            lower.annotate(
                line_name, (line, 0.97), xycoords=("data", "axes fraction"), xytext=(-4 if left else 4, 0),
                textcoords="offset points", ha="right" if left else "left", va="top", fontsize=8.5,
            )  # fmt: skip
        lower.set_xlabel(label)
        if data.top_open:
            ticks = [tick for tick in lower.get_xticks() if edges[0] <= tick < edges[-1] * 0.9]
            lower.set_xticks(
                [*ticks, float(edges[-1])], [*(f"{tick:g}" for tick in ticks), f"≥ {edges[-1]:g}"]
            )
        return _svg(figure)


def power_chart(
    names: Sequence[str], values: Sequence[tuple[float, float, float]], required: Sequence[bool], line: float
) -> bytes:
    """SVG: a dot and an interval per kind of planted copy; `values` are (value, low, high) as shares.

    Kinds whose lower limit stays under `line` although it is required are drawn as open squares in the warning
    colour, so that shape and colour say the same.
    """
    with _canvas(4.4, 0.95 + 0.28 * len(names)) as figure:
        axis = figure.subplots()
        for place, (value, low, high) in enumerate(values):
            weak = required[place] and low < line
            colour = SYNTHETIC if weak else UNSEEN
            axis.plot(
                [100 * low, 100 * high], [place, place], color=colour, linewidth=2, solid_capstyle="butt"
            )
            axis.plot(
                100 * value, place, marker="s" if weak else "o", color=colour, markersize=7, clip_on=False,
                markerfacecolor="white" if weak else colour, markeredgewidth=1.6, linestyle="none", zorder=3,
            )  # fmt: skip
        axis.axvline(100 * line, color=INK, linestyle="--", linewidth=1.1)
        axis.annotate(
            f"required {100 * line:g} %", (100 * line, 1.0), xycoords=("data", "axes fraction"), xytext=(-4, 2),
            textcoords="offset points", ha="right", va="bottom", fontsize=8.5,
        )  # fmt: skip
        axis.set_yticks(range(len(names)), names)
        axis.set_ylim(len(names) - 0.5, -0.5)
        lowest = min(low for _, low, _ in values)
        axis.set_xlim(0 if lowest < 0.5 else 50, 100)
        axis.set_xlabel("found, right patient named (%)")
        axis.tick_params(axis="y", length=0)
        axis.grid(axis="x", color="#dddddd", linewidth=0.7)
        axis.set_axisbelow(True)
        return _svg(figure)


def leak_curve(
    generated: Sequence[int],
    patients: Sequence[int],
    ahead: tuple[Sequence[int], Sequence[float]] | None = None,
    total: float | None = None,
) -> bytes:
    """SVG: distinct training patients extracted against images generated, as steps.

    `ahead`, images and patients expected, goes on as a dashed line; `total` is the estimate of all patients.
    """
    from matplotlib.ticker import MaxNLocator

    with _canvas(4.4, 2.9) as figure:
        axis = figure.subplots()
        axis.step(generated, patients, where="post", color=SYNTHETIC, linewidth=2)
        axis.plot(generated[-1], patients[-1], marker="o", color=SYNTHETIC, clip_on=False, zorder=3)
        axis.annotate(
            f"{patients[-1]:,}", (generated[-1], patients[-1]), xytext=(-6, 6) if ahead is None else (6, -6),
            textcoords="offset points", ha="right" if ahead is None else "left",
            va="bottom" if ahead is None else "top",
        )  # fmt: skip
        top, end = max(1.0, float(max(patients))), max(generated)
        if ahead is not None:
            axis.plot(*ahead, color=SYNTHETIC, linewidth=1.6, linestyle=(0, (4, 2)))
            top, end = max(top, *ahead[1]), max(ahead[0])
            axis.axvline(max(generated), color=QUIET, linewidth=0.8, linestyle=":")
            axis.annotate(
                "expected", (0.76, 0.04), xycoords="axes fraction", ha="center", va="bottom", fontsize=8.5
            )
            axis.annotate(
                "seen", (0.24, 0.04), xycoords="axes fraction", ha="center", va="bottom", fontsize=8.5
            )
        if total is not None and total <= 2 * top:
            axis.axhline(total, color=INK, linestyle="--", linewidth=1.1)
            axis.annotate(
                f"about {total:,.0f} in all", (0.02, total), xycoords=("axes fraction", "data"), xytext=(0, 3),
                textcoords="offset points", ha="left", va="bottom", fontsize=8.5,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},  # no grid line through the words
            )  # fmt: skip
            top = max(top, total)
        axis.set_xlabel("images generated (number)")
        axis.set_ylabel("patients extracted (number)")
        axis.set_xlim(0, end)
        axis.set_ylim(0, 1.15 * top)
        axis.xaxis.set_major_formatter(lambda tick, _: f"{tick:,.0f}")
        axis.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axis.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        axis.grid(color="#dddddd", linewidth=0.7)
        return _svg(figure)


def calibration_plot(
    expected: Sequence[float],
    unseen: Sequence[float],
    synthetic: Sequence[float],
    low: Sequence[float],
    high: Sequence[float],
) -> bytes:
    """SVG: p-values of unseen people and synthetic images against those expected, with chance's 95 % interval."""
    with _canvas(4.4, 3.4) as figure:
        axis = figure.subplots()
        axis.fill_between(
            expected, low, high, color="#dfe3e6", linewidth=0, label="what chance explains (95 %)"
        )
        axis.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle="--")
        axis.plot(
            expected, synthetic, marker="s", color=SYNTHETIC, markersize=4.5, markerfacecolor="white",
            linewidth=1, clip_on=False, label="synthetic images",
        )  # fmt: skip
        axis.plot(
            expected,
            unseen,
            marker="o",
            color=UNSEEN,
            markersize=5,
            linewidth=1,
            clip_on=False,
            label="unseen people",
        )
        axis.set_xlabel("p-value expected if like the reference (no unit)")
        axis.set_ylabel("p-value seen (no unit)")
        axis.set_xlim(0, 1)
        axis.set_ylim(0, 1)
        axis.legend(loc="upper left", fontsize=8.5)
        return _svg(figure)


def exposure_bars(images: Sequence[str], patients: Sequence[int | None]) -> bytes:
    """SVG: training patients by how many flagged images name them; a count that is not shown is said to be none."""
    from matplotlib.ticker import MaxNLocator

    with _canvas(4.4, 2.6) as figure:
        axis = figure.subplots()
        places = range(len(images))
        axis.bar(places, [count or 0 for count in patients], width=0.7, color=SYNTHETIC)
        for place, count in zip(places, patients, strict=True):
            words = "not\nshown" if count is None else f"{count:,}"
            axis.annotate(
                words, (place, count or 0), xytext=(0, 2), textcoords="offset points", ha="center", va="bottom",
                fontsize=8.5, color=QUIET if count is None else INK,
            )  # fmt: skip
        axis.set_xticks(places, images)
        axis.set_ylim(0, max(10.0, 1.2 * max(count or 0 for count in patients)))
        axis.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        axis.set_xlabel("flagged images of one patient (number)")
        axis.set_ylabel("training patients (number)")
        axis.tick_params(axis="x", length=0)
        return _svg(figure)


def pair(synthetic: np.ndarray, training: np.ndarray) -> bytes:
    """Grey PNG: a synthetic image, the training film it matches, and their difference; watermarked.

    Both (Y, X) float in [0, 1]; the difference is synthetic minus training, drawn from -1 to 1 as radiologists read
    subtractions: no difference is middle grey.
    """
    if synthetic.shape != training.shape:
        raise ValueError("the two images of a pair have one shape")
    from matplotlib.patheffects import withStroke

    wide, gap, title = 1.26, 0.08, 0.24  # inches
    tall = wide * min(max(synthetic.shape[0] / synthetic.shape[1], 0.5), 2.0)
    with _canvas(4.7, tall + title + gap, "none") as figure:
        size = np.array([4.7, tall + title + gap] * 2)
        lefts = [gap + place * (wide + gap) for place in range(4)]
        grid = [figure.add_axes(tuple(np.array([left, gap, wide, tall]) / size)) for left in lefts[:3]]
        scale = figure.add_axes(tuple(np.array([lefts[3], gap + 0.1 * tall, 0.09, 0.8 * tall]) / size))
        panels = (
            ("synthetic image", synthetic, "gray", 0, 1),
            ("training film", training, "gray", 0, 1),
            ("difference", synthetic - training, "gray", -1, 1),
        )
        for axis, (name, image, colours, low, high) in zip(grid, panels, strict=True):
            shown = axis.imshow(image, cmap=colours, vmin=low, vmax=high, interpolation="auto")
            axis.set_title(name, fontsize=8.5)
            axis.set_xticks([])
            axis.set_yticks([])
            for spine in axis.spines.values():
                spine.set_visible(False)
            mark = axis.text(
                0.5, 0.5, WATERMARK, transform=axis.transAxes, rotation=30, ha="center", va="center",
                fontsize=10, color="white", alpha=0.6, weight="bold",
            )  # fmt: skip
            mark.set_path_effects([withStroke(linewidth=0.9, foreground="#333333", alpha=0.5)])
        bar = figure.colorbar(shown, cax=scale, ticks=[-1, 0, 1])
        bar.set_label("grey value", fontsize=7.5, labelpad=1)
        bar.ax.tick_params(labelsize=7.5)
        figure.dpi = 160  # twelve pairs stay under 2 MB even if they were noise
        figure.canvas.draw()
        drawn = np.asarray(figure.canvas.buffer_rgba())[..., 1]  # type: ignore[attr-defined]
        return grey_png(drawn)
