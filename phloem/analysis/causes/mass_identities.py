"""Whether a product's carbon adds up: residuals of five identities, and NEP against the change of stocks.

Global residuals are weighted by area and true month lengths, in PgC yr-1; maps hold each cell's root mean square.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from phloem.analysis.benchmark.skill_scores import IDENTITIES, PETAGRAM, finite
from phloem.errors import InputError
from phloem.io.references.flux_fields import BAND_BYTES, FluxFields

StocksAt = Literal["year_end", "annual_mean"]
"""When annual stocks are of: 31 December, or the mean of the year. Of monthly stocks December's step ends a year."""

MONTHS_A_YEAR = 12


@dataclass(frozen=True, eq=False)
class IdentityResidual:
    """How far an identity is from holding.

    Attributes:
        residual: of all cells together, PgC yr-1.
        absolute: likewise of its absolute value, month by month: what does not cancel.
        rmse: root mean square over the months of each cell, gC m-2 d-1, (rows, columns), NaN where nothing is known.
    """

    residual: float
    absolute: float
    rmse: np.ndarray

    def to_json(self) -> dict[str, float | int | None]:
        """Return residuals, and median and largest of the cells' root mean squares."""
        return {
            "residual": finite(self.residual),
            "absolute": finite(self.absolute),
            "rmse": finite(_of_known(np.median, self.rmse)),
            "worst": finite(_of_known(np.max, self.rmse)),
            "cells": int(np.isfinite(self.rmse).sum()),
        }


@dataclass(frozen=True, eq=False)
class StockClosure:
    """NEP of years against the change of stocks; fires and land use are in neither.

    Attributes:
        years: compared, int64 (years,).
        nep, change: of all cells together, PgC yr-1, (years,).
        rmse: root mean square over years of each cell's difference, gC m-2 yr-1, (rows, columns).
        mean: multi-year mean of NEP less change of each cell, gC m-2 yr-1, (rows, columns).
        stocks: that were added.
        stocks_at: when annual stocks are of.
    """

    years: np.ndarray
    nep: np.ndarray
    change: np.ndarray
    rmse: np.ndarray
    mean: np.ndarray
    stocks: tuple[str, ...]
    stocks_at: StocksAt

    @property
    def imbalance(self) -> float:
        """Multi-year mean of NEP less change of stocks, PgC yr-1."""
        return float((self.nep - self.change).mean())

    def to_json(self) -> dict[str, Any]:
        """Return years, totals and the mean imbalance."""
        return {
            "imbalance": finite(self.imbalance),
            "years": self.years.tolist(),
            "nep": [finite(value) for value in self.nep.tolist()],
            "change": [finite(value) for value in self.change.tolist()],
            "rmse": finite(_of_known(np.median, self.rmse)),
            "worst": finite(_of_known(np.max, self.rmse)),
            "stocks": list(self.stocks),
            "stocks_at": self.stocks_at,
        }


@dataclass(frozen=True, eq=False)
class MassCheck:
    """What was found of a product.

    Attributes:
        identities: by the names in `skill_scores.IDENTITIES`.
        closure: None without NEP, stocks or whole years.
        left_out: what could not be checked, and why, in words.
        latitude, longitude: of rows and columns, degrees.
    """

    identities: dict[str, IdentityResidual]
    closure: StockClosure | None
    left_out: tuple[str, ...]
    latitude: np.ndarray
    longitude: np.ndarray

    def to_json(self) -> dict[str, Any]:
        """Return what mass.json holds."""
        return {
            "identities": {name: one.to_json() for name, one in self.identities.items()},
            "stock_closure": None if self.closure is None else self.closure.to_json(),
            "left_out": list(self.left_out),
        }


@dataclass
class _Sums:
    """Sums over the bands done so far."""

    residual: float = 0.0
    absolute: float = 0.0
    rmse: list[np.ndarray] = field(default_factory=list)


