"""Balanced fluxes: identities, least change, nothing to do where nothing is wrong, missing fluxes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from phloem.analysis.benchmark.skill_scores import IDENTITIES
from phloem.analysis.causes.reconciliation import CONSTRAINTS, FLUXES, reconcile
from phloem.errors import InputError

VALUES = arrays(float, (6, 5), elements=st.floats(-20, 20))
SPREADS = arrays(float, (6, 5), elements=st.floats(0.01, 25))


def named(values: np.ndarray) -> dict[str, np.ndarray]:
    return dict(zip(FLUXES, values, strict=True))


def rows(fluxes: dict[str, np.ndarray]) -> np.ndarray:
    return np.array([fluxes[name] for name in FLUXES])


@settings(max_examples=150, deadline=None)
@given(VALUES, SPREADS)
def test_identities_hold_to_rounding(values: np.ndarray, spreads: np.ndarray) -> None:
    found = reconcile(named(values), named(spreads)).fluxes
    with_nep = found | {"nep": -found["nee"]}
    for terms in IDENTITIES.values():
        rest = sum(sign * with_nep[flux] for flux, sign in terms.items())
        size = sum(np.abs(with_nep[flux]) for flux in terms)
        assert (np.abs(rest) <= 1e-13 * (size + 1e-3)).all()


@settings(max_examples=150, deadline=None)
@given(VALUES, SPREADS)
def test_the_change_is_the_least_by_its_karush_kuhn_tucker_conditions(values: np.ndarray, spreads: np.ndarray) -> None:
    """Change over variance is a combination of the constraints: nothing along their null space is left."""
    change = rows(reconcile(named(values), named(spreads)).change)
    null = np.linalg.svd(CONSTRAINTS)[2][3:]
    assert np.abs(null @ (change / spreads)).max() <= 1e-9 * (1 + np.abs(change / spreads).max())


@settings(max_examples=60, deadline=None)
@given(VALUES, SPREADS, st.integers(0, 1000))
def test_no_other_balanced_fluxes_cost_less(values: np.ndarray, spreads: np.ndarray, seed: int) -> None:
    found = reconcile(named(values), named(spreads))
    null = np.linalg.svd(CONSTRAINTS)[2][3:]
    other = rows(found.fluxes) + null.T @ np.random.default_rng(seed).standard_normal((3, 5))
    cost = ((other - values) ** 2 / spreads).sum(axis=0)
    assert (cost >= found.cost * (1 - 1e-9) - 1e-9).all()


@settings(max_examples=100, deadline=None)
@given(arrays(float, (3, 5), elements=st.floats(-20, 20)), SPREADS)
def test_balanced_fluxes_are_left_as_they_are(free: np.ndarray, spreads: np.ndarray) -> None:
    npp, ra, rh = free
    gpp, reco = npp + ra, ra + rh
    values = np.array([gpp, reco, reco - gpp, npp, ra, rh])
    found = reconcile(named(values), named(spreads))
    assert np.array_equal(rows(found.fluxes), values)
    assert not found.cost.any()


def test_by_hand_equal_variances_share_a_gap_of_three_fluxes_alike() -> None:
    """gpp 10 against npp 4 + ra 3: 3 too many, one each; the other fluxes are missing and follow."""
    found = reconcile({"gpp": np.array(10.0), "npp": np.array(4.0), "ra": np.array(3.0)},
                      {"gpp": 1.0, "npp": 1.0, "ra": 1.0})  # fmt: skip
    assert [float(found.fluxes[name]) for name in ("gpp", "npp", "ra")] == pytest.approx([9, 5, 4])
    assert float(found.cost) == pytest.approx(3)
    assert all(np.isnan(found.fluxes[name]) for name in ("reco", "nee", "rh"))


def test_a_flux_that_is_known_well_moves_little() -> None:
    found = reconcile({"gpp": np.array(10.0), "npp": np.array(4.0), "ra": np.array(3.0)},
                      {"gpp": 1e-8, "npp": 1.0, "ra": 1.0})  # fmt: skip
    assert float(found.fluxes["gpp"]) == pytest.approx(10, abs=1e-6)
    assert float(found.fluxes["npp"]) == pytest.approx(5.5)


@settings(max_examples=60, deadline=None)
@given(VALUES, SPREADS, st.sets(st.sampled_from(range(6)), min_size=1, max_size=5))
def test_a_missing_flux_is_one_of_boundless_variance(values: np.ndarray, spreads: np.ndarray, lost: set[int]) -> None:
    """Against the plain formula with variances of 1e9 in place of the missing ones, where that determines them."""
    missing = values.copy()
    missing[list(lost)] = np.nan
    found = reconcile(named(missing), named(spreads))
    wide = spreads.copy()
    wide[list(lost)] = 1e7
    for cell in range(values.shape[1]):
        spread = np.diag(wide[:, cell])
        solved = values[:, cell] - spread @ CONSTRAINTS.T @ np.linalg.solve(
            CONSTRAINTS @ spread @ CONSTRAINTS.T, CONSTRAINTS @ values[:, cell]
        )
        kept = [n for n in range(6) if n not in lost]
        assert rows(found.fluxes)[kept, cell] == pytest.approx(solved[kept], abs=2e-3)
        sure = np.isfinite(rows(found.fluxes)[:, cell])
        assert rows(found.fluxes)[sure, cell] == pytest.approx(solved[sure], abs=2e-3)


def test_a_single_missing_flux_is_derived_so_that_all_identities_hold() -> None:
    rng = np.random.default_rng(0)
    for lost in range(6):
        values = rng.normal(5, 2, (6, 40))
        values[lost] = np.nan
        found = reconcile(named(values), dict.fromkeys(FLUXES, 1.0))
        assert np.abs(CONSTRAINTS @ rows(found.fluxes)).max() < 1e-12
        assert np.isnan(found.change[FLUXES[lost]]).all()


def test_cells_that_lack_different_fluxes_are_balanced_each_by_itself() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(5, 2, (6, 3, 64))
    lost = rng.random(values.shape) < 0.3
    values[lost] = np.nan
    found = rows(reconcile(named(values), dict.fromkeys(FLUXES, 1.0)).fluxes)
    for place in np.ndindex(3, 64):
        alone = rows(reconcile(named(values[:, *place]), dict.fromkeys(FLUXES, 1.0)).fluxes)
        np.testing.assert_array_equal(found[:, *place], alone)


def test_many_cells_at_once_are_balanced_to_rounding() -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(3, 2, (6, 200_000))
    found = rows(reconcile(named(values), dict.fromkeys(FLUXES, 0.5)).fluxes)
    assert np.abs(CONSTRAINTS @ found).max() < 1e-13


@pytest.mark.parametrize(
    ("fluxes", "variances", "words"),
    [
        ({"gp": np.ones(2)}, {}, "fluxes gp: choose of gpp, reco"),
        ({}, {}, "fluxes none"),
        ({"gpp": np.ones(2), "npp": np.ones(3)}, {}, r"gpp \(2,\), npp \(3,\)"),
        ({"gpp": np.ones(2)}, {}, "flux gpp: no variance"),
        ({"gpp": np.ones(2)}, {"gpp": np.array([1.0, 0.0])}, "flux gpp: 1 variances are not above 0"),
    ],
)
def test_what_cannot_be_balanced_is_refused(
    fluxes: dict[str, np.ndarray], variances: dict[str, np.ndarray], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        reconcile(fluxes, variances)
