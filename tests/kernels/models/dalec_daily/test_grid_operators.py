"""Any of the streams as means over windows: the right days, both backends, gradients, gaps, withheld values."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phloem.kernels.calibrations.dalec_daily.grid_objective import NEAR_ZERO, GridObjective
from phloem.kernels.calibrations.protocol import Protocol
from phloem.kernels.models.dalec_daily.daily_step import dalec, inputs, state
from phloem.kernels.models.dalec_daily.grid_operators import grid_dalec
from phloem.kernels.models.dalec_daily.parameters import UNKNOWNS
from phloem.kernels.objective.bounded_log import physical
from phloem.kernels.objective.objective import nnse
from phloem.kernels.objective.record_windows import richest_years
from phloem.kernels.objective.site import site_data
from phloem.kernels.optimise.initial_pools import regrow
from phloem.kernels.simulate.daily_outputs import trajectory
from phloem.names import STREAMS, WINDOW_MEANS
from tests.support.kernels.grid_cells import BASELINE, DATES, FIRST, LAST, TRAJECTORY, YEAR, cell
from tests.support.kernels.reference_jit import reference_jit

LANES = 4
JIT = {"xla": reference_jit, "cpu": jax.jit}
SHORT = Protocol((2001, 2004), 4, (2001, 2002), (2003, 2004))
CYCLED = Protocol((1999, 2004), 20, (2001, 2002), (2003, 2003), "trajectory")
MONTHS = (DATES.astype("datetime64[M]") == DATES).astype(int)
ENDS = np.append(MONTHS[1:], 1) > 0
SUBSETS = [*combinations(STREAMS, 1), ("reco", "lai"), STREAMS]
CASES = [*(("cpu", names) for names in SUBSETS), ("xla", ("gpp", "lai")), ("xla", STREAMS)]


def observations(windowed: tuple[str, ...], seed: int = 1) -> dict[str, np.ndarray]:
    """Return made observations with gaps: means on the last days of months, the others on any day."""
    rng = np.random.default_rng(seed)
    return {
        name: np.where(
            (rng.random(len(YEAR)) < 0.8) & (ENDS if name in windowed else True), 1 + 2 * rng.random(len(YEAR)), np.nan
        )
        for name in STREAMS
    }


def monthly(protocol: Protocol, windowed: tuple[str, ...] = STREAMS, seed: int = 1, **changes: object):
    seen = observations(windowed, seed)
    given = {"observations": seen, "window_start": MONTHS, "windowed": windowed, **changes}
    return cell(protocol, seed=seed, **given)


def objective(backend: str, windowed: tuple[str, ...] = STREAMS, **changes: object) -> GridObjective:
    one = GridObjective(grid_dalec("strict", windowed), backend=backend)
    return replace(one, **changes)  # type: ignore[arg-type]


def raw(dtype: type = np.float64, seed: int = 3) -> jax.Array:
    return jnp.asarray(0.5 * np.random.default_rng(seed).standard_normal((len(UNKNOWNS), LANES)), dtype)


@pytest.mark.parametrize(("backend", "windowed"), CASES, ids=str)
def test_efficiencies_are_those_of_the_trajectory(backend, windowed) -> None:
    """Daily output of the plain model, averaged over months by hand."""
    made = monthly(SHORT, windowed)
    one = objective(backend, windowed)
    data, lanes, x = site_data([made], np.float64), jnp.zeros(LANES, jnp.int32), raw()
    _, sums = JIT[backend](one.terms)(x, jnp.full(LANES, 30.0), data, lanes)
    found = nnse(sums, data, lanes, STREAMS)
    values = physical(x, one.unknowns)
    plain = data.series._replace(weather=data.series.weather[:, :-1])
    out = trajectory(dalec("strict"), inputs(values[:30]), state(values[30:]), plain, lanes)
    starts = np.flatnonzero(MONTHS[(YEAR >= 2001) & (YEAR <= 2004)])
    stops = np.append(starts[1:], made.days)
    for name in STREAMS:
        model = np.asarray(getattr(out, name))[: made.days]
        if name in windowed:
            means = np.array([model[a:b].mean(0) for a, b in zip(starts, stops, strict=True)])
            model = np.full_like(model, np.nan)
            model[stops - 1] = means
        seen = made.observations[name]
        use = made.calibration_rows & np.isfinite(seen)
        assert 10 < use.sum() < (24 if name in windowed else 700), "there are gaps"
        error = ((model[use] - seen[use, None]) ** 2).sum(0)
        spread = ((seen[use] - seen[use].mean()) ** 2).sum()
        np.testing.assert_allclose(found[name], spread / (spread + error), rtol=1e-9, err_msg=name)


@pytest.mark.parametrize("protocol", [SHORT, CYCLED], ids=["plain", "cycled"])
@pytest.mark.parametrize("windowed", [STREAMS, ("gpp", "et")], ids="+".join)
def test_the_generated_code_agrees_with_the_scan(protocol, windowed) -> None:
    cells = [monthly(protocol, windowed), monthly(protocol, windowed, 2)]
    data, x = site_data(cells, np.float64), raw()
    lanes, k = jnp.asarray(np.arange(LANES) % 2, jnp.int32), jnp.full(LANES, 30.0)
    caps = NEAR_ZERO if protocol is CYCLED else None
    found = {
        backend: JIT[backend](objective(backend, windowed, live_caps=caps).loss_and_gradient)(x, k, data, lanes)
        for backend in ("xla", "cpu")
    }
    np.testing.assert_allclose(found["cpu"][0], found["xla"][0], rtol=1e-12)
    scale = np.abs(found["xla"][1]).max(0)
    np.testing.assert_allclose(found["cpu"][1] / scale, found["xla"][1] / scale, atol=1e-11)


def test_single_precision_is_near_double_precision() -> None:
    lanes = jnp.zeros(LANES, jnp.int32)
    found = []
    for dtype in (np.float32, np.float64):
        data = site_data([monthly(BASELINE)], dtype)
        found.append(jax.jit(objective("cpu").terms)(raw(dtype), jnp.full(LANES, 30, dtype), data, lanes)[0])
    np.testing.assert_allclose(found[0].observations, found[1].observations, rtol=2e-4)


def test_the_gradient_is_that_of_differences() -> None:
    data, lanes, k = site_data([monthly(SHORT)], np.float64), jnp.zeros(LANES, jnp.int32), jnp.full(LANES, 3.0)
    one, x = objective("cpu"), raw(seed=8)
    loss = jax.jit(one.loss)
    _, gradient = jax.jit(one.loss_and_gradient)(x, k, data, lanes)
    checked = 0
    for row in range(len(UNKNOWNS)):
        h = 1e-5
        near, far = (
            (loss(x.at[row].add(d), k, data, lanes) - loss(x.at[row].add(-d), k, data, lanes)) / (2 * d)
            for d in (h, 4 * h)
        )
        smooth = np.abs(near - far) < 1e-4 * (np.abs(near) + 1e-3)  # no clamp between the points
        np.testing.assert_allclose(gradient[row][smooth], near[smooth], rtol=2e-3, atol=2e-5)
        checked += int(smooth.sum())
    assert checked > 0.7 * len(UNKNOWNS) * LANES


def test_a_constant_model_has_its_constant_as_mean() -> None:
    """The operator alone: the running sum begins anew, and the share is 1 over the days of the month."""
    made = monthly(SHORT)
    total, seen = 0.0, []
    for keep, share in zip(made.weather.window_keep, made.window_share, strict=True):
        total = total * keep + 3.0
        seen += [total * share] if share else []
    np.testing.assert_allclose(seen, 3.0, rtol=1e-12)
    assert len(seen) == 48
    assert set(np.round(1 / made.window_share[made.window_share > 0])) == {28, 29, 30, 31}, "2004 is a leap year"


def test_by_default_respiration_alone_is_a_mean() -> None:
    assert grid_dalec("strict") == grid_dalec("strict", WINDOW_MEANS)
    assert grid_dalec("strict").name == "grid-dalec-strict"
    assert grid_dalec("strict").state._fields[-1:] == ("reco_sum",)  # type: ignore[attr-defined]
    assert grid_dalec("strict", STREAMS).name != grid_dalec("strict", ("gpp",)).name
    for wrong in (("reco", "gpp"), ("gpp", "gpp"), ("biomass",)):
        with pytest.raises(ValueError, match="in this order"):
            grid_dalec("strict", wrong)


def test_a_cut_drops_windows_that_are_not_whole() -> None:
    """Windows of 30 days that do not begin with the year: none of a cut's first, unfinished window counts."""
    starts = np.zeros(len(YEAR), int)
    starts[17::30] = 1
    starts[0] = 1
    ends = np.append(starts[1:], 1) > 0
    seen = {name: np.where(ends, 2.0 + np.arange(len(YEAR)) / 1e4, np.nan) for name in STREAMS}
    part = richest_years(cell(BASELINE, window_start=starts, observations=seen, windowed=STREAMS), 1)
    first = int(np.argmax(part.weather.window_keep == 0))
    assert 0 < first < 30
    observed, _ = part.observed("calibration")
    for name in STREAMS:
        weight = getattr(observed, f"{name}_weight")
        assert not weight[: first + 1].any(), name
        assert weight.sum() in (11, 12), name
    assert (observed.window_share[:first] == 0).all()


