"""Made towers whose fluxes follow their weather; grids and sites to which models are applied."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

from phloem.io.flux_towers.cf_tower_table import write_tower_table
from phloem.io.flux_towers.tower_months import TowerMonths
from phloem.io.flux_towers.tower_quantities import IGBP, OF_SITE, QUANTITIES

FIRST = "2005-01"


def made_weather(latitude: np.ndarray, months: int, seed: int) -> dict[str, np.ndarray]:
    """Return plausible drivers of places, float64 (places, months)."""
    draw = np.random.default_rng(seed)
    season = np.cos(2 * np.pi * (np.arange(months) % 12 - 6) / 12) * np.where(latitude >= 0, 1, -1)[:, None]
    north = np.abs(latitude)[:, None]
    noise = draw.normal(size=(4, len(latitude), months))
    warm = 26 - 0.4 * north + 0.25 * north * season + 1.5 * noise[0]
    light = np.clip(230 - 2 * north + 2.2 * north * season + 15 * noise[1], 5, 380)
    lai = np.clip(1.5 + 0.08 * warm + 0.6 * season + 0.3 * noise[2], 0.05, 7)
    return {
        "TA": warm,
        "SWIN": light,
        "VPD": np.clip(2 + 0.35 * np.maximum(warm, 0) + noise[3], 0.2, 40),
        "P": np.clip(2 + noise[3] - 0.5 * noise[1], 0, 20),
        "CO2": np.broadcast_to(378 + 0.17 * np.arange(months), warm.shape),
        "LAI": lai,
    }


def made_statics(count: int, seed: int) -> dict[str, np.ndarray]:
    """Return numbers of places, float64 (places,)."""
    draw = np.random.default_rng(seed)
    return {
        "elevation": draw.uniform(0, 900, count),
        "c4_fraction": draw.uniform(0, 0.3, count),
        "ndvi_max": draw.uniform(0.6, 0.9, count),
        "ndvi_min": draw.uniform(0.05, 0.3, count),
        "fapar_max": draw.uniform(0.75, 0.95, count),
    }


def made_towers(path: Path, towers: int = 24, months: int = 36, seed: int = 7) -> Path:
    """Write a table of towers."""
    draw = np.random.default_rng(seed)
    latitude = np.linspace(-35, 68, towers)
    weather = made_weather(latitude, months, seed)
    gpp = np.clip(0.03 * weather["SWIN"] * np.clip(weather["TA"] / 20, 0, 1.2) * weather["LAI"] / 3, 0, None)
    reco = 1.2 * 1.6 ** ((weather["TA"] - 10) / 10) + 0.4 * gpp
    values = {
        **weather,
        "GPP": gpp + 0.4 * draw.normal(size=gpp.shape),
        "RECO": reco + 0.3 * draw.normal(size=gpp.shape),
        "LE": np.clip(0.3 * weather["SWIN"], 0, None) + 4 * draw.normal(size=gpp.shape),
    }
    values["NEE"] = values["RECO"] - values["GPP"]
    for name in ("NEE_QC", "LE_QC"):
        values[name] = np.full(gpp.shape, 0.95)
    statics = made_statics(towers, seed)
    table = TowerMonths(
        sites=tuple(f"XX-T{number:02d}" for number in range(towers)),
        months=np.datetime64(FIRST) + np.arange(months),
        values=values,
        of_site={"lat": latitude, "lon": np.linspace(-120, 140, towers), **statics},
        igbp=tuple(IGBP[number % 10] for number in range(towers)),
    )
    write_tower_table(table, path)
    return path


class MadeGrid:
    """Drivers of a grid, with an ocean, as arrays and as files.

    Attributes:
        latitude, longitude: of rows, from north to south, and of columns.
        values: float32 (rows, columns, months), NaN in the ocean.
        statics: (rows, columns).
    """

    def __init__(self, rows: int = 6, columns: int = 8, months: int = 24, seed: int = 3) -> None:
        self.months = np.datetime64("2010-01") + np.arange(months)
        self.latitude = 62.25 - 0.5 * np.arange(rows)
        self.longitude = 20.25 + 0.5 * np.arange(columns)
        flat = made_weather(np.repeat(self.latitude, columns), months, seed)
        self.ocean = np.zeros((rows, columns), bool)
        self.ocean[1, 2:5] = self.ocean[rows - 1] = True
        self.values: dict[str, np.ndarray] = {}
        for name, values in flat.items():
            one = np.array(values, np.float32).reshape(rows, columns, months)
            one[self.ocean] = np.nan
            self.values[name] = one
        self.values["CO2"] = np.array(flat["CO2"], np.float32).reshape(rows, columns, months)
        self.values["VPD"][2, 3, 5] = np.nan  # one month of one cell lacks what is needed
        self.statics = {name: one.reshape(rows, columns) for name, one in made_statics(rows * columns, seed).items()}

    def write(self, path: Path, statics: bool = True, chunks: bool = True, cmip: bool = False) -> Path:
        """Write a CF file of (time, lat, lon); by the names and units of CMIP where that is asked for."""
        with netCDF4.Dataset(path, "w") as file:
            self._axes(file)
            for name, values in self.values.items():
                called, unit, plain = name, QUANTITIES[name].unit, values
                if cmip:
                    called, unit, plain = _AS_CMIP[name](values) if name in _AS_CMIP else (called, unit, plain)
                options: dict[str, Any] = {"zlib": True, "chunksizes": (1, *values.shape[:2])} if chunks else {}
                variable = file.createVariable(called, "f4", ("time", "lat", "lon"), fill_value=1e20, **options)
                variable.units = unit
                variable[:] = np.ma.masked_invalid(plain.transpose(2, 0, 1))
            if statics:
                self._put_statics(file)
        return path

    def write_static(self, path: Path) -> Path:
        """Write the numbers of the places alone, from south to north."""
        with netCDF4.Dataset(path, "w") as file:
            for name, values, unit in (
                ("lat", self.latitude[::-1], "degrees_north"),
                ("lon", self.longitude, "degrees_east"),
            ):
                file.createDimension(name, len(values))
                file.createVariable(name, "f8", (name,))[:] = values
                file[name].units = unit
            for name, values in self.statics.items():
                file.createVariable(name, "f8", ("lat", "lon"))[:] = values[::-1]
                file[name].units = OF_SITE[name].unit
        return path

    def write_sites(self, path: Path) -> Path:
        """Write the same places as sites, (site, time), row by row."""
        shape = self.ocean.size, len(self.months)
        with netCDF4.Dataset(path, "w") as file:
            file.createDimension("site", shape[0])
            file.createVariable("site", str, ("site",))[:] = np.array([f"S{n:03d}" for n in range(shape[0])], object)
            for name, values in (
                ("lat", np.repeat(self.latitude, len(self.longitude))),
                ("lon", np.tile(self.longitude, len(self.latitude))),
            ):
                file.createVariable(name, "f8", ("site",))[:] = values
            self._time(file)
            for name, one in self.values.items():
                variable = file.createVariable(name, "f4", ("site", "time"))
                variable.units = QUANTITIES[name].unit
                variable[:] = one.reshape(shape)
            for name, one in self.statics.items():
                file.createVariable(name, "f8", ("site",))[:] = one.reshape(-1)
                file[name].units = OF_SITE[name].unit
        return path

    def _axes(self, file: netCDF4.Dataset) -> None:
        self._time(file)
        for name, values, unit in (("lat", self.latitude, "degrees_north"), ("lon", self.longitude, "degrees_east")):
            file.createDimension(name, len(values))
            file.createVariable(name, "f8", (name,))[:] = values
            file[name].units = unit

    def _time(self, file: netCDF4.Dataset) -> None:
        file.createDimension("time", len(self.months))
        time = file.createVariable("time", "f8", ("time",))
        time.units = "days since 2000-01-01"
        time[:] = (self.months.astype("datetime64[D]") - np.datetime64("2000-01-01")).astype(float) + 14

    def _put_statics(self, file: netCDF4.Dataset) -> None:
        for name, values in self.statics.items():
            file.createVariable(name, "f8", ("lat", "lon"))[:] = values
            file[name].units = OF_SITE[name].unit


_AS_CMIP = {
    "TA": lambda x: ("tas", "K", x + np.float32(273.15)),
    "SWIN": lambda x: ("rsds", "MJ m-2 d-1", x * np.float32(0.0864)),
    "VPD": lambda x: ("vpd", "Pa", x * 100),
    "P": lambda x: ("pr", "kg m-2 s-1", x / 86400),
    "CO2": lambda x: ("co2", "mol mol-1", x * np.float32(1e-6)),
}
