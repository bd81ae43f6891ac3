"""The table of daily variables: its spellings of units mean what the one parser of units reads."""

from __future__ import annotations

import numpy as np
import pytest

from phloem.io.drivers.variables import VARIABLES
from phloem.io.files.units import conversion
from phloem.io.products.catalogue import PRODUCTS


@pytest.mark.parametrize("name", list(VARIABLES))
def test_every_spelling_that_the_parser_reads_means_the_same_to_both(name: str) -> None:
    one = VARIABLES[name]
    read = {spelling: conversion(spelling, one.unit) for *_, spelling in one.conversions.values()}
    for factor, offset, spelling in one.conversions.values():
        assert read[spelling] in (None, (factor, offset)), spelling


@pytest.mark.parametrize(
    ("name", "unit", "value"),
    [
        ("tasmin", "degrees Kelvin", 0.5 - 273.15),
        ("rsds", "W/m^2", 0.5 * 0.0864),
        ("rsds", "j m-2 day-1", 0.5e-6),
        ("gpp", "µmol CO2 m-2 s-1", 0.5 * (12.011e-6 * 86400.0)),
        ("gpp", "kg C m-2 s-1", 0.5 * 8.64e7),
        ("pr", "kg m**-2 s**-1", 0.5 * 86400.0),
        ("vpd", "kPa", 5.0),
    ],
)
def test_values_of_files_are_converted_to_the_last_bit(name: str, unit: str, value: float) -> None:
    found = VARIABLES[name].convert(np.array([0.5]), unit)
    assert found is not None
    assert found.tolist() == [value]


def test_sums_over_six_hours_are_a_quarter_of_a_day() -> None:
    fields = PRODUCTS["crujra"].fields
    rain = next(field.quantity for field in fields.values() if field.quantity.name == "pr")
    sun = next(field.quantity for field in fields.values() if field.quantity.name == "rsds")
    assert rain.convert(np.array([1.5]), "mm/6h").tolist() == [6.0]  # type: ignore[union-attr]
    assert sun.convert(np.array([1.5e6]), "J m-2").tolist() == [1.5e6 * 4e-6]  # type: ignore[union-attr]
