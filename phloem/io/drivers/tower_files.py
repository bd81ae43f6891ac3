"""Tower files: one NetCDF a site, daily, in the layout of the fluxnet_daily data set.

The site is the file's name without `.nc`. Days are counted from 2001-01-01; a CF units attribute on `time` is
honoured. CMIP names (tasmin, tasmax, rsds, co2, vpd, pr, gpp, reco, et, lai) are accepted beside the
layout's own.
"""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import MappingProxyType

import netCDF4
import numpy as np

from phloem.errors import InputError
from phloem.io.drivers import quality as checks
from phloem.io.drivers.calendar_days import DaysOfRecord
from phloem.io.drivers.findings import QUALITY, Audit
from phloem.io.drivers.moisture import PRESSURE, deficit
from phloem.io.drivers.tower_arrays import TIME_UNITS, decode_days
from phloem.io.drivers.tower_cell import Cell, count_training_days, day_of_year
from phloem.io.drivers.tower_variables import TowerVariables, daily_series, decoded, missing_of, text_of
from phloem.io.drivers.variables import BURNED_AREA, DAILY, EVAPORATIVE_FRACTION, VARIABLES, DriverVariables
from phloem.io.files.atomic import checksum
from phloem.io.files.csv_table import Table
from phloem.io.files.netcdf import CONVENTIONS, write_netcdf
from phloem.io.files.own_variables import OwnVariables

_REFERENCE = {
    "tasmin": ("tmin",),
    "tasmax": ("tmax",),
    "rsds": ("ssrd",),
    "vpd": ("vpd",),
    "gpp": ("gpp_nt", "gpp_dt"),
    "reco": ("reco_nt",),
}

COORDINATES = "site_coords.csv"
"""Table of sites beside tower files: SITE_ID, lat, lon."""

PRIORS = ("PARPRIORS", "OTHERPRIORS")
"""Prior values of parameters and of other quantities in files of CARDAMOM."""


def list_towers(folder: Path, sites: Sequence[str] | None = None) -> dict[str, Path]:
    """Return the tower files of a folder by site, sorted by name.

    Args:
        folder: Folder of `SITE.nc` files.
        sites: Those to take; None takes all.

    Raises:
        InputError: No such folder, no tower file in it, or a site that it does not hold.
    """
    if not Path(folder).is_dir():
        raise InputError(f"{folder}: no such folder")
    found = {path.stem: path for path in sorted(Path(folder).glob("*.nc")) if not path.name.startswith(".")}
    if not found:
        raise InputError(f"{folder}: holds no tower file (SITE.nc)")
    unknown = sorted(set(sites or ()) - set(found))
    if unknown:
        raise InputError(f"{folder}: no site {', '.join(unknown)}; the sites are {', '.join(found)}")
    return {name: path for name, path in found.items() if sites is None or name in sites}


def _find(file: netCDF4.Dataset, names: Iterable[str], audit: Audit) -> netCDF4.Variable:
    """The first of the names that the file has."""
    names = tuple(dict.fromkeys(names))
    for name in names:
        if name in file.variables:
            return file.variables[name]
    raise audit.error(*missing_of(file, names))


def _read_time(file: netCDF4.Dataset, audit: Audit) -> DaysOfRecord:
    """The days of the time axis."""
    variable = _find(file, ("time",), audit)
    if variable.ndim != 1 or not np.issubdtype(variable.dtype, np.number):
        raise audit.error("time", f"has shape {variable.shape} of {variable.dtype}; one axis of numbers is due")
    stamps = decoded(variable, audit, coordinate=True)
    return decode_days(stamps, text_of(variable, "units"), text_of(variable, "calendar"), audit)


