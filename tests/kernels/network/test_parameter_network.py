"""The network against the public code's own numbers; its first weights, and the set-ups of its predictors."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phloem.kernels.network.parameter_network import (
    BIAS,
    Weights,
    count,
    first_weights,
    flat,
    hemisphere,
    of_flat,
    unbounded_quantities,
)
from phloem.kernels.network.set_ups import GROUPS, HEMISPHERE, all_set_ups, columns, standardised
from tests.support.kernels.global_oracle import arrays, golden_network

NETWORKS = ("published_2026", "published_2025", "published_2024", "seed_1234", "seed_5678")


@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_and_slopes(data_dir: Path, name: str) -> None:
    gold = arrays(data_dir / "oracle/global_network.nc")
    place = [str(one) for one in gold["weights"]].index(name)
    weights, predictors = golden_network(data_dir / "oracle", name), jnp.asarray(gold["predictors"])
    raw = np.asarray(unbounded_quantities(weights, predictors))
    np.testing.assert_allclose(raw.T, gold["raw"][place], rtol=1e-12, atol=1e-13)
    rows, quantities = raw.T.shape
    numbers = jnp.cos(40 * jnp.arange(rows)[None, :] + jnp.arange(quantities)[:, None])

    def total(vector: jax.Array) -> jax.Array:
        return (numbers * unbounded_quantities(of_flat(vector, 20), predictors)).sum()

    value, slope = jax.value_and_grad(total)(flat(weights))
    assert float(value) == pytest.approx(gold["J"][place], rel=1e-12)
    expected = gold["dJ_dweights"][place]
    np.testing.assert_allclose(slope, expected, atol=1e-12 * np.abs(expected).max())


def test_single_precision_is_near(data_dir: Path) -> None:
    gold = arrays(data_dir / "oracle/global_network.nc")
    weights = jax.tree.map(lambda one: one.astype(jnp.float32), golden_network(data_dir / "oracle", NETWORKS[0]))
    raw = unbounded_quantities(weights, jnp.asarray(gold["predictors"], jnp.float32))
    assert raw.dtype == jnp.float32
    np.testing.assert_allclose(raw.T, gold["raw_float32"][0], rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("predictors", [2, 3, 5, 10, 20])
def test_weights_laid_flat_and_back(predictors: int) -> None:
    assert count(predictors) == 32 * predictors + 3466
    weights = first_weights(jax.random.key(0), predictors)
    vector = flat(weights)
    assert vector.shape == (count(predictors),)
    again = of_flat(vector, predictors)
    assert jax.tree.structure(again) == jax.tree.structure(weights)
    for one, other in zip(jax.tree.leaves(weights), jax.tree.leaves(again), strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(ValueError, match=f"{count(predictors)} weights; a network of 7 predictors has {count(7)}"):
        of_flat(vector, 7)


def test_first_weights_are_those_of_glorot(data_dir: Path) -> None:
    """Of the size of the public code's, and other ones for another key."""
    theirs = golden_network(data_dir / "oracle", "seed_1234")
    drawn = [first_weights(jax.random.key(seed), 20) for seed in range(20)]
    for place, layer in enumerate([*theirs.embedding, theirs.parameters, theirs.pools, theirs.phenology]):
        ours = [[*one.embedding, one.parameters, one.pools, one.phenology][place] for one in drawn]
        deviation = float(np.std([np.asarray(one.w) for one in ours]))
        assert deviation == pytest.approx(np.sqrt(2 / sum(layer.w.shape)), rel=0.05)
        assert float(layer.w.std()) == pytest.approx(deviation, rel=0.25)
        assert all((np.asarray(one.b) == BIAS).all() for one in ours)
    assert not np.array_equal(flat(drawn[0]), flat(drawn[1]))
    np.testing.assert_array_equal(flat(drawn[0]), flat(first_weights(jax.random.key(0), 20)))


def test_fifteen_set_ups_side_by_side() -> None:
    """As lanes of one call they are as alone."""
    weights = [first_weights(jax.random.key(seed), 20, jnp.float64) for seed in range(3)]
    predictors = jnp.asarray(np.random.default_rng(0).standard_normal((7, 21)))
    together: Weights = jax.tree.map(lambda *parts: jnp.stack(parts), *weights)
    found = jax.vmap(unbounded_quantities, (0, None))(together, predictors)
    for one, alone in zip(found, weights, strict=True):
        np.testing.assert_allclose(one, unbounded_quantities(alone, predictors), rtol=1e-13)


class TestSetUps:
    def test_there_are_fifteen(self) -> None:
        found = all_set_ups()
        assert len(found) == len(set(found)) == 15
        assert found[-1] == tuple(GROUPS)
        assert len(columns(found[-1])) == 21

    def test_columns_are_in_one_order_whatever_is_asked_for(self, data_dir: Path) -> None:
        whole = columns(["SOIL", "PFT", "AGE", "CLIM"])
        assert whole == columns(list(GROUPS)) == (HEMISPHERE, *chain(*GROUPS.values()))
        other = {"hemisphere_sigmoid": HEMISPHERE, "tree_age_000_filled": "forest_age", "BULK_DEN": "bulk_density"}
        published = [str(name) for name in arrays(data_dir / "oracle/global_network.nc")["predictor"]]
        soils = ("SAND", "SILT", "CLAY", "GRAVEL")
        assert [other.get(name, name.lower() if name in soils else name) for name in published] == list(whole)
        assert columns(["CLIM"]) == (HEMISPHERE, "MAT", "MAP", "elevation")
        assert columns(["LATLON"]) == (HEMISPHERE, "latitude", "longitude")

    def test_a_misspelt_group_is_refused(self) -> None:
        with pytest.raises(ValueError, match="group of predictors 'CLIMATE': valid are PFT, CLIM, AGE, SOIL, LATLON"):
            columns(["CLIMATE"])
        with pytest.raises(ValueError, match=r"Did you mean 'SOIL'\?"):
            columns(["PFT", "SIOL"])
        for wrong in ([], ["PFT", "PFT"]):
            with pytest.raises(ValueError, match="each once"):
                columns(wrong)

    def test_a_constant_predictor_is_refused_by_name(self) -> None:
        values = np.array([[1.0, 5.0, 2.0], [2.0, 5.0, 4.0]])
        mean, deviation = values.mean(0), values.std(0)
        with pytest.raises(ValueError, match="predictors MAP: the same in all training cells"):
            standardised(values, mean, deviation, ["MAT", "MAP", "elevation"])
        found = standardised(values[:, ::2], mean[::2], deviation[::2], ["MAT", "elevation"])
        np.testing.assert_allclose(found, [[-1, -1], [1, 1]])

    def test_hemispheres(self) -> None:
        np.testing.assert_allclose(hemisphere([-45.0, 0.0, 60.0]), [0, 0.5, 1], atol=1e-15)
