"""Figures of the report, drawn by matplotlib's objects and ready for the page and for files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateFormatter, AutoDateLocator
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from phloem.analysis.report_data.tower_product import BINS, WEEK, Floats
from phloem.analysis.style.inline_svg import Drawing
from phloem.analysis.style.plot_style import INK, MUTED, OKABE_ITO, ShownFigure, styled
from phloem.analysis.style.wording import stream_title
from phloem.arithmetic import ceil_div

STREAM_COLOURS = {"gpp": "#009E73", "reco": "#D55E00", "et": "#0072B2", "lai": "#CC79A7"}
OTHER_COLOUR = OKABE_ITO[5]
_STREAM_INKS = {"gpp": "#007A59", "reco": "#B34E00", "et": "#0072B2", "lai": "#A8527F"}
_GRID = "#e4e4e0"
_SHADE = "#f1efe6"
_HEIGHT = 6.4
_LINEAR_LOSS = 5.0
_CROWDED = 300
"""Points above which their dots are small."""
_MOST, _FLAT = 97.0, 2.0
"""Per cent of the members' range that an axis holds where all of it would need this many times the room."""
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True)
class Panel:
    """One stream of a cell, ready to draw.

    Attributes:
        stream: Its name.
        unit: Typeset.
        observed: (points,), NaN = missing.
        median, low, high: (points,) over the members, NaN = missing.
        withheld: (points,) observed, and no part of the calibration, NaN = missing; None where `observed` has them.
    """

    stream: str
    unit: str
    observed: Floats
    median: Floats
    low: Floats
    high: Floats
    withheld: Floats | None = None

    @property
    def message(self) -> str:
        """What the reader must know about an empty half of the panel; empty where both halves are there."""
        lacks = []
        if not np.isfinite(self.observed).any() and (self.withheld is None or not np.isfinite(self.withheld).any()):
            lacks.append("no observations")
        if not np.isfinite(self.median).any():
            lacks.append("not calibrated")
        return " · ".join(lacks)


@dataclass(frozen=True)
class Span:
    """Days that a figure shows.

    Attributes:
        first, last: Of them.
        validation: The first that belongs to the validation, None where none does.
    """

    first: np.datetime64
    last: np.datetime64
    validation: np.datetime64 | None = None


@styled()
def series_figure(
    name: str, span: Span, centres: Floats, panels: Sequence[Panel], label: str, width: float = 9.9
) -> Drawing:
    """Draw means over windows, one row a stream, with the validation period shaded.

    Args:
        name: Identifier, unique on the page.
        span: Days that it shows.
        centres: (points,) middles of the windows, days since 1970-01-01.
        panels: One a stream, with one point a window.
        label: What the figure shows, in words.
        width: Of the figure, inches.

    Returns:
        The figure with its name and label.
    """
    figure, rows = _rows(width, len(panels), left=0.4 / width, right=1 - 0.25 / width)
    first, last = _day_number(span.first), _day_number(span.last) + 1
    border = _day_number(span.validation) if span.validation is not None else last
    for axes, panel in zip(rows, panels, strict=True):
        if border < last:
            axes.axvspan(border, last, color=_SHADE, linewidth=0, zorder=0)
            axes.axvline(border, color="#b5ad8b", linewidth=0.7, zorder=1)
        _draw(axes, panel, centres, dot=1.7 if centres.size > _CROWDED else 2.6)
        axes.set_xlim(first, last)
    locator = AutoDateLocator(minticks=3, maxticks=11)
    rows[-1].xaxis.set_major_locator(locator)
    rows[-1].xaxis.set_major_formatter(AutoDateFormatter(locator))
    if border < last:
        rows[0].text(1.0, 1.04, "validation", transform=rows[0].transAxes, ha="right", fontsize=9, color="#857a4a")
    return Drawing(figure, name, label)


def _day_number(day: np.datetime64) -> float:
    return float(day.astype("datetime64[D]").astype(np.int64))


