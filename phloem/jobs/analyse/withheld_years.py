"""Withheld observations against the good members' simulations: validation years, and monthly series of other files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from phloem.analysis.benchmark.pairs import Pairs
from phloem.analysis.benchmark.skill_scores import mass_balance, stock_closure
from phloem.io.merge.member_statistics import nanmedian
from phloem.io.references.monthly_series import MonthlyValues
from phloem.jobs.analyse.member_runs import Run, late_runs
from phloem.jobs.calibration.merged_members import Members

SEASONS = ("DJF", "MAM", "JJA", "SON")
MAX_SCORED_SITES = 200
"""Cells up to which scores are given for each of them."""

_CARBON = ("labile", "foliar", "root", "wood", "litter", "som")
BALANCED = ("gpp", "reco", "nee", "ra", "rh_litter", "rh_som", *_CARBON)
"""Daily outputs that tell whether a run conserves carbon, where a model has all of them."""

_MONTHLY = 15
"""Days of a window from which on it is monthly already."""


@dataclass
class _Rows:
    """Pairs of one comparison while cells come in."""

    cell: list[np.ndarray] = field(default_factory=list)
    reference: list[np.ndarray] = field(default_factory=list)
    members: list[np.ndarray] = field(default_factory=list)
    year: list[np.ndarray] = field(default_factory=list)
    month: list[np.ndarray] = field(default_factory=list)
    date: list[np.ndarray] = field(default_factory=list)

    def add(
        self, place: int, reference: np.ndarray, members: np.ndarray, year: np.ndarray, month: np.ndarray,
        day: np.ndarray | None = None,
    ) -> None:  # fmt: skip
        """Take the pairs of a cell; a day of the month is that of the pair, or the last of its window."""
        if not len(reference):
            return
        self.cell.append(np.full(len(reference), place))
        self.reference.append(np.asarray(reference, float))
        self.members.append(np.asarray(members, np.float32))
        self.year.append(year)
        self.month.append(month)
        months = np.char.add(np.char.add(year.astype(str), "-"), np.char.zfill(month.astype(str), 2))
        ends = "" if day is None else np.char.add("-", np.char.zfill(day.astype(str), 2))
        self.date.append(np.char.add(months, ends))

    def concatenated(self, name: str, width: int) -> np.ndarray:
        """Return one array of a list."""
        parts = getattr(self, name)
        if not parts:
            return np.zeros((0, width) if name == "members" else 0)
        return np.concatenate(parts)


@dataclass(frozen=True)
class MonthlyReference:
    """A monthly reference of another file.

    Attributes:
        slug, name, quantity: of the comparison.
        source: file name.
        values: at the cells of the members.
        notes: what the reader must know.
    """

    slug: str
    name: str
    quantity: str
    source: str
    values: MonthlyValues
    notes: tuple[str, ...] = ()


def compare_runs(
    members: Members,
    places: Sequence[int],
    streams: Sequence[str],
    series: Sequence[MonthlyReference],
    strata: Mapping[str, np.ndarray],
    notes: Sequence[str],
    label: str = "withheld",
) -> list[Pairs]:
    """Simulate cells and compare.

    Args:
        members: of a campaign.
        places: of the cells to simulate.
        streams: those whose validation years are compared; none: only the series.
        series: further references.
        strata: labels of the cells by name, (cells,).
        notes: for all comparisons.
        label: end of the slugs.

    Returns:
        For each stream one comparison as observed (`gpp-withheld`) and one of means of months
        (`gpp-withheld-monthly`); for each series one of months.
    """
    years = [int(one.values.months.astype("datetime64[Y]").astype(int)[0]) + 1970 for one in series]
    rows_by_stream: dict[str, _Rows] = {f"{name}-{label}": _Rows() for name in streams}
    rows_by_stream |= {f"{name}-{label}-monthly": _Rows() for name in streams}
    rows_by_stream |= {one.slug: _Rows() for one in series}
    tables = members.tables
    outputs = {*(one.name for one in tables.fluxes), *tables.pool_names}
    balance = _Balance(members) if outputs.issuperset(BALANCED) else None
    fields = tuple(dict.fromkeys([*(one.name for one in tables.compared), *(BALANCED if balance else ())]))
    covers: dict[int, str] = {}
    windowed: tuple[str, ...] = ()
    for run in late_runs(members, places, fields, min(years, default=None), bool(streams)):
        month = run.month
        for name in streams:
            _observed(run, name, month, rows_by_stream[f"{name}-{label}"], rows_by_stream[f"{name}-{label}-monthly"])
        for reference in series:
            _months(run, reference, month, rows_by_stream[reference.slug])
        if balance:
            balance.add(run)
        windowed = run.windowed or windowed
        if cover := dominant(run.statics):
            covers[run.place] = cover
    named = {name: np.asarray(labels, object) for name, labels in strata.items()}
    if covers and "pft" not in named:
        named["pft"] = np.array([covers.get(n, "none") for n in range(len(members.cells))], object)
    if len(places) <= MAX_SCORED_SITES:
        named["site"] = np.array(members.cells, object)
    extra = {"balance": balance.result() if balance else {}}
    pairs = []
    for name in streams:
        for slug, scale in ((f"{name}-{label}", ""), (f"{name}-{label}-monthly", "means of months")):
            rows = rows_by_stream[slug]
            if scale and not rows.cell:
                continue
            how = scale or ("means over windows" if _is_mean(name, windowed) else "days")
            title = f"withheld {name.upper()}, {how}"
            facts = {"kind": "withheld", "source": "validation years", "regrid": "cells", "name": title}
            pairs.append(_pairs(members, slug, name, rows, named, notes, extra, facts))
    for reference in series:
        facts = {
            "kind": "series",
            "source": reference.source,
            "regrid": reference.values.regrid,
            "name": reference.name,
        }
        pairs.append(
            _pairs(
                members,
                reference.slug,
                reference.quantity,
                rows_by_stream[reference.slug],
                named,
                (*notes, *reference.notes),
                extra,
                facts,
            )
        )
    return pairs


def _pairs(
    members: Members, slug: str, name: str, rows: _Rows, strata: Mapping[str, np.ndarray], notes: Sequence[str],
    extra: Mapping[str, Any], facts: Mapping[str, Any],
) -> Pairs:  # fmt: skip
    width = members.good.shape[1]
    cell, month = rows.concatenated("cell", width).astype(int), rows.concatenated("month", width).astype(int)
    values = rows.concatenated("members", width)
    year = rows.concatenated("year", width).astype(int)
    labels = {"season": np.array(SEASONS, object)[month % 12 // 3], "year": year}
    labels |= {key: each[cell] for key, each in strata.items()}
    return Pairs(
        slug=slug,
        quantity=name,
        units=members.tables.compared_output(name).unit,
        long_name=members.tables.compared_output(name).meaning,
        cells=members.cells,
        latitude=members.latitude,
        longitude=members.longitude,
        cell=cell,
        reference=rows.concatenated("reference", width),
        simulated=nanmedian(values, 1) if len(values) else np.zeros(0),
        members=values,
        area=members.area,
        strata=labels,
        year=year,
        date=rows.concatenated("date", width).astype(str),
        notes=tuple(notes),
        refused="" if len(cell) else f"no {name} in the years that no calibration saw",
        experiment=members.name,
        extra=extra,
        **facts,
    )


def _reference(run: Run, name: str) -> np.ndarray:
    """Observations of a stream by day; of NEE, RECO - GPP where both are of the same days or windows."""
    if name != "nee":
        return run.reference[name]
    if ("gpp" in run.windowed) != ("reco" in run.windowed):
        return np.full(len(run.year), np.nan)
    return run.reference["reco"] - run.reference["gpp"]


def _is_mean(name: str, windowed: Sequence[str]) -> bool:
    """Whether a stream is compared as means over windows."""
    return (name if name != "nee" else "reco") in windowed


def _observed(run: Run, name: str, month: np.ndarray, rows: _Rows, monthly: _Rows) -> None:
    """Add a cell's observations and what the members simulated on their days or windows."""
    reference = _reference(run, name)
    seen = np.flatnonzero(np.isfinite(reference))
    if not len(seen):
        return
    simulated = run.simulated[name]
    if _is_mean(name, run.windowed):
        begins = np.flatnonzero(np.diff(run.window, prepend=run.window[0] - 1))
        lengths = np.diff(np.append(begins, len(run.window)))
        means = np.add.reduceat(simulated, begins, axis=1, dtype=np.float64) / lengths
        simulated = means[:, run.window - run.window[0]]
        monthly_already = float(np.median(lengths)) > _MONTHLY
    else:
        monthly_already = False
    values, year, number = simulated[:, seen], run.year[seen], month[seen]
    rows.add(run.place, reference[seen], values.T, year, number, run.day_of_month[seen])
    if monthly_already:
        return
    months, owner = np.unique(12 * year + number - 1, return_inverse=True)
    count = np.bincount(owner)
    kept = count >= 0.5 * count.max()
    means = _grouped(values, owner, count)
    monthly.add(
        run.place, (np.bincount(owner, reference[seen]) / count)[kept], means[:, kept].T, months[kept] // 12,
        months[kept] % 12 + 1,
    )  # fmt: skip


