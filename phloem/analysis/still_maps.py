"""Maps as still pictures: for print, for readers without a script, and as files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import BoundaryNorm, ListedColormap, LogNorm, Normalize, TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from phloem.analysis.cell_sets import CellSet
from phloem.analysis.inline_svg import MUTED, styled
from phloem.analysis.page_data import COLOUR_MAPS, STATUS_COLOURS
from phloem.analysis.report_page import TEMPLATES
from phloem.analysis.report_tables import number
from phloem.analysis.summaries import Floats
from phloem.names import CELL_STATUS, PERIOD

WIDE = 30.0
"""Positive values whose 2 and 98 % quantiles are this far apart are drawn on a logarithmic scale."""

_SEA, _LAND, _COAST = "#e9f0f4", "#f7f5ef", "#6f6f6b"


@dataclass(frozen=True)
class Still:
    """One map.

    Attributes:
        title: above it.
        values: (cells,), NaN = none.
        kind: a key of `COLOUR_MAPS`, or "status".
        unit: on its scale.
        limits: ends of the scale; None takes the 2 and 98 % quantiles.
        circular: whether the values are days of the year.
    """

    title: str
    values: Floats
    kind: str = "value"
    unit: str = ""
    limits: tuple[float, float] | None = None
    circular: bool = False


@styled()
def still_maps(cells: CellSet, stills: Sequence[Still], across: int = 3, width: float = 10.0) -> Figure:
    """Draw maps of the same cells side by side.

    Args:
        cells: where they are.
        stills: one or more.
        across: maps a row.
        width: of the figure, inches.
    """
    west, east, south, north = extent(cells)
    tall = north - south
    narrow = max(0.35, float(np.cos(np.deg2rad((north + south) / 2)))) if tall < 60 else 1.0
    across = min(across, len(stills))
    down = -(-len(stills) // across)
    each = width / across
    height = min(3.2, max(1.1, (each - 0.45) * tall / ((east - west) * narrow))) + 0.85
    figure = Figure(figsize=(width, height * down), layout="constrained")
    grid = figure.subplots(down, across, squeeze=False)
    for axes, still in zip(grid.flat, stills, strict=False):
        _draw(axes, cells, still)
        axes.set_xlim(west, east)
        axes.set_ylim(south, north)
        axes.set_aspect(1 / narrow)
    for axes in grid.flat[len(stills) :]:
        axes.set_axis_off()
    return figure


def extent(cells: CellSet) -> tuple[float, float, float, float]:
    """Return west, east, south and north of a map of some cells: those of the page's script."""
    longitude = longitudes(cells)
    pad = abs(cells.lattice.step[0]) / 2 if cells.lattice else 0.0
    south, north = float(cells.latitude.min()), float(cells.latitude.max())
    west, east = float(longitude.min()), float(longitude.max())
    room = pad + max(1.5, 0.04 * (north - south), 0.02 * (east - west))
    south, north, west, east = south - room, north + room, west - room, east + room
    more = [max(0.0, least - size) / 2 for least, size in ((12, north - south), (20, east - west))]
    return west - more[1], east + more[1], max(-90.0, south - more[0]), min(90.0, north + more[0])


def longitudes(cells: CellSet) -> Floats:
    """Return the longitudes of cells; those of a grid across the date line go on beyond 180."""
    if cells.lattice is None:
        return cells.longitude
    return np.asarray(cells.lattice.longitude + cells.lattice.column * cells.lattice.step[1])


@cache
def land() -> tuple[np.ndarray, ...]:
    """Return outlines of land (Natural Earth, 1:50 million, simplified to 0.1 degrees), each (points, 2)."""
    lines = (TEMPLATES / "land.txt").read_text(encoding="utf-8").splitlines()
    return tuple(np.array(line.split(), int).reshape(-1, 2).cumsum(0) / 10 for line in lines)


