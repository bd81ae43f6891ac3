"""Parameters read, written and handed over in every form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import phloem
from phloem.jobs.notebook.parameter_arrays import parameter_values
from phloem.kernels.calibrations.dalec_daily.tables import TOWERS
from tests.support.campaigns.campaigns import succeed


@pytest.fixture
def truth(root: Path) -> xr.DataArray:
    return phloem.read_parameters(root / "drivers/truth.csv")


def test_parameters_have_names_units_and_bounds_of_the_model(truth: xr.DataArray) -> None:
    assert truth.dims == ("member", "parameter")
    assert truth.parameter.values.tolist() == list(TOWERS.unknown_names)
    for one in TOWERS.unknowns:
        column = truth.sel(parameter=TOWERS.unknown_names[TOWERS.unknowns.index(one)])
        assert (column.units, column.long_name) == (one.unit, one.meaning)
        assert (float(column.lower), float(column.upper)) == (one.lower, one.upper)


@pytest.mark.parametrize("name", ["P.csv", "P.nc"])
def test_written_parameters_read_with_the_same_bits_here_and_by_the_command(
    name: str, truth: xr.DataArray, tmp_path: Path, root: Path
) -> None:
    odd = truth * (1 + 1e-9)
    phloem.write_parameters(tmp_path / name, odd)
    assert np.array_equal(phloem.read_parameters(tmp_path / name), odd)
    drivers = root / "drivers/T001.nc"
    succeed("simulate", "--drivers", drivers, "--parameters", name, "--out", "O.nc", folder=tmp_path)
    with xr.open_dataset(tmp_path / "O.nc") as written:
        assert np.array_equal(written["wood"], phloem.simulate(drivers, odd)["wood"])


def test_a_netcdf_file_of_parameters_tells_units_to_other_programs(truth: xr.DataArray, tmp_path: Path) -> None:
    phloem.write_parameters(tmp_path / "P.nc", truth)
    with xr.open_dataset(tmp_path / "P.nc") as file:
        assert str(file.parameter_units.sel(parameter="lcma").item()) == "g m-2"
        assert file.parameters.dims == ("member", "parameter")


def test_all_forms_are_the_same_values(truth: xr.DataArray, root: Path) -> None:
    names = truth.parameter.values.tolist()
    by_name = {name: truth.sel(parameter=name).values for name in names}
    shuffled = truth.isel(parameter=np.random.default_rng(1).permutation(len(names)))
    table = truth.drop_vars(["units", "long_name", "lower", "upper"]).to_pandas()
    for given in (str(root / "drivers/truth.csv"), truth, truth.T, shuffled, by_name, table):
        values, members = parameter_values(given, TOWERS)
        assert np.array_equal(values, truth.values)
        assert members.tolist() == [0, 1]
    values, members = parameter_values({**by_name, "lcma": 60.0}, TOWERS)
    assert values[:, names.index("lcma")].tolist() == [60.0, 60.0]
    values, members = parameter_values(truth.sel(member=1), TOWERS)
    assert np.array_equal(values, truth.values[1:])
    empty = xr.concat([truth.sel(member=0) * np.nan, truth.sel(member=1)], "member")
    assert parameter_values(empty, TOWERS)[1].tolist() == [1], "members without any value are left out"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.drop_sel(parameter=["lcma", "uwue"]), "parameters: missing columns: lcma, uwue; it has: dec"),
        (lambda a: a.assign_coords(parameter=["x", *a.parameter.values[1:]]), "parameters: unknown 'x'"),
        (lambda a: a.assign_coords(parameter=["lcma", *a.parameter.values[1:]]), "names that stand twice: lcma"),
        (lambda a: a.where(a.parameter != "lcma", 201), r"member 0, lcma = 201 is outside its bounds \[5, 200\] g m-2"),
        (lambda a: a.where(a.parameter != "lcma"), "member 0, lcma = nan is outside its bounds"),
        (lambda a: a * np.nan, "no member has a value"),
        (lambda a: a.expand_dims(cell=["A", "B"]), r"\(member, parameter\) is due.*choose one: .sel\(cell="),
        (lambda a: a.rename(parameter="p"), r"an array of \('member', 'p'\); \(member, parameter\) is due"),
        (lambda a: a.values, "parameters: a ndarray; give a file, an array"),
        (lambda a: {"lcma": [1, 2], "uwue": [1, 2, 3]}, "one a member, as many of each; lcma has 2, uwue has 3"),
        (lambda a: {"lcma": [[1, 2]]}, r"lcma has the shape \(1, 2\)"),
    ],
)
def test_wrong_parameters_are_refused_by_name(change: Any, message: str, truth: xr.DataArray, tmp_path: Path) -> None:
    with pytest.raises(phloem.InputError, match=message):
        phloem.write_parameters(tmp_path / "P.csv", change(truth))
    assert not list(tmp_path.iterdir())


def test_parameters_of_a_merged_product_are_those_of_its_cell(root: Path) -> None:
    campaign, merged = phloem.open_campaign(root), root / "merged.nc"
    wanted = campaign.parameters.sel(cell="T001")
    found = phloem.read_parameters(merged, cell="T001")
    assert np.array_equal(found.values, wanted.values)
    last = phloem.read_parameters(merged, cell="T001", members=str(int(wanted.member[-1])))
    assert np.array_equal(last.values, wanted.values[-1:])
    with pytest.raises(phloem.InputError, match=r"no cell None; choose one with --cell: T000, T001"):
        phloem.read_parameters(merged)
    with pytest.raises(phloem.InputError, match=r"T001: no member 7; those with a result are 0, 1"):
        phloem.read_parameters(merged, cell="T001", members="7")
    with pytest.raises(phloem.InputError, match=r"--members 'best': all, median, or numbers such as 0,2 are due"):
        phloem.read_parameters(merged, cell="T001", members="best")


def test_days_of_the_year_are_moved_by_whole_years_into_their_bounds(truth: xr.DataArray, tmp_path: Path) -> None:
    early = truth.sel(member=[0]).copy()
    early.loc[{"parameter": ["bud_burst_day", "leaf_fall_day"]}] = [[137.9, -60.0]]
    phloem.write_parameters(tmp_path / "P.csv", early)
    days = phloem.read_parameters(tmp_path / "P.csv").sel(parameter=["bud_burst_day", "leaf_fall_day"])
    np.testing.assert_allclose(days.values, [[137.9 + 365.25, 2 * 365.25 - 60.0]])


def test_files_that_are_none_are_refused(truth: xr.DataArray, tmp_path: Path, root: Path) -> None:
    phloem.open_campaign(root).cells.to_netcdf(tmp_path / "cells.nc")
    with pytest.raises(phloem.InputError, match=r"cells\.nc: has no parameters\(member,.*nor is it a merged product"):
        phloem.read_parameters(tmp_path / "cells.nc")
    with pytest.raises(phloem.InputError, match=r"nothing\.nc"):
        phloem.read_parameters(tmp_path / "nothing.nc")
    with pytest.raises(phloem.InputError, match=r"P\.csv: cannot be written"):
        phloem.write_parameters(tmp_path / "no folder/P.csv", truth)
    with pytest.raises(phloem.InputError, match="experiment 'forest': "):
        phloem.read_parameters(root / "drivers/truth.csv", experiment="forest")
