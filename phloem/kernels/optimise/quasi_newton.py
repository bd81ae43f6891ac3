"""One BFGS step of many lanes at once, each with its own curvature and step length.

A dense inverse Hessian a lane: with 38 unknowns it is small, and it sees the walls of the objective, each of which
binds several unknowns, in as many steps as there are walls. It is kept in float64 whatever the objective computes in.
Nocedal and Wright, Numerical Optimization (2006), equations 3.4 (Armijo), 6.17 (update) and 6.20 (first scale).
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from phloem.kernels.optimise.optimiser import choose

ARMIJO = 1e-4
LOSS_SLACK = 1e-6
"""An increase of the loss that passes as none: a few units in the last place of a float32 loss."""

FIRST_STEP = 0.2
"""Largest change of one coordinate in a step along the plain gradient, before anything is known of the curvature."""

LONGEST_CHANGE = 1.0
"""Largest change of one coordinate in any step."""

LEAST_COSINE = 1e-9
"""An update must see a cosine between step and change of the gradient above this."""

MAX_REFUSALS = 8
"""Shorter and shorter steps in a row that did not lower the loss; after so many the curvature is forgotten."""


class Walk(NamedTuple):
    """Where the lanes walk; all float64 but the counts.

    Attributes:
        point: accepted coordinates, (lanes, n).
        loss: there, (lanes,).
        gradient: there, (lanes, n).
        curvature: inverse Hessian, (lanes, n, n).
        plain: whether the curvature is the identity, of no scale, (lanes,).
        direction: in which the next point is tried, (lanes, n).
        length: how far, as a multiple of the direction; 0 asks for the loss and gradient of the point itself, (lanes,).
        refusals: points tried in vain since the last accepted one or the last forgetting, int32 (lanes,).
        forgotten: times the curvature was forgotten since the last accepted point, int32 (lanes,).
    """

    point: Array
    loss: Array
    gradient: Array
    curvature: Array
    plain: Array
    direction: Array
    length: Array
    refusals: Array
    forgotten: Array


def start_walks(point: Array) -> Walk:
    """Return walks that know nothing yet, at `point` (lanes, n)."""
    point = point.astype(jnp.float64)
    count, width = point.shape
    nothing, none = jnp.zeros(count), jnp.zeros(count, jnp.int32)
    return Walk(
        point=point,
        loss=jnp.full(count, jnp.inf),
        gradient=jnp.zeros_like(point),
        curvature=jnp.tile(jnp.eye(width), (count, 1, 1)),
        plain=jnp.ones(count, bool),
        direction=jnp.zeros_like(point),
        length=nothing,
        refusals=none,
        forgotten=none,
    )


def accept_or_refuse(walk: Walk, trial: Array, loss: Array, gradient: Array, anew: Array) -> tuple[Walk, Array, Array]:
    """Accept or refuse the point tried in each lane, update its curvature, and choose the next point.

    Args:
        walk: where the lanes are.
        trial: the points tried, (lanes, n).
        loss: there, (lanes,).
        gradient: there, (lanes, n).
        anew: the objective is another than before, and the trial is the point itself, (lanes,).

    Returns:
        The walks; which lanes moved; which have no way down: from a plain gradient step, forgotten once already, no
        length was short enough.
    """
    finite = jnp.isfinite(loss) & jnp.isfinite(gradient).all(1)
    slope = (walk.direction * walk.gradient).sum(1)
    moved = finite & ~anew & (loss <= walk.loss + ARMIJO * walk.length * slope + LOSS_SLACK)
    known = moved | (finite & anew)
    curvature, plain = _update_curvature(walk, trial - walk.point, gradient - walk.gradient, moved)

    refused = ~known
    refusals = jnp.where(known, 0, walk.refusals + 1)
    forget = refused & (refusals >= MAX_REFUSALS)
    lost = forget & (walk.forgotten > 0)
    curvature = choose(forget, jnp.broadcast_to(jnp.eye(trial.shape[1]), curvature.shape), curvature)
    plain = plain | forget

    point, slopes = choose(moved, trial, walk.point), choose(known, gradient, walk.gradient)
    direction = -(curvature * slopes[:, None, :]).sum(2)
    uphill = ~((direction * slopes).sum(1) < 0)
    curvature = choose(uphill, jnp.broadcast_to(jnp.eye(trial.shape[1]), curvature.shape), curvature)
    plain = plain | uphill
    direction = choose(uphill, -slopes, direction)
    longest = jnp.maximum(jnp.abs(direction).max(1), 1e-30)
    length = jnp.minimum(jnp.where(plain, FIRST_STEP, jnp.inf) / longest, jnp.minimum(1.0, LONGEST_CHANGE / longest))
    new = known | forget
    return (
        Walk(
            point=point,
            loss=jnp.where(known, loss, walk.loss),
            gradient=slopes,
            curvature=curvature,
            plain=plain,
            direction=choose(new, direction, walk.direction),
            length=jnp.where(new, length, _shortened(walk, slope, loss, finite)),
            refusals=jnp.where(forget, 0, refusals),
            forgotten=jnp.where(known, 0, walk.forgotten + forget),
        ),
        moved,
        lost,
    )


def _update_curvature(walk: Walk, step: Array, change: Array, moved: Array) -> tuple[Array, Array]:
    """Update the inverse Hessian of the lanes that moved and saw a convex stretch."""
    seen = (step * change).sum(1)
    squared = (change * change).sum(1)
    length = (step * step).sum(1)
    learn = moved & (seen > LEAST_COSINE * jnp.sqrt(length * squared)) & (squared > 0)
    one = jnp.eye(step.shape[1])
    scale = jnp.where(learn, seen, 1) / jnp.where(learn, squared, 1)
    old = choose(learn & walk.plain, one * scale[:, None, None], walk.curvature)
    inverse = jnp.where(learn, 1 / jnp.where(learn, seen, 1), 0)
    turned = (old * change[:, None, :]).sum(2)
    outer = step[:, :, None] * turned[:, None, :]
    both = (1 + (change * turned).sum(1) * inverse) * inverse
    new = (
        old
        - inverse[:, None, None] * (outer + outer.swapaxes(1, 2))
        + both[:, None, None] * step[:, :, None] * step[:, None, :]
    )
    return choose(learn, new, walk.curvature), walk.plain & ~learn


def _shortened(walk: Walk, slope: Array, loss: Array, finite: Array) -> Array:
    """Return the next length after a refusal: to the bottom of the parabola through what is known, within bounds."""
    t = walk.length
    rise = jnp.where(finite, loss, 1e30) - walk.loss - slope * t
    bottom = -slope * t * t / jnp.where(rise > 0, 2 * rise, 1)
    return jnp.clip(jnp.where(rise > 0, bottom, 0), 0.1 * t, 0.5 * t)