@styled()
def seasonal_figure(name: str, panels: Sequence[Panel]) -> Drawing:
    """Draw mean seasonal cycle by week of the year, one row a stream.

    Args:
        name: Identifier, unique on the page.
        panels: One a stream, with 52 points.

    Returns:
        The figure with its name and label.
    """
    figure, rows = _rows(3.3, len(panels), left=0.11, right=0.96)
    for axes, panel in zip(rows, panels, strict=True):
        _draw(axes, panel, WEEK * np.arange(BINS, dtype=np.float64) + (WEEK + 1) / 2, dot=2.2)
        axes.set_xlim(1, 366)
    months = np.cumsum([1, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30])
    rows[-1].xaxis.set_major_locator(FixedLocator(months[::2].astype(float).tolist()))
    rows[-1].xaxis.set_major_formatter(FixedFormatter(_MONTHS[::2]))
    rows[0].text(1.0, 1.04, "mean seasonal cycle", transform=rows[0].transAxes, ha="right", fontsize=9, color=MUTED)
    return Drawing(figure, name, "Mean seasonal cycle of observed and simulated streams")


@styled()
def loss_figure(name: str, iterations: Floats, traces: Floats) -> Drawing:
    """Draw loss of every member while it was optimised: linear to +5, logarithmic above.

    Args:
        name: Identifier, unique on the page.
        iterations: (points,).
        traces: (members, points), NaN = missing.

    Returns:
        The figure with its name and label.
    """
    figure = ShownFigure(figsize=(4.7, 3.2))
    axes = figure.add_axes((0.14, 0.135, 0.80, 0.84))
    _plain(axes)
    shown = np.isfinite(traces) & np.isfinite(iterations)
    if not shown.any():
        axes.set_axis_off()
        _say(axes, "no loss curve was kept")
    for member, trace in enumerate(traces):
        kept = shown[member]
        if kept.any():
            axes.plot(
                iterations[kept],
                trace[kept],
                color=OKABE_ITO[member % len(OKABE_ITO)],
                linewidth=1.3,
                alpha=0.9,
            )
    if shown.any():
        low, high = float(traces[shown].min()), float(traces[shown].max())
        axes.set_yscale("symlog", linthresh=_LINEAR_LOSS, linscale=2.4)
        axes.set_ylim(min(np.floor(low - 0.3), -4.2), max(high * 1.3, _LINEAR_LOSS))
        decades = [10.0**power for power in range(1, 13) if 10.0**power <= max(high * 1.3, _LINEAR_LOSS)]
        below = [-(10.0**power) for power in range(1, 13) if -(10.0**power) >= low]
        axes.yaxis.set_major_locator(FixedLocator([*below, -4, -3, -2, -1, 0, 1, 2, *decades]))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}".replace("-", "−")))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.margins(x=0.01)
    axes.set_xlabel("iteration", fontsize=8.5)
    axes.set_ylabel("loss (linear below 5, then log)", fontsize=8.5)
    return Drawing(figure, name, "Loss of every member against the iteration")


@styled()
def recovery_figure(name: str, titles: Sequence[str], truth: Floats, recovered: Floats) -> Drawing:
    """Draw recovered against true positions between the bounds, one small panel a parameter.

    Args:
        name: Identifier, unique on the page.
        titles: (parameters,).
        truth: (parameters, cells) positions, NaN = unknown.
        recovered: (parameters, cells, 3): median, lowest and highest of the members, NaN = not calibrated.

    Returns:
        The figure with its name and label.
    """
    across = 6
    down = ceil_div(len(titles), across)
    height = 1.75 * down + 0.45
    figure = ShownFigure(figsize=(11.4, height))
    for index, title in enumerate(titles):
        row, column = divmod(index, across)
        bottom = 1 - (1.75 * row + 1.5) / height
        axes = figure.add_axes((0.045 + column * 0.1595, bottom, 0.135, 1.28 / height))
        _plain(axes)
        axes.plot([-1, 2], [-1, 2], color="#b0b0b0", linewidth=0.8, zorder=1)
        median, low, high = np.moveaxis(recovered[index], -1, 0)
        seen = np.isfinite(truth[index]) & np.isfinite(median)
        if seen.any():
            x = truth[index][seen]
            axes.vlines(x, low[seen], high[seen], color=OKABE_ITO[5], linewidth=1.2, zorder=2)
            axes.plot(x, median[seen], "o", color=OKABE_ITO[0], markersize=3.2, markeredgewidth=0, zorder=3)
        else:
            _say(axes, "not calibrated")
        outside = seen.any() and (np.nanmin(low[seen]) < -0.05 or np.nanmax(high[seen]) > 1.05)
        axes.set_xlim(-0.05, 1.05)
        axes.set_ylim(*((-0.5, 1.5) if outside else (-0.05, 1.05)))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(FixedLocator([0, 0.5, 1]))
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.tick_params(labelsize=7)
        axes.set_title(title, fontsize=8, pad=3, loc="left")
        if column == 0:
            axes.set_ylabel("recovered", fontsize=7.5)
        if index + across >= len(titles):
            axes.set_xlabel("true", fontsize=7.5)
    return Drawing(figure, name, "Recovered against true parameters, as positions between their bounds")


