"""What products see of a synthetic Earth: streams by the operators of the loss, with errors and holes.

Errors are drawn from the name of the cell (or patch), the stream and the seed, month after month: they depend neither
on the order in which patches are made nor on how many there are, and longer records begin with shorter ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from phloem.jobs.config.globe_file import Globe
from phloem.jobs.synthetic.globe.smooth_fields import generator
from phloem.kernels.network.patch_cells import MonthAxis
from phloem.kernels.network.patch_loss import LEAST, YEAR
from phloem.names import PATCH_STREAMS, STATIC_STREAMS


@dataclass(frozen=True)
class ProductErrors:
    """How a product errs, and when it sees nothing.

    Attributes:
        relative: standard deviation of an error in proportion to the value.
        absolute: of one that has no proportion, in the stream's unit.
        every: months that share an error: 12 for a product of years.
        cloud: share of months that are missing under a closed sky; it goes with the cloud cover.
        least_light: MJ m-2 d-1 below which nothing is seen, as in the polar night.
        missing: share of months (of cells, where there are none) that are missing anyhow.
        positive: whether values below 0 are reported as 0.
    """

    relative: float
    absolute: float
    every: int = 1
    cloud: float = 0.0
    least_light: float = 0.0
    missing: float = 0.0
    positive: bool = True


PRODUCTS: dict[str, ProductErrors] = {
    "sif": ProductErrors(0.08, 0.03, cloud=0.35, least_light=3.0, missing=0.03, positive=False),
    "nbe": ProductErrors(0.10, 0.12, positive=False),
    "lai": ProductErrors(0.08, 0.10, cloud=0.45, least_light=1.5, missing=0.02),
    "water_storage": ProductErrors(0.05, 10.0, positive=False),
    "biomass": ProductErrors(0.08, 60.0, every=YEAR),
    "fire": ProductErrors(0.20, 0.003),
    "soil_carbon": ProductErrors(0.12, 150.0, missing=0.02),
    "tower_gpp": ProductErrors(0.08, 0.20, missing=0.08, positive=False),
    "tower_reco": ProductErrors(0.10, 0.25, missing=0.08, positive=False),
    "tower_et": ProductErrors(0.10, 0.15, missing=0.08, positive=False),
    "et": ProductErrors(0.10, 0.12),
}
"""Errors by stream: monthly at cells; nbe and water storage of whole patches, biomass of years, soil carbon without
time. Sizes are those of TROPOMI-like fluorescence, an inversion, MODIS, GRACE, maps of biomass and of burned carbon,
HWSD, eddy covariance and GLEAM as their makers or comparisons state them, rounded; optical depth is not seen."""

TOWERS = ("tower_gpp", "tower_reco", "tower_et")
FULL = 0.8
"""Share of valid cells from which on a patch has labels of its own (Fang et al.)."""

LAUNCH = np.datetime64("2002-04")
"""The first month of water storage, of GRACE."""

GAPS = [
    *("2002-06", "2002-07", "2003-06", "2011-01", "2011-06", "2012-05", "2012-10", "2013-03", "2013-08", "2013-09"),
    *("2014-02", "2014-07", "2014-12", "2015-06", "2015-10", "2015-11", "2016-04", "2016-09", "2016-10", "2017-02"),
    *("2017-07", "2017-08", "2017-09", "2017-10", "2017-11", "2017-12", "2018-01", "2018-02", "2018-03", "2018-04"),
    *("2018-05", "2018-08", "2018-09"),
]
"""Months without water storage: tired batteries of GRACE, and the time until its successor."""

LEAST_TOWER_MONTHS = 24


@dataclass(frozen=True, eq=False)
class SeenPatch:
    """A patch as it is to be seen.

    Attributes:
        name: of the patch.
        cells: names of its cells.
        months: of the record.
        forcing: by name, (months, cells).
        towers: of each cell, whether it has one, (cells,).
        weight: of a tower's labels: the share of the cell that it stands for, (cells,).
    """

    name: str
    cells: tuple[str, ...]
    months: MonthAxis
    forcing: Mapping[str, np.ndarray]
    towers: np.ndarray
    weight: np.ndarray


def water_months(months: MonthAxis, holes: bool) -> np.ndarray:
    """Return the months of which water storage is seen, bool (months,)."""
    dates = months.first.astype("datetime64[M]") + np.arange(months.count)
    if not holes:
        return np.ones(months.count, bool)
    return np.asarray((dates >= LAUNCH) & ~np.isin(dates, np.array(GAPS, "datetime64[M]")))


def true_streams(o: Any, seen: SeenPatch, choice: Globe) -> dict[str, np.ndarray]:
    """Return what products would see without errors and holes, in the shapes of a patch's labels.

    Args:
        o: outputs of the cells, (months, cells).
        seen: the patch.
        choice: rows of a full patch, and whether there are gaps, of which the mean of water storage knows.
    """
    biomass = o.labile + o.foliar + o.root + o.wood
    streams = {
        "sif": o.sif,
        "lai": o.lai,
        "biomass": np.repeat(biomass.reshape(-1, YEAR, biomass.shape[1]).mean(1), YEAR, 0),
        "fire": o.fire_emission,
        "soil_carbon": o.som.mean(0),
        "et": o.et,
    }
    if len(seen.cells) >= FULL * choice.rows:
        share = water_months(seen.months, choice.holes).astype(float)[:, None]
        middle = (o.water * share).sum(0) / (share.sum() + LEAST)
        streams |= {"nbe": o.nbe.mean(1), "water_storage": (o.water - middle).mean(1)}
    if seen.towers.any():
        for name, values in zip(TOWERS, (o.gpp, o.gpp + o.nee, o.et), strict=True):
            streams[name] = np.where(seen.towers, values, np.nan)
    return streams


def product_labels(
    truth: Mapping[str, np.ndarray], seen: SeenPatch, choice: Globe
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return labels and the weights of those that have some other than 1, as a stored patch has them.

    Args:
        truth: of `true_streams`.
        seen: the patch.
        choice: factor of the errors, and whether there are holes.
    """
    labels, weights = {}, {}
    for stream, values in truth.items():
        errors = PRODUCTS[stream]
        if stream in PATCH_STREAMS:
            noisy = _noisy(values, errors, generator(choice.seed, f"{seen.name} {stream}"), choice.noise)
            kept = water_months(seen.months, choice.holes) if stream == "water_storage" else np.isfinite(values)
        else:
            noisy, kept = np.empty(values.shape), np.empty(values.shape, bool)
            for place, cell in enumerate(seen.cells):
                rng = generator(choice.seed, f"{cell} {stream}")
                noisy[..., place] = _noisy(values[..., place], errors, rng, choice.noise)
                holes = generator(choice.seed, f"{cell} {stream} holes")
                kept[..., place] = not choice.holes or _kept(stream, errors, seen, place, holes)
        labels[stream] = np.where(kept, noisy, np.nan).astype(np.float32)
        if stream in TOWERS:
            weights[stream] = np.where(np.isfinite(labels[stream]), seen.weight, 0.0).astype(np.float32)
    return labels, weights