def _coordinates(file: netCDF4.Dataset, audit: Audit) -> tuple[float, float]:
    """Latitude and longitude: the file's scalars, else site_coords.csv beside the file."""

    def scalar(*names: str) -> float:
        for name in names:
            if name in file.variables and file.variables[name].size == 1:
                return float(checks.mark_missing(decoded(file.variables[name], audit)).reshape(-1)[0])
        return math.nan

    place, said = place_of(
        scalar("LAT", "lat", "latitude"), scalar("LON", "lon", "longitude"), audit.path, audit.path.stem
    )
    for text in said:
        audit.add("LAT", "warning", text.removeprefix("LAT: "))
    return place


def place_of(latitude: float, longitude: float, path: Path, site: str) -> tuple[tuple[float, float], list[str]]:
    """Return where a site lies, by its file, else by the table of sites beside it, and what is odd about it.

    Args:
        latitude: of the file, degrees north, NaN where it has none.
        longitude: of the file, degrees east, NaN where it has none.
        path: of the file.
        site: its name in the table.

    Raises:
        InputError: no latitude, or a place that there is not on Earth.
    """
    beside = path.with_name(COORDINATES)
    table = coordinates_in(beside, site) if beside.is_file() else {}
    north = table.get("lat", math.nan) if math.isnan(latitude) else latitude
    east = table.get("lon", math.nan) if math.isnan(longitude) else longitude
    where = f"{path}: cell {site}: variable"
    if not -90.0 <= north <= 90.0:
        raise InputError(f"{where} LAT: no latitude in -90..90 in the file or in {beside.name} beside it ({north})")
    if not (math.isnan(east) or -180.0 <= east <= 360.0):
        raise InputError(f"{where} LON: no longitude in -180..360 in the file or in {beside.name} beside it ({east})")
    other = table.get("lat", north)
    odd = [f"LAT: {north:.4f}, but {beside.name} says {other:.4f}"] if abs(other - north) > 0.5 else []
    return (north, east), odd


def coordinates_in(path: Path, site: str) -> dict[str, float]:
    """Return latitude and longitude of a site in a table of sites, as far as they are there.

    Raises:
        InputError: a line with more or fewer fields than the header, a site that stands twice, no number.
    """
    table = Table(path)
    table.require(["SITE_ID"])
    found: dict[str, float] = {}
    line = 0
    for row in table.rows():
        if row.values["SITE_ID"] != site:
            continue
        if line:
            raise InputError(f"{row.where}: site {site} stands already on line {line}")
        line = row.line
        found = {
            "lat": row.optional("lat", least=-90.0, most=90.0),
            "lon": row.optional("lon", least=-180.0, most=360.0),
        }
    return found


def _note_burned_area(file: netCDF4.Dataset, audit: Audit) -> None:
    """Note fire that the model does not have."""
    for name in BURNED_AREA:
        if name in file.variables and np.issubdtype(file.variables[name].dtype, np.number):
            burned = int((decoded(file.variables[name], audit) > 0).sum())
            if burned:
                audit.add(name, "note", f"above 0 on {burned} days, and not read: the model has no fire")


def _note_priors(file: netCDF4.Dataset, audit: Audit) -> None:
    """Note prior values that a file of CARDAMOM brings: the objective has no term for them."""
    for name in PRIORS:
        if name not in file.variables or not np.issubdtype(file.variables[name].dtype, np.number):
            continue
        if said := said_of_priors(checks.mark_missing(decoded(file.variables[name], audit))):
            audit.add(name, "note", said)


def said_of_priors(values: np.ndarray) -> str:
    """Return what is told of prior values, NaN where there is none; empty where there are none at all."""
    known = values[np.isfinite(values)]
    if not len(known):
        return ""
    listed = ", ".join(f"{value:g}" for value in known[:5]) + (", ..." if len(known) > 5 else "")
    return f"{len(known)} prior values ({listed}) are not used: the loss has no term for them"


