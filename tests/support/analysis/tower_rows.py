"""Rows of towers that were never there: seasons, places with a trait that no driver tells, gaps."""

from __future__ import annotations

import numpy as np

from phloem.analysis.upscaling.flux_rows import FluxRows


def synthetic_rows(towers: int = 12, years: int = 2, seed: int = 0) -> FluxRows:
    """Return months of towers with fluxes that follow the drivers, and noise of each tower and month."""
    draw = np.random.default_rng(seed)
    months = 12 * years
    site = np.repeat(np.arange(towers), months)
    month = np.tile(np.arange(480, 480 + months), towers)
    lat = draw.uniform(-40.0, 65.0, towers)[site]
    warm = np.cos(2.0 * np.pi * (month % 12 - np.where(lat > 0.0, 6, 0)) / 12.0)
    columns = {
        "TA": 20.0 - 0.25 * np.abs(lat) + (2.0 + 0.2 * np.abs(lat)) * warm + draw.normal(0.0, 1.0, site.size),
        "VPD": 4.0 + 3.0 * warm + draw.uniform(0.0, 2.0, site.size),
        "SWIN": 170.0 + 110.0 * warm * np.abs(lat) / 65.0 + draw.normal(0.0, 8.0, site.size),
        "P": draw.gamma(2.0, 1.2, site.size),
        "CO2": np.full(site.size, 395.0),
        "LAI": np.clip(2.0 + 1.5 * warm + draw.normal(0.0, 0.7, towers)[site], 0.1, None),
        "lat": lat,
        "lon": draw.uniform(-120.0, 140.0, towers)[site],
        "elevation": draw.uniform(0.0, 1500.0, towers)[site],
        "ndvi_min": np.full(site.size, 0.1),
        "ndvi_max": draw.uniform(0.6, 0.9, towers)[site],
        "fapar_max": np.full(site.size, 0.8),
        "koppen": draw.integers(1, 6, towers)[site].astype(np.float64),
        "igbp": draw.choice([1, 4, 10], towers)[site].astype(np.float64),
        "month": month.astype(np.float64),
    }
    columns["RNET"] = np.where(draw.random(site.size) < 0.3, np.nan, 0.6 * columns["SWIN"])
    columns["LAI"][draw.random(site.size) < 0.1] = np.nan
    gpp = 0.03 * columns["SWIN"] * (1.0 - np.exp(-0.5 * np.nan_to_num(columns["LAI"], nan=2.0)))
    gpp = gpp * draw.uniform(0.7, 1.3, towers)[site] + draw.normal(0.0, 0.3, site.size)
    reco = (1.0 + 0.5 * draw.random(towers)[site]) * 1.5 ** ((columns["TA"] - 10.0) / 10.0) + 0.4 * gpp
    le = 0.45 * columns["SWIN"] + draw.normal(0.0, 5.0, site.size)
    observed = {"gpp": gpp, "reco": reco, "nee": reco - gpp, "le": le}
    for values in observed.values():
        values[draw.random(site.size) < 0.1] = np.nan
    return FluxRows(tuple(f"T{i:02d}" for i in range(towers)), site.astype(np.int64), columns, observed)
