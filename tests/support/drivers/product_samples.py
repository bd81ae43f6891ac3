"""Small products in the layouts in which they are published, made of plain formulas so that results can be told."""

from __future__ import annotations

import calendar
from collections.abc import Callable, Sequence
from pathlib import Path

import netCDF4
import numpy as np

NORTH_EDGE, WEST_EDGE = 62.0, 24.0
"""Corner of the samples: cells 60.25, 60.75, 61.25, 61.75 N by 24.25, 24.75, 25.25 E, of half a degree."""

ROWS, COLUMNS = 4, 3

Values = Callable[[np.ndarray, np.ndarray], np.ndarray]


def centres(step: float) -> tuple[np.ndarray, np.ndarray]:
    """Latitudes from south to north and longitudes from west to east."""
    lat = NORTH_EDGE - 0.5 * ROWS + step * (np.arange(round(0.5 * ROWS / step)) + 0.5)
    return lat, WEST_EDGE + step * (np.arange(round(0.5 * COLUMNS / step)) + 0.5)


def write_grid(
    path: Path,
    name: str,
    values: np.ndarray,
    lat: np.ndarray,
    lon: np.ndarray,
    *,
    units: str | None = "1",
    time: np.ndarray | None = None,
    time_units: str | None = "days since 2000-01-01",
    calendar_name: str = "standard",
    time_name: str = "time",
    dtype: str = "f4",
    fill: float | None = None,
    scale: float | None = None,
    names: tuple[str, str] = ("lat", "lon"),
    dimension_order: Sequence[int] = (0, 1, 2),
    attributes: dict | None = None,
    bounds: np.ndarray | None = None,
    extra: dict[str, np.ndarray] | None = None,
) -> Path:
    """Write one variable (time, lat, lon) or (lat, lon); NaN becomes the fill value."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with netCDF4.Dataset(str(path), "w") as file:
        for axis, coordinate, unit in ((names[0], lat, "degrees_north"), (names[1], lon, "degrees_east")):
            file.createDimension(axis, len(coordinate))
            variable = file.createVariable(axis, "f8", (axis,))
            variable.units = unit
            variable[:] = coordinate
        dimensions = names
        if time is not None:
            file.createDimension(time_name, None if time_name == "time" else len(time))
            variable = file.createVariable(time_name, "f8", (time_name,))
            if time_units is not None:
                variable.units, variable.calendar = time_units, calendar_name
            variable[:] = time
            dimensions = tuple((time_name, *names)[place] for place in dimension_order)
            values = np.transpose(values, dimension_order)
            if bounds is not None:
                file.createDimension("bnds", 2)
                variable.bounds = "time_bnds"
                file.createVariable("time_bnds", "f8", (time_name, "bnds"))[:] = bounds
        variable = file.createVariable(name, dtype, dimensions, fill_value=fill)
        variable.set_auto_maskandscale(False)
        if units is not None:
            variable.units = units
        if scale is not None:
            variable.scale_factor = scale
        variable.setncatts(attributes or {})
        packed = values if scale is None else values / scale
        missing = np.isnan(packed)
        stored = np.where(missing, 0.0 if fill is None else fill, np.round(packed) if dtype[0] in "iu" else packed)
        variable[:] = stored.astype(dtype)
    return path


def air(lat: np.ndarray, lon: np.ndarray, day: np.ndarray, hour: float) -> np.ndarray:
    """Temperature in K (steps, lat, lon)."""
    season = 275.0 - 10.0 * np.cos(2 * np.pi * day / 365.0)
    return season[:, None, None] + (hour - 9.0) / 3.0 - 0.3 * (lat[:, None] - 60.0) + 0.1 * (lon - 24.0)


def write_crujra(
    folder: Path,
    years: Sequence[int],
    *,
    lat: np.ndarray | None = None,
    lon: np.ndarray | None = None,
    change: Callable[[str, int, np.ndarray], np.ndarray] = lambda name, year, values: values,
    units: dict[str, str | None] | None = None,
    time_units: str | None = "hours since 1901-01-01 00:00:00",
    calendar_name: str = "365_day",
    shift: float = 0.0,
) -> str:
    """Write tmp, pre, dswrf, spfh and pres of some years; return the glob that finds them."""
    own_lat, own_lon = centres(0.5)
    lat, lon = own_lat if lat is None else lat, own_lon if lon is None else lon
    unit = {"tmp": "Degrees K", "pre": "mm/6h", "dswrf": "J/m2", "spfh": "kg/kg", "pres": "Pa", **(units or {})}
    for year in years:
        day = np.repeat(np.arange(365), 4)
        hour = np.tile([0.0, 6.0, 12.0, 18.0], 365)
        temperature = np.concatenate([air(lat, lon, np.array([d]), h) for d, h in zip(day, hour, strict=True)])
        east = (np.asarray(lon) + 180.0) % 360.0 - 180.0
        place = (lat[:, None] - 60.0) + 0.01 * (east - 24.0)
        values = {
            "tmp": temperature + 0.01 * (year - 2000),
            "pre": np.where(day % 3 == 0, 0.5, 0.0)[:, None, None] + 0.1 * place,
            "dswrf": np.where(hour == 12.0, 8e6, np.where(hour == 6.0, 2e6, 0.0))[:, None, None] + 1e4 * place,
            "spfh": 0.0008 + 1e-5 * (day % 7)[:, None, None] + 1e-5 * place,
            "pres": 98_000.0 + 10.0 * (day % 11)[:, None, None] + 5.0 * place,
        }
        time = (year - 1901) * 8760.0 + np.arange(1460) * 6.0 + shift
        for name, array in values.items():
            write_grid(
                folder / f"crujra.v2.2.5d.{name}.{year}.365d.noc.nc",
                name,
                change(name, year, array),
                lat,
                lon,
                units=unit[name],
                time=time,
                time_units=time_units,
                calendar_name=calendar_name,
                fill=9.96921e36,
            )
    return str(folder / "crujra.v2.2.5d.*.365d.noc.nc")


def days_in(year: int) -> int:
    return 366 if calendar.isleap(year) else 365


def gregorian(year: int) -> np.ndarray:
    """Days since 2000-01-01 of a year."""
    first = (np.datetime64(f"{year}-01-01") - np.datetime64("2000-01-01")).astype(int)
    return first + np.arange(days_in(year), dtype=float)


def write_fluxsat(folder: Path, years: Sequence[int], value: Values = lambda lat, lon: 0 * lat + lon * 0 + 4.0) -> str:
    """Monthly files of daily GPP at 0.05 degrees, from north to south; it grows by 0.001 a day of the year."""
    lat, lon = centres(0.05)
    lat = lat[::-1]
    for year in years:
        days = gregorian(year)
        month = (np.datetime64("2000-01-01") + days.astype(int)).astype("datetime64[M]").astype(int) % 12 + 1
        for number in range(1, 13):
            some = days[month == number]
            field = value(lat[:, None], lon[None, :]) + 0.001 * (some - days[0])[:, None, None]
            write_grid(
                folder / f"GPP_FluxSat_daily_v2_{year}{number:02d}.nc4",
                "GPP",
                field,
                lat,
                lon,
                units="g C m-2 d-1",
                time=some,
                fill=-9999.0,
            )
    return str(folder / "GPP_FluxSat_daily_v2_*.nc4")


def write_gleam(folder: Path, name: str, years: Sequence[int], value: float) -> str:
    """Yearly files at 0.1 degrees, from north to south; missing in the first row of pixels."""
    lat, lon = centres(0.1)
    lat = lat[::-1]
    for year in years:
        days = gregorian(year)
        field = np.full((len(days), len(lat), len(lon)), value) + 0.001 * (days - days[0])[:, None, None]
        field[:, 0, :] = np.nan
        write_grid(
            folder / f"{name}_{year}_GLEAM_v4.2a.nc",
            name,
            field,
            lat,
            lon,
            units="mm day-1",
            time=days,
            fill=-999.0,
            time_units="days since 2000-01-01",
        )
    return str(folder / f"{name}_*_GLEAM_v4.2a.nc")


def write_reco(folder: Path, years: Sequence[int], starts: Callable[[int], np.ndarray]) -> str:
    """Yearly files of 10-day means along days of the year, without a time axis; window number / 10."""
    lat, lon = centres(0.1)
    for year in years:
        doy = starts(year)
        field = np.broadcast_to((0.1 * np.arange(len(doy)))[:, None, None], (len(doy), len(lat), len(lon)))
        write_grid(
            folder / f"RECO_{year}.nc",
            "RECO",
            field,
            lat,
            lon,
            units="gC m-2 day-1",
            time=doy.astype(float),
            time_units=None,
            time_name="doy",
            fill=-9999.0,
        )
    return str(folder / "RECO_*.nc")


def dekad_starts(year: int) -> np.ndarray:
    dates = [np.datetime64(f"{year}-{month:02d}-{day:02d}") for month in range(1, 13) for day in (1, 11, 21)]
    return np.array([(date - np.datetime64(f"{year}-01-01")).astype(int) + 1 for date in dates])


def write_lai(folder: Path, years: Sequence[int], value: Values = lambda lat, lon: 0 * lat + 0 * lon + 3.0) -> str:
    """Composites of eight days as NetCDF, a file each, packed in bytes of 0.1 with 255 for missing."""
    lat, lon = centres(0.05)
    lat = lat[::-1]
    for year in years:
        for number in range(46):
            doy = 1 + 8 * number
            write_grid(
                folder / f"GLASS01B01.V60.A{year}{doy:03d}.2022012.nc",
                "LAI",
                value(lat[:, None], lon[None, :]) + 0.1 * (number % 5),
                lat,
                lon,
                units=None,
                dtype="u1",
                fill=255,
                scale=0.1,
            )
    return str(folder / "GLASS01B01.*.nc")


def write_agb(path: Path, value: Values, step: float = 0.0125) -> str:
    """A map of above-ground biomass in Mg ha-1 as 16-bit integers with a time of length one, north to south."""
    lat, lon = centres(step)
    lat = lat[::-1]
    write_grid(
        path,
        "agb",
        value(lat[:, None], lon[None, :])[None],
        lat,
        lon,
        units="Mg/ha",
        time=np.zeros(1),
        dtype="i2",
        fill=-32768,
    )
    return str(path)


def write_static(path: Path, name: str, value: float | Values, units: str | None, step: float = 0.5) -> str:
    lat, lon = centres(step)
    field = value(lat[:, None], lon[None, :]) if callable(value) else np.full((len(lat), len(lon)), value)
    write_grid(path, name, np.asarray(field, float), lat, lon, units=units, fill=-9999.0)
    return str(path)


def write_co2(path: Path, years: Sequence[int]) -> str:
    path.write_text("Year,Mean,Uncertainty\n" + "".join(f"{y},{300 + y - 1900:.2f},0.1\n" for y in years))
    return str(path)


def patchy(lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
    """Biomass that differs from one pixel of 0.05 degrees to the next, up to 300 Mg ha-1, and is 0 in the last cell."""
    row = np.floor((lat - 60.0) / 0.05 + 1e-6)
    column = np.floor((lon - 24.0) / 0.05 + 1e-6)
    field = (row * 37 + column * 101) % 300
    return np.where((lat > 61.5) & (lon > 25.0), 0.0, field)


INGEST = """
[store]
years = [2003, 2004]
cells_per_chunk = {chunk}
memory_gb = {memory}
region = {{ south = 55, north = 65, west = 20, east = 30 }}
[products]
forcing = {{ path = "cru/*.nc" }}
co2 = {{ path = "co2.csv" }}
gpp = {{ path = "fluxsat/*.nc4" }}
et = {{ path = "gleam/E_*.nc" }}
potential_et = {{ path = "gleam/Ep_*.nc" }}
reco = {{ path = "reco/*.nc" }}
lai = {{ path = "lai/*.nc" }}
agb = {{ path = "agb.nc" }}
root_shoot = {{ path = "rs.nc" }}
growth = {{ path = "growth.csv" }}
sla = {{ path = "sla.nc" }}
cue = {{ path = "cue.nc" }}
soil_clay = {{ path = "clay.nc", variable = "clay" }}
"""


def write_everything(root: Path, years: Sequence[int] = (2003, 2004), chunk: int = 2, memory: float = 1.0) -> Path:
    """All products, and the ingest file that names them."""
    write_crujra(root / "cru", years)
    write_fluxsat(root / "fluxsat", years)
    write_gleam(root / "gleam", "E", years, 2.0)
    write_gleam(root / "gleam", "Ep", years, 4.0)
    write_reco(root / "reco", years, dekad_starts)
    write_lai(root / "lai", years)
    write_agb(root / "agb.nc", patchy)
    write_static(root / "rs.nc", "root_shoot", 0.25, "1")
    write_static(root / "sla.nc", "sla", 10.0, "m2 kg-1")
    write_static(root / "cue.nc", "cue", 0.5, "1")
    write_static(root / "clay.nc", "clay", 20.0, "%")
    rows = [f"{lat},{lon},200,0.03,1.5\n" for lat in (60.75, 61.25, 61.75) for lon in (24.25, 24.75, 25.25)]
    (root / "growth.csv").write_text("latitude,longitude,amax,k,c\n" + "".join(rows))
    write_co2(root / "co2.csv", range(1979, 2022))
    path = root / "ingest.toml"
    path.write_text(INGEST.format(chunk=chunk, memory=memory))
    return path
