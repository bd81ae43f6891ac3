"""Numbers of places that do not change with time, from a file of their own, matched by coordinates."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from phloem.errors import InputError, some
from phloem.io.flux_drivers.driver_places import DriverPlaces
from phloem.io.flux_drivers.driver_recipes import LAND, STATICS, unit_of, usual_names
from phloem.io.flux_towers.tower_quantities import IGBP
from phloem.io.products.raw_files import OpenFiles
from phloem.io.references.maps import read_map

CLASSES = {"igbp": len(IGBP), "koppen": 30}
"""Layers of classes, and how many classes there are, counted from 1; they are not averaged."""


class StaticLayers:
    """A file of maps, or of numbers of sites.

    Attributes:
        path: the file.
        names: its variables by the names in `driver_recipes.STATICS`.
    """

    def __init__(self, path: Path) -> None:
        """Look into a file.

        Args:
            path: the file.

        Raises:
            InputError: not there, unreadable, or without any layer that is known.
        """
        if not path.is_file():
            raise InputError(f"--static {path}: no such file")
        self.path = path
        with OpenFiles() as files:
            have = files.get(path).names()
        self.names = {
            name: found for name in STATICS if (found := next((n for n in usual_names(name) if n in have), ""))
        }
        if not self.names:
            there = some(sorted(have), most=40) or "nothing"
            raise InputError(f"--static {path}: none of {', '.join(STATICS)}; the file has {there}")

    def has(self, name: str) -> bool:
        """Return whether a layer is there."""
        return name in self.names

    def there(self) -> str:
        """Return the layers that are there."""
        return ", ".join(sorted(self.names.values()))

    def read(self, name: str, places: DriverPlaces, rows: slice) -> np.ndarray:
        """Return a layer at all places of some rows, float64 (places,): area means in cells, else the pixel there.

        Raises:
            InputError: as of `read_map`, or numbers that are no classes.
        """
        latitude, longitude = places.coordinates(rows)
        averaged = places.gridded and name not in CLASSES
        units = unit_of(name) if name == LAND or unit_of(name) != "1" else ""
        found = read_map(
            self.path,
            self.names[name],
            latitude,
            longitude,
            places.coarsest,
            method="mean" if averaged else "nearest",
            units=units,
            names=list(places.names[rows]) or None,
        )
        where = f"{self.path}: variable {self.names[name]}"
        if name in CLASSES:
            return checked_class(name, found.values, where)
        return checked_share(name, found.values, where)


def checked_class(name: str, values: np.ndarray, where: str) -> np.ndarray:
    """Return classes as numbers from 1 on, NaN where 0.

    Args:
        name: one of `CLASSES`.
        values: (places,).
        where: file and variable, for the message.

    Raises:
        InputError: numbers that are no such classes.
    """
    known = np.where(values == 0.0, np.nan, values)
    wrong = np.isfinite(known) & ((known < 1) | (known > CLASSES[name]) | (known != np.round(known)))
    if wrong.any():
        raise InputError(f"{where}: {known[wrong][0]:g}; classes 1 to {CLASSES[name]} of {name} are due")
    return known


def checked_share(name: str, values: np.ndarray, where: str) -> np.ndarray:
    """Return numbers of places; of the share of land NaN where there is none.

    Args:
        name: of the number.
        values: in its unit, (places,).
        where: file and variable, for the message.

    Raises:
        InputError: a share of land that is none.
    """
    if name != LAND:
        return values
    wrong = (values < 0.0) | (values > 1.0 + 1e-6)
    if wrong.any():
        raise InputError(f"{where}: {values[wrong][0]:g}; shares of 0 to 1 are due (or per cent, by its units)")
    return np.where(values > 0.0, np.minimum(values, 1.0), np.nan)
