"""Canopy efficiency of the published 500-point grid."""

import numpy as np
import pytest

from phloem.kernels.calibrations.dalec_daily.canopy_calibration import LOWER, POINTS, UPPER, canopy_efficiency
from phloem.kernels.models.dalec_daily.mode_switches import COMPAT
from tests.support.kernels.builders import tower

PUBLISHED = {
    "AU-DaS": 33.858,
    "AU-Dry": 29.168,
    "AU-Stp": 22.315,
    "DE-Hai": 19.880,
    "DE-Tha": 11.042,
    "FI-Hyy": 13.477,
    "FR-Pue": 33.587,
    "NL-Loo": 21.774,
    "US-MMS": 17.535,
    "US-SRG": 43.056,
    "US-Var": 38.547,
}
STEP = (UPPER - LOWER) / (POINTS - 1)


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_value(data_dir, name):
    cell = tower(data_dir, name)
    one = cell.site(COMPAT)
    seen = (cell.observations["gpp"], cell.observations["lai"], cell.evaporative_fraction)
    found = canopy_efficiency(one.weather, *seen, one.training_days, refine=False)
    assert found == pytest.approx(PUBLISHED[name], abs=5.1e-4)
    assert round((found - LOWER) / STEP) == pytest.approx((found - LOWER) / STEP, abs=1e-9)
    assert abs(one.ce_opt - found) <= STEP


def test_days_after_the_window_do_not_count(data_dir):
    cell = tower(data_dir, "FI-Hyy")
    one = cell.site(COMPAT)
    gpp = cell.observations["gpp"].copy()
    gpp[one.training_days :] = np.nan
    seen = (gpp, cell.observations["lai"], cell.evaporative_fraction)
    assert canopy_efficiency(one.weather, *seen, one.training_days) == one.ce_opt
