"""Conditions of rows: what stands in for what, and what is flagged."""

from __future__ import annotations

import numpy as np
import pytest

from phloem.analysis.upscaling.conditions import Conditions, conditions_of
from phloem.analysis.upscaling.upscaling_settings import BaselineOptions
from phloem.errors import InputError
from phloem.kernels.models.baselines import canopy_light, net_radiation
from phloem.names import PERIOD

NAN = np.nan


def conditions(**columns: object) -> Conditions:
    given = {"TA": 10.0, "VPD": 5.0, "SWIN": 150.0, "CO2": 400.0, "month": 486.0, "lat": 50.0, "elevation": 0.0}
    given |= {"ndvi_min": 0.2, "ndvi_max": 0.8, "fapar_max": 0.9} | columns
    rows = max(np.size(values) for values in given.values())
    filled = {name: np.broadcast_to(np.asarray(values, float), rows).copy() for name, values in given.items()}
    return conditions_of(filled, BaselineOptions())


def test_absorbed_light_is_the_first_of_fapar_ndvi_lai_that_a_row_has() -> None:
    found = conditions(FAPAR=[0.3, NAN, NAN], NDVI=[0.5, 0.5, NAN], LAI=[2.0, 2.0, 2.0])
    wanted = [0.3, 1.24 * 0.5 - 0.168, 1.0 - np.exp(-1.0)]
    np.testing.assert_allclose(found.fapar, wanted, rtol=1e-14)
    assert not found.fapar_filled.any()


def test_absorbed_light_without_leaves_follows_temperature_and_is_flagged() -> None:
    found = conditions(TA=[-5.0, 0.0, 7.5, 15.0, 30.0], LAI=[NAN, NAN, NAN, NAN, 1.0])
    ndvi = np.array([0.2, 0.2, 0.5, 0.8])
    np.testing.assert_allclose(found.fapar[:4], 1.24 * ndvi - 0.168, rtol=1e-13)
    assert found.fapar_filled.tolist() == [True, True, True, True, False]


def test_vegetation_index_scales_the_range_of_its_place() -> None:
    lai = np.array([0.0, 1.0, 50.0])
    found = conditions(LAI=lai)
    np.testing.assert_allclose(found.ndvi, canopy_light.ndvi_of_lai(lai, 0.2, 0.8, 0.9), rtol=1e-14)
    assert found.ndvi[[0, 2]].tolist() == [0.2, 0.8]


def test_net_radiation_is_computed_only_where_it_is_missing() -> None:
    found = conditions(RNET=[80.0, NAN])
    assert found.rnet[0] == 80.0
    assert found.rnet_filled.tolist() == [False, True]
    middle = 6.5 * PERIOD / 12.0
    wanted = net_radiation.net_radiation(150.0, 10.0, 500.0, 0.0, 50.0, middle)
    np.testing.assert_allclose(found.rnet[1], wanted, rtol=1e-13)


def test_net_radiation_is_finite_in_polar_night_and_at_the_poles() -> None:
    found = conditions(lat=[80.0, -90.0, 90.0], SWIN=0.0, TA=-30.0, VPD=0.1, month=[480.0, 486.0, 480.0])
    assert np.isfinite(found.rnet).all()
    assert (found.rnet < 0.0).all()


def test_pressure_comes_from_elevation_where_it_is_missing() -> None:
    found = conditions(PA=[900.0, NAN], elevation=[0.0, 1000.0])
    np.testing.assert_allclose(found.pa, [90000.0, 101325.0 * (1.0 - 6.5 / 298.15) ** 5.25551], rtol=1e-13)


def test_units_are_pascal_and_photons() -> None:
    found = conditions()
    assert (found.vpd[0], found.ppfd[0], found.c4[0]) == (500.0, 306.0, 0.0)


@pytest.mark.parametrize("name", ["TA", "VPD", "SWIN", "CO2"])
def test_missing_column_is_refused_by_name_and_missing_value_stays_missing(name: str) -> None:
    columns = {key: np.ones(2) for key in ("TA", "VPD", "SWIN", "CO2", "month") if key != name}
    with pytest.raises(InputError, match=f"no {name}"):
        conditions_of(columns, BaselineOptions())
    found = conditions(LAI=2.0, **{name: [NAN, 300.0]})
    field = {"TA": found.ta, "VPD": found.vpd, "SWIN": found.swin, "CO2": found.co2}[name]
    assert np.isnan(field).tolist() == [True, False]


def test_rows_have_the_same_bits_whatever_is_beside_them() -> None:
    draw = np.random.default_rng(0)
    columns = {
        "TA": draw.normal(10.0, 9.0, 5000),
        "LAI": draw.uniform(0.0, 6.0, 5000),
        "lat": draw.uniform(-90, 90, 5000),
    }
    whole = conditions(**columns)
    part = conditions(**{name: values[4090:4101] for name, values in columns.items()})
    for name, values in vars(whole).items():
        assert values[4090:4101].tobytes() == getattr(part, name).tobytes(), name
