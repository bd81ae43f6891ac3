"""Growth curves: above-ground biomass against stand age, by half-degree cell (docs/growth.md).

Biomass is dry matter in Mg ha-1, age is in years. Two forms: Richards-Chapman parameters, and a table.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from phloem.errors import InputError
from phloem.io.files.csv_table import Row, Table, cell_name, cell_of, is_missing

CARBON_FRACTION = 0.5
"""Carbon in dry matter, g g-1 (docs/growth.md); the alternative of IPCC (2006), table 4.3, is 0.47."""

GRAMS_PER_AREA = 100.0
"""1 Mg ha-1 = 1e6 g / 1e4 m2 = 100 g m-2."""

DRY_MATTER = GRAMS_PER_AREA * CARBON_FRACTION
"""gC m-2 in a Mg ha-1 of dry matter."""

MAX_BIOMASS = 6000.0
"""Mg ha-1. The densest stands measured, of coast redwood, stay below it (Van Pelt et al. 2016, Forest Ecology and
Management 375, 279-308): more is a mistaken unit."""

SHAPE = ("amax", "k", "c")
"""Columns of a Richards-Chapman curve: Mg ha-1, yr-1, 1."""

PARAMETER_COLUMNS = ("latitude", "longitude", *SHAPE)
TABLE_COLUMNS = ("latitude", "longitude", "age", "agb")


def richards_chapman(age: ArrayLike, amax: ArrayLike, k: ArrayLike, c: ArrayLike) -> np.ndarray:
    """Return above-ground biomass of a stand: AGB(age) = Amax (1 - exp(-k age))^c, and 0 at age 0.

    Richards (1959), doi:10.1093/jxb/10.2.290; Chapman (1961) for forest yield.

    Args:
        age: stand age in years, at least 0; all four broadcast.
        amax: biomass that the stand approaches, Mg ha-1.
        k: rate, yr-1, greater than 0.
        c: form, greater than 0; above 1 growth is slow at first.

    Returns:
        Dry matter in Mg ha-1, float64.

    Raises:
        InputError: an age that is negative or not a number.
    """
    return np.asarray(amax) * (-np.expm1(-np.asarray(k) * _checked_ages(age))) ** np.asarray(c)


def total_biomass(agb: ArrayLike, root_shoot: ArrayLike, carbon_fraction: float = CARBON_FRACTION) -> np.ndarray:
    """Return the carbon of a whole stand: AGB (1 + RS) x 100 x carbon fraction (docs/growth.md).

    Args:
        agb: above-ground dry matter, Mg ha-1.
        root_shoot: root:shoot ratio, 1; broadcasts with `agb`.
        carbon_fraction: carbon in dry matter, g g-1.

    Returns:
        Carbon above and below ground, gC m-2.
    """
    return np.asarray(agb, np.float64) * (1.0 + np.asarray(root_shoot)) * (GRAMS_PER_AREA * carbon_fraction)


@dataclass(frozen=True)
class RichardsChapman:
    """A curve given by its parameters.

    Attributes:
        amax: Mg ha-1.
        k: yr-1.
        c: 1.
    """

    amax: float
    k: float
    c: float

    def agb(self, age: ArrayLike) -> np.ndarray:
        """Return above-ground biomass in Mg ha-1 at ages in years, of the ages' shape."""
        return richards_chapman(age, self.amax, self.k, self.c)


@dataclass(frozen=True, eq=False)
class TabulatedCurve:
    """A curve given by points, straight between them; from 0 at age 0 to the first.

    Attributes:
        ages: (points,) years, ascending.
        values: (points,) Mg ha-1.

    Raises:
        InputError: ages that do not ascend or a biomass at age 0, when it is made.
    """

    ages: np.ndarray
    values: np.ndarray

    def __post_init__(self) -> None:
        falls = np.flatnonzero(np.diff(self.ages) <= 0)
        if falls.size:
            before, after = self.ages[falls[0]], self.ages[falls[0] + 1]
            raise InputError(f"ages must ascend; {after:g} stands after {before:g}")
        if self.ages[0] == 0.0 and self.values[0] != 0.0:
            raise InputError(f"biomass at age 0 must be 0, not {self.values[0]:g} Mg ha-1")

    def agb(self, age: ArrayLike) -> np.ndarray:
        """Return above-ground biomass in Mg ha-1 at ages in years, of the ages' shape.

        Raises:
            InputError: an age beyond the table: nothing is extrapolated.
        """
        ages = _checked_ages(age)
        if ages.size and ages.max() > self.ages[-1]:
            raise InputError(f"age {ages.max():g} is beyond the table, which ends at age {self.ages[-1]:g}")
        return np.interp(ages, np.append(0.0, self.ages), np.append(0.0, self.values))