def _grouped(values: np.ndarray, owner: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Means of groups of columns, float64 (members, groups)."""
    return np.stack([np.bincount(owner, row, minlength=len(count)) / count for row in np.asarray(values, float)])


def _months(run: Run, series: MonthlyReference, month: np.ndarray, rows: _Rows) -> None:
    """Add a cell's months of a reference and the members' means over all their days."""
    days = np.flatnonzero(run.last)
    months, owner = np.unique(12 * (run.year[days] - 1970) + month[days] - 1, return_inverse=True)
    count = np.bincount(owner)
    full = count >= 28
    simulated = _grouped(run.simulated[series.quantity][:, days], owner, count)
    _, here, there = np.intersect1d(months[full], series.values.months.astype(int), return_indices=True)
    chosen = np.flatnonzero(full)[here]
    reference = series.values.values[run.place, there]
    seen = np.isfinite(reference)
    stamps = months[chosen][seen]
    rows.add(run.place, reference[seen], simulated[:, chosen][:, seen].T, stamps // 12 + 1970, stamps % 12 + 1)


def dominant(statics: Mapping[str, float]) -> str:
    """Return the cover with the largest share of a cell, among pft_... and igbp_... numbers; empty where none."""
    shares = {
        name: value
        for name, value in statics.items()
        if name.startswith(("pft_", "igbp_")) and np.isfinite(value) and 0 <= value <= 1
    }
    if len(shares) < 2 or max(shares.values()) <= 0:
        return ""
    return max(shares, key=shares.__getitem__).partition("_")[2]


class _Balance:
    """Carbon balance of the runs: fluxes by the identities, and NEP against the change of the stocks by year."""

    def __init__(self, members: Members) -> None:
        self.members = members
        self.places: list[int] = []
        self.sums: dict[str, list[float]] = {}
        self.years: list[tuple[np.ndarray, np.ndarray]] = []

    def add(self, run: Run) -> None:
        """Take the first good member of a cell."""
        lanes = np.flatnonzero(self.members.good[run.place])
        if not len(lanes):
            return
        fluxes = {name: np.asarray(values[lanes[0]], float) for name, values in run.simulated.items()}
        fluxes |= {
            "rh": fluxes["rh_litter"] + fluxes["rh_som"],
            "npp": fluxes["gpp"] - fluxes["ra"],
            "nep": fluxes["gpp"] - fluxes["reco"],
        }
        self.places.append(run.place)
        for key in ("gpp", "reco", "nee", "ra", "rh", "npp", "nep"):
            self.sums.setdefault(key, []).append(float(fluxes[key].mean()))
        stock = np.sum([fluxes[name] for name in _CARBON], axis=0)
        ends = np.append(np.flatnonzero(np.diff(run.year)), len(run.year) - 1)
        if len(ends) > 1:
            total = np.cumsum(fluxes["nep"])
            self.years.append((np.diff(total[ends]), stock[ends]))

    def result(self) -> dict[str, Any]:
        """Return the residuals, as of `metrics.mass_balance` over the cells' means, and the closure of the stocks."""
        if not self.places:
            return {}
        weighs = self.members.area is not None
        area = self.members.area[self.places] if self.members.area is not None else np.ones(len(self.places))
        balance: dict[str, Any] = dict(
            mass_balance({key: np.array(values)[:, None] for key, values in self.sums.items()}, area)
        )
        if len({len(nep) for nep, _ in self.years}) == 1 and len(self.years) == len(self.places):
            nep, stocks = (np.stack([one[n] for one in self.years]) for n in (0, 1))
            balance["sum of nep - change of stocks"] = stock_closure(nep, stocks, area)
        for residual in balance.values() if not weighs else ():
            del residual["residual"]  # it is of areas
        return balance


def even_draw(count: int, most: int) -> np.ndarray:
    """Return at most so many places of `count`, evenly spread."""
    if count <= most:
        return np.arange(count)
    return np.unique(np.linspace(0, count - 1, most).round().astype(int))
