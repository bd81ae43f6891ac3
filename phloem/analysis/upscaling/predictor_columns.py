"""Predictors of fluxes: which there are, and their table, from drivers, conditions and baselines of rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from phloem.analysis.upscaling.conditions import Conditions
from phloem.analysis.upscaling.flux_rows import Columns
from phloem.analysis.upscaling.place_climate import PLACE_COLUMNS
from phloem.errors import InputError, did_you_mean
from phloem.io.flux_towers.tower_quantities import IGBP

MEASURED = (
    "NIRv", "NDVI", "FAPAR", "LAI", "TA", "TS", "VPD", "VPD_DAY", "SWIN", "LWIN", "RNET", "P", "CO2", "PA", "WS",
    "elevation", "lat", "c4_fraction", "ndvi_min", "ndvi_max", "fapar_max",
)  # fmt: skip
"""Columns of the rows that are predictors as they are."""
COMPUTED = ("month_sin", "month_cos", "iwue", "fapar", "ndvi", "net_radiation", "baseline_gpp", "baseline_le")
"""Season, intrinsic water use efficiency in umol mol-1, conditions with their gaps filled, and baselines."""
KOPPEN_CLASSES = 30
CLASSES = {
    "igbp": tuple(f"igbp_{name}" for name in IGBP),
    "koppen": tuple(f"koppen_{number}" for number in range(1, KOPPEN_CLASSES + 1)),
}
"""One predictor a class, 1 where the place is of it; by the name that stands for all classes that occur."""
STANDARD = "standard"
"""The name that stands for all predictors of `available_predictors`."""
GROUPS = {**CLASSES, "place": PLACE_COLUMNS}
"""Names that stand for several predictors, those of them that have values."""
VALID = (*MEASURED, *COMPUTED, *(name for names in CLASSES.values() for name in names), *PLACE_COLUMNS)


def available_predictors(columns: Columns) -> tuple[str, ...]:
    """Return the predictors that some row has a value of, of classes those that occur.

    What places' other months tell (`PLACE_COLUMNS`) is not among them: at towers left out it did not help, and cost
    twice the time.

    Args:
        columns: drivers of the rows.
    """
    names = [name for name in MEASURED if name in columns and np.isfinite(columns[name]).any()]
    occurring = [
        name
        for key, names in CLASSES.items()
        if key in columns
        for number, name in enumerate(names, 1)
        if (columns[key] == number).any()
    ]
    return (*names, *COMPUTED, *occurring)


def chosen_predictors(columns: Columns, names: Sequence[str]) -> tuple[str, ...]:
    """Return the predictors that are meant by some names; all that are available where none is given.

    Args:
        columns: drivers of the rows that a model will be fitted to.
        names: predictors; "igbp" and "koppen" stand for all classes that occur, "place" for all of `PLACE_COLUMNS`
            with values, "standard" for all that are meant where no name is given.

    Raises:
        InputError: a name that is no predictor, one twice, or one that no row has a value of.
    """
    available = available_predictors(columns)
    if not names:
        return available
    placed = [name for name in PLACE_COLUMNS if name in columns and np.isfinite(columns[name]).any()]
    groups = {STANDARD: available, **GROUPS}
    chosen: list[str] = []
    for name in names:
        if name not in VALID and name not in groups:
            raise InputError(
                f"predictor {name!r} is not known.{did_you_mean(name, (*VALID, *groups))} "
                f"Those with values here: {', '.join((*available, *placed))}"
            )
        meant = [one for one in groups.get(name, (name,)) if one in available or one in placed]
        if not meant:
            raise InputError(
                f"predictor {name!r} has no value in any row. Those with values: {', '.join((*available, *placed))}"
            )
        chosen += meant
    twice = sorted({name for name in chosen if chosen.count(name) > 1})
    if twice:
        raise InputError(f"predictor {twice[0]!r} is named twice")
    return tuple(chosen)


def predictor_table(
    columns: Columns, conditions: Conditions, baselines: Mapping[str, np.ndarray], flux: str, names: Sequence[str]
) -> np.ndarray:
    """Return the values of predictors, float32 (rows, predictors), NaN where a row has none.

    No predictor depends on constants that are fitted, so that one table serves all folds and members.

    Args:
        columns: drivers of the rows.
        conditions: of the same rows.
        baselines: gpp, le and iwue of `baseline_fluxes.fixed_baselines`.
        flux: the table is for.
        names: predictors, of `VALID`.

    Raises:
        InputError: a predictor that the rows have no column for.
    """
    table = np.empty((len(columns["month"]), len(names)), dtype=np.float32)
    for i, name in enumerate(names):
        table[:, i] = _predictor(columns, conditions, baselines, name)
    return table


def _predictor(columns: Columns, conditions: Conditions, baselines: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """Return the values of one predictor, (rows,)."""
    kind, _, label = name.partition("_")
    if kind in CLASSES and name in CLASSES[kind] and kind in columns:
        number = CLASSES[kind].index(name) + 1
        return np.where(np.isnan(columns[kind]), np.nan, columns[kind] == number)
    if name in columns:
        return columns[name]
    season = 2.0 * np.pi * (np.mod(columns["month"], 12.0) + 0.5) / 12.0
    if name == "month_sin":
        return np.sin(season)
    if name == "month_cos":
        return np.cos(season)
    if name == "iwue":
        return baselines["iwue"]
    if name == "net_radiation":
        return conditions.rnet
    if name in ("fapar", "ndvi"):
        return np.asarray(getattr(conditions, name))
    if kind == "baseline" and label in baselines:
        return baselines[label]
    raise InputError(f"the rows have no {name!r}, which is a predictor of the model")
