"""Candidates of the optimiser bench: those that phloem ships, and others that were tried beside them.

Each returns a curve: what every lane had cost, in gradients of its whole record, and its loss over the whole record at
the end value of k, at the same moments. The loss is looked at from outside and costs the candidate nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array, lax

from benchmarks.optimisers.lanes import Bench
from phloem.kernels.calibrations.dalec_daily.site_objective import SiteObjective
from phloem.kernels.models.dalec_daily.daily_step import inputs_from_logs, state
from phloem.kernels.models.dalec_daily.parameters import PARAMETERS, UNKNOWNS
from phloem.kernels.objective.bounded_log import log_physical
from phloem.kernels.objective.objective import EQUILIBRIUM_FACTOR, EQUILIBRIUM_TOLERANCE, SiteData
from phloem.kernels.optimise.adam import AnnealedAdam
from phloem.kernels.optimise.lanes import PADDING, RUNNING
from phloem.kernels.optimise.optimiser import Optimiser, advance, choose
from phloem.kernels.optimise.windowed_bfgs import WindowedBfgs
from phloem.kernels.time_loop.fold import fold
from phloem.sharding.lanes.blocks import BLOCK

SHARPNESS = 30.0
FORWARD, TANGENTS = 0.3, 9.0
"""Cost of a forward run and of a block of 38 tangents, in gradients (RESULTS.md, "The fold")."""


class Curve(NamedTuple):
    """What a candidate did.

    Attributes:
        cost: gradients of the whole record spent, (points, lanes).
        loss: over the whole record at the end value of k, (points, lanes).
        raw: where the lanes ended, (lanes, 38).
        stop: why, codes of `names.STOP`, (lanes,).
    """

    cost: np.ndarray
    loss: np.ndarray
    raw: np.ndarray
    stop: np.ndarray


Candidate = Callable[[Bench], Curve]


def shipped(optimiser: Optimiser, every: int, bench: Bench) -> Curve:
    """Run one of phloem's optimisers, looking at the lanes each `every` gradients of the whole record."""
    lanes, shares, tables = bench.begin(optimiser), bench.shares(optimiser), bench.windows(optimiser)
    costs, losses = [], []
    steps = [max(1, round(every / max(share, 1e-9))) for share in shares.mean(0)]
    while True:
        stage, running = np.asarray(optimiser.stage(lanes)), np.asarray(lanes.phase) == RUNNING
        costs.append(optimiser.gradient_equivalents(lanes, shares))
        losses.append(bench.record_loss(lanes.raw, SHARPNESS))
        if not running.any():
            break
        for rows in bench.blocks():
            block = jax.tree.map(lambda leaf, rows=rows: leaf[rows], lanes)
            spare = np.r_[False, rows[1:] == rows[0]]
            block = block._replace(phase=np.where(spare, PADDING, block.phase).astype(np.int32))
            here = stage[rows][running[rows] & ~spare]
            if not len(here):
                continue
            now = int(here.min())
            data, cells = tables[now], jnp.asarray(bench.cell[rows])
            moved = advance(bench.objective, optimiser, data, cells, block, jnp.int32(steps[now]), jnp.int32(now))
            for target, source in zip(jax.tree.leaves(lanes), jax.tree.leaves(jax.device_get(moved)), strict=True):
                target[rows[~spare]] = source[~spare]
    return Curve(np.array(costs), np.array(losses), np.asarray(lanes.best_raw), np.asarray(lanes.stop))


# ---------------------------------------------------------------------------------- others, over the whole record
class LbfgsState(NamedTuple):
    """Where the lanes of a block stand, in z = arsinh x."""

    z: Array
    loss: Array
    gradient: Array
    direction: Array
    length: Array
    memory: Any


