"""Outputs by day beside the sums: each backend gives what the fold gives, what outputs alone are, and their slopes."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phloem.kernels.models.dalec_daily.daily_step import dalec, inputs, state
from phloem.kernels.models.dalec_daily.parameters import UNKNOWNS
from phloem.kernels.time_loop.fold import fold, fold_and_keep
from phloem.kernels.time_loop.run_days import run_days
from tests.kernels.time_loop.test_run_days import CELLS, LANES, LENGTHS, OUTPUTS, TOLERANCE, bars, made_values, tables
from tests.support.kernels.builders import NAMES

ROUNDING = 1e-9
"""Sums that are smaller in float64 are what is left of a balance."""


def start(values: Any) -> tuple[Any, Any]:
    return inputs(values[: len(NAMES)]), state(values[len(NAMES) :])


def together(values: Any, data: Any, backend: str, *, last: bool = True) -> tuple[Any, Any, Any]:
    return fold_and_keep(dalec("strict"), *start(values), data, CELLS, OUTPUTS, backend=backend, last=last)


def apart(values: Any, data: Any, backend: str, *, last: bool = True) -> tuple[Any, Any, Any]:
    end, sums = fold(dalec("strict"), *start(values), data, CELLS, backend=backend, last=last)
    return end, sums, run_days(dalec("strict"), *start(values), data, CELLS, OUTPUTS, backend=backend)[1]


def loss(found: tuple[Any, Any, Any], of_days: Any) -> Any:
    """A number that moves with everything, unlike for each sum, output, day and lane."""
    end, sums, kept = found
    weights = np.random.default_rng(1).standard_normal((len(sums), LANES))
    total = sum((weight * one).sum() for weight, one in zip(weights, sums, strict=True))
    return total + (of_days * kept).sum() + (0 if end is None else 0.02 * sum(one.sum() for one in end[:8]))


@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize(
    ("backend", "dtype"), [("xla", np.float64), ("cpu", np.float64), ("cpu", np.float32), ("gpu", np.float64)]
)
def test_it_is_the_fold_and_the_outputs_in_one(backend: str, dtype: Any, last: bool) -> None:
    values, data = jnp.asarray(made_values(), dtype), tables("strict", dtype)

    def of(run: Any, backend: str) -> Any:
        def value(v: Any, of_days: Any, data: Any) -> Any:
            found = run(v, data, backend, last=last)
            return loss(found, of_days), found

        return jax.jit(jax.value_and_grad(value, has_aux=True))

    (_, found), slope = of(together, backend)(values, jnp.asarray(bars(), dtype), data)
    exact = jnp.asarray(made_values()), jnp.asarray(bars()), tables("strict", np.float64)
    (_, wanted), expected = of(apart, "cpu")(*exact)
    assert jax.tree.structure(found) == jax.tree.structure(wanted)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        one, other = np.asarray(one, float), np.asarray(other, float)
        assert np.isfinite(one).all()
        if np.abs(other).max() > ROUNDING:
            assert (np.abs(one - other) <= TOLERANCE[dtype]["value"] * np.abs(other).max()).all()
    for one, other in zip(np.asarray(slope, float), np.asarray(expected), strict=True):
        assert (np.abs(one - other) <= TOLERANCE[dtype]["slope"] * np.abs(other).max() + 1e-30).all()


@pytest.mark.parametrize("backend", ["xla", "cpu", "gpu"])
def test_days_that_a_cell_does_not_live_are_zero(backend: str) -> None:
    """Those in the middle of a table too, on which no cell lives, and those of whole segments at its end."""
    data = tables("strict", np.float64)
    live = np.array(data.live)
    live[40:43] = 0
    live[190:] = 0
    *_, kept = together(jnp.asarray(made_values()), data._replace(live=jnp.asarray(live)), backend)
    lives = live[:, np.asarray(CELLS)] > 0
    assert lives.sum() < sum(LENGTHS) * LANES
    kept = np.asarray(kept)
    assert (kept[:, ~lives] == 0).all()
    assert (kept[OUTPUTS.index("som"), lives] > 0).all()


def test_a_batch_is_more_lanes() -> None:
    data, of_days = tables("strict", np.float64), jnp.asarray(bars())
    values = made_values()
    both = jnp.asarray(np.stack([values, values[:, ::-1]]))
    slope = jax.grad(lambda v: loss(together(v, data, "cpu"), of_days))
    for one, value in zip(jax.vmap(slope)(both), both, strict=True):
        np.testing.assert_allclose(one, slope(value), rtol=1e-11)
    several = jax.vmap(lambda weight: jax.grad(lambda v: loss(together(v, data, "cpu"), weight))(both[0]))
    for one, weight in zip(several(jnp.stack([of_days, 2 * of_days])), (1, 2), strict=True):
        expected = jax.grad(lambda v, weight=weight: loss(together(v, data, "cpu"), weight * of_days))(both[0])
        np.testing.assert_allclose(one, expected, rtol=1e-11)


def test_what_it_cannot_do_is_refused_by_name() -> None:
    data, values = tables("strict", np.float64), jnp.asarray(made_values())
    with pytest.raises(ValueError, match=r"outputs gbb: dalec-strict has lai, gpp"):
        fold_and_keep(dalec("strict"), *start(values), data, CELLS, ("gpp", "gbb"), backend="cpu")
    with pytest.raises(TypeError, match="no forward mode"):
        jax.jvp(lambda v: together(v, data, "cpu")[2], (values,), (values,))
    _, moved = jax.jvp(lambda v: together(v, data, "xla")[2], (values,), (jnp.ones(len(UNKNOWNS))[:, None] * values,))
    assert moved.shape == (len(OUTPUTS), data.weather_row.shape[0], LANES)
