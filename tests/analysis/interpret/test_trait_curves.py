"""Traits against their environment: values on the curve's ordinate, cells of one type, refusals."""

from __future__ import annotations

import json

import numpy as np
import pytest

from phloem.analysis.attribution.dependence_curves import trend
from phloem.analysis.interpret.explained_quantity import explained_quantities
from phloem.analysis.interpret.predictor_table import PredictorTable
from phloem.analysis.interpret.shapley_values import ShapleySettings, explain
from phloem.analysis.interpret.trait_curves import ENVIRONMENT, GLOBAL, TRAITS, trait_curve, trait_environment
from phloem.errors import InputError
from tests.support.analysis.small_ensembles import AGNOSTIC, FULL, drawn_ensemble, world

FEW = ShapleySettings("permutation", pairs=1)


def forests(cells: int = 60) -> PredictorTable:
    """Return cells of which the first third is covered by evergreen broadleaf forest and two by mixed."""
    table = world(cells)
    values = table.values.copy()
    values[:, 1:11] = 0.0
    values[:, table.names.index("SAV")] = 50.0
    values[:, table.names.index("GRA")] = 50.0
    for name, place in (("EBF", slice(0, cells // 3)), ("MF", slice(cells // 3, cells // 3 + 2))):
        values[place, 1:11] = 0.0
        values[place, table.names.index(name)] = 100.0
    return PredictorTable(table.names, values)


def test_ordinate_is_base_plus_value_in_the_traits_unit() -> None:
    ensemble, cells = drawn_ensemble(("CLIM",)), world(40)
    explained = explain(ensemble, explained_quantities(TRAITS), cells, settings=ShapleySettings("exact"))
    curve = trait_curve(explained, "cue", "MAP", window=0.5)
    np.testing.assert_array_equal(curve.x, cells.column("MAP"))
    phi = explained.values[explained.place("cue"), :, explained.column("MAP")]
    np.testing.assert_allclose(curve.y, explained.base[explained.place("cue")] + phi)
    np.testing.assert_array_equal(curve.trend, trend(curve.x, curve.y, curve.grid, 0.5))
    assert 0.2 < explained.base[explained.place("cue")] < 0.8
    assert curve.y.min() - 0.02 < curve.trend.min() <= curve.trend.max() < curve.y.max() + 0.02


def test_curves_of_all_cells_are_agnostic_and_those_of_a_type_of_its_cells() -> None:
    table, seen = forests(), np.ones((3, 60), bool)
    seen[1, 4] = False
    found = trait_environment(drawn_ensemble(AGNOSTIC), drawn_ensemble(FULL), table, seen, ("EBF", "MF"), settings=FEW)
    everywhere = [one for one in found.curves if one.plant_type == GLOBAL]
    evergreen = [one for one in found.curves if one.plant_type == "EBF"]
    assert [(one.trait, one.predictor) for one in everywhere] == [(t, p) for t in TRAITS for p in ENVIRONMENT]
    assert len(evergreen) == len(everywhere)
    assert {len(one.x) for one in everywhere} == {59}
    kept = np.delete(np.arange(20), 4)
    np.testing.assert_array_equal(evergreen[0].x, table.column("MAT")[kept])
    assert found.refused == {"MF": "2 cells of MF, a curve needs 10"}
    document = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert len(document["curves"]) == 2 * len(everywhere)
    assert len(document["curves"][0]["trend"]) == 200


def test_what_makes_no_curve_is_refused() -> None:
    ensemble, cells = drawn_ensemble(("CLIM",)), world(20)
    flat = cells.replaced(MAT=np.full(20, 3.5))
    explained = explain(ensemble, explained_quantities(["ce"]), flat, settings=ShapleySettings("exact"))
    with pytest.raises(InputError, match=r"ce against MAT: the predictor is 3\.5 in all 20 cells"):
        trait_curve(explained, "ce", "MAT")
    with pytest.raises(InputError, match="predictor 'canopy_height': valid are hemisphere, MAT, MAP, elevation"):
        trait_curve(explained, "ce", "canopy_height")
    table, seen = forests(), np.ones((1, 60), bool)
    aware = drawn_ensemble(FULL)
    with pytest.raises(InputError, match="networks of CLIM do not see canopy_height"):
        trait_environment(ensemble, aware, table, seen, settings=FEW)
    with pytest.raises(InputError, match=r"plant functional type 'EBL'.*Did you mean"):
        trait_environment(drawn_ensemble(AGNOSTIC), aware, table, seen, ("EBL",), settings=FEW)
