"""Stands: measured above-ground biomass and age of forest plots, by half-degree cell."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from phloem.errors import InputError
from phloem.io.files.csv_table import Table, cell_name, cell_of
from phloem.io.references.growth_curves import MAX_BIOMASS

STAND_COLUMNS = {
    "latitude": ("latitude", "cell_lat"),
    "longitude": ("longitude", "cell_lon"),
    "age": ("age", "stand_age_yr"),
    "agb": ("agb", "agb_Mg_ha"),
}
"""Columns of a table of stands, by the names that are understood; the second are those of the GROA table of
Cook-Patton et al. (2020), doi:10.1038/s41586-020-2686-x."""


@dataclass(frozen=True, eq=False)
class Stands:
    """The stands of a half-degree cell.

    Attributes:
        latitude, longitude: centre of the cell, degrees north and east.
        ages: (stands,) years.
        agb: (stands,) above-ground dry matter, Mg ha-1.
        lines: (stands,) lines of the file.
        repeats: stands left out because one of the same age and biomass stands before them.
    """

    latitude: float
    longitude: float
    ages: np.ndarray
    agb: np.ndarray
    lines: np.ndarray
    repeats: int = 0

    @property
    def name(self) -> str:
        """The cell, for people."""
        return cell_name((self.latitude, self.longitude))


def read_stands(path: Path) -> dict[tuple[float, float], Stands]:
    """Read a table of stands, one row a stand.

    A second stand of the same cell, age and biomass is taken for the first one listed again, and left out: counted
    twice it would make a curve look more certain than it is.

    Args:
        path: CSV with the columns of `STAND_COLUMNS`, under either name.

    Returns:
        Stands by the centre of their cell (latitude, longitude), from south to north and west to east.

    Raises:
        InputError: a missing column, or a value that is not a number or cannot be; the message names file and line.
    """
    table = Table(path)
    named = {
        what: next((name for name in names if name in table.columns), None) for what, names in STAND_COLUMNS.items()
    }
    missing = [" or ".join(STAND_COLUMNS[what]) for what, name in named.items() if name is None]
    if missing:
        raise InputError(f"{path}: missing columns: {', '.join(missing)}; the table has: {', '.join(table.columns)}")
    columns = {what: name for what, name in named.items() if name is not None}
    seen: dict[tuple[float, float], dict[tuple[float, float], int]] = {}
    repeats: dict[tuple[float, float], int] = {}
    for row in table.rows():
        cell = cell_of(row, columns["latitude"], columns["longitude"])
        stand = row.number(columns["age"], least=0.0), row.number(columns["agb"], least=0.0, most=MAX_BIOMASS)
        if seen.setdefault(cell, {}).setdefault(stand, row.line) != row.line:
            repeats[cell] = repeats.get(cell, 0) + 1
    return {cell: _stands(cell, stands, repeats.get(cell, 0)) for cell, stands in sorted(seen.items())}


def _stands(cell: tuple[float, float], stands: dict[tuple[float, float], int], repeats: int) -> Stands:
    ages, agb = np.array(list(stands)).T
    return Stands(*cell, ages, agb, np.array(list(stands.values())), repeats)
