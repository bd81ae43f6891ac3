"""The fits of one tile: boosted models of units and members, one after the other, resumable between any two."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from phloem.analysis.upscaling.member_model import MemberFit, fit_member
from phloem.jobs.campaign.kind_of_work import Arrays, Lane
from phloem.jobs.upscaling.fit_units import NOTHING, FitInput
from phloem.jobs.upscaling.table import UpscalingTable
from phloem.names import STATUS

BASELINE = "baseline"
"""Beside what is learned, the process baseline alone."""


def all_ways(table: UpscalingTable) -> tuple[str, ...]:
    """Return what is predicted, the baseline first."""
    return (BASELINE, *table.learn)


def fit_seed(seed: int, name: str, member: int) -> tuple[int, int, int]:
    """Return the seed of a fit: of the campaign's, of its unit and member, and of nothing beside it."""
    return seed, zlib.crc32(name.encode()), member


def missing_arrays(names: Sequence[str], members: int, fluxes: int, ways: int, rows: int) -> Arrays:
    """Return the arrays of a tile of which nothing is fitted yet.

    Args:
        names: of its units.
        members: of each.
        fluxes: of each unit.
        ways: what is predicted.
        rows: left out, at most.
    """
    lanes = (len(names), members)
    return {
        "cell": np.array(names),
        "status": np.full(lanes, STATUS["missing"], np.int8),
        "redraws": np.zeros(lanes, np.int8),
        "steps": np.zeros(lanes, np.int64),
        "unseen_error": np.full(lanes, np.nan),
        "blend": np.full((*lanes, fluxes), np.nan),
        "predicted": np.full((*lanes, fluxes, ways, max(1, rows)), np.nan, np.float32),
        "model": np.zeros((*lanes, 1), np.uint8),
        "model_bytes": np.zeros(lanes, np.int64),
    }


def put_model(arrays: Arrays, unit: int, member: int, model: bytes) -> None:
    """Put a model's bytes into the arrays of a tile, which widen where it is longer than those before."""
    held = arrays["model"]
    if len(model) > held.shape[2]:
        arrays["model"] = np.zeros((*held.shape[:2], len(model)), np.uint8)
        arrays["model"][:, :, : held.shape[2]] = held
    arrays["model"][unit, member, : len(model)] = np.frombuffer(model, np.uint8)
    arrays["model_bytes"][unit, member] = len(model)


class TileFits:
    """The fits of a tile under way, one at a time.

    Attributes:
        in_flight: fits at once.
    """

    def __init__(
        self, table: UpscalingTable, seed: int, members: int, units: Sequence[FitInput], lanes: Sequence[Lane] | None
    ) -> None:
        """Lay out the fits.

        Args:
            table: of the upscaling.
            seed: of the campaign.
            members: of each unit.
            units: of the tile.
            lanes: those to fit, units by their position; None: all.
        """
        self.table, self.seed, self.units = table, seed, list(units)
        self.in_flight = 1
        taken = [Lane(unit, member, 0) for unit in range(len(units)) for member in range(members)]
        self._lanes = taken if lanes is None else [Lane(*lane) for lane in lanes]
        self._settings = table.settings()
        self._held = [unit.data.held(unit.about) for unit in units]
        rows = max((int(held.sum()) for held in self._held), default=0)
        self._arrays = missing_arrays([unit.name for unit in units], members, 1, len(all_ways(table)), rows)
        self._done = 0

    @property
    def running(self) -> bool:
        """Whether fits are left."""
        return self._done < len(self._lanes)

    @property
    def stage(self) -> int:
        """One and the same all along."""
        return 0

    @property
    def steps_taken(self) -> int:
        """Fits so far."""
        return self._done

    @property
    def total_steps(self) -> int:
        """Fits of the tile."""
        return len(self._lanes)

    def advance(self, steps: int) -> int:
        """Make up to so many fits."""
        due = self._lanes[self._done : self._done + steps]
        for lane in due:
            self._fit(lane)
            self._done += 1
        return len(due)

    def _fit(self, lane: Lane) -> None:
        unit, held = self.units[lane.unit], self._held[lane.unit]
        seed = fit_seed(self.seed, unit.name, lane.member)
        fit = fit_member(unit.data.prepared, unit.about.flux, held, self._settings, seed)
        self._keep(lane, fit, np.flatnonzero(held))

    def _keep(self, lane: Lane, fit: MemberFit, rows: np.ndarray) -> None:
        unit, member = lane.unit, lane.member
        arrays = self._arrays
        for place, way in enumerate(all_ways(self.table)):
            values = fit.baseline if way == BASELINE else fit.predicted[way]
            arrays["predicted"][unit, member, 0, place, : len(rows)] = values
        arrays["blend"][unit, member, 0] = fit.blend
        arrays["unseen_error"][unit, member] = fit.loss
        arrays["steps"][unit, member] = 1
        arrays["status"][unit, member] = STATUS["calibrated"]
        if self.units[unit].about.scheme == NOTHING:
            put_model(arrays, unit, member, fit.model.to_bytes())

    def halve(self) -> bool:
        """One fit at a time is all there is."""
        return False

    def saved(self) -> Arrays:
        """Return what has been fitted so far."""
        return {"done": np.array(self._done), **{name: values.copy() for name, values in self._arrays.items()}}

    def restore(self, arrays: Arrays) -> None:
        """Go back to what was saved.

        Raises:
            ValueError: the arrays are not those of these fits; nothing has changed then.
        """
        names: Any = arrays.get("cell")
        if names is None or names.tolist() != self._arrays["cell"].tolist() or set(arrays) != {"done", *self._arrays}:
            raise ValueError("checkpoint does not fit these units")
        if arrays["predicted"].shape != self._arrays["predicted"].shape:
            raise ValueError("checkpoint does not fit these rows")
        self._arrays = {name: arrays[name].copy() for name in self._arrays}
        self._done = int(arrays["done"])

    def arrays(self) -> Arrays:
        """Return the arrays of the tile's file."""
        return self._arrays
