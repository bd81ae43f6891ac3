"""Biomass compared as files; the reference is written here in the published layout, no real file is part of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from phloem.errors import InputError
from phloem.jobs.upscaling_analyses.compare_cci import ModelVersion, compare_with_cci

LAT, LON = np.arange(40.25, 50.0, 0.5), np.arange(0.25, 10.0, 0.5)


def biomass() -> np.ndarray:
    """Dry matter of the cells, Mg ha-1, south to north: whole numbers, as files hold them."""
    north, east = np.meshgrid(LAT, LON, indexing="ij")
    return np.round(100 + 8 * (north - 40) + 10 * np.sin(east)).astype(np.int16)


def write_reference(folder: Path, year: int) -> Path:
    """Five pixels a cell and side, from north to south, all alike within a cell."""
    fine = np.repeat(np.repeat(biomass()[::-1], 5, 0), 5, 1)
    days = float((np.datetime64(f"{year}-01-01") - np.datetime64("1970-01-01")).astype(int))
    path = folder / f"ESACCI-BIOMASS-L4-AGB-MERGED-100m-{year}-fv5.01.nc"
    xr.Dataset(
        {"agb": (("time", "lat", "lon"), fine[None], {"units": "Mg/ha"})},
        {
            "time": ("time", [days], {"units": "days since 1970-01-01"}),
            "lat": ("lat", np.round(np.arange(49.95, 40.0, -0.1), 6), {"units": "degrees_north"}),
            "lon": ("lon", np.round(np.arange(0.05, 10.0, 0.1), 6), {"units": "degrees_east"}),
        },
    ).to_netcdf(path)
    return path


def write_model(
    path: Path, factor: float = 1.0, *, monthly: bool = False, names: tuple[str, str] = ("cLeaf", "cWood")
) -> Path:
    """Leaves a tenth and wood nine tenths of the reference times a factor, kgC m-2, years 2014 to 2020."""
    carbon = 0.47 * biomass() * factor / 10
    if monthly:
        time = np.arange("2014-01", "2021-01", dtype="datetime64[M]").astype("datetime64[ns]")
        season = 1 + 0.1 * np.sin(2 * np.pi * np.arange(len(time)) / 12)
    else:
        time = np.arange("2014", "2021", dtype="datetime64[Y]").astype("datetime64[ns]") + np.timedelta64(180, "D")
        season = np.ones(len(time))
    xr.Dataset(
        {
            name: (("time", "lat", "lon"), share * season[:, None, None] * carbon, {"units": "kg m-2"})
            for name, share in zip(names, (0.1, 0.9), strict=True)
        },
        {
            "time": time,
            "lat": ("lat", LAT, {"units": "degrees_north"}),
            "lon": ("lon", LON, {"units": "degrees_east"}),
        },
    ).to_netcdf(path)
    return path


def test_versions_are_scored_mapped_and_drawn(tmp_path: Path) -> None:
    references = [write_reference(tmp_path, year) for year in (2010, 2015, 2018)]
    versions = {
        "mean": ModelVersion((write_model(tmp_path / "mean.nc"),)),
        "q75": ModelVersion((write_model(tmp_path / "q75.nc", 1.2, names=("leaf75", "wood75")),),
                            {"cLeaf": "leaf75", "cWood": "wood75"}),
    }  # fmt: skip
    document = compare_with_cci(tmp_path / "out", versions, references)
    assert document == json.loads((tmp_path / "out/biomass.json").read_text())
    assert document["years"] == [2015, 2018]
    mean, high = (document["versions"][name]["scores"] for name in ("mean", "q75"))
    assert mean["pairs"] == 2 * len(LAT) * len(LON)
    assert mean["rmse"] == pytest.approx(0, abs=1e-6)
    assert high["slope_pred_on_obs"] == pytest.approx(1.2)
    assert high["pbias"] == pytest.approx(20)
    with xr.open_dataset(tmp_path / "out/biomass.nc") as maps:
        assert float(maps["relative_q75"].mean()) == pytest.approx(20, rel=1e-5)
        assert float(maps["difference_q75"].sel(lat=40.25, lon=0.25)) == pytest.approx(0.2 * 0.47 * biomass()[0, 0])
    for name in versions:
        assert (tmp_path / f"out/biomass_{name}.png").read_bytes().startswith(b"\x89PNG")
        assert (tmp_path / f"out/{document['figures'][name]}").is_file()


def test_months_of_a_model_are_averaged_by_year(tmp_path: Path) -> None:
    version = ModelVersion((write_model(tmp_path / "m.nc", monthly=True),))
    document = compare_with_cci(tmp_path / "out", {"mean": version}, [write_reference(tmp_path, 2015)])
    assert document["versions"]["mean"]["scores"]["rmse"] == pytest.approx(0, abs=1e-6)


def test_cells_off_land_do_not_count(tmp_path: Path) -> None:
    land = np.zeros((len(LAT), len(LON)), bool)
    land[3, 4] = True
    version = ModelVersion((write_model(tmp_path / "m.nc"),))
    document = compare_with_cci(tmp_path / "out", {"mean": version}, [write_reference(tmp_path, 2015)], land)
    assert document["versions"]["mean"]["scores"]["pairs"] == 1


def test_what_cannot_be_compared_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    reference = write_reference(tmp_path, 2010)
    version = ModelVersion((write_model(tmp_path / "m.nc"),))
    with pytest.raises(InputError, match="no year in common: the model has 2014"):
        compare_with_cci(tmp_path / "out", {"mean": version}, [reference])
    leafless = ModelVersion((write_model(tmp_path / "l.nc", names=("x", "cWood")),))
    with pytest.raises(InputError, match=r"l.nc: version mean: no cLeaf"):
        compare_with_cci(tmp_path / "out", {"mean": leafless}, [reference])
    assert not (tmp_path / "out").exists()
