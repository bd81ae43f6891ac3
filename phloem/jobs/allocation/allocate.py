"""`allocate`: carbon shared out to respiration, growth and pools as land models do, with budgets that close."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

from phloem.analysis.allocation.emulators import SCHEMES, TREES, Emulators, cross_validated, fit_emulators, skill
from phloem.analysis.allocation.model_statistics import STATISTICS
from phloem.analysis.allocation.ratios import (
    LEAST_GPP,
    RatioMode,
    allocate_fluxes,
    allocate_months,
    allocate_stocks,
    closure_residuals,
    targets_of,
)
from phloem.analysis.trees.settings import AttributionSettings
from phloem.errors import InputError
from phloem.io.files.atomic import write_atomically
from phloem.io.files.replaced_netcdf import replaced_netcdf
from phloem.io.land_models.land_model import PETAGRAM, LandModel
from phloem.io.land_models.model_files import QUANTITIES, find_models
from phloem.io.land_models.model_maps import ModelMaps, ModelYears, gather_models
from phloem.io.land_models.model_variable import ReadingOptions
from phloem.io.land_models.simulation_product import SimulationModel
from phloem.io.land_models.yearly_drivers import YearlyDrivers, open_drivers
from phloem.jobs.allocation.allocation_product import define_product, put_year, variable_name
from phloem.jobs.allocation.allocation_rows import allocation_rows, cells_of, statistics_of_year
from phloem.jobs.allocation.flux_maps import FluxMaps, open_fluxes
from phloem.jobs.allocation.reconciled_fluxes import reconciled_fluxes
from phloem.jobs.progress import ProgressBar

_STRICT_STOCKS = ("leaf_share", "wood_share", "root_share", "cVeg", "cLeaf", "cWood", "cRoot", "cLitter", "cSoil")
_COMPAT_STOCKS = ("cVeg", "cLeaf", "cWood", "agb", "cLitter", "cSoil")


@dataclass(frozen=True)
class AllocationRequest:
    """What is asked for.

    Attributes:
        models: folder of an archive of land models.
        drivers: file of predictors, whose grid is that of the product.
        out: folder to write.
        fluxes: file of monthly gpp and reco to share out; None: those of the models.
        simulations: monthly simulations of this program, taken as models too.
        years: those that are used; None: all that models and drivers have.
        mode: which ratios.
        include_ocean: whether ocean counts in scores, as zeros.
        reading: what files of models do not say.
        settings: of trees and folds.
    """

    models: Path
    drivers: Path
    out: Path
    fluxes: Path | None = None
    simulations: Sequence[Path] = ()
    years: Sequence[int] | None = None
    mode: RatioMode = RatioMode.STRICT
    include_ocean: bool = False
    reading: ReadingOptions = field(default_factory=ReadingOptions)
    settings: AttributionSettings = TREES


@dataclass(frozen=True, eq=False)
class AllocationResult:
    """What was made.

    Attributes:
        out: the folder.
        document: what allocation.json holds.
    """

    out: Path
    document: dict[str, Any]

    def lines(self) -> list[str]:
        """Say what was made."""
        said = self.document
        used = [name for name, one in said["models"].items() if one["used"]]
        found = [f"{len(used)} land models, {len(said['years'])} years, {said['rows']:,} cell-years of land"]
        for name, one in said["models"].items():
            found += [f"  {name}: not used: {why}" for why in ([] if one["used"] else [one["why"]])]
            found += [f"  {name}: {quantity} refused: {why}" for quantity, why in one["refused"].items()]
        head = "skill (mean of models)    r2 of cells left out at random, in blocks, n"
        found += [head if said["include_ocean"] is False else f"{head}; ocean counts as zeros"]
        for kind in ("ratios", "quantities"):
            for name, at_random in said["scores"]["random"]["mean"][kind].items():
                blocked = said["scores"]["blocked"]["mean"][kind][name]
                found.append(f"  {name:22s} {_number(at_random['r2'])} {_number(blocked['r2'])} {at_random['n']:7d}")
        for name, one in said["closure"]["mean"].items():
            found.append(f"  {name}: {one['largest']:.2g} at most, {one['total_PgC']:.2g} PgC in all")
        mismatch = said["totals_PgC"]["mean"]["ra_mismatch"]
        found.append(f"the two estimates of Ra differ by {np.mean(list(mismatch.values())):+.2f} PgC yr-1")
        return [*found, f"{self.out / 'allocation.nc'}", f"{self.out / 'allocation.json'}"]

    def as_json(self) -> dict[str, Any]:
        """Return the document."""
        return self.document


def _number(value: float | None) -> str:
    return "    -" if value is None else f"{value:5.2f}"


def allocate(request: AllocationRequest) -> AllocationResult:
    """Fit emulators of land models, measure them, and share out carbon; writes allocation.nc and allocation.json.

    Raises:
        InputError: of any input, before the work; nothing is written.
    """
    drivers = open_drivers(request.drivers)
    models = _models(request)
    years = [year for year in drivers.years if request.years is None or year in request.years]
    if not years:
        raise InputError(f"{request.drivers}: none of the years that are wanted; it has {drivers.years}")
    fluxes = None if request.fluxes is None else open_fluxes(request.fluxes, drivers.grid, drivers.path, years)
    without = {model.name: _why_not(model) for model in models}
    used = [model for model in models if not without[model.name]]
    if not used:
        raise InputError(f"{request.models}: no land model has gpp with ra or npp: {without}")
    request.out.mkdir(parents=True, exist_ok=True)
    targets, schemes = len(targets_of(request.mode)), len(SCHEMES)
    work = len(used) * len(QUANTITIES)
    fits = targets * len(STATISTICS) * (schemes * request.settings.folds + 1)
    with (
        tempfile.TemporaryDirectory(dir=request.out, prefix="maps.") as folder,
        ProgressBar("allocate", work + fits) as bar,
    ):
        maps = gather_models(used, drivers.grid, Path(folder), years, bar.update)
        rows = allocation_rows(maps, drivers, request.mode, request.settings.seed)
        done = work

        def told(text: str) -> None:
            nonlocal done
            done += request.settings.folds if ":" in text else 1
            bar.update(done, text)

        scores: dict[str, Any] = {}
        for scheme in SCHEMES:
            predicted = cross_validated(rows, request.mode, scheme, request.settings, told)
            scores[scheme] = _plain(skill(rows, request.mode, predicted, include_ocean=request.include_ocean))
        emulators = fit_emulators(rows, request.mode, request.settings, told)
        document = {
            "mode": request.mode.value,
            "include_ocean": request.include_ocean,
            "years": maps.years,
            "rows": len(rows),
            "cells": int(np.unique(rows.cell).size),
            "predictors": list(rows.predictors),
            "folds": request.settings.folds,
            "block_degrees": request.settings.block_degrees,
            "models": {
                model.name: {
                    "used": [one for one in QUANTITIES if model in used and maps.has(model.name, one)],
                    "why": without[model.name],
                    **model.findings.to_json(),
                    "stock_imbalance_PgC": _imbalance(maps, drivers, model) if model in used else None,
                }
                for model in models
            },
            "scores": scores,
            "fluxes": str(request.fluxes) if request.fluxes else "statistics of the land models",
        }
        totals, closure = _write(request, drivers, maps, emulators, fluxes)
    document |= {"totals_PgC": totals, "closure": closure}
    text = json.dumps(document, indent=1, allow_nan=False)
    write_atomically(request.out / "allocation.json", text.encode())
    return AllocationResult(request.out, document)


def _models(request: AllocationRequest) -> list[ModelYears]:
    models: list[ModelYears] = [LandModel(files, request.reading) for files in find_models(request.models)]
    models += [SimulationModel(path) for path in request.simulations]
    names = [model.name for model in models]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"{', '.join(twice)}: two land models of one name; rename the simulation's file")
    return models


def _why_not(model: ModelYears) -> str:
    """Why a model cannot be used at all; empty where it can."""
    if not model.years("gpp"):
        return model.findings.refused.get("gpp", "no gpp")
    if not model.years("ra") and not model.years("npp"):
        return "neither ra nor npp"
    return ""


def _plain(scores: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[str, Any]:
    return {
        statistic: {kind: {name: one.to_json() for name, one in by.items()} for kind, by in kinds.items()}
        for statistic, kinds in scores.items()
    }


def _imbalance(maps: ModelMaps, drivers: YearlyDrivers, model: ModelYears) -> dict[int, float] | None:
    """NEP of each year less the change of vegetation, litter and soil carbon, PgC; None where parts are missing."""
    if not all(maps.has(model.name, name) for name in ("npp", "rh", "cVeg", "cLitter", "cSoil")):
        return None
    number, area = maps.names.index(model.name), drivers.grid.areas() * drivers.land

    def total(year: int, *names: str) -> np.ndarray:
        return np.asarray(sum(maps.get(name, year)[number] for name in names))

    found = {}
    for before, year in zip(maps.years[:-1], maps.years[1:], strict=True):
        stocks = total(year, "cVeg", "cLitter", "cSoil") - total(before, "cVeg", "cLitter", "cSoil")
        left = (total(year, "npp") - total(year, "rh") - stocks) * area
        if np.isfinite(left).any():
            found[year] = float(np.nansum(left) / PETAGRAM)
    return found


def _write(
    request: AllocationRequest, drivers: YearlyDrivers, maps: ModelMaps, emulators: Emulators, fluxes: FluxMaps | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Write the product year after year; returns totals and closures."""
    mode, cells, shape = request.mode, cells_of(drivers), drivers.grid.shape
    area = (drivers.grid.areas() * drivers.land).reshape(-1)[cells]
    years = list(fluxes.years) if fluxes is not None else maps.years
    stocks = _STRICT_STOCKS if mode is RatioMode.STRICT else _COMPAT_STOCKS
    days = {year: fluxes.days(year) for year in years} if fluxes is not None else None
    totals: dict[str, Any] = {statistic: {} for statistic in STATISTICS}
    closure: dict[str, Any] = {statistic: {} for statistic in STATISTICS}
    out = request.out / "allocation.nc"
    with replaced_netcdf(
        out, f"phloem allocate {request.models} --drivers {request.drivers} --out {request.out}"
    ) as file:
        define_product(
            file, drivers.grid, years, stocks, mode, days,
            {"mode": mode.value, "land_models": ", ".join(maps.names),
             "comment": f"land with a GPP of at least {LEAST_GPP:g} gC m-2 yr-1; stocks are those of 31 December"},
        )  # fmt: skip
        for place, year in enumerate(years):
            months = None if fluxes is None else _at_cells(fluxes.months(year), cells)
            _write_year(file, place, year, cells, shape, area, drivers, maps, emulators, months, days, totals, closure)
    return totals, closure


