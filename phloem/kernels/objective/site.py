"""One cell as the loss reads it, and cells stacked into tables."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeVar

import jax.numpy as jnp
import numpy as np
from jax import Array

from phloem.arithmetic import ceil_div
from phloem.kernels.objective.objective import SiteData
from phloem.kernels.time_loop.day_tables import series

ROW = 64
"""Numbers a cell come in rows of a multiple of this: XLA's code for another length may have other last bits."""

CONSTANT = 1e-20
"""Observations whose squared deviations are below this share of their squares are constant: only rounding is left."""

Part = TypeVar("Part", bound="Site")


@dataclass(frozen=True)
class Site(ABC):
    """One cell, ready for the folds.

    Attributes:
        record: NamedTuple class of the model's observations: of each stream a value and its weight, and, where the
            model reads them, the marks of year ends.
        weather: what the model reads of the forcing, a NamedTuple of float64 (rows,); a row a day, unless `weather_row`
            says otherwise.
        observations: by stream, in the streams' units; float64 (days,), NaN where missing.
        year_end: 1 on marked year ends, (days,).
        training_days: length of the calibration window at the start of the record.
    """

    record: ClassVar[Any]
    weather: Any
    observations: Mapping[str, np.ndarray]
    year_end: np.ndarray
    training_days: int

    @property
    def streams(self) -> tuple[str, ...]:
        """Observed streams, in the order of the record."""
        return tuple(name for name in self.record._fields if f"{name}_weight" in self.record._fields)

    @property
    @abstractmethod
    def facts(self) -> Any:
        """Numbers of the cell that the loss reads, finite, a NamedTuple."""

    @property
    def starts(self) -> Mapping[str, float]:
        """Physical values of unknowns, by name, that a lane begins with instead of drawing them."""
        return {}

    @property
    def days(self) -> int:
        """Number of days."""
        return len(self.year_end)

    @property
    def rows(self) -> int:
        """Number of rows that its longest table has."""
        return max(self.days, len(self.weather[0])) if self.weather_row is None else len(self.weather[0])

    @property
    def weather_row(self) -> np.ndarray | None:
        """Row of the weather for each day, None where each has its own."""
        return None

    @property
    def observed_row(self) -> np.ndarray | None:
        """Row of the observations for each day, None where each has its own."""
        return None

    @property
    def validation(self) -> slice:
        """Days after the calibration window."""
        return slice(self.training_days, self.days)

    def observed(self, window: str) -> tuple[Any, list[float]]:
        """Return the observations and weights of a window, and what each stream's squared errors are measured by.

        Args:
            window: `calibration` or `validation`.

        Returns:
            A NamedTuple of float64 (rows,), 0 with weight 0 where missing, so that NaN never enters a sum; and the sum
            of squared deviations of each stream, 0 where it is not observed or constant.
        """
        days = slice(0, self.training_days) if window == "calibration" else self.validation
        inside = np.zeros(self.days, bool)
        inside[days] = True
        values: dict[str, np.ndarray] = {"year_end": self.year_end} if "year_end" in self.record._fields else {}
        spread = []
        for name in self.streams:
            values[name], values[f"{name}_weight"], squares = weighted(self.observations[name], inside)
            spread.append(squares)
        return self.record(**values), spread

    def cut(self: Part, days: slice) -> Part:
        """Return some whole years of the calibration window, all of them calibration days.

        The last day's mark is left out, as a record ends before its last year's mean can be compared with another's
        start.
        """
        marks = np.array(self.year_end[days])
        marks[-1] = 0
        return replace(
            self,
            weather=type(self.weather)(*(values[days] for values in self.weather)),
            observations={name: values[days] for name, values in self.observations.items()},
            year_end=marks,
            training_days=len(marks),
        )


def site_data(sites: Sequence[Site], dtype: Any, window: str = "calibration", least: int = 0) -> SiteData:
    """Stack cells for the objective.

    Args:
        sites: the cells.
        dtype: floating type of tables and results.
        window: `calibration` or `validation`: the days on which observations weigh.
        least: days that the tables have at least, so that those of other cells can have their shape.

    Returns:
        The tables; masked observations are 0 with weight 0, so that NaN never enters a sum. A lone cell stands in
        them twice.
    """
    if len(sites) == 1:  # a table of one cell compiles to other code, with other last bits, than one of several
        sites = [*sites, *sites]
    found = [one.observed(window) for one in sites]
    one = sites[0]
    tables = series(
        [one.weather for one in sites],
        [observed for observed, _ in found],
        dtype,
        weather_row=one.weather_row,
        observed_row=one.observed_row,
        least=least if one.weather_row is None else 0,
    )
    facts = [one.facts for one in sites]
    return SiteData(
        series=tables,
        variance=_row([spread for _, spread in found], dtype).T,
        marked=_row([one.year_end.sum() for one in sites], dtype),
        days=_row([one.days for one in sites], dtype),
        facts=type(facts[0])(*(_row(column, dtype) for column in zip(*facts, strict=True))),
    )


def weighted(seen: np.ndarray, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Return observations with 0 where there is none, their weights, and the sum of their squared deviations.

    Args:
        seen: NaN where missing, (rows,).
        inside: which rows count, bool (rows,).
    """
    seen = np.asarray(seen, float)
    weight = np.zeros(len(seen))
    weight[inside] = np.isfinite(seen[inside])
    filled = np.where(weight > 0, seen, 0.0)
    count = weight.sum()
    mean = filled.sum() / count if count else 0.0
    squares = (weight * (filled - mean) ** 2).sum()
    return filled, weight, float(squares) if squares > CONSTANT * (filled**2).sum() else 0.0


def _row(numbers: Any, dtype: Any) -> Array:
    """Return one number (or row) a cell, repeated from the first cell on up to the next multiple of ROW cells."""
    values = np.array(numbers, dtype)
    return jnp.asarray(np.resize(values, (ceil_div(len(values), ROW) * ROW, *values.shape[1:])))
