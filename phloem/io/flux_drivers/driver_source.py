"""What a source of drivers is: places, months, and bands of rows of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from phloem.io.flux_drivers.driver_places import DriverPlaces

SLAB = 2_000_000
"""Values that are decoded at once, in float64."""


@dataclass(frozen=True, eq=False)
class DriverBand:
    """Drivers of those places of some rows that have what is needed in any month.

    Attributes:
        place: position of each place among those of the rows, row by row, int64 (places,).
        values: drivers by name, float32 (places, months), NaN where missing.
        statics: numbers of the places by name, float64 (places,), NaN where unknown.
        complete: months in which all that is needed is there, bool (places, months).
    """

    place: np.ndarray
    values: Mapping[str, np.ndarray]
    statics: Mapping[str, np.ndarray]
    complete: np.ndarray


class DriverSource(Protocol):
    """Drivers of fluxes somewhere: in CF files or in a driver store."""

    places: DriverPlaces
    """In the order of the files."""

    months: np.ndarray
    """datetime64[M], ascending, (months,)."""

    notes: list[str]
    """What was seen, in words."""

    def has(self, name: str) -> bool:
        """Return whether a driver or a number of a place is there."""

    def there(self) -> str:
        """Return what is there, in words."""

    def identity(self) -> str:
        """Return a text that changes where any input does."""

    def known(self, name: str) -> np.ndarray:
        """Return how many places of each row seem to have a driver, by a few months, int64 (rows,)."""

    def survey(self, names: Collection[str]) -> list[str]:
        """Say which drivers have impossible values, which are read as missing: of all months, or of a few of many.

        Args:
            names: drivers and numbers of places, all there.

        Raises:
            InputError: more than 5 % of a variable's values are impossible.
        """

    def number(self, name: str, rows: slice) -> np.ndarray:
        """Return a number of all places of some rows that there is, float64 (places,), NaN where unknown."""

    def read(self, rows: slice, names: Sequence[str], needed: Sequence[str]) -> DriverBand:
        """Return the drivers of some rows.

        Args:
            rows: which.
            names: drivers with time and numbers of places that are read, all there.
            needed: those of them without which nothing can be said of a month.

        Raises:
            InputError: a file cannot be read, or holds what it cannot hold.
        """


class BandInTheMaking:
    """Places of some rows, of which those stay that may yet have a month with all that is needed."""

    def __init__(self, count: int, months: int) -> None:
        """Begin with all places.

        Args:
            count: places.
            months: of the source.
        """
        self.place = np.arange(count)
        self.complete = np.ones((count, months), bool)
        self.values: dict[str, np.ndarray] = {}
        self.statics: dict[str, np.ndarray] = {}

    def put(self, name: str, values: np.ndarray, needed: bool) -> None:
        """Take a driver (places, months), or a number (places,), of the places that are left."""
        if values.ndim == 2:
            self.values[name] = values
        else:
            self.statics[name] = values
        if needed:
            known = np.isfinite(values)
            self.complete &= known if values.ndim == 2 else known[:, None]
            self._keep(np.asarray(self.complete.any(axis=1)))

    def _keep(self, some: np.ndarray) -> None:
        if some.all():
            return
        self.place, self.complete = self.place[some], self.complete[some]
        self.values = {name: values[some] for name, values in self.values.items()}
        self.statics = {name: values[some] for name, values in self.statics.items()}

    def made(self) -> DriverBand:
        """Return the band."""
        return DriverBand(self.place, self.values, self.statics, self.complete)
