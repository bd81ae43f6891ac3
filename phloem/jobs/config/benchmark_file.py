"""The benchmark file: the references that a campaign is compared with, read into a typed tree."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, model_validator

from phloem.io.files.time_axis import StampsAt
from phloem.io.merge.member_statistics import SCREENING_RCV
from phloem.jobs.config.toml_file import assign, load_toml, validate
from phloem.model_tables import ModelTables
from phloem.typed_tables import Above, Positive, Section, Year, Years

GROWTH_AGE = 100
"""Years of age at which biomass is compared with growth curves where the file names no other, as after forward runs."""

KIND = "benchmark file"
"""What messages call it."""

_NAME = Annotated[str, Field(pattern=r"^[A-Za-z0-9][^/\\]*$", max_length=60)]
Level = int | float | str | list[int]
Statistic = Literal["median", "mean", "p25", "p75"]


def valid_quantities(tables: ModelTables) -> tuple[str, ...]:
    """Return what a table can be compared with, and a map beside daily outputs.

    A name that is both a parameter's and a derived quantity's is that of the latter (turnover a year, 1 / A).
    """
    derived = tables.derived.names
    parameters = (name for name in tables.parameter_names if name not in derived)
    return (*derived, *parameters, *(stock.name for stock in tables.stocks))


def _tables(info: ValidationInfo) -> ModelTables:
    """The model's tables, which whoever reads a benchmark file gives."""
    if not isinstance(info.context, ModelTables):
        raise TypeError("a benchmark file is read with the tables of a model")
    return info.context


def _check_quantity(name: str, valid: Sequence[str]) -> None:
    """Refuse, as a ValueError, a quantity that there is not."""
    if name not in valid:
        near = difflib.get_close_matches(name, valid, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"unknown quantity {name!r}.{hint} Valid are {', '.join(valid)}")


def _check_compared(name: str, tables: ModelTables) -> None:
    """Refuse, as a ValueError, a daily output that cannot be compared."""
    _check_quantity(name, [one.name for one in tables.compared])


def _check_statistic(quantity: str, statistic: str, tables: ModelTables) -> None:
    """Refuse, as a ValueError, a statistic that a day of the year has not."""
    if quantity in tables.periods and statistic != "median":
        raise ValueError(f'{quantity} is a day of the year, which has no lowest: statistic must be "median"')


class _Values(Section):
    """Conversion of a file's values to those of a quantity: (value in its unit) x scale + offset, converted."""

    units: str = ""
    scale: float = 1.0
    offset: float = 0.0


class _Screened(Section):
    """Conditions on the members that speak for a cell."""

    screened: bool = True
    statistic: Statistic = "median"


class MapReference(_Values, _Screened):
    """A map of a parameter, a derived quantity, a stock, or the mean of a daily output.

    `years` compares pools at the ends of these years, or means of daily outputs over them, with the map's own years;
    `mean_years`, the first and the last, one mean of a daily output with one map; `age` forward runs.
    """

    kind: Literal["map"]
    name: _NAME
    quantity: str
    path: str
    variable: str
    select: dict[str, Level] = Field(default_factory=dict)
    method: Literal["mean", "nearest"] = "mean"
    years: Annotated[list[Year], Field(min_length=1)] | None = None
    mean_years: Years | None = None
    age: Positive | None = None

    @model_validator(mode="after")
    def _fits(self, info: ValidationInfo) -> MapReference:
        tables = _tables(info)
        daily = [one.name for one in tables.compared]
        _check_quantity(self.quantity, [*valid_quantities(tables), *daily])
        _check_statistic(self.quantity, self.statistic, tables)
        stocks = [stock.name for stock in tables.stocks]
        if self.years and self.quantity not in (*stocks, *daily):
            raise ValueError(f"years go with {', '.join((*stocks, *daily))}; {self.quantity} is of no year")
        if self.quantity in daily and (self.years is None) == (self.mean_years is None):
            raise ValueError(
                f"{self.quantity} is of days: mean_years = [first, last] says over which years its mean is compared "
                "with the map, or years = [...] which years the map has"
            )
        if self.mean_years and self.quantity not in daily:
            raise ValueError(f"mean_years goes with {', '.join(daily)}")
        if self.mean_years and self.mean_years[0] > self.mean_years[1]:
            raise ValueError(f"mean_years must ascend, as [2001, 2010]; got {self.mean_years}")
        if self.age and (self.quantity != "biomass" or self.years):
            raise ValueError('age goes with quantity = "biomass", and not with years: forward runs keep live biomass')
        return self


