"""Biomass maps in the published layout, written here: no real file is part of the tests.

The layout is that of the product's files as docs/ingest.md describes it: whole numbers of Mg/ha on (time, lat, lon),
north to south, with bounds; coarser here than 100 m.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from phloem.errors import InputError
from phloem.io.references.cci_biomass import from_carbon_density, read_cci_biomass, to_carbon

PIXEL = 0.05
NORTH, SOUTH, WEST, EAST = 52.0, 48.0, -2.0, 3.0
LAT = np.round(np.arange(NORTH - PIXEL / 2, SOUTH, -PIXEL), 6)
LON = np.round(np.arange(WEST + PIXEL / 2, EAST, PIXEL), 6)
CELLS = np.arange(SOUTH + 0.25, NORTH, 0.5), np.arange(WEST + 0.25, EAST, 0.5)
NAME = "ESACCI-BIOMASS-L4-AGB-MERGED-100m-{year}-fv{version}.nc"


def pixels(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    agb = rng.integers(1, 400, (len(LAT), len(LON))).astype(np.int16)
    agb[rng.random(agb.shape) < 0.3] = 0
    return agb


def write(
    folder: Path, agb: np.ndarray, year: int = 2020, version: str = "5.01", lat: np.ndarray = LAT,
    lon: np.ndarray = LON, spread: str = "agb_sd", name: str = "", unit: str = "Mg/ha",
) -> Path:  # fmt: skip
    """Write a file of the product."""
    path = folder / (name or NAME.format(year=year, version=version))
    dims = ("time", "lat", "lon")
    days = (np.datetime64(f"{year}-01-01") - np.datetime64("1970-01-01")).astype(int)
    fields = {"agb": (dims, agb[None], {"units": unit, "long_name": "Above-ground biomass"})}
    if spread:
        fields[spread] = (dims, (agb[None] // 4).astype(np.int16), {"units": unit})
    dataset = xr.Dataset(
        {
            **fields,
            "lat_bnds": (("lat", "nv"), np.stack([lat + PIXEL / 2, lat - PIXEL / 2], 1)),
            "lon_bnds": (("lon", "nv"), np.stack([lon - PIXEL / 2, lon + PIXEL / 2], 1)),
            "crs": ((), np.int32(0), {"grid_mapping_name": "latitude_longitude"}),
        },
        {
            "time": ("time", [float(days)], {"units": "days since 1970-01-01", "calendar": "standard"}),
            "lat": ("lat", lat, {"units": "degrees_north", "bounds": "lat_bnds"}),
            "lon": ("lon", lon, {"units": "degrees_east", "bounds": "lon_bnds"}),
        },
    )
    fill = {key: {"_FillValue": np.int16(-32768), "zlib": True} for key in fields}
    dataset.to_netcdf(path, encoding=fill)
    return path


def by_hand(agb: np.ndarray, non_forest: str = "zero") -> np.ndarray:
    """Means of 10 x 10 pixels weighted by the cosine of latitude, in MgC ha-1, south to north."""
    edges = [np.sin(np.deg2rad(LAT + way * PIXEL / 2)) for way in (1, -1)]
    weights = np.broadcast_to((edges[0] - edges[1])[:, None], agb.shape)
    values = np.where(agb == -32768, np.nan, agb.astype(float))
    values = np.where(values == 0, np.nan, values) if non_forest == "missing" else np.nan_to_num(values)
    known = np.isfinite(values)

    def blocks(one: np.ndarray) -> np.ndarray:
        return one.reshape(8, 10, 10, 10).sum(axis=(1, 3))

    with np.errstate(invalid="ignore"):
        return (0.47 * blocks(np.where(known, values, 0) * weights) / blocks(known * weights))[::-1]


def test_means_are_weighted_by_area_and_land_without_forest_counts_as_zero(tmp_path: Path) -> None:
    agb = pixels()
    agb[:3, :4] = -32768
    found = read_cci_biomass([write(tmp_path, agb)], *CELLS)
    assert found.carbon.shape == (1, 8, 10)
    np.testing.assert_allclose(found.carbon[0], by_hand(agb), rtol=1e-10)
    assert (found.covered == 1).all()
    assert found.years.tolist() == [2020]
    assert found.versions == ("5",)


def test_land_without_forest_can_be_left_out_of_the_mean(tmp_path: Path) -> None:
    agb = pixels()
    agb[:10, :10] = 0
    found = read_cci_biomass([write(tmp_path, agb)], *CELLS, non_forest="missing")
    np.testing.assert_allclose(found.carbon[0], by_hand(agb, "missing"), rtol=1e-10)
    assert np.isnan(found.carbon[0, -1, 0])
    assert read_cci_biomass([write(tmp_path, agb)], *CELLS).carbon[0, -1, 0] == 0


@pytest.mark.parametrize("word", ["agb_sd", "agb_se"])
def test_spread_is_the_mean_of_the_pixels_under_either_name(tmp_path: Path, word: str) -> None:
    agb = pixels()
    found = read_cci_biomass([write(tmp_path, agb, spread=word)], *CELLS)
    assert found.spread is not None
    np.testing.assert_allclose(found.spread[0], by_hand(agb // 4), rtol=1e-10)
    assert read_cci_biomass([write(tmp_path, agb, spread="")], *CELLS).spread is None


def test_years_stand_in_order_whatever_the_files_order(tmp_path: Path) -> None:
    paths = [write(tmp_path, pixels(year), year, "6.0") for year in (2021, 2010, 2015)]
    found = read_cci_biomass(paths, *CELLS)
    assert found.years.tolist() == [2010, 2015, 2021]
    for n, year in enumerate((2010, 2015, 2021)):
        np.testing.assert_allclose(found.carbon[n], by_hand(pixels(year)), rtol=1e-10)


def test_tiles_give_the_whole_map_even_where_a_cell_lies_in_two(tmp_path: Path) -> None:
    agb = pixels()
    whole = read_cci_biomass([write(tmp_path, agb)], *CELLS)
    parts = []
    for n, rows in enumerate((slice(0, 37), slice(37, 80))):
        for m, columns in enumerate((slice(0, 55), slice(55, 100))):
            name = f"N{n}0E00{m}_" + NAME.format(year=2020, version="5.01")
            parts.append(write(tmp_path, agb[rows, columns], lat=LAT[rows], lon=LON[columns], name=name))
    tiles = read_cci_biomass(parts, *CELLS)
    np.testing.assert_allclose(tiles.carbon, whole.carbon, rtol=1e-10)
    np.testing.assert_allclose(tiles.covered, 1, rtol=1e-9)


def test_a_band_that_was_a_geotiff_is_read_by_the_year_of_its_name(tmp_path: Path) -> None:
    agb = pixels()
    path = tmp_path / "N60W010_ESACCI-BIOMASS-L4-AGB-MERGED-100m-2018-fv6.0.nc"
    xr.Dataset(
        {"Band1": (("lat", "lon"), agb), "crs": ((), b"")},
        {"lat": ("lat", LAT, {"units": "degrees_north"}), "lon": ("lon", LON, {"units": "degrees_east"})},
    ).to_netcdf(path)
    found = read_cci_biomass([path], *CELLS)
    assert found.years.tolist() == [2018]
    np.testing.assert_allclose(found.carbon[0], by_hand(agb), rtol=1e-10)


def test_cells_that_no_file_covers_are_missing_and_the_share_is_told(tmp_path: Path) -> None:
    path = write(tmp_path, pixels())
    found = read_cci_biomass([path], np.array([51.75, 52.75]), np.array([-2.75, -1.75]), 1.0)
    np.testing.assert_array_equal(np.isnan(found.carbon[0]), [[True, False], [True, True]])
    assert found.covered[0, 0, 1] == pytest.approx(0.75 * 0.75, abs=0.01)
    far = read_cci_biomass([path], np.array([10.25]), np.array([100.25]))
    assert np.isnan(far.carbon).all()


def test_any_grid_can_be_asked_for(tmp_path: Path) -> None:
    agb = np.full((len(LAT), len(LON)), 100, np.int16)
    found = read_cci_biomass([write(tmp_path, agb)], np.array([48.5, 49.5]), np.array([-1.5, 0.5]), 1.0)
    np.testing.assert_allclose(found.carbon, 47.0)


def test_conversions_are_those_of_areas() -> None:
    assert to_carbon(np.array(100.0)) == pytest.approx(47.0)
    assert to_carbon(np.array(100.0), "gC m-2") == pytest.approx(4700.0)
    assert from_carbon_density(np.array(47.0), "kgC m-2") == pytest.approx(4.7)
    with pytest.raises(InputError, match="unit 'lb': choose of MgC ha-1"):
        to_carbon(np.array(1.0), "lb")


def test_wrong_files_are_refused_by_name(tmp_path: Path) -> None:
    agb = pixels()
    old = write(tmp_path, agb, version="4.0")
    with pytest.raises(InputError, match=r"fv4.0.nc: not a file of CCI Biomass version 5 or 6"):
        read_cci_biomass([old], *CELLS)
    assert read_cci_biomass([old], *CELLS, any_version=True).versions == ("4",)
    with pytest.raises(InputError, match=r"nothing.nc: no such file"):
        read_cci_biomass([tmp_path / "nothing.nc"], *CELLS)
    kelvin = write(tmp_path, agb, 2019, unit="K")
    with pytest.raises(InputError, match=r"2019-fv5.01.nc: variable agb: unit 'K'; due is Mg ha-1"):
        read_cci_biomass([kelvin], *CELLS)
    other = tmp_path / NAME.format(year=2017, version="6.0")
    xr.Dataset({"height": (("lat", "lon"), agb)}, {"lat": LAT, "lon": LON}).to_netcdf(other)
    with pytest.raises(InputError, match=r"2017-fv6.0.nc: no variable agb, AGB; the file has"):
        read_cci_biomass([other], *CELLS)


def test_one_year_given_twice_is_refused(tmp_path: Path) -> None:
    a = write(tmp_path, pixels())
    b = write(tmp_path, pixels(), version="6.0")
    with pytest.raises(InputError, match="both hold 2020 of the same place"):
        read_cci_biomass([a, b], *CELLS)
