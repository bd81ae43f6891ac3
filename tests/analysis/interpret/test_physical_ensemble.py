"""Ensemble means against members computed one by one, days over the turn of the year, refusals by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phloem.analysis.interpret.explained_quantity import SOURCES, ExplainedQuantity, explained_quantities
from phloem.analysis.interpret.physical_ensemble import (
    MAX_ROWS,
    REPEATING,
    PhysicalEnsemble,
    TrainedMember,
    circular_mean,
    own_columns,
)
from phloem.analysis.interpret.predictor_table import PredictorTable, predictor_table
from phloem.errors import InputError
from phloem.kernels.models.dalec_monthly.parameters import UNKNOWNS
from phloem.kernels.models.dalec_monthly.strategy import MONTHLY_STRATEGY, UNKNOWN_NAMES
from phloem.kernels.network.parameter_network import Layer, hemisphere, unbounded_quantities
from phloem.kernels.network.set_ups import HEMISPHERE, columns, standardised
from phloem.kernels.network.training_loss import TrainingLoss
from phloem.kernels.network.training_step import ALL_COLUMNS, Trainer
from phloem.kernels.objective.bounded_log import physical
from phloem.names import PERIOD
from tests.support.analysis.small_ensembles import (
    AGNOSTIC,
    FULL,
    drawn_ensemble,
    published_cells,
    published_ensemble,
    world,
)
from tests.support.kernels.global_oracle import arrays, golden_network


@pytest.mark.parametrize("name", ["published_2026", "published_2025", "published_2024"])
def test_a_published_network_gives_its_physical_values(data_dir: Path, name: str) -> None:
    gold = arrays(data_dir / "oracle/global_network.nc")
    place = [str(one) for one in gold["weights"]].index(name)
    cells = PredictorTable(columns(FULL), gold["predictors"])
    found = published_ensemble(data_dir, name).members_at(cells)
    np.testing.assert_allclose(found[0], gold["physical"][place], rtol=1e-11)
    means = published_ensemble(data_dir, name).means_at(cells)
    expected = gold["physical"][place].copy()
    expected[:, 31:33] %= PERIOD
    np.testing.assert_allclose(means, expected, rtol=1e-11)


def test_labile_release_period_of_published_cells_is_the_explained_model(data_dir: Path) -> None:
    model = arrays(data_dir / "oracle/global_shap.nc")["model"]
    found = published_ensemble(data_dir).by_name(published_cells(data_dir))["labile_release_period"]
    np.testing.assert_allclose(found, model, atol=5e-5)  # theirs is of single precision


def test_each_member_standardises_by_its_own_cells_hemisphere_included() -> None:
    ensemble, cells = drawn_ensemble(FULL), world()
    found = ensemble.members_at(cells)
    for member, values in zip(ensemble.members, found, strict=True):
        x = standardised(cells.values, member.mean, member.deviation, cells.names)
        raw = unbounded_quantities(member.weights, jnp.asarray(x))
        np.testing.assert_allclose(values, np.asarray(physical(raw, UNKNOWNS)).T, rtol=1e-12)
    one = ensemble.members[0]
    moved = replace(one, mean=one.mean + np.eye(21)[0])
    other = PhysicalEnsemble(FULL, (moved,)).members_at(cells)[0]
    differ = ~np.isclose(other, found[0], rtol=1e-12).all(0)
    assert tuple(np.flatnonzero(differ)) == REPEATING, "the hemisphere's statistics move the days, and them alone"


def test_means_are_of_physical_values_and_days_are_circular() -> None:
    ensemble, cells = drawn_ensemble(AGNOSTIC, 5), world()
    each, means = ensemble.members_at(cells), ensemble.means_at(cells)
    assert each.shape == (5, 60, 40)
    plain = [row for row in range(40) if row not in REPEATING]
    np.testing.assert_allclose(means[:, plain], each.mean(0)[:, plain], rtol=1e-13)
    for row in REPEATING:
        turn = np.exp(2j * np.pi * each[..., row] / PERIOD).mean(0)
        np.testing.assert_allclose(np.exp(2j * np.pi * means[:, row] / PERIOD), turn / abs(turn), atol=1e-10)
        assert ((means[:, row] >= 0) & (means[:, row] < PERIOD)).all()
    assert list(ensemble.by_name(cells)) == list(UNKNOWN_NAMES)


def test_days_on_both_sides_of_the_new_year_have_their_mean_there() -> None:
    """The linear mean of days modulo the year would be in summer."""
    days = jnp.array([PERIOD + 360.0, 2 * PERIOD + 5.0])
    assert float(circular_mean(days, PERIOD)) == pytest.approx((360 + 5 + PERIOD) / 2 % PERIOD)


@given(st.floats(0, 1000), st.lists(st.floats(-80, 80), min_size=1, max_size=8))
def test_circular_mean_turns_with_its_days(start: float, offsets: list[float]) -> None:
    days = jnp.asarray(offsets) + 500.0
    before, after = (float(circular_mean(one, PERIOD)) for one in (days, days + start))
    assert abs((after - before - start + PERIOD / 2) % PERIOD - PERIOD / 2) < 1e-8
    assert 0 <= after < PERIOD


def test_single_precision_is_near_double() -> None:
    cells = world()
    double, single = (drawn_ensemble(FULL, precision=one) for one in ("float64", "float32"))
    assert single.members_at(cells).dtype == np.float32
    np.testing.assert_allclose(single.members_at(cells), double.members_at(cells), rtol=2e-4)


def test_pieces_of_any_number_of_cells_give_the_same() -> None:
    ensemble, cells = drawn_ensemble(("CLIM",), 2), world(37)
    many = cells.cells(np.arange(MAX_ROWS + 5) % 37)
    last = np.arange(MAX_ROWS, MAX_ROWS + 5) % 37
    np.testing.assert_allclose(ensemble.means_at(many)[-5:], ensemble.means_at(cells)[last], rtol=1e-12)
    np.testing.assert_allclose(ensemble.means_at(cells.cells([3])), ensemble.means_at(cells)[[3]], rtol=1e-12)


def test_networks_trained_side_by_side_are_cut_to_their_own_predictors() -> None:
    trainer = Trainer(TrainingLoss(), (AGNOSTIC,), 1e-3, precision="float64")
    whole = trainer.draw(jax.random.key(3), 0)
    small = own_columns(whole, AGNOSTIC)
    x = np.random.default_rng(0).normal(size=(9, len(ALL_COLUMNS)))
    seen = [ALL_COLUMNS.index(name) for name in columns(AGNOSTIC)]
    masked = jnp.asarray(x * trainer.masks[0])
    np.testing.assert_allclose(
        unbounded_quantities(small, jnp.asarray(x[:, seen])), unbounded_quantities(whole, masked), rtol=1e-12
    )


def test_every_source_can_be_explained_and_combined() -> None:
    ensemble, cells = drawn_ensemble(AGNOSTIC), world(20)
    means = ensemble.means_at(cells)
    rows, centres = cells.columns(ensemble.names), ensemble.day_centres(cells)
    derived = MONTHLY_STRATEGY.compute(means)
    found = ensemble.explained_at(rows, explained_quantities((*SOURCES, "cue")), centres)
    for name, values in zip((*SOURCES, "cue"), found.T, strict=True):
        if name in UNKNOWN_NAMES:
            expected = means[:, UNKNOWN_NAMES.index(name)]
        else:
            expected = 1 - derived["f_auto"] if name == "cue" else derived[name]
        if name in ("bud_burst_day", "leaf_fall_day"):
            values, expected = values % PERIOD, expected % PERIOD
        np.testing.assert_allclose(values, expected, rtol=1e-9, err_msg=name)
    both = ExplainedQuantity("mix", "1", "", {"lcma": 2.0, "gpp_root": -3.0}, 7.0)
    mixed = ensemble.explained_at(rows, [both], centres)[:, 0]
    np.testing.assert_allclose(mixed, 7 + 2 * derived["lcma"] - 3 * derived["gpp_root"], rtol=1e-12)


def test_share_to_labile_carbon_is_read_from_its_own_slot() -> None:
    """The public script reads it from the foliar one, and so has labile, root and wood wrong."""
    cells = world(30)
    ensemble = drawn_ensemble(FULL, 1)
    means = ensemble.by_name(cells)
    rest = (1 - means["f_auto"]) * (1 - means["f_foliar"])
    names = ("gpp_labile", "gpp_root", "gpp_wood", "gpp_foliar", "f_auto")
    found = ensemble.explained_at(cells.values, explained_quantities(names), ensemble.day_centres(cells))
    labile, root, wood = found.T[:3]
    np.testing.assert_allclose(labile, rest * means["f_labile"], rtol=1e-12)
    np.testing.assert_allclose(root, rest * (1 - means["f_labile"]) * means["f_root"], rtol=1e-12)
    np.testing.assert_allclose(wood, rest * (1 - means["f_labile"]) * (1 - means["f_root"]), rtol=1e-12)
    assert not np.allclose(means["f_labile"], means["f_foliar"], rtol=0.01)
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-12)


class TestRefusals:
    def test_a_constant_predictor_is_named(self) -> None:
        member = drawn_ensemble(AGNOSTIC, 1).members[0]
        flat = np.where(np.array(columns(AGNOSTIC)) == "sand", 0.0, member.deviation)
        with pytest.raises(InputError, match="member 1: predictor sand is the same in all training cells"):
            PhysicalEnsemble(AGNOSTIC, (member, replace(member, deviation=flat)))

    def test_cells_without_a_predictor_are_named(self) -> None:
        cells = world(8)
        values = cells.values.copy()
        values[[2, 5], 12] = np.nan
        with pytest.raises(InputError, match=r"predictor MAP: not finite in cells 2, 5"):
            drawn_ensemble(AGNOSTIC).means_at(PredictorTable(cells.names, values))

    def test_a_missing_predictor_is_named(self) -> None:
        table = predictor_table(np.zeros(3), {"MAT": np.zeros(3)})
        with pytest.raises(InputError, match="predictor 'MAP': valid are hemisphere, MAT"):
            drawn_ensemble(("CLIM",)).means_at(table)

    def test_unknown_quantity_group_and_precision_are_named(self) -> None:
        with pytest.raises(InputError, match=r"quantity 'lmca': valid are .* Did you mean 'lcma'\?"):
            explained_quantities(["lmca"])
        members = drawn_ensemble(("CLIM",)).members
        with pytest.raises(InputError, match=r"'CLIMATE'.*Did you mean 'CLIM'"):
            PhysicalEnsemble(("CLIMATE",), members)
        with pytest.raises(InputError, match="'bfloat16'"):
            PhysicalEnsemble(("CLIM",), members, precision="bfloat16")

    def test_a_network_of_another_set_up_or_with_nan_is_refused(self) -> None:
        member = drawn_ensemble(("CLIM",)).members[0]
        with pytest.raises(InputError, match="member 0: a network of 3 predictors, its set-up has 10"):
            PhysicalEnsemble(AGNOSTIC, (member,))
        broken = member.weights._replace(pools=Layer(member.weights.pools.w * np.nan, member.weights.pools.b))
        with pytest.raises(InputError, match="member 0: weights that are not finite"):
            PhysicalEnsemble(("CLIM",), (replace(member, weights=broken),))
        with pytest.raises(InputError, match="at least one member"):
            PhysicalEnsemble(("CLIM",), ())


def test_published_weights_are_of_the_hemisphere_standardised_with_the_rest(data_dir: Path) -> None:
    """Raw as the public script gives it, 0 or 1 for -1.8 or 0.6, it moves days by 41 in the north, 115 in the south."""
    cells = published_cells(data_dir)
    mean, deviation = np.zeros(21), np.ones(21)
    mean[0], deviation[0] = 0.758, 0.428
    weights = golden_network(data_dir / "oracle", "published_2024")
    raw = np.rint(cells.values[:, 0] * deviation[0] + mean[0])
    assert set(np.unique(raw)) == {0.0, 1.0}
    by_hand = published_ensemble(data_dir).by_name(cells)["bud_burst_day"]
    named = cells.replaced(**{HEMISPHERE: hemisphere(np.where(raw > 0, 50.0, -50.0))})
    ours = PhysicalEnsemble(FULL, (TrainedMember(weights, mean, deviation),), published_ensemble(data_dir).table)
    near = np.abs((ours.by_name(named)["bud_burst_day"] - by_hand + PERIOD / 2) % PERIOD - PERIOD / 2)
    assert np.median(near) < 1.0
    wrong = published_ensemble(data_dir).by_name(named)["bud_burst_day"]
    off = np.abs((wrong - by_hand + PERIOD / 2) % PERIOD - PERIOD / 2)
    assert np.median(off[raw == 0]) > 100
    assert np.median(off[raw == 1]) > 20
