"""Agreement of members on the forty quantities: both measures by hand, days of the year, bounds."""

from __future__ import annotations

import json

import numpy as np
import pytest

from phloem.analysis.network.member_agreement import QUANTITIES, member_agreement
from phloem.errors import InputError
from phloem.kernels.models.dalec_monthly.parameters import UNKNOWNS
from phloem.names import PERIOD

LOWER, UPPER = (np.array([getattr(one, side) for one in UNKNOWNS]) for side in ("lower", "upper"))


def within(seed: int = 0, spread: float = 0.05, cells: int = 12, members: int = 10) -> np.ndarray:
    rng = np.random.default_rng(seed)
    middle = np.sqrt(LOWER * UPPER)
    return middle * (1 + spread * rng.normal(size=(cells, members, len(UNKNOWNS))))


def column(name: str) -> int:
    return QUANTITIES.index(name)


def test_there_are_forty_quantities_with_their_own_names() -> None:
    assert len(QUANTITIES) == len(set(QUANTITIES)) == 40
    assert [one for one in QUANTITIES if one.startswith("initial_")][-1] == "initial_water"


def test_the_first_screen_is_sd_over_mean_in_the_spatial_median() -> None:
    values = within()
    found = member_agreement(values, ("PFT", "CLIM"))
    n = column("lcma")
    each = values[:, :, n].std(1, ddof=1) / values[:, :, n].mean(1)
    np.testing.assert_allclose(found.std.spread[:, n], each)
    assert found.std.median[n] == pytest.approx(np.median(each))
    wide = within(spread=0.05)
    wide[:, :, n] *= np.linspace(0.5, 20, 10)
    assert not member_agreement(np.clip(wide, 1.01 * LOWER, 0.99 * UPPER), ("PFT",)).std.kept[n]
    assert found.std.kept[n]
    assert "lcma" in found.kept


def test_the_second_screen_is_the_robust_spread_cell_by_cell() -> None:
    values = within()
    n = column("f_auto")
    values[:4, ::2, n] *= 1.9
    found = member_agreement(values, ("PFT",))
    middle = np.median(values[:, :, n], axis=1)
    robust = 1.4826 * np.median(np.abs(values[:, :, n] - middle[:, None]), axis=1) / middle
    np.testing.assert_allclose(found.mad.spread[:, n], robust)
    assert found.mad.kept[:, n].tolist() == (robust <= 0.3).tolist()
    assert 0 < found.mad.share_kept[n] < 1


@pytest.mark.parametrize("name", ["bud_burst_day", "leaf_fall_day"])
def test_days_on_both_sides_of_the_years_end_agree(name: str) -> None:
    values = within()
    n = column(name)
    days = np.random.default_rng(1).normal(0, 5, values.shape[:2])
    values[:, :, n] = 2 * PERIOD + days + PERIOD * (np.arange(10) % 2)
    found = member_agreement(values, ("PFT",))
    expected = np.median(days.std(1, ddof=1)) * 2 * np.pi / PERIOD
    assert found.std.median[n] == pytest.approx(expected, rel=1e-2)
    assert found.std.kept[n]
    assert found.mad.kept[:, n].all()


def test_members_at_a_bound_agree_on_nothing() -> None:
    values = within()
    n = column("sif_slope")
    values[:, :, n] = UNKNOWNS[n].upper
    found = member_agreement(values, ("PFT",))
    assert found.at_bounds[n] == 12
    assert not found.std.kept[n]
    document = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert document["std"]["rows"][n]["median_cv"] is None
    assert document["std"]["rows"][n]["cells_at_bounds"] == 12


def test_what_the_model_does_not_read_is_screened_and_marked() -> None:
    found = member_agreement(within(), ("PFT",))
    rows = {row["parameter"]: row for row in found.to_json()["std"]["rows"]}
    assert [name for name, row in rows.items() if not row["read"]] == ["iwue"]
    assert rows["iwue"]["median_cv"] is not None
    assert "iwue" not in found.kept


def test_a_cell_with_two_members_says_nothing() -> None:
    values = within()
    values[3, 2:] = np.nan
    found = member_agreement(values, ("PFT",))
    assert (found.std.cells == 11).all()
    assert np.isnan(found.mad.spread[3]).all()


def test_another_number_of_quantities_is_refused() -> None:
    with pytest.raises(InputError, match=r"set-up PFT: values of shape \(12, 10, 39\)"):
        member_agreement(within()[..., :39], ("PFT",))
