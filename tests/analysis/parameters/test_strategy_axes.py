"""Principal components of the ecological variables: against an eigen-decomposition by hand, with signs fixed."""

from __future__ import annotations

import numpy as np
import pytest

from phloem.analysis.parameters.strategy_axes import _fix_signs, strategy_axes
from phloem.kernels.calibrations.dalec_daily.derived_quantities import STRATEGY, strategies
from tests.support.kernels.dalec_names import PARAMETERS

NAMES = list(STRATEGY.names)


def parameters(cells: int = 200, seed: int = 0) -> np.ndarray:
    """Two strategies behind all parameters, and members that scatter."""
    rng = np.random.default_rng(seed)
    slow, tall = rng.normal(size=(2, cells, 1))
    values = np.exp(0.02 * rng.normal(size=(cells, 30)) + 0.1 * rng.normal(size=30) * slow) * 0.3
    values[:, [PARAMETERS.index("f_root")]] *= np.exp(-0.2 * tall)
    values[:, PARAMETERS.index("lcma")] *= 200
    return values[:, None] * np.exp(0.05 * rng.normal(size=(cells, 5, 30)))


def test_variables_are_the_models_allocation() -> None:
    given = dict.fromkeys(PARAMETERS, 0.0) | {
        "f_auto": 0.5, "f_foliar": 0.2, "f_labile": 0.25, "f_root": 0.4, "temperature_sensitivity": 0.05,
        "turnover_litter": 0.003, "lcma": 80.0, "canopy_efficiency": 12.0, "labile_release_period": 40.0,
    }  # fmt: skip
    row = strategies(np.array([given[name] for name in PARAMETERS]))
    assert list(row) == NAMES
    assert row["gpp_foliar"] == pytest.approx(0.5 * 0.2)
    assert row["gpp_labile"] == pytest.approx(0.5 * 0.8 * 0.25)
    assert row["gpp_root"] == pytest.approx(0.5 * 0.8 * 0.75 * 0.4)
    assert row["gpp_wood"] == pytest.approx(0.5 * 0.8 * 0.75 * 0.6)
    parts = ("f_auto", "gpp_labile", "gpp_foliar", "gpp_wood", "gpp_root")
    assert sum(row[name] for name in parts) == pytest.approx(1)
    assert row["q10"] == pytest.approx(np.exp(0.5))
    assert (row["k_lit"], row["lcma"], row["ce"], row["leaf_onset_period"]) == (0.003, 80, 12, 40)
    assert len(NAMES) == 13


def test_components_against_an_eigen_decomposition() -> None:
    given = parameters()
    given[3] = np.nan
    given[4, :2] = np.nan
    found = strategy_axes(given, STRATEGY)
    mean = np.nanmean(np.delete(given, 3, axis=0), axis=1)
    table = np.stack(list(strategies(mean).values()), axis=-1)
    standard = (table - table.mean(axis=0)) / table.std(axis=0)
    values, vectors = np.linalg.eigh(standard.T @ standard / len(standard))
    values, vectors = values[::-1], vectors[:, ::-1].T
    np.testing.assert_allclose(found.explained, values / values.sum(), atol=1e-10)
    for component in range(3):
        assert abs(vectors[component] @ found.loadings[component]) == pytest.approx(1, abs=1e-8)
    assert found.cells == 199
    assert np.isnan(found.scores[3]).all()
    kept = np.delete(found.scores, 3, axis=0)
    np.testing.assert_allclose(kept, standard @ found.loadings.T, atol=1e-9)
    np.testing.assert_allclose(np.cov(kept[:, :3].T, ddof=0), np.diag(values[:3]), atol=1e-8)


@pytest.mark.parametrize("seed", range(5))
def test_signs_are_fixed(seed: int) -> None:
    found = strategy_axes(parameters(seed=seed), STRATEGY)
    for component in range(3):
        assert found.loadings[component, NAMES.index(found.sign_by[component])] > 0
    assert found.to_json()["refused"] is None


def test_a_sign_is_not_fixed_by_a_variable_that_does_not_load() -> None:
    rows = np.zeros((4, 13))
    rows[0, NAMES.index("lcma")], rows[0, 0] = -0.6, 0.8
    rows[1, NAMES.index("gpp_wood")], rows[1, 1] = -0.01, -0.99
    rows[2, NAMES.index("ce")], rows[2, 2] = 0.7, -0.7
    rows[3, 5] = -1.0
    fixed, sign_by = _fix_signs(rows, STRATEGY)
    assert sign_by == ("lcma", NAMES[1], "ce", NAMES[5])
    assert fixed[0, NAMES.index("lcma")] == 0.6
    assert fixed[1, 1] == 0.99
    assert fixed[2, NAMES.index("ce")] == 0.7
    assert fixed[3, 5] == 1.0


def test_refusals_in_words() -> None:
    few = strategy_axes(parameters(cells=25), STRATEGY)
    assert few.refused == "25 of 25 cells have all variables; 26 are needed, two a variable"
    assert few.to_json()["loadings"] == []
    flat = parameters()
    flat[:, :, PARAMETERS.index("uwue")] = 10.0
    assert strategy_axes(flat, STRATEGY).refused == "uwue is the same in all 200 cells"
    assert strategy_axes(np.full((40, 5, 30), np.nan), STRATEGY).refused.startswith("0 of 40 cells")
