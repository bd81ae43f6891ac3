"""Tower files: one NetCDF a site, daily, in the layout of the fluxnet_daily data set.

The site is the file's name without `.nc`. Days are counted from 2001-01-01; a CF units attribute on `time` is
honoured. CMIP names (tasmin, tasmax, rsds, co2, vpd, pr, gpp, reco, et, lai) are accepted beside the
layout's own.
"""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

from phloem.errors import InputError
from phloem.io.drivers import quality as checks
from phloem.io.drivers.calendar_days import DaysOfRecord
from phloem.io.drivers.findings import QUALITY, Audit
from phloem.io.drivers.moisture import PRESSURE, deficit, find_moisture
from phloem.io.drivers.tower_arrays import TIME_UNITS, decode_days, in_own_unit
from phloem.io.drivers.tower_cell import Cell, count_training_days, day_of_year
from phloem.io.drivers.variables import BURNED_AREA, DAILY, EVAPORATIVE_FRACTION, VARIABLES, DriverVariables, Variable
from phloem.io.files.atomic import checksum
from phloem.io.files.csv_table import Table
from phloem.io.files.netcdf import CONVENTIONS, write_netcdf
from phloem.io.files.stored_values import SENTINEL, stored_values

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


def _text(variable: netCDF4.Variable, attribute: str) -> str:
    """A text attribute; empty where it is absent or a number, such as the placeholder -9999."""
    value = getattr(variable, attribute, "")
    return value.strip() if isinstance(value, str) and value.strip() != "-9999" else ""


def _find(file: netCDF4.Dataset, names: Iterable[str], audit: Audit) -> netCDF4.Variable:
    """The first of the names that the file has."""
    names = tuple(dict.fromkeys(names))
    for name in names:
        if name in file.variables:
            return file.variables[name]
    raise audit.error(*_missing(file, names))


def _missing(file: netCDF4.Dataset, names: Iterable[str]) -> tuple[str, str]:
    """How an error calls a variable that the file does not have, and what it says."""
    have = ", ".join(sorted(file.variables)) or "no variable"
    return " or ".join(dict.fromkeys(names)), f"is missing; the file has {have}"


def _decoded(variable: netCDF4.Variable, audit: Audit, piece: Any = ..., coordinate: bool = False) -> np.ndarray:
    """Values of numbers, float64, NaN where missing; what a valid range takes away is reported."""
    attributes = {key: variable.getncattr(key) for key in variable.ncattrs()}
    where = f"{audit.path}: cell {audit.cell}: variable {variable.name}"
    stored = stored_values(attributes, np.dtype(variable.dtype), where, coordinate=coordinate)
    values = stored.decode(np.asarray(variable[piece]))
    stored.counts.pop(SENTINEL, None)  # the layout's own
    for text in stored.told():
        audit.add(variable.name, "warning" if stored.counts else "note", text)
    return values


def _series(variable: netCDF4.Variable, days: int, audit: Audit) -> np.ndarray:
    """The values of a daily variable, float64 (days,), NaN where missing."""
    if variable.shape != (days,) or not np.issubdtype(variable.dtype, np.number):
        raise audit.error(
            variable.name,
            f"has shape {variable.shape} of {variable.dtype}; numbers of shape ({days},) are due",
        )
    return checks.mark_missing(_decoded(variable, audit))


def _read_time(file: netCDF4.Dataset, audit: Audit) -> DaysOfRecord:
    """The days of the time axis."""
    variable = _find(file, ("time",), audit)
    if variable.ndim != 1 or not np.issubdtype(variable.dtype, np.number):
        raise audit.error("time", f"has shape {variable.shape} of {variable.dtype}; one axis of numbers is due")
    stamps = _decoded(variable, audit, coordinate=True)
    return decode_days(stamps, _text(variable, "units"), _text(variable, "calendar"), audit)


def _coordinates(file: netCDF4.Dataset, audit: Audit) -> tuple[float, float]:
    """Latitude and longitude: the file's scalars, else site_coords.csv beside the file."""
    beside = audit.path.with_name(COORDINATES)
    table = coordinates_in(beside, audit.path.stem) if beside.is_file() else {}

    def scalar(*names: str) -> float:
        for name in names:
            if name in file.variables and file.variables[name].size == 1:
                return float(checks.mark_missing(_decoded(file.variables[name], audit)).reshape(-1)[0])
        return math.nan

    latitude, longitude = scalar("LAT", "lat", "latitude"), scalar("LON", "lon", "longitude")
    latitude = table.get("lat", math.nan) if math.isnan(latitude) else latitude
    longitude = table.get("lon", math.nan) if math.isnan(longitude) else longitude
    if not -90.0 <= latitude <= 90.0:
        raise audit.error("LAT", f"no latitude in -90..90 in the file or in {beside.name} beside it ({latitude})")
    if abs(table.get("lat", latitude) - latitude) > 0.5:
        audit.add("LAT", "warning", f"{latitude:.4f}, but {beside.name} says {table['lat']:.4f}")
    return latitude, longitude


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


