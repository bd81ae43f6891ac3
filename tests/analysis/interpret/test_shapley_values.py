"""Shapley values against the authors' own, against a long way by hand, and against one another."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phloem.analysis.interpret.ensemble_axes import ensemble_axes
from phloem.analysis.interpret.explained_quantity import explained_quantities, principal_component
from phloem.analysis.interpret.physical_ensemble import PhysicalEnsemble, TrainedMember
from phloem.analysis.interpret.shapley_methods import exact_values, kernel_values, permutation_values
from phloem.analysis.interpret.shapley_values import (
    ShapleyMethod,
    ShapleySettings,
    ShapleyValues,
    background_of,
    explain,
)
from phloem.errors import InputError
from phloem.kernels.models.dalec_monthly.parameters import UNKNOWNS
from phloem.kernels.network.parameter_network import Layer
from phloem.kernels.network.set_ups import HEMISPHERE
from phloem.kernels.objective.bounded_log import unbounded
from phloem.names import PERIOD
from tests.support.analysis.small_ensembles import (
    AGNOSTIC,
    FULL,
    drawn_ensemble,
    published_cells,
    published_ensemble,
    world,
)
from tests.support.kernels.global_oracle import arrays

ROWS = 24


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.square(values).mean()))


@pytest.fixture(scope="module")
def published(data_dir: Path) -> dict[str, ShapleyValues]:
    """The labile release period of the authors' first cells, by both methods."""
    ensemble, cells = published_ensemble(data_dir), published_cells(data_dir)
    quantities = explained_quantities(["labile_release_period"])
    return {
        method: explain(
            ensemble, quantities, cells.cells(np.arange(ROWS)), background_of(cells), ShapleySettings(method)
        )
        for method in (ShapleyMethod.KERNEL, ShapleyMethod.PERMUTATION)
    }


def test_published_values_are_reproduced(data_dir: Path, published: dict[str, ShapleyValues]) -> None:
    """By the network of 2024 on predictors standardised already, bounds of single precision, all columns regressed."""
    gold = arrays(data_dir / "oracle/global_shap.nc")
    kernel, permutation = published[ShapleyMethod.KERNEL], published[ShapleyMethod.PERMUTATION]
    assert rms(kernel.values[0] - gold["shap_published"][:ROWS]) < 0.03
    assert rms(permutation.values[0] - gold["shap_published"][:ROWS]) < 0.03
    assert rms(permutation.values[0] - gold["shap_permutation"]) < 0.02
    for found in (kernel, permutation):
        assert found.base[0] == pytest.approx(gold["base_published"], abs=1e-5)
        assert np.abs(found.gap).max() < 1e-9
    assert (kernel.values[0] != 0).sum(1).min() >= 19, "no column is left out of the regression"


def test_background_is_the_authors(data_dir: Path) -> None:
    gold, cells = arrays(data_dir / "oracle/global_shap.nc"), published_cells(data_dir)
    np.testing.assert_array_equal(background_of(cells).values, cells.values[gold["background_rows"].astype(int)])


def test_hemisphere_adds_nothing_to_what_does_not_see_it(published: dict[str, ShapleyValues]) -> None:
    assert np.abs(published[ShapleyMethod.PERMUTATION].values[0, :, 0]).max() < 1e-12


@pytest.mark.parametrize("method", list(ShapleyMethod))
def test_values_and_base_add_up_for_every_kind_of_quantity(method: ShapleyMethod) -> None:
    ensemble, cells = drawn_ensemble(AGNOSTIC), world(80)
    axes = ensemble_axes(ensemble, cells)
    names = ["ce", "lcma", "cue", "gpp_root", "q10", "bud_burst_day", "leaf_fall_day", "initial_water"]
    quantities = (*explained_quantities(names), principal_component(axes, 1), principal_component(axes, 3))
    background = cells.cells(np.arange(12))
    found = explain(ensemble, quantities, cells.cells([40, 50, 60]), background, ShapleySettings(method, pairs=2))
    assert found.values.shape == (10, 3, 11)
    assert (np.abs(found.gap) < 1e-9 * (1 + np.abs(found.model))).all()
    np.testing.assert_allclose(found.model[8:], axes.scores[[40, 50, 60]][:, [0, 2]].T, atol=1e-9)


