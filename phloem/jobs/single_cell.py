"""`simulate` and `evaluate`: one cell, given parameters."""

from __future__ import annotations

import os
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import netCDF4
import numpy as np

from phloem.errors import InputError
from phloem.io.drivers.tower_cell import Cell
from phloem.io.drivers.tower_files import read_tower
from phloem.io.files.netcdf import CONVENTIONS, write_netcdf
from phloem.jobs.config.experiments import DEFAULT, find_experiment
from phloem.jobs.config.parameters_file import read_parameters
from phloem.kernels.calibrations.experiment import Calibration
from phloem.kernels.objective.objective import SiteData, nnse
from phloem.kernels.objective.site import site_data
from phloem.kernels.simulate.daily_outputs import trajectory
from phloem.kernels.time_loop.backends import BACKENDS
from phloem.kernels.time_loop.fold import fold
from phloem.model_tables import Quantity
from phloem.version import VERSION


def check_choices(mode: str, precision: str, backend: str) -> None:
    """Refuse unknown choices, naming the valid ones."""
    for name, given, valid in (
        ("--mode", mode, ("strict", "compat")),
        ("--precision", precision, ("float32", "float64")),
        ("--backend", backend, BACKENDS),
    ):
        if given not in valid:
            raise InputError(f"{name} {given!r}: valid here are {', '.join(valid)}")


def simulate_cell(cell: Cell, values: np.ndarray, experiment: Calibration) -> Any:
    """Run the model with given parameters.

    Args:
        cell: drivers.
        values: physical parameters and initial pools, (members, unknowns).
        experiment: of towers.

    Returns:
        All outputs of the model, each (members, days).
    """
    model, prepared = experiment.objective().model, experiment.site(cell)
    p, q = _split(values, experiment)
    data = site_data([prepared], np.dtype(experiment.precision))
    first = model.first_state(q)
    outputs = trajectory(model, model.inputs_of_values(p), first, data.tables, jnp.zeros(len(values), jnp.int32))
    return type(outputs)(*(np.asarray(field)[: prepared.days].T for field in outputs))


def _tower_experiment(mode: str, precision: str) -> Calibration:
    """Return the experiment of towers, with the arithmetic that was asked for."""
    found = find_experiment(DEFAULT).model_validate({"mode": mode, "precision": precision})
    assert isinstance(found, Calibration)
    return found


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
) -> Path:
    """Write a simulation of one tower file: every member, every day.

    Daily output comes from the `xla` loop whatever the backend, which is only checked: the others keep no field of
    time.

    Raises:
        InputError: bad drivers, parameters or choices; nothing is written.
    """
    check_choices(mode, precision, backend)
    if not out.parent.is_dir() or out.is_dir():
        raise InputError(f"--out {out}: name a file in a folder that exists")
    if not os.access(out.parent, os.W_OK):
        raise InputError(f"--out {out}: the folder {out.parent} is not writable")
    experiment = _tower_experiment(mode, precision)
    cell, values = read_tower(drivers, quality=quality), read_parameters(parameters, experiment.tables)
    outputs = simulate_cell(cell, values, experiment)

    def fill(file: netCDF4.Dataset) -> None:
        file.setncatts(
            {
                "Conventions": CONVENTIONS,
                "title": f"phloem simulation of {cell.name}",
                "source": f"phloem {VERSION}",
            }
        )
        file.setncatts({"mode": mode, "precision": precision, "drivers_sha256": cell.checksum})
        file.createDimension("member", len(values))
        file.createDimension("time", len(cell.time))
        time = file.createVariable("time", "i4", ("time",))
        time.setncatts({"units": "days since 2001-01-01", "calendar": "standard", "standard_name": "time", "axis": "T"})
        time[:] = cell.time
        tables = experiment.tables
        pools = [Quantity(pool.name, pool.unit, f"{pool.meaning} at the end of the day") for pool in tables.pools]
        for one in (*tables.fluxes, *pools):
            variable = file.createVariable(
                one.name, precision, ("member", "time"), zlib=True, complevel=1, shuffle=True
            )
            variable.setncatts({"units": one.unit, "long_name": one.meaning})
            variable[:] = getattr(outputs, one.name)

    write_netcdf(out, fill)
    return out


def evaluate(
    drivers: Path,
    parameters: Path,
    gradient: bool = False,
    mode: str = "strict",
    precision: str = "float32",
    backend: str = "auto",
    quality: str = "repair",
) -> dict[str, Any]:
    """Score given parameters against a tower's observations.

    Returns:
        The JSON object of the stable interface; a stream without observations in a window scores null.

    Raises:
        InputError: bad drivers, parameters or choices.
    """
    check_choices(mode, precision, backend)
    experiment = _tower_experiment(mode, precision)
    tables, model, dtype = experiment.tables, experiment.objective().model, np.dtype(precision)
    cell, values = read_tower(drivers, quality=quality), read_parameters(parameters, tables)
    prepared = experiment.site(cell)
    lane_cell = jnp.zeros(len(values), jnp.int32)
    windows = {name: site_data([prepared], dtype, name) for name in ("calibration", "validation")}
    p, q = _split(values, experiment)

    def run(p: jax.Array, q: jax.Array, data: SiteData) -> Any:
        first = model.first_state(q)
        return fold(model, model.inputs_of_values(p), first, data.tables, lane_cell, backend=backend)[1]

    def j_obs(p: jax.Array, q: jax.Array) -> tuple[jax.Array, tuple[jax.Array, Any]]:
        sums = run(p, q, windows["calibration"])
        scores = nnse(sums, windows["calibration"], lane_cell, tables.streams)
        loss = -reduce(add, scores.values())
        return loss.sum(), (loss, scores)

    if gradient:
        (_, (loss, scores)), slopes = jax.jit(jax.value_and_grad(j_obs, (0, 1), has_aux=True))(p, q)
    else:
        _, (loss, scores) = jax.jit(j_obs)(p, q)
    after = windows["validation"]
    sums = jax.jit(lambda p, q: run(p, q, after))(p, q)
    later = nnse(sums, after, lane_cell, tables.streams)

    def by_stream(scores: dict[str, jax.Array], window: str, member: int) -> dict[str, float | None]:
        spread = np.asarray(windows[window].variance)[:, 0]
        rows = {name: row for row, name in enumerate(tables.streams)}
        return {name: float(scores[name][member]) if spread[row] > 0 else None for name, row in rows.items()}

    members = []
    for member in range(len(values)):
        entry: dict[str, Any] = {
            "nnse": by_stream(scores, "calibration", member),
            "nnse_validation": by_stream(later, "validation", member),
            "j_obs": float(loss[member]),
        }
        if gradient:
            entry["gradient"] = {
                "parameters": dict(zip(tables.parameter_names, np.asarray(slopes[0])[:, member].tolist(), strict=True)),
                "initial_pools": dict(zip(tables.pool_names, np.asarray(slopes[1])[:, member].tolist(), strict=True)),
            }
        members.append(entry)
    return {"site": cell.name, "members": members}
