"""Each reader against files as they are published, and against wrong ones: refused with file, variable and place."""

from __future__ import annotations

import re

import netCDF4
import numpy as np
import pytest

from phloem.errors import InputError
from phloem.io.drivers.humidity import vapour_pressure_deficit
from phloem.io.grids.file_grid import gather, grid_boxes
from phloem.io.products.carbon_dioxide import read_co2
from phloem.io.products.catalogue import DEFAULT_KIND, Choice, product_of
from phloem.io.products.forcing import find_forcing
from phloem.io.products.observations import dekads, find_stream, window_starts
from phloem.io.products.raw_files import OpenFiles
from phloem.io.products.times import days_of
from tests.support.drivers import product_samples as samples

LAT, LON = np.array([60.25, 61.75]), np.array([24.25, 25.25])
YEARS = (2003, 2004)


def choice(name, pattern, kind=None, **more):
    product = product_of(kind or DEFAULT_KIND[name], name)
    assert product is not None
    return Choice(name, product, (str(pattern),), **more)


def weather(pattern, kind=None, years=YEARS, first=0, last=None, **more):
    with OpenFiles() as files:
        forcing = find_forcing(choice("forcing", pattern, kind, **more), years, files)
        boxes = grid_boxes(LAT, LON, 0.5)
        gathers = {key: gather(one.grid, boxes, 2) for key, one in forcing.series.items()}
        return forcing, forcing.read(files, gathers, first, len(forcing.days) if last is None else last)


def stream(key, pattern, kind=None, days=None, observed=None, **more):
    """Values (days, cells) of a stream on the days of a store."""
    days = days or days_of(*YEARS, "noleap")
    with OpenFiles() as files:
        found = find_stream(key, choice(key, pattern, kind, **more), days, observed, files)
        pixels = gather(found.series.grid, grid_boxes(LAT, LON, 0.5), 2)
        values = np.full((len(days), 2), np.nan)
        for first, last in found.blocks(pixels, 100_000):
            day, means = found.read(files, pixels, first, last)
            values[day] = means
        return found, values


def edit(path, change):
    with netCDF4.Dataset(str(path), "a") as file:
        change(file)


