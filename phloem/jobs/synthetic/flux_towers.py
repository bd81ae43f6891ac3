"""Made-up eddy-covariance towers, whose fluxes depart from process baselines in ways that drivers explain in part."""

from __future__ import annotations

import numpy as np

from phloem.analysis.upscaling.baseline_fluxes import BaselineConstants, baseline_fluxes
from phloem.analysis.upscaling.conditions import conditions_of
from phloem.analysis.upscaling.upscaling_settings import BaselineOptions
from phloem.io.flux_towers.tower_months import TowerMonths
from phloem.io.flux_towers.tower_quantities import IGBP

FIRST_YEAR = 2003
"""Of the records."""

CLASSES = ("ENF", "DBF", "GRA", "CRO", "SAV", "EBF")
"""Plant classes, tower after tower."""

FACTOR = {"ENF": 0.9, "DBF": 1.15, "GRA": 0.85, "CRO": 1.25, "SAV": 0.75, "EBF": 1.1}
"""By which production departs from its baseline in each class."""

RREF = (1.0, 2.5)
"""Respiration at 10 degC where nothing absorbs light, and what full absorption adds, gC m-2 d-1."""

GAPS = 0.08
"""Share of the months in which too little was measured."""


def made_towers(count: int, years: int, seed: int) -> TowerMonths:
    """Return the months of made-up towers.

    Args:
        count: towers, from south to north.
        years: of each record, from 2003 on.
        seed: of all chance.
    """
    draw = np.random.default_rng([seed, count, years])
    months = np.arange(f"{FIRST_YEAR}-01", f"{FIRST_YEAR + years}-01", dtype="datetime64[M]")
    shape = (count, len(months))
    latitude = np.linspace(-30.0, 68.0, count) if count > 1 else np.array([51.0])
    season = 2 * np.pi * (np.arange(len(months)) % 12 + 0.5) / 12
    summer = -np.cos(season)[None] * np.sign(latitude)[:, None]
    seasonality = np.clip(np.abs(latitude) / 55.0, 0.1, 1.0)[:, None]
    classes = [CLASSES[place % len(CLASSES)] for place in range(count)]
    dry = draw.uniform(0.3, 1.2, count)[:, None]
    warm = 27.0 - 0.42 * np.abs(latitude)[:, None]
    year = np.arange(len(months)) // 12
    odd_year = draw.normal(0.0, 0.6, (count, years))[:, year]
    light = np.clip(250.0 - 2.0 * np.abs(latitude)[:, None] + 110.0 * seasonality * summer, 8.0, None)
    values = {
        "TA": warm + 13.0 * seasonality * summer + odd_year + draw.normal(0.0, 0.8, shape),
        "SWIN": light * draw.uniform(0.9, 1.1, shape),
        "P": np.maximum(0.0, draw.gamma(2.0, 1.2, shape) * (1.6 - dry)),
        "CO2": np.broadcast_to(375.0 + 2.0 * np.arange(len(months)) / 12 + 2.0 * np.cos(season), shape).copy(),
    }
    values["VPD"] = np.clip(1.2 + 5.0 * dry * np.exp(0.05 * (values["TA"] - 15.0)), 0.2, 35.0)
    peak = draw.uniform(1.5, 5.5, count)[:, None]
    green = np.clip(0.5 + 0.5 * np.tanh((values["TA"] - 8.0) / 5.0), 0.15, 1.0)
    values["LAI"] = peak * green * draw.uniform(0.9, 1.1, shape)
    values["NEE_QC"] = np.where(draw.random(shape) < GAPS, 0.5, 0.95)
    values["LE_QC"] = np.where(draw.random(shape) < GAPS, 0.5, 0.95)
    of_site = {
        "lat": latitude,
        "lon": draw.uniform(-120.0, 140.0, count),
        "elevation": draw.uniform(10.0, 900.0, count).round(0),
        "c4_fraction": np.where(np.array(classes) == "SAV", 0.5, 0.0),
        "ndvi_min": np.full(count, 0.2),
        "ndvi_max": np.clip(0.45 + 0.08 * peak[:, 0], 0.0, 0.9),
        "fapar_max": 1.0 - np.exp(-0.5 * peak[:, 0]),
        "koppen": np.select(
            [np.abs(latitude) < 15, np.abs(latitude) < 40, np.abs(latitude) < 60], [1.0, 3.0, 4.0], 5.0
        ),
    }
    values |= _fluxes(values, of_site, months, classes, draw)
    provenance = tuple({"site": f"XX-{place:03d}", "product": "made up"} for place in range(count))
    sites = tuple(f"XX-{place:03d}" for place in range(count))
    return TowerMonths(sites, months, values, of_site, tuple(classes), provenance)


def _fluxes(
    values: dict[str, np.ndarray], of_site: dict[str, np.ndarray], months: np.ndarray, classes: list[str],
    draw: np.random.Generator,
) -> dict[str, np.ndarray]:  # fmt: skip
    """Return fluxes: baselines times what class, drought and cold do, what a place has of its own, and noise."""
    shape = values["TA"].shape
    columns = {name: one.ravel() for name, one in values.items()}
    columns |= {name: np.repeat(one, shape[1]) for name, one in of_site.items()}
    columns["igbp"] = np.repeat([IGBP.index(name) + 1.0 for name in classes], shape[1])
    columns["month"] = np.tile(months.astype(np.int64).astype(float), shape[0])
    options = BaselineOptions()
    constants = BaselineConstants(RREF[0], RREF[1], np.zeros(len(IGBP)))
    found = baseline_fluxes(columns, conditions_of(columns, options), constants, options)
    base = {flux: one.reshape(shape) for flux, one in found.items()}
    of_class = np.array([FACTOR[name] for name in classes])[:, None]
    drought = np.clip(1.15 - 0.02 * values["VPD"], 0.4, 1.0)
    own = np.exp(draw.normal(0.0, 0.1, (3, shape[0], 1)))
    gpp = np.maximum(0.0, base["gpp"]) * of_class * drought * own[0]
    reco = base["reco"] * np.clip(0.8 + 0.04 * values["P"], 0.8, 1.3) * own[1] + 0.15 * gpp
    le = np.maximum(0.0, base["le"]) * np.clip(0.6 + 0.06 * values["P"], 0.6, 1.1) * own[2]
    noise = draw.normal(0.0, 1.0, (3, *shape))
    gpp = gpp + 0.25 * noise[0]
    reco = reco + 0.2 * noise[1]
    return {"GPP": gpp, "RECO": reco, "NEE": reco - gpp, "LE": le + 3.0 * noise[2]}
