"""Small monthly products in the layouts in which they are published, of plain formulas so that results can be told.

Four boxes of 4 x 5 degrees from 42 to 50 N and 5 W to 5 E, so that longitudes from 0 to 360 are cut there.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import netCDF4
import numpy as np

from phloem.names import PREDICTOR_GROUPS
from tests.support.drivers.product_samples import write_grid

YEARS = (2001, 2002)
MONTHS = 12 * (YEARS[1] - YEARS[0] + 1)
FIRST = np.datetime64(f"{YEARS[0]}-01", "M")

Field = Callable[[np.ndarray, np.ndarray], np.ndarray]


def months(first: int = 0, count: int = MONTHS) -> np.ndarray:
    """Months from the first of the sample on, datetime64[M]."""
    return FIRST + np.arange(first, first + count)


def days(dates: np.ndarray, since: str) -> np.ndarray:
    """Days of dates since another."""
    return (dates.astype("datetime64[D]") - np.datetime64(since)).astype(float)


def lengths(of: np.ndarray) -> np.ndarray:
    """Days of months."""
    return np.diff(np.append(of, of[-1] + 1).astype("datetime64[D]")).astype(float)


def axis(first: float, last: float, step: float) -> np.ndarray:
    """Centres from one edge to another."""
    return first + step * (np.arange(round((last - first) / step)) + 0.5)


def plane(lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
    """A plane (lat, lon), 0 at 46 N 0 E: its mean over a box is almost its value at the centre."""
    east = (np.asarray(lon) + 180.0) % 360.0 - 180.0
    return 0.1 * (np.asarray(lat)[:, None] - 46.0) + 0.02 * east[None, :]


def season(count: int = MONTHS) -> np.ndarray:
    """Of each month, -1 in January and 1 in July."""
    return -np.cos(2 * np.pi * np.arange(count) / 12.0)


def in_time(lat: np.ndarray, lon: np.ndarray, mean: float, wave: float, slope: float = 1.0) -> np.ndarray:
    """A field (months, lat, lon) with a season."""
    return mean + wave * season()[:, None, None] + slope * plane(lat, lon)[None]


def write_era5(folder: Path, hole: bool = True) -> str:
    """ERA5 as the data store gives it: valid_time in seconds, from north to south, from 0 to 359, nodes of 1 degree.

    mn2t has no value at the four nodes around 46.5 N 1.5 W in the third month.
    """
    lat, lon = np.arange(60.0, 29.5, -1.0), np.arange(0.0, 360.0, 1.0)
    time = (months().astype("datetime64[s]") - np.datetime64("1970-01-01", "s")).astype(float)
    fields = {
        "mn2t": ("K", in_time(lat, lon, 280.0, 8.0)),
        "mx2t": ("K", in_time(lat, lon, 288.0, 9.0)),
        "d2m": ("K", in_time(lat, lon, 278.0, 7.0)),
        "ssrd": ("J m**-2", 1e6 * in_time(lat, lon, 12.0, 8.0)),
        "tp": ("m", 1e-3 * in_time(lat, lon, 2.5, 0.5)),
    }
    if hole:
        fields["mn2t"][1][2, 60 - 47 : 60 - 45, 358:360] = np.nan
    for name, (unit, values) in fields.items():
        write_grid(
            folder / f"{name}.nc", name, values, lat, lon, units=unit, time=time, time_name="valid_time",
            time_units="seconds since 1970-01-01", calendar_name="proleptic_gregorian", fill=np.nan,
            names=("latitude", "longitude"),
        )  # fmt: skip
    return str(folder / "*.nc")


def write_packed_era5(path: Path, name: str, values: np.ndarray, lat: np.ndarray, lon: np.ndarray, unit: str) -> Path:
    """ERA5 as it was before: packed int16 with scale and offset, hours since 1900."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with netCDF4.Dataset(str(path), "w", format="NETCDF3_64BIT_OFFSET") as file:
        for axis_name, values_, units in (
            ("longitude", lon, "degrees_east"),
            ("latitude", lat, "degrees_north"),
            ("time", days(months(), "1900-01-01") * 24.0, "hours since 1900-01-01 00:00:00.0"),
        ):
            file.createDimension(axis_name, len(values_))
            kind = "i4" if axis_name == "time" else "f4"
            variable = file.createVariable(axis_name, kind, (axis_name,))
            variable.units, variable[:] = units, values_
        file["time"].calendar = "gregorian"
        variable = file.createVariable(name, "i2", ("time", "latitude", "longitude"), fill_value=-32767)
        low, high = float(values.min()), float(values.max())
        variable.scale_factor, variable.add_offset = (high - low) / 65000.0, 0.5 * (high + low)
        variable.missing_value, variable.units = np.int16(-32767), unit
        variable[:] = values
    return path


