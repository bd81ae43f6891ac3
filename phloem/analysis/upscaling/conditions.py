"""What the process baselines need of rows: absorbed light, net radiation, pressure, dryness, in SI units."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from phloem.analysis.upscaling.flux_rows import Columns
from phloem.analysis.upscaling.row_blocks import by_blocks
from phloem.analysis.upscaling.upscaling_settings import BaselineOptions
from phloem.errors import InputError
from phloem.kernels.models.baselines import air, canopy_light, net_radiation
from phloem.names import PERIOD

NEEDED = ("TA", "VPD", "SWIN", "CO2", "month")
"""Columns without which no baseline can be computed."""
USED = (
    *NEEDED, "PA", "RNET", "FAPAR", "NDVI", "LAI", "lat", "elevation", "c4_fraction", "ndvi_min", "ndvi_max",
    "fapar_max",
)  # fmt: skip
LEAF_ON = 15.0  # degC: monthly mean from which a canopy without any series of leaves counts as full grown
MAX_FAPAR = 0.95  # uflux.md section 1; beyond it no leaf area is told


@dataclass(frozen=True, eq=False)
class Conditions:
    """Conditions of rows, each float64 or bool (rows,); NaN where neither measured nor to be had from the rest.

    Attributes:
        ta: air temperature, degC.
        pa: air pressure, Pa.
        vpd: vapour pressure deficit, Pa.
        co2: ppm.
        swin: incoming shortwave, W m-2.
        ppfd: photosynthetic photons, umol m-2 s-1.
        fapar: absorbed share of that light.
        fapar_filled: whether no series of leaves was known: from the place's NDVI range and temperature.
        ndvi: vegetation index.
        lai: leaf area index; from absorbed light where not known.
        rnet: net radiation, W m-2.
        rnet_filled: whether by FAO-56.
        c4: C4 share of vegetation, 0 where unknown.
    """

    ta: np.ndarray
    pa: np.ndarray
    vpd: np.ndarray
    co2: np.ndarray
    swin: np.ndarray
    ppfd: np.ndarray
    fapar: np.ndarray
    fapar_filled: np.ndarray
    ndvi: np.ndarray
    lai: np.ndarray
    rnet: np.ndarray
    rnet_filled: np.ndarray
    c4: np.ndarray


def conditions_of(columns: Columns, options: BaselineOptions) -> Conditions:
    """Return what the baselines need of rows, each row from its own columns (uflux.md section 10.10).

    Absorbed light is FAPAR, else of NDVI, else of LAI; else of the place's NDVI range, at its lower end at 0 degC and
    at its upper from 15 degC on, and flagged. NDVI is as given, else its range at the place scaled with absorbed light
    over the place's greatest. Net radiation that is missing is computed by FAO-56 and flagged, pressure is computed
    from elevation, shares of C4 that are missing are 0.

    Args:
        columns: drivers of the rows.
        options: choices of the baselines.

    Raises:
        InputError: a column that every baseline needs is not there.
    """
    absent = [name for name in NEEDED if name not in columns]
    if absent:
        raise InputError(f"baselines need {', '.join(NEEDED)}; the rows have no {', '.join(absent)}")
    missing = np.full(len(columns["month"]), np.nan)
    values = by_blocks(_compiled(options.ppfd), {name: columns.get(name, missing) for name in USED})
    flags = {name: values.pop(name) > 0.0 for name in ("fapar_filled", "rnet_filled")}
    return Conditions(**values, **flags)


@cache
def _compiled(ppfd: float) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return `_conditions` for some photons a joule, compiled."""

    def conditions(columns: dict[str, Any]) -> dict[str, Any]:
        return _conditions(columns, ppfd)

    compiled: Callable[[dict[str, Any]], dict[str, Any]] = jax.jit(conditions)
    return compiled


def _conditions(c: dict[str, Any], ppfd: float) -> dict[str, Any]:
    """Return the fields of `Conditions` for a block of rows, flags as 0 and 1."""
    ndvi_range = c["ndvi_max"] - c["ndvi_min"]
    known = _first(c["FAPAR"], canopy_light.fapar_of_ndvi(c["NDVI"]), canopy_light.fapar_of_lai(c["LAI"]))
    guess = canopy_light.fapar_of_ndvi(c["ndvi_min"] + ndvi_range * jnp.clip(c["TA"] / LEAF_ON, 0.0, 1.0))
    fapar = _first(known, guess)
    ndvi = _first(
        c["NDVI"], c["ndvi_min"] + ndvi_range * jnp.clip(fapar / _first(c["fapar_max"], jnp.ones_like(fapar)), 0.0, 1.0)
    )
    pa = _first(100.0 * c["PA"], air.pressure_of_elevation(c["elevation"]))
    middle = (jnp.mod(c["month"], 12.0) + 0.5) * PERIOD / 12.0
    vpd = 100.0 * c["VPD"]
    computed = net_radiation.net_radiation(c["SWIN"], c["TA"], vpd, c["elevation"], c["lat"], middle)
    return {
        "ta": c["TA"],
        "pa": pa,
        "vpd": vpd,
        "co2": c["CO2"],
        "swin": c["SWIN"],
        "ppfd": canopy_light.ppfd_of_shortwave(c["SWIN"], factor=ppfd),
        "fapar": fapar,
        "fapar_filled": jnp.where(jnp.isnan(known), 1.0, 0.0),
        "ndvi": ndvi,
        "lai": _first(c["LAI"], -jnp.log1p(-jnp.minimum(fapar, MAX_FAPAR)) / canopy_light.EXTINCTION),
        "rnet": _first(c["RNET"], computed),
        "rnet_filled": jnp.where(jnp.isnan(c["RNET"]), 1.0, 0.0),
        "c4": _first(c["c4_fraction"], jnp.zeros_like(fapar)),
    }


def _first(*choices: Any) -> Any:
    """Return, row by row, the first of some columns that is not missing."""
    values = choices[0]
    for other in choices[1:]:
        values = jnp.where(jnp.isnan(values), other, values)
    return values
