"""Quality control of tower months: stated rules, and how many months each drops at each tower.

The shares of measured half-hours are the table's own (`NEE_QC`, `LE_QC`); nothing is counted a second time here. A
month that lacks some of its half-hours is missing in the table already.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from phloem.errors import InputError, some
from phloem.io.flux_towers.tower_months import TowerMonths
from phloem.io.flux_towers.tower_quantities import FLUXES, IGBP, OF_SITE, QUANTITIES

PARTITIONINGS = ("night", "day")
"""GPP and RECO by the night-time or by the day-time method."""

BOUNDS = MappingProxyType({
    "GPP": (-5.0, 40.0), "RECO": (-5.0, 40.0), "NEE": (-40.0, 40.0), "LE": (-50.0, 400.0), "TA": (-70.0, 50.0),
    "TS": (-50.0, 60.0), "VPD": (0.0, 100.0), "VPD_DAY": (0.0, 120.0), "SWIN": (0.0, 500.0), "LWIN": (50.0, 600.0),
    "RNET": (-150.0, 400.0), "G": (-150.0, 150.0), "P": (0.0, 100.0), "PA": (400.0, 1100.0), "CO2": (250.0, 600.0),
    "WS": (0.0, 40.0), "SWC": (0.0, 100.0), "LAI": (0.0, 15.0), "NDVI": (-1.0, 1.0), "NIRv": (-1.0, 1.0),
    "FAPAR": (0.0, 1.0),
})  # fmt: skip
"""Lowest and highest monthly mean that there can be, in the unit of the quantity; beyond them a value is an error of
unit or instrument. GPP and RECO may be below 0 by the noise of partitioning: 9 % of tower months have such a GPP."""

LEAST_SPREAD = MappingProxyType({"gpp": 0.25, "reco": 0.25, "nee": 0.25, "le": 5.0})
"""Smallest standard deviation between years that an outlier is measured by, in the unit of the flux."""

LEAST_BALANCE = 20.0
"""W m-2; where less energy is available, the ratio that closes the balance says nothing."""

_MAD = 1.4826
"""Standard deviation of a normal distribution whose median absolute deviation is 1."""

_NOT_DRIVERS = {*FLUXES.values(), "GPP_DT", "RECO_DT", "LE_CORR", "H"}


@dataclass(frozen=True)
class QualityRules:
    """What a month of a tower must be to count.

    Attributes:
        carbon_share: least share of half-hours of NEE measured or filled with good quality, for gpp, reco and nee.
        heat_share: the same of LE.
        carbon_unknown: whether carbon fluxes of months count whose share is not known.
        heat_unknown: whether LE of months counts whose share is not known.
        partitioning: of `PARTITIONINGS`.
        corrected_heat: whether LE is the one corrected for the energy balance (`LE_CORR`).
        closure: lowest and highest (LE + H) / (RNET - G) of a month whose LE counts, where all four are known; None: no
            such rule.
        outlier: a flux further from the median of its tower and calendar month than so many robust standard deviations
            is dropped; 0: none is.
        outlier_years: values that the median needs.
        needed: drivers without which a month has no row.
        bounds: whether impossible values (`BOUNDS`) are dropped.
    """

    carbon_share: float = 0.8
    heat_share: float = 0.8
    carbon_unknown: bool = False
    heat_unknown: bool = True
    partitioning: str = "night"
    corrected_heat: bool = False
    closure: tuple[float, float] | None = None
    outlier: float = 8.0
    outlier_years: int = 5
    needed: tuple[str, ...] = ("TA", "SWIN")
    bounds: bool = True

    def __post_init__(self) -> None:
        if self.partitioning not in PARTITIONINGS:
            raise InputError(f"partitioning = {self.partitioning!r}; the choices are {', '.join(PARTITIONINGS)}")
        for name in ("carbon_share", "heat_share"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise InputError(f"{name} = {getattr(self, name)}: a share from 0 to 1 is due")
        if self.closure is not None and not self.closure[0] < self.closure[1]:
            raise InputError(f"closure = {list(self.closure)}: the lowest and then the highest ratio are due")
        if not self.outlier >= 0.0 or self.outlier_years < 3:
            raise InputError("outlier: 0 or more; outlier_years: 3 or more")
        if wrong := [name for name in self.needed if name not in QUANTITIES or name in _NOT_DRIVERS]:
            raise InputError(f"needed: {some(wrong)}: no driver of a tower table")

    def sources(self) -> dict[str, str]:
        """Return which column of the table is each flux."""
        night = self.partitioning == "night"
        return {
            "gpp": "GPP" if night else "GPP_DT",
            "reco": "RECO" if night else "RECO_DT",
            "nee": "NEE",
            "le": "LE_CORR" if self.corrected_heat else "LE",
        }


@dataclass(frozen=True, eq=False)
class DroppedMonths:
    """Months that one rule drops, of those that the rules before it left.

    Attributes:
        rule: in words.
        of: flux or driver.
        by_site: int64 (sites,).
    """

    rule: str
    of: str
    by_site: np.ndarray


@dataclass(frozen=True, eq=False)
class DriverMonths:
    """Months of the towers that count, with or without a flux, as maps have them: what climate is told from.

    Attributes:
        site: position of each month's tower, int64 (months,).
        columns: as of `GoodMonths`, (months,).
        counted: position among these of each row of `GoodMonths`, int64 (rows,).
    """

    site: np.ndarray
    columns: Mapping[str, np.ndarray]
    counted: np.ndarray


@dataclass(frozen=True, eq=False)
class GoodMonths:
    """Months of towers that count, one row each, by tower and then by month.

    Attributes:
        sites: names of all towers of the table.
        site: position in `sites` of each row, int64 (rows,).
        columns: drivers by the names of `tower_quantities`, and `igbp` (number from 1) and `month` (since 1970-01),
            float64 (rows,), NaN where missing or impossible.
        observed: by the names in `tower_quantities.FLUXES`, float64 (rows,), NaN where missing or not good enough.
        offered: months of each flux in the table, by flux, int64 (sites,).
        dropped: by rule and flux, in the order of the rules.
        notes: what was seen, in words.
        around: all months of the towers that have a row, with any driver.
    """

    sites: tuple[str, ...]
    site: np.ndarray
    columns: Mapping[str, np.ndarray]
    observed: Mapping[str, np.ndarray]
    offered: Mapping[str, np.ndarray]
    dropped: tuple[DroppedMonths, ...]
    notes: tuple[str, ...]
    around: DriverMonths

    def kept(self, flux: str) -> np.ndarray:
        """Return months of a flux that count, int64 (sites,)."""
        there = np.isfinite(self.observed[flux])
        return np.bincount(self.site[there], minlength=len(self.sites))

    def lines(self, fluxes: Sequence[str] = ()) -> list[str]:
        """Say what is kept of each flux, and what each rule drops.

        Args:
            fluxes: of which it is said; none: of all.
        """
        said = []
        for flux, offered in self.offered.items():
            if fluxes and flux not in fluxes:
                continue
            kept = self.kept(flux)
            towers = f"{int((kept > 0).sum())} of {int((offered > 0).sum())} towers"
            said.append(f"{flux}: {int(kept.sum()):,} of {int(offered.sum()):,} months of {towers}")
            said += [f"  {text}" for text in map(_in_words, self.dropped) if text and text.startswith(f"{flux}: ")]
            lost = [self.sites[n] for n in np.flatnonzero((offered > 0) & (kept == 0))]
            said += [f"  {flux}: no month counts at {some(lost)}"] if lost else []
        rest = [text for one, text in zip(self.dropped, map(_in_words, self.dropped), strict=True)
                if text and one.of not in self.offered]  # fmt: skip
        return [*said, *rest, *self.notes]


def _in_words(dropped: DroppedMonths) -> str:
    count = int(dropped.by_site.sum())
    return f"{dropped.of}: {count:,} of {int((dropped.by_site > 0).sum())} towers: {dropped.rule}" if count else ""


def flux_rows(months: TowerMonths, rules: QualityRules | None = None) -> GoodMonths:
    """Return the months of towers that count.

    Args:
        months: the table.
        rules: what counts; None: the usual rules, of which those on shares are what the public table recommends.

    Raises:
        InputError: the table has no flux that the rules ask for, or no month that counts; or its NEE counts the other
            way than GPP and RECO say.
    """
    rules = rules or QualityRules()
    control = _Control(months, rules)
    observed = {flux: control.flux(flux, name) for flux, name in rules.sources().items() if name in months.values}
    if not observed:
        raise InputError(f"no flux: the table has none of {', '.join(rules.sources().values())}")
    _refuse_turned_sign(observed)
    drivers = {name: control.within(name, values) for name, values in months.values.items() if is_driver(name)}
    for name in rules.needed:
        there = np.isfinite(drivers[name]) if name in drivers else np.zeros(control.shape, bool)
        for flux in observed:
            observed[flux] = control.drop(f"{name} is not known", flux, observed[flux], ~there)
    keep = np.logical_or.reduce([np.isfinite(values) for values in observed.values()])
    if not keep.any():
        counts = "; ".join(filter(None, map(_in_words, control.dropped)))
        raise InputError(f"no month of any tower counts: {counts or 'the table has no value of any flux'}")
    any_driver = np.logical_or.reduce([np.isfinite(values) for values in drivers.values()], initial=False)
    known = keep | (any_driver & keep.any(1)[:, None])
    around = DriverMonths(
        np.nonzero(known)[0].astype(np.int64), _columns(months, drivers, known), np.flatnonzero(keep[known])
    )
    return GoodMonths(
        sites=months.sites,
        site=around.site[around.counted],
        columns={name: values[around.counted] for name, values in around.columns.items()},
        observed={flux: values[keep] for flux, values in observed.items()},
        offered=control.offered,
        dropped=tuple(control.dropped),
        notes=months.notes,
        around=around,
    )


def _columns(months: TowerMonths, drivers: Mapping[str, np.ndarray], there: np.ndarray) -> dict[str, np.ndarray]:
    """Return drivers, traits of places, class and month of chosen months, by tower and then by month."""
    site, month = np.nonzero(there)
    classes = np.array([IGBP.index(text) + 1.0 if text in IGBP else np.nan for text in months.igbp])
    columns = {name: _as_stored(values)[there] for name, values in drivers.items()}
    columns |= {name: _as_stored(values)[site] for name, values in months.of_site.items() if name in OF_SITE}
    columns["igbp"] = classes[site]
    columns["month"] = months.months.astype("datetime64[M]").astype(np.int64)[month].astype(float)
    return columns


def _refuse_turned_sign(observed: Mapping[str, np.ndarray]) -> None:
    """Refuse NEE that is nearer to GPP - RECO than to RECO - GPP."""
    if not {"gpp", "reco", "nee"} <= observed.keys():
        return
    balance, nee = observed["reco"] - observed["gpp"], observed["nee"]
    as_due, turned = (float(np.nansum(np.abs(nee - sign * balance))) for sign in (1.0, -1.0))
    if turned < 0.5 * as_due:
        raise InputError(
            "variable NEE: it is GPP - RECO in this table, carbon that is taken up counts as positive; due is the "
            "exchange positive to the atmosphere: say variables.NEE = { sign = -1 }"
        )


def is_driver(name: str) -> bool:
    """Return whether a quantity may be an input of a model: no flux, nothing made of one, and no share of good data."""
    return name not in _NOT_DRIVERS and not name.endswith("_QC")


def _as_stored(values: np.ndarray) -> np.ndarray:
    """Return values as files of drivers hold them, float64 of single precision.

    Thresholds of trees lie on values of the towers: a last bit more or less would send the same month another way when
    models are applied to it from a file.
    """
    return np.asarray(values, np.float32).astype(np.float64)


class _Control:
    """Rules applied one after another, and what each drops."""

    def __init__(self, months: TowerMonths, rules: QualityRules) -> None:
        self.months, self.rules = months, rules
        self.shape = (len(months.sites), len(months.months))
        self.dropped: list[DroppedMonths] = []
        self.offered: dict[str, np.ndarray] = {}

    def drop(self, rule: str, of: str, values: np.ndarray, wrong: np.ndarray) -> np.ndarray:
        """Return values without those that a rule drops, which are counted."""
        wrong = wrong & np.isfinite(values)
        self.dropped.append(DroppedMonths(rule, of, wrong.sum(1).astype(np.int64)))
        return np.where(wrong, np.nan, values)

    def within(self, name: str, values: np.ndarray, of: str = "") -> np.ndarray:
        """Return values without impossible ones."""
        if not self.rules.bounds or name not in BOUNDS:
            return values
        low, high = BOUNDS[name]
        rule = f"outside {low:g} to {high:g} {QUANTITIES[name].unit}"
        return self.drop(rule, of or name, values, (values < low) | (values > high))

    def flux(self, flux: str, name: str) -> np.ndarray:
        """Return a flux where it counts."""
        rules, table = self.rules, self.months.values
        values = table[name]
        self.offered[flux] = np.isfinite(values).sum(1).astype(np.int64)
        heat = flux == "le"
        quality = "LE_QC" if heat else "NEE_QC"
        least, unknown = (rules.heat_share, rules.heat_unknown) if heat else (rules.carbon_share, rules.carbon_unknown)
        share = table.get(quality, np.full(self.shape, np.nan))
        if not unknown:
            values = self.drop(f"{quality} is not known", flux, values, np.isnan(share))
        values = self.drop(f"{quality} below {least:g}", flux, values, share < least)
        if heat and rules.closure is not None:
            low, high = rules.closure
            ratio = self._closure(name)
            rule = f"energy balance closed to less than {low:g} or more than {high:g}"
            values = self.drop(rule, flux, values, (ratio < low) | (ratio > high))
        values = self.within(FLUXES[flux], values, flux)
        if not rules.outlier:
            return values
        rule = (
            f"further than {rules.outlier:g} robust standard deviations from the median of its calendar month "
            f"({rules.outlier_years} years or more)"
        )
        return self.drop(rule, flux, values, self._outliers(values, LEAST_SPREAD[flux]))

    def _closure(self, name: str) -> np.ndarray:
        """Return (LE + H) / (RNET - G), NaN where one of them is missing or little energy is available."""
        nothing = np.full(self.shape, np.nan)
        heat, sensible, net, ground = (self.months.values.get(key, nothing) for key in (name, "H", "RNET", "G"))
        available = net - ground
        enough = np.abs(available) >= LEAST_BALANCE
        return np.divide(heat + sensible, available, out=nothing, where=enough)

    def _outliers(self, values: np.ndarray, least_spread: float) -> np.ndarray:
        """Return which values are far from the others of their tower and calendar month."""
        wrong = np.zeros(self.shape, bool)
        calendar = self.months.months.astype("datetime64[M]").astype(np.int64) % 12
        for month in range(12):
            part = values[:, calendar == month]
            count = np.isfinite(part).sum(1, keepdims=True)
            some_there = count[:, 0] > 0
            if not some_there.any():
                continue
            median = np.full((len(part), 1), np.nan)
            median[some_there] = np.nanmedian(part[some_there], axis=1, keepdims=True)
            distance = np.abs(part - median)
            spread = np.full((len(part), 1), np.nan)
            spread[some_there] = np.nanmedian(distance[some_there], axis=1, keepdims=True)
            limit = self.rules.outlier * np.maximum(_MAD * spread, least_spread)
            wrong[:, calendar == month] = (distance > limit) & (count >= self.rules.outlier_years)
        return wrong
