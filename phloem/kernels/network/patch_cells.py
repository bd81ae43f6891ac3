"""Cells of a box as products have them, and how they become a patch: forcing terms, weights, rows that fill it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Real

from phloem.kernels.models.dalec_monthly.forcing_terms import weather
from phloem.kernels.models.dalec_monthly.mode_switches import switches
from phloem.kernels.models.dalec_monthly.records import MonthlyWeather
from phloem.kernels.network.parameter_network import hemisphere
from phloem.kernels.network.patch_labels import STREAMS, LabelStream, PatchLabels
from phloem.kernels.network.patch_loss import YEAR
from phloem.kernels.network.patch_model import patch_tables
from phloem.kernels.network.patch_outputs import forcing_tables
from phloem.kernels.network.set_ups import HEMISPHERE, standardised
from phloem.kernels.network.training_loss import Patch
from phloem.kernels.time_loop.day_tables import DayTables
from phloem.names import PATCH_FORCING

FORCING = PATCH_FORCING
"""What differs from cell to cell; CO2 is of the month alone."""


@dataclass(frozen=True, eq=False)
class MonthAxis:
    """Months of a record that begins in January.

    Attributes:
        first: the first month.
        count: number of them.
    """

    first: np.datetime64
    count: int

    def __post_init__(self) -> None:
        if self.first.astype("datetime64[M]").astype(int) % YEAR:
            raise ValueError(f"months from {self.first} on: a record begins in January, as means of years do")

    @property
    def _starts(self) -> np.ndarray:
        return (self.first.astype("datetime64[M]") + np.arange(self.count + 1)).astype("datetime64[D]")

    @property
    def edges(self) -> np.ndarray:
        """Begin of each month and of the one after the last, days since 2001-01-01, (months + 1,)."""
        return (self._starts - np.datetime64("2001-01-01")).astype(float)

    @property
    def lengths(self) -> np.ndarray:
        """Days of each month, (months,)."""
        return np.diff(self._starts).astype(float)

    @property
    def time(self) -> np.ndarray:
        """Mean of each month's days, as days since 2001-01-01, (months,)."""
        return self.edges[:-1] + 0.5 * (self.lengths - 1)

    @property
    def doy(self) -> np.ndarray:
        """The same as days of the year, (months,)."""
        starts = self._starts[:-1]
        return (starts - starts.astype("datetime64[Y]")).astype(float) + 1 + 0.5 * (self.lengths - 1)


@dataclass(frozen=True, eq=False)
class PatchCells:
    """Cells of a box, as products have them.

    Attributes:
        latitude: degrees north, (cells,).
        predictors: by name, in their own units, (cells,); the hemisphere follows from the latitude.
        forcing: `FORCING` by name, (months, cells), and `co2`, (months,): without holes.
        reference: long-term mean temperature in degC and precipitation in mm d-1, (cells,) each.
        labels: streams of `PatchLabels` by name, (months, cells), NaN where missing; those there are not have none.
        weights: of labels that count for other than 1, as at towers, (months, cells).
    """

    latitude: np.ndarray
    predictors: Mapping[str, Real[np.ndarray, " cells"]]
    forcing: Mapping[str, np.ndarray]
    reference: tuple[np.ndarray, np.ndarray]
    labels: Mapping[str, Real[np.ndarray, "months cells"]]
    weights: Mapping[str, Real[np.ndarray, "months cells"]]

    def __len__(self) -> int:
        return len(self.latitude)


def patch_of_cells(
    cells: PatchCells,
    months: MonthAxis,
    statistics: Mapping[str, tuple[float, float]],
    rows: int,
    *,
    columns: Sequence[str] | None = None,
    mode: str = "strict",
    dtype: Any = np.float32,
) -> Patch:
    """Return cells as a patch of so many rows: those that are no cells repeat the first and have no label.

    Args:
        cells: at least one.
        months: of their records.
        statistics: mean and population standard deviation of each predictor over the training cells, by name.
        rows: of the patch.
        columns: of the patch's predictors, the hemisphere first; 0 in those without statistics, which no network sees.
            By default those that have them.
        mode: `strict` or `compat`: true lengths of months, or thirty days.
        dtype: floating type of the numbers.

    Raises:
        ValueError: more cells than rows or none, forcing or a predictor that is not finite or is the same everywhere,
            an unknown stream, or a weight below 0.
    """
    _check_rows(cells, rows)
    terms = _weather(cells, months, mode, rows, dtype)
    labels = _labels(cells, months, rows, dtype)
    predictors = predictor_rows(cells, statistics, rows, columns)
    tables = patch_tables(terms, labels, dtype)
    return Patch(jnp.asarray(predictors, dtype), tables, jax.tree.map(jnp.asarray, labels))