def write_burned(folder: Path, share: float = 0.01) -> str:
    """GFED5: a file a month named by it, without time, areas in km2, from north to south."""
    lat, lon = axis(30, 60, 1.0)[::-1], axis(-180, 180, 1.0)
    area = 6371.007181**2 * np.deg2rad(1.0) * (np.sin(np.deg2rad(lat + 0.5)) - np.sin(np.deg2rad(lat - 0.5)))
    for number, month in enumerate(months()):
        values = (share * (1 + number % 12) / 12 * area)[:, None] * np.ones(len(lon))
        name = f"BA{str(month).replace('-', '')}.nc"
        write_grid(folder / name, "Total", values, lat, lon, units="km^2", fill=-1.0)
    return str(folder / "BA*.nc")


def cover() -> tuple[dict[int, np.ndarray], np.ndarray, np.ndarray]:
    """Per cent of IGBP classes at 1 degree, from north to south; of the four boxes one is water but for a cell."""
    lat, lon = axis(30, 60, 1.0)[::-1], axis(-180, 180, 1.0)
    shape = len(lat), len(lon)
    north, east = np.meshgrid(lat, lon, indexing="ij")
    water = np.where((north > 46) & (east > 0) & (east < 5), 90.0, 10.0)
    water[(north == 46.5) & (east == 0.5)] = 10.0
    water[(north == 42.5) & (east == -4.5)] = 60.0
    barren = np.where((north == 42.5) & (east == -3.5), 30.0, 2.0)
    grass = np.where(east > 0, 40.0, 60.0) * np.ones(shape)
    rest = 100.0 - water - barren
    crops = np.minimum(rest, 20.0)
    grass = np.minimum(rest - crops, grass)
    trees = rest - crops - grass
    nothing = np.zeros(shape)
    classes = dict.fromkeys(range(17), nothing)
    classes |= {0: water, 16: barren - 1, 13: nothing + 1, 10: grass, 12: crops - 5, 14: nothing + 5, 4: trees}
    return {number: np.round(values) for number, values in classes.items()}, lat, lon


def write_cover(path: Path) -> Path:
    """MCD12C1 with coordinates: bytes along (lat, lon, class)."""
    classes, lat, lon = cover()
    path.parent.mkdir(parents=True, exist_ok=True)
    with netCDF4.Dataset(str(path), "w") as file:
        for name, values, unit in (("lat", lat, "degrees_north"), ("lon", lon, "degrees_east")):
            file.createDimension(name, len(values))
            variable = file.createVariable(name, "f4", (name,))
            variable.units, variable[:] = unit, values
        file.createDimension("Num_IGBP_Classes", 17)
        variable = file.createVariable("Land_Cover_Type_1_Percent", "u1", ("lat", "lon", "Num_IGBP_Classes"),
                                       fill_value=255)  # fmt: skip
        variable.units = "percent in integers"
        variable[:] = np.stack([classes[number] for number in range(17)], axis=-1)
    return path


