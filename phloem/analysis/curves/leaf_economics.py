"""The leaf economics line: ln leaf lifespan (years) = alpha + gamma ln LCMA (gC m-2), of EDC7 (docs/growth.md)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import linregress

from phloem.errors import InputError
from phloem.io.files.csv_table import Row, Table, is_missing
from phloem.io.references.growth_curves import CARBON_FRACTION
from phloem.names import PERIOD

LIFESPAN_UNITS: dict[str, Callable[[float], float]] = {
    "years": lambda value: value,
    "months": lambda value: value / 12.0,
    "days": lambda value: value / PERIOD,
}
"""Ends of a column name of leaf lifespan, and what turns its values into years."""

MASS_UNITS: dict[str, Callable[[float], float]] = {
    "lma_g_m2": lambda value: value,
    "lma_kg_m2": lambda value: 1000.0 * value,
    "sla_m2_kg": lambda value: 1000.0 / value,
    "sla_mm2_mg": lambda value: 1000.0 / value,
    "sla_cm2_g": lambda value: 10000.0 / value,
}
"""Ends of a column name of leaf mass per area or specific leaf area, and what turns its values into g m-2 of dry mass.
1 mm2 mg-1 = 1 m2 kg-1 = 10 cm2 g-1."""

LIFESPAN_COLUMNS = tuple(f"leaf_lifespan_{unit}" for unit in LIFESPAN_UNITS)
LEAST_LEAVES = 3
EXPECTED_R2 = 0.42
"""Of the compilation that Wu et al. (2026) fitted, Wang et al. (2023)."""


@dataclass(frozen=True, eq=False)
class Leaves:
    """Leaf traits that can be fitted.

    Attributes:
        lifespan: (leaves,) years.
        lcma: (leaves,) leaf carbon mass per area, gC m-2.
        dropped: rows that were left out, by reason.
        source: the file.
    """

    lifespan: np.ndarray
    lcma: np.ndarray
    dropped: dict[str, int]
    source: Path


@dataclass(frozen=True)
class LeafEconomicsFit:
    """The line, by ordinary least squares.

    Attributes:
        alpha: intercept, ln years.
        gamma: slope, ln years per ln(gC m-2).
        sigma: standard deviation of the residuals, with n - 2 degrees of freedom, ln years.
        alpha_se, gamma_se: standard errors.
        r2: squared correlation.
        p: two-sided probability of such a slope where there is none (t test).
        n: number of leaves.
    """

    alpha: float
    gamma: float
    sigma: float
    alpha_se: float
    gamma_se: float
    r2: float
    p: float
    n: int

    def lifespan(self, lcma: np.ndarray) -> np.ndarray:
        """Return leaf lifespan in years of leaf carbon mass per area in gC m-2, of its shape."""
        return np.exp(self.alpha + self.gamma * np.log(lcma))

    def toml(self) -> str:
        """Return lines of a campaign file."""
        return (
            "[experiment.leaf_economics]\n"
            f"alpha = {self.alpha:.6g}  # ln years\n"
            f"gamma = {self.gamma:.6g}  # ln years per ln(gC m-2)\n"
            f"sigma = {self.sigma:.6g}  # standard deviation of the residuals; n = {self.n}, R2 = {self.r2:.3f}\n"
        )


def read_leaves(
    path: Path, lifespan: str | None = None, mass: str | None = None, carbon_fraction: float = CARBON_FRACTION
) -> Leaves:
    """Read a table of leaf traits, one row a leaf, a species or a site.

    Args:
        path: a CSV table.
        lifespan: column of leaf lifespan; by default the one that is there of `LIFESPAN_COLUMNS`.
        mass: column of leaf mass per area or specific leaf area; by default the one that is there of `MASS_UNITS`.
            A column's unit is how its name ends; a column of another name is given as `NAME:UNIT`, such as
            `LL:months` or `SLA:sla_mm2_mg`.
        carbon_fraction: carbon in dry leaf mass, g g-1.

    Returns:
        The leaves whose two values are greater than 0, and how many rows were left out for which reason.

    Raises:
        InputError: no such file or column, several that could be meant, an unknown unit, or a carbon fraction outside
            0..1.
    """
    if not 0.0 < carbon_fraction <= 1.0:
        raise InputError(f"carbon fraction {carbon_fraction:g}: a share greater than 0 and at most 1 is due")
    table = Table(path)
    span, to_years = _choose(table, "leaf lifespan", lifespan, LIFESPAN_COLUMNS, LIFESPAN_UNITS)
    weight, to_mass = _choose(table, "leaf mass per area", mass, tuple(MASS_UNITS), MASS_UNITS)
    pairs: list[tuple[float, float]] = []
    dropped: Counter[str] = Counter()
    for row in table.rows():
        reason = _fault(row, span) or _fault(row, weight)
        if reason:
            dropped[reason] += 1
        else:
            pairs.append((to_years(float(row.values[span])), carbon_fraction * to_mass(float(row.values[weight]))))
    years, lcma = np.array(pairs, np.float64).reshape(-1, 2).T
    return Leaves(years, lcma, dict(dropped), Path(path))


def fit_leaf_economics_line(leaves: Leaves) -> LeafEconomicsFit:
    """Fit ln lifespan on ln LCMA by ordinary least squares.

    Raises:
        InputError: fewer than three leaves, or all of one LCMA.
    """
    n = len(leaves.lcma)
    if n < LEAST_LEAVES:
        reasons = "".join(f"; {count} rows left out: {reason}" for reason, count in leaves.dropped.items())
        raise InputError(f"{leaves.source}: {n} leaves can be used; a line needs {LEAST_LEAVES}{reasons}")
    x, y = np.log(leaves.lcma), np.log(leaves.lifespan)
    if np.ptp(x) <= 1e-9:
        raise InputError(f"{leaves.source}: all {n} leaves have one mass per area ({leaves.lcma[0]:g} gC m-2)")
    line = linregress(x, y)
    misfit = y - line.intercept - line.slope * x
    return LeafEconomicsFit(
        alpha=float(line.intercept),
        gamma=float(line.slope),
        sigma=math.sqrt(float(np.sum(misfit**2)) / (n - 2)),
        alpha_se=float(line.intercept_stderr),
        gamma_se=float(line.stderr),
        r2=float(line.rvalue**2),
        p=float(line.pvalue),
        n=n,
    )


def _fault(row: Row, column: str) -> str:
    """Why the value of a column cannot be used; empty where it can."""
    text = row.values[column]
    if is_missing(text):
        return f"no {column}"
    try:
        value = float(text)
    except ValueError:
        return f"{column} is not a number"
    return "" if 0.0 < value < math.inf else f"{column} is not greater than 0"


def _choose(
    table: Table, what: str, column: str | None, usual: tuple[str, ...], units: dict[str, Callable[[float], float]]
) -> tuple[str, Callable[[float], float]]:
    """The column of a quantity, and what turns its values into our unit."""
    if column is None:
        there = [name for name in usual if name in table.columns]
        if len(there) != 1:
            problem = f"several columns of {what}: {', '.join(there)}" if there else f"no column of {what}"
            raise InputError(
                f"{table.path}: {problem}; name one (by default one of {', '.join(usual)} is taken). The table has: "
                f"{', '.join(table.columns)}"
            )
        column = there[0]
    name, _, unit = column.rpartition(":") if column not in table.columns else (column, "", column)
    table.require([name or column])
    known = next((known for known in units if unit.lower().endswith(known)), None)
    if known is None:
        raise InputError(
            f"{table.path}: column {name!r} of {what}: which unit? Write {name}:UNIT with one of {', '.join(units)}"
        )
    return name, units[known]
