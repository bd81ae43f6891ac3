"""Maps as still pictures: for print, for readers without a script, and as files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import BoundaryNorm, Colormap, ListedColormap, LogNorm, Normalize, TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.image import BboxImage
from matplotlib.patches import Patch
from matplotlib.transforms import Bbox, TransformedBbox

from phloem.analysis.report_data.cell_sets import CellSet
from phloem.analysis.report_data.page_layers import COLOUR_MAPS, STATUS_COLOURS
from phloem.analysis.report_data.tower_product import Floats
from phloem.analysis.style.coastline import land_outlines
from phloem.analysis.style.plot_style import MUTED, ShownFigure, styled
from phloem.analysis.style.wording import number
from phloem.arithmetic import ceil_div
from phloem.names import CELL_STATUS, PERIOD

WIDE = 30.0
"""Positive values whose 2 and 98 % quantiles are this far apart are drawn on a logarithmic scale."""

_LEFT, _RIGHT, _TOP, _BELOW, _TALLEST = 0.44, 0.14, 0.27, 0.64, 2.6
"""Inches around each map, and of the tallest one."""

POINTS_AN_INCH = 72
_COVERED, _DOTS = 0.15, (5.0, 26.0)
"""Share of a map that dots may cover together, and sizes between which they stay, square points."""

_GREY = ListedColormap(["#c9c9c4"])
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
    middle = np.deg2rad((north + south) / 2)
    narrow = max(0.35, float(np.cos(middle))) if north - south < 60 else 1.0
    across = min(across, len(stills))
    down = ceil_div(len(stills), across)
    # Placed by hand, in inches: letting the layout be solved takes several times as long as drawing.
    room = width / across - _LEFT - _RIGHT
    tall = (north - south) / ((east - west) * narrow)
    map_width, map_height = min(room, _TALLEST / tall), min(_TALLEST, max(0.5, room * tall))
    map_height = min(map_height, map_width * tall)
    height = _TOP + map_height + _BELOW
    figure = ShownFigure(figsize=(width, height * down))
    for slot, still in enumerate(stills):
        row, column = divmod(slot, across)
        left = column * width / across + _LEFT
        bottom = (down - 1 - row) * height + _BELOW
        axes = figure.add_axes(
            (left / width, bottom / (height * down), map_width / width, map_height / (height * down))
        )
        _draw(axes, cells, still, 1 / map_height, POINTS_AN_INCH**2 * map_width * map_height)
    return figure


def extent(cells: CellSet) -> tuple[float, float, float, float]:
    """Return west, east, south and north of a map of some cells: those of the page's script.

    Cells without a longitude, which a tower file need not give, are on no map; where none has one it is of the Earth.
    """
    placed = np.isfinite(longitudes(cells)) & np.isfinite(cells.latitude)
    if not placed.any():
        return -180.0, 180.0, -90.0, 90.0
    longitude, latitude = longitudes(cells)[placed], cells.latitude[placed]
    pad = abs(cells.lattice.step[0]) / 2 if cells.lattice else 0.0
    south, north = float(latitude.min()), float(latitude.max())
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


def _draw(axes: Axes, cells: CellSet, still: Still, inch: float, room: float) -> None:
    """Draw a map without ticks, which cost more than everything else: lines and words stand for them.

    Args:
        axes: empty.
        cells: where they are.
        still: what is shown.
        inch: of an inch, in heights of the axes.
        room: size of the map, square points.
    """
    west, east, south, north = box = extent(cells)
    axes.set_facecolor(_SEA)
    axes.set_xticks([])
    axes.set_yticks([])
    outlines = _outlines(box)
    axes.add_collection(PolyCollection(outlines, facecolor=_LAND, edgecolor="none", zorder=0), autolim=False)
    known = still.values[np.isfinite(still.values)]
    if still.kind == "status":
        colours: Colormap = ListedColormap(STATUS_COLOURS)
        norm: Normalize = BoundaryNorm(np.arange(len(STATUS_COLOURS) + 1) - 0.5, len(STATUS_COLOURS))
    else:
        colours, norm = COLOUR_MAPS[still.kind], _norm(still, known)
    if cells.lattice is None:
        lost = ~np.isfinite(still.values)
        size = float(np.clip(_COVERED * room / len(cells.names), *_DOTS))
        axes.scatter(cells.longitude[lost], cells.latitude[lost], s=size, facecolor="white", edgecolor="#666", lw=0.6)
        axes.scatter(
            cells.longitude, cells.latitude, c=still.values, s=size, cmap=colours, norm=norm, edgecolor="#222",
            lw=0.06 * size**0.5 + 0.15, zorder=3,
        )  # fmt: skip
    else:
        grid = cells.lattice
        image = np.full((grid.rows, grid.columns), np.nan)
        image[grid.row, grid.column] = still.values
        low, left = grid.latitude - grid.step[0] / 2, grid.longitude - grid.step[1] / 2
        place = (left, left + grid.columns * grid.step[1], low, low + grid.rows * grid.step[0])
        holes = np.full(image.shape, np.nan)
        holes[grid.row, grid.column] = np.where(np.isfinite(still.values), np.nan, 1)
        axes.imshow(holes, cmap=_GREY, extent=place, origin="lower", interpolation="nearest", zorder=2, aspect="auto")
        axes.imshow(
            image, cmap=colours, norm=norm, extent=place, origin="lower", interpolation="nearest", zorder=2,
            aspect="auto",
        )  # fmt: skip
    axes.add_collection(PolyCollection(outlines, facecolor="none", edgecolor=_COAST, lw=0.3, zorder=4), autolim=False)
    axes.set_xlim(west, east)
    axes.set_ylim(south, north)
    axes.set_title(still.title, fontsize=9, loc="left", pad=3)
    _graticule(axes, box, inch)
    if still.kind == "status":
        there = np.unique(known).astype(int).tolist()
        words = [name.replace("_", " ") for name in CELL_STATUS]
        axes.legend(
            handles=[Patch(color=STATUS_COLOURS[code], label=words[code]) for code in there], fontsize=6.5,
            frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.2 * inch), ncols=2,
        )  # fmt: skip
    elif known.size:
        _scale(axes, still, colours, norm, inch)
    else:
        axes.text(0.5, 0.5, "no value", transform=axes.transAxes, ha="center", color=MUTED, zorder=6)


@lru_cache(maxsize=4)
def _outlines(box: tuple[float, float, float, float]) -> list[np.ndarray]:
    """Return the outlines of land that meet a box, shifted by whole turns where it lies across the date line."""
    return [
        ring + np.array([turn, 0]) for turn in (-360, 0, 360) for ring in land_outlines() if _meets(ring, turn, box)
    ]


def _meets(ring: np.ndarray, turn: float, box: tuple[float, float, float, float]) -> bool:
    west, east, south, north = box
    (left, low), (right, high) = ring.min(0), ring.max(0)
    return bool(left + turn < east and right + turn > west and low < north and high > south)


def _graticule(axes: Axes, box: tuple[float, float, float, float], inch: float) -> None:
    west, east, south, north = box
    across, down = _step((east - west) / 5), _step((north - south) / 4)
    meridians = np.arange(np.ceil(west / across), np.floor(east / across) + 1) * across
    parallels = np.arange(np.ceil(south / down), np.floor(north / down) + 1) * down
    lines = [[(lon, south), (lon, north)] for lon in meridians] + [[(west, lat), (east, lat)] for lat in parallels]
    axes.add_collection(LineCollection(lines, color="#505050", alpha=0.2, lw=0.4, zorder=5), autolim=False)
    style: dict[str, Any] = {"fontsize": 7, "color": MUTED, "clip_on": False}
    for lon in meridians:
        text = _degrees(float((lon + 180) % 360 - 180), "E", "W")
        axes.text(lon, south - 0.04 * inch * (north - south), text, ha="center", va="top", **style)
    for lat in parallels:
        axes.text(west - 0.008 * (east - west), lat, _degrees(float(lat), "N", "S"), ha="right", va="center", **style)


def _step(rough: float) -> float:
    return next((step for step in (0.5, 1, 2, 5, 10, 15, 30, 45) if step >= rough), 60.0)


def _scale(axes: Axes, still: Still, colours: Colormap, norm: Normalize, inch: float) -> None:
    """Put a ramp of the colours below a map, with a few values."""
    top, bottom = -0.21 * inch, -0.29 * inch
    ramp = BboxImage(TransformedBbox(Bbox([[0.02, bottom], [0.98, top]]), axes.transAxes), cmap=colours, clip_on=False)
    ramp.set_data(np.linspace(0, 1, 256)[None])
    axes.add_artist(ramp)
    low, high = float(norm.vmin or 0.0), float(norm.vmax or 0.0)
    ticks = np.geomspace(low, high, 4) if isinstance(norm, LogNorm) else np.linspace(low, high, 5)
    texts = [f"{tick % PERIOD:.0f}" if still.circular else number(tick, 2) for tick in ticks.tolist()]
    if any("×" in text for text in texts):  # too wide for so many
        ticks = np.array([low, np.sqrt(low * high), high]) if isinstance(norm, LogNorm) else np.linspace(low, high, 3)
        texts = [number(tick, 2) for tick in ticks.tolist()]
    style: dict[str, Any] = {"transform": axes.transAxes, "fontsize": 7, "ha": "center", "va": "top"}
    for place, text in zip(np.linspace(0.02, 0.98, len(ticks)), texts, strict=True):
        axes.text(place, bottom - 0.03 * inch, text, color=MUTED, **style)
    axes.text(0.5, bottom - 0.16 * inch, still.unit, **style)


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