def _rows(width: float, count: int, left: float, right: float) -> tuple[Figure, list[Axes]]:
    figure = ShownFigure(figsize=(width, _HEIGHT))
    top, bottom, gap = 0.96, 0.045, 0.058
    height = (top - bottom - gap * (count - 1)) / count
    rows: list[Axes] = []
    for index in range(count):
        axes = figure.add_axes((left, top - (index + 1) * height - index * gap, right - left, height))
        if index:
            axes.sharex(rows[0])
        axes.tick_params(labelbottom=index == count - 1)
        _plain(axes)
        rows.append(axes)
    return figure, rows


def _plain(axes: Axes) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.grid(True, color=_GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(length=3, width=0.6, labelsize=8.5)


def _draw(axes: Axes, panel: Panel, x: Floats, dot: float) -> None:
    colour = STREAM_COLOURS.get(panel.stream, OTHER_COLOUR)
    axes.fill_between(x, panel.low, panel.high, color=colour, alpha=0.3, linewidth=0, zorder=2)
    # A zero-length round-capped stroke a point: a third of the size of one <use> element a point.
    points = np.column_stack([panel.observed, panel.observed, np.full(panel.observed.size, np.nan)]).ravel()
    axes.plot(np.repeat(x, 3), points, color=INK, linewidth=dot, solid_capstyle="round", alpha=0.6, zorder=3)
    axes.plot(x, panel.median, color=colour, linewidth=1.3, zorder=4)
    if panel.withheld is not None:
        held = np.isfinite(panel.withheld)
        axes.plot(x[held], panel.withheld[held], "o", color=INK, markersize=2.6, markerfacecolor="white",
                  markeredgewidth=0.7, zorder=5)  # fmt: skip
    if panel.message:
        _say(axes, panel.message)
    axes.yaxis.set_major_locator(MaxNLocator(4, min_n_ticks=3))
    axes.margins(y=0.08)
    _keep_readable(axes, panel)
    axes.annotate(
        f"{stream_title(panel.stream)}, {panel.unit}",
        (0, 1.04),
        xycoords="axes fraction",
        fontsize=9.5,
        fontweight="bold",
        color=_STREAM_INKS.get(panel.stream, INK),
    )


def _keep_readable(axes: Axes, panel: Panel) -> None:
    """End the axis where a few extremes of single members would flatten everything else, and say so."""
    shown = [panel.observed, panel.median, *([] if panel.withheld is None else [panel.withheld])]
    told = np.concatenate([values[np.isfinite(values)] for values in shown])
    low, high = (values[np.isfinite(values)] for values in (panel.low, panel.high))
    if not (told.size and high.size):
        return
    bottom = min(float(told.min()), float(np.percentile(low, 100 - _MOST)))
    top = max(float(told.max()), float(np.percentile(high, _MOST)))
    if float(high.max()) - float(low.min()) < _FLAT * (top - bottom):
        return
    edge = 0.08 * (top - bottom)
    axes.set_ylim(bottom - edge, top + edge)
    words = f"the members' range goes on from {low.min():.3g} to {high.max():.3g}".replace("-", "−")
    axes.text(0.995, 0.95, words, transform=axes.transAxes, ha="right", va="top", fontsize=8, color=MUTED, zorder=8)


def _say(axes: Axes, message: str) -> None:
    axes.text(
        0.5,
        0.5,
        message,
        transform=axes.transAxes,
        ha="center",
        va="center",
        color=INK,
        fontsize=9,
        zorder=9,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 2.5},
    )
