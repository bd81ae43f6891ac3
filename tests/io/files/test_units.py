"""Units against UDUNITS, by hand, and those that must be refused."""

from __future__ import annotations

import cf_units
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phloem.errors import InputError
from phloem.io.files.units import conversion, convert

MASSES, LENGTHS, TIMES = ("g", "kg", "Mg", "t"), ("m-2", "km-2", "cm-2"), ("s-1", "h-1", "d-1")


@given(*[st.tuples(st.sampled_from(MASSES), st.sampled_from(LENGTHS), st.sampled_from(TIMES))] * 2)
def test_products_of_powers_as_udunits_has_them(one: tuple[str, str, str], two: tuple[str, str, str]) -> None:
    given_, wanted = " ".join(one), " ".join(two)
    factor, offset = conversion(given_, wanted) or (np.nan, np.nan)
    assert factor == pytest.approx(cf_units.Unit(given_).convert(1.0, wanted), rel=1e-12)
    assert offset == 0
    back, _ = conversion(wanted, given_) or (np.nan, np.nan)
    assert factor * back == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize(
    ("given_", "wanted", "factor"),
    [
        ("MgC ha-1", "gC m-2", 100.0),
        ("Mg ha-1", "g m-2", 100.0),
        ("kg C m-2", "gC m-2", 1000.0),
        ("kgC/m2/s", "gC m-2 d-1", 8.64e7),
        ("kg m**-2 s**-1", "mm d-1", 86400.0),
        ("mm/d", "kg m-2 s-1", 1 / 86400.0),
        ("kg C m$^{-2}$ s$^{-1}$", "kg m-2 s-1", 1.0),
        ("kg m^{-2}", "g m-2", 1000.0),
        ("umol m-2 s-1", "gC m-2 d-1", 12.011e-6 * 86400),
        ("µmolCO2 m-2 s-1", "gC m-2 d-1", 12.011e-6 * 86400),
        ("umol CO2 m-2 s-1", "g m-2 d-1", 12.011e-6 * 86400),
        ("yr-1", "d-1", 1 / 365.25),
        ("1/year", "d-1", 1 / 365.25),
        ("gC m-2 month-1", "gC m-2 yr-1", 12.0),
        ("%", "1", 0.01),
        ("percent", "fraction", 0.01),
        ("m2 m-2", "1", 1.0),
        ("m^2/m^2", "-", 1.0),
        ("kPa", "hPa", 10.0),
        ("mbar", "Pa", 100.0),
        ("W m-2", "MJ m-2 d-1", 0.0864),
        ("MJ/(m2 d)", "W m-2", 1 / 0.0864),
        ("PgC yr-1", "gC d-1", 1e15 / 365.25),
        ("kg.m-2", "g m-2", 1000.0),
        ("days", "yr", 1 / 365.25),
    ],
)
def test_what_files_write(given_: str, wanted: str, factor: float) -> None:
    assert conversion(given_, wanted) == pytest.approx((factor, 0.0))


def test_temperatures_have_an_offset() -> None:
    np.testing.assert_allclose(convert(np.array([273.15, 300.0]), "K", "degC", "x"), [0, 26.85])
    np.testing.assert_allclose(convert(np.array([0.0]), "degC", "K", "x"), [273.15])


@pytest.mark.parametrize(
    ("given_", "says"),
    [
        ("furlong", "'furlong' is not understood"),
        ("K", "of another kind"),
        ("gCO2 m-2", "not understood"),
        ("m3", "kind"),
    ],
)
def test_refusals_name_what_is_due(given_: str, says: str) -> None:
    with pytest.raises(InputError, match=says) as refusal:
        convert(np.ones(1), given_, "gC m-2", "file.nc: variable x")
    assert "file.nc: variable x" in str(refusal.value)
    assert "due is 'gC m-2'" in str(refusal.value)


def test_the_same_unit_changes_no_bit_and_need_not_be_understood() -> None:
    values = np.array([0.1, np.nan])
    assert convert(values, "bushels", "bushels", "x") is values


@pytest.mark.parametrize(
    ("given_", "wanted", "factor"),
    [
        ("umol m-2 s-1", "gC m-2 d-1", 12.011e-6 * 86400.0),
        ("J m-2 d-1", "MJ m-2 d-1", 1e-6),
        ("W m-2", "MJ m-2 d-1", 0.0864),
        ("kg m-2 s-1", "g m-2 d-1", 8.64e7),
        ("g m-2 s-1", "mm d-1", 86.4),
        ("4 J m-2 d-1", "MJ m-2 d-1", 4e-6),
        ("MJ m-2 d-1", "J m-2 d-1", 1e6),
    ],
)
def test_conversion_is_the_nearest_number_to_the_exact_factor(given_: str, wanted: str, factor: float) -> None:
    assert conversion(given_, wanted) == (factor, 0.0)
