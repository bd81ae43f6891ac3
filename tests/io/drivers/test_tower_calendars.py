"""Towers stamped at noon, and with calendars of 365 or 360 days; streams and fire that a file has or has not."""

from __future__ import annotations

from pathlib import Path

import cftime
import netCDF4
import numpy as np
import pytest

from phloem.errors import InputError
from phloem.io.drivers.calendar_days import on_gregorian_days
from phloem.io.drivers.humidity import saturation_pressure
from phloem.io.drivers.tower_files import read_tower, write_tower
from phloem.names import FORCING
from tests.support.drivers.tower_samples import damaged, make_cell, same_data

UNITS = "days since 2001-01-01"


def of_calendar(path: Path, calendar: str) -> np.ndarray:
    """Write the sample anew as a model of that calendar has it; return which of its days are left."""
    with netCDF4.Dataset(path) as file:
        values = {name: np.ma.filled(file[name][:].astype(float), np.nan) for name in file.variables}
        dates = netCDF4.num2date(file["time"][:], UNITS, "standard")
        units = {name: getattr(file[name], "units", "1") for name in file.variables}
    if calendar == "noleap":
        kept = np.array([(one.month, one.day) != (2, 29) for one in dates])
    else:  # the days nearest to the middles of 360 equal ones
        lengths = {year: 366 if cftime.is_leap_year(year, "standard") else 365 for year in {one.year for one in dates}}
        chosen = {
            (year, round((day - 0.5) * length / 360.0 - 0.5))
            for year, length in lengths.items()
            for day in range(1, 361)
        }
        kept = np.array([(one.year, one.dayofyr - 1) in chosen for one in dates])
    numbers = []
    counts: dict[int, int] = {}
    for one in dates[kept]:
        counts[one.year] = counts.get(one.year, 0) + 1
        begin = cftime.date2num(cftime.datetime(one.year, 1, 1, calendar=calendar), UNITS, calendar)
        numbers.append(begin + counts[one.year] - 1)
    path.unlink()
    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("time", int(kept.sum()))
        for name, series in values.items():
            variable = file.createVariable(name, "f8", ("time",) if series.ndim else ())
            variable[...] = series[kept] if series.ndim else series
            variable.units = units[name]
        file["time"][:] = numbers
        file["time"].setncatts({"units": UNITS, "calendar": calendar})
    return kept


def test_stamps_at_noon_are_days(tmp_path: Path) -> None:
    path = damaged(tmp_path, lambda f: f.renameVariable("time", "old") or None)
    with netCDF4.Dataset(path, "a") as file:
        time = file.createVariable("time", "f8", ("time",))
        time.units = UNITS
        time[:] = file["old"][:] + 0.5
    cell = read_tower(path)
    assert [(f.severity, f.message) for f in cell.findings] == [
        ("note", "all days are stamped at 12:00; taken as these days")
    ]
    same_data(cell, make_cell())


@pytest.mark.parametrize(("calendar", "lacking"), [("noleap", {29}), ("360_day", None)])
def test_other_calendars_are_laid_on_gregorian_days(tmp_path: Path, calendar: str, lacking: set[int] | None) -> None:
    path, whole = tmp_path / "XX-Syn.nc", make_cell("XX-Syn", 0, 2, 2011)
    write_tower(path, whole)
    kept = of_calendar(path, calendar)
    with pytest.raises(InputError, match=f"calendar {calendar}.*quality = .repair. mends it"):
        read_tower(path, quality="refuse")
    cell = read_tower(path)
    assert cell.findings[0].severity == "repaired"
    assert f"{int((~kept).sum())} days of the Gregorian one that it does not have are interpolated" in (
        cell.findings[0].message
    )
    shared = np.isin(whole.time, cell.time)
    assert (cell.time == whole.time[shared]).all()
    known = kept[shared]
    for name in FORCING:
        np.testing.assert_allclose(cell.forcing[name][known], whole.forcing[name][shared][known])
        assert np.isfinite(cell.forcing[name]).all()
    for name, values in cell.observations.items():
        np.testing.assert_allclose(values[known], whole.observations[name][shared][known])
        assert np.isnan(values[~known]).all()
    if lacking:
        days = cell.dates[~known]
        assert {str(day)[5:] for day in days} == {"02-29"}


@pytest.mark.parametrize("calendar", ["noleap", "360_day"])
def test_each_day_of_a_calendar_falls_on_a_day_of_its_own(calendar: str) -> None:
    count = 8 * (365 if calendar == "noleap" else 360)
    record = on_gregorian_days(np.arange(float(count)), UNITS, calendar)
    assert record.known is not None
    assert record.known.sum() == count
    assert (np.diff(record.stamps) == 1).all()
    assert record.stamps[0] in (0, 1)
    assert 8 * 365 <= len(record.stamps) <= 8 * 365 + 2


MOIST = [("hurs", "%"), ("hurs", "1"), ("tdps", "K"), ("vap", "kPa"), ("huss", "1")]


@pytest.mark.parametrize(("name", "units"), MOIST)
def test_humidity_in_the_place_of_the_deficit(tmp_path: Path, name: str, units: str) -> None:
    """All ways of saying how moist the air is give one deficit."""
    whole = make_cell()
    low, high = whole.forcing["tasmin"], whole.forcing["tasmax"]
    vapour = 0.6 * saturation_pressure(0.5 * (low + high))
    logarithm = np.log(vapour / 6.1078)
    values = {
        "hurs": np.full(len(low), 60.0) / (100 if units == "1" else 1),
        "tdps": 237.3 * logarithm / (17.269 - logarithm) + 273.15,
        "vap": vapour / 10,
        "huss": 0.622 * vapour / (980.0 - 0.378 * vapour),
    }[name]

    def change(file: netCDF4.Dataset) -> None:
        file.renameVariable("VPD", "V")
        for key, series, unit in ((name, values, units), ("ps", np.full(len(low), 98_000.0), "Pa")):
            variable = file.createVariable(key, "f8", ("time",))
            variable.units = unit
            variable[:] = series

    cell = read_tower(damaged(tmp_path, change))
    expected = 0.5 * sum(np.maximum(saturation_pressure(air) - vapour, 0) for air in (low, high))
    np.testing.assert_allclose(cell.forcing["vpd"], expected, rtol=1e-9, atol=1e-9)
    assert any(f"made of {name}" in finding.message for finding in cell.findings)


def test_a_stream_may_be_absent_and_fire_is_said_to_be(tmp_path: Path) -> None:
    def change(file: netCDF4.Dataset) -> None:
        file.renameVariable("RECO", "R")
        burned = file.createVariable("BURNED_AREA", "f8", ("time",))
        burned[:] = 0.0
        burned[3:5] = 0.01

    cell = read_tower(damaged(tmp_path, change))
    said = {f.variable: f.message for f in cell.findings if f.severity == "note"}
    assert said["RECO"] == "not in the file: nothing is compared with it"
    assert said["BURNED_AREA"] == "above 0 on 2 days, and not read: the model has no fire"
    assert np.isnan(cell.observations["reco"]).all()
    assert np.isfinite(cell.observations["gpp"]).any()