class TestCruJra:
    def test_daily_forcing_is_what_the_four_values_say(self, tmp_path):
        forcing, found = weather(samples.write_crujra(tmp_path, YEARS))
        assert forcing.days.calendar == "noleap"
        assert len(forcing.days) == 730
        lat, lon = samples.centres(0.5)
        six = np.concatenate([samples.air(lat, lon, np.array([40.0]), h) for h in (0, 6, 12, 18)])[:, 0, 0] - 273.15
        six = (six + 0.03).astype("f4")
        place = LAT[0] - 60.0 + 0.01 * (LON[0] - 24.0)
        q = 0.0008 + 1e-5 * (40 % 7) + 1e-5 * place
        p = (98_000.0 + 10.0 * (40 % 11) + 5.0 * place) / 100.0
        assert found["tasmin"][40, 0] == pytest.approx(six.min(), abs=1e-4)
        assert found["tasmax"][40, 0] == pytest.approx(six.max(), abs=1e-4)
        assert found["pr"][39, 0] == pytest.approx(4 * (0.5 + 0.1 * place), rel=1e-5)
        assert found["pr"][40, 0] == pytest.approx(4 * 0.1 * place, rel=1e-5)
        assert found["rsds"][40, 0] == pytest.approx(10.0 + 0.04 * place, rel=1e-5)
        e = q * p / (0.622 + 0.378 * q)
        es = 6.1078 * np.exp(17.269 * six / (six + 237.3))
        assert found["vpd"][40, 0] == pytest.approx(np.maximum(es - e, 0).mean(), rel=1e-4)
        assert found["tasmin"][405, 0] - found["tasmin"][40, 0] == pytest.approx(0.01, abs=1e-4)

    def test_the_deficit_is_never_negative(self):
        assert vapour_pressure_deficit(np.array([-20.0]), np.array([0.01]), np.array([1000.0]))[0] == 0.0

    @pytest.mark.parametrize("how", ["north first", "0 to 360", "end stamps", "no time units", "W m-2"])
    def test_other_ways_to_hold_the_same(self, tmp_path, how):
        _, expected = weather(samples.write_crujra(tmp_path / "a", YEARS))
        lat, lon = samples.centres(0.5)
        options = {
            "north first": {"lat": lat[::-1]},
            "0 to 360": {"lon": np.concatenate([lon, lon + 0.5 * 3])},
            "end stamps": {"shift": 6.0},
            "no time units": {"time_units": None},
            "W m-2": {
                "units": {"dswrf": "W m-2", "pre": "kg m-2 s-1", "tmp": "K", "pres": "hPa", "spfh": "g kg-1"},
                "change": lambda name, year, v: (
                    v * {"dswrf": 1 / 21600, "pre": 1 / 21600, "pres": 0.01, "spfh": 1000.0}.get(name, 1.0)
                ),
            },
        }[how]
        _, found = weather(samples.write_crujra(tmp_path / "b", YEARS, **options))
        for name, values in expected.items():
            if how == "W m-2":
                np.testing.assert_allclose(found[name], values, rtol=2e-6, atol=1e-6)
            else:
                np.testing.assert_array_equal(found[name], values)

    def test_a_variable_that_is_missing(self, tmp_path):
        samples.write_crujra(tmp_path, YEARS)
        for path in tmp_path.glob("*spfh*"):
            path.unlink()
        with pytest.raises(
            InputError, match=r"products.forcing\]: no file has spfh; there are dswrf, pre, pres, tmp in"
        ):
            weather(tmp_path / "*.nc")

    def test_a_file_with_something_else(self, tmp_path):
        pattern = samples.write_crujra(tmp_path, YEARS)
        path = tmp_path / "crujra.v2.2.5d.tmp.2004.365d.noc.nc"
        edit(path, lambda file: file.renameVariable("tmp", "temperature"))
        with pytest.raises(InputError, match=r"tmp.2004.*no variable tmp or pre or dswrf.*has lat, lon, temperature"):
            weather(pattern)

    def test_another_unit(self, tmp_path):
        pattern = samples.write_crujra(tmp_path, YEARS, units={"tmp": "degF"})
        with pytest.raises(InputError, match=r"tmp.2003.*variable tmp: unit 'degF'; due is degC, accepted are .*K"):
            weather(pattern)
        pattern = samples.write_crujra(tmp_path, YEARS, units={"spfh": None})
        with pytest.raises(InputError, match=r"spfh.2003.*variable spfh: no units attribute; say what they are"):
            weather(pattern)

    def test_a_hole_in_time(self, tmp_path):
        pattern = samples.write_crujra(tmp_path, (2003, 2005))
        with pytest.raises(
            InputError, match=r"2003.*variable tmp.*last before a hole in time: 365 of 1095 days.*2004-01-01, has 0"
        ):
            weather(pattern, years=(2003, 2005))
        with pytest.raises(InputError, match=r"a hole in time: 365 of 730 days"):
            weather(pattern)

    def test_a_step_that_is_missing_or_twice(self, tmp_path):
        pattern = samples.write_crujra(tmp_path, YEARS)
        path = tmp_path / "crujra.v2.2.5d.pre.2004.365d.noc.nc"

        def later(file):
            file["time"][100] += 6.0

        edit(path, later)
        with pytest.raises(InputError, match=r"pre.2004.*pr of 2004-01-26 6 h stands twice"):
            weather(pattern)

        def other_hour(file):
            file["time"][100] -= 5.0

        edit(path, other_hour)
        with pytest.raises(InputError, match=r"pre.2004.*variable pre: 2004-01-26.*hours 1, 6, 12, 18; 4 values a day"):
            weather(pattern)

    def test_calendars(self, tmp_path):
        with pytest.raises(InputError, match=r"2003.*calendar '360_day'; usable are standard"):
            weather(samples.write_crujra(tmp_path / "a", YEARS, calendar_name="360_day"))
        with pytest.raises(InputError, match=r"a hole in time: 1 of 731 days .*2004-12-31"):
            weather(samples.write_crujra(tmp_path / "b", YEARS, calendar_name="standard", time_units=FROM_2003))
        samples.write_crujra(tmp_path / "c", (2003,))
        samples.write_crujra(tmp_path / "d", (2003,), calendar_name="standard", time_units=FROM_2003)
        (tmp_path / "d/crujra.v2.2.5d.pres.2003.365d.noc.nc").rename(
            tmp_path / "c/crujra.v2.2.5d.pres.2003.365d.noc.nc"
        )
        with pytest.raises(InputError, match=r"pres.2003.*calendar standard; .*tmp.2003.* has noleap"):
            weather(tmp_path / "c/*.nc", years=(2003, 2003))

    def test_grids(self, tmp_path):
        pattern = samples.write_crujra(tmp_path, YEARS)
        lat, _ = samples.centres(0.5)
        samples.write_crujra(tmp_path / "other", (2004,), lat=lat + 0.5)
        name = "crujra.v2.2.5d.tmp.2004.365d.noc.nc"
        (tmp_path / "other" / name).rename(tmp_path / name)
        with pytest.raises(InputError, match=r"tmp.2004.*variable tmp: .*tmp.2003.* has 4 x 3 cells of 0.5 degrees"):
            weather(pattern)
        lat[1] += 0.1
        samples.write_crujra(tmp_path, YEARS, lat=lat)
        with pytest.raises(InputError, match=r"dswrf.2003.*latitude is not regular: 60.85 at place 1"):
            weather(pattern)

    def test_no_file_and_no_netcdf(self, tmp_path):
        with pytest.raises(InputError, match=r"\[products.forcing\]: no file .*cru\*.nc"):
            weather(tmp_path / "cru*.nc")
        (tmp_path / "crujra.tmp.2003.nc").write_bytes(b"CDF nonsense")
        with pytest.raises(InputError, match=r"crujra.tmp.2003.nc: not a readable NetCDF or HDF4 file"):
            weather(tmp_path / "cru*.nc")