def write_grouped_cover(path: Path, grouping: dict[str, tuple[int, ...]], said: str = "1") -> Path:
    """The ten plant types already grouped: shares along a dimension of names."""
    classes, lat, lon = cover()
    names = PREDICTOR_GROUPS["PFT"]
    with netCDF4.Dataset(str(path), "w") as file:
        for name, values, unit in (("lat", lat, "degrees_north"), ("lon", lon, "degrees_east")):
            file.createDimension(name, len(values))
            variable = file.createVariable(name, "f8", (name,))
            variable.units, variable[:] = unit, values
        file.createDimension("pft", len(names))
        file.createVariable("pft", str, ("pft",))[:] = np.array(names[::-1], object)
        shares = np.stack([sum(classes[n] for n in grouping[name]) for name in names[::-1]])
        for name, values, dims in (("pft_fraction", shares, ("pft", "lat", "lon")),
                                   ("water_fraction", classes[0], ("lat", "lon"))):  # fmt: skip
            variable = file.createVariable(name, "i2", dims, fill_value=-32768)
            variable.units, variable.scale_factor = said, 1e-4
            variable[:] = values / 100.0
    return path


def write_map(path: Path, name: str, value: float, unit: str, change: Field | None = None, **more: object) -> Path:
    """A map of half a degree."""
    lat, lon = axis(30, 60, 0.5)[::-1], axis(-180, 180, 0.5)
    values = value + plane(lat, lon)
    if change is not None:
        values = np.where(change(*np.meshgrid(lat, lon, indexing="ij")), np.nan, values)
    return write_grid(path, name, values, lat, lon, units=unit, fill=-9999.0, **more)  # type: ignore[arg-type]


def write_gleam_months(folder: Path) -> str:
    """GLEAM's months: sums, stamped on their last day, transposed to (time, lon, lat), -999 undeclared."""
    lat, lon = axis(30, 60, 0.5)[::-1], axis(-180, 180, 0.5)
    values = in_time(lat, lon, 1.5, 1.0) * lengths(months())[:, None, None]
    values[:, (lat > 44) & (lat < 45), :] = -999.0
    for year in range(YEARS[0], YEARS[1] + 1):
        some = slice(12 * (year - YEARS[0]), 12 * (year - YEARS[0] + 1))
        last = (months()[some] + 1).astype("datetime64[D]") - 1
        write_grid(
            folder / f"E_{year}_GLEAM_v4.2a_MO.nc", "E", values[some], lat, lon, units="mm.month-1",
            time=days(last, "1980-01-01"), time_units="days since 1980-01-01", dimension_order=(0, 2, 1),
        )  # fmt: skip
    return str(folder / "E_*_GLEAM_v4.2a_MO.nc")


def write_lai(path: Path, bounds: bool = True) -> Path:
    """MODIS: bytes of a tenth with 255 missing, from south to north, months stamped at their ends, told by bounds."""
    lat, lon = axis(30, 60, 1.0), axis(-180, 180, 1.0)
    begin, end = days(months(), "2000-01-01"), days(months(1), "2000-01-01")
    return write_grid(
        path, "LAI", in_time(lat, lon, 2.0, 1.5), lat, lon, units="m^2/m^2", time=end, dtype="u1", fill=255, scale=0.1,
        bounds=np.stack([begin, end], axis=1) if bounds else None, attributes={"valid_range": np.array([0, 100], "u1")},
    )  # fmt: skip


def write_sif(path: Path) -> Path:
    """A SIF proxy of half months."""
    lat, lon = axis(30, 60, 1.0)[::-1], axis(-180, 180, 1.0)
    dates = np.sort(np.concatenate([months().astype("datetime64[D]"), months().astype("datetime64[D]") + 15]))
    values = np.repeat(in_time(lat, lon, 0.4, 0.3, 0.01), 2, axis=0)
    values[0::2] += 0.1
    values[1::2] -= 0.1
    return write_grid(path, "LCSPP", values, lat, lon, units=None, time=days(dates, "2000-01-01"), fill=-9999.0)