class TableReference(_Values, _Screened):
    """A table of points, whose rows are averaged by cell; `columns` maps quantities to columns."""

    kind: Literal["table"]
    name: _NAME
    path: str
    columns: Annotated[dict[str, str], Field(min_length=1)]
    cell: str = ""
    latitude: str = "latitude"
    longitude: str = "longitude"
    renormalise: list[str] = Field(default_factory=list)
    where: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _fits(self, info: ValidationInfo) -> TableReference:
        tables = _tables(info)
        for name in self.columns:
            _check_quantity(name, valid_quantities(tables))
            _check_statistic(name, self.statistic, tables)
        if strange := [name for name in self.renormalise if name not in self.columns]:
            raise ValueError(f"renormalise has {strange[0]!r}, which is not among columns: {', '.join(self.columns)}")
        return self


class GrowthReference(_Screened):
    """Growth curves of the store: against forward runs, or the run itself where there are none."""

    kind: Literal["growth"]
    name: _NAME = "growth curves"
    age: Positive = GROWTH_AGE
    screened: bool = False


class SnapshotReference(_Screened):
    """The store's biomass of the mature forest, against the run's end."""

    kind: Literal["snapshot"]
    name: _NAME = "biomass of the mature forest"
    screened: bool = False


class WithheldReference(Section):
    """Observations of the validation years; by default of all streams that have any."""

    kind: Literal["withheld"]
    streams: Annotated[list[str], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _fits(self, info: ValidationInfo) -> WithheldReference:
        for name in self.streams or ():
            _check_compared(name, _tables(info))
        return self


class SeriesReference(_Values):
    """Monthly series of a CF file, against means of the simulated months.

    `stamps` says where stamps stand in their months if the file has no time bounds.
    """

    kind: Literal["series"]
    name: _NAME
    quantity: str
    path: str
    variable: str
    years: Years
    select: dict[str, Level] = Field(default_factory=dict)
    method: Literal["mean", "nearest"] = "mean"
    stamps: StampsAt = "begin"

    @model_validator(mode="after")
    def _fits(self, info: ValidationInfo) -> SeriesReference:
        _check_compared(self.quantity, _tables(info))
        if self.years[0] > self.years[1]:
            raise ValueError(f"years must ascend, as [2008, 2014]; got {self.years}")
        return self


class Stratum(Section):
    """A map of classes, by which scores are broken down; `names` are those of its numbers."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    path: str
    variable: str
    select: dict[str, Level] = Field(default_factory=dict)
    names: dict[str, str] = Field(default_factory=dict)


Reference = Annotated[
    MapReference | TableReference | GrowthReference | SnapshotReference | WithheldReference | SeriesReference,
    Field(discriminator="kind"),
]


class BenchmarkFile(Section):
    """A benchmark file."""

    cells: Positive = 500
    rcv_limit: Above = SCREENING_RCV
    reference: Annotated[list[Reference], Field(min_length=1)]
    stratum: list[Stratum] = Field(default_factory=list)


def load_benchmark_file(path: Path, tables: ModelTables, assignments: Sequence[str] = ()) -> BenchmarkFile:
    """Read a benchmark file.

    Args:
        path: the TOML file.
        tables: of the model that is compared.
        assignments: `key.path=value` texts that override it; references are numbered from 0.

    Raises:
        InputError: unreadable file, unknown key (the valid ones are named), bad value.
    """
    return load_toml(path, BenchmarkFile, KIND, lambda tree: _assign(tree, assignments), tables)


def read_tree(tree: dict[str, Any], where: str, tables: ModelTables, assignments: Sequence[str] = ()) -> BenchmarkFile:
    """Read a tree of keys; errors as of `load_benchmark_file`."""
    _assign(tree, assignments)
    return validate(tree, BenchmarkFile, KIND, where, tables)


def _assign(tree: dict[str, Any], assignments: Sequence[str]) -> None:
    for assignment in assignments:
        assign(tree, assignment, "reference.0.scale=0.47")
