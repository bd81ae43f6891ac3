import jax.numpy as jnp
import numpy as np
import pytest

from phloem.kernels.calibrations.dalec_daily.canopy_calibration import (
    GUARD,
    LOWER,
    POINTS,
    UPPER,
    canopy_efficiency,
    start_value,
)
from phloem.kernels.models.dalec_daily.daily_step import photosynthesis
from phloem.kernels.models.dalec_daily.forcing_terms import weather
from phloem.kernels.models.dalec_daily.mode_switches import STRICT
from tests.support.kernels.builders import made_forcing

STEP = (UPPER - LOWER) / (POINTS - 1)
DAYS = 600
TRUE = 21.3


@pytest.fixture(scope="module")
def seen():
    f = made_forcing(DAYS, 3)
    w = weather(f["time"], f["doy"], 58.0, f, DAYS, STRICT)
    rng = np.random.default_rng(1)
    lai = rng.uniform(0.5, 4, DAYS)
    fraction = rng.uniform(0, 1, DAYS)
    stressed = np.where(fraction < 0.8, 0.5, 1.0)
    gpp = np.asarray(photosynthesis(jnp.asarray(lai), TRUE, w)) * stressed
    return w, gpp, lai, fraction


def test_a_known_efficiency_is_found(seen):
    assert canopy_efficiency(*seen, DAYS, refine=False) == pytest.approx(TRUE, abs=STEP)
    assert canopy_efficiency(*seen, DAYS) == pytest.approx(TRUE, abs=STEP)


def test_refinement_comes_nearer(seen):
    w, _, lai, fraction = seen
    errors = {True: [], False: []}
    for true in np.linspace(8, 45, 15):
        simulated = np.asarray(photosynthesis(jnp.asarray(lai), true, w))
        for refine in errors:
            errors[refine].append(abs(canopy_efficiency(w, simulated, lai, fraction, DAYS, refine=refine) - true))
    assert np.mean(errors[True]) < 0.5 * np.mean(errors[False])


def test_missing_pairs_are_left_out(seen):
    w, gpp, lai, fraction = (np.array(part) if not hasattr(part, "_fields") else part for part in seen)
    gpp[::3], lai[1::4], fraction[2::7] = np.nan, np.nan, np.nan
    assert canopy_efficiency(w, gpp, lai, fraction, DAYS) == pytest.approx(TRUE, abs=STEP)


@pytest.mark.parametrize("which", [1, 2, 3])
def test_nothing_seen_gives_nan(seen, which):
    parts = [*seen]
    parts[which] = np.full(DAYS, np.nan)
    assert np.isnan(canopy_efficiency(*parts, DAYS))


def test_values_outside_the_grid_end_at_its_ends(seen):
    w, gpp, lai, fraction = seen
    for scale, end in ((0.0, LOWER), (50.0, UPPER)):
        found = canopy_efficiency(w, gpp * scale, lai, fraction, DAYS)
        assert LOWER <= found <= UPPER
        assert found == pytest.approx(end, abs=STEP)


def test_start_values_keep_away_from_the_bounds():
    assert start_value(5.0) == GUARD[0]
    assert start_value(50.0) == GUARD[1]
    assert start_value(20.0) == 20.0
    assert start_value(float("nan")) == pytest.approx(np.sqrt(LOWER * UPPER))
