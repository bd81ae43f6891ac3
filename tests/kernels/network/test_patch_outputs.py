"""Outputs of a patch against the loss's own, and against the public code's means."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phloem.kernels.models.dalec_monthly.records import CARBON, OUTPUTS, Outputs
from phloem.kernels.network.parameter_network import Weights, flat
from phloem.kernels.network.patch_loss import LossWeights, cell_terms, coupled_terms, sums_of_months
from phloem.kernels.network.patch_outputs import forcing_tables, networks_of_flat, outputs_of_patch, quantities_of_patch
from phloem.kernels.network.training_loss import TrainingLoss
from tests.support.kernels.global_oracle import VALID, arrays, golden_network, golden_patch

NAMES = ("published_2026", "published_2024")


@pytest.fixture(scope="module")
def networks(data_dir: Path) -> tuple[list[Weights], Weights]:
    """Two networks, apart and as members."""
    each = [golden_network(data_dir / "oracle", name) for name in NAMES]
    return each, networks_of_flat(jnp.stack([flat(one) for one in each]), 20)


def test_time_means_of_all_outputs_are_the_public_codes(
    data_dir: Path, networks: tuple[list[Weights], Weights]
) -> None:
    golden = golden_patch(data_dir / "oracle", "compat")
    predictors = jnp.asarray(golden.predictors)[None].repeat(2, 0)
    tables = forcing_tables(golden.weather, np.float64)
    found = outputs_of_patch(networks[1], predictors, tables, "compat", "cpu", OUTPUTS)
    assert found.shape == (2, 44, 276, 320)
    gold = arrays(data_dir / "oracle/global_patch.nc", "output_time_mean", "physical")
    expected = gold["output_time_mean"].T
    scale = np.abs(expected).max(1, keepdims=True)
    np.testing.assert_allclose(np.asarray(found[0].mean(1)) / scale, expected / scale, atol=1e-11)
    physical = quantities_of_patch(networks[1], predictors, "compat")
    np.testing.assert_allclose(physical[0].T, gold["physical"], rtol=1e-12)


@pytest.mark.parametrize("mode", ["strict", "compat"])
@pytest.mark.parametrize("backend", ["xla", "cpu"])
def test_terms_of_the_loss_follow_from_the_outputs_of_every_member(
    data_dir: Path, networks: tuple[list[Weights], Weights], mode: str, backend: str
) -> None:
    golden = golden_patch(data_dir / "oracle", mode).rows(np.r_[0:24, VALID : VALID + 8])
    patch, tables = golden.patch(), forcing_tables(golden.weather, np.float64)
    predictors = jnp.asarray(golden.predictors)[None].repeat(2, 0)
    outputs = outputs_of_patch(networks[1], predictors, tables, mode, backend, OUTPUTS)
    pools = quantities_of_patch(networks[1], predictors, mode)[:, 33 : 33 + len(CARBON)]
    strict, weights = mode == "strict", LossWeights()
    for member, network in enumerate(networks[0]):
        o = Outputs(*outputs[member])
        found = coupled_terms(o.nbe, o.fire_emission, o.water, patch.labels, weights, strict)
        found |= cell_terms(sums_of_months(o, patch.labels), pools[member], patch.labels, weights, strict)
        expected = jax.jit(TrainingLoss(mode, backend=backend).terms_of_months)(network, patch)
        for name, value in expected.items():
            assert float(found[name]) == pytest.approx(float(value), rel=1e-10), name


def test_months_that_fill_segments_are_no_outputs(data_dir: Path, networks: tuple[list[Weights], Weights]) -> None:
    golden = golden_patch(data_dir / "oracle", "strict").rows(np.arange(3))
    weather = type(golden.weather)(*(one[:97] for one in golden.weather))
    short = forcing_tables(weather, np.float64)
    assert len(short.weather_row) > 97
    predictors = jnp.asarray(golden.predictors)[None].repeat(2, 0)
    found = outputs_of_patch(networks[1], predictors, short, "strict", "cpu", ("nee", "water"))
    whole = outputs_of_patch(
        networks[1], predictors, forcing_tables(golden.weather, np.float64), "strict", "cpu", ("nee", "water")
    )
    assert found.shape == (2, 2, 97, 3)
    np.testing.assert_array_equal(found, whole[:, :, :97])


def test_member_has_the_bits_alone_that_it_has_among_others(
    data_dir: Path, networks: tuple[list[Weights], Weights]
) -> None:
    golden = golden_patch(data_dir / "oracle", "strict").rows(np.arange(32))
    tables, predictors = forcing_tables(golden.weather, np.float32), np.asarray(golden.predictors, np.float32)
    single = jax.tree.map(lambda one: one.astype(jnp.float32), networks[1])
    both = outputs_of_patch(single, jnp.asarray(predictors)[None].repeat(2, 0), tables, "strict", "cpu", ("nbe", "som"))
    alone = jax.tree.map(lambda one: one[1:], single)
    found = outputs_of_patch(alone, jnp.asarray(predictors)[None], tables, "strict", "cpu", ("nbe", "som"))
    np.testing.assert_array_equal(found[0], both[1])


def test_unknown_output_is_refused(data_dir: Path, networks: tuple[list[Weights], Weights]) -> None:
    golden = golden_patch(data_dir / "oracle", "strict").rows(np.arange(2))
    predictors = jnp.asarray(golden.predictors)[None].repeat(2, 0)
    with pytest.raises(ValueError, match="npp"):
        outputs_of_patch(networks[1], predictors, forcing_tables(golden.weather, np.float64), "strict", "cpu", ("npp",))
