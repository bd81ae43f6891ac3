"""The walk of one lane: down, never up; past what is not finite; whatever its neighbours do."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from phloem.kernels.optimise import quasi_newton
from phloem.kernels.optimise.quasi_newton import LOSS_SLACK, Walk, accept_or_refuse, start_walks

LANES, WIDTH = 64, 8
Function = Callable[[Array], Array]


def walk(function: Function, point: np.ndarray, tries: int) -> tuple[Walk, list[np.ndarray], np.ndarray]:
    """Walk down a function of one lane's coordinates; return the walks, their losses on the way, and who was lost."""
    both = jax.jit(jax.vmap(jax.value_and_grad(function)))
    step = jax.jit(accept_or_refuse)
    now, losses, lost = start_walks(jnp.asarray(point)), [], np.zeros(len(point), bool)
    for number in range(tries):
        trial = now.point + now.length[:, None] * now.direction
        now, _, stuck = step(now, trial, *both(trial), jnp.full(len(point), number == 0))
        losses.append(np.asarray(now.loss))
        lost |= np.asarray(stuck)
    return now, losses, lost


def narrow(z: Array) -> Array:
    """A valley whose curvatures differ by 1e4, turned so that no coordinate lies along it."""
    turn = jnp.asarray(np.linalg.qr(np.random.default_rng(1).normal(size=(WIDTH, WIDTH)))[0])
    return 0.5 * (jnp.geomspace(1, 1e4, WIDTH) * (turn @ (z - 1)) ** 2).sum()


def kinked(z: Array) -> Array:
    """The shape of the steady-state terms: steep soft walls about a narrow slot, beside a gentle slope."""
    walls = jax.nn.softplus(90 * (jnp.abs(z[:4] - z[4:]) - 0.1)).sum()
    return walls + 0.1 * ((z - 2) ** 2).sum()


@pytest.fixture(scope="module")
def points() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(LANES, WIDTH))


@pytest.mark.parametrize(("function", "tries", "least", "near"), [(narrow, 90, 0.0, 1e-6), (kinked, 200, None, 1e-3)])
def test_it_comes_to_the_bottom(
    points: np.ndarray, function: Function, tries: int, least: float | None, near: float
) -> None:
    now, _, lost = walk(function, points, tries)
    bottom = float(np.min(walk(function, points, 2000)[0].loss)) if least is None else least
    assert np.max(np.asarray(now.loss) - bottom) < near
    assert not lost[np.asarray(now.loss) - bottom > near].any()


@pytest.mark.parametrize("function", [narrow, kinked])
def test_it_never_goes_up(points: np.ndarray, function: Function) -> None:
    _, losses, _ = walk(function, points, 60)
    assert np.diff(losses, axis=0).max() <= LOSS_SLACK


def test_the_curvature_stays_a_curvature(points: np.ndarray) -> None:
    now, _, _ = walk(narrow, points, 60)
    curvature = np.asarray(now.curvature)
    np.testing.assert_allclose(curvature, curvature.swapaxes(1, 2), rtol=1e-6, atol=1e-12)
    assert (np.linalg.eigvalsh(curvature) > 0).all()
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(WIDTH, WIDTH)))[0]
    along = np.einsum("ij,ljk,ik->li", turn, curvature, turn)
    np.testing.assert_allclose(np.median(along, 0), 1 / np.geomspace(1, 1e4, WIDTH), rtol=0.2)


def test_a_step_is_no_longer_than_its_radius(points: np.ndarray) -> None:
    both = jax.vmap(jax.value_and_grad(lambda z: (z**2).sum() * 1e-3))
    now = start_walks(jnp.asarray(100 * points))
    now, _, _ = accept_or_refuse(now, now.point, *both(now.point), jnp.ones(LANES, bool))
    first = np.abs(now.length[:, None] * now.direction).max(1)
    assert (first <= quasi_newton.FIRST_STEP * (1 + 1e-9)).all()
    for _ in range(20):
        before = np.asarray(now.point)
        trial = now.point + now.length[:, None] * now.direction
        now, _, _ = accept_or_refuse(now, trial, *both(trial), jnp.zeros(LANES, bool))
        assert np.abs(np.asarray(now.point) - before).max() <= quasi_newton.LONGEST_CHANGE * (1 + 1e-9)


def test_what_is_not_finite_is_walked_around() -> None:
    """Half of the space has no loss: a lane stays out of it and goes down all the same."""
    points = np.random.default_rng(2).normal(size=(LANES, WIDTH)) - 3.0
    now, losses, _ = walk(lambda z: jnp.where(z[0] > 0, jnp.nan, ((z - 1) ** 2).sum()), np.minimum(points, -0.1), 150)
    assert np.isfinite(losses).all()
    assert (np.asarray(now.point)[:, 0] <= 0).all()
    assert (losses[-1] < losses[0]).all()
    assert np.median(losses[-1] / losses[0]) < 0.1


def test_where_nothing_helps_it_says_so() -> None:
    """A gradient that lies: every step leads up."""
    step = jax.jit(accept_or_refuse)
    now = start_walks(jnp.zeros((LANES, WIDTH)))
    lost = []
    for number in range(3 * quasi_newton.MAX_REFUSALS):
        trial = now.point + now.length[:, None] * now.direction
        loss, slope = jnp.abs(trial).sum(1), jnp.ones((LANES, WIDTH))
        now, _, stuck = step(now, trial, loss, slope, jnp.full(LANES, number == 0))
        lost.append(bool(np.asarray(stuck).all()))
    assert lost.index(True) == 2 * quasi_newton.MAX_REFUSALS, "after forgetting once"
    assert np.asarray(now.point).any() == 0


def test_a_lane_does_not_know_its_neighbours(points: np.ndarray) -> None:
    """The same bits wherever it stands, also beside one that is never finite."""
    order = np.random.default_rng(3).permutation(LANES)
    there = points[order].copy()
    there[order == 5] = np.nan
    one, two = walk(kinked, points, 40)[0], walk(kinked, there, 40)[0]
    for leaf, other in zip(one, two, strict=True):
        mine, theirs = np.asarray(leaf)[order], np.asarray(other)
        keep = order != 5
        assert mine[keep].tobytes() == theirs[keep].tobytes()
