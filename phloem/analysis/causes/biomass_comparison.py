"""Modelled above-ground biomass against maps from satellites: pooled cell-years, maps of the differences.

Carbon of wood and leaves, MgC ha-1, beside the maps' dry matter times .47 (attribution.md section 7).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from phloem.analysis.benchmark.skill_scores import Metrics, finite, metrics
from phloem.errors import InputError, some
from phloem.io.files.units import convert

CARBON_DENSITY = "Mg ha-1"
"""Unit here, of carbon."""

HIGH_BIOMASS = 50.0
"""MgC ha-1, below which Zhu et al. 2026 find the model too high."""

LEAST_REFERENCE = 1.0
"""MgC ha-1 of reference from which on a relative difference is told."""


@dataclass(frozen=True, eq=False)
class BiomassVersion:
    """One version of the model against the reference.

    Attributes:
        name: such as mean, q25, q75.
        pooled: scores of all cell-years in common; observed is the reference.
        below, above: scores of those whose reference is below and from `HIGH_BIOMASS` on.
        difference: model less reference, mean over the common years, MgC ha-1, (rows, columns).
        relative: likewise over the reference, per cent; NaN where that is under `LEAST_REFERENCE`.
        model, reference: of the pooled pairs, MgC ha-1, (pairs,).
    """

    name: str
    pooled: Metrics
    below: Metrics
    above: Metrics
    difference: np.ndarray
    relative: np.ndarray
    model: np.ndarray
    reference: np.ndarray

    def to_json(self) -> dict[str, Any]:
        """Return the scores, and quantiles of the differences."""
        known = self.difference[np.isfinite(self.difference)]
        return {
            "scores": self.pooled.to_json(),
            f"scores_below_{HIGH_BIOMASS:g}": self.below.to_json(),
            f"scores_from_{HIGH_BIOMASS:g}": self.above.to_json(),
            "cells": len(known),
            "difference": {
                word: finite(float(np.quantile(known, share)))
                for word, share in (("q05", 0.05), ("median", 0.5), ("q95", 0.95))
            },
        }


@dataclass(frozen=True, eq=False)
class BiomassComparison:
    """Versions of a model against one reference.

    Attributes:
        versions: by name.
        years: in common.
        latitude, longitude: of rows and columns, degrees.
    """

    versions: dict[str, BiomassVersion]
    years: np.ndarray
    latitude: np.ndarray
    longitude: np.ndarray

    def to_json(self) -> dict[str, Any]:
        """Return what biomass.json holds."""
        return {
            "unit": "MgC ha-1",
            "years": self.years.tolist(),
            "versions": {name: one.to_json() for name, one in self.versions.items()},
        }


def above_ground_carbon(leaf: np.ndarray, wood: np.ndarray, unit: str) -> np.ndarray:
    """Return the carbon of leaves and wood in MgC ha-1; missing where either is.

    Args:
        leaf: cLeaf.
        wood: cWood, of the same shape; where it holds coarse roots too, so does the sum.
        unit: of both, such as `kgC m-2` or `gC m-2`.

    Raises:
        InputError: another kind of unit.
    """
    return convert(np.asarray(leaf, float) + np.asarray(wood, float), unit, CARBON_DENSITY, "cLeaf + cWood")


def compare_biomass(
    models: Mapping[str, np.ndarray],
    model_years: np.ndarray,
    reference: np.ndarray,
    reference_years: np.ndarray,
    latitude: np.ndarray,
    longitude: np.ndarray,
    land: np.ndarray | None = None,
) -> BiomassComparison:
    """Compare versions of a model in the years and cells in common.

    Args:
        models: by version, MgC ha-1, (model years, rows, columns), NaN where missing.
        model_years: calendar years.
        reference: MgC ha-1, (reference years, rows, columns), NaN where missing.
        reference_years: calendar years.
        latitude: of the rows, degrees north.
        longitude: of the columns, degrees east.
        land: cells that count, (rows, columns); by default those that have values.

    Raises:
        InputError: shapes that do not go together, no year in common, or no cell-year in common; the message names the
            version and the years.
    """
    shape = len(latitude), len(longitude)
    if not models:
        raise InputError("biomass: no version of the model")
    for name, values, years in (
        *((name, values, model_years) for name, values in models.items()),
        ("reference", reference, reference_years),
    ):
        if np.shape(values) != (len(years), *shape):
            raise InputError(f"biomass: {name} has shape {np.shape(values)}; {(len(years), *shape)} is due")
    if land is not None and np.shape(land) != shape:
        raise InputError(f"biomass: land has shape {np.shape(land)}; {shape} is due")
    common, mine, theirs = np.intersect1d(model_years, reference_years, return_indices=True)
    if not len(common):
        spans = [some(np.asarray(years).tolist(), most=20) for years in (model_years, reference_years)]
        raise InputError(f"biomass: no year in common: the model has {spans[0]}, the reference {spans[1]}")
    y = np.asarray(reference, float)[theirs]
    if land is not None:
        y = np.where(np.asarray(land, bool), y, np.nan)
    versions = {name: _version(name, np.asarray(values, float)[mine], y) for name, values in models.items()}
    return BiomassComparison(versions, common.astype(np.int64), np.asarray(latitude), np.asarray(longitude))


def _version(name: str, x: np.ndarray, y: np.ndarray) -> BiomassVersion:
    both = np.isfinite(x) & np.isfinite(y)
    if not both.any():
        raise InputError(f"biomass: {name}: no cell and year in which model and reference both have a value")
    count = both.sum(axis=0)
    some_year = count > 0

    def over_years(values: np.ndarray) -> np.ndarray:
        total = np.where(both, values, 0.0).sum(axis=0)
        return np.divide(total, count, out=np.full(count.shape, np.nan), where=some_year)

    difference, reference = over_years(x - y), over_years(y)
    relative = np.full(count.shape, np.nan)
    told = some_year & (reference >= LEAST_REFERENCE)
    relative[told] = 100.0 * difference[told] / reference[told]
    low = y < HIGH_BIOMASS
    return BiomassVersion(
        name=name,
        pooled=metrics(x, y),
        below=metrics(np.where(low, x, np.nan), y),
        above=metrics(np.where(low, np.nan, x), y),
        difference=difference,
        relative=relative,
        model=x[both],
        reference=y[both],
    )
