"""Choice of members by hand: order, ties, members that did not end."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phloem.analysis.network.best_members import best_members
from phloem.errors import InputError

SET_UPS = (("PFT",), ("PFT", "CLIM"))


def test_the_lowest_losses_are_kept_in_their_order() -> None:
    losses = np.array([[5.0, 1.0, 4.0, 2.0], [1.0, 2.0, 3.0, 4.0]])
    found = best_members(losses, SET_UPS, keep=2)
    assert found.kept == ((1, 3), (0, 1))
    assert found.notes == ()
    assert found.to_json()["set_ups"][1] == {"set_up": ["PFT", "CLIM"], "members": [0, 1]}


def test_of_equal_losses_the_first_members_are_kept() -> None:
    assert best_members(np.array([[2.0, 1.0, 1.0, 1.0, 0.5]]), SET_UPS[:1], keep=3).kept == ((4, 1, 2),)


def test_members_that_did_not_end_are_left_out_and_it_is_said() -> None:
    losses = np.array([[np.nan, 3.0, np.inf, 1.0], [np.nan, np.nan, np.nan, -np.inf]])
    found = best_members(losses, SET_UPS, keep=3)
    assert found.kept == ((3, 1), ())
    assert found.notes[0].startswith("set-up PFT: 2 of 4 members ended, 3 were to be kept")
    assert found.notes[1].startswith("set-up PFT+CLIM: none of 4 members ended")


@given(st.integers(0, 1000), st.integers(1, 25))
def test_no_member_left_out_is_better_than_one_kept(seed: int, keep: int) -> None:
    rng = np.random.default_rng(seed)
    losses = rng.integers(0, 9, (2, 20)).astype(float)
    losses[rng.random(losses.shape) < 0.2] = np.nan
    for row, kept in zip(losses, best_members(losses, SET_UPS, keep).kept, strict=True):
        assert len(kept) == min(keep, np.isfinite(row).sum())
        rest = [n for n in range(20) if n not in kept and np.isfinite(row[n])]
        assert not (kept and rest) or max(row[list(kept)]) <= min(row[rest])


@pytest.mark.parametrize(("shape", "keep"), [((3, 4), 2), ((2,), 2), ((2, 4), 0)])
def test_wrong_losses_are_refused(shape: tuple[int, ...], keep: int) -> None:
    with pytest.raises(InputError, match="for 2 set-ups"):
        best_members(np.ones(shape), SET_UPS, keep)