def forcing_of_cells(
    cells: PatchCells, months: MonthAxis, rows: int, *, mode: str = "strict", dtype: Any = np.float32
) -> DayTables:
    """Return the forcing alone as the time loop reads it, whole segments of months; arguments as of `patch_of_cells`.

    Raises:
        ValueError: more cells than rows or none, or forcing that is not finite.
    """
    _check_rows(cells, rows)
    return forcing_tables(_weather(cells, months, mode, rows, dtype), dtype)


def _check_rows(cells: PatchCells, rows: int) -> None:
    if not 0 < len(cells) <= rows:
        raise ValueError(f"{len(cells)} cells for a patch of {rows} rows")


def _weather(cells: PatchCells, months: MonthAxis, mode: str, rows: int, dtype: Any) -> MonthlyWeather:
    for name in (*FORCING, "co2"):
        if not np.isfinite(cells.forcing[name]).all():
            raise ValueError(f"forcing {name} is not finite in all months and cells")
    time, doy, lengths = (one[:, None] for one in (months.time, months.doy, months.lengths))
    forcing = {name: np.asarray(cells.forcing[name], float) for name in FORCING}
    forcing["co2"] = np.asarray(cells.forcing["co2"], float)[:, None]
    terms = weather(time, doy, np.asarray(cells.latitude, float), forcing, cells.reference, lengths, switches(mode))
    return MonthlyWeather(*(_filled(one, len(cells), rows, dtype) for one in terms))


def _filled(values: np.ndarray, count: int, rows: int, dtype: Any) -> np.ndarray:
    """Values of cells, (months, cells) or (months, 1), in so many rows: those that are no cells repeat the first."""
    filled = np.empty((len(values), rows), dtype)
    filled[:, :count] = values
    filled[:, count:] = filled[:, :1]
    return filled


def _labels(cells: PatchCells, months: MonthAxis, rows: int, dtype: Any) -> PatchLabels:
    unknown = [name for name in (*cells.labels, *cells.weights) if name not in STREAMS]
    if unknown:
        raise ValueError(f"streams of labels {', '.join(unknown)}: valid are {', '.join(STREAMS)}")
    count, shape = len(cells), (months.count, rows)
    of_none: Any = (np.zeros(shape, dtype),) * 2
    streams: dict[str, Any] = {}
    for name in STREAMS:
        if name not in cells.labels:
            streams[name] = LabelStream(*of_none)
            continue
        values = np.asarray(cells.labels[name])
        weight = np.where(np.isfinite(values), np.asarray(cells.weights.get(name, 1.0)), 0)
        if not (weight >= 0).all():
            raise ValueError(f"weights of {name}: each is a number from 0 on")
        of_cells: Any = np.zeros((2, *shape), dtype)
        of_cells[0, :, :count] = np.where(weight > 0, values, 0)
        of_cells[1, :, :count] = weight
        streams[name] = LabelStream(*of_cells)
    valid, december = np.arange(rows) < count, np.arange(months.count) % YEAR == YEAR - 1
    of_rows: Any = {"valid": valid.astype(dtype), "december": december.astype(dtype)}
    return PatchLabels(**(streams | of_rows))


def predictor_rows(
    cells: PatchCells,
    statistics: Mapping[str, tuple[float, float]],
    rows: int,
    columns: Sequence[str] | None = None,
) -> np.ndarray:
    """Return predictors standardised, (rows, columns), as of `patch_of_cells`; 0 in rows that are no cells.

    Raises:
        ValueError: a predictor that is not finite, or the same everywhere.
    """
    columns = list(statistics) if columns is None else columns
    values = np.stack(
        [hemisphere(cells.latitude) if name == HEMISPHERE else cells.predictors[name] for name in statistics], 1
    )
    for name, column in zip(statistics, values.T, strict=True):
        if not np.isfinite(column).all():
            raise ValueError(f"predictor {name} is not finite in all cells")
    mean, deviation = np.array(list(statistics.values())).T
    filled = np.zeros((rows, len(columns)))
    places = [columns.index(name) for name in statistics]
    filled[: len(cells), places] = standardised(values, mean, deviation, list(statistics))
    return filled
