"""The application of models to the blocks of one tile, so many places at a time, resumable between any two."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from phloem.analysis.flux_maps.fitted_upscaling import FittedUpscaling
from phloem.io.campaign.application_schema import value_names
from phloem.io.flux_drivers.driver_source import DriverBand
from phloem.jobs.application.blocks import ROWS, DriverBlock, wanted_columns
from phloem.jobs.campaign.kind_of_work import Arrays

POSITIVE = ("gpp", "reco", "le")
"""Fluxes that are never negative in products."""


class TileApplication:
    """Blocks of one tile under way.

    Attributes:
        in_flight: rows to which models are applied at once.
    """

    def __init__(self, models: FittedUpscaling, blocks: Sequence[DriverBlock], spread: bool) -> None:
        """Begin with the first place.

        Args:
            models: that are applied.
            blocks: of the tile.
            spread: whether 5 and 95 % of the members are kept.
        """
        self.models, self.blocks, self.spread = models, list(blocks), spread
        self.in_flight = ROWS
        self.names = value_names(models.fluxes, spread)
        self._kept: list[Arrays] = []
        self._block, self._place = 0, 0
        self._rows: _PlaceRows | None = None

    @property
    def running(self) -> bool:
        """Whether a block has places to go."""
        return self._block < len(self.blocks)

    @property
    def stage(self) -> int:
        """One and the same all along."""
        return 0

    @property
    def steps_taken(self) -> int:
        """Steps so far; those that a block did not need count as taken when it is done."""
        done = sum(block.steps for block in self.blocks[: self._block])
        return done + (self._place // self._rows.each if self._rows is not None else 0)

    @property
    def total_steps(self) -> int:
        """Steps of all blocks, at most."""
        return sum(block.steps for block in self.blocks)

    def advance(self, steps: int) -> int:
        """Apply the models up to so many times to the block that is worked on."""
        rows = self._begun()
        taken = 0
        while taken < max(1, steps) and self._place < len(rows):
            stop = min(self._place + rows.each, len(rows))
            self._kept.append(self._applied(rows, self._place, stop))
            self._place = stop
            taken += 1
        if self._place >= len(rows):
            self._block, self._place, self._rows = self._block + 1, 0, None
        return max(1, taken)

    def _begun(self) -> _PlaceRows:
        if self._rows is None:
            block = self.blocks[self._block]
            names, needed = wanted_columns(self.models, block.source)
            self._rows = _PlaceRows(block, block.source.read(slice(block.first, block.stop), names, needed))
        return self._rows

    def _applied(self, rows: _PlaceRows, first: int, stop: int) -> Arrays:
        found = self.models.apply(*rows.columns(first, stop))
        here = rows.kept(first, stop)
        kept: Arrays = {"inside": np.asarray(found.inside)[here].astype(np.int8)}
        kept["place"], kept["month"] = rows.positions(first, here)
        for flux in self.models.fluxes:
            ends = {flux: found.mean[flux], f"{flux}_lower": found.lower[flux], f"{flux}_upper": found.upper[flux]}
            if self.spread:
                ends[f"{flux}_spread_lower"] = found.spread_lower[flux]
                ends[f"{flux}_spread_upper"] = found.spread_upper[flux]
            for name, values in ends.items():
                plain = np.asarray(values)[here].astype(np.float32)
                kept[name] = np.maximum(plain, np.float32(0)) if flux in POSITIVE else plain
        kept["dissimilarity"] = np.asarray(found.dissimilarity)[here].astype(np.float32)
        return kept

    def halve(self) -> bool:
        """The rows at once are what no bit may depend on: there is nothing to halve."""
        return False

    def saved(self) -> Arrays:
        """Return what has been kept, and where the work stands."""
        return {"where": np.array([self._block, self._place]), **self._joined()}

    def _joined(self) -> Arrays:
        kinds = {"place": np.int32, "month": np.int16, "inside": np.int8}
        names = [*kinds, *self.names]
        return {
            name: np.concatenate([np.empty(0, kinds.get(name, np.float32)), *(one[name] for one in self._kept)])
            for name in names
        }

    def restore(self, arrays: Arrays) -> None:
        """Go back to what was saved.

        Raises:
            ValueError: the arrays are not those of these blocks; nothing has changed then.
        """
        due = {"where", "place", "month", "inside", *self.names}
        if set(arrays) != due:
            raise ValueError("checkpoint does not fit these blocks")
        self._block, self._place = (int(one) for one in arrays["where"])
        self._rows = None
        self._kept = [{name: np.array(values) for name, values in arrays.items() if name != "where"}]

    def arrays(self) -> Arrays:
        """Return the arrays of the tile's file."""
        count = len(self.blocks)
        joined = self._joined()
        self._kept = []
        return {
            "cell": np.array([block.name for block in self.blocks]),
            "status": np.zeros((count, 1), np.int8),
            "first": np.array([block.first for block in self.blocks], np.int64),
            "stop": np.array([block.stop for block in self.blocks], np.int64),
            **joined,
        }


class _PlaceRows:
    """Months of the places of a block, place after place: all of a place that has any with all that is needed."""

    def __init__(self, block: DriverBlock, band: DriverBand) -> None:
        self.block, self.band = block, band
        north, east = block.source.places.coordinates(slice(block.first, block.stop))
        self.latitude, self.longitude = north[band.place], east[band.place]
        self.months = block.source.months.astype(np.int64).astype(float)
        self.each = max(1, ROWS // len(self.months))

    def __len__(self) -> int:
        return len(self.band.place)

    def columns(self, first: int, stop: int) -> tuple[Arrays, np.ndarray]:
        """Return the columns of some places, and the number of each row's place.

        Behind them the last place stands again and again, so that there are always equally many rows.
        """
        places = np.minimum(np.arange(first, first + self.each), stop - 1)
        shape = len(places), len(self.months)

        def rows(values: np.ndarray) -> np.ndarray:
            return np.broadcast_to(values, shape).astype(float).reshape(-1)

        found = {name: rows(values[places]) for name, values in self.band.values.items()}
        found |= {name: rows(values[places][:, None]) for name, values in self.band.statics.items()}
        found["lat"], found["lon"] = rows(self.latitude[places][:, None]), rows(self.longitude[places][:, None])
        return {**found, "month": rows(self.months)}, np.repeat(np.arange(len(places)), len(self.months))

    def kept(self, first: int, stop: int) -> np.ndarray:
        """Return which rows of some places have all that is needed, as positions."""
        return np.flatnonzero(self.band.complete[first:stop].reshape(-1))

    def positions(self, first: int, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the places of rows among those of all blocks, and their months."""
        offset = self.block.first * self.block.source.places.columns
        place = offset + self.band.place[first + kept // len(self.months)]
        return place.astype(np.int32), (kept % len(self.months)).astype(np.int16)