def test_withheld_values_are_scored_and_never_fitted() -> None:
    held = {"gpp": np.where(ENDS & (YEAR == 2002), 7.0 + np.arange(len(YEAR)) / 1e4, np.nan)}
    seen = observations(STREAMS)
    seen["gpp"][YEAR >= 2002] = np.nan
    bare = monthly(SHORT, observations=seen)
    for made in (monthly(SHORT, observations=seen, withheld=held), monthly(CYCLED, observations=seen, withheld=held)):
        fitted, spread = made.observed("calibration")
        scored, _ = made.observed("validation")
        assert not (fitted.gpp > 6).any()
        assert scored.gpp_weight.sum() == 12
        assert (scored.gpp[scored.gpp_weight > 0] > 6).all()
        if made.rows_of_days is None:
            for field, plain in zip(fitted, bare.observed("calibration")[0], strict=True):
                np.testing.assert_array_equal(field, plain)
            assert spread == bare.observed("calibration")[1]
            part = richest_years(made, 1)
            assert not part.withheld
            assert not part.observed("validation")[0].gpp_weight.any()


def test_means_of_gpp_give_no_canopy_efficiency() -> None:
    """Its pre-calibration compares single days; a month's mean on the weather of its last day would be nonsense."""
    assert np.isnan(monthly(SHORT).ce_opt)
    assert np.isfinite(monthly(SHORT, ("reco", "lai")).ce_opt)


def test_a_stand_that_begins_anew_does_so_with_means_too() -> None:
    data = site_data([monthly(CYCLED, trajectory=TRAJECTORY)], np.float64)
    one = objective("cpu", live_caps=NEAR_ZERO)
    lanes, k = jnp.zeros(LANES, jnp.int32), jnp.full(LANES, 30.0)
    point = jnp.asarray(np.random.default_rng(1).standard_normal((LANES, len(UNKNOWNS))))
    entering = jnp.array([True, True, False, True])
    begun = regrow(one, point, entering, (30, 31, 32, 33), k, data, lanes)
    assert (np.asarray(begun)[2] == np.asarray(point)[2]).all()
    assert (np.asarray(begun)[0, 30:34] != np.asarray(point)[0, 30:34]).all()
    assert (LAST - FIRST + 1) == 36
