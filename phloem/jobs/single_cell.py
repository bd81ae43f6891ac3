"""`simulate` and `evaluate`: one cell, given parameters."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import netCDF4
import numpy as np
import xarray as xr

from phloem.errors import InputError
from phloem.io.drivers.grid_cell import GridCell
from phloem.io.drivers.tower_cell import Cell
from phloem.io.drivers.tower_files import read_tower
from phloem.io.files.netcdf import CONVENTIONS, write_netcdf
from phloem.jobs.config.experiments import DEFAULT, find_experiment
from phloem.jobs.config.parameters_file import ALL_MEMBERS, read_parameters, write_parameters
from phloem.jobs.config.toml_file import validate
from phloem.jobs.estimate.auto_backend import settle_backend
from phloem.jobs.evaluation import Evaluation
from phloem.kernels.calibrations.experiment import Calibration
from phloem.kernels.models.model import Model
from phloem.kernels.objective.objective import SiteData, nnse
from phloem.kernels.objective.site import site_data
from phloem.kernels.simulate.daily_outputs import trajectory
from phloem.kernels.time_loop.backends import BACKENDS, device_of
from phloem.kernels.time_loop.fold import fold
from phloem.model_tables import ModelTables, Quantity
from phloem.version import VERSION


def check_choices(mode: str, precision: str, backend: str = "auto", option: str = "--") -> None:
    """Refuse unknown choices, naming the valid ones; `option` is what stands before their names."""
    for name, given, valid in (
        ("mode", mode, ("strict", "compat")),
        ("precision", precision, ("float32", "float64")),
        ("backend", backend, BACKENDS),
    ):
        if given not in valid:
            raise InputError(f"{option}{name} {given!r}: valid here are {', '.join(valid)}")


def check_out(out: Path) -> None:
    """Refuse a file that could not be written, before any work is done.

    Raises:
        InputError: it is a folder, or its folder is absent or not writable.
    """
    if not out.parent.is_dir() or out.is_dir():
        raise InputError(f"--out {out}: name a file in a folder that exists")
    if not os.access(out.parent, os.W_OK):
        raise InputError(f"--out {out}: the folder {out.parent} is not writable")


def calibration_named(name: str) -> Calibration:
    """Return an experiment that calibrates cells, for its tables alone: none of its keys is set.

    Raises:
        InputError: no experiment has this name, or it calibrates no cells.
    """
    try:
        found = find_experiment(name).model_construct(name=name)
    except InputError as error:
        raise InputError(f"experiment {name!r}: {error}") from error
    if not isinstance(found, Calibration):
        raise InputError(f"experiment {name!r} calibrates no cells")
    return found


def tower_experiment(mode: str, precision: str, name: str = DEFAULT) -> Calibration:
    """Return an experiment of towers, with the arithmetic that was asked for.

    Raises:
        InputError: no experiment has this name, or it is not one of towers.
    """
    found = calibration_named(name)
    if found.reads_store:
        raise InputError(f"experiment {name!r} is not one of towers, as {DEFAULT!r} is")
    keys = {"name": name, "mode": mode, "precision": precision}
    return validate(keys, type(found), "experiment", f"experiment {name!r}")


@dataclass(frozen=True, eq=False)
class TowerSimulation:
    """Daily outputs of one tower.

    Attributes:
        cell: its drivers.
        experiment: of towers.
        outputs: by name, (members, days), in the order of files: fluxes of the day, then pools at its end.
    """

    cell: Cell
    experiment: Calibration
    outputs: dict[str, np.ndarray]

    def write(self, path: Path) -> None:
        """Write them as a NetCDF file, (member, time), whole or not at all."""
        write_netcdf(path, self._fill)

    def _fill(self, file: netCDF4.Dataset) -> None:
        file.setncatts(simulation_attributes(self.cell, self.experiment))
        file.createDimension("member", len(next(iter(self.outputs.values()))))
        file.createDimension("time", len(self.cell.time))
        time = file.createVariable("time", "i4", ("time",))
        time.setncatts({"units": "days since 2001-01-01", "calendar": "standard", "standard_name": "time", "axis": "T"})
        time[:] = self.cell.time
        for one in daily_outputs(self.experiment.tables):
            variable = file.createVariable(
                one.name, self.experiment.precision, ("member", "time"), zlib=True, complevel=1, shuffle=True
            )
            variable.setncatts({"units": one.unit, "long_name": one.meaning})
            variable[:] = self.outputs[one.name]


def simulation_attributes(cell: Cell | GridCell, experiment: Calibration) -> dict[str, str]:
    """Return the global attributes of a cell's simulation."""
    return {
        "Conventions": CONVENTIONS,
        "title": f"phloem simulation of {cell.name}",
        "source": f"phloem {VERSION}",
        "mode": experiment.mode,
        "precision": experiment.precision,
        "drivers_sha256": cell.checksum,
    }