def _note_attributes(found: dict[str, netCDF4.Variable], specs: Sequence[Variable], audit: Audit) -> None:
    """Note attributes that are absent or contradict the data; each is one finding for all its variables."""
    bare = [spec for spec in specs if not _text(found[spec.name], "units")]
    if bare:
        taken = ", ".join(spec.unit for spec in bare)
        names = " ".join(found[spec.name].name for spec in bare)
        audit.add(names, "note", f"no units attribute; taken as {taken}")
    weekly = [variable.name for variable in found.values() if "weekly" in _text(variable, "info").lower()]
    if weekly:
        audit.add(" ".join(weekly), "note", "the info attribute says weekly; the time step is one day")


def _own(variable: netCDF4.Variable, spec: Variable, days: int, audit: Audit) -> np.ndarray:
    """The values of a daily variable in the package's unit, float64 (days,), NaN where missing."""
    return in_own_unit(variable.name, _text(variable, "units"), spec, _series(variable, days, audit), audit)


def _note_burned_area(file: netCDF4.Dataset, audit: Audit) -> None:
    """Note fire that the model does not have."""
    for name in BURNED_AREA:
        if name in file.variables and np.issubdtype(file.variables[name].dtype, np.number):
            burned = int((_decoded(file.variables[name], audit) > 0).sum())
            if burned:
                audit.add(name, "note", f"above 0 on {burned} days, and not read: the model has no fire")


def _note_priors(file: netCDF4.Dataset, audit: Audit) -> None:
    """Note prior values that a file of CARDAMOM brings: the objective has no term for them."""
    for name in PRIORS:
        if name not in file.variables or not np.issubdtype(file.variables[name].dtype, np.number):
            continue
        values = checks.mark_missing(_decoded(file.variables[name], audit)).reshape(-1)
        known = values[np.isfinite(values)]
        if len(known):
            listed = ", ".join(f"{value:g}" for value in known[:5]) + (", ..." if len(known) > 5 else "")
            audit.add(name, "note", f"{len(known)} prior values ({listed}) are not used: the loss has no term for them")


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
                reference = checks.mark_missing(_decoded(variable, source, (row, slice(None))))[there]
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
) -> Cell:
    """Read a tower file and control its quality.

    Args:
        path: `SITE.nc`.
        quality: "repair" mends what can be mended with certainty and reports it, "keep" only reports,
            "refuse" raises for a defect that "repair" would mend.
        reference: Optional file in the layout of tower_daily (site, time) to compare the site with.
        variables: What the model needs of it.
        compared: Whether observations will be compared with; else streams may be absent, and are NaN then.

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
        known = [spec for spec in variables.all if {spec.layout, spec.name} & file.variables.keys()]
        lacking = [spec for spec in variables.all if spec not in known]
        moist = find_moisture(file.variables.keys())
        for spec in lacking:
            if spec in variables.forcing and (spec.name != "vpd" or moist is None):
                audit.refuse(*_missing(file, (spec.layout, spec.name)))
        if compared and not any(spec in known for spec in variables.streams):
            audit.refuse(*_missing(file, [name for spec in variables.streams for name in (spec.layout, spec.name)]))
        elif compared and (absent := [spec.layout for spec in lacking if spec in variables.streams]):
            audit.add(" ".join(absent), "note", "not in the file: nothing is compared with it")
        found = {spec.name: _find(file, (spec.layout, spec.name), audit) for spec in known}
        values = {spec.name: np.full(len(time), np.nan) for spec in variables.all}
        for spec in known:
            values[spec.name] = record.spread(_own(found[spec.name], spec, days, audit), spec in variables.forcing)
        if moist is not None and any(spec.name == "vpd" for spec in lacking) and not audit.defects:
            moisture, name = moist
            needed = {name: moisture.variable} | ({PRESSURE.name: PRESSURE} if moisture.pressure else {})
            air = {key: record.spread(_own(file[key], spec, days, audit), True) for key, spec in needed.items()}
            pressure = air.get(PRESSURE.name, np.zeros(1))
            values["vpd"] = deficit(moisture, air[name], values["tasmin"], values["tasmax"], pressure)
            audit.add("VPD", "note", f"not in the file; made of {name}: the mean of the deficits at tasmin and tasmax")
        if "DOY" in file.variables and record.known is None:
            audit.apply_quality("DOY", checks.check_doy(time, _series(file.variables["DOY"], days, audit)), {})
        layout = {spec.name: spec.layout for spec in variables.all}
        layout |= {name: variable.name for name, variable in found.items()}
        _note_attributes(found, known, audit)
        fraction = np.full(len(time), np.nan)
        if "EF" in file.variables:
            fraction = record.spread(_series(file.variables["EF"], days, audit), False)
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
