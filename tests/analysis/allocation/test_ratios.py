"""Ratios: budgets close whatever is predicted, what models have comes back, and the printed ratios leave a gap."""

from __future__ import annotations

from pathlib import Path

import netCDF4
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from phloem.analysis.allocation.ratios import (
    COMPAT_TARGETS,
    STRICT_TARGETS,
    RatioMode,
    allocate_fluxes,
    allocate_months,
    allocate_stocks,
    closure_residuals,
    learned_values,
)

MONTH = 30.4375
"""Days of a step of the CARDAMOM file."""

CELLS = 7
fluxes = arrays.arrays(np.float64, CELLS, elements=st.floats(10.0, 5000.0))
anything = arrays.arrays(np.float64, (len(STRICT_TARGETS), CELLS), elements=st.floats(-12.0, 12.0))


@given(fluxes, fluxes, anything)
def test_budgets_close_to_rounding_whatever_is_predicted(
    gpp: np.ndarray, reco: np.ndarray, predicted: np.ndarray
) -> None:
    learned = {target.name: one for target, one in zip(STRICT_TARGETS, predicted, strict=True)}
    found = allocate_fluxes(gpp, reco, learned, RatioMode.STRICT)
    found |= allocate_stocks(found["npp"], learned, RatioMode.STRICT)
    left = closure_residuals(gpp, reco, found)
    assert set(left) == {"gpp - npp - ra", "reco - ra_of_reco - rh", "cVeg - cLeaf - cWood - cRoot"}
    scale = {"g": gpp, "r": reco, "c": found["cVeg"]}
    for name, residual in left.items():
        assert (np.abs(residual) <= 4 * np.finfo(float).eps * scale[name[0]]).all()
    for name in ("npp", "ra", "ra_of_reco", "rh", "cVeg", "cLeaf", "cWood", "cRoot", "cLitter", "cSoil"):
        assert (found[name] >= 0.0).all()
    np.testing.assert_array_equal(found["ra_mismatch"], found["ra_of_reco"] - found["ra"])


@given(
    arrays.arrays(np.float64, (12, CELLS), elements=st.floats(-1.0, 20.0)),
    arrays.arrays(np.float64, (12, CELLS), elements=st.floats(0.0, 20.0)),
    arrays.arrays(np.float64, CELLS, elements=st.floats(0.01, 0.99)),
)
def test_months_close_and_add_up_to_the_year(gpp: np.ndarray, reco: np.ndarray, share: np.ndarray) -> None:
    found = allocate_months(gpp, reco, share)
    np.testing.assert_allclose(found["npp"] + found["ra"], gpp, atol=1e-13)
    np.testing.assert_allclose(found["ra"] + found["rh"], reco, atol=1e-13)
    np.testing.assert_allclose(found["ra"].sum(0), share * reco.sum(0), atol=1e-12)


def test_npp_of_a_month_is_negative_where_more_is_respired_than_assimilated() -> None:
    found = allocate_months(np.array([[0.0], [8.0]]), np.array([[2.0], [4.0]]), np.array([0.5]))
    np.testing.assert_allclose(found["npp"], [[-1.0], [6.0]])


def test_npp_below_zero_of_a_year_stands_at_the_edge_and_is_never_infinite() -> None:
    cue = STRICT_TARGETS[0]
    learned = learned_values(cue, {"npp": np.array([-5.0, 0.0, 50.0, np.nan]), "gpp": np.full(4, 100.0)})
    assert np.isfinite(learned[:3]).all()
    assert learned[0] == learned[1] < learned[2]
    assert np.isnan(learned[3])


def real_pools(data_dir: Path) -> dict[str, np.ndarray]:
    """Years of the real CARDAMOM file, (members, cells, years): flows in gC m-2 yr-1, pools at the year's end."""
    found = {}
    with netCDF4.Dataset(data_dir / "uflux" / "cardamom_10ens_4cells.nc") as file:

        def of(name: str) -> np.ndarray:
            return np.asarray(file[name][:], np.float64).reshape(10, 4, 14, 12)

        pools = ("Labile", "Leaf", "Root", "Wood", "Litter", "Soil")
        found = {name: of(name)[..., -1] for name in pools}
        found["npp"] = sum(of(f"NPP_to_{name}") for name in pools[:4]).sum(-1) * MONTH
        found["rh"] = (of("Litter_to_RH") + of("Soil_to_RH")).sum(-1) * MONTH
    return found


def test_a_real_model_closes_and_its_stocks_come_back_from_the_ratios(data_dir: Path) -> None:
    """CARDAMOM has NPP only: NPP less Rh is the change of all pools, and its pools follow from what is learned."""
    have = real_pools(data_dir)
    total = sum(have[name] for name in ("Labile", "Leaf", "Root", "Wood", "Litter", "Soil"))
    np.testing.assert_allclose(np.diff(total), (have["npp"] - have["rh"])[..., 1:], atol=0.2)
    parts = {
        "cLeaf": have["Leaf"] + have["Labile"], "cWood": have["Wood"], "cRoot": have["Root"], "npp": have["npp"],
        "cLitter": have["Litter"], "cSoil": have["Soil"],
    }  # fmt: skip
    parts["cVeg"] = parts["cLeaf"] + parts["cWood"] + parts["cRoot"]
    learned = {target.name: learned_values(target, parts) for target in STRICT_TARGETS[2:]}
    back = allocate_stocks(have["npp"], learned, RatioMode.STRICT)
    for name in ("cVeg", "cLeaf", "cWood", "cRoot", "cLitter", "cSoil"):
        np.testing.assert_allclose(back[name], parts[name], rtol=1e-10, err_msg=name)


def test_printed_ratios_come_back_and_leave_a_gap_when_they_err_apart() -> None:
    gpp, ra, rh = np.array([1000.0]), np.array([520.0]), np.array([450.0])
    parts = {"gpp": gpp, "ra": ra, "npp": gpp - ra, "rh": rh, "cLeaf": np.array([300.0]), "cWood": np.array([5e3]),
             "cVeg": np.array([6e3]), "cLitter": np.array([800.0]), "cSoil": np.array([9e3])}  # fmt: skip
    learned = {target.name: learned_values(target, parts) for target in COMPAT_TARGETS}
    assert learned["gpp_to_ra"] == gpp / ra
    found = allocate_fluxes(gpp, ra + rh, learned, RatioMode.COMPAT)
    np.testing.assert_allclose([found["npp"], found["ra"], found["rh"]], [gpp - ra, ra, rh])
    stocks = allocate_stocks(found["npp"], learned, RatioMode.COMPAT)
    np.testing.assert_allclose([stocks["agb"], stocks["cVeg"]], [[5300.0], [6000.0]])
    off = {**learned, "gpp_to_npp": learned["gpp_to_npp"] * 1.1}
    left = closure_residuals(gpp, ra + rh, allocate_fluxes(gpp, ra + rh, off, RatioMode.COMPAT))
    np.testing.assert_allclose(left["gpp - npp - ra"], 480.0 * (1 - 1 / 1.1))
