"""Schedules, the kept best and the loss curve, against the formulas of docs/science.md#adam."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phloem.kernels.optimise.adam import AnnealedAdam
from tests.support.kernels.lane_blocks import OBJECTIVE, OPTIONS, cells, fresh, rows_of, run, table

LANES = 4
TOTAL = OPTIONS.iterations


@pytest.fixture(scope="module")
def history():
    """One run step by step, with the loss of every iterate evaluated apart."""
    sites = cells()[:1]
    data, rows = table(sites), rows_of([0] * LANES, LANES)
    lanes = fresh([0] * LANES, range(LANES), sites, block=LANES)
    evaluate = jax.jit(OBJECTIVE.loss_and_gradient)
    states, losses, gradients = [lanes], [], []
    for i in range(TOTAL):
        k = min(i * OPTIONS.sharpness / OPTIONS.sharpness_iterations, OPTIONS.sharpness)
        loss, gradient = evaluate(lanes.raw.T, jnp.full(LANES, k, jnp.float32), data, rows)
        losses.append(np.asarray(loss))
        gradients.append(np.asarray(gradient).T)
        lanes = run(lanes, data, rows, [1])
        states.append(lanes)
    return states, np.stack(losses), np.stack(gradients)


def test_published_defaults():
    options = AnnealedAdam()
    assert (options.iterations, options.learning_rate, options.sharpness) == (25_000, 5e-4, 30.0)
    assert (options.beta1, options.beta2, options.epsilon) == (0.9, 0.999, 1e-8)
    assert options.sharpness / options.sharpness_iterations == pytest.approx(0.003)
    assert options.stride == 100
    assert len(options.trace_iteration) == 250


@pytest.mark.parametrize(("iterations", "trace"), [(1, 250), (7, 4), (250, 250), (251, 250), (1000, 3)])
def test_trace_is_long_enough_and_no_longer(iterations, trace):
    options = AnnealedAdam(iterations=iterations, trace=trace)
    kept = options.trace_iteration
    assert kept[0] == 0
    assert kept[-1] < iterations <= kept[-1] + options.stride
    assert len(kept) <= trace


def rates(options):
    """Return the step length at each iteration: under a constant gradient Adam moves by it."""
    tx, where = options.transformation(), jnp.zeros(1)
    optimiser, seen = tx.init(where), []
    for _ in range(options.iterations):
        update, optimiser = tx.update(jnp.ones(1), optimiser)
        seen.append(-float(update[0]))
    return np.array(seen)


def test_constant_rate():
    np.testing.assert_allclose(rates(AnnealedAdam(iterations=30, learning_rate=2e-3)), 2e-3, rtol=1e-6)


def test_constant_then_cosine():
    options = AnnealedAdam(iterations=50, learning_rate=2e-3, schedule="constant-cosine", cosine_start=0.4)
    i = np.arange(50)
    expected = np.where(i < 20, 2e-3, 2e-3 * 0.5 * (1 + np.cos(np.pi * (i - 20) / 30)))
    np.testing.assert_allclose(rates(options), expected, rtol=1e-5, atol=1e-12)


def test_iterates_follow_adam_with_the_ramped_sharpness(history):
    """Adam written out in float64; the gradients are taken at k = min(slope i, end), so that a wrong ramp shows."""
    states, _, gradients = history
    m = v = 0.0
    for i in range(TOTAL):
        m = 0.9 * m + 0.1 * gradients[i].astype(float)
        v = 0.999 * v + 0.001 * gradients[i].astype(float) ** 2
        step = m / (1 - 0.9 ** (i + 1)) / (np.sqrt(v / (1 - 0.999 ** (i + 1))) + OPTIONS.epsilon)
        moved = np.asarray(states[i + 1].raw) - np.asarray(states[i].raw)
        np.testing.assert_allclose(moved, -OPTIONS.learning_rate * step, rtol=2e-3, atol=2e-5)


def test_the_trace_holds_the_loss_at_every_stride(history):
    states, losses, _ = history
    assert OPTIONS.trace_iteration.tolist() == [0, 2, 4, 6]
    np.testing.assert_allclose(np.asarray(states[-1].trace), losses[OPTIONS.trace_iteration].T, rtol=2e-5)
    half = np.asarray(states[3].trace)
    assert np.isfinite(half[:, :2]).all()
    assert np.isnan(half[:, 2:]).all()


def test_the_best_is_kept_at_full_sharpness_only(history):
    states, losses, _ = history
    first = OPTIONS.sharpness_iterations
    assert (losses[:first].min(0) < losses[first:].min(0)).any()
    for i in range(TOTAL + 1):
        kept = np.asarray(states[i].best_loss)
        if i <= first:
            assert np.isinf(kept).all()
        else:
            np.testing.assert_allclose(kept, losses[first:i].min(0), rtol=2e-5)
            best = first + losses[first:i].argmin(0)
            for lane in range(LANES):
                np.testing.assert_array_equal(states[i].best_raw[lane], states[best[lane]].raw[lane])