@dataclass(frozen=True)
class GrowthCurve:
    """The growth curve of a half-degree cell.

    Attributes:
        latitude, longitude: centre of the cell, degrees north and east.
        shape: the curve.
        root_shoot: root:shoot ratio, or None where the table has none.
        sd: standard deviations by column, such as `amax_sd`, of those that the table gives.
        flags: what the fit that made the curve warns of (`young`, `bound`, ...); empty where it warns of nothing.
    """

    latitude: float
    longitude: float
    shape: RichardsChapman | TabulatedCurve
    root_shoot: float | None = None
    sd: dict[str, float] = field(default_factory=dict)
    flags: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The cell, for people."""
        return cell_name((self.latitude, self.longitude))

    def yearly(self, years: int) -> np.ndarray:
        """Return above-ground biomass at ages 1..years.

        Returns:
            Mg ha-1, (years,): the end of simulation year y is age y.

        Raises:
            InputError: a table that ends before; the message names the cell.
        """
        try:
            return self.shape.agb(np.arange(1, years + 1))
        except InputError as error:
            raise InputError(f"growth curve of {self.name}: {error}") from None


def read_growth_curves(path: Path) -> dict[tuple[float, float], GrowthCurve]:
    """Read the growth curves of many cells.

    The table is either of parameters, one row a cell (latitude, longitude, amax, k, c), or of points, one row an age
    (latitude, longitude, age, agb). Both may have `root_shoot`; parameters may have columns that end in `_sd`, and
    `flags` with names between semicolons. Coordinates stand for the half-degree cell that holds them.

    Returns:
        Curves by the centre of their cell (latitude, longitude), in the file's order.

    Raises:
        InputError: a missing column, a value that is not a number or cannot be, a cell that stands twice, or ages
            that do not ascend; the message names file, line or cell, and what is valid.
    """
    table = Table(path)
    has_shape, has_points = set(SHAPE) & set(table.columns), {"age", "agb"} & set(table.columns)
    if not has_shape and not has_points:
        raise InputError(
            f"{path}: neither parameters ({', '.join(PARAMETER_COLUMNS)}) nor points ({', '.join(TABLE_COLUMNS)}); "
            f"the table has: {', '.join(table.columns)}"
        )
    if has_shape and has_points:
        both = ", ".join(sorted(has_shape | has_points))
        raise InputError(f"{path}: columns of parameters and of points in one table ({both}); give one of the two")
    table.require(PARAMETER_COLUMNS if has_shape else TABLE_COLUMNS)
    return _read_parameters(table) if has_shape else _read_points(table)


def _read_parameters(table: Table) -> dict[tuple[float, float], GrowthCurve]:
    curves: dict[tuple[float, float], GrowthCurve] = {}
    lines: dict[tuple[float, float], int] = {}
    spreads = [name for name in table.columns if name.endswith("_sd")]
    for row in table.rows():
        cell = cell_of(row)
        if cell in curves:
            raise InputError(f"{row.where}: cell {cell_name(cell)} stands already on line {lines[cell]}")
        lines[cell] = row.line
        curves[cell] = GrowthCurve(
            *cell,
            RichardsChapman(_biomass(row, "amax", above=0.0), row.number("k", above=0.0), row.number("c", above=0.0)),
            _root_shoot(row),
            {name: row.number(name, least=0.0) for name in spreads if not is_missing(row.values[name])},
            tuple(flag.strip() for flag in row.values.get("flags", "").split(";") if flag.strip()),
        )
    return curves


def _read_points(table: Table) -> dict[tuple[float, float], GrowthCurve]:
    points: dict[tuple[float, float], list[tuple[float, float]]] = {}
    ratios: dict[tuple[float, float], float | None] = {}
    for row in table.rows():
        cell, ratio = cell_of(row), _root_shoot(row)
        if ratios.setdefault(cell, ratio) != ratio:
            raise InputError(
                f"{row.where}: cell {cell_name(cell)} has root_shoot {ratio} here and {ratios[cell]} above"
            )
        points.setdefault(cell, []).append((row.number("age", least=0.0), _biomass(row, "agb", least=0.0)))
    curves = {}
    for cell, pairs in points.items():
        ages, values = np.array(pairs).T
        try:
            curves[cell] = GrowthCurve(*cell, TabulatedCurve(ages, values), ratios[cell])
        except InputError as error:
            raise InputError(f"{table.path}: cell {cell_name(cell)}: {error}") from None
    return curves


def _biomass(row: Row, name: str, **limits: float) -> float:
    value = row.number(name, **limits)
    if value > MAX_BIOMASS:
        raise InputError(
            f"{row.where}: {name} = {value:g} is more than any forest holds ({MAX_BIOMASS:g}); it must be dry matter "
            "in Mg ha-1"
        )
    return value


def _root_shoot(row: Row) -> float | None:
    ratio = row.optional("root_shoot", least=0.0)
    return None if np.isnan(ratio) else ratio


def _checked_ages(age: ArrayLike) -> np.ndarray:
    ages = np.asarray(age, np.float64)
    wrong = ages[~(ages >= 0.0)]
    if wrong.size:
        raise InputError(f"age {wrong.flat[0]:g}: a stand's age in years is at least 0")
    return ages
