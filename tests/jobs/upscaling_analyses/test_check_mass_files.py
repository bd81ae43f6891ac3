"""Mass checks as files: a document, maps and a figure, or nothing at all."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from phloem.errors import InputError
from phloem.jobs.upscaling_analyses.check_mass_files import check_mass_files, variable_name


def write(path: Path, off: float = 0.0, unit: str = "gC m-2 d-1") -> None:
    """Two years of fluxes, whose GPP is too high in one cell."""
    time = np.arange("2001-01", "2003-01", dtype="datetime64[M]")
    rng = np.random.default_rng(0)
    npp, ra, rh = rng.gamma(2, 1, (3, len(time), 6, 12))
    gpp = npp + ra
    gpp[:, 2, 3] += off
    fields = {"gpp": gpp, "npp": npp, "ra": ra, "rh": rh, "reco": ra + rh}
    xr.Dataset(
        {name: (("time", "lat", "lon"), values, {"units": unit}) for name, values in fields.items()},
        {
            "time": time.astype("datetime64[ns]"),
            "lat": ("lat", np.arange(75.0, -90.0, -30.0), {"units": "degrees_north"}),
            "lon": ("lon", np.arange(15.0, 360.0, 30.0), {"units": "degrees_east"}),
        },
    ).to_netcdf(path)


def test_a_documents_numbers_stand_beside_maps_of_them(tmp_path: Path) -> None:
    write(tmp_path / "product.nc", off=0.5)
    document = check_mass_files(tmp_path / "out", [tmp_path / "product.nc"])
    assert document == json.loads((tmp_path / "out/mass.json").read_text())
    rest = document["identities"]["gpp - (npp + ra)"]
    assert rest["worst"] == pytest.approx(0.5)
    assert rest["residual"] > 0
    assert document["identities"]["reco - (ra + rh)"]["worst"] == pytest.approx(0, abs=1e-12)
    assert document["stock_closure"] is None
    assert document["files"] == ["product.nc"]
    assert (document["first"], document["last"], document["months"]) == ("2001-01", "2002-12", 24)
    with xr.open_dataset(tmp_path / "out/mass.nc") as maps:
        grid = maps["rmse_gpp_npp_ra"]
        assert float(grid[2, 3]) == pytest.approx(0.5)
        assert float(grid.sel(lat=15.0, lon=105.0)) == pytest.approx(0.5)
        assert grid.attrs["units"] == "gC m-2 d-1"
    assert (tmp_path / "out/mass.png").read_bytes().startswith(b"\x89PNG")
    assert "xmlns" in (tmp_path / "out/mass.svg").read_text()


def test_names_of_maps_are_plain_words() -> None:
    assert variable_name("nep - (gpp - reco)") == "rmse_nep_gpp_reco"
    assert variable_name("nep + nee") == "rmse_nep_nee"


def test_other_names_and_units_can_be_told(tmp_path: Path) -> None:
    write(tmp_path / "product.nc", unit="1")
    with xr.open_dataset(tmp_path / "product.nc") as file:
        file.load().rename(gpp="GPP_mean").to_netcdf(tmp_path / "other.nc")
    units = dict.fromkeys(("gpp", "npp", "ra", "rh", "reco"), "gC m-2 d-1")
    document = check_mass_files(tmp_path / "out", [tmp_path / "other.nc"], names={"gpp": "GPP_mean"}, units=units)
    assert "gpp - (npp + ra)" in document["identities"]


def test_nothing_is_written_of_a_file_that_cannot_be_checked(tmp_path: Path) -> None:
    write(tmp_path / "product.nc", unit="K")
    with pytest.raises(InputError, match=r"product.nc: variable gpp: unit 'K'"):
        check_mass_files(tmp_path / "out", [tmp_path / "product.nc"])
    assert not (tmp_path / "out").exists()