FROM_2003 = "hours since 1901-01-26 00:00"
"""Of the Gregorian calendar, so that the hours of a no-leap axis begin with 2003: 25 leap days lie between."""


class TestPlainCf:
    def write(self, root, years=YEARS, drop=(), **more):
        lat, lon = samples.centres(0.5)
        for year in years:
            days = samples.gregorian(year)
            shape = (len(days), len(lat), len(lon))
            fields = {
                "tasmin": (270.0, "K"),
                "tasmax": (280.0, "K"),
                "rsds": (100.0, "W m-2"),
                "pr": (1e-5, "kg m-2 s-1"),
                "huss": (0.001, "1"),
                "ps": (98_000.0, "Pa"),
            }
            for name, (value, unit) in fields.items():
                if name not in drop:
                    field = np.full(shape, value)
                    samples.write_grid(root / f"{name}_{year}.nc", name, field, lat, lon, units=unit, time=days, **more)
        return str(root / "*.nc")

    def test_names_and_units(self, tmp_path):
        forcing, found = weather(self.write(tmp_path), "cf")
        assert forcing.days.calendar == "standard"
        assert len(forcing.days) == 731
        assert found["rsds"][0, 0] == pytest.approx(8.64)
        assert found["pr"][0, 0] == pytest.approx(0.864)
        assert found["tasmin"][0, 0] == pytest.approx(-3.15)
        e = 0.001 * 980.0 / (0.622 + 0.000378)
        es = [6.1078 * np.exp(17.269 * t / (t + 237.3)) for t in (-3.15, 6.85)]
        assert found["vpd"][0, 0] == pytest.approx(np.mean(es) - e, rel=1e-5)
        assert "the mean of the deficits at tasmin and tasmax" in forcing.notes[0]

    def test_other_names_with_standard_names_and_dimensions_in_another_order(self, tmp_path):
        _, expected = weather(self.write(tmp_path / "a"), "cf")
        pattern = self.write(tmp_path / "b", dimension_order=(2, 0, 1))
        for path in (tmp_path / "b").iterdir():
            name = path.name.split("_")[0]
            standard = {"tasmin": "air_temperature", "tasmax": "air_temperature", "pr": "precipitation_flux"}.get(name)
            if standard:

                def rename(file, name=name, standard=standard):
                    file.renameVariable(name, f"my_{name}")
                    file[f"my_{name}"].standard_name = standard
                    method = {"tasmin": "minimum", "tasmax": "maximum"}.get(name, "mean")
                    file[f"my_{name}"].cell_methods = f"time: {method} within days"

                edit(path, rename)
        _, found = weather(pattern, "cf")
        for name, values in expected.items():
            np.testing.assert_array_equal(found[name], values)

    def test_signs_and_units_of_single_variables(self, tmp_path):
        _, expected = weather(self.write(tmp_path / "a"), "cf")
        pattern = self.write(tmp_path / "b")
        for path in (tmp_path / "b").glob("pr_*.nc"):

            def turn(file):
                file.renameVariable("pr", "rain")
                file["rain"][:] = -86400 * file["rain"][:]
                file["rain"].units = "furlong"

            edit(path, turn)
        more = {"variables": {"pr": "rain"}, "units": {"pr": "mm timestep-1"}, "signs": {"pr": -1}}
        _, found = weather(pattern, "cf", **more)
        for name, values in expected.items():
            np.testing.assert_allclose(found[name], values, rtol=1e-6, err_msg=name)

    def test_what_is_not_needed_is_not_read(self, tmp_path):
        """Beside a deficit no humidity is, whatever its unit; and a name that no file has is refused."""
        self.write(tmp_path, drop=("huss", "ps"))
        lat, lon = samples.centres(0.5)
        for year in YEARS:
            days = samples.gregorian(year)
            for name, value, units in (("vpd", 5.0, "hPa"), ("rh", 80.0, "percent saturation")):
                field = np.full((len(days), len(lat), len(lon)), value)
                samples.write_grid(tmp_path / f"{name}_{year}.nc", name, field, lat, lon, units=units, time=days)
        _, found = weather(str(tmp_path / "*.nc"), "cf")
        np.testing.assert_allclose(found["vpd"], 5.0)
        _, told = weather(str(tmp_path / "*.nc"), "cf", units={"hurs": "%"})
        assert told["vpd"].max() < 5.0
        with pytest.raises(InputError, match=r"no file has 'VPDDD' \(variables.vpd\); they have .*tasmin"):
            weather(str(tmp_path / "*.nc"), "cf", variables={"vpd": "VPDDD"})
        with pytest.raises(InputError, match=r"variable rh: unit 'percent saturation'"):
            weather(str(tmp_path / "*.nc"), "cf", variables={"hurs": "rh"})

    def test_other_humidity(self, tmp_path):
        self.write(tmp_path, drop=("huss", "ps"))
        lat, lon = samples.centres(0.5)
        for year in YEARS:
            days = samples.gregorian(year)
            field = np.full((len(days), len(lat), len(lon)), 80.0)
            samples.write_grid(tmp_path / f"rh_{year}.nc", "relhum", field, lat, lon, units="%", time=days)
            edit(
                tmp_path / f"rh_{year}.nc", lambda file: file["relhum"].setncattr("standard_name", "relative_humidity")
            )
        forcing, found = weather(str(tmp_path / "*.nc"), "cf")
        es = [6.1078 * np.exp(17.269 * t / (t + 237.3)) for t in (-3.15, 6.85, 1.85)]
        expected = 0.5 * sum(max(saturated - 0.8 * es[2], 0.0) for saturated in es[:2])
        assert found["vpd"][0, 0] == pytest.approx(expected, rel=1e-5)
        assert "vpd from daily hurs" in forcing.notes[0]

    def test_what_is_missing_is_named(self, tmp_path):
        said = r"no file has vpd \(vap, tdps or hurs, or huss with ps would do in the place of vpd\); there are .*huss"
        with pytest.raises(InputError, match=said):
            weather(self.write(tmp_path, drop=("ps",)), "cf")
        named = r"\[products.forcing\]: no file has 'rain' \(variables.pr\); they have huss, lat, lon, time, pr, "
        with pytest.raises(InputError, match=named):
            weather(self.write(tmp_path), "cf", variables={"pr": "rain"})

    def test_real_weather_of_five_cities(self, tmp_path, data_dir):
        """ERA5 of one city, put on a grid: the reader gives what the file holds, in the units here."""
        with netCDF4.Dataset(data_dir / "xclim_era5/daily_surface_cancities_1990-1993.nc") as source:
            lat, lon = np.array([44.25, 44.75]), np.array([-63.75, -63.25])
            days = source["time"][:] + (np.datetime64("1990-01-01") - np.datetime64("2000-01-01")).astype(int)
            for name in ("tasmin", "tasmax", "rsds", "pr", "huss", "ps"):
                series = np.asarray(source[name][0], float)
                field = np.broadcast_to(series[:, None, None], (len(days), 2, 2))
                samples.write_grid(tmp_path / f"{name}.nc", name, field, lat, lon, units=source[name].units, time=days)
            tasmin, rsds = np.asarray(source["tasmin"][0]), np.asarray(source["rsds"][0])
            dew = np.asarray(source["tdps"][0], float) - 273.15
        with OpenFiles() as files:
            forcing = find_forcing(choice("forcing", tmp_path / "*.nc", "cf"), (1990, 1993), files)
            boxes = grid_boxes(lat[:1], lon[:1], 0.5)
            gathers = {key: gather(one.grid, boxes, 1) for key, one in forcing.series.items()}
            found = {key: values[:, 0] for key, values in forcing.read(files, gathers, 0, 1461).items()}
        np.testing.assert_allclose(found["tasmin"], tasmin - 273.15, atol=1e-4)
        np.testing.assert_allclose(found["rsds"], rsds * 0.0864, rtol=1e-5)
        assert np.isfinite(found["vpd"]).all()
        low, high = found["tasmin"], found["tasmax"]
        es = [6.1078 * np.exp(17.269 * t / (t + 237.3)) for t in (low, high, dew)]
        independent = np.maximum((es[0] + es[1]) / 2 - es[2], 0.0)
        assert np.corrcoef(found["vpd"], independent)[0, 1] > 0.97