def _evaluate(objective: SiteObjective, data: SiteData, cell: Array, z: Array, k: Array) -> tuple[Array, Array]:
    raw = jnp.sinh(z).astype(jnp.float32)
    loss, gradient = objective.loss_and_gradient(raw.T, k.astype(jnp.float32), data, cell)
    return loss.astype(jnp.float64), gradient.T.astype(jnp.float64) * jnp.cosh(z)


@partial(jax.jit, static_argnames=("objective", "steps", "ramp"))
def _lbfgs(
    objective: SiteObjective, data: SiteData, cell: Array, place: LbfgsState, begun: Array, steps: int, ramp: int
) -> LbfgsState:
    """Take some steps of optax's L-BFGS (ten pairs), with a line search of one evaluation a step and lane."""
    tx = optax.scale_by_lbfgs(memory_size=10)

    def body(i: Array, place: LbfgsState) -> LbfgsState:
        step = begun + i
        k = jnp.minimum(SHARPNESS, SHARPNESS * ((step // 10 + 1) * 10) / ramp)
        anew = (step % 10 == 0) & (step <= ramp)
        trial = jnp.clip(place.z + jnp.where(anew, 0, place.length)[:, None] * place.direction, -14, 14)
        loss, gradient = _evaluate(objective, data, cell, trial, jnp.full(len(cell), k))
        slope = (place.direction * place.gradient).sum(1)
        fine = jnp.isfinite(loss) & jnp.isfinite(gradient).all(1)
        taken = fine & (anew | (loss <= place.loss + 1e-4 * place.length * slope + 1e-6))
        update, memory = jax.vmap(tx.update)(gradient, place.memory, trial)
        direction = jnp.where(((update * gradient).sum(1) > 0)[:, None], -update, -gradient)
        length = jnp.minimum(1.0, 1.0 / jnp.maximum(jnp.abs(direction).max(1), 1e-30))
        moved = LbfgsState(trial, loss, gradient, direction, length, memory)
        return choose(taken, moved, place._replace(length=place.length / 3))

    return lax.fori_loop(0, steps, body, place)


def lbfgs(bench: Bench, budget: int = 1000, ramp: int = 200, every: int = 10, screen: int = 0) -> Curve:
    """L-BFGS over the whole record, k rising; with `screen`, from the best of so many draws at k = 1."""
    raw, spent = _starts(bench, screen)
    data, tx = bench.data(), optax.scale_by_lbfgs(memory_size=10)
    z = np.arcsinh(np.asarray(raw, float))
    zero, width = np.zeros(len(z)), z.shape[1]
    memory = jax.vmap(tx.init)(jnp.asarray(z))
    nothing: Any = (z, zero + np.inf, np.zeros_like(z), np.zeros_like(z), zero, memory)
    place = jax.tree.map(np.array, LbfgsState(*nothing))
    assert width == len(UNKNOWNS)
    costs, losses = [np.full(len(z), spent)], [bench.record_loss(raw, SHARPNESS)]
    for begun in range(0, budget, every):
        for rows in bench.blocks():
            block = jax.tree.map(lambda leaf, rows=rows: jnp.asarray(leaf[rows]), place)
            moved = _lbfgs(bench.objective, data, jnp.asarray(bench.cell[rows]), block, jnp.int32(begun), every, ramp)
            for target, source in zip(jax.tree.leaves(place), jax.tree.leaves(jax.device_get(moved)), strict=True):
                target[rows] = source
        costs.append(np.full(len(z), spent + begun + every))
        losses.append(bench.record_loss(np.sinh(place.z), SHARPNESS))
    return Curve(np.array(costs), np.array(losses), np.sinh(place.z), np.full(len(z), 2))


def _starts(bench: Bench, screen: int) -> tuple[np.ndarray, float]:
    """Return each lane's own first draw, or the best of several by forward runs; and what that cost."""
    lanes = bench.begin(AnnealedAdam())
    if not screen:
        return np.asarray(lanes.raw), 0.0
    from phloem.kernels.optimise.lanes import draw

    draws = [np.asarray(draw(lanes.key, jnp.full(len(lanes.phase), n), lanes.start, "normal")) for n in range(screen)]
    losses = np.array([np.nan_to_num(bench.record_loss(raw, 1.0), nan=np.inf) for raw in draws])
    best = losses.argmin(0)
    return np.array(draws)[best, np.arange(len(best))], screen * FORWARD


def _arguments(objective: SiteObjective, data: SiteData, cell: Array, raw: Array) -> Array:
    """Return what the steady-state walls and the streams see, (arguments, lanes): logarithms, and root errors."""
    logs = log_physical(raw, UNKNOWNS)
    p, pools = inputs_from_logs(logs[: len(PARAMETERS)]), jnp.exp(logs[len(PARAMETERS) :])
    _, sums = fold(objective.model, p, state(pools), data.tables, cell, backend=objective.backend, last=False)
    walls = [part for pair in objective.balances(p, sums, pools, data, cell).values() for part in _sides(*pair)]
    errors = [getattr(sums, f"{name}_error") for name in ("gpp", "reco", "et", "lai")]
    roots = [jnp.sqrt(e / jnp.maximum(data.variance[row][cell], 1e-6) + 1e-6) for row, e in enumerate(errors)]
    return jnp.stack([*walls, *roots])


def _sides(drift: Array, ratio: Array) -> tuple[Array, Array]:
    return jnp.log(drift * ratio), ratio * drift - ratio


@partial(jax.jit, static_argnames=("objective",))
def _curvature(objective: SiteObjective, data: SiteData, cell: Array, z: Array, k: Array) -> Array:
    """Return a Gauss-Newton matrix of the walls and the streams, positive semi-definite, (lanes, 38, 38)."""
    raw = jnp.sinh(z).T.astype(jnp.float32)
    basis = jnp.broadcast_to(jnp.eye(len(raw), dtype=raw.dtype)[:, :, None], (len(raw), *raw.shape))
    see = partial(_arguments, objective, data, cell)
    values = see(raw)
    slopes = jax.vmap(lambda t: jax.jvp(see, (raw,), (t,))[1])(basis)  # (unknowns, arguments, lanes)
    slopes = slopes.astype(jnp.float64) * jnp.cosh(z).T[:, None, :]
    bounds = jnp.array([EQUILIBRIUM_FACTOR, EQUILIBRIUM_TOLERANCE] * ((len(values) - 4) // 2))
    s = jax.nn.sigmoid(3 * k * (jnp.abs(values[:-4]) - bounds[:, None]))
    walls = (3 * k) ** 2 * s * (1 - s)
    roots = values[-4:].astype(jnp.float64)
    streams = 2 / (1 + roots**2) ** 2  # of r^2 / (1 + r^2), its concave part left out
    weight = jnp.concatenate([walls, streams])
    weight = jnp.where(jnp.isfinite(weight), weight, 0)
    slopes = jnp.where(jnp.isfinite(slopes), slopes, 0)
    return jnp.einsum("ial,al,jal->lij", slopes, weight, slopes)


def levenberg(bench: Bench, rounds: int = 60, ramp: int = 30) -> Curve:
    """Levenberg-Marquardt with the block of 38 tangents: a Gauss-Newton step in each lane, damped until it helps."""
    data = bench.data()
    raw, _ = _starts(bench, 0)
    z, damping = np.arcsinh(np.asarray(raw, float)), np.full(len(raw), 1.0)
    cost = np.zeros(len(raw))
    costs, losses = [cost.copy()], [bench.record_loss(raw, SHARPNESS)]
    evaluate = jax.jit(partial(_evaluate, bench.objective))
    for number in range(rounds):
        k = min(SHARPNESS, SHARPNESS * (number + 1) / ramp)
        for rows in bench.blocks():
            cell, here = jnp.asarray(bench.cell[rows]), jnp.asarray(z[rows])
            loss, gradient = (np.asarray(part) for part in evaluate(data, cell, here, jnp.full(BLOCK, k)))
            matrix = np.asarray(_curvature(bench.objective, data, cell, here, jnp.float64(k)))
            scale = np.maximum(np.einsum("lii->li", matrix), 1e-2)
            best, lowest, waiting = z[rows].copy(), np.where(np.isfinite(loss), loss, np.inf), np.ones(BLOCK, bool)
            tries = np.zeros(BLOCK)
            for _ in range(6):
                damped = matrix + damping[rows][:, None, None] * scale[:, :, None] * np.eye(z.shape[1])
                step = -np.linalg.solve(damped, np.nan_to_num(gradient)[:, :, None])[:, :, 0]
                step /= np.maximum(1, np.abs(step).max(1))[:, None]
                trial = np.clip(z[rows] + step, -14, 14)
                seen = evaluate_loss(bench, data, cell, trial, k)
                better = waiting & (seen < lowest)
                tries += waiting
                best[better], lowest[better] = trial[better], seen[better]
                damping[rows] = np.where(better, damping[rows] / 3, np.where(waiting, damping[rows] * 4, damping[rows]))
                waiting &= ~better
            damping = np.clip(damping, 1e-6, 1e8)
            z[rows] = best
            cost[rows] = costs[-1][rows] + 1 + TANGENTS + FORWARD * tries
        costs.append(cost.copy())
        losses.append(bench.record_loss(np.sinh(z), SHARPNESS))
    return Curve(np.array(costs), np.array(losses), np.sinh(z), np.full(len(z), 2))


def evaluate_loss(bench: Bench, data: SiteData, cell: Array, z: np.ndarray, k: float) -> np.ndarray:
    """Return the loss of a block by a forward run, inf where it is not finite."""
    raw, sharpness = jnp.asarray(np.sinh(z), jnp.float32), jnp.full(BLOCK, k, jnp.float32)
    loss = np.asarray(_loss(bench.objective, raw, sharpness, data, cell))
    return np.where(np.isfinite(loss), loss, np.inf)


@partial(jax.jit, static_argnames=("objective",))
def _loss(objective: SiteObjective, raw: Array, k: Array, data: SiteData, cell: Array) -> Array:
    return objective.loss(raw.T, k, data, cell)


def compressed(rate: float, beta2: float, iterations: int) -> AnnealedAdam:
    """Return Adam with its moments compressed like its schedule: k up to 30 over two fifths, then a cosine."""
    return AnnealedAdam(
        iterations=iterations,
        learning_rate=rate,
        beta2=beta2,
        sharpness_iterations=int(0.4 * iterations),
        schedule="constant-cosine",
    )


WHOLE = WindowedBfgs(windows=(), window_iterations=(), sharpness_iterations=200)

CANDIDATES: dict[str, Candidate] = {
    "adam, published": partial(shipped, AnnealedAdam(), 100),
    "adam, 2,500 steps": partial(shipped, compressed(5e-3, 0.99, 2500), 10),
    "adam, 1,000 steps": partial(shipped, compressed(1.25e-2, 0.98, 1000), 10),
    "adam, 250 steps": partial(shipped, compressed(4e-2, 0.93, 250), 10),
    "l-bfgs": lbfgs,
    "l-bfgs, 16 draws screened": partial(lbfgs, screen=16),
    "levenberg-marquardt": levenberg,
    "bfgs, whole record": partial(shipped, WHOLE, 5),
    "bfgs, 3 years first": partial(
        shipped, WindowedBfgs(starts=1, windows=(3,), window_iterations=(400,), sharpness_iterations=240), 5
    ),
    "fast, one start": partial(shipped, WindowedBfgs(starts=1), 5),
    "fast": partial(shipped, WindowedBfgs(), 5),
    "fast, uniform starts": partial(shipped, WindowedBfgs(init="uniform_u"), 5),
}
"""By the names under which they are told of."""
