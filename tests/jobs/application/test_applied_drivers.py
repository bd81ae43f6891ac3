"""What `phloem apply` makes of drivers: classes as texts, places of the product, impossible values, lacking leaves."""

from __future__ import annotations

import shutil
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr

from phloem.errors import InputError
from phloem.io.flux_towers.cf_tower_table import read_tower_table
from phloem.jobs.application.apply_fluxes import ApplyChoice, apply_fluxes
from phloem.jobs.application.fitted_models import fitted_models
from tests.support.campaigns.applied_upscalings import write_upscaling
from tests.support.campaigns.campaigns import succeed
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
        (upscaled / "plan.json", drivers, "own files; its products go into .*products"),
        (upscaled / "tiles" / "O.nc", drivers, "own files"),
    ):
        with pytest.raises(InputError, match=said):
            apply_fluxes(upscaled, out, ApplyChoice(given, static), workers=1)
    assert (drivers.read_bytes(), static.read_bytes()) == before
    (upscaled / "products").mkdir()
    assert apply_fluxes(upscaled, upscaled / "products" / "O.nc", ApplyChoice(drivers), workers=1)
