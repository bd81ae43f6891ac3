"""Monthly series of drivers and fluxes of a region: means of its towers, or area-weighted means of gridded products."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from phloem.analysis.upscaling.flux_rows import FluxRows
from phloem.errors import InputError, did_you_mean, some
from phloem.io.flux_towers.tower_months import TowerMonths
from phloem.io.flux_towers.tower_quantities import FLUXES, IGBP

Box = tuple[float, float, float, float]
"""South, north, west and east, degrees."""

REGIONS: Mapping[str, Box] = {
    "global": (-90.0, 90.0, -180.0, 180.0),
    "Europe": (34.0, 72.0, -25.0, 45.0),
    "Asia": (-10.0, 80.0, 45.0, 180.0),
    "Africa": (-35.0, 34.0, -20.0, 55.0),
    "North America": (12.0, 84.0, -170.0, -50.0),
    "South America": (-56.0, 12.0, -82.0, -34.0),
    "Oceania": (-50.0, -10.0, 110.0, 180.0),
}
"""Boxes of continents: plain rectangles of degrees, whose corners overlap a little."""

MONTHS_A_YEAR = 12


@dataclass(frozen=True, eq=False)
class DriverSeries:
    """Series of a region.

    Attributes:
        nodes: names of the columns.
        months: months since 1970-01, int64 ascending (months,).
        values: float64 (months, nodes), NaN where missing.
        region: what they are of, in words.
        places: towers or cells that they are means of.
        notes: what was dropped, in words.
    """

    nodes: tuple[str, ...]
    months: np.ndarray
    values: np.ndarray
    region: str
    places: int
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.months)

    @property
    def years(self) -> np.ndarray:
        """Calendar year of each month, int64 (months,)."""
        return 1970 + self.months // MONTHS_A_YEAR

    def columns(self, nodes: Sequence[str]) -> np.ndarray:
        """Return values of some nodes, (months, nodes).

        Raises:
            InputError: a node that is not there, has missing months or does not vary; the message names it.
        """
        absent = [name for name in nodes if name not in self.nodes]
        if absent:
            raise InputError(
                f"{self.region}: no series of {', '.join(absent)}; there are {', '.join(self.nodes)}."
                f"{did_you_mean(absent[0], self.nodes)}"
            )
        values = self.values[:, [self.nodes.index(name) for name in nodes]]
        if not len(values):
            raise InputError(f"{self.region}: no months")
        lost = (~np.isfinite(values)).sum(axis=0)
        if lost.any():
            words = [f"{name} ({count})" for name, count in zip(nodes, lost.tolist(), strict=True) if count]
            raise InputError(f"{self.region}: {len(values)} months, of which some are missing in {', '.join(words)}")
        still = [name for name, spread in zip(nodes, np.ptp(values, axis=0), strict=True) if not spread > 0]
        if still:
            raise InputError(
                f"{self.region}: {', '.join(still)} is constant over {len(values)} months; leave the node out"
            )
        return np.asarray(values)


def whole_months(series: DriverSeries, nodes: Sequence[str]) -> DriverSeries:
    """Return the months in which all nodes have a value.

    Raises:
        InputError: a node that is not there or never has a value, or no month with all of them.
    """
    absent = [name for name in nodes if name not in series.nodes]
    if absent:
        raise InputError(
            f"{series.region}: no series of {', '.join(absent)}; there are {', '.join(series.nodes)}."
            f"{did_you_mean(absent[0], series.nodes)}"
        )
    values = series.values[:, [series.nodes.index(name) for name in nodes]]
    known = np.isfinite(values)
    empty = [name for name, any_value in zip(nodes, known.any(axis=0), strict=True) if not any_value]
    if empty:
        raise InputError(f"{series.region}: {', '.join(empty)} has no value in any month; leave the node out")
    kept = known.all(axis=1)
    if not kept.any():
        counts = ", ".join(f"{name} {count}" for name, count in zip(nodes, known.sum(axis=0).tolist(), strict=True))
        raise InputError(f"{series.region}: no month in which all nodes have a value (months with one: {counts})")
    lost = int((~kept).sum())
    notes = (*series.notes, *([f"{lost} of {len(kept)} months lack a node and are left out"] if lost else []))
    return replace(series, nodes=tuple(nodes), months=series.months[kept], values=values[kept], notes=notes)


def standardise(series: DriverSeries, *, deseasonalise: bool = False) -> DriverSeries:
    """Return series of mean 0 and standard deviation 1 (ddof 0).

    Args:
        series: all finite and varying.
        deseasonalise: whether the mean of each calendar month is taken off before.

    Raises:
        InputError: a node with missing months, or that does not vary (any more); the message names it.
    """
    values = series.columns(series.nodes)
    if deseasonalise:
        season = series.months % MONTHS_A_YEAR
        means = np.zeros((MONTHS_A_YEAR, values.shape[1]))
        for number in np.unique(season).tolist():
            means[number] = values[season == number].mean(axis=0)
        scale = values.std(axis=0)
        values = values - means[season]
        still = [name for name, spread in zip(series.nodes, values.std(axis=0) / scale, strict=True) if spread < 1e-9]
        if still:
            raise InputError(f"{series.region}: {', '.join(still)} has only a season; nothing is left without it")
    values = (values - values.mean(axis=0)) / values.std(axis=0)
    return replace(series, values=values)


def tower_series(
    towers: FluxRows | TowerMonths,
    nodes: Sequence[str],
    region: str | Box = "global",
    *,
    igbp: Sequence[str] = (),
    koppen: Sequence[int] = (),
    least_towers: int = 1,
) -> DriverSeries:
    """Return the mean of a region's towers in each month, each node over the towers that have it.

    Args:
        towers: months of towers.
        nodes: names of `tower_quantities.QUANTITIES`, and NEP, which is -NEE.
        region: of `REGIONS`, or south, north, west and east.
        igbp: plant classes that count; empty: all.
        koppen: climate classes that count; empty: all.
        least_towers: towers of a mean; a month with fewer has no value.

    Raises:
        InputError: a region or node that is not known, or no tower in the region and classes.
    """
    name, box = region_box(region)
    rows = _rows_of(towers)
    inside = _inside(rows.columns["lat"], rows.columns["lon"], box)
    classes = []
    if igbp:
        unknown = [one for one in igbp if one not in IGBP]
        if unknown:
            raise InputError(f"igbp {', '.join(unknown)}: no class; they are {', '.join(IGBP)}")
        inside &= np.isin(rows.columns["igbp"], [IGBP.index(one) + 1 for one in igbp])
        classes.append(", ".join(igbp))
    if koppen:
        inside &= np.isin(rows.columns["koppen"], list(koppen))
        classes.append("climate " + ", ".join(map(str, koppen)))
    words = " of ".join([*classes, name])
    if not inside.any():
        raise InputError(f"{words}: no tower (south {box[0]:g}, north {box[1]:g}, west {box[2]:g}, east {box[3]:g})")
    months, place = np.unique(rows.month[inside], return_inverse=True)
    values = np.full((len(months), len(nodes)), np.nan)
    for number, node in enumerate(nodes):
        column = _column(rows, node)[inside]
        known = np.isfinite(column)
        count = np.bincount(place[known], minlength=len(months))
        total = np.bincount(place[known], column[known], minlength=len(months))
        values[:, number] = np.divide(
            total, count, out=np.full(len(months), np.nan), where=count >= max(1, least_towers)
        )
    return DriverSeries(tuple(nodes), months, values, words, len(np.unique(rows.site[inside])))


def gridded_series(
    fields: Iterator[tuple[int, Mapping[str, np.ndarray]]],
    nodes: Sequence[str],
    lat: np.ndarray,
    lon: np.ndarray,
    area: np.ndarray,
    region: str | Box = "global",
) -> DriverSeries:
    """Return area-weighted means of gridded products, month by month.

    A node's mean is over the cells in which every node has a value in that month, so that all nodes are of the same
    land.

    Args:
        fields: month since 1970-01, and maps by node, (rows, columns), NaN where missing; one month at a time is held.
        nodes: names of the maps.
        lat: of the rows' centres, degrees north, (rows,).
        lon: of the columns' centres, degrees east, (columns,).
        area: of the land of each cell, any unit, (rows, columns) or (rows, 1).
        region: as of `tower_series`.

    Raises:
        InputError: a region that is not known or has no cell, a month that lacks a node, stands twice or has no cell.
    """
    name, box = region_box(region)
    inside = _inside(np.asarray(lat)[:, None], np.asarray(lon)[None, :], box)
    if not inside.any():
        raise InputError(f"{name}: no cell of the grid lies in it")
    weights = np.where(inside, np.broadcast_to(area, inside.shape), 0.0)
    months, means, cells = [], [], 0
    for month, maps in fields:
        absent = [node for node in nodes if node not in maps]
        if absent:
            raise InputError(
                f"{name}: month {_month_text(month)}: no map of {', '.join(absent)}; there are {some(list(maps))}"
            )
        known = weights > 0
        for node in nodes:
            known = known & np.isfinite(maps[node])
        if not known.any():
            raise InputError(
                f"{name}: month {_month_text(month)}: no cell in which {', '.join(nodes)} all have a value"
            )
        weight = weights[known] / weights[known].sum()
        means.append([float(weight @ np.asarray(maps[node], float)[known]) for node in nodes])
        months.append(month)
        cells = max(cells, int(known.sum()))
    order = np.argsort(months, kind="stable")
    sorted_months = np.array(months, np.int64)[order]
    twice = sorted_months[:-1][np.diff(sorted_months) == 0]
    if len(twice):
        raise InputError(f"{name}: month {_month_text(int(twice[0]))} stands twice")
    values = np.array(means, float).reshape(len(months), len(nodes))[order]
    return DriverSeries(tuple(nodes), sorted_months, values, name, cells)


def region_box(region: str | Box) -> tuple[str, Box]:
    """Return a region's name and its box.

    Raises:
        InputError: a name that is not known, or a box that is none.
    """
    if isinstance(region, str):
        if region not in REGIONS:
            raise InputError(f"region {region!r}: choose of {', '.join(REGIONS)}.{did_you_mean(region, REGIONS)}")
        return region, REGIONS[region]
    south, north, west, east = region
    if not (-90.0 <= south < north <= 90.0 and west < east):
        raise InputError(f"region {region}: south, north, west and east in degrees are due")
    return f"{south:g} to {north:g} N, {west:g} to {east:g} E", (south, north, west, east)


def _inside(lat: np.ndarray, lon: np.ndarray, box: Box) -> np.ndarray:
    south, north, west, east = box
    around = np.mod(np.asarray(lon, float) - west, 360.0)
    return np.asarray((lat >= south) & (lat <= north) & (around <= east - west))


def _rows_of(towers: FluxRows | TowerMonths) -> FluxRows:
    """Return a table of towers as rows, one a tower and month."""
    if isinstance(towers, FluxRows):
        return towers
    sites, months = len(towers.sites), len(towers.months)
    columns = {name: np.asarray(values, float).reshape(-1) for name, values in towers.values.items()}
    columns |= {name: np.repeat(np.asarray(values, float), months) for name, values in towers.of_site.items()}
    numbers = [IGBP.index(one) + 1 if one in IGBP else np.nan for one in towers.igbp]
    columns["igbp"] = np.repeat(np.array(numbers, float), months)
    columns["month"] = np.tile(towers.months.astype("datetime64[M]").astype(float), sites)
    observed = {key: columns[name] for key, name in FLUXES.items() if name in columns}
    return FluxRows(towers.sites, np.repeat(np.arange(sites), months), columns, observed)


def _column(rows: FluxRows, node: str) -> np.ndarray:
    """Return the values of a node: of fluxes those that count."""
    if node == "NEP":
        return -_column(rows, "NEE")
    for key, name in FLUXES.items():
        if node == name and key in rows.observed:
            return np.asarray(rows.observed[key], float)
    if node not in rows.columns:
        there = [*rows.columns, *(FLUXES[key] for key in rows.observed)]
        raise InputError(
            f"node {node}: no column of the towers; there are {', '.join(there)}.{did_you_mean(node, there)}"
        )
    return np.asarray(rows.columns[node], float)


def _month_text(month: int) -> str:
    return str(np.datetime64(month, "M"))
