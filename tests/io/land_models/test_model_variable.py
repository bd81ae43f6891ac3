"""Single files of land models: odd units, fills, axes and plant types, and memory that does not grow with the file."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest

from phloem.errors import InputError
from phloem.io.land_models import model_variable
from phloem.io.land_models.land_model import LandModel, global_totals
from phloem.io.land_models.model_files import find_models
from phloem.io.land_models.model_variable import ReadingOptions, open_variable

KG_PER_S = 1e3 * 86400.0


def write(
    path: Path, values: np.ndarray, name: str = "gpp", dimensions: tuple[str, ...] = ("time", "lat", "lon"),
    time_units: str = "months since 1700-01-01", **attributes: Any,
) -> Path:  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    with netCDF4.Dataset(path, "w") as file:
        for dimension, size in zip(dimensions, values.shape, strict=True):
            file.createDimension(dimension, size)
        axes = {"lat": np.linspace(-80, 80, 9), "lon": np.arange(0.0, 360.0, 30.0), "time": np.arange(24.0) + 3636}
        for dimension, size in zip(dimensions, values.shape, strict=True):
            if dimension in axes:
                axis = file.createVariable(dimension, "f8", (dimension,))
                axis[:] = axes[dimension] if len(axes[dimension]) == size else np.linspace(-80, 80, size)
                if dimension == "time":
                    axis.units = time_units
        variable = file.createVariable(name, "f4", dimensions, fill_value=attributes.pop("_FillValue", None))
        variable.setncatts(attributes)
        variable.set_auto_maskandscale(False)
        variable[:] = values
    return path


def first_month(path: Path, quantity: str = "gpp") -> tuple[np.ndarray, list[str]]:
    with open_variable(path, quantity, ReadingOptions()) as variable:
        _, values = next(variable.parts(2003))
        return values[0, 0], variable.findings


@pytest.mark.parametrize(
    ("unit", "factor"),
    [
        ("kg m-2 s-1", KG_PER_S), ("kgC/m2/s", KG_PER_S), ("kg C m$^{-2}$ s$^{-1}$", KG_PER_S), ("gC m-2 d-1", 1.0),
        ("kg m^{-2} s^{-1}", KG_PER_S), ("gC m-2 month-1", 12 / 365.25), ("", KG_PER_S),
    ],
)  # fmt: skip
def test_units_in_latex_with_slashes_or_missing_are_read(tmp_path: Path, unit: str, factor: float) -> None:
    attributes = {"units": unit} if unit else {}
    values, said = first_month(write(tmp_path / "gpp.nc", np.full((24, 9, 12), 0.5), **attributes))
    np.testing.assert_allclose(values, 0.5 * factor, rtol=1e-6)
    assert ("no unit: taken as kg m-2 s-1, that of the protocol" in said) is (not unit)


def test_a_unit_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "gpp.nc", np.zeros((24, 9, 12)), units="kg m-2")
    with pytest.raises(InputError, match=r"gpp.nc: variable gpp: unit 'kg m-2'; 'kg m-2 s-1' or what converts"):
        first_month(path)


@pytest.mark.parametrize("fill", [-99999.0, -9999.0, -999.0, 1e20, 1e36, np.nan])
@pytest.mark.parametrize("declared", [True, False])
def test_fills_are_missing_whether_declared_or_not(tmp_path: Path, fill: float, declared: bool) -> None:
    data = np.full((24, 9, 12), 1e-8)
    data[:, 3, 4] = fill
    attributes = {"_FillValue": fill} if declared else {}
    values, said = first_month(write(tmp_path / "gpp.nc", data, units="kg m-2 s-1", **attributes))
    assert np.isnan(values[3, 4])
    assert np.isnan(values).sum() == 1
    assert any("does not declare" in one for one in said) is (not declared and fill != 1e36)


def test_axes_of_other_names_order_and_plant_types_are_read(tmp_path: Path) -> None:
    data = np.arange(9 * 12 * 24, dtype=float).reshape(9, 12, 24)
    values, _ = first_month(
        write(tmp_path / "gpp.nc", data, dimensions=("lat", "lon", "time"), units="gC m-2 d-1"),
    )
    np.testing.assert_allclose(values, data[:, :, 0])


@pytest.mark.parametrize(
    ("shape", "dimensions", "words"),
    [
        ((24, 9), ("time", "lat"), "time, latitude, longitude"),
        ((9, 12), ("lat", "lon"), "no time axis"),
        ((24, 2, 3, 9, 12), ("time", "pft", "layer", "lat", "lon"), "perhaps plant types"),
    ],
)
def test_other_dimensions_are_refused(
    tmp_path: Path, shape: tuple[int, ...], dimensions: tuple[str, ...], words: str
) -> None:
    path = write(tmp_path / "gpp.nc", np.zeros(shape), dimensions=dimensions, units="gC m-2 d-1")
    with pytest.raises(InputError, match=words):
        first_month(path)


def test_a_file_of_another_variable_is_refused_with_what_it_has(tmp_path: Path) -> None:
    path = write(tmp_path / "gpp.nc", np.zeros((24, 9, 12)), name="burned", units="1")
    with pytest.raises(InputError, match=r"0 variables that are gpp; one is due\. The file has .*burned"):
        first_month(path)


def test_a_year_of_365_days_has_no_leap_day_and_one_of_360_is_a_whole_year(tmp_path: Path) -> None:
    data = np.full((24, 9, 12), 1.0)
    totals = {}
    for calendar in ("standard", "noleap", "360_day"):
        path = write(tmp_path / calendar / "M" / "S3" / "M_S3_gpp.nc", data, units="gC m-2 d-1")
        with netCDF4.Dataset(path, "a") as file:
            file["time"].calendar = calendar
        totals[calendar] = global_totals(LandModel(find_models(tmp_path / calendar)[0]), "gpp")
    assert totals["standard"][2004] / totals["noleap"][2004] == pytest.approx(366 / 365)
    assert totals["360_day"][2003] == pytest.approx(totals["standard"][2003])


def test_memory_does_not_grow_with_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a century of months with ten plant types, 52 MB as stored, read in blocks of 1 MiB."""
    monkeypatch.setattr(model_variable, "BLOCK_BYTES", 2**20)
    path = tmp_path / "M" / "S3" / "M_S3_gpp.nc"
    path.parent.mkdir(parents=True)
    with netCDF4.Dataset(path, "w") as file:
        for name, size in (("time", 600), ("PFT", 10), ("lat", 36), ("lon", 60)):
            file.createDimension(name, size)
        file.createVariable("time", "f8", ("time",))[:] = np.arange(600.0)
        file["time"].units = "months since 1901-01-01"
        file.createVariable("lat", "f8", ("lat",))[:] = np.arange(-87.5, 90, 5)
        file.createVariable("lon", "f8", ("lon",))[:] = np.arange(3.0, 360, 6)
        variable = file.createVariable(
            "gpp", "f4", ("time", "PFT", "lat", "lon"), chunksizes=(1, 10, 36, 60), zlib=True
        )
        variable.units = "gC m-2 d-1"
        for step in range(600):
            variable[step] = 0.1
    model = LandModel(find_models(tmp_path)[0])
    assert next(model.annual("gpp", [1901]))[0] == 1901, "first use, so that imports do not count"
    tracemalloc.start()
    totals = [np.nanmean(values) for _, values, _ in model.annual("gpp")]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(totals) == 50
    np.testing.assert_allclose(totals[0], 365.0, rtol=1e-6)
    assert peak < 12 * 2**20
