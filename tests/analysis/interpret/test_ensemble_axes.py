"""Components of an ensemble's maps: signs, refusal, and their score as an explained quantity."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from phloem.analysis.interpret.ensemble_axes import ensemble_axes
from phloem.analysis.interpret.explained_quantity import principal_component
from phloem.errors import InputError
from phloem.kernels.models.dalec_monthly.strategy import MONTHLY_STRATEGY
from tests.support.analysis.small_ensembles import (
    AGNOSTIC,
    drawn_ensemble,
    published_cells,
    published_ensemble,
    world,
)


def test_components_of_a_published_network(data_dir: Path) -> None:
    ensemble, cells = published_ensemble(data_dir), published_cells(data_dir)
    axes = ensemble_axes(ensemble, cells)
    assert axes.cells == 1000
    # The paper's, of the maps of ten members.
    np.testing.assert_allclose(axes.explained[:3], [0.532, 0.221, 0.105], atol=0.06)
    assert axes.sign_by[:3] == ("lcma", "gpp_wood", "ce")
    for number, name in enumerate(axes.sign_by[:3]):
        assert axes.loadings[number, axes.variables.index(name)] > 0
    variables = MONTHLY_STRATEGY.compute(ensemble.means_at(cells))
    table = np.stack([variables[name] for name in axes.variables], 1)
    standard = (table - table.mean(0)) / table.std(0)
    np.testing.assert_allclose(axes.scores, standard @ axes.loadings.T, atol=1e-9)
    centres = ensemble.day_centres(cells)
    for number in (1, 2, 3):
        found = ensemble.explained_at(cells.values, [principal_component(axes, number)], centres)[:, 0]
        np.testing.assert_allclose(found, axes.scores[:, number - 1], atol=1e-9)


def test_too_few_cells_and_components_that_there_are_not_are_refused() -> None:
    ensemble = drawn_ensemble(AGNOSTIC)
    few = ensemble_axes(ensemble, world(20))
    with pytest.raises(InputError, match="principal component 1: 20 of 20 cells have all variables; 26 are needed"):
        principal_component(few, 1)
    with pytest.raises(InputError, match="principal component 14: valid are 1 to 13"):
        principal_component(ensemble_axes(ensemble, world(60)), 14)