class TestObserved:
    def test_fluxsat(self, tmp_path):
        found, values = stream("gpp", samples.write_fluxsat(tmp_path, YEARS))
        assert np.isfinite(values).all()
        np.testing.assert_allclose(values[0], 4.0, rtol=1e-6)
        # 29 February is gone: 1 March of the leap year is its 61st day, at place 59 of the no-leap year.
        np.testing.assert_allclose(values[365 + 59], 4.06, rtol=1e-6)
        assert "29 February is left out" in found.notes[0]
        _, leap = stream("gpp", tmp_path / "*.nc4", days=days_of(*YEARS, "standard"))
        np.testing.assert_allclose(leap[365 + 59], 4.059, rtol=1e-6)

    def test_fluxsat_without_a_month_or_a_day(self, tmp_path):
        pattern = samples.write_fluxsat(tmp_path, YEARS)
        (tmp_path / "GPP_FluxSat_daily_v2_200403.nc4").unlink()
        with pytest.raises(
            InputError, match=r"v2_200402.nc4: variable GPP of \[products.gpp\] is the last before a hole in time: 31"
        ):
            stream("gpp", pattern)
        with pytest.raises(InputError, match=r"v2_200402.nc4: .*a hole in time: 31 of 365 days .*2004-03-01"):
            stream("gpp", pattern, observed=(2004, 2004))

    def test_a_product_that_begins_later_is_missing_before(self, tmp_path):
        pattern = samples.write_fluxsat(tmp_path, (2004,))
        _, values = stream("gpp", pattern)
        assert np.isnan(values[:365]).all()
        assert np.isfinite(values[365:]).all()
        with pytest.raises(InputError, match=r"from 2004-01-01 to 2004-12-31, where 2003-01-01 to 2004-12-31 is due"):
            stream("gpp", pattern, observed=(2003, 2004))

    def test_missing_pixels_do_not_count(self, tmp_path):
        _, values = stream("et", samples.write_gleam(tmp_path, "E", YEARS, 2.0))
        np.testing.assert_allclose(values[0], 2.0, rtol=1e-6)  # its first row of pixels is missing

    def test_reco_stands_on_the_last_day_of_its_dekad(self, tmp_path):
        days = days_of(*YEARS, "noleap")
        found, values = stream("reco", samples.write_reco(tmp_path, YEARS, samples.dekad_starts), days=days)
        there = np.flatnonzero(np.isfinite(values[:, 0]))
        assert len(there) == 72
        dates = [days.date(place) for place in there[36:44]]
        assert dates[:6] == ["2004-01-10", "2004-01-20", "2004-01-31", "2004-02-10", "2004-02-20", "2004-02-28"]
        assert values[there[37], 0] == pytest.approx(0.1)
        flags = window_starts(days, found)
        assert flags.sum() == 72
        assert flags[0] == 1
        np.testing.assert_array_equal(np.flatnonzero(flags)[1:], there[:-1] + 1)

    def test_reco_in_37_windows_and_in_years_without_it(self, tmp_path):
        days = days_of(2003, 2005, "standard")
        pattern = samples.write_reco(tmp_path, (2004,), lambda year: np.arange(1, 367, 10))
        found, values = stream("reco", pattern, days=days)
        flags = np.flatnonzero(window_starts(days, found))
        there = np.flatnonzero(np.isfinite(values[:, 0]))
        assert len(there) == 37
        assert there[-1] == 365 + 365
        assert len(flags) == 36 + 37 + 36
        np.testing.assert_array_equal(flags[37:73], there[:-1] + 1)
        dates = [days.date(place) for place in flags[:4]]
        assert dates == ["2003-01-01", "2003-01-11", "2003-01-21", "2003-02-01"]

    def test_reco_by_time_bounds(self, tmp_path):
        lat, lon = samples.centres(0.1)
        starts = np.append(dekads(2004), np.datetime64("2005-01-01"))
        edges = (starts - np.datetime64("2000-01-01")).astype(float)
        bounds = np.stack([edges[:-1], edges[1:]], axis=1)
        field = np.ones((36, len(lat), len(lon)))
        path = tmp_path / "reco.nc"
        unit = "g m-2 d-1"
        samples.write_grid(path, "RECO", field, lat, lon, units=unit, time=bounds.mean(axis=1), bounds=bounds)
        found, values = stream("reco", path, days=days_of(2004, 2004, "standard"))
        assert np.isfinite(values[:, 0]).sum() == 36
        assert found.notes[-1] == "windows by time bounds"
        bounds[5, 0] += 1
        samples.write_grid(path, "RECO", field, lat, lon, units=unit, time=bounds.mean(axis=1), bounds=bounds)
        with pytest.raises(InputError, match=r"reco.nc: variable RECO: 2004-02-2.*begin on 2004-02-22; the windows of"):
            stream("reco", path, days=days_of(2004, 2004, "standard"))

    def test_reco_with_a_hole(self, tmp_path):
        pattern = samples.write_reco(tmp_path, YEARS, lambda year: samples.dekad_starts(year)[:35])
        with pytest.raises(InputError, match=r"RECO_2003.nc: variable RECO: .*a hole in time: 35 means in 2003; 36"):
            stream("reco", pattern)

    def test_lai_stands_on_the_first_day(self, tmp_path):
        days = days_of(*YEARS, "noleap")
        _, values = stream("lai", samples.write_lai(tmp_path, YEARS), days=days)
        there = np.flatnonzero(np.isfinite(values[:, 0]))
        assert len(there) == 92
        np.testing.assert_array_equal(there[:46], 8 * np.arange(46))
        assert days.date(there[46 + 8]) == "2004-03-05"  # the 65th day of a leap year
        np.testing.assert_allclose(values[there[:3], 0], [3.0, 3.1, 3.2], rtol=1e-6)

    def test_lai_with_a_hole_or_on_another_day(self, tmp_path):
        pattern = samples.write_lai(tmp_path, (2003,))
        path = tmp_path / "GLASS01B01.V60.A2003089.2022012.nc"
        moved = path.rename(tmp_path / "GLASS01B01.V60.A2003090.2022012.nc")
        with pytest.raises(InputError, match=r"A2003090.*not the first day of an 8-day composite"):
            stream("lai", pattern)
        moved.unlink()
        with pytest.raises(InputError, match=r"A2003081.*the last before a hole in time: 1 composites.*2003-03-30"):
            stream("lai", pattern)

    def test_lai_of_hdf4(self, tmp_path):
        sd = pytest.importorskip("pyhdf.SD", reason="HDF4 needs pyhdf")
        for number in range(46):
            file = sd.SD(
                str(tmp_path / f"GLASS01B01.V60.A2003{1 + 8 * number:03d}.2022012.hdf"), sd.SDC.WRITE | sd.SDC.CREATE
            )
            data = file.create("LAI", sd.SDC.UINT8, (3600, 7200))
            data.setcompress(sd.SDC.COMP_DEFLATE, 1)
            field = np.full((3600, 7200), 255, np.uint8)
            row, column = round((90 - 60.5) / 0.05), round((24.0 + 180) / 0.05)
            field[row : row + 10, column : column + 10] = 25 + number
            field[row, column] = 255
            data[:] = field
            data.endaccess()
            file.end()
        found, values = stream("lai", tmp_path / "*.hdf", days=days_of(2003, 2003, "standard"))
        np.testing.assert_allclose(values[[0, 8], 0], [2.5, 2.6], rtol=1e-12)
        assert np.isnan(values[0, 1])
        assert found.series.notes == ("dates from file names",)

    def test_an_unknown_name_is_given(self, tmp_path):
        lat, lon = samples.centres(0.5)
        path = tmp_path / "x.nc"
        samples.write_grid(path, "foo", np.ones((365, 4, 3)), lat, lon, units="g m-2 d-1", time=samples.gregorian(2003))
        with pytest.raises(InputError, match=r"x.nc: no variable gpp .*the file has foo, lat, lon, time; another name"):
            stream("gpp", path, "cf")
        _, values = stream("gpp", path, "cf", variables={"gpp": "foo"})
        np.testing.assert_array_equal(values[:365], 1.0)

    def test_real_evapotranspiration(self, tmp_path, data_dir):
        """Twenty by twenty cells at 0.5 degrees, packed, with the sea missing, as pyrealm ships them."""
        with netCDF4.Dataset(data_dir / "pyrealm_splash_nwus/splash_nw_us.nc") as source:
            lat, lon = np.asarray(source["lat"][:]), np.asarray(source["lon"][:])
            expected = np.ma.filled(source["aet_d"][:], np.nan)
        with OpenFiles() as files:
            days = days_of(2000, 2001, "standard")
            path = data_dir / "pyrealm_splash_nwus/splash_nw_us.nc"
            found = find_stream(
                "et", choice("et", path, "cf", variables={"et": "aet_d"}, units={"et": "mm d-1"}), days, None, files
            )
            grid = np.meshgrid(lat, lon, indexing="ij")
            pixels = gather(found.series.grid, grid_boxes(grid[0].reshape(-1), grid[1].reshape(-1), 0.5), 400)
            values = found.read(files, pixels, 0, 731)[1]
        np.testing.assert_allclose(values, expected.reshape(731, 400), rtol=1e-12)
        assert 0.05 < np.isnan(values).mean() < 0.2


