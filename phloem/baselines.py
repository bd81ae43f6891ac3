"""Process baselines of upscaling for notebooks and scripts: `phloem.baselines` (docs/python.md).

Numbers, lists, NumPy and pandas come in and float64 NumPy goes out; xarray comes in, is broadcast by the names of its
dimensions, and xarray goes out; arrays of JAX come in, those under `jit`, `vmap` and `grad` included, and the like goes
out, unchecked. Missing values are NaN or masked, and stay missing. What cannot be in the unit that is asked for is
refused: kelvin for degC, hPa for Pa, a fill value. Where xarray says its `units`, it is converted instead.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ParamSpec

import jax
import numpy as np

from phloem.errors import InputError
from phloem.io.files.units import conversion
from phloem.kernels.models.baselines import air, canopy_light, evaporation, respiration, water
from phloem.kernels.models.baselines import net_radiation as radiation
from phloem.kernels.models.baselines import p_model as production
from phloem.kernels.models.baselines import pt_jpl as soil_and_canopy
from phloem.kernels.models.baselines.evaporation import PriestleyTaylor
from phloem.kernels.models.baselines.p_model import PModel
from phloem.kernels.models.baselines.pt_jpl import PtJpl

__all__ = [
    "PModel",
    "PriestleyTaylor",
    "PtJpl",
    "extraterrestrial_radiation",
    "fapar_of_lai",
    "fapar_of_ndvi",
    "fapar_of_savi",
    "gross_production",
    "lloyd_taylor",
    "mixed_gross_production",
    "ndvi_of_lai",
    "ndvi_of_reflectance",
    "net_radiation",
    "nirv",
    "optimum_temperature",
    "p_model",
    "ppfd_of_shortwave",
    "pressure_of_elevation",
    "priestley_taylor",
    "pt_jpl",
    "q10",
    "relative_humidity",
    "rref_of_fapar",
    "water_density",
    "water_of_latent_heat",
    "water_viscosity",
]

_OPTIONS = frozenset({"pathway", "jmax", "viscosity", "mode", "axis"})
"""Arguments that are no arrays."""

_LIMITS = {
    "ta": (-100.0, 100.0, "degC"),
    "pa": (2e4, 1.2e5, "Pa"),
    "vpd": (-1e3, 2e4, "Pa"),
    "co2": (50.0, 1e4, "ppm"),
    "swin": (-50.0, 1500.0, "W m-2"),
    "rnet": (-500.0, 1500.0, "W m-2"),
    "g": (-500.0, 1500.0, "W m-2"),
    "ppfd": (-100.0, 3000.0, "umol m-2 s-1"),
    "fapar": (-0.1, 1.1, "1"),
    "fapar_max": (-0.1, 1.1, "1"),
    "ndvi": (-1.1, 1.1, "1"),
    "ndvi_min": (-1.1, 1.1, "1"),
    "ndvi_max": (-1.1, 1.1, "1"),
    "nir": (-0.5, 2.0, "1"),
    "red": (-0.5, 2.0, "1"),
    "rh": (-0.1, 1.5, "1"),
    "c4_share": (-1e-6, 1.0 + 1e-6, "1"),
    "lai": (-1e-6, 50.0, "m2 m-2"),
    "elevation": (-1000.0, 10000.0, "m"),
    "latitude": (-90.0, 90.0, "degrees north"),
    "doy": (1.0, 366.0, "day of the year"),
    "topt": (-100.0, 100.0, "degC"),
    "rref": (0.0, sys.float_info.max, "finite numbers"),
}
"""What an argument can be in its unit: wide enough for noise, too narrow for another unit or a fill value."""

_CONVERTED = frozenset(_LIMITS) - {"latitude", "doy", "rref"}
"""Arguments whose unit is one that converts."""

_Parameters = ParamSpec("_Parameters")


def _door(
    kernel: Callable[_Parameters, Any], name: str = "", record: type[PModel | PriestleyTaylor | PtJpl] | None = None
) -> Callable[_Parameters, Any]:
    """Return a kernel that takes what scripts have and gives the like back.

    Args:
        kernel: of arrays of JAX.
        name: in this module, where it is another.
        record: what it returns, where that is no array.
    """
    plain: Callable[..., Any] = kernel
    signature = inspect.signature(kernel)
    name = name or kernel.__name__
    options = _OPTIONS & set(signature.parameters)
    compiled = jax.jit(kernel, static_argnames=tuple(sorted(options)))

    @wraps(kernel)
    def called(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> Any:
        given = signature.bind(*args, **kwargs).arguments
        for key, value in given.items():
            if value is None and signature.parameters[key].default is inspect.Parameter.empty:
                raise InputError(f"baselines.{name}: {key} is None; it has to be given, NaN where missing")
        arrays = {
            key: _in_due_unit(value, key, name)
            for key, value in given.items()
            if key not in options and value is not None
        }
        chosen = {key: value for key, value in given.items() if key in options}
        if any(isinstance(value, jax.Array) for value in arrays.values()):
            return plain(**{key: getattr(value, "values", value) for key, value in arrays.items()}, **chosen)
        if any(map(_has_labels, arrays.values())):
            if "axis" in options:
                raise InputError(f"baselines.{name} goes by the number of an axis: give it arrays (.values)")
            return _by_labels(lambda **numbers: again(**numbers, **chosen), arrays, name, record)
        found = compiled(**_checked(arrays, name), **chosen)
        return jax.tree.map(lambda array: np.array(array)[()], found)

    called.__name__ = called.__qualname__ = name
    called.__module__ = __name__
    again: Callable[..., Any] = called
    return called


def _checked(arrays: Mapping[str, Any], function: str) -> dict[str, np.ndarray]:
    """Return arguments as float64, missing values as NaN.

    Raises:
        InputError: what is no number, not in the unit asked for, infinite, or of shapes that do not fit each other.
    """
    values = {}
    for name, given in arrays.items():
        try:
            value = np.ma.filled(np.ma.asarray(given, float), np.nan) if np.ma.isMA(given) else np.asarray(given, float)
        except (TypeError, ValueError) as error:
            raise InputError(f"baselines.{function}: {name} is not of numbers ({error})") from None
        low, high, unit = _LIMITS.get(name, (-sys.float_info.max, sys.float_info.max, "finite numbers"))
        wrong = (value < low) | (value > high)
        if wrong.any():
            at = tuple(map(int, np.argwhere(wrong)[0]))
            where = f" at {at}" if at else ""
            bounds = f"in {unit}, from {low:g} to {high:g}, NaN where missing"
            raise InputError(f"baselines.{function}: {name} is {value[at]:g}{where}; it is {bounds}")
        values[name] = value
    try:
        np.broadcast_shapes(*(value.shape for value in values.values()))
    except ValueError:
        shapes = ", ".join(f"{name} {value.shape}" for name, value in values.items())
        raise InputError(f"baselines.{function}: shapes do not fit each other: {shapes}") from None
    return values


def _in_due_unit(value: Any, argument: str, function: str) -> Any:
    """Return an argument in its unit, where it says one of its own; as it is where it says none.

    Raises:
        InputError: a unit that does not convert.
    """
    unit = value.attrs.get("units") if _has_labels(value) else None
    if unit is None or argument not in _CONVERTED:
        return value
    wanted = _LIMITS[argument][2]
    factors = conversion(str(unit), wanted)
    if factors is None:
        raise InputError(
            f"baselines.{function}: {argument} says units = {unit!r}; it is in {wanted}, or in what converts to it"
        )
    return value if factors == (1.0, 0.0) else value * factors[0] + factors[1]


def _has_labels(value: Any) -> bool:
    xarray = sys.modules.get("xarray")
    return xarray is not None and isinstance(value, xarray.DataArray)


def _by_labels(
    compute: Callable[..., Any],
    arrays: Mapping[str, Any],
    function: str,
    record: type[PModel | PriestleyTaylor | PtJpl] | None,
) -> Any:
    """Call by the names of dimensions.

    Raises:
        InputError: coordinates that differ.
    """
    import xarray as xr

    outputs = record._fields if record else (function,)
    try:
        found = xr.apply_ufunc(
            lambda *values: compute(**dict(zip(arrays, values, strict=True))),
            *arrays.values(),
            output_core_dims=[() for _ in outputs],
            join="exact",
        )
    except xr.AlignmentError as error:
        raise InputError(f"baselines.{function}: coordinates differ: {error}") from None
    if record is None:
        return found.rename(function)
    return record(*(array.rename(field) for field, array in zip(outputs, found, strict=True)))


water_density = _door(water.density, "water_density")
water_viscosity = _door(water.viscosity, "water_viscosity")
pressure_of_elevation = _door(air.pressure_of_elevation)
ppfd_of_shortwave = _door(canopy_light.ppfd_of_shortwave)
ndvi_of_reflectance = _door(canopy_light.ndvi_of_reflectance)
nirv = _door(canopy_light.nirv)
fapar_of_ndvi = _door(canopy_light.fapar_of_ndvi)
fapar_of_lai = _door(canopy_light.fapar_of_lai)
ndvi_of_lai = _door(canopy_light.ndvi_of_lai)
p_model = _door(production.p_model, record=PModel)
gross_production = _door(production.gross_production)
mixed_gross_production = _door(production.mixed_gross_production)
q10 = _door(respiration.q10)
lloyd_taylor = _door(respiration.lloyd_taylor)
rref_of_fapar = _door(respiration.rref_of_fapar)
extraterrestrial_radiation = _door(radiation.extraterrestrial_radiation)
net_radiation = _door(radiation.net_radiation)
priestley_taylor = _door(evaporation.priestley_taylor, record=PriestleyTaylor)
water_of_latent_heat = _door(evaporation.water_of_latent_heat)
fapar_of_savi = _door(soil_and_canopy.fapar_of_savi)
relative_humidity = _door(soil_and_canopy.relative_humidity)
optimum_temperature = _door(soil_and_canopy.optimum_temperature)
pt_jpl = _door(soil_and_canopy.pt_jpl, record=PtJpl)
