"""The loss of networks of fluxes against plain numpy, its slopes against differences, constraints on a grid."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phloem.kernels.flux_network.constrained_loss import TERMS, ConstrainedLoss, FluxBatch
from phloem.kernels.flux_network.flux_network import (
    FluxWeights,
    PenaltyColumns,
    first_flux_weights,
    flat_flux_weights,
    fluxes_and_slopes,
    network_inputs,
    network_targets,
    predicted_fluxes,
)
from phloem.kernels.flux_network.flux_network_options import ACTIVATIONS, HEADS, FluxNetworkOptions
from phloem.kernels.flux_network.lane_statistics import LaneStatistics, lane_statistics
from tests.support.kernels.flux_tables import NAMES, made_table

COLUMNS = PenaltyColumns(0, 1)
CASES = [(head, activation, hard) for head in HEADS for activation in ACTIVATIONS for hard in (False, True)]


def weights(seed: int = 0) -> FluxWeights:
    """Return float64 weights with biases and indicators that act."""
    rng = np.random.default_rng(seed)
    drawn = first_flux_weights(jax.random.key(seed), len(NAMES))
    return jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf, float) + 0.1 * rng.normal(0, 1, leaf.shape)), drawn)


def table(options: FluxNetworkOptions) -> tuple[FluxBatch, LaneStatistics, np.ndarray]:
    """Return rows of which some are warm, bright, or without temperature, light, baselines; float64."""
    made = made_table(120)
    x, observed, baselines = (made[name].astype(float) for name in ("x", "observed", "baselines"))
    x[3, 0] = x[5, 1] = x[7, 0] = np.nan
    x[:20, 1] *= 4
    x[10:30, 0] += 30
    baselines[40:44, 0] = baselines[44:48, 3] = np.nan
    weight = np.where(np.arange(120) % 4 == 0, 0, np.random.default_rng(1).uniform(0.5, 2, 120))
    statistics = lane_statistics(x, network_targets(options, observed, baselines), weight)
    return FluxBatch(x, observed, baselines), LaneStatistics(*(part.astype(float) for part in statistics)), weight


def plain_fluxes(
    options: FluxNetworkOptions, own: FluxWeights, statistics: LaneStatistics, x: np.ndarray, baselines: np.ndarray
) -> np.ndarray:
    """Return the fluxes of rows in plain numpy."""
    inputs = np.zeros((len(x), 2 * len(NAMES)))
    for row in range(len(x)):
        for column in range(len(NAMES)):
            if np.isfinite(x[row, column]):
                inputs[row, column] = (x[row, column] - statistics.mean[column]) / statistics.spread[column]
            else:
                inputs[row, len(NAMES) + column] = 1
    h = inputs
    for layer in own[:-1]:
        z = h @ np.asarray(layer.w) + np.asarray(layer.b)
        h = np.tanh(z) if options.activation == "tanh" else np.logaddexp(0, z)
    z = statistics.flux_mean + statistics.flux_spread * (h @ np.asarray(own[-1].w) + np.asarray(own[-1].b))
    if options.head == "softplus":
        z[:, :2] = np.logaddexp(0, 10 * z[:, :2]) / 10
    elif options.head == "relu":
        z[:, :2] = np.maximum(z[:, :2], 0)
    elif options.head == "residual":
        z = z + np.where(np.isfinite(baselines), baselines, 0)
        z[:, :2] = np.maximum(z[:, :2], 0)
    if options.hard_mass:
        z[:, 2] = z[:, 1] - z[:, 0]
    return z


def plain_slope(
    column: int, flux: int, step: float, options: FluxNetworkOptions, own: Any, statistics: Any, batch: FluxBatch
) -> np.ndarray:
    """Return the slope of a flux by a predictor by central differences; baselines held."""
    moved = []
    for sign in (1, -1):
        x = np.array(batch.x)
        x[:, column] += sign * step
        moved.append(plain_fluxes(options, own, statistics, x, np.asarray(batch.baselines))[:, flux])
    return (moved[0] - moved[1]) / (2 * step)


def plain_terms(
    options: FluxNetworkOptions, own: FluxWeights, statistics: LaneStatistics, batch: FluxBatch, weight: np.ndarray
) -> dict[str, float]:
    """Return the terms of the loss in plain numpy, slopes by differences."""
    fluxes = plain_fluxes(options, own, statistics, np.asarray(batch.x), np.asarray(batch.baselines))
    stands = np.isfinite(batch.baselines) if options.head == "residual" else np.ones(fluxes.shape, bool)
    if options.hard_mass:
        stands[:, 2] = stands[:, 0] & stands[:, 1]
    whole = stands[:, :3].all(1)

    def mean(values: np.ndarray, where: np.ndarray) -> float:
        where = where & (weight > 0)
        return float(np.average(values[where], weights=weight[where])) if where.any() else 0.0

    units = [1, 1, 1, options.le_unit]
    errors = ((fluxes - np.asarray(batch.observed)) / units) ** 2
    terms = {name: mean(errors[:, n], np.isfinite(errors[:, n]) & stands[:, n]) for n, name in enumerate(TERMS[:4])}
    gpp, reco, nee, _ = fluxes.T
    terms["mass"] = mean(np.abs(nee - (reco - gpp)), whole)
    terms["sign"] = mean(np.maximum(0, -gpp) + np.maximum(0, -reco), whole)
    light = 2 * plain_slope(1, 0, 1e-4, options, own, statistics, batch)
    warmth = plain_slope(0, 1, 1e-5, options, own, statistics, batch)
    first = np.arange(len(gpp)) < round(options.penalty_share * len(gpp))
    terms["light"] = mean(np.maximum(0, -light), first & whole & (0.5 * np.asarray(batch.x)[:, 1] <= 200))
    terms["warmth"] = mean(np.maximum(0, -warmth), first & whole & (np.asarray(batch.x)[:, 0] < 40))
    return terms


@pytest.mark.parametrize(("head", "activation", "hard"), CASES)
def test_loss_in_float64_equals_plain_numpy(head: str, activation: str, hard: bool) -> None:
    options = FluxNetworkOptions(head, activation, hard, 0.7, 1.3, 20.0, 5.0, penalty_share=0.5)
    batch, statistics, weight = table(options)
    loss = ConstrainedLoss(options, COLUMNS)
    with jax.enable_x64(True):
        own = weights()
        given = jax.tree.map(jnp.asarray, (statistics, batch, weight[None]))
        sums = jax.jit(loss.sums)(own, *given)[0]
        value = float(loss.value(own, given[0], given[1], given[2][0]))
        found = dict(zip(TERMS, np.asarray(sums.above / sums.below), strict=True))
        expected = plain_terms(options, own, statistics, batch, weight)
    for name, term in expected.items():
        assert found[name] == pytest.approx(term, rel=1e-7, abs=1e-9), name
    assert expected["light"] > 0
    assert expected["warmth"] > 0
    factors = dict(zip(TERMS, loss.factors(), strict=True))
    assert factors["sign"] == (1.3 if head == "soft" else 0)
    assert factors["mass"] == (0 if hard else 0.7)
    assert value == pytest.approx(sum(factors[name] * term for name, term in expected.items()), rel=1e-7)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_slopes_equal_differences_and_forward_mode(head: str, activation: str) -> None:
    options = FluxNetworkOptions(head, activation)
    batch, statistics, _ = table(options)
    full = batch._replace(x=np.where(np.isfinite(batch.x[:, :2]).all(1)[:, None], batch.x, 1.0))
    baselines = np.nan_to_num(np.asarray(batch.baselines))
    with jax.enable_x64(True):
        own, given = weights(), jax.tree.map(jnp.asarray, statistics)
        used = jnp.ones(len(baselines), bool)

        def both(x: Any) -> Any:
            inputs = network_inputs(given, x, used)
            return fluxes_and_slopes(options, COLUMNS, own, given, inputs, jnp.asarray(baselines), len(baselines))

        found = both(jnp.asarray(full.x))
        for slope, column, flux, factor in ((found.light, 1, 0, 2.0), (found.warmth, 0, 1, 1.0)):
            plain = factor * plain_slope(column, flux, 1e-5, options, own, statistics, full)
            np.testing.assert_allclose(slope, plain, rtol=1e-6, atol=1e-9)
            assert (np.abs(plain) > 1e-6).mean() > 0.3
            direction = jnp.zeros_like(jnp.asarray(full.x)).at[:, column].set(factor)
            _, forward = jax.jvp(lambda x, flux=flux: both(x).fluxes[:, flux], (jnp.asarray(full.x),), (direction,))
            np.testing.assert_allclose(slope, forward, rtol=1e-10, atol=1e-14)


def grid() -> np.ndarray:
    """Return inputs over wide ranges of all predictors, far beyond training, some missing."""
    axes = np.meshgrid(np.linspace(-40, 50, 7), np.linspace(0, 500, 6), *[[-9.0, 0.0, 9.0]] * 3, indexing="ij")
    x = np.stack([axis.ravel() for axis in axes], 1)
    x[np.random.default_rng(0).random(x.shape) < 0.05] = np.nan
    return x.astype(np.float32)


@pytest.mark.parametrize("head", ["softplus", "relu", "residual"])
def test_gpp_and_reco_of_hard_heads_are_never_negative_on_a_grid(head: str) -> None:
    for seed in range(5):
        found, _ = on_grid(FluxNetworkOptions(head), seed, 30.0)
        assert (found[:, :2] >= 0).all()
        assert (found[:, 2:] < 0).any()
    soft, _ = on_grid(FluxNetworkOptions("soft"), 0, 30.0)
    assert (soft[:, :2] < 0).any(axis=0).all()


@pytest.mark.parametrize("head", HEADS)
def test_nee_under_hard_mass_is_reco_minus_gpp_to_the_bit_on_a_grid(head: str) -> None:
    found, _ = on_grid(FluxNetworkOptions(head, hard_mass=True), 1, 3.0)
    np.testing.assert_array_equal(found[:, 2], found[:, 1] - found[:, 0])
    free, _ = on_grid(FluxNetworkOptions(head), 1, 3.0)
    assert (np.abs(free[:, 2] - (free[:, 1] - free[:, 0])) > 0.1).any()


def on_grid(options: FluxNetworkOptions, seed: int, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Return fluxes of a network of large weights, float32, and its inputs."""
    _, statistics, _ = table(options)
    small = LaneStatistics(*(part.astype(np.float32) for part in statistics))
    vector = scale * flat_flux_weights(first_flux_weights(jax.random.key(seed), len(NAMES)))
    x = grid()
    baselines = np.random.default_rng(seed).normal(0, 5, (len(x), 4)).astype(np.float32)
    found = np.asarray(predicted_fluxes(options, vector, small, jnp.asarray(x), jnp.asarray(baselines)))
    assert np.isfinite(found).all()
    return found, x


def test_a_missing_baseline_leaves_its_fluxes_missing_under_the_residual_head() -> None:
    for hard in (False, True):
        options = FluxNetworkOptions("residual", hard_mass=hard)
        _, statistics, _ = table(options)
        small = LaneStatistics(*(part.astype(np.float32) for part in statistics))
        vector = flat_flux_weights(first_flux_weights(jax.random.key(0), len(NAMES)))
        baselines = np.where(np.eye(4, dtype=bool), np.nan, 1.0).astype(np.float32)
        found = np.asarray(predicted_fluxes(options, vector, small, jnp.ones((4, len(NAMES))), jnp.asarray(baselines)))
        missing = np.eye(4, dtype=bool)
        if hard:
            missing[:, 2] = [True, True, False, False]
        np.testing.assert_array_equal(np.isnan(found), missing)
        with_head = replace(options, head="softplus")
        assert np.isfinite(
            predicted_fluxes(with_head, vector, small, jnp.ones((4, len(NAMES))), jnp.asarray(baselines))
        ).all()