def daily_outputs(tables: ModelTables) -> list[Quantity]:
    """Return what a simulation gives of each day, in the order of files: fluxes, then the pools at the day's end."""
    pools = [Quantity(pool.name, pool.unit, f"{pool.meaning} at the end of the day") for pool in tables.pools]
    return [*tables.fluxes, *pools]


def simulate_tower(cell: Cell, values: np.ndarray, experiment: Calibration) -> TowerSimulation:
    """Run the model at a tower with given parameters; arguments as of `simulate_cell`."""
    outputs = simulate_cell(cell, values, experiment)
    return TowerSimulation(
        cell, experiment, {one.name: getattr(outputs, one.name) for one in daily_outputs(experiment.tables)}
    )


def simulate_cell(cell: Cell, values: np.ndarray, experiment: Calibration) -> Any:
    """Run the model with given parameters.

    Args:
        cell: drivers.
        values: physical parameters and initial pools, (members, unknowns).
        experiment: of towers; its `time_loop` is what runs.

    Returns:
        All outputs of the model, each (members, days).
    """
    model, prepared = experiment.objective().model, experiment.site(cell)
    backend = settle_backend(experiment.time_loop, experiment.precision)
    with device_of(backend):
        p, q = _split(values, experiment)
        data = site_data([prepared], np.dtype(experiment.precision))
        first, lanes = model.first_state(q), jnp.zeros(len(values), jnp.int32)
        outputs = trajectory(model, model.inputs_of_values(p), first, data.tables, lanes, backend=backend)
    return type(outputs)(*(np.asarray(field)[: prepared.days].T for field in outputs))


def _split(values: np.ndarray, experiment: Calibration) -> tuple[jax.Array, jax.Array]:
    columns = jnp.asarray(values.T.astype(experiment.precision))
    count = len(experiment.tables.parameters)
    return columns[:count], columns[count:]


def simulate(
    drivers: Path,
    parameters: Path,
    out: Path,
    mode: str = "strict",
    precision: str = "float32",
    backend: str = "auto",
    quality: str = "repair",
    cell: str | None = None,
    members: str = ALL_MEMBERS,
) -> Path:
    """Write a simulation of one tower file: every member, every day. No observations are needed.

    Args:
        drivers: the tower file.
        parameters: a parameters file, or a merged product.
        out: the NetCDF file.
        mode: `strict` or `compat`.
        precision: `float32` or `float64`.
        backend: what runs the time loop.
        quality: what happens to mendable defects of the drivers.
        cell: whose parameters are taken of a merged product; None: those of the tower's name.
        members: which are taken: `all`, `median`, or numbers with commas between them.

    Raises:
        InputError: bad drivers, parameters or choices; nothing is written.
    """
    check_choices(mode, precision, backend)
    check_out(out)
    experiment = tower_experiment(mode, precision).with_backend(backend)
    values = read_parameters(parameters, experiment.tables, cell or drivers.stem, members)
    simulate_tower(read_tower(drivers, quality=quality, compared=False), values, experiment).write(out)
    return out


def write_cell_parameters(product: Path, out: Path, cell: str | None = None, members: str = ALL_MEMBERS) -> Path:
    """Write what a campaign has found for one cell as a parameters file.

    Args:
        product: directory of a finished campaign, or its merged.nc.
        out: the file, NetCDF where its name ends so, else CSV.
        cell: whose parameters are taken; None: those of the only cell.
        members: `all`, `median`, or numbers with commas between them.

    Raises:
        InputError: no product, cell or member, or a folder that cannot be written to; nothing is written.
    """
    merged = product / "merged.nc" if product.is_dir() else product
    try:
        with netCDF4.Dataset(str(merged)) as file:
            name = str(file.getncattr("experiment"))
    except (OSError, RuntimeError, AttributeError) as error:
        raise InputError(f"{merged}: not the product of a campaign ({error})") from error
    tables = calibration_named(name).tables
    write_parameters(out, read_parameters(merged, tables, cell, members), tables)
    return out


