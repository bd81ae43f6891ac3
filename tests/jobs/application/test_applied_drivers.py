"""What `phloem apply` makes of drivers: classes as texts, places of the product, impossible values, lacking leaves."""

from __future__ import annotations

import shutil
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr

import phloem
from phloem.errors import InputError
from phloem.io.flux_drivers import cf_drivers
from phloem.io.flux_drivers.open_drivers import open_drivers
from phloem.io.flux_towers.cf_tower_table import read_tower_table
from phloem.io.flux_towers.tower_quantities import IGBP
from phloem.jobs.application.apply_fluxes import ApplyChoice, apply_fluxes
from phloem.jobs.application.fitted_models import fitted_models
from phloem.jobs.notebook.opened_upscaling import OpenedUpscaling
from tests.support.campaigns.applied_upscalings import write_upscaling
from tests.support.campaigns.campaigns import command, succeed
from tests.support.drivers.flux_towers import MadeGrid

GRID = MadeGrid(rows=4, columns=5, months=12)


@pytest.fixture(scope="module")
def upscaled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A merged campaign."""
    folder = tmp_path_factory.mktemp("upscaled")
    write_upscaling(folder)
    succeed("run", "upscaled.toml", "--out", "up", folder=folder)
    return folder / "up"


@pytest.fixture
def drivers(tmp_path: Path) -> Path:
    """A grid of drivers of one's own."""
    (tmp_path / "in").mkdir()
    return GRID.write(tmp_path / "in" / "X.nc")


def of_towers(upscaled: Path, site: int) -> dict[str, np.ndarray | float | str]:
    """Drivers of one of the campaign's towers, as a notebook has them."""
    table = read_tower_table(upscaled.parent / "towers.nc")
    timed = ("TA", "SWIN", "VPD", "CO2", "LAI", "P")
    columns: dict[str, np.ndarray | float | str] = {name: table.values[name][site] for name in timed}
    columns |= {name: float(values[site]) for name, values in table.of_site.items()}
    return {**columns, "month": table.months.astype(int), "igbp": table.igbp[site]}


def test_classes_of_a_table_of_towers_are_read_from_its_characters(
    upscaled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = upscaled.parent / "towers.nc"
    out = apply_fluxes(upscaled, tmp_path / "O.nc", ApplyChoice(whole), workers=1)
    assert out is not None
    assert "igbp" in fitted_models(str(upscaled)).seen
    with xr.open_dataset(out) as file:
        assert file.drivers_lacking == "none"
        found = file.dissimilarity.values
    without = Path(shutil.copy(whole, tmp_path / "without.nc"))
    with netCDF4.Dataset(without, "a") as file:
        file.renameVariable("igbp", "plants")
    capsys.readouterr()
    other = apply_fluxes(upscaled, tmp_path / "P.nc", ApplyChoice(without), workers=1)
    assert "the models see igbp too" in capsys.readouterr().err
    with xr.open_dataset(other) as file:
        assert file.drivers_lacking == "igbp"
        assert not np.array_equal(file.dissimilarity.values, found)


def test_a_product_in_place_of_its_input_is_refused(upscaled: Path, drivers: Path, tmp_path: Path) -> None:
    static = GRID.write_static(tmp_path / "S.nc")
    link = tmp_path / "link.nc"
    link.hardlink_to(drivers)
    before = drivers.read_bytes(), static.read_bytes()
    for out, given, said in (
        (drivers, drivers, "--drivers .* overwritten"),
        (link, drivers, "--drivers .* overwritten"),
        (static, drivers, "--static .* overwritten"),
        (drivers.parent / "O.nc", drivers.parent, "next run would read it"),
        (upscaled / "plan.json", drivers, "own files; products go into .*products"),
        (upscaled / "tiles" / "O.nc", drivers, "own files"),
    ):
        with pytest.raises(InputError, match=said):
            apply_fluxes(upscaled, out, ApplyChoice(given, static), workers=1)
    assert (drivers.read_bytes(), static.read_bytes()) == before
    (upscaled / "products").mkdir()
    assert apply_fluxes(upscaled, upscaled / "products" / "O.nc", ApplyChoice(drivers), workers=1)


def _set(path: Path, name: str, change) -> None:
    with netCDF4.Dataset(path, "a") as file:
        file[name][:] = change(file[name][:])


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        (
            "TA",
            lambda x: x + 273.15,
            r"X\.nc: variable TA: .* outside -70 to 50 degC, such as 2.*variables\.TA\.units=K",
        ),
        ("VPD", lambda x: x * 100, r"variable VPD: .*such as .*variables\.VPD\.units="),
        ("c4_fraction", lambda x: 1.5 + 0 * x, r"variable c4_fraction: .* outside 0 to 1.*c4_fraction\.units=%"),
    ],
)
def test_drivers_of_another_unit_are_refused_before_the_work(
    upscaled: Path, drivers: Path, tmp_path: Path, name: str, change, said: str
) -> None:
    _set(drivers, name, change)
    with pytest.raises(InputError, match=said):
        apply_fluxes(upscaled, tmp_path / "O.nc", ApplyChoice(drivers), workers=1)
    assert not list(tmp_path.glob("O.nc*"))


