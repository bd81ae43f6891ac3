import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phloem.errors import InputError
from phloem.io.files.csv_table import cell_name, half_degree_cell
from phloem.io.references.forest_stands import read_stands
from phloem.io.references.growth_curves import (
    GrowthCurve,
    RichardsChapman,
    TabulatedCurve,
    read_growth_curves,
    richards_chapman,
    total_biomass,
)

PARAMETERS = "latitude,longitude,amax,k,c\n"
POINTS = "latitude,longitude,age,agb\n"


def table(folder: Path, text: str) -> Path:
    path = folder / "curves.csv"
    path.write_text(text)
    return path


def refused(folder: Path, text: str, reader=read_growth_curves) -> str:
    with pytest.raises(InputError) as caught:
        reader(table(folder, text))
    assert "curves.csv" in str(caught.value)
    return str(caught.value)


def test_curve_of_the_formula():
    assert richards_chapman(50.0, 200.0, 0.03, 2.0) == pytest.approx(200.0 * (1.0 - math.exp(-1.5)) ** 2, rel=1e-14)
    ages = np.array([[1.0, 10.0], [50.0, 100.0]])
    many = richards_chapman(ages[:, :, None], np.array([100.0, 300.0]), 0.05, 1.5)
    assert many.shape == (2, 2, 2)
    assert many[1, 0, 1] == pytest.approx(300.0 * (1.0 - math.exp(-2.5)) ** 1.5, rel=1e-14)


@given(st.floats(1e-3, 6000.0), st.floats(1e-6, 1e3), st.floats(0.05, 50.0), st.floats(0.0, 1e6), st.floats(0.0, 1e6))
def test_curve_grows_from_nothing_to_amax(amax, k, c, one, other):
    with np.errstate(all="raise", under="ignore"):
        start, young, old, end = richards_chapman([0.0, min(one, other), max(one, other), 1e300], amax, k, c)
    assert start == 0.0
    assert 0.0 <= young <= old * (1 + 1e-12)
    assert old <= end == amax


def test_a_very_young_stand_loses_no_digits():
    # 1 - exp(-1e-12) would keep four of them.
    assert richards_chapman(1e-10, 1.0, 0.01, 1.0) == pytest.approx(1e-12, rel=1e-9)


@pytest.mark.parametrize("age", [-1.0, math.nan])
def test_impossible_ages_are_refused(age):
    for curve in (RichardsChapman(1.0, 0.1, 1.0), TabulatedCurve(np.array([1.0, 9.0]), np.array([1.0, 2.0]))):
        with pytest.raises(InputError, match=f"age {age:g}"):
            curve.agb([1.0, age])


def test_total_biomass_has_roots_and_is_carbon():
    # 100 Mg ha-1 above ground and a quarter below are 125 Mg ha-1 = 12,500 g m-2, half of it carbon.
    assert total_biomass(100.0, 0.25) == 6250.0
    assert total_biomass(100.0, 0.25, 0.47) == pytest.approx(5875.0)


def test_tabulated_curve():
    curve = TabulatedCurve(np.array([5.0, 10.0, 30.0]), np.array([10.0, 40.0, 60.0]))
    assert curve.agb([0.0, 1.0, 5.0, 7.5, 20.0, 30.0]).tolist() == [0.0, 2.0, 10.0, 25.0, 50.0, 60.0]
    assert GrowthCurve(60.25, 24.75, curve).yearly(6).tolist() == [2.0, 4.0, 6.0, 8.0, 10.0, 16.0]
    with pytest.raises(InputError, match=r"60\.25 N 24\.75 E: age 31 is beyond the table, which ends at age 30"):
        GrowthCurve(60.25, 24.75, curve).yearly(31)
    with_zero = TabulatedCurve(np.array([0.0, 10.0]), np.array([0.0, 40.0]))
    assert with_zero.agb([0.0, 5.0]).tolist() == [0.0, 20.0]


