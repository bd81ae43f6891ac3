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
from phloem.io.drivers.variables import OUTPUTS
from phloem.io.files.netcdf import CONVENTIONS, write_netcdf
from phloem.jobs.calibration.sites import build_site
from phloem.jobs.config.experiment import Experiment
from phloem.jobs.config.parameters_file import read_parameters
from phloem.kernels.models.dalec_daily.daily_step import dalec, inputs, state
from phloem.kernels.models.dalec_daily.parameters import PARAMETERS, POOLS
from phloem.kernels.models.dalec_daily.records import Outputs
from phloem.kernels.objective.site_input import site_data
from phloem.kernels.objective.site_objective import nnse
from phloem.kernels.simulate.daily_outputs import trajectory
from phloem.kernels.time_loop.backends import BACKENDS
from phloem.kernels.time_loop.fold import fold
from phloem.names import PARAMETERS as PARAMETER_NAMES
from phloem.names import POOLS as POOL_NAMES
from phloem.names import STREAMS
from phloem.version import VERSION

FLUXES = {**OUTPUTS, "lai": (OUTPUTS["lai"][0], f"{OUTPUTS['lai'][1]} at the start of the day")}
"""Fluxes of a simulation file, with units."""


def check_choices(mode: str, precision: str, backend: str) -> None:
    """Refuse unknown choices, naming the valid ones."""
    for name, given, valid in (
        ("--mode", mode, ("strict", "compat")),
        ("--precision", precision, ("float32", "float64")),
        ("--backend", backend, BACKENDS),
    ):
        if given not in valid:
            raise InputError(f"{name} {given!r}: valid here are {', '.join(valid)}")


def simulate_cell(cell: Cell, values: np.ndarray, mode: str, precision: str) -> Outputs:
    """Run the model with given parameters.

    Args:
        cell: drivers.
        values: physical parameters and initial pools, (members, 38).
        mode: `strict` or `compat`.
        precision: `float32` or `float64`.

    Returns:
        All outputs, each (members, days).
    """
    prepared = build_site(cell, Experiment.model_validate({"mode": mode}))
    members = len(values)
    p, q = _split(values, precision)
    data = site_data([prepared], np.dtype(precision))
    outputs = trajectory(dalec(mode), inputs(p), state(q), data.series, jnp.zeros(members, jnp.int32))
    return Outputs(*(np.asarray(field)[: prepared.days].T for field in outputs))


def _split(values: np.ndarray, precision: str) -> tuple[jax.Array, jax.Array]:
    columns = jnp.asarray(values.T.astype(precision))
    return columns[: len(PARAMETERS)], columns[len(PARAMETERS) :]


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
    cell, values = read_tower(drivers, quality=quality), read_parameters(parameters)
    outputs = simulate_cell(cell, values, mode, precision)

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
        pools = {pool.name: (pool.unit, f"{pool.meaning} at the end of the day") for pool in POOLS}
        for name, (units, meaning) in {**FLUXES, **pools}.items():
            variable = file.createVariable(name, precision, ("member", "time"), zlib=True, complevel=1, shuffle=True)
            variable.setncatts({"units": units, "long_name": meaning})
            variable[:] = getattr(outputs, name)

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
    cell, values = read_tower(drivers, quality=quality), read_parameters(parameters)
    prepared = build_site(cell, Experiment.model_validate({"mode": mode}))
    model, dtype = dalec(mode), np.dtype(precision)
    lane_cell = jnp.zeros(len(values), jnp.int32)
    windows = {name: site_data([prepared], dtype, name) for name in ("calibration", "validation")}
    p, q = _split(values, precision)

    def j_obs(p: jax.Array, q: jax.Array) -> tuple[jax.Array, tuple[jax.Array, Any]]:
        _, sums = fold(model, inputs(p), state(q), windows["calibration"].series, lane_cell, backend=backend)
        scores = nnse(sums, windows["calibration"], lane_cell)
        loss = -reduce(add, scores.values())
        return loss.sum(), (loss, scores)

    if gradient:
        (_, (loss, scores)), slopes = jax.jit(jax.value_and_grad(j_obs, (0, 1), has_aux=True))(p, q)
    else:
        _, (loss, scores) = jax.jit(j_obs)(p, q)
    after = windows["validation"]
    _, sums = jax.jit(lambda p, q: fold(model, inputs(p), state(q), after.series, lane_cell, backend=backend))(p, q)
    later = nnse(sums, after, lane_cell)

    def by_stream(scores: dict[str, jax.Array], window: str, member: int) -> dict[str, float | None]:
        spread = np.asarray(windows[window].variance)[:, 0]
        return {name: float(scores[name][member]) if spread[row] > 0 else None for row, name in enumerate(STREAMS)}

    members = []
    for member in range(len(values)):
        entry: dict[str, Any] = {
            "nnse": by_stream(scores, "calibration", member),
            "nnse_validation": by_stream(later, "validation", member),
            "j_obs": float(loss[member]),
        }
        if gradient:
            entry["gradient"] = {
                "parameters": dict(zip(PARAMETER_NAMES, np.asarray(slopes[0])[:, member].tolist(), strict=True)),
                "initial_pools": dict(zip(POOL_NAMES, np.asarray(slopes[1])[:, member].tolist(), strict=True)),
            }
        members.append(entry)
    return {"site": cell.name, "members": members}
