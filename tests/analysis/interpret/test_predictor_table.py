"""Which cells are explained: the members' own, with all predictors, of one plant type, and none out of line."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phloem.analysis.interpret.predictor_table import PredictorTable, explained_cells, predictor_table
from phloem.errors import InputError
from phloem.kernels.network.set_ups import HEMISPHERE
from tests.support.analysis.small_ensembles import world


def covered(cells: int, plant_type: str, where: list[int], share: float = 90.0) -> PredictorTable:
    """Return cells of grass but for some that another type covers."""
    table = world(cells)
    values = table.values.copy()
    values[:, 1:11] = 0.0
    values[:, table.names.index("GRA")] = 100.0
    for cell in where:
        values[cell, table.names.index("GRA")] = 100.0 - share
        values[cell, table.names.index(plant_type)] = share
    return PredictorTable(table.names, values)


def test_hemisphere_is_the_logistic_function_of_the_latitude() -> None:
    table = predictor_table(np.array([-40.0, 0.0, 55.0]), {"MAT": np.array([1.0, 2.0, 3.0])})
    assert table.names == (HEMISPHERE, "MAT")
    np.testing.assert_allclose(table.column(HEMISPHERE), [0, 0.5, 1], atol=1e-15)


def test_plant_type_mask_is_aligned_where_cells_before_it_are_invalid() -> None:
    """The public script takes the mask of all cells for the valid ones: each gap before a cell shifts it by one."""
    table = covered(30, "EBF", [7, 8, 20])
    values = table.values.copy()
    values[[0, 3, 8], 15] = np.nan
    table = PredictorTable(table.names, values)
    found = explained_cells(table, table.names, np.ones((1, 30), bool), plant_type="EBF")
    assert found.tolist() == [7, 20]
    assert (table.cells(found).column("EBF") >= 80).all()


@given(st.lists(st.sampled_from(["valid", "hole", "test", "other"]), min_size=1, max_size=40))
def test_explained_cells_are_those_that_meet_every_condition(kinds: list[str]) -> None:
    where = [place for place, kind in enumerate(kinds) if kind != "other"]
    table = covered(len(kinds), "CRO", where)
    values = table.values.copy()
    values[[place for place, kind in enumerate(kinds) if kind == "hole"], 13] = np.nan
    seen = np.array([[kind != "test" for kind in kinds], [True] * len(kinds)])
    table, valid = PredictorTable(table.names, values), [at for at, kind in enumerate(kinds) if kind == "valid"]
    if not valid:
        with pytest.raises(InputError, match=f"no cell of {len(kinds)} can be explained"):
            explained_cells(table, table.names, seen, plant_type="CRO")
    else:
        assert explained_cells(table, table.names, seen, plant_type="CRO").tolist() == valid


def test_cells_are_of_the_members_own_splits_and_not_of_another_run() -> None:
    table = world(40)
    rng = np.random.default_rng(5)
    splits = rng.random((61, 40)) < 0.8
    mine = explained_cells(table, table.names, splits[[3, 17]])
    assert mine.tolist() == np.flatnonzero(splits[3] & splits[17]).tolist()
    assert mine.tolist() != explained_cells(table, table.names, splits[[60]]).tolist()


def test_a_draw_is_without_replacement_and_repeatable() -> None:
    table, seen = world(200), np.ones((2, 200), bool)
    found = explained_cells(table, table.names, seen, count=50, seed=4)
    assert len(set(found.tolist())) == 50
    np.testing.assert_array_equal(found, explained_cells(table, table.names, seen, count=50, seed=4))
    assert found.tolist() != explained_cells(table, table.names, seen, count=50, seed=5).tolist()
    assert len(explained_cells(table, table.names, seen, count=500)) == 200


@pytest.mark.parametrize("whole", [1.0, 100.0])
def test_fractions_in_another_unit_than_stated_are_refused(whole: float) -> None:
    table = covered(5, "WET", [1])
    values = table.values.copy()
    values[:, 1:11] *= whole / 100
    table = PredictorTable(table.names, values)
    assert table.dominated_by("WET", whole=whole).tolist() == [False, True, False, False, False]
    with pytest.raises(InputError, match=f"add up to {whole:g} at most"):
        table.dominated_by("WET", whole=101.0 - whole)


def test_unknown_names_and_lengths_are_refused() -> None:
    with pytest.raises(InputError, match=r"predictor 'canopyheight'.*Did you mean 'canopy_height'"):
        predictor_table(np.zeros(2), {"canopyheight": np.zeros(2)})
    with pytest.raises(InputError, match=r"predictor MAT: shape \(3,\), latitudes have \(2,\)"):
        predictor_table(np.zeros(2), {"MAT": np.zeros(3)})
    with pytest.raises(InputError, match="plant functional type 'ENF': valid are NF, DBF"):
        world().dominated_by("ENF")
    with pytest.raises(InputError, match="that members have seen: 4, predictors are of 60"):
        explained_cells(world(), world().names, np.ones((2, 4), bool))