def _draw(axes: Axes, cells: CellSet, still: Still) -> None:
    axes.set_facecolor(_SEA)
    west, east, _, _ = extent(cells)
    turns = [turn for turn in (-360, 0, 360) if west < turn + 190 and east > turn - 190]
    outlines = [ring + (turn, 0) for turn in turns for ring in land()]
    axes.add_collection(PolyCollection(outlines, facecolor=_LAND, edgecolor="none", zorder=0))
    known = still.values[np.isfinite(still.values)]
    if still.kind == "status":
        colours = ListedColormap(STATUS_COLOURS)
        norm: Normalize = BoundaryNorm(np.arange(len(STATUS_COLOURS) + 1) - 0.5, len(STATUS_COLOURS))
    else:
        colours, norm = COLOUR_MAPS[still.kind], _norm(still, known)
    if cells.lattice is None:
        lost = ~np.isfinite(still.values)
        axes.scatter(cells.longitude[lost], cells.latitude[lost], s=22, facecolor="white", edgecolor="#666", lw=0.6)
        drawn = axes.scatter(
            cells.longitude, cells.latitude, c=still.values, s=26, cmap=colours, norm=norm, edgecolor="#222", lw=0.5,
            zorder=3,
        )  # fmt: skip
    else:
        grid = cells.lattice
        image = np.full((grid.rows, grid.columns), np.nan)
        image[grid.row, grid.column] = still.values
        south, west = grid.latitude - grid.step[0] / 2, grid.longitude - grid.step[1] / 2
        box = (west, west + grid.columns * grid.step[1], south, south + grid.rows * grid.step[0])
        drawn = axes.imshow(
            image, cmap=colours, norm=norm, extent=box, origin="lower", interpolation="nearest", zorder=2,
        )  # fmt: skip
    axes.add_collection(PolyCollection(outlines, facecolor="none", edgecolor=_COAST, lw=0.4, zorder=4))
    axes.set_title(still.title, fontsize=8.5, loc="left")
    axes.tick_params(labelsize=6.5, length=2)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 1.5, 2, 3, 5, 10]))
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 1.5, 2, 3, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _degrees((value + 180) % 360 - 180, "E", "W")))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _degrees(value, "N", "S")))
    axes.grid(True, color="#505050", alpha=0.2, linewidth=0.4, zorder=5)
    _scale(axes, still, drawn, norm, bool(known.size))


def _scale(axes: Axes, still: Still, drawn: object, norm: Normalize, any_value: bool) -> None:
    """Put the scale below a map, or the words for the status of a cell."""
    figure = axes.figure
    if still.kind == "status":
        there = np.unique(still.values[np.isfinite(still.values)]).astype(int).tolist()
        words = [name.replace("_", " ") for name in CELL_STATUS]
        axes.legend(
            handles=[Patch(color=STATUS_COLOURS[code], label=words[code]) for code in there], fontsize=6.5,
            frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2,
        )  # fmt: skip
        return
    if not any_value:
        axes.text(0.5, 0.5, "no value", transform=axes.transAxes, ha="center", color=MUTED, zorder=6)
        return
    bar = figure.colorbar(drawn, ax=axes, orientation="horizontal", shrink=0.9, pad=0.02, aspect=32, fraction=0.06)  # type: ignore[arg-type]
    low, high = float(norm.vmin or 0.0), float(norm.vmax or 0.0)
    ticks = np.geomspace(low, high, 4) if isinstance(norm, LogNorm) else np.linspace(low, high, 5)
    texts = [f"{tick % PERIOD:.0f}" if still.circular else number(float(tick), 2) for tick in ticks]
    bar.set_ticks(ticks.tolist(), labels=texts)
    bar.ax.xaxis.set_minor_locator(NullLocator())
    bar.ax.tick_params(labelsize=6.5, length=2)
    bar.outline.set_linewidth(0.4)  # type: ignore[operator]
    if still.unit:
        bar.set_label(still.unit, fontsize=7, labelpad=1)


def _norm(still: Still, known: Floats) -> Normalize:
    if still.limits:
        low, high = still.limits
    elif still.kind == "score":
        low, high = 0.0, 1.0
    else:
        low, high = (float(end) for end in np.percentile(known, [2, 98])) if known.size else (0.0, 1.0)
    if still.kind == "difference":
        reach = max(abs(low), abs(high)) or 1.0
        return TwoSlopeNorm(0.0, -reach, reach)
    if still.kind in ("value", "spread") and known.size and known.min() > 0 and low > 0 and high / low > WIDE:
        return LogNorm(low, high)
    return Normalize(low, high if high > low else low + (abs(low) * 0.01 or 1.0))


def _degrees(value: float, positive: str, negative: str) -> str:
    size = f"{abs(value):g}°"
    return size if value in (0, 180, -180) else size + (positive if value > 0 else negative)