def check_mass(
    fields: FluxFields,
    land_fraction: np.ndarray | None = None,
    stocks_at: StocksAt = "year_end",
    band_bytes: int = BAND_BYTES,
) -> MassCheck:
    """Check a product band by band.

    A cell's mean over the months that it has stands for all months; a cell without any counts nowhere.

    Args:
        fields: fluxes, and stocks if there are any.
        land_fraction: of the cells, (rows, columns) as the file orders them; by default all of each cell counts.
        stocks_at: when annual stocks are of.
        band_bytes: of a band of rows.

    Raises:
        InputError: a land fraction of another shape, or no identity whose fluxes are there and no stock closure.
    """
    shape = fields.grid.latitude.length, fields.grid.longitude.length
    share = np.ones(shape) if land_fraction is None else np.asarray(land_fraction, float)
    if share.shape != shape:
        raise InputError(f"land_fraction: shape {share.shape}; the fields have {shape}")
    area = np.where(np.isfinite(share), share, 0.0) * fields.area[:, None]
    there = set(fields.fluxes)
    checked = {name: terms for name, terms in IDENTITIES.items() if set(terms) <= there}
    left_out = [
        f"{name}: no {', '.join(flux for flux in terms if flux not in there)}"
        for name, terms in IDENTITIES.items()
        if name not in checked
    ]
    years = closure_years(fields.months, fields.stock_months, stocks_at)
    why = _no_closure(fields, years)
    if why:
        left_out.append(f"stock closure: {why}")
    if not checked and why:
        path = next(iter(fields.series.values())).paths[0]
        raise InputError(f"{path}: nothing to check: {'; '.join(left_out)}")
    sums = {name: _Sums() for name in checked}
    rests, totals = [], np.zeros((2, len(years)))
    for rows, values in fields.bands(band_bytes):
        for name, terms in checked.items():
            rest = np.zeros_like(values[next(iter(terms))])
            for flux, sign in terms.items():
                rest += sign * values[flux]
            _add(sums[name], rest, fields.days, area[rows])
        if not why:
            nep, change = _yearly(values, fields, years, stocks_at)
            known = np.isfinite(nep) & np.isfinite(change)
            for place, part in enumerate((nep, change)):
                totals[place] += (np.where(known, part, 0.0) * area[rows]).sum(axis=(1, 2)) / PETAGRAM
            rests.append(nep - change)
    identities = {
        name: IdentityResidual(one.residual, one.absolute, np.concatenate(one.rmse)) for name, one in sums.items()
    }
    closure = None
    if not why:
        rest = np.concatenate(rests, axis=1)
        maps = _mean_over(rest**2) ** 0.5, _mean_over(rest)
        closure = StockClosure(years, totals[0], totals[1], *maps, fields.stocks, stocks_at)
    grid = fields.grid
    return MassCheck(identities, closure, tuple(left_out), grid.latitude.centres, grid.longitude.centres)


def closure_years(months: np.ndarray, stock_months: np.ndarray, stocks_at: StocksAt) -> np.ndarray:
    """Return the years of whole fluxes whose change of stocks is known, int64 (years,).

    Args:
        months: of the fluxes, since 1970-01.
        stock_months: of the stocks.
        stocks_at: `year_end` needs the stocks at the ends of a year and of the one before; `annual_mean` those of the
            years before and after, half of whose difference is the change.
    """
    year, count = np.unique(1970 + months // MONTHS_A_YEAR, return_counts=True)
    whole = year[count == MONTHS_A_YEAR]
    held = np.array(sorted(_stock_steps(stock_months)), np.int64)
    near = (-1, 0) if stocks_at == "year_end" else (-1, 1)
    return np.asarray([one for one in whole.tolist() if all(one + way in held for way in near)], np.int64)


def _stock_steps(stock_months: np.ndarray) -> dict[int, int]:
    """Return the step of the stocks that stands for each year: its only one, else December's."""
    years = 1970 + stock_months // MONTHS_A_YEAR
    single = len(np.unique(years)) == len(years)
    return {
        int(year): step
        for step, (year, month) in enumerate(zip(years, stock_months % MONTHS_A_YEAR, strict=True))
        if single or month == MONTHS_A_YEAR - 1
    }


def _no_closure(fields: FluxFields, years: np.ndarray) -> str:
    if not fields.stocks:
        return "no stocks"
    if "nep" not in fields.fluxes and "nee" not in fields.fluxes:
        return "neither nep nor nee"
    return "" if len(years) else "no whole year of fluxes whose change of stocks is known"


def _yearly(
    values: Mapping[str, np.ndarray], fields: FluxFields, years: np.ndarray, stocks_at: StocksAt
) -> tuple[np.ndarray, np.ndarray]:
    """Return NEP and change of stocks, gC m-2 yr-1, (years, rows, columns)."""
    nep = values["nep"] if "nep" in values else -values["nee"]
    stock = np.sum([values[name] for name in fields.stocks], axis=0)
    steps = _stock_steps(fields.stock_months)
    of_year = 1970 + fields.months // MONTHS_A_YEAR
    sums = [np.einsum("t,tij->ij", fields.days[of_year == year], nep[of_year == year]) for year in years]
    ends = (-1, 0) if stocks_at == "year_end" else (-1, 1)
    span = ends[1] - ends[0]
    changes = [(stock[steps[year + ends[1]]] - stock[steps[year + ends[0]]]) / span for year in years.tolist()]
    return np.array(sums), np.array(changes)


def _add(sums: _Sums, rest: np.ndarray, days: np.ndarray, area: np.ndarray) -> None:
    known = np.isfinite(rest)
    filled = np.where(known, rest, 0.0)
    length = np.einsum("t,tij->ij", days, known)
    a_year = days.sum() / (len(days) / MONTHS_A_YEAR)
    for name, part in (("residual", filled), ("absolute", np.abs(filled))):
        total = np.einsum("t,tij->ij", days, part)
        mean = np.divide(total, length, out=np.zeros_like(total), where=length > 0)
        setattr(sums, name, getattr(sums, name) + float((mean * area).sum()) * a_year / PETAGRAM)
    sums.rmse.append(_mean_over(rest**2) ** 0.5)


def _mean_over(values: np.ndarray) -> np.ndarray:
    """Return the mean of what is known along the first axis, NaN where nothing is."""
    known = np.isfinite(values)
    count = known.sum(axis=0)
    total = np.where(known, values, 0.0).sum(axis=0)
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)


def _of_known(measure: Any, values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(measure(known)) if len(known) else float("nan")
