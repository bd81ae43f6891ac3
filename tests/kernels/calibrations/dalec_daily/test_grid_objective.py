"""The objective of the grid experiments against the plain trajectory, written out."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phloem.kernels.calibrations.dalec_daily.grid_objective import NEAR_ZERO, GridObjective, LeafEconomics
from phloem.kernels.calibrations.protocol import Protocol
from phloem.kernels.models.dalec_daily.daily_step import dalec, inputs, state
from phloem.kernels.models.dalec_daily.grid_operators import grid_dalec
from phloem.kernels.models.dalec_daily.mode_switches import switches
from phloem.kernels.models.dalec_daily.parameters import PARAMETERS, UNKNOWNS
from phloem.kernels.models.dalec_daily.phenology import yearly
from phloem.kernels.objective.bounded_log import physical
from phloem.kernels.objective.objective import nnse
from phloem.kernels.objective.site import site_data
from phloem.kernels.simulate.daily_outputs import trajectory
from tests.support.kernels.grid_cells import BASELINE, DEKADS, GROWTH, SINGLE, SNAPSHOT, TRAJECTORY, YEAR, cell
from tests.support.kernels.reference_jit import reference_jit

LINE = LeafEconomics(-8.3, 2.06, 0.3)
LANES = 4
JIT = {"xla": reference_jit, "cpu": jax.jit}
CYCLED = Protocol((1999, 2004), 20, (2001, 2002), (2003, 2003), "trajectory")
"""As the growth-curve run, in a fifth of its years."""


def objective(backend: str = "xla", **changes: object) -> GridObjective:
    return replace(GridObjective(grid_dalec("strict"), backend=backend), **changes)  # type: ignore


def raw(dtype: type = np.float64, seed: int = 3) -> jax.Array:
    return jnp.asarray(0.5 * np.random.default_rng(seed).standard_normal((len(UNKNOWNS), LANES)), dtype)


def spread_of(values: np.ndarray) -> float:
    return float(((values - values.mean()) ** 2).sum())


@pytest.mark.parametrize("protocol", [BASELINE, SINGLE, GROWTH], ids=["baseline", "single", "growth"])
def test_efficiencies_are_those_of_the_trajectory(protocol) -> None:
    """Daily output of the plain model, windows and composites cut from it by hand."""
    made = cell(protocol)
    one = objective()
    data = site_data([made], np.float64)
    lanes = jnp.zeros(LANES, jnp.int32)
    x = raw()
    _, sums = reference_jit(one.terms)(x, jnp.full(LANES, 30.0), data, lanes)
    found = nnse(sums, data, lanes, one.streams)

    values = physical(x, one.unknowns)
    p, q = inputs(values[:30]), state(values[30:])
    out = trajectory(dalec("strict"), p, q, data.series._replace(weather=data.series.weather[:, :-1]), lanes)
    days = made.days
    rows = np.arange(days) if made.weather_row is None else made.weather_row
    seen_row = np.arange(days) if made.observed_row is None else made.observed_row
    starts = np.flatnonzero((DEKADS if made.weather_row is not None else DEKADS[(YEAR > 2000) & (YEAR < 2020)])[rows])
    inside = made.calibration_rows[seen_row]
    for name in ("gpp", "et", "lai", "reco"):
        model = np.asarray(getattr(out, name))[:days]
        if name == "reco":
            stops = np.append(starts[1:], days)
            means = np.array([model[a:b].mean(0) for a, b in zip(starts, stops, strict=True)])
            model = np.full_like(model, np.nan)
            model[stops - 1] = means
        seen = made.observations[name][seen_row]
        use = inside & np.isfinite(seen)
        error = ((model[use] - seen[use, None]) ** 2).sum(0)
        expected = spread_of(seen[use]) / (spread_of(seen[use]) + error)
        np.testing.assert_allclose(found[name], expected, rtol=1e-9, err_msg=name)
    live = sum(np.asarray(getattr(out, name))[:days] for name in ("labile", "foliar", "root", "wood"))
    ends = np.append(np.flatnonzero(made.year_end), days - 1)
    if protocol is GROWTH:
        error = ((live[ends] - TRAJECTORY[:, None]) ** 2).sum(0)
        np.testing.assert_allclose(found["biomass"], spread_of(TRAJECTORY) / (spread_of(TRAJECTORY) + error), rtol=1e-9)
    elif protocol is SINGLE:
        ratio = (live[-1] - SNAPSHOT) / (0.5 * SNAPSHOT)
        np.testing.assert_allclose(found["biomass"], 1 / (1 + ratio**2), rtol=1e-9)
    else:
        assert (np.asarray(found["biomass"]) == 0).all()


@pytest.mark.parametrize("protocol", [SINGLE, CYCLED], ids=["single", "cycled"])
def test_the_generated_code_agrees_with_the_scan(protocol) -> None:
    data = site_data([cell(protocol), cell(protocol, 55.0, 2)], np.float64)
    lanes, k = jnp.asarray(np.arange(LANES) % 2, jnp.int32), jnp.full(LANES, 30.0)
    x = raw()
    caps = NEAR_ZERO if protocol is CYCLED else None
    found = {}
    for backend in ("xla", "cpu"):
        one = objective(backend, leaf_economics=LINE, live_caps=caps)
        found[backend] = JIT[backend](one.loss_and_gradient)(x, k, data, lanes)
    np.testing.assert_allclose(found["cpu"][0], found["xla"][0], rtol=1e-12)
    scale = np.abs(found["xla"][1]).max(0)
    np.testing.assert_allclose(found["cpu"][1] / scale, found["xla"][1] / scale, atol=1e-11)


def test_the_gradient_is_that_of_differences() -> None:
    data = site_data([cell(CYCLED)], np.float64)
    lanes, k = jnp.zeros(LANES, jnp.int32), jnp.full(LANES, 3.0)
    one = objective("auto", leaf_economics=LINE, live_caps=NEAR_ZERO)
    loss = jax.jit(one.loss)
    x = raw(seed=8)
    _, gradient = jax.jit(one.loss_and_gradient)(x, k, data, lanes)
    checked = 0
    for row in range(len(UNKNOWNS)):
        h = 1e-5
        up, down = loss(x.at[row].add(h), k, data, lanes), loss(x.at[row].add(-h), k, data, lanes)
        wide = loss(x.at[row].add(4 * h), k, data, lanes), loss(x.at[row].add(-4 * h), k, data, lanes)
        near, far = (up - down) / (2 * h), (wide[0] - wide[1]) / (8 * h)
        smooth = np.abs(near - far) < 1e-4 * (np.abs(near) + 1e-3)  # no clamp between the points
        np.testing.assert_allclose(gradient[row][smooth], near[smooth], rtol=2e-3, atol=2e-5)
        checked += int(smooth.sum())
    assert checked > 0.7 * len(UNKNOWNS) * LANES


def test_priors_and_the_leaf_economics_line() -> None:
    data = site_data([cell(BASELINE)], np.float64)
    bare = site_data([cell(BASELINE, statics={})], np.float64)
    lanes, k = jnp.zeros(LANES, jnp.int32), jnp.full(LANES, 30.0)
    one, x = objective(), raw()
    p = dict(zip((q.name for q in PARAMETERS), np.asarray(physical(x[:30], PARAMETERS)), strict=True))
    maps = 0.1 * ((p["lcma"] - 60) / 6) ** 2 + 0.1 * ((p["f_auto"] - 0.5) / 0.05) ** 2
    np.testing.assert_allclose(one.prior(x, data, lanes) - one.prior(x, bare, lanes), maps, rtol=1e-9)

    def edc(which: GridObjective) -> np.ndarray:
        return np.asarray(jax.jit(lambda x: which.terms(x, k, data, lanes)[0].edc)(x))

    lifespan = 1 / np.asarray(yearly(jnp.asarray(p["leaf_lifespan"] - 1), jnp.asarray(p["leaf_fall_period"])))
    off = np.abs(np.log(lifespan) - (LINE.alpha + LINE.gamma * np.log(p["lcma"])))
    expected = np.log1p(np.exp(-np.abs(90 * (off - LINE.sigma)))) + np.maximum(90 * (off - LINE.sigma), 0)
    np.testing.assert_allclose(edc(objective(leaf_economics=LINE)) - edc(objective()), expected, rtol=1e-6, atol=1e-9)
    sharp, soft = edc(objective(edc4_sharpness=1e4)), edc(objective())
    faster = p["turnover_root"] > 2 * p["turnover_som"]
    assert faster.any()
    assert (sharp[faster] < soft[faster]).all()


def test_a_stand_begins_below_its_caps() -> None:
    one = objective(live_caps=NEAR_ZERO)
    highest = physical(jnp.full((len(UNKNOWNS), 1), 1e9), one.unknowns)[30:, 0]
    np.testing.assert_allclose(highest[:4], NEAR_ZERO, rtol=1e-6)
    np.testing.assert_allclose(highest[4:], [p.upper for p in UNKNOWNS[34:]], rtol=1e-6)
    assert objective().unknowns == UNKNOWNS


def test_nan_stays_in_its_lane() -> None:
    data = site_data([cell(CYCLED)], np.float32)
    lanes, k = jnp.zeros(LANES, jnp.int32), jnp.full(LANES, 30.0, jnp.float32)
    one = objective("cpu", leaf_economics=LINE, live_caps=NEAR_ZERO)
    x = raw(np.float32)
    run = jax.jit(one.loss_and_gradient)
    clean = run(x, k, data, lanes)
    broken = run(x.at[5, 3].set(jnp.nan), k, data, lanes)
    others = np.arange(LANES) != 3
    assert np.isnan(broken[0][3])
    np.testing.assert_array_equal(np.asarray(broken[0])[others], np.asarray(clean[0])[others])
    np.testing.assert_array_equal(np.asarray(broken[1])[:, others], np.asarray(clean[1])[:, others])


def test_steady_soil_alone_by_default() -> None:
    data = site_data([cell(CYCLED)], np.float64)
    lanes, k = jnp.zeros(LANES, jnp.int32), jnp.full(LANES, 30.0)

    def steady_state(pools: tuple[str, ...]) -> np.ndarray:
        one = objective(steady_pools=pools)
        return np.asarray(jax.jit(lambda x: one.terms(x, k, data, lanes)[0].steady_state)(raw()))

    assert (steady_state(()) == 0).all()
    assert (steady_state(("som", "wood")) > steady_state(("som",))).any()
    assert GridObjective(grid_dalec("strict"), switches("strict")).steady_pools == ("som",)


@pytest.mark.parametrize("backend", ["xla", "cpu"])
def test_tables_of_another_model_are_refused(backend) -> None:
    """The generated code reads bare memory: a table that lacks a field must not reach it."""
    data = site_data([cell(CYCLED)], np.float32)
    narrow = data._replace(series=data.series._replace(weather=data.series.weather[:, :-1]))
    with pytest.raises(ValueError, match="11 fields of weather, where grid-dalec-strict reads 12"):
        objective(backend).terms(raw(np.float32), jnp.ones(LANES), narrow, jnp.zeros(LANES, jnp.int32))