def test_methods_agree_with_all_coalitions() -> None:
    ensemble, cells = drawn_ensemble(AGNOSTIC), world(50)
    quantities = explained_quantities(["lcma", "bud_burst_day", "gpp_root"])
    background, rows = cells.cells(np.arange(15)), cells.cells([30, 31, 32])
    exact, kernel, drawn = (
        explain(ensemble, quantities, rows, background, ShapleySettings(method, pairs=400))
        for method in (ShapleyMethod.EXACT, ShapleyMethod.KERNEL, ShapleyMethod.PERMUTATION)
    )
    size = np.sqrt(np.square(exact.values).mean((1, 2), keepdims=True))
    # 2,070 of 2,048 coalitions: the regression is over all of them.
    assert np.abs((kernel.values - exact.values) / size).max() < 1e-6
    assert rms((drawn.values - exact.values) / size) < 0.03
    coarse = explain(ensemble, quantities, rows, background, ShapleySettings(ShapleyMethod.PERMUTATION, pairs=4))
    assert rms((drawn.values - exact.values) / size) < 0.3 * rms((coarse.values - exact.values) / size)


def by_hand(evaluate, row: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Shapley values of a row from all orderings."""
    found, orders = np.zeros((evaluate(background).shape[1], row.size)), list(permutations(range(row.size)))
    for order in orders:
        mixed = background.copy()
        before = evaluate(mixed).mean(0)
        for column in order:
            mixed[:, column] = row[column]
            after = evaluate(mixed).mean(0)
            found[:, column] += (after - before) / len(orders)
            before = after
    return found


@settings(max_examples=15)
@given(st.integers(0, 10_000))
def test_all_methods_against_all_orderings(seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights, crossed = rng.normal(size=(4, 2)), rng.normal(size=(4, 4))

    def evaluate(x: np.ndarray) -> np.ndarray:
        return np.tanh(x @ weights) + np.einsum("ri,ij,rj->r", x, crossed, x)[:, None]

    rows, background = rng.normal(size=(3, 4)), rng.normal(size=(5, 4))
    expected = np.stack([by_hand(evaluate, row, background) for row in rows], 1)
    np.testing.assert_allclose(exact_values(evaluate, rows, background), expected, atol=1e-10)
    np.testing.assert_allclose(kernel_values(evaluate, rows, background, 0), expected, atol=1e-7)
    drawn = permutation_values(evaluate, rows, background, 600, seed)
    np.testing.assert_allclose(drawn, expected, atol=0.35)
    np.testing.assert_allclose(drawn.sum(2), expected.sum(2), atol=1e-10)


def test_permutations_are_exact_for_pairs_that_act_together() -> None:
    """An ordering and its reverse: a product of two columns is shared out without noise."""
    rng = np.random.default_rng(0)
    rows, background = rng.normal(size=(2, 6)), rng.normal(size=(4, 6))

    def evaluate(x: np.ndarray) -> np.ndarray:
        return (x[:, 0] * x[:, 1] + x[:, 2] * x[:, 5] + x[:, 3])[:, None]

    found = permutation_values(evaluate, rows, background, 1, 0)
    np.testing.assert_allclose(found, exact_values(evaluate, rows, background), atol=1e-12)


def test_days_are_explained_without_a_seam_at_the_new_year() -> None:
    """Buds that burst some days before and after the new year differ by days, not by a year."""
    cells, member = world(40), drawn_ensemble(("CLIM",), 1).members[0]
    gentle = 0.05 * member.weights.phenology.w

    def network(bias: np.ndarray) -> TrainedMember:
        return replace(member, weights=member.weights._replace(phenology=Layer(gentle, jnp.asarray(bias))))

    unturned = PhysicalEnsemble(("CLIM",), (network(np.zeros(2)),)).members_at(cells)[0][:, 31:33].T
    turn = unbounded(np.full((2, 1), 2 * PERIOD), UNKNOWNS[31:33]) - unbounded(unturned, UNKNOWNS[31:33])
    ensemble = PhysicalEnsemble(("CLIM",), (network(turn.mean(1)),))
    days = ensemble.by_name(cells)["bud_burst_day"]
    assert days.min() < 30
    assert days.max() > PERIOD - 30
    found = explain(ensemble, explained_quantities(["bud_burst_day"]), cells, settings=ShapleySettings("exact"))
    assert np.ptp(found.model) < 100
    assert np.abs(found.values).max() < 100
    np.testing.assert_allclose(found.model[0] % PERIOD, days, atol=1e-9)
    assert np.abs(found.gap).max() < 1e-9


def test_seeds_repeat_and_leave_the_global_generator_alone() -> None:
    ensemble, cells = drawn_ensemble(FULL, 1), world(30)
    quantities, rows, background = explained_quantities(["lcma"]), cells.cells([3, 4]), cells.cells(np.arange(5))
    for method in (ShapleyMethod.KERNEL, ShapleyMethod.PERMUTATION):
        np.random.seed(11)
        expected = np.random.random()
        np.random.seed(11)
        one, same, other = (
            explain(ensemble, quantities, rows, background, ShapleySettings(method, pairs=3, seed=seed)).values
            for seed in (1, 1, 2)
        )
        assert np.random.random() == expected
        np.testing.assert_array_equal(one, same)
        assert not np.array_equal(one, other)


def test_a_row_of_permutations_does_not_depend_on_rows_behind_it() -> None:
    ensemble, cells = drawn_ensemble(FULL, 1), world(30)
    quantities, background = explained_quantities(["lcma"]), cells.cells(np.arange(5))
    setting = ShapleySettings(ShapleyMethod.PERMUTATION, pairs=3)
    few, more = (explain(ensemble, quantities, cells.cells(rows), background, setting) for rows in ([7], [7, 8, 9]))
    np.testing.assert_allclose(few.values[:, 0], more.values[:, 0], rtol=1e-10, atol=1e-12)


def test_results_as_documents() -> None:
    ensemble, cells = drawn_ensemble(("CLIM",)), world(20)
    found = explain(ensemble, explained_quantities(["lcma", "cue"]), cells, settings=ShapleySettings("exact"))
    document = found.to_json()
    assert [one["name"] for one in document["quantities"]] == ["lcma", "cue"]
    assert document["predictors"] == [HEMISPHERE, "MAT", "MAP", "elevation"]
    data = found.to_dataset()
    sums = data.base + data.shapley_value.sum("predictor")
    np.testing.assert_allclose(sums.transpose("quantity", "cell"), data.model, rtol=1e-12)
    assert data.sel(quantity="cue").unit == "1"


def test_what_cannot_be_explained_is_refused() -> None:
    ensemble, cells = drawn_ensemble(FULL, 1), world(20)
    quantities = explained_quantities(["lcma"])
    with pytest.raises(InputError, match="exact Shapley values of 21 predictors: at most 16"):
        explain(ensemble, quantities, cells, settings=ShapleySettings("exact"))
    with pytest.raises(InputError, match="method 'tree': valid are kernel, permutation, exact"):
        ShapleySettings("tree")
    with pytest.raises(InputError, match="0 pairs"):
        ShapleySettings(pairs=0)
    with pytest.raises(InputError, match="at least one cell"):
        explain(ensemble, quantities, cells.cells([]))
    with pytest.raises(InputError, match="and one quantity"):
        explain(ensemble, [], cells)
    with pytest.raises(InputError, match="quantity 'ce' was not explained: valid are lcma"):
        explain(PhysicalEnsemble(("CLIM",), drawn_ensemble(("CLIM",)).members), quantities, cells,
                settings=ShapleySettings("exact")).place("ce")  # fmt: skip