def _compare(path: Path, time: np.ndarray, values: dict[str, np.ndarray], audit: Audit) -> None:
    """Report where the cell differs from the same site in a reference file (site, time) of daily towers."""
    source = Audit(path, audit.quality)
    with _open(path)[0] as file:
        sites = [str(name) for name in np.atleast_1d(_find(file, ("site",), source)[:])]
        if audit.path.stem not in sites:
            audit.add("site", "note", f"not compared: the reference {path.name} does not have it")
            return
        row, axis = sites.index(audit.path.stem), _read_time(file, source).stamps
        _, here, there = np.intersect1d(time, axis, return_indices=True)
        for name, candidates in _REFERENCE.items():
            if name not in values:
                continue
            best: tuple[float, checks.Issue | None, str] = (-np.inf, None, "")
            for candidate in candidates:
                variable = _find(file, (candidate,), source)
                reference = checks.mark_missing(decoded(variable, source, (row, slice(None))))[there]
                if name == "vpd" and variable.dtype == np.int16:
                    # In int16 steps of 0.001 hPa a deficit above 32.767 hPa has wrapped to a negative number.
                    step = float(getattr(variable, "scale_factor", 1.0))
                    reference = np.where(reference < 0.0, reference + 65536 * step, reference)
                r, issue = checks.check_against_reference(name, values[name][here], reference)
                if r > best[0]:
                    best = (r, issue, candidate)
            if best[1] is not None:
                audit.add(VARIABLES[name].layout, "warning", f"{best[1].message}: {best[2]} of {path.name}")


def _open(path: Path) -> tuple[netCDF4.Dataset, bytes]:
    """A NetCDF file and its bytes, which are read once, so that data and checksum belong together."""
    try:
        data = path.read_bytes()
        file = netCDF4.Dataset(str(path), memory=data)
        file.set_auto_maskandscale(False)
        return file, data
    except OSError as error:
        raise InputError(f"{path}: not a readable NetCDF file ({error.strerror or error})") from error


def read_tower(
    path: Path,
    *,
    quality: str = "repair",
    reference: Path | None = None,
    variables: DriverVariables = DAILY,
    compared: bool = True,
    own: OwnVariables = MappingProxyType({}),
) -> Cell:
    """Read a tower file and control its quality.

    Args:
        path: `SITE.nc`.
        quality: "repair" mends what can be mended with certainty and reports it, "keep" only reports,
            "refuse" raises for a defect that "repair" would mend.
        reference: Optional file in the layout of tower_daily (site, time) to compare the site with.
        variables: What the model needs of it.
        compared: Whether observations will be compared with; else streams may be absent, and are NaN then.
        own: What the user says of the file's variables, by their names here.

    Raises:
        InputError: A file that cannot be read, or defects that the mode does not accept, all of them; the message names
            the file, the cell, the variable, how many days and the first of them, a line each.
    """
    if quality not in QUALITY:
        raise InputError(f"quality = {quality!r}; the choices are {', '.join(QUALITY)}")
    path = Path(path)
    audit = Audit(path, quality)
    file, data = _open(path)
    with file:
        record = _read_time(file, audit)
        audit.raise_defects()
        audit.apply_quality("time", checks.check_time(record.stamps), {})
        audit.raise_defects()
        time, days = record.stamps.astype(np.int64), file["time"].size
        tower = TowerVariables(file, audit, own, variables, compared)
        known = [spec for spec in variables.all if tower.name(spec.name) is not None]
        lacking = [spec for spec in variables.all if spec not in known]
        moisture = tower.moisture()
        for spec in lacking:
            if spec in variables.forcing and (spec.name != "vpd" or moisture is None):
                audit.refuse(*tower.missing([spec.name]))
        if compared and not any(spec in known for spec in variables.streams):
            audit.refuse(*tower.missing([spec.name for spec in variables.streams]))
        elif compared and (absent := [spec.layout for spec in lacking if spec in variables.streams]):
            audit.add(" ".join(absent), "note", "not in the file: nothing is compared with it")
        values = {spec.name: np.full(len(time), np.nan) for spec in variables.all}
        for spec in known:
            values[spec.name] = record.spread(tower.values(spec.name, spec, days), spec in variables.forcing)
        if moisture is not None and any(spec.name == "vpd" for spec in lacking) and not audit.defects:
            needed = [moisture.variable, *([PRESSURE] if moisture.pressure else [])]
            air = {one.name: record.spread(tower.values(one.name, one, days), True) for one in needed}
            pressure = air.get(PRESSURE.name, np.zeros(1))
            made_of = air[moisture.variable.name]
            values["vpd"] = deficit(moisture, made_of, values["tasmin"], values["tasmax"], pressure)
            said = f"not in the file; made of {tower.name(moisture.variable.name)}: the mean of the deficits at "
            audit.add("VPD", "note", f"{said}tasmin and tasmax")
        if "DOY" in file.variables and record.known is None:
            audit.apply_quality("DOY", checks.check_doy(time, daily_series(file.variables["DOY"], days, audit)), {})
        layout = {spec.name: tower.name(spec.name) or spec.layout for spec in variables.all}
        tower.note_attributes(known)
        fraction = np.full(len(time), np.nan)
        if tower.name(EVAPORATIVE_FRACTION.name) is not None:
            fraction = record.spread(tower.values(EVAPORATIVE_FRACTION.name, EVAPORATIVE_FRACTION, days), False)
        _note_burned_area(file, audit)
        latitude, longitude = _coordinates(file, audit)
        _note_priors(file, audit)
    audit.raise_defects()
    checks.control(values, layout, time, audit, variables, compared)
    if reference is not None:
        _compare(Path(reference), time, values, audit)
    return Cell(
        name=path.stem,
        latitude=latitude,
        longitude=longitude,
        time=time,
        doy=day_of_year(time),
        forcing={spec.name: values[spec.name] for spec in variables.forcing},
        observations={spec.name: values[spec.name] for spec in variables.streams},
        evaporative_fraction=fraction,
        training_days=count_training_days(time),
        findings=tuple(audit.findings),
        source=str(path),
        checksum=checksum(data),
    )