def test_parameters_are_read(tmp_path):
    curves = read_growth_curves(
        table(
            tmp_path,
            "latitude, longitude, amax, k, c, amax_sd, root_shoot, flags, remark\n"
            "60.3,24.9,150,0.03,1.5,12,0.3,,pine\n"
            "\n"
            "-0.1,359.9,300,0.1,2,,,young; bound,far\n",
        )
    )
    assert list(curves) == [(60.25, 24.75), (-0.25, -0.25)]
    north, south = curves.values()
    assert (north.shape, north.root_shoot, north.sd, north.flags) == (
        RichardsChapman(150.0, 0.03, 1.5), 0.3, {"amax_sd": 12.0}, ()
    )  # fmt: skip
    assert (south.shape, south.root_shoot, south.sd, south.flags) == (
        RichardsChapman(300.0, 0.1, 2.0), None, {}, ("young", "bound")
    )  # fmt: skip
    assert north.name == "60.25 N 24.75 E"
    assert north.yearly(107)[99] == richards_chapman(100, 150.0, 0.03, 1.5)


def test_points_are_read_in_any_order_of_cells(tmp_path):
    curves = read_growth_curves(table(tmp_path, POINTS + "60,24,10,20\n62,24,5,1\n60,24,20,50\n62,24,15,30\n"))
    assert list(curves) == [(60.25, 24.25), (62.25, 24.25)]
    assert curves[60.25, 24.25].shape.agb([10, 15, 20]).tolist() == [20.0, 35.0, 50.0]
    assert curves[62.25, 24.25].shape.agb([5, 10, 15]).tolist() == [1.0, 15.5, 30.0]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("latitude,longitude,amax,k\n60,24,1,1\n", ["missing columns: c;", "latitude, longitude, amax, k"]),
        ("latitude,longitude,age\n60,24,1\n", ["missing columns: agb;", "latitude, longitude, age"]),
        ("lat,lon,height\n60,24,1\n", ["neither parameters", "amax, k, c", "age, agb", "has: lat, lon, height"]),
        ("latitude,longitude,amax,k,c,age,agb\n60,24,1,1,1,1,1\n", ["of parameters and of points", "agb, age, amax"]),
        ("latitude,longitude,amax,k,c,k\n60,24,1,1,1,1\n", ["stand twice: k"]),
        ("", ["empty"]),
        (PARAMETERS, ["no row"]),
        (PARAMETERS + "60,24,many,0.1,1\n", ["line 2", "amax = 'many' is not a number"]),
        (PARAMETERS + "60,24,1,0.1,1\n61,24,1,nan,1\n", ["line 3", "k = 'nan' is not a number"]),
        (PARAMETERS + "60,24,0,0.1,1\n", ["line 2", "amax = 0 must be greater than 0"]),
        (PARAMETERS + "60,24,7500,0.1,1\n", ["line 2", "amax = 7500", "Mg ha-1"]),
        (PARAMETERS + "60,24,1,-0.1,1\n", ["line 2", "k = -0.1 must be greater than 0"]),
        (PARAMETERS + "60,24,1,0.1,0\n", ["line 2", "c = 0 must be greater than 0"]),
        (PARAMETERS + "91,24,1,0.1,1\n", ["line 2", "latitude = 91 must be in -90..90"]),
        (PARAMETERS + "60,24,1,0.1\n", ["line 2", "4 fields; the header has 5"]),
        (PARAMETERS + "60.1,24,1,0.1,1\n60.4,24.2,1,0.1,1\n", ["line 3", "60.25 N 24.25 E", "already on line 2"]),
        ("latitude,longitude,amax,k,c,amax_sd\n60,24,1,1,1,-1\n", ["line 2", "amax_sd = -1 must be at least 0"]),
        ("latitude,longitude,amax,k,c,root_shoot\n60,24,1,1,1,-1\n", ["line 2", "root_shoot = -1 must be at least 0"]),
        (POINTS + "60,24,10,20\n60,24,5,30\n", ["60.25 N 24.25 E", "ages must ascend; 5 stands after 10"]),
        (POINTS + "60,24,10,20\n60,24,10,30\n", ["ages must ascend; 10 stands after 10"]),
        (POINTS + "60,24,0,20\n60,24,10,30\n", ["age 0 must be 0, not 20"]),
        (POINTS + "60,24,-1,20\n", ["line 2", "age = -1 must be at least 0"]),
        (POINTS + "60,24,1,-20\n", ["line 2", "agb = -20 must be at least 0"]),
        ("latitude,longitude,age,agb,root_shoot\n60,24,1,2,.2\n60,24,2,3,.3\n", ["line 3", "0.3 here and 0.2 above"]),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(tmp_path, text, parts):
    message = refused(tmp_path, text)
    for part in parts:
        assert part in message