def write_emissions(folder: Path) -> str:
    """GFED5 emissions: a file a year of twelve months without a usable time, g C m-2 month-1."""
    lat, lon = axis(30, 60, 1.0)[::-1], axis(-180, 180, 1.0)
    for year in range(YEARS[0], YEARS[1] + 1):
        some = slice(12 * (year - YEARS[0]), 12 * (year - YEARS[0] + 1))
        values = np.ones((12, len(lat), len(lon))) * (0.02 * lengths(months()[some]))[:, None, None]
        write_grid(
            folder / f"GFED5_Beta_monthly_{year}.nc", "C", values, lat, lon, units="g C m-2 month-1",
            time=np.arange(1.0, 13.0), time_units=None,
        )  # fmt: skip
    return str(folder / "GFED5_Beta_monthly_*.nc")


def write_biomass(path: Path) -> Path:
    """Live biomass of years, Mg C ha-1."""
    lat, lon = axis(30, 60, 0.5)[::-1], axis(-180, 180, 0.5)
    values = np.stack([50.0 + 10 * year + plane(lat, lon) for year in range(2)])
    dates = np.array([f"{YEARS[0] + year}-07-01" for year in range(2)], "datetime64[D]")
    return write_grid(path, "biomass", values, lat, lon, units="Mg C ha-1", time=days(dates, "2000-01-01"))


def write_nbe(path: Path) -> Path:
    """CMS-Flux on the grid of GEOS-Chem: 46 latitudes, those at the poles half as tall; (time, lon, lat)."""
    lat = np.concatenate([[-89.0], np.arange(-86.0, 87.0, 4.0), [89.0]])
    lon = np.arange(-180.0, 180.0, 5.0)
    middle = months().astype("datetime64[D]") + 14
    return write_grid(
        path, "NBE", in_time(lat, lon, 0.1, -0.8, 0.05), lat, lon, units="gC/m2/day", time=days(middle, "2000-01-01"),
        dimension_order=(0, 2, 1), fill=-999.0,
    )  # fmt: skip


MISSING_GRACE = (5, 6)


def write_grace(path: Path) -> Path:
    """JPL mascons: from 0 to 360, from south to north, cm, time_bounds; two months missing, two solutions in one."""
    lat, lon = axis(30, 60, 0.5), axis(0, 360, 0.5)
    kept = [number for number in range(MONTHS) if number not in MISSING_GRACE]
    begin = np.append(days(months()[kept], "2002-01-01"), days(months()[[9]], "2002-01-01") + 5)
    end = np.append(days(months(1)[kept], "2002-01-01"), days(months(1)[[9]], "2002-01-01") + 5)
    values = in_time(lat, lon, 1.0, 5.0, 0.1)[[*kept, 9]]
    values[-1] += 2.0
    order = np.argsort(begin)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_grid(
        path, "lwe_thickness", values[order], lat, lon, units="cm", time=0.5 * (begin + end)[order], fill=-99999.0,
        time_units="days since 2002-01-01T00:00:00Z", bounds=np.stack([begin, end], axis=1)[order],
    )  # fmt: skip
    with netCDF4.Dataset(str(path), "r+") as file:
        file.renameVariable("time_bnds", "time_bounds")
        file["time"].bounds = "time_bounds"
    return path


TOWERS = (
    ("AA-Gra", 46.5, -2.5, "GRA", 4.0),
    ("AA-Two", 46.4, -2.6, "GRA", 6.0),
    ("BB-Dbf", 43.5, 1.5, "DBF", 5.0),
    ("CC-Ice", 43.5, 2.5, "SNO", 5.0),
    ("DD-Sea", 47.5, 3.5, "GRA", 5.0),
)
"""Names, places, classes and GPP of towers; two in one cell, one of a type that hardly is there, one in the sea."""


