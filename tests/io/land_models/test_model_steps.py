"""Time axes of land models: every dialect gives the same months, and what is no axis of months or years is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from phloem.errors import InputError
from phloem.io.land_models.model_steps import ModelSteps, read_steps

MONTHS = np.arange(36.0)
NOLEAP = np.cumsum([0, *([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] * 3)])[:-1].astype(float)


def steps(values: np.ndarray, monthly_steps: int = 0, single: bool = False, **attributes: Any) -> ModelSteps:
    return read_steps(values, attributes, "f.nc: time", index_year=2003, monthly_steps=monthly_steps, single=single)


@pytest.mark.parametrize(
    ("values", "attributes"),
    [
        (MONTHS + 3636, {"units": "months since 1700-1-16", "calendar": "noleap"}),
        (MONTHS + 3636, {"units": "months since AD 1700-Jan-1st"}),
        (MONTHS + 3636.5, {"units": "Months since 1700-01-01"}),
        (MONTHS + 1, {}),
        (NOLEAP + 303 * 365 + 15, {"units": "days since 1700-01-01", "calendar": "365_day"}),
        (NOLEAP + 303 * 365 + 16, {"units": "days since 1699-12-31", "calendar": "noleap"}),
        (NOLEAP + 2002 * 365 + 31, {"units": "days since 0001-01-01", "calendar": "noleap",
                                    "long_name": "end of the averaging period"}),
        (np.append(NOLEAP[1:], 3 * 365) + 303 * 365, {"units": "days since 1700-01-01", "calendar": "noleap"}),
        (MONTHS * 30 + 303 * 360 + 29, {"units": "days since 1700-01-01", "calendar": "360_day"}),
        ((2003 + MONTHS // 12) * 100 + MONTHS % 12 + 1.5, {"units": "month as %Y%m.%f"}),
        ((2003 + MONTHS // 12) * 100 + MONTHS % 12 + 1, {}),
        ((2003 + MONTHS // 12) * 10000 + (MONTHS % 12 + 1) * 100 + 16, {"units": "day as %Y%m%d.%f"}),
    ],
)  # fmt: skip
def test_months_of_every_dialect_are_those_from_2003_to_2005(values: np.ndarray, attributes: dict[str, Any]) -> None:
    if attributes.get("long_name"):
        values = np.append(NOLEAP[1:], 3 * 365) + 2002 * 365
    found = steps(values, **attributes)
    assert not found.is_annual
    np.testing.assert_array_equal(found.year, np.repeat([2003, 2004, 2005], 12))
    np.testing.assert_array_equal(found.month, np.tile(np.arange(1, 13), 3))
    np.testing.assert_array_equal(found.whole_years(), [2003, 2004, 2005])
    assert found.places(2004) == slice(12, 24)


@pytest.mark.parametrize(
    ("values", "attributes", "monthly"),
    [
        ([303, 304, 305], {"units": "years since 1700-6-15 12:00:00", "calendar": "noleap"}, 0),
        ([303, 304, 305], {"units": "years since 1700"}, 0),
        ([303.5, 304.5, 305.5], {"units": "years since 1700-01-01"}, 0),
        ([2003.5, 2004.5, 2005.5], {"units": "year as %Y.%f"}, 0),
        ([2003, 2004, 2005], {}, 0),
        ([1, 2, 3], {}, 36),
        ([109260, 109620, 109980], {"units": "days since 1700-01-01", "calendar": "360_day"}, 0),
        ([2647272, 2656056, 2664816], {"units": "hours since 1701-07-01", "calendar": "proleptic_gregorian"}, 0),
        (
            [731095, 731460, 731825],
            {"units": "days since 0001-01-01", "calendar": "noleap", "long_name": "end of it"},
            0,
        ),
    ],
)
def test_years_of_every_dialect_are_2003_to_2005(values: list[float], attributes: dict[str, Any], monthly: int) -> None:
    found = steps(np.array(values, float), monthly, **attributes)
    assert found.is_annual
    np.testing.assert_array_equal(found.whole_years(), [2003, 2004, 2005])


def test_a_year_that_is_not_whole_is_left_out() -> None:
    found = steps(MONTHS[:30] + 3636, units="months since 1700-01-01")
    np.testing.assert_array_equal(found.whole_years(), [2003, 2004])


def test_a_single_step_is_what_the_quantity_has_else() -> None:
    assert steps(np.array([303.0 * 365]), single=True, units="days since 1700-01-01", calendar="noleap").is_annual
    assert not steps(np.array([303.0 * 365]), units="days since 1700-01-01", calendar="noleap").is_annual


@pytest.mark.parametrize(
    ("values", "attributes", "words"),
    [
        (np.delete(MONTHS, 7), {"units": "months since 1700-01-01"}, "2 months between steps 6 and 7"),
        (np.arange(40.0), {"units": "days since 1700-01-01"}, "same month"),
        (MONTHS[::-1], {"units": "months since 1700-01-01"}, "run backwards"),
        (MONTHS, {"units": "fortnights"}, "not understood"),
        (MONTHS, {"units": "months since 1700-Foo-1"}, "there is no month 'Foo'"),
        (np.array([0.2, 0.9]), {}, "no units"),
        (np.array([1.0, np.nan]), {"units": "months since 1700-01-01"}, "times that are missing"),
    ],
)
def test_what_is_no_axis_of_months_or_years_is_refused(
    values: np.ndarray, attributes: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        steps(values, **attributes)
