"""Climate means against plain groupby of pandas and xarray: real towers, ERA5, and driver stores."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from phloem.errors import InputError
from phloem.io.drivers.climate_means import CLIMATE, WEATHER, climate_means, months_of, store_means
from phloem.io.drivers.grid_cell import calendar_days, days_since_epoch
from phloem.io.drivers.store import Store
from tests.support.campaigns.merged_maps import make_cells, write_store

DAYS_OF_MONTHS = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], float)


def by_hand(frame: pd.DataFrame, lengths: np.ndarray) -> dict[str, float]:
    """Climate of a frame of days (columns tas, pr, rsds, vpd), by groupby."""
    monthly = frame.groupby(frame.index.month).mean().reindex(range(1, 13))
    rain = monthly["pr"] * lengths
    shares = lengths / lengths.sum()
    return {
        "mat": (monthly["tas"] * shares).sum(skipna=False),
        "coldest_month": monthly["tas"].min(skipna=False),
        "temperature_seasonality": monthly["tas"].std(skipna=False),
        "map": rain.sum(skipna=False),
        "precipitation_seasonality": rain.std(skipna=False) / rain.mean(skipna=False),
        "radiation": (monthly["rsds"] * shares).sum(skipna=False),
        "radiation_seasonality": monthly["rsds"].std(skipna=False),
        "vpd": (monthly["vpd"] * shares).sum(skipna=False) / 10,
    }


def of_frame(frame: pd.DataFrame, years: tuple[int, int] | None = None) -> dict[str, float]:
    """Climate of the same frame, by the program."""
    months = months_of(frame.index.year.values, frame.index.day_of_year.values, "standard", years, "here")
    weather = {name: frame[name].values[None] for name in ("pr", "rsds", "vpd")}
    found = climate_means({**weather, "tasmin": frame["tas"].values[None], "tasmax": frame["tas"].values[None]}, months)
    return {name: float(values[0]) for name, values in found.items()}


def made_frame(first: str, last: str) -> pd.DataFrame:
    index = pd.date_range(first, last)
    rng = np.random.default_rng(3)
    season = np.sin(2 * np.pi * (index.day_of_year - 110) / 365.25)
    return pd.DataFrame(
        {
            "tas": 4 + 12 * season + rng.normal(0, 3, len(index)),
            "pr": np.maximum(rng.normal(1 + season, 2), 0),
            "rsds": 11 + 9 * season,
            "vpd": 4 + 3 * season,
        },
        index,
    )


@pytest.mark.parametrize("site", ["FI-Hyy", "FR-Pue", "US-SRG"])
def test_a_real_tower(data_dir: Path, site: str) -> None:
    with xr.open_dataset(data_dir / "fluxnet_daily" / f"{site}.nc", decode_times=False) as file:
        time = pd.Timestamp("2001-01-01") + pd.to_timedelta(file["time"].values, unit="D")
        tas = 0.5 * (file["T2M_MIN"].values.astype(float) + file["T2M_MAX"].values)
        names = {"pr": "TOTAL_PREC", "rsds": "SSRD", "vpd": "VPD"}
        frame = pd.DataFrame({"tas": tas, **{k: file[v].values.astype(float) for k, v in names.items()}}, time)
    leap = pd.Index(sorted(set(time.year))).map(lambda year: float(pd.Timestamp(year, 1, 1).is_leap_year)).values.mean()
    found = of_frame(frame)
    assert found == pytest.approx(by_hand(frame, DAYS_OF_MONTHS + np.eye(12)[1] * leap), rel=1e-9)
    whole = (time[0].month, time[0].day, time[-1].month, time[-1].day) == (1, 1, 12, 31)
    assert found["mat"] == pytest.approx(tas.mean(), abs=1e-9 if whole else 0.1)


def test_era5(data_dir: Path) -> None:
    with xr.open_dataset(data_dir / "xclim_era5/daily_surface_cancities_1990-1993.nc") as file:
        days = file[["tasmin", "tasmax", "pr", "rsds"]].load().astype(float).transpose("location", "time")
    days = days.assign(tas=0.5 * (days["tasmin"] + days["tasmax"]), pr=86400 * days["pr"])
    values = {name: days[name].values for name in ("tasmin", "tasmax", "pr", "rsds")}
    months = months_of(days["time.year"].values, days["time.dayofyear"].values, "standard", None, "era5")
    found = climate_means({**values, "vpd": np.full_like(values["pr"], np.nan)}, months)
    monthly, yearly = days.groupby("time.month").mean(), days.groupby("time.year").sum()
    expected = {
        "mat": days["tas"].mean("time"),
        "coldest_month": monthly["tas"].min("month"),
        "temperature_seasonality": monthly["tas"].std("month", ddof=1),
        "map": yearly["pr"].mean("year"),
        "radiation": days["rsds"].mean("time"),
        "radiation_seasonality": monthly["rsds"].std("month", ddof=1),
    }
    for name, wanted in expected.items():
        np.testing.assert_allclose(found[name], wanted, rtol=1e-9, err_msg=name)
    assert 300 < found["map"].min() < found["map"].max() < 2500
    assert np.isnan(found["vpd"]).all()


def test_missing_days_and_part_years_tilt_nothing() -> None:
    frame = made_frame("2003-07-01", "2006-06-30")
    lengths = DAYS_OF_MONTHS + np.eye(12)[1] * 0.25
    gaps = frame.copy()
    gaps.iloc[np.random.default_rng(1).choice(len(gaps), 200, replace=False), 0] = np.nan
    gaps.loc["2004-12":"2005-02", "tas"] = np.nan  # a whole winter
    assert of_frame(gaps) == pytest.approx(by_hand(gaps, lengths), rel=1e-9)
    assert of_frame(gaps)["mat"] == pytest.approx(of_frame(frame)["mat"], abs=0.3)
    assert gaps["tas"].mean() > frame["tas"].mean() + 0.7, "what a plain mean over the days makes of it"


def test_a_month_never_seen() -> None:
    frame = made_frame("2003-01-01", "2004-12-31")
    frame.loc[frame.index.month == 4, "pr"] = np.nan
    found = of_frame(frame)
    assert {name for name, value in found.items() if np.isnan(value)} == {"map", "precipitation_seasonality"}
    half = of_frame(made_frame("2003-01-01", "2003-06-30"))
    assert all(np.isnan(value) for value in half.values())


def test_a_place_without_rain() -> None:
    frame = made_frame("2003-01-01", "2004-12-31").assign(pr=0.0)
    found = of_frame(frame)
    assert found["map"] == 0
    assert np.isnan(found["precipitation_seasonality"])


def test_years() -> None:
    frame = made_frame("1999-01-01", "2006-12-31")
    inside = frame.loc["2001":"2003"]
    assert of_frame(frame, (2001, 2003)) == pytest.approx(of_frame(inside), rel=1e-12)
    assert of_frame(frame, (1900, 2003)) == pytest.approx(of_frame(frame.loc[:"2003"]), rel=1e-12)
    with pytest.raises(InputError, match="here: drivers of 1999 to 2006; climate means of 2010 to 2012"):
        of_frame(frame, (2010, 2012))


@pytest.fixture(scope="module", params=["standard", "noleap"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store of 90 cells in three chunks."""
    return write_store(tmp_path_factory.mktemp("climate") / "store", make_cells(90, calendar=request.param))


