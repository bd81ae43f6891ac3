"""`simulate --model dalec-monthly`: months of one cell, given the 40 quantities of some members."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import netCDF4
import numpy as np

from phloem.errors import InputError, WorkError, some
from phloem.io.drivers.tower_arrays import TIME_UNITS
from phloem.io.files.netcdf import CONVENTIONS, write_netcdf
from phloem.io.monthly.cell_months import CellMonths, read_cell_months
from phloem.jobs.config.parameters_file import ALL_MEMBERS, check_parameters, choose_members, read_columns
from phloem.jobs.estimate.auto_backend import settle_backend
from phloem.jobs.single_cell import check_choices, check_out
from phloem.kernels.models.dalec_monthly.file_names import OTHER_NAMES, OUTPUT_QUANTITIES, TABLES
from phloem.kernels.models.dalec_monthly.forcing_terms import MONTH, weather
from phloem.kernels.models.dalec_monthly.mode_switches import switches
from phloem.kernels.models.dalec_monthly.monthly_step import monthly_dalec
from phloem.kernels.simulate.daily_outputs import trajectory
from phloem.kernels.time_loop.backends import device_of
from phloem.kernels.time_loop.day_tables import day_tables
from phloem.model_tables import Quantity
from phloem.version import VERSION

MODEL = "dalec-monthly"
"""Name of the model in commands and files."""

LABELS = ("", "member", "cell", "site", "name")
"""Columns of a parameters file that say whose a row is."""


@dataclass(frozen=True, eq=False)
class MonthlySimulation:
    """Monthly outputs of one cell.

    Attributes:
        months: its forcing.
        mode: `strict` or `compat`.
        precision: `float32` or `float64`.
        outputs: by their name in the model, (members, months): means of the month, LAI of its start, pools of its end.
    """

    months: CellMonths
    mode: str
    precision: str
    outputs: dict[str, np.ndarray]

    def write(self, path: Path) -> None:
        """Write them as a NetCDF file, (member, time), whole or not at all."""
        write_netcdf(path, self._fill)

    def _fill(self, file: netCDF4.Dataset) -> None:
        file.setncatts(
            {
                "Conventions": CONVENTIONS,
                "title": f"phloem simulation of {self.months.path.stem}",
                "source": f"phloem {VERSION}",
                "model": MODEL,
                "mode": self.mode,
                "precision": self.precision,
                "month_length": f"{MONTH:g} days" if self.mode == "compat" else "of the calendar",
                "drivers_sha256": self.months.checksum,
            }
        )
        file.createDimension("member", len(next(iter(self.outputs.values()))))
        file.createDimension("time", len(self.months.time))
        time = file.createVariable("time", "f8", ("time",))
        time.setncatts({"units": TIME_UNITS, "calendar": "standard", "standard_name": "time", "axis": "T"})
        time[:] = self.months.time
        if self.months.edges is not None:
            file.createDimension("bnds", 2)
            time.bounds = "time_bnds"
            file.createVariable("time_bnds", "f8", ("time", "bnds"))[:] = self.months.edges
        for name, quantity in OUTPUT_QUANTITIES.items():
            variable = file.createVariable(
                quantity.name, self.precision, ("member", "time"), zlib=True, complevel=1, shuffle=True
            )
            variable.setncatts({"units": quantity.unit, "long_name": quantity.meaning, **_cell_methods(quantity)})
            variable[:] = self.outputs[name]


def _cell_methods(quantity: Quantity) -> dict[str, str]:
    return {"cell_methods": "time: mean"} if "d-1" in quantity.unit else {}


def simulate_months(
    drivers: Path,
    parameters: Path,
    out: Path,
    mode: str = "strict",
    precision: str = "float32",
    backend: str = "auto",
    members: str = ALL_MEMBERS,
) -> Path:
    """Write a simulation of one cell by the monthly model: every member, every month.

    Args:
        drivers: months of the cell (`phloem.io.monthly.cell_months`).
        parameters: a parameters file with the 40 quantities (`TABLES`), one row a member.
        out: the NetCDF file.
        mode: `strict` or `compat`.
        precision: `float32` or `float64`.
        backend: what runs the time loop.
        members: which are taken: `all`, or numbers with commas between them.

    Raises:
        InputError: bad drivers, parameters or choices; nothing is written.
        WorkError: a number that is not finite came out; nothing is written.
    """
    check_choices(mode, precision, backend)
    check_out(out)
    values = read_quantities(parameters, members)
    months = read_cell_months(drivers)
    check_lengths(months, mode)
    run_months(months, values, mode, precision, backend).write(out)
    return out


def read_quantities(path: Path, members: str = ALL_MEMBERS) -> np.ndarray:
    """Read a parameters file of the monthly model; columns by the names of files, or by those of the model.

    Returns:
        Physical values, (members, 40), in the order of `TABLES`.

    Raises:
        InputError: a column that is missing, unknown or stands twice, a value that is no number or outside its bounds.
    """
    where = f"parameters file {path}"
    values = check_parameters(_as_in_files(read_columns(path), where), TABLES, where)
    return values[choose_members(members, range(len(values)), where)]


def _as_in_files(columns: Mapping[str, Sequence[Any]], where: str) -> dict[str, Sequence[Any]]:
    """Return columns by the names of files, without those that label rows."""
    named: dict[str, Sequence[Any]] = {}
    for name, column in columns.items():
        if name in LABELS:
            continue
        known = OTHER_NAMES.get(name, name)
        if known in named:
            raise InputError(f"{where}: {known} and {name} are one and the same; one column of them is due")
        named[known] = column
    unknown = [name for name in named if name not in TABLES.unknown_names]
    missing = [name for name in TABLES.unknown_names if name not in named]
    if unknown:
        near = difflib.get_close_matches(unknown[0], missing or TABLES.unknown_names, 1)
        hint = f" (is {near[0]} meant?)" if near else ""
        raise InputError(
            f"{where}: unknown columns: {some(unknown)}{hint}; those of {MODEL} are {', '.join(TABLES.unknown_names)}"
        )
    return named


def check_lengths(months: CellMonths, mode: str) -> None:
    """Refuse months whose length a mode cannot take.

    Raises:
        InputError: another `dt` than 30 days in compat, or stamps that are no months of the calendar in strict.
    """
    if mode == "compat":
        if months.dt is not None and (odd := np.flatnonzero(months.dt != MONTH)).size:
            raise InputError(
                f"{months.path}: variable dt: month {odd[0]}: {months.dt[odd[0]]:g} days; --mode compat counts "
                f"{MONTH:g} for every month, --mode strict those of the calendar"
            )
    elif months.edges is None:
        raise InputError(
            f"{months.path}: variable days: not one stamp in each month of the calendar; --mode strict takes the "
            f"months' lengths from it, --mode compat counts {MONTH:g} days for every month"
        )


def run_months(
    months: CellMonths, values: np.ndarray, mode: str, precision: str, backend: str = "auto"
) -> MonthlySimulation:
    """Run the monthly model with given quantities.

    Args:
        months: forcing of the cell.
        values: physical parameters and initial pools, (members, 40).
        mode: `strict` or `compat`.
        precision: `float32` or `float64`.
        backend: what runs the time loop.

    Raises:
        WorkError: a number that is not finite came out.
    """
    model, count = monthly_dalec(mode), len(months.time)
    lengths = np.full(count, MONTH) if months.edges is None else months.edges[:, 1] - months.edges[:, 0]
    terms = weather(months.time, months.doy, months.latitude, months.forcing, months.reference, lengths, switches(mode))
    tables = day_tables([terms], [model.observed(np.zeros(count))], np.dtype(precision))
    known, backend = len(TABLES.parameters), settle_backend(backend, precision)
    with device_of(backend):
        columns = jnp.asarray(values.T.astype(precision))
        found = trajectory(
            model, model.inputs_of_values(columns[:known]), model.first_state(columns[known:]), tables,
            jnp.zeros(len(values), jnp.int32), backend=backend,
        )  # fmt: skip
    outputs = {name: np.asarray(getattr(found, name))[:count].T for name in OUTPUT_QUANTITIES}
    for name, series in outputs.items():
        if (odd := np.argwhere(~np.isfinite(series))).size:
            raise WorkError(
                f"{months.path}: member {odd[0][0]}, month {odd[0][1]}: {OUTPUT_QUANTITIES[name].name} is not finite; "
                "nothing is written. --precision float64 or --mode strict may mend it"
            )
    return MonthlySimulation(months, mode, precision, outputs)