def _at_cells(months: tuple[np.ndarray, np.ndarray], cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    gpp, reco = (one.reshape(12, -1)[:, cells] for one in months)
    return gpp, reco


def _write_year(
    file: netCDF4.Dataset, place: int, year: int, cells: np.ndarray, shape: tuple[int, int], area: np.ndarray,
    drivers: YearlyDrivers, maps: ModelMaps, emulators: Emulators, months: tuple[np.ndarray, np.ndarray] | None,
    days: Mapping[int, np.ndarray] | None, totals: dict[str, Any], closure: dict[str, Any],
) -> None:  # fmt: skip
    mode = emulators.mode
    x = drivers.year(year).reshape(-1, len(drivers.predictors))[cells]
    known = np.isfinite(x).any(axis=1)
    modelled = statistics_of_year(maps, year, cells, mode) if year in maps.years else None
    values: dict[str, np.ndarray] = {}
    if modelled is not None:
        values |= {f"models_{name}": one.models for name, one in modelled[0].items()}
    for statistic in STATISTICS:
        if months is not None and days is not None:
            gpp, reco = (np.tensordot(days[year], one, axes=1) for one in months)
        else:
            assert modelled is not None
            parts = modelled[1].values[statistic]
            gpp, reco = parts["gpp"], parts["ra"] + parts["rh"]
        with np.errstate(invalid="ignore"):
            good = known & (gpp >= LEAST_GPP) & np.isfinite(reco)
        learned = emulators.predict(x[good], statistic)
        allocated = allocate_fluxes(gpp[good], reco[good], learned, mode)
        fluxes = np.stack([gpp[good], allocated["ra"]], axis=1)
        allocated |= allocate_stocks(allocated["npp"], emulators.predict(x[good], statistic, fluxes, stocks=True), mode)
        residuals = closure_residuals(gpp[good], reco[good], allocated)
        if mode is RatioMode.STRICT and statistic == "mean":
            for name, one in reconciled_fluxes(gpp[good], reco[good], allocated).items():
                values[name] = np.full(len(cells), np.nan)
                values[name][good] = one
        for name, one in {"gpp": gpp[good], "reco": reco[good], **allocated}.items():
            whole = np.full(len(cells), np.nan)
            whole[good] = one
            values[variable_name(name, statistic)] = whole
            if not name.endswith("_share"):
                totals[statistic].setdefault(name, {})[year] = float((one * area[good]).sum() / PETAGRAM)
        for name, one in residuals.items():
            _keep(closure[statistic].setdefault(name, {"largest": 0.0, "total_PgC": 0.0}), one, area[good])
        if months is not None and statistic == "mean":
            share = np.full(len(cells), np.nan)
            share[good] = np.divide(
                allocated["ra_of_reco"], reco[good], out=np.full(int(good.sum()), np.nan), where=reco[good] != 0.0
            )
            values |= {f"{name}_monthly": one for name, one in allocate_months(*months, share).items()}
    put_year(file, place, values, cells, shape)


def _keep(found: dict[str, float], residual: np.ndarray, area: np.ndarray) -> None:
    """Keep the largest residual of a cell and the largest total of a year."""
    found["largest"] = max(found["largest"], float(np.abs(residual).max(initial=0.0)))
    total = float((residual * area).sum() / PETAGRAM)
    found["total_PgC"] = max(found["total_PgC"], total, key=abs)