class TestCarbonDioxide:
    def test_the_tables_of_noaa(self, data_dir):
        annual, _ = read_co2(data_dir / "co2/co2-annmean-gl.csv", (1985, 2020))
        monthly, how = read_co2(data_dir / "co2/co2-mm-gl.csv", (1985, 2020))
        assert annual[0] == 345.54
        assert len(annual) == 36
        assert "mean of twelve months" in how
        np.testing.assert_allclose(annual, monthly, atol=0.02)

    def test_two_columns_of_text(self, tmp_path):
        path = tmp_path / "co2.txt"
        path.write_text("# year ppm\n1999 368.0\n2000.5  369.5\n")
        assert read_co2(path, (1999, 2000))[0].tolist() == [368.0, 369.5]

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("Year,Mean\n2003,375\n", r"hole in time: one value a year are due; 2004 has 0 .*from 2003 to 2003"),
            ("Year,Mean\n2003,375\n2004,0.000376\n", r"row 2: 0.000376 ppm in 2004, outside 150..2500"),
            ("Year,Mean\n2003,375\n2004,x\n", r"row 2: '2004, x' is not a year and a number"),
            ("a,b\n1,2\n", r"columns a, b; due are Year and Mean"),
            ("Date,D,Average,Trend\n2003-01,2003.04,375,375\n", r"12 months a year are due; 2003, 2004 have 1, 0"),
            ("", "empty"),
        ],
    )
    def test_wrong_tables(self, tmp_path, text, says):
        path = tmp_path / "co2.csv"
        path.write_text(text)
        with pytest.raises(InputError, match=re.escape(str(path)) + ".*" + says):
            read_co2(path, (2003, 2004))
