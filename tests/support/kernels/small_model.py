"""A model that knows nothing of carbon: a pond that fills, leaks and warms, with one of each kind of operation."""

from typing import Any, NamedTuple

import jax.numpy as jnp

from phloem.kernels.models.model import Model


class Inputs(NamedTuple):
    leak: Any
    width: Any


class Constants(NamedTuple):
    leak: Any
    per_width: Any


class Pond(NamedTuple):
    level: Any
    heat: Any


class Weather(NamedTuple):
    rain: Any
    sun: Any


class Outputs(NamedTuple):
    level: Any
    heat: Any
    spill: Any


class Observed(NamedTuple):
    level: Any
    weight: Any


class Sums(NamedTuple):
    error: Any
    spill: Any
    heat: Any


def step(s: Pond, c: Constants, w: Weather) -> tuple[Pond, Outputs]:
    """Return the next day's pond."""
    flow = c.leak * jnp.sqrt(s.level) + 0.1 * jnp.tanh(s.level) * jnp.sin(w.sun) ** 2
    level = s.level + w.rain * c.per_width - flow
    spill = jnp.where(level > 3, level - 3, 0.0)
    level = jnp.maximum(jnp.minimum(level, 3.0), 0.2)
    heat = s.heat * jnp.exp(-c.leak) + jnp.log1p(w.sun) / (1 + level**3) + 0.01 * level**1.5
    return Pond(level, heat), Outputs(level, heat, spill)


def score(o: Outputs, y: Observed) -> Sums:
    """Return the day's contributions."""
    return Sums(y.weight * (o.level - y.level) ** 2, o.spill, jnp.abs(o.heat - 1))


POND = Model(
    name="pond",
    parameters=(),
    pools=(),
    inputs=Inputs,
    state=Pond,
    weather=Weather,
    outputs=Outputs,
    observed=Observed,
    sums=Sums,
    prepare=lambda p: Constants(p.leak, 1 / p.width),
    step=step,
    score=score,
)