def test_unreadable_files_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"none\.csv: not a readable"):
        read_growth_curves(tmp_path / "none.csv")
    path = tmp_path / "latin.csv"
    path.write_bytes(PARAMETERS.encode() + b"\xe9,1,1,1,1\n")
    with pytest.raises(InputError, match=r"latin\.csv: not a readable"):
        read_growth_curves(path)
    assert "line 2" in refused(tmp_path, PARAMETERS + '60,24,1,"0.1,1' + "x" * 200_000 + "\n")


@given(st.floats(-90.0, 90.0), st.floats(-180.0, 360.0))
def test_a_point_lies_in_its_cell(latitude, longitude):
    north, east = half_degree_cell(latitude, longitude)
    assert abs(north - latitude) <= 0.25
    assert abs((east - longitude + 180.0) % 360.0 - 180.0) <= 0.25 + 1e-9
    assert -89.75 <= north <= 89.75
    assert -179.75 <= east <= 179.75
    assert (north * 2) % 1 == (east * 2) % 1 == 0.5
    assert half_degree_cell(north, east) == (north, east)


def test_cells_have_names():
    assert cell_name((-0.25, -78.25)) == "0.25 S 78.25 W"
    assert cell_name((61.75, 24.25)) == "61.75 N 24.25 E"


def test_stands_are_read_under_either_name(tmp_path):
    own = read_stands(table(tmp_path, "latitude,longitude,age,agb\n60.1,24.1,10,5\n60.2,24.2,20,9\n60.3,24.3,10,5\n"))
    (stands,) = own.values()
    assert list(own) == [(60.25, 24.25)]
    assert (stands.ages.tolist(), stands.agb.tolist(), stands.lines.tolist()) == ([10.0, 20.0], [5.0, 9.0], [2, 3])
    assert stands.repeats == 1
    groa = read_stands(table(tmp_path, "cell_lat,cell_lon,stand_age_yr,agb_Mg_ha\n60.25,24.25,10,5\n59.25,24.25,0,0\n"))
    assert list(groa) == [(59.25, 24.25), (60.25, 24.25)]


def test_impossible_stands_are_refused(tmp_path):
    text = "latitude,longitude,age,agb\n60,24,10,5\n"
    assert "missing columns: age or stand_age_yr; the table has: latitude, longitude, agb" in refused(
        tmp_path, "latitude,longitude,agb\n60,24,10\n", read_stands
    )
    assert "line 3: agb = -5 must be in 0..6000" in refused(tmp_path, text + "60,24,10,-5\n", read_stands)
    assert "line 3: age = 'old' is not a number" in refused(tmp_path, text + "60,24,old,5\n", read_stands)


def test_stands_of_groa(data_dir):
    cells = read_stands(data_dir / "growth" / "groa_agb_age.csv")
    assert len(cells) == 75
    assert sum(len(stands.ages) for stands in cells.values()) + sum(s.repeats for s in cells.values()) == 1681
    assert sum(len(np.unique(stands.ages)) >= 5 for stands in cells.values()) == 46
