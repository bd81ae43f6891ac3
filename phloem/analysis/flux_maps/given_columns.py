"""Columns that models of fluxes are applied to, as anyone may give them: names, limits, classes, months."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from phloem.analysis.upscaling.flux_rows import Columns
from phloem.analysis.upscaling.predictor_columns import CLASSES
from phloem.errors import InputError, did_you_mean
from phloem.io.flux_drivers.driver_recipes import DRIVERS, LAND
from phloem.io.flux_drivers.plausible_values import LIMITS, plausible
from phloem.io.flux_towers.tower_quantities import IGBP, OF_SITE, QUANTITIES

KNOWN = (*QUANTITIES, *OF_SITE, "igbp", "month", LAND, "TOPT")
"""Names that columns may have; fluxes and shares of good data among them are not read."""

_OTHER_LIMITS = MappingProxyType({"lat": (-90.0, 90.0), "lon": (-360.0, 360.0), "month": (-11_640.0, 12_360.0)})
_SAID = MappingProxyType({"month": "; months since 1970-01 are due"})


def given_columns(columns: Columns) -> Columns:
    """Return columns as the models read them: drivers with time rounded to float32, as they are fitted to and stored.

    Args:
        columns: by name, float64 (rows,), NaN where missing.

    Raises:
        InputError: a name that is no column, or a value that there cannot be.
    """
    found = {}
    for name, values in columns.items():
        if name not in KNOWN:
            near = next((one for one in KNOWN if one.lower() == name.lower()), name)
            valid = ", ".join((*DRIVERS, *OF_SITE, "igbp", "month"))
            raise InputError(f"column {name!r} is not known.{did_you_mean(near, KNOWN)} Drivers: {valid}")
        found[name] = _checked(name, np.asarray(values, float))
    return found


def _checked(name: str, values: np.ndarray) -> np.ndarray:
    if name in CLASSES:
        count = len(CLASSES[name])
        wrong = ~np.isnan(values) & ~((values >= 1) & (values <= count) & (values == np.round(values)))
        if wrong.any():
            raise InputError(f"column {name}: {values[wrong][0]:g}; classes 1 to {count} are due, NaN where unknown")
        return values
    if name in LIMITS:
        kept, wrong = plausible(name, values)
        low, high = LIMITS[name]
    else:
        low, high = _OTHER_LIMITS.get(name, (-np.inf, np.inf))
        kept, wrong = values, ((values < low) | (values > high)) & (name in _OTHER_LIMITS)
    if wrong.any():
        beyond = np.where(wrong, np.maximum(low - values, values - high), -np.inf)
        unit = {**QUANTITIES, **OF_SITE}[name].unit if name in (*QUANTITIES, *OF_SITE) else ""
        raise InputError(
            f"column {name}: {int(wrong.sum()):,} of {values.size:,} values are outside {low:g} to {high:g}"
            f"{f' {unit}' if unit else ''}, the worst {values[int(beyond.argmax())]:g}{_SAID.get(name, '')}"
        )
    return kept.astype(np.float32).astype(float) if name in DRIVERS else kept


def numbers_of(columns: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return columns as numbers: months of dates, plant classes of their names, all others as they are.

    Args:
        columns: by name, arrays or one value for all rows.

    Raises:
        InputError: texts or dates where numbers are due, or a class that is none.
    """
    return {str(name): _numbers(str(name), np.asarray(columns[name])) for name in columns}


def _numbers(name: str, values: np.ndarray) -> np.ndarray:
    try:
        if name == "month" and values.dtype.kind in "MOUS":
            months = values.astype("datetime64[M]")
            return np.where(np.isnat(months), np.nan, months.astype(np.int64).astype(float))
        if name == "igbp" and values.dtype.kind in "OUS":
            return np.array([_class_number(one) for one in values.reshape(-1).tolist()]).reshape(values.shape)
        if values.dtype.kind in "Mm":
            raise InputError(f"column {name}: dates; numbers are due")
        return values.astype(float)
    except (TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"column {name}: numbers are due, not {values.reshape(-1).tolist()[0]!r}") from None


def _class_number(given: object) -> float:
    """Return the number of a plant class, NaN where nothing is said."""
    text = given.decode(errors="replace") if isinstance(given, bytes) else given
    if not isinstance(text, str):
        return np.nan if text is None else float(text)  # type: ignore[arg-type]
    if text.strip() in ("", "nan"):
        return np.nan
    if text.strip() not in IGBP:
        raise InputError(f"column igbp: {text!r} is no class.{did_you_mean(text, IGBP)} Valid: {', '.join(IGBP)}")
    return IGBP.index(text.strip()) + 1.0
