"""`forward`: a hundred years with the parameters of each experiment from the same start (docs/science.md#forward-runs).

Member i of every experiment begins with the initial pools of member i of the growth-curve run and has that cell's
cycled forcing; only the 30 parameters differ, so that whatever diverges does so because of them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

from phloem.analysis.benchmark.cell_scores import Scores, scores
from phloem.analysis.experiments.forward_figures import forward_figure
from phloem.analysis.style.plot_style import to_png
from phloem.arithmetic import ceil_div
from phloem.errors import InputError, WorkError
from phloem.io.files.atomic import write_atomically
from phloem.io.files.netcdf import CONVENTIONS, FILL, UNSTRUCTURED, filled, put_texts, write_netcdf
from phloem.io.merge.member_statistics import SCREENING_RCV, median_and_rcv, nanmedian
from phloem.io.references.growth_curves import DRY_MATTER
from phloem.jobs.calibration.merged_members import read_members
from phloem.jobs.campaign.campaign import Campaign, open_campaign
from phloem.jobs.campaign.campaign_set import together
from phloem.jobs.progress import INTERRUPTS, ProgressBar
from phloem.kernels.calibrations.dalec_daily.derived_quantities import DERIVED
from phloem.kernels.simulate.pools_at_year_ends import yearly_pools
from phloem.model_tables import ModelTables
from phloem.sharding.lanes.blocks import runs_at_once
from phloem.version import VERSION

YEARS = 100
BIOMASS = "biomass"
"""The stock of live pools that is followed."""


@dataclass(frozen=True)
class ForwardBiomass:
    """Biomass of the forward runs, and their parameters.

    Attributes:
        tables: of the model.
        experiments: names, the growth-curve run last.
        cells: ids.
        coordinates: latitude and longitude, (cells, 2).
        biomass: live biomass at year ends, gC m-2, NaN for lanes without result, (experiments, cells, members, years).
        target: of the growth curves, gC m-2, (cells, years).
        parameters: (experiments, cells, members, parameters), NaN for lanes without result.
    """

    tables: ModelTables
    experiments: tuple[str, ...]
    cells: tuple[str, ...]
    coordinates: np.ndarray
    biomass: np.ndarray
    target: np.ndarray
    parameters: np.ndarray

    @property
    def median(self) -> np.ndarray:
        """Median over the members, (experiments, cells, years)."""
        with np.errstate(all="ignore"):
            return nanmedian(self.biomass, 2)

    def scores(self) -> dict[str, Scores]:
        """Compare each experiment's biomass of the last year with the growth curves', in Mg ha-1, over common cells."""
        last, target = self.median[:, :, -1] / DRY_MATTER, self.target[:, -1] / DRY_MATTER
        common = self.common
        return {name: scores(last[n][common], target[common]) for n, name in enumerate(self.experiments)}

    @property
    def common(self) -> np.ndarray:
        """Cells that have a result in every experiment, and a target, bool (cells,)."""
        found: np.ndarray = np.isfinite(self.median[:, :, -1]).all(0) & np.isfinite(self.target[:, -1])
        return found

    def changes(self, screened: bool = True) -> dict[str, dict[str, Scores]]:
        """Compare derived quantities of each experiment with those of the first.

        Args:
            screened: only cells whose members agree, by the robust CV; else all.
        """
        medians = []
        for values in self.parameters:
            differences = {}
            for name, numbers in self.tables.derived.compute(values).items():
                differences[name] = nanmedian(numbers, 1)
                if screened:
                    _, rcv = median_and_rcv(numbers[:, None, :], np.isfinite(numbers)[:, None, :])
                    differences[name] = np.where(rcv[:, 0] <= SCREENING_RCV, differences[name], np.nan)
            medians.append(differences)
        return {
            self.experiments[n]: {
                name: scores(medians[n][name], medians[0][name]) for name in self.tables.derived.names
            }
            for n in range(1, len(self.experiments))
        }


def run_forward(growth: Path, others: Sequence[Path], out: Path | None = None, years: int = YEARS) -> dict[str, Any]:
    """Run the experiments forward and write NetCDF, JSON and a figure.

    Args:
        growth: directory of the growth-curve campaign.
        others: directories of the campaigns whose parameters are swapped in.
        out: the NetCDF file; `.json` and `.png` stand beside it. By default forward.nc in `growth`.
        years: to run.

    Returns:
        What the JSON file holds.

    Raises:
        InputError: no growth-curve campaign, campaigns of other cells, drivers, members, years or arithmetic, or one
            not merged; more years than the run or its growth curves have.
        WorkError: no cell has a result in every experiment.
    """
    out = growth / "forward.nc" if out is None else out
    if out.suffix in (".json", ".png"):
        raise InputError(f"--out {out}: name a .nc file; .json and .png are written beside it")
    if out.is_dir() or not out.parent.is_dir():
        raise InputError(f"--out {out}: name a file in a folder that exists")
    first = open_campaign(growth)
    if first.configuration.experiment.name != "growth-curve":
        raise InputError(
            f"{growth}: a {first.configuration.experiment.name} campaign; the forward runs start from the initial "
            "pools of a growth-curve campaign, which comes first"
        )
    longest = first.configuration.calibration.protocol.simulated
    if not 1 <= years <= longest:
        raise InputError(f"--years {years}: 1 to {longest} can be run")
    campaigns = [*(open_campaign(path) for path in others), first]
    names = _names(campaigns)
    results = simulate(campaigns, names, years)
    if not results.common.any():
        raise WorkError(f"no cell has a result in every experiment ({', '.join(names)}): see `phloem status` of each")
    figure = to_png(forward_figure(results))
    summary = {
        "left_out": int((~results.common).sum()),
        "version": VERSION,
        "year": years,
        "unit": "Mg ha-1, dry matter",
        "biomass": {name: score.to_json() for name, score in results.scores().items()},
        "changes_from": results.experiments[0],
        "changes": _to_json(results.changes(screened=False)),
        "changes_screened": _to_json(results.changes()),
    }
    write_netcdf(out, lambda file: _fill(file, results))
    write_atomically(out.with_suffix(".json"), (json.dumps(summary, indent=1) + "\n").encode())
    write_atomically(out.with_suffix(".png"), figure)
    return {"file": str(out), **summary}


def _to_json(changes: dict[str, dict[str, Scores]]) -> dict[str, dict[str, dict[str, float | None]]]:
    return {name: {key: score.to_json() for key, score in rows.items()} for name, rows in changes.items()}


def describe(summary: dict[str, Any]) -> list[str]:
    """Return lines for people of what `run_forward` returns."""

    def number(value: float | None, digits: int) -> str:
        return "-" if value is None else f"{value:.{digits}f}"

    lines = [f"live biomass after {summary['year']} years against the growth curves, {summary['unit']}"]
    if summary["left_out"]:
        lines.append(f"{summary['left_out']} cells are left out: one of the experiments has no result there")
    lines.append(f"{'experiment':14}{'cells':>7}{'RMSE':>9}{'r2':>7}{'R2':>10}{'PBIAS %':>9}")
    for name, row in summary["biomass"].items():
        lines.append(
            f"{name:14}{row['cells']:7d}{number(row['rmse'], 1):>9}{number(row['r2_pearson'], 2):>7}"
            f"{number(row['r2_explained'], 2):>10}{number(row['pbias'], 1):>9}"
        )
    lines.append(
        f"change from {summary['changes_from']}, PBIAS in per cent; in brackets where members agree (3 or more)"
    )
    names = list(summary["changes"])
    lines.append(f"{'':14}" + "".join(f"{name:>26}" for name in names))
    for key, meaning in ((one.name, one.meaning) for one in DERIVED.quantities):
        cells = [
            f"{number(summary['changes'][name][key]['pbias'], 1)} ({number(row['pbias'], 1)}, {row['cells']} cells)"
            for name in names
            for row in [summary["changes_screened"][name][key]]
        ]
        lines.append(f"{key:14}" + "".join(f"{cell:>26}" for cell in cells) + f"  {meaning}")
    lines.append(f"r2: squared correlation; R2: 1 - SSE / SST. Written: {summary['file']}, .json and .png beside it")
    return lines


def _names(campaigns: Sequence[Campaign]) -> tuple[str, ...]:
    """Return what the campaigns are called: by their experiments, else by their own names.

    Raises:
        InputError: one that is no grid experiment, two of one name, or other years or arithmetic than the last one's.
    """
    growth = campaigns[-1].configuration.calibration
    for campaign in campaigns:
        calibration = campaign.configuration.calibration
        if not calibration.reads_store:
            raise InputError(f"{campaign.paths.root}: a {calibration.name} campaign; forward compares grid experiments")
        for key in ("calibration_years", "mode", "precision"):
            if getattr(calibration, key) != getattr(growth, key):
                raise InputError(
                    f"{campaign.paths.root}: experiment.{key} = {getattr(calibration, key)!r}, and "
                    f"{getattr(growth, key)!r} in {campaigns[-1].paths.root}: their parameters belong to another "
                    "reference climate or arithmetic"
                )
    for names in (
        tuple(str(campaign.configuration.experiment.name) for campaign in campaigns),
        tuple(campaign.configuration.campaign.name for campaign in campaigns),
    ):
        if len(set(names)) == len(names):
            return names
    raise InputError(f"campaigns of one name cannot be told apart: {', '.join(names)}")


def simulate(campaigns: Sequence[Campaign], names: tuple[str, ...], years: int) -> ForwardBiomass:
    """Run all experiments; the last campaign is the growth-curve one, whose initial pools all share."""
    growth = campaigns[-1]
    campaign_set = together(growth.paths.root, campaigns)
    campaign_set.refuse_other_drivers()
    cells = campaign_set.cells
    for campaign in campaigns:
        if not campaign.paths.merged.exists():
            raise InputError(f"{campaign.paths.root}: not merged yet; run `phloem run {campaign.paths.root}`")
    members = [read_members(campaign, cells) for campaign in campaigns]
    widths = {one.good.shape[1] for one in members}
    if len(widths) > 1:
        raise InputError(f"campaigns of {' and '.join(map(str, sorted(widths)))} members cannot be compared")
    (width,) = widths
    pools = members[-1].pools
    biomass = np.full((len(campaigns), len(cells), width, years), np.nan, np.float32)
    target = np.full((len(cells), years), np.nan)
    coordinates = np.empty((len(cells), 2))
    planned, experiment = {cell.name: cell for cell in growth.cells}, growth.configuration.calibration
    share = max(1, runs_at_once(experiment.time_loop) // (width * len(campaigns)))
    with ProgressBar("running forward", len(cells)) as bar:
        for begin in range(0, len(cells), share):
            INTERRUPTS.check()
            part = slice(begin, min(begin + share, len(cells)))
            weather, spans = [], []
            for place in range(part.start, part.stop):
                cell = growth.read_unit(planned[cells[place]])
                site = experiment.site(cell)
                weather.append(experiment.forward_weather(site))
                spans = _spans(site.weather_row, site.year_end, years)
                curve = cell.trajectory
                if len(curve) < years:
                    raise InputError(f"--years {years}: the growth curves of the store end at age {len(curve)}")
                target[place] = curve[:years]
                coordinates[place] = cell.latitude, cell.longitude
            weather += weather[:1] * (max(2, share) - len(weather))  # one program for all parts
            biomass[:, part] = _run(growth, weather, spans, [one.parameters[part] for one in members], pools[part])
            bar.update(part.stop, cells[part.stop - 1])
    parameters = np.stack([one.parameters for one in members])
    return ForwardBiomass(experiment.tables, names, tuple(cells), coordinates, biomass, target, parameters)


def _run(
    growth: Campaign, weather: list[Any], spans: list[slice], parameters: list[np.ndarray], pools: np.ndarray
) -> np.ndarray:
    """Return live biomass, (experiments, cells, members, years); lanes of NaN stay NaN."""
    experiment = growth.configuration.calibration
    cells, width = pools.shape[:2]
    lanes = [
        (e, c, m)
        for e in range(len(parameters))
        for c in range(cells)
        for m in range(width)
        if np.isfinite(parameters[e][c, m]).all() and np.isfinite(pools[c, m]).all()
    ]
    biomass = np.full((len(parameters), cells, width, len(spans)), np.nan, np.float32)
    block = runs_at_once(experiment.time_loop)
    size = ceil_div(max(1, len(parameters) * len(weather) * width), block) * block
    if not lanes:
        return biomass
    seats = (lanes * size)[:size]
    values = np.array([parameters[e][c, m] for e, c, m in seats])
    start = np.array([pools[c, m] for _, c, m in seats])
    runs = yearly_pools(
        experiment.forward_model(), weather, spans, values, start, np.array([c for _, c, _ in seats]), None,
        experiment.precision, experiment.backend,
    )  # fmt: skip
    index = tuple(np.array(lanes).T)
    live = _live(experiment.tables)
    for year, (ends, _) in enumerate(runs):
        biomass[(*index, year)] = ends[: len(lanes), live].sum(1)
    return biomass


def _spans(weather_row: np.ndarray | None, year_end: np.ndarray, years: int) -> list[slice]:
    """Return the rows of forcing of each simulated year."""
    rows = np.arange(len(year_end)) if weather_row is None else weather_row
    stops = np.append(np.flatnonzero(year_end) + 1, len(rows))[:years]
    starts = np.concatenate([[0], stops[:-1]])
    return [slice(int(rows[a]), int(rows[b - 1]) + 1) for a, b in zip(starts, stops, strict=True)]


def _live(tables: ModelTables) -> list[int]:
    """Return the places of the live pools."""
    stock = next(one for one in tables.stocks if one.name == BIOMASS)
    return [tables.pool_names.index(pool) for pool in stock.pools]


def _fill(file: netCDF4.Dataset, results: ForwardBiomass) -> None:
    experiments, cells, members, years = results.biomass.shape
    file.setncatts({"Conventions": CONVENTIONS, "title": "phloem forward runs", "source": f"phloem {VERSION}"})
    for name, length in (("experiment", experiments), ("cell", cells), ("member", members), ("year", years)):
        file.createDimension(name, length)

    def write_variable(name: str, dimensions: tuple[str, ...], values: np.ndarray, units: str, long_name: str) -> None:
        attributes = {key: word for key, word in (("units", units), ("long_name", long_name)) if word}
        if values.dtype.kind in "UO":
            put_texts(file, name, dimensions[0], values.tolist(), attributes)
            return
        options: dict[str, Any] = {} if len(dimensions) < 2 else {"zlib": True, "complevel": 1, "shuffle": True}
        fill = FILL if values.dtype.kind == "f" and name not in ("latitude", "longitude") else None
        made = file.createVariable(name, values.dtype, dimensions, fill_value=fill, **options)
        made.setncatts(attributes)
        if "cell" in dimensions and name not in ("latitude", "longitude"):
            made.coordinates = "latitude longitude"
            if dimensions[-1] == "cell":
                made.CDI_grid_type = UNSTRUCTURED
        made[...] = filled(values) if fill else values

    write_variable(
        "experiment", ("experiment",), np.array(results.experiments), "", "experiment that gave the parameters"
    )
    write_variable("cell", ("cell",), np.array(results.cells), "", "cell id")
    write_variable("latitude", ("cell",), results.coordinates[:, 0], "degrees_north", "latitude")
    write_variable("longitude", ("cell",), results.coordinates[:, 1], "degrees_east", "longitude")
    write_variable("member", ("member",), np.arange(members, dtype=np.int32), "1", "random restart")
    write_variable(
        "year", ("year",), np.arange(1, years + 1, dtype=np.int32), "1", "simulated year, stand age at its end"
    )
    runs = ("experiment", "cell", "member", "year")
    write_variable("biomass", runs, results.biomass, "g m-2", "live biomass at the year's end, carbon")
    medians = results.median.astype(np.float32)
    write_variable("biomass_median", ("experiment", "cell", "year"), medians, "g m-2", "median over the members")
    write_variable(
        "biomass_target", ("cell", "year"), results.target.astype(np.float32), "g m-2", "growth curve, carbon"
    )
    # What tools draw and average: one variable an experiment, its places last.
    for name, values in zip(results.experiments, medians, strict=True):
        meaning = f"live biomass at the year's end, carbon, median over the members of {name}"
        write_variable(f"{name.replace('-', '_')}_biomass", ("year", "cell"), values.T, "g m-2", meaning)
    target = results.target.astype(np.float32).T
    write_variable("reference_biomass", ("year", "cell"), target, "g m-2", "growth curve of live biomass, carbon")