def write_tower(path: Path, cell: Cell) -> None:
    """Write a cell in the tower layout, atomically: `read_tower` of the file gives identical arrays.

    The site is named by the file, so `path` must be `NAME.nc` of the cell's name. Findings are not written.

    Raises:
        InputError: A path whose name is not the cell's.
    """
    path = Path(path)
    if path.name != f"{cell.name}.nc":
        raise InputError(f"{path}: the file of cell {cell.name} must be called {cell.name}.nc")
    write_netcdf(path, lambda file: _fill(file, cell))


def _fill(file: netCDF4.Dataset, cell: Cell) -> None:
    """Put a cell into an empty file."""
    file.setncatts({"Conventions": CONVENTIONS, "title": f"daily drivers and observations of {cell.name}"})
    file.createDimension("time", len(cell.time))

    def put(name: str, values: np.ndarray, **attributes: str) -> None:
        fill = np.nan if values.dtype.kind == "f" else None
        dimensions = ("time",) if values.ndim else ()
        variable = file.createVariable(name, values.dtype, dimensions, fill_value=fill)
        variable.setncatts(attributes)
        variable[...] = values

    put("time", cell.time.astype(np.int64), units=TIME_UNITS, calendar="standard", standard_name="time")
    put("DOY", cell.doy.astype(np.float64), units="1", long_name="day of year")
    put("LAT", np.asarray(cell.latitude), units="degrees_north", standard_name="latitude")
    put("LON", np.asarray(cell.longitude), units="degrees_east", standard_name="longitude")
    for name, values in {**cell.forcing, **cell.observations, "ef": cell.evaporative_fraction}.items():
        spec = VARIABLES.get(name, EVAPORATIVE_FRACTION)
        put(spec.layout, values.astype(np.float64), units=spec.unit, long_name=spec.long_name)
    net = cell.observations["reco"] - cell.observations["gpp"]
    put("NBE", net, units=VARIABLES["gpp"].unit, long_name="net exchange, RECO - GPP")