def evaluate(
    drivers: Path,
    parameters: Path,
    gradient: bool = False,
    mode: str = "strict",
    precision: str = "float32",
    backend: str = "auto",
    quality: str = "repair",
    cell: str | None = None,
    members: str = ALL_MEMBERS,
) -> Evaluation:
    """Score given parameters against the observations of one tower file; arguments as of `simulate`.

    Raises:
        InputError: bad drivers, parameters or choices.
    """
    check_choices(mode, precision, backend)
    experiment = tower_experiment(mode, precision)
    values = read_parameters(parameters, experiment.tables, cell or drivers.stem, members)
    return evaluate_cell(read_tower(drivers, quality=quality), values, experiment, backend, gradient)


def evaluate_cell(
    cell: Cell | GridCell,
    values: np.ndarray,
    experiment: Calibration,
    backend: str,
    gradient: bool = False,
    members: np.ndarray | None = None,
) -> Evaluation:
    """Score given parameters against a cell's observations.

    Args:
        cell: drivers and observations.
        values: physical parameters and initial pools, (members, unknowns).
        experiment: whose windows and streams are compared.
        backend: what runs the time loop.
        gradient: also differentiate.
        members: numbers of the members, (members,); by default from 0.
    """
    tables, model, dtype = experiment.tables, experiment.objective().model, np.dtype(experiment.precision)
    prepared, slopes = experiment.site(cell), None
    backend = settle_backend(backend, experiment.precision)
    with device_of(backend):
        windows = {name: site_data([prepared], dtype, name) for name in ("calibration", "validation")}
        parts, fixed = _split(values, experiment), (model, tables.streams, backend)
        if gradient:
            (_, (loss, scores)), by_group = _slopes_of(*parts, windows["calibration"], *fixed)
            slopes = np.concatenate([np.asarray(one) for one in by_group]).T
        else:
            _, (loss, scores) = _scores_of(*parts, windows["calibration"], *fixed)
        _, (_, later) = _scores_of(*parts, windows["validation"], *fixed)
    axis = {"member": np.arange(len(values)) if members is None else members}

    def by_stream(scores: dict[str, jax.Array], window: str, name: str) -> xr.DataArray:
        observed = np.asarray(windows[window].variance)[:, 0] > 0
        found = np.stack([np.asarray(scores[stream]) for stream in tables.streams], 1)
        coordinates = {**axis, "stream": list(tables.streams), "observed": ("stream", observed)}
        texts = {"units": "1", "long_name": f"normalised Nash-Sutcliffe efficiency, {window} window"}
        return xr.DataArray(np.where(observed, found, np.nan), coordinates, ("member", "stream"), name, texts)

    minimised = {"units": "1", "long_name": "minus the sum of the NNSE over the calibration window"}
    unknowns = {**axis, "parameter": list(tables.unknown_names)}
    slope = {"long_name": "change of j_obs with each physical value"}
    return Evaluation(
        site=cell.name,
        nnse=by_stream(scores, "calibration", "nnse"),
        nnse_validation=by_stream(later, "validation", "nnse_validation"),
        j_obs=xr.DataArray(np.asarray(loss), axis, ("member",), "j_obs", minimised),
        gradient=None if slopes is None else xr.DataArray(slopes, unknowns, ("member", "parameter"), "gradient", slope),
        tables=tables,
    )


def _scored(
    p: jax.Array, q: jax.Array, data: SiteData, model: Model, streams: tuple[str, ...], backend: str
) -> tuple[jax.Array, tuple[jax.Array, dict[str, jax.Array]]]:
    """Return the sum of all members' losses, for its gradient, with each one's loss and scores by stream."""
    lane_cell = jnp.zeros(p.shape[1], jnp.int32)
    sums = fold(model, model.inputs_of_values(p), model.first_state(q), data.tables, lane_cell, backend=backend)[1]
    scores = nnse(sums, data, lane_cell, streams)
    loss = -reduce(add, scores.values())
    return loss.sum(), (loss, scores)


_STATIC = ("model", "streams", "backend")
_scores_of = jax.jit(_scored, static_argnames=_STATIC)
_slopes_of = jax.jit(jax.value_and_grad(_scored, (0, 1), has_aux=True), static_argnames=_STATIC)
"""Compiled once for tables of one shape: a notebook evaluates again and again."""
