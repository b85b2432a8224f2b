"""Pictures of a report, drawn with matplotlib's Agg and SVG printers: same numbers in, same bytes out.

Colours are Okabe and Ito's (2008), which readers with any colour vision tell apart; shapes differ as well. Charts
are drawn narrow, so that their labels stay readable on a telephone. Axes: (Y, X) pixels.
"""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from medaudit.render.histogram import SMALLEST_CELL, Histogram

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

SYNTHETIC, UNSEEN, INK, QUIET = "#D55E00", "#0072B2", "#222222", "#767676"
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
def _canvas(width: float, height: float) -> Iterator["Canvas"]:
    """A figure in the house style, in inches, that belongs to no window system."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(cast(Any, _STYLE)):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        yield figure


def _svg(figure: "Canvas") -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def histogram(data: Histogram, label: str, line: float | None, line_name: str) -> bytes:
    """SVG: share of synthetic images and of unseen people per cell, one above the other, on one axis.

    `label` names the axis with its unit; `line` marks the flagging line, with its `line_name`.
    """
    with _canvas(4.4, 3.2) as figure:
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
            note = f" (under {SMALLEST_CELL} not shown)" if hidden else ""
            axis.set_title(f"{of:,} {name}{note}", loc="left", fontsize=9.5, color=colour)
            axis.set_ylabel("share (%)")
            axis.set_ylim(0, max(10.0, 1.08 * float(shares.max())))
            axis.margins(x=0)
            if line is not None and edges[0] <= line <= edges[-1]:
                axis.axvline(line, color=INK, linestyle="--", linewidth=1.1)
        if line is not None and edges[0] <= line <= edges[-1]:
            left = line > 0.5 * (edges[0] + edges[-1])
            upper.annotate(
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
        axis.set_xlabel("planted copies found, right patient named (%)")
        axis.tick_params(axis="y", length=0)
        axis.grid(axis="x", color="#dddddd", linewidth=0.7)
        axis.set_axisbelow(True)
        return _svg(figure)


def leak_curve(generated: Sequence[int], patients: Sequence[int]) -> bytes:
    """SVG: distinct training patients extracted against images generated, as steps."""
    from matplotlib.ticker import MaxNLocator

    with _canvas(4.4, 2.9) as figure:
        axis = figure.subplots()
        axis.step(generated, patients, where="post", color=SYNTHETIC, linewidth=2)
        axis.plot(generated[-1], patients[-1], marker="o", color=SYNTHETIC, clip_on=False, zorder=3)
        axis.annotate(
            f"{patients[-1]:,}", (generated[-1], patients[-1]), xytext=(-6, 6), textcoords="offset points",
            ha="right", va="bottom",
        )  # fmt: skip
        axis.set_xlabel("images generated (number)")
        axis.set_ylabel("patients extracted (number)")
        axis.set_xlim(0, max(generated))
        axis.set_ylim(0, max(1.0, 1.15 * max(patients)))
        axis.xaxis.set_major_formatter(lambda tick, _: f"{tick:,.0f}")
        axis.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axis.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        axis.grid(color="#dddddd", linewidth=0.7)
        return _svg(figure)


def pair(synthetic: np.ndarray, training: np.ndarray) -> bytes:
    """PNG: a synthetic image, the training film it matches, and their difference; watermarked.

    Both (Y, X) float in [0, 1]; the difference is synthetic minus training, drawn from -1 to 1.
    """
    if synthetic.shape != training.shape:
        raise ValueError("the two images of a pair have one shape")
    from PIL import Image

    with _canvas(4.7, 1.95) as figure:
        grid = figure.subplots(1, 3)
        panels = (
            ("synthetic image", synthetic, "gray", 0, 1),
            ("training film", training, "gray", 0, 1),
            ("difference", synthetic - training, "PuOr", -1, 1),
        )
        for axis, (name, image, colours, low, high) in zip(grid, panels, strict=True):
            shown = axis.imshow(image, cmap=colours, vmin=low, vmax=high, interpolation="nearest")
            axis.set_title(name, fontsize=8.5)
            axis.set_xticks([])
            axis.set_yticks([])
            for spine in axis.spines.values():
                spine.set_visible(False)
            axis.text(
                0.5, 0.5, WATERMARK, transform=axis.transAxes, rotation=30, ha="center", va="center",
                fontsize=10, color="white", alpha=0.55, weight="bold",
            )  # fmt: skip
        bar = figure.colorbar(shown, ax=grid[2], fraction=0.05, pad=0.03, ticks=[-1, 0, 1])
        bar.set_label("grey value", fontsize=7.5)
        bar.ax.tick_params(labelsize=7.5)
        figure.dpi = 170
        figure.canvas.draw()
        drawn = np.asarray(figure.canvas.buffer_rgba())[..., :3]  # type: ignore[attr-defined]
        buffer = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(drawn)).save(buffer, format="png", optimize=True)
        return buffer.getvalue()