def _noisy(values: np.ndarray, errors: ProductErrors, rng: np.random.Generator, factor: float) -> np.ndarray:
    """Add a product's errors; the draws are made by month, so that longer records begin with shorter ones."""
    if np.ndim(values):
        relative, absolute = np.repeat(rng.standard_normal((len(values) // errors.every, 2)), errors.every, 0).T
    else:
        relative, absolute = rng.standard_normal(2)
    noisy = values * (1 + factor * errors.relative * relative) + factor * errors.absolute * absolute
    return np.asarray(np.maximum(noisy, 0) if errors.positive and factor else noisy)


def _kept(stream: str, errors: ProductErrors, seen: SeenPatch, place: int, rng: np.random.Generator) -> Any:
    """Where a product of cells sees one, bool (months,)."""
    if stream in STATIC_STREAMS:
        return rng.random() >= errors.missing
    chance = errors.missing + errors.cloud * (1 - np.exp(-seen.forcing["pr"][:, place] / 4))
    kept = (seen.forcing["rsds"][:, place] >= errors.least_light) & (rng.random(seen.months.count) >= chance)
    if stream in TOWERS:
        kept &= _tower_record(generator(0, f"{seen.cells[place]} record"), seen.months.count)
    return kept


def _tower_record(rng: np.random.Generator, months: int) -> np.ndarray:
    """The months in which a tower stands: at least two years, from some month on."""
    length = int(rng.integers(min(LEAST_TOWER_MONTHS, months), months + 1))
    first = int(rng.integers(0, months - length + 1))
    return (np.arange(months) >= first) & (np.arange(months) < first + length)
