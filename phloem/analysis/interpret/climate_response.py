"""Traits in a changed climate: the ensemble at new temperature and rain less the ensemble at those of now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from phloem.analysis.attribution.result_files import plain
from phloem.analysis.interpret.explained_quantity import ExplainedQuantity, explained_quantities
from phloem.analysis.interpret.physical_ensemble import PhysicalEnsemble
from phloem.analysis.interpret.predictor_table import PredictorTable
from phloem.analysis.interpret.trait_curves import TRAITS
from phloem.errors import InputError, some


@dataclass(frozen=True, eq=False)
class ClimateDelta:
    """A change of climate, of the same models' future less, or over, their present.

    Attributes:
        warming: K, a number or (cells,).
        rain_ratio: future precipitation over present, a number or (cells,).
    """

    warming: ArrayLike
    rain_ratio: ArrayLike

    def applied_to(self, cells: PredictorTable) -> PredictorTable:
        """Return the cells with MAT + warming and MAP x ratio.

        Raises:
            InputError: not one number for each cell, numbers that are not finite, or a negative ratio.
        """
        changes = {}
        for name, change in (("warming", self.warming), ("rain ratio", self.rain_ratio)):
            values = np.asarray(change, float)
            if values.shape not in ((), (len(cells),)):
                raise InputError(f"{name}: shape {values.shape}, due is one number or {len(cells)} of cells")
            wrong = np.flatnonzero(~np.isfinite(values) | ((values < 0) & (name == "rain ratio")))
            if wrong.size:
                raise InputError(f"{name}: not finite, or a ratio below 0, in cells {some(wrong.tolist())}")
            changes[name] = np.broadcast_to(values, len(cells))
        return cells.replaced(
            MAT=cells.column("MAT") + changes["warming"], MAP=cells.column("MAP") * changes["rain ratio"]
        )


def climate_delta(
    temperature: tuple[np.ndarray, np.ndarray], precipitation: tuple[np.ndarray, np.ndarray]
) -> ClimateDelta:
    """Return the change between two climates of the same models.

    Args:
        temperature: present and future mean annual temperature, (cells,) each.
        precipitation: present and future mean annual precipitation in one unit, (cells,) each.

    Raises:
        InputError: present precipitation that is not above 0, of which there is no ratio.
    """
    present = np.asarray(precipitation[0], float)
    dry = np.flatnonzero(~(present > 0))
    if dry.size:
        raise InputError(f"present precipitation is not above 0 in cells {some(dry.tolist())}: it has no ratio")
    return ClimateDelta(np.asarray(temperature[1]) - np.asarray(temperature[0]), np.asarray(precipitation[1]) / present)


@dataclass(frozen=True, eq=False)
class ClimateResponse:
    """Traits now and in a changed climate, by networks that do not see plant functional types and by those that do.

    Attributes:
        quantities: the traits.
        agnostic_now, agnostic_then: (quantities, cells).
        aware_now, aware_then: (quantities, cells).
        outside: where new temperature or precipitation leaves the range that networks were trained in, (cells,).
        latitude, longitude: of the cells, degrees.
    """

    quantities: tuple[ExplainedQuantity, ...]
    agnostic_now: np.ndarray
    agnostic_then: np.ndarray
    aware_now: np.ndarray
    aware_then: np.ndarray
    outside: np.ndarray
    latitude: np.ndarray
    longitude: np.ndarray

    @property
    def agnostic(self) -> np.ndarray:
        """Change by networks that do not see plant functional types."""
        return self.agnostic_then - self.agnostic_now

    @property
    def aware(self) -> np.ndarray:
        """Change by networks that see them, the types as they are now."""
        return self.aware_then - self.aware_now

    @property
    def aware_less_agnostic(self) -> np.ndarray:
        """What the types of now take from, or add to, the change."""
        return self.aware - self.agnostic

    def to_dataset(self) -> xr.Dataset:
        """Return the maps, cell by cell."""
        dims = ("quantity", "cell")
        maps = {
            "agnostic_now": (self.agnostic_now, "now, by networks without plant functional types"),
            "aware_now": (self.aware_now, "now, by networks with plant functional types"),
            "agnostic_change": (self.agnostic, "change, by networks without plant functional types"),
            "aware_change": (self.aware, "change, by networks with plant functional types"),
            "aware_less_agnostic": (self.aware_less_agnostic, "difference of the two changes"),
        }
        parts: dict[str, Any] = {name: (dims, values, {"long_name": words}) for name, (values, words) in maps.items()}
        parts["outside"] = ("cell", self.outside.astype("i1"), {"long_name": "new climate outside the training range"})
        parts["unit"] = ("quantity", [one.unit for one in self.quantities])
        coordinates: dict[str, Any] = {
            "quantity": [one.name for one in self.quantities],
            "lat": ("cell", self.latitude, {"units": "degrees_north"}),
            "lon": ("cell", self.longitude, {"units": "degrees_east"}),
        }
        return xr.Dataset(parts, coordinates)

    def to_json(self) -> dict[str, Any]:
        """Return medians of the changes over the cells inside the training range, and how many leave it."""
        inside = ~self.outside

        def medians(change: np.ndarray) -> np.ndarray:
            return np.median(change[:, inside], 1) if inside.any() else np.full(len(change), np.nan)

        changes = [medians(one) for one in (self.agnostic, self.aware, self.aware_less_agnostic)]
        rows = [
            {"name": one.name, "unit": one.unit, "agnostic": first, "aware": second, "aware_less_agnostic": third}
            for one, first, second, third in zip(self.quantities, *changes, strict=True)
        ]
        document: dict[str, Any] = plain(
            {"cells": len(self.outside), "outside": int(self.outside.sum()), "median_change": rows}
        )
        return document


def outside_range(cells: PredictorTable, training_range: Mapping[str, tuple[float, float]]) -> np.ndarray:
    """Return where a predictor leaves its range.

    Args:
        cells: predictors.
        training_range: smallest and largest value over the training cells, by predictor.

    Raises:
        InputError: a predictor that there is not, or a range that is none.
    """
    outside = np.zeros(len(cells), bool)
    for name, (low, high) in training_range.items():
        if not low < high:
            raise InputError(f"training range of {name}: {low:g} to {high:g} is none")
        outside |= ~((cells.column(name) >= low) & (cells.column(name) <= high))
    return outside


def climate_response(
    agnostic: PhysicalEnsemble,
    aware: PhysicalEnsemble,
    cells: PredictorTable,
    delta: ClimateDelta,
    training_range: Mapping[str, tuple[float, float]],
    place: tuple[np.ndarray, np.ndarray],
    traits: Sequence[str] = TRAITS,
) -> ClimateResponse:
    """Return the change of traits where temperature and precipitation change, and all other predictors stay.

    The standardisation stays as well. Days of the year are counted around their mean of now.

    Args:
        agnostic: networks without plant functional types.
        aware: networks with them.
        cells: predictors of now, all finite.
        delta: of the climate.
        training_range: smallest and largest MAT and MAP of the training cells.
        place: latitude and longitude of the cells, degrees.
        traits: names of quantities.

    Raises:
        InputError: an unknown trait, a predictor that is missing or not finite, a change that is none, or no range of
            MAT and MAP.
    """
    missing = [name for name in ("MAT", "MAP") if name not in training_range]
    if missing:
        raise InputError(f"training range: {', '.join(missing)} is missing")
    for ensemble in (agnostic, aware):
        if "CLIM" not in ensemble.set_up:
            raise InputError(f"networks of {'+'.join(ensemble.set_up)} do not see the climate: CLIM is not among them")
    quantities, new = explained_quantities(traits), delta.applied_to(cells)

    def both(ensemble: PhysicalEnsemble) -> list[np.ndarray]:
        centres = ensemble.day_centres(cells)
        return [ensemble.explained_at(one.columns(ensemble.names), quantities, centres).T for one in (cells, new)]

    agnostic_now, agnostic_then = both(agnostic)
    aware_now, aware_then = both(aware)
    outside = outside_range(new, training_range)
    latitude, longitude = place
    return ClimateResponse(quantities, agnostic_now, agnostic_then, aware_now, aware_then, outside, latitude, longitude)
