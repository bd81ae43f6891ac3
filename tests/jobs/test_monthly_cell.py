"""`simulate --model dalec-monthly`: the public code's own numbers, balances, and what is refused."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr

from phloem.jobs.monthly_cell import simulate_months
from phloem.kernels.models.dalec_monthly.file_names import OUTPUT_QUANTITIES
from phloem.kernels.models.dalec_monthly.records import CARBON
from tests.support.campaigns.campaigns import command, succeed
from tests.support.drivers.monthly_cell import MONTHS, cf_months, months_of_30_days, published_months
from tests.support.kernels.global_oracle import arrays
from tests.support.kernels.monthly_member import MEMBER

NAMES = [one.name for one in OUTPUT_QUANTITIES.values()]
MONTHLY = ("simulate", "--model", "dalec-monthly")
DOUBLE = ("--precision", "float64")
GIVEN = ("--drivers", "D.nc", "--parameters", "P.csv", "--out", "O.nc")


def write_table(path: Path, rows: list[dict[str, float]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows([{name: repr(float(value)) for name, value in row.items()} for row in rows])


@pytest.fixture
def cell(tmp_path: Path) -> Path:
    """A folder with months of a cell and one member."""
    published_months().to_netcdf(tmp_path / "D.nc")
    write_table(tmp_path / "P.csv", [MEMBER])
    return tmp_path


@pytest.mark.parametrize("backend", ["xla", "cpu"])
@pytest.mark.parametrize("place", [0, 1])
def test_simulate_in_compat_reproduces_the_trajectories_of_the_public_code(
    place: int, backend: str, data_dir: Path, tmp_path: Path
) -> None:
    gold = arrays(data_dir / "oracle/global_cells.nc")
    columns = [str(name) for name in gold["forcing_column"]]
    forcing = {name: ("month", gold["forcing"][place, :, number]) for number, name in enumerate(columns)}
    xr.Dataset(forcing).to_netcdf(tmp_path / "D.nc")
    names = [str(name) for name in gold["quantity"]]
    write_table(tmp_path / "P.csv", [dict(zip(names, row, strict=True)) for row in gold["physical"][place]])
    said = succeed(*MONTHLY, *GIVEN, *DOUBLE, "--mode", "compat", "--backend", backend, folder=tmp_path)
    assert said.strip() == "O.nc"
    with netCDF4.Dataset(tmp_path / "O.nc") as file:
        assert set(file.variables) == {"time", "time_bnds", *(str(name) for name in gold["output"])}
        for number, name in enumerate(map(str, gold["output"])):
            variable, expected = file[name], gold["outputs"][place, :, :, number]
            assert (variable.dimensions, variable.dtype) == (("member", "time"), np.float64)
            assert variable.units
            assert variable.long_name
            assert np.abs(variable[:] - expected).max() <= 1e-11 * np.abs(expected).max(), name
        assert np.array_equal(file["time"][:], gold["forcing"][place, :, 0])
        assert (file["time"].units, file["time"].bounds) == ("days since 2001-01-01", "time_bnds")
        assert (file["time_bnds"][:, 0] <= file["time"][:]).all()
        assert (file["time_bnds"][:, 1] > file["time"][:]).all()


@pytest.mark.parametrize("form", ["published", "cf"])
def test_simulate_in_strict_closes_carbon_and_water_over_the_months_of_the_calendar(form: str, cell: Path) -> None:
    if form == "cf":
        cf_months().to_netcdf(cell / "D.nc")
    succeed(*MONTHLY, *GIVEN, *DOUBLE, folder=cell)
    with netCDF4.Dataset(cell / "O.nc") as file:
        out = {name: np.asarray(file[name][0]) for name in NAMES}
        lengths = np.diff(file["time_bnds"][:], axis=1)[:, 0]
    assert set(lengths) == {28, 30, 31}
    carbon = np.cumsum(-out["nbe"] * lengths) + sum(MEMBER[f"initial_{name}"] for name in CARBON)
    np.testing.assert_allclose(sum(out[f"next_{name}_pool"] for name in CARBON), carbon, rtol=1e-12)
    rain = published_months().precipitation.values
    water = np.cumsum((rain - out["ET"] - out["runoff"]) * lengths) + MEMBER["initial_water"]
    np.testing.assert_allclose(out["next_water_pool"], water, rtol=1e-10)
    assert out["total_fire_combust"].max() > 0, "a month burns"


def test_simulate_takes_the_names_of_the_model_labels_and_chosen_members(cell: Path) -> None:
    own = {"iwue_unused": "iwue", "runoff_focal_point": "drainage_capacity"}
    rows = [
        {"member": number, **{own.get(name, name): value for name, value in MEMBER.items()}, "uwue": uwue}
        for number, uwue in enumerate((6.0, 7.0))
    ]
    write_table(cell / "own.csv", rows)
    write_table(cell / "fewer.csv", [{name: value for name, value in MEMBER.items() if name != "iwue_unused"}])
    both = simulate_months(cell / "D.nc", cell / "own.csv", cell / "both.nc", precision="float64")
    second = simulate_months(cell / "D.nc", cell / "own.csv", cell / "2.nc", precision="float64", members="1")
    single = simulate_months(cell / "D.nc", cell / "P.csv", cell / "1.nc", precision="float64")
    fewer = simulate_months(cell / "D.nc", cell / "fewer.csv", cell / "fewer.nc", precision="float64")
    with xr.open_dataset(both) as all_members, xr.open_dataset(second) as one, xr.open_dataset(single) as first:
        assert dict(all_members.sizes) == {"member": 2, "time": 26, "bnds": 2}
        np.testing.assert_allclose(all_members.ET[1], one.ET[0], rtol=1e-12)
        np.testing.assert_allclose(all_members.ET[0], first.ET[0], rtol=1e-12)
        assert not np.array_equal(one.ET, first.ET)
        with xr.open_dataset(fewer) as without:
            assert np.array_equal(without.ET, first.ET)


def test_simulate_in_single_precision_is_near_double_precision(cell: Path) -> None:
    for precision in ("float32", "float64"):
        simulate_months(cell / "D.nc", cell / "P.csv", cell / f"{precision}.nc", precision=precision)
    with netCDF4.Dataset(cell / "float32.nc") as single, netCDF4.Dataset(cell / "float64.nc") as double:
        assert single["gpp"].dtype == np.float32
        for name in NAMES:
            size = np.abs(double[name][:]).max()
            np.testing.assert_allclose(single[name][:], double[name][:], rtol=1e-3, atol=2e-4 * size, err_msg=name)


def _without(name: str) -> dict[str, float]:
    return {key: value for key, value in MEMBER.items() if key != name}


OF_31_DAYS = published_months().assign(dt=("month", [31.0] * MONTHS))

REFUSED_PARAMETERS = {
    "missing": (_without("initial_water"), "missing columns: initial_water"),
    "unknown": (
        {**MEMBER, "f_lable": 0.1},
        r"unknown columns: f_lable .*those of dalec-monthly are decomp",
    ),
    "misspelt": ({**_without("lcma"), "lmca": 60.0}, r"unknown columns: lmca \(is lcma meant\?\)"),
    "daily": ({**_without("initial_water"), "initial_paw": 100.0}, "unknown columns: initial_paw"),
    "both": ({**MEMBER, "iwue": 20.0}, "iwue_unused and iwue are one and the same"),
    "outside": ({**MEMBER, "uwue": 31.0}, r"member 0, uwue = 31 is outside its bounds \[0.5, 30\]"),
    "nan": ({**MEMBER, "lcma": np.nan}, "member 0, lcma"),
}


@pytest.mark.parametrize("case", REFUSED_PARAMETERS)
def test_wrong_parameters_are_refused_and_nothing_is_written(case: str, cell: Path) -> None:
    row, message = REFUSED_PARAMETERS[case]
    write_table(cell / "P.csv", [row])
    done = command(*MONTHLY, *GIVEN, folder=cell)
    assert done.returncode == 2
    assert "P.csv" in done.stderr
    assert re.search(message, done.stderr), done.stderr
    assert sorted(path.name for path in cell.iterdir()) == ["D.nc", "P.csv"]


@pytest.mark.parametrize(
    ("file", "mode", "message"),
    [
        (published_months().drop_vars("vpd"), "strict", "missing forcing: vpd"),
        (
            published_months().assign(dt=("month", [31.0] * MONTHS)),
            "compat",
            "variable dt: month 0: 31 days; --mode compat counts 30",
        ),
        (months_of_30_days(), "strict", "variable days: not one stamp in each month of the calendar"),
    ],
)
def test_wrong_months_are_refused_and_nothing_is_written(file: xr.Dataset, mode: str, message: str, cell: Path) -> None:
    file.to_netcdf(cell / "D.nc")
    done = command(*MONTHLY, *GIVEN, "--mode", mode, folder=cell)
    assert done.returncode == 2
    assert "D.nc" in done.stderr
    assert message in done.stderr
    assert sorted(path.name for path in cell.iterdir()) == ["D.nc", "P.csv"]


def test_months_of_no_calendar_run_in_compat_without_bounds(cell: Path) -> None:
    months_of_30_days().to_netcdf(cell / "D.nc")
    simulate_months(cell / "D.nc", cell / "P.csv", cell / "O.nc", mode="compat")
    with netCDF4.Dataset(cell / "O.nc") as file:
        assert "time_bnds" not in file.variables
        assert "bounds" not in file["time"].ncattrs()
        assert file.month_length == "30 days"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("DIR",), "--model goes with one tower; a campaign has its own"),
        (("--cell", "FI-Hyy"), "--cell and --quality go with --model dalec-daily"),
        (("--quality", "keep"), "--cell and --quality go with --model dalec-daily"),
        (("--members", "5"), "no member 5"),
        (("--members", "median"), "--members median goes with a merged product"),
        (("--what", "monthly"), "go with the directory of a campaign"),
        (("--out", "no/O.nc"), "name a file in a folder that exists"),
    ],
)
def test_options_that_do_not_go_with_the_monthly_model_are_refused(
    more: tuple[str, ...], message: str, cell: Path
) -> None:
    done = command(*MONTHLY, *GIVEN, *more, folder=cell)
    assert done.returncode == 2
    assert message in " ".join(done.stderr.split())
    assert not (cell / "O.nc").exists()


def test_help_names_the_models_and_shows_an_example(tmp_path: Path) -> None:
    text = " ".join(succeed("simulate", "--help", folder=tmp_path, COLUMNS="200").split())
    assert "dalec-daily|dalec-monthly" in text
    assert "Example: phloem simulate --model dalec-monthly --drivers D.nc" in text
