"""Importance, direction and groups of predictors, on made-up values and on the authors' own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phloem.analysis.interpret.explained_quantity import explained_quantities
from phloem.analysis.interpret.predictor_importance import ALL_GROUPS, direction, network_importance
from phloem.analysis.interpret.shapley_values import ShapleySettings, ShapleyValues, explain
from phloem.errors import InputError
from phloem.kernels.network.set_ups import GROUPS, columns
from tests.support.analysis.small_ensembles import FULL, drawn_ensemble, published_cells, world
from tests.support.kernels.global_oracle import arrays


def published_values(folder: Path) -> ShapleyValues:
    gold = arrays(folder / "oracle/global_shap.nc")
    return ShapleyValues(
        explained_quantities(["labile_release_period"]), columns(FULL), published_cells(folder).values,
        gold["shap_published"][None], gold["base_published"].reshape(1), gold["model"][None], ShapleySettings(),
    )  # fmt: skip


def test_plant_types_carry_a_third_to_a_half_of_the_published_values(data_dir: Path) -> None:
    """What the paper says of all quantities together, .35 to .5, at one of them."""
    found = network_importance(published_values(data_dir), "labile_release_period")
    assert 0.3 < found.share_of("PFT") < 0.55
    assert sum(found.groups.values()) == pytest.approx(1)
    assert set(found.groups) == {*GROUPS, "HEMISPHERE"}
    sizes = np.abs(published_values(data_dir).values[0]).mean(0)
    for name in GROUPS:
        own = sum(size for size, column in zip(sizes, columns(FULL), strict=True) if column in GROUPS[name])
        assert found.share_of(name) == pytest.approx(own / sizes.sum())
    assert found.ranked[0].mean_absolute == sizes.max()


def test_direction_is_of_the_upper_quartile_less_the_lower() -> None:
    x = np.arange(8.0)
    phi = np.array([-4.0, -2.0, 9.0, 9.0, 9.0, 9.0, 5.0, 7.0])
    assert direction(x, phi) == pytest.approx(6 - -3)


def test_direction_of_a_rare_type_compares_cells_with_it_to_cells_without() -> None:
    x = np.array([0.0] * 18 + [40.0, 90.0])
    phi = np.where(x > 0, 3.0, -0.5)
    assert direction(x, phi) == pytest.approx(3.5)
    assert direction(100 - x, -phi) == pytest.approx(3.5)
    assert np.isnan(direction(np.zeros(20), phi))


@given(st.lists(st.sampled_from([0.0, 1.0, 2.0, 5.0]), min_size=2, max_size=30), st.floats(0.1, 5))
def test_direction_of_a_linear_effect_has_its_sign(x: list[float], slope: float) -> None:
    values = np.array(x)
    found = direction(values, slope * values)
    if np.ptp(values) == 0:
        assert np.isnan(found)
    else:
        assert found >= 0
        assert direction(values, -slope * values) == pytest.approx(-found)


def test_a_predictor_that_matters_not_has_no_share_and_a_constant_no_direction() -> None:
    cells = world(20)
    cells = cells.replaced(sand=np.full(20, 0.3))
    ensemble = drawn_ensemble(FULL, 1)
    setting = ShapleySettings("permutation", pairs=1)
    explained = explain(ensemble, explained_quantities(["lcma"]), cells, cells.cells(np.arange(4)), setting)
    found = network_importance(explained, "lcma", "GRA")
    rows = {row.predictor: row for row in found.rows}
    assert rows["sand"].mean_absolute < 1e-12
    assert np.isnan(rows["sand"].direction)
    assert rows["hemisphere"].share < 1e-12
    document = found.to_json()
    assert document["plant_type"] == "GRA"
    assert next(row for row in document["predictors"] if row["predictor"] == "sand")["direction"] is None
    with pytest.raises(InputError, match="group of predictors 'CLIMATE': valid are HEMISPHERE, PFT, CLIM, AGE, SOIL"):
        found.share_of("CLIMATE")
    lacking = {name: members for name, members in ALL_GROUPS.items() if name != "AGE"}
    with pytest.raises(InputError, match="predictors canopy_height, forest_age are in no group"):
        network_importance(explained, "lcma", groups=lacking)
    with pytest.raises(InputError, match="'ce' was not explained"):
        network_importance(explained, "ce")
