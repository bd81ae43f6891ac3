"""Daily outputs as xarray Datasets: of a tower with dates, of a grid cell with the days of its run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cftime
import numpy as np
import xarray as xr

from phloem.io.drivers.grid_cell import GridCell
from phloem.io.drivers.tower_arrays import TIME_UNITS
from phloem.jobs.calibration.run_dates import simulated_days
from phloem.jobs.single_cell import TowerSimulation, daily_outputs, simulation_attributes
from phloem.kernels.calibrations.experiment import Calibration
from phloem.kernels.objective.site import Site
from phloem.kernels.simulate.outputs_from_day import outputs_from_day
from phloem.model_tables import ModelTables


def tower_dataset(simulation: TowerSimulation, members: np.ndarray) -> xr.Dataset:
    """Return a simulation as a Dataset, (member, time): what xarray reads of the command's file, with the members.

    Args:
        simulation: of a tower.
        members: their numbers.
    """
    days = simulation.cell.dates.astype("datetime64[ns]")
    time = xr.Variable("time", days, {"standard_name": "time", "axis": "T"})
    time.encoding = {"units": TIME_UNITS, "calendar": "standard", "dtype": "int32"}
    tables = simulation.experiment.tables
    texts = simulation_attributes(simulation.cell, simulation.experiment)
    return _dataset(simulation.outputs, tables, {"time": time}, members, texts)


def simulate_grid_cell(cell: GridCell, values: np.ndarray, experiment: Calibration, members: np.ndarray) -> xr.Dataset:
    """Run a cell of a driver store over all days of its experiment.

    Args:
        cell: its drivers.
        values: physical parameters and initial pools, (members, unknowns).
        experiment: which years are simulated, in which arithmetic.
        members: their numbers.

    Returns:
        Daily outputs, (member, time). A run that meets its years of forcing once has dates along `time`. One that
        repeats them has numbers of days from 0; `year` and `day_of_year` say then which forcing each day had.
    """
    tables, site = experiment.tables, experiment.site(cell)
    names = tuple(one.name for one in daily_outputs(tables))
    count = len(tables.parameters)
    # A table of one cell compiles to other code than one of several: twice, as everywhere.
    weather = [experiment.forward_weather(site)] * 2
    outputs = outputs_from_day(
        experiment.forward_model(), weather, site.weather_row, values[:, :count], values[:, count:],
        np.zeros(len(values), int), names, 0, experiment.precision, experiment.time_loop,
    )  # fmt: skip
    days = {name: series[:, : site.days] for name, series in outputs.items()}
    return _dataset(
        days, tables, _days_of_run(cell, experiment, site), members, simulation_attributes(cell, experiment)
    )


def _days_of_run(cell: GridCell, experiment: Calibration, site: Site) -> dict[str, Any]:
    """Return the coordinates along time."""
    year, doy = simulated_days(cell, experiment, site)
    if experiment.protocol.cycled:
        return {
            "time": ("time", np.arange(site.days), {"long_name": "day of the run", "units": "1"}),
            "year": ("time", year, {"long_name": "calendar year whose forcing the day had"}),
            "day_of_year": ("time", doy, {"long_name": "day of that year", "units": "1"}),
        }
    if cell.calendar == "standard":
        begins = np.char.add(year.astype(str), "-01-01").astype("datetime64[D]")
        dates: Any = (begins + (doy - 1)).astype("datetime64[ns]")
    else:
        dates = cftime.num2date(doy - 1 + 365 * (year - 2001), TIME_UNITS, cell.calendar)
    return {"time": ("time", dates, {"standard_name": "time", "axis": "T"})}


def _dataset(
    outputs: Mapping[str, np.ndarray],
    tables: ModelTables,
    coordinates: Mapping[str, Any],
    members: np.ndarray,
    texts: Mapping[str, str],
) -> xr.Dataset:
    variables = {
        one.name: (("member", "time"), outputs[one.name], {"units": one.unit, "long_name": one.meaning})
        for one in daily_outputs(tables)
    }
    member = ("member", members, {"long_name": "member", "units": "1"})
    return xr.Dataset(variables, {"member": member, **coordinates}, texts)