def test_the_remedy_that_is_named_mends_the_unit(upscaled: Path, drivers: Path, tmp_path: Path) -> None:
    plain = apply_fluxes(upscaled, tmp_path / "A.nc", ApplyChoice(drivers), workers=1)
    _set(drivers, "TA", lambda x: x + 273.15)
    mended = apply_fluxes(upscaled, tmp_path / "B.nc", ApplyChoice(drivers), ["data.variables.TA.units=K"], workers=1)
    with xr.open_dataset(plain) as one, xr.open_dataset(mended) as other:
        np.testing.assert_allclose(other.gpp, one.gpp, atol=0.05)


def test_a_few_impossible_values_are_missing_and_counted(
    upscaled: Path, drivers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with netCDF4.Dataset(drivers, "a") as file:
        file["TA"][3, 0, 0] = 333.0
        file["P"][4, 0, 0] = np.inf
        file["P"][5, 0, 1] = -1e-6
        file["elevation"][0, 3] = np.inf
        file["elevation"][0, 2] = -9000.0
    out = apply_fluxes(upscaled, tmp_path / "O.nc", ApplyChoice(drivers), workers=1)
    said = capsys.readouterr().err
    assert "variable TA: 1 of 144 values of TA are outside -70 to 50 degC, such as 333; they count as missing" in said
    assert "variable P" not in said
    assert "variable elevation: 1 of 19 values" in said
    with xr.open_dataset(out) as file:
        assert np.isnan(file.gpp[3, 0, 0])
        assert np.isfinite(file.gpp[4, 0, 0])
        for name in ("gpp", "nee_lower", "le_upper", "dissimilarity"):
            assert not np.isinf(file[name]).any()


def test_many_impossible_values_are_met_where_not_all_were_looked_at(
    drivers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(values: np.ndarray) -> np.ndarray:
        values[2:5] += 300.0
        return values

    _set(drivers, "TA", change)
    monkeypatch.setattr(cf_drivers, "LOOKED_AT", 1)
    monkeypatch.setattr(cf_drivers, "ENOUGH", 100)
    source = open_drivers(drivers)
    assert source.survey(["TA"]) == []
    with pytest.raises(InputError, match="36 of 144 values of TA"):
        source.read(slice(0, 4), ["TA"], ["TA"])


def _without_leaves(path: Path, *names: str) -> None:
    with netCDF4.Dataset(path, "a") as file:
        for name in names:
            file.renameVariable(name, f"other_{name}")


def test_drivers_without_leaves_are_refused_by_the_names_that_would_do(
    upscaled: Path, drivers: Path, tmp_path: Path
) -> None:
    _without_leaves(drivers, "LAI", "ndvi_min")
    with pytest.raises(InputError, match=r"leaves; needed is FAPAR \(.*NDVI.*LAI.*ndvi_min .* with ndvi_max"):
        apply_fluxes(upscaled, tmp_path / "O.nc", ApplyChoice(drivers), workers=1)
    assert not list(tmp_path.glob("O.nc*"))


def test_months_without_leaves_are_outside_and_told(
    upscaled: Path, drivers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _without_leaves(drivers, "ndvi_min", "ndvi_max")
    with netCDF4.Dataset(drivers, "a") as file:
        file["LAI"][4, 0, :3] = np.nan
    out = apply_fluxes(upscaled, tmp_path / "O.nc", ApplyChoice(drivers), workers=1)
    assert "3 of 143 place-months with all needed drivers have no result" in capsys.readouterr().err
    with xr.open_dataset(out) as file:
        cells = file.isel(time=4, lat=0, lon=slice(0, 3))
        assert cells.inside.values.tolist() == [0, 0, 0]
        assert np.isnan(cells.dissimilarity).all()
        assert np.isfinite(file.dissimilarity.isel(time=5, lat=0)).all()


def test_a_product_without_any_result_ends_badly(upscaled: Path, drivers: Path, tmp_path: Path) -> None:
    _without_leaves(drivers, "ndvi_min", "ndvi_max")
    with netCDF4.Dataset(drivers, "a") as file:
        file["LAI"][:] = np.nan
    said = command("apply", upscaled, "--drivers", drivers, "--out", "O.nc", folder=tmp_path)
    assert said.returncode == 1
    assert "no place and month has a result" in said.stderr
    assert "143 of 143 place-months" in said.stderr
    assert not (tmp_path / "O.nc.parts").exists()


def test_a_gap_in_the_months_of_a_grid_is_told_as_there_are_no_totals(
    upscaled: Path, drivers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with xr.open_dataset(drivers) as file:
        file.isel(time=[0, 1, 2, 5, 6]).to_netcdf(tmp_path / "gap.nc")
    apply_fluxes(upscaled, tmp_path / "O.nc", ApplyChoice(tmp_path / "gap.nc"), workers=1)
    assert "no month between 2010-03 and 2010-06: no totals are written" in capsys.readouterr().err
    assert not (tmp_path / "O.totals.json").exists()


def test_the_command_and_a_notebook_give_the_same_bits(upscaled: Path, tmp_path: Path) -> None:
    out = apply_fluxes(upscaled, tmp_path / "O.nc", ApplyChoice(upscaled.parent / "towers.nc"), workers=1)
    opened = phloem.open_campaign(upscaled)
    assert isinstance(opened, OpenedUpscaling)
    with xr.open_dataset(out) as file:
        for site in (0, 7, 23):
            found, here = opened.apply(of_towers(upscaled, site)), file.isel(site=site)
            assert np.isfinite(here.gpp).all()
            for name in ("nee", "nee_lower", "nee_upper", "dissimilarity"):
                np.testing.assert_array_equal(found[name], here[name], err_msg=name)
            for name in ("gpp", "reco_lower", "le_upper"):
                np.testing.assert_array_equal(np.maximum(found[name], 0), here[name], err_msg=name)
            np.testing.assert_array_equal(found.inside, here.inside == 1)


def test_columns_of_a_notebook_are_checked_and_converted(upscaled: Path) -> None:
    opened = phloem.open_campaign(upscaled)
    assert isinstance(opened, OpenedUpscaling)
    columns = of_towers(upscaled, 2)
    plain = opened.apply(columns)
    months = np.asarray(columns["month"]).astype("datetime64[M]")
    number = IGBP.index(str(columns["igbp"])) + 1
    for change in ({"month": months.astype("datetime64[ns]")}, {"month": months.astype(str)}, {"igbp": number}):
        xr.testing.assert_identical(opened.apply({**columns, **change}), plain)
    for change, said in (
        ({"TA": np.asarray(columns["TA"]) + 273.15}, r"column TA: 36 of 36 .* -70 to 50 degC, the worst [23]\d\d"),
        ({"P": np.inf}, "column P: .* the worst inf"),
        ({"elevation": np.inf}, "column elevation"),
        ({"Ta": 3.0}, r"'Ta' is not known. Did you mean 'TA'\?"),
        ({"elevaton": 3.0}, "Did you mean 'elevation'"),
        ({"month": 1e18}, "column month: .* months since 1970-01"),
        ({"igbp": "ENV"}, r"'ENV' is no class. Did you mean 'ENF'\?"),
        ({"igbp": 18}, "column igbp: 18; classes 1 to 17"),
        ({"VPD": "dry"}, "column VPD: numbers are due, not 'dry'"),
        ({"TA": months}, "column TA: dates"),
    ):
        with pytest.raises(InputError, match=said):
            opened.apply({**columns, **change})
    lacking = {k: v for k, v in columns.items() if k not in ("LAI", "ndvi_min")}
    with pytest.raises(InputError, match="leaves: one of FAPAR, NDVI, LAI, ndvi_min with ndvi_max"):
        opened.apply(lacking)