def asked(store: Store, places: list[int]) -> tuple[Path, list[str], list[str], list[str]]:
    """Arguments of `store_means` for some cells."""
    columns = store.columns
    sources = [f"{store.paths.chunk(columns['chunk'][place])}#{columns['row'][place]}" for place in places]
    return Path("/"), sources, [columns["name"][p] for p in places], [columns["checksum"][p] for p in places]


def test_a_store(store: Store) -> None:
    places = [0, 89, 41, 3, 55, 40]
    told: list[int] = []
    found = store_means(*asked(store, places), on_progress=lambda done, name: told.append(done))
    for n, cell in enumerate(store.read(places)):
        if cell.calendar == "standard":
            index = pd.Timestamp("2001-01-01") + pd.to_timedelta(days_since_epoch(cell.year, cell.doy), unit="D")
        else:  # a common year's dates; the year only has to have as many days
            index = pd.Timestamp("2001-01-01") + pd.to_timedelta(cell.doy - 1, unit="D")
        days = {name: values.astype(float) for name, values in cell.forcing.items()}
        frame = pd.DataFrame({**days, "tas": 0.5 * (days["tasmin"] + days["tasmax"])}, index)
        lengths = DAYS_OF_MONTHS + np.eye(12)[1] * 0.25 * (cell.calendar == "standard")
        expected = by_hand(frame[["tas", "pr", "rsds", "vpd"]], lengths)
        got = {name: float(values[n]) for name, values in found.climate.items()}
        assert got == pytest.approx(expected, rel=1e-5)
        assert got["mat"] == pytest.approx(frame["tas"].mean(), abs=1e-4)
        assert got["map"] == pytest.approx(days["pr"].sum() / 4, rel=1e-5)
        assert {name: values[n] for name, values in found.statics.items()} == dict(cell.statics)
    assert set(found.climate) == set(CLIMATE)
    assert told[-1] == len(places)
    assert found.meanings["soil_clay"] == ("%", "clay")
    assert found.meanings["elevation"] == ("m", "elevation")


def test_a_store_that_is_not_what_was_planned(store: Store, tmp_path: Path) -> None:
    root, sources, names, sums = asked(store, [0, 1])
    with pytest.raises(InputError, match=f"cell {names[1]}: the driver store is not what it was"):
        store_means(root, sources, names, [sums[0], sums[0]])
    with pytest.raises(InputError, match="store is not what it was"):
        store_means(root, sources[::-1], names, sums)
    other = tmp_path / "chunk.nc"
    shutil.copy(sources[0].partition("#")[0], other)
    other.write_bytes(other.read_bytes()[:9000])
    with pytest.raises(InputError, match=r"chunk.nc: not a readable chunk of a driver store.*phloem ingest"):
        store_means(root, [f"{other}#0"], names[:1], sums[:1])
    with pytest.raises(InputError, match="not a readable chunk"):
        store_means(root, [f"{tmp_path}/none.nc#0"], names[:1], sums[:1])


def test_what_it_reads_is_forcing() -> None:
    year, doy = calendar_days(2003, 2004, "standard")
    months = months_of(year, doy, "standard", None, "here")
    assert months.lengths.sum() == 365.5
    assert len(months.starts) == 24
    with pytest.raises(KeyError):
        climate_means({name: np.zeros((1, 731)) for name in WEATHER[:-1]}, months)