def write_towers(path: Path) -> Path:
    """A CF file of sites and months; the first has no value in its second month, and no ET at all."""
    with netCDF4.Dataset(str(path), "w") as file:
        file.createDimension("site", len(TOWERS))
        file.createDimension("time", MONTHS)
        file.createVariable("site", str, ("site",))[:] = np.array([one[0] for one in TOWERS], object)
        file.createVariable("IGBP", str, ("site",))[:] = np.array([one[3] for one in TOWERS], object)
        for name, place, unit in (("latitude", 1, "degrees_north"), ("longitude", 2, "degrees_east")):
            variable = file.createVariable(name, "f8", ("site",))
            variable.units, variable[:] = unit, [one[place] for one in TOWERS]
        variable = file.createVariable("time", "f8", ("time",))
        variable.units, variable[:] = "days since 2000-01-01", days(months(), "2000-01-01") + 14
        for name, unit, factor in (("gpp", "gC m-2 d-1", 1.0), ("reco", "gC m-2 d-1", 0.8), ("et", "mm d-1", 0.3)):
            variable = file.createVariable(name, "f4", ("site", "time"), fill_value=-9999.0)
            variable.units = unit
            values = np.array([one[4] for one in TOWERS])[:, None] * factor * np.ones(MONTHS)
            values[0, 1] = -9999.0
            if name == "et":
                values[0] = -9999.0
            variable[:] = values
    return path


def write_co2(path: Path) -> Path:
    """NOAA's monthly global means."""
    rows = [f"{str(month)[:4]},{int(str(month)[5:])},{2001 + n / 12:.3f},{370 + 0.2 * n:.2f},0,370,0"
            for n, month in enumerate(months())]  # fmt: skip
    path.write_text("# comment\nyear,month,decimal,average,average_unc,trend,trend_unc\n" + "\n".join(rows) + "\n")
    return path


INGEST = """
[store]
years = [2001, 2002]
step = 1.0
memory_gb = 1.0
region = { south = 42, north = 50, west = -5, east = 5 }

[products]
forcing = { path = "era5/*.nc" }
co2 = { path = "co2_mm_gl.csv" }
burned_area = { path = "gfed/BA*.nc" }
pft = { path = "mcd12c1.nc" }
elevation = { path = "elevation.nc" }
canopy_height = { path = "canopy_height.nc" }
forest_age = { path = "forest_age.nc" }
soil = { path = "soil/*.nc4" }
sif = { path = "sif.nc" }
lai = { path = "lai.nc" }
et = { path = "gleam/E_*.nc" }
fire = { path = "gfed/GFED5_Beta_monthly_*.nc" }
biomass = { path = "biomass.nc" }
nbe = { path = "nbe.nc" }
water_storage = { path = "grace.nc" }
soil_carbon = { path = "carbon/*.nc4" }
towers = { path = "towers.nc" }
"""
"""An ingest file of all products of the sample."""


def write_everything(root: Path) -> Path:
    """Write all products and their ingest file, and return it."""
    write_era5(root / "era5")
    write_co2(root / "co2_mm_gl.csv")
    write_burned(root / "gfed")
    write_cover(root / "mcd12c1.nc")
    write_map(root / "elevation.nc", "elevation", 300.0, "m")
    write_map(root / "canopy_height.nc", "canopy_height", 12.0, "m",
              lambda lat, lon: (lat > 49) & (lat < 50) & (lon > -5) & (lon < 0))  # fmt: skip
    write_map(root / "forest_age.nc", "ForestAge_TC000", 60.0, "years")
    for name, value, unit in (("T_BULK_DEN", 1.4, "kg/dm3"), ("T_SAND", 40.0, "% wt."), ("T_SILT", 35.0, "% wt."),
                              ("T_CLAY", 25.0, "% wt."), ("T_GRAVEL", 8.0, "% vol.")):  # fmt: skip
        write_map(root / "soil" / f"{name}.nc4", name, value, unit)
    for name, value in (("AWT_T_SOC", 5.0), ("AWT_S_SOC", 4.0)):
        write_map(root / "carbon" / f"{name}.nc4", name, value, "kg C m-2")
    write_sif(root / "sif.nc")
    write_lai(root / "lai.nc")
    write_gleam_months(root / "gleam")
    write_emissions(root / "gfed")
    write_biomass(root / "biomass.nc")
    write_nbe(root / "nbe.nc")
    write_grace(root / "grace.nc")
    write_towers(root / "towers.nc")
    path = root / "global.toml"
    path.write_text(INGEST)
    return path
