from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phloem.errors import InputError
from phloem.io.patches.splits import held_out, split_of

names = st.lists(st.text("NSEW0123456789", min_size=3, max_size=8), min_size=5, max_size=60, unique=True)


@given(names, st.integers(0, 99), st.integers(0, 99))
def test_every_patch_is_in_one_part_of_a_split(patches: list[str], seed: int, run: int) -> None:
    split = split_of(patches, held_out(patches, 0.1, 0), seed, run)
    assert sorted([*split.train, *split.dev, *split.test]) == list(range(len(patches)))
    assert len(split.test) == round(0.1 * len(patches))


@given(names, st.integers(0, 9))
def test_split_does_not_depend_on_the_order_of_patches(patches: list[str], run: int) -> None:
    backwards = patches[::-1]
    here, there = (split_of(some, held_out(some, 0.2, 3), 1, run) for some in (patches, backwards))
    assert {patches[n] for n in here.train} == {backwards[n] for n in there.train}
    assert {patches[n] for n in here.test} == {backwards[n] for n in there.test}


@given(names, st.integers(2, 5))
def test_folds_hold_every_patch_out_once(patches: list[str], folds: int) -> None:
    parts = [held_out(patches, 0.1, 0, folds, fold) for fold in range(folds)]
    assert sorted(place for part in parts for place in part) == list(range(len(patches)))


def test_held_out_patches_are_the_same_for_all_runs_and_dev_patches_are_not() -> None:
    patches = [f"N{n:02d}E000" for n in range(60)]
    test = held_out(patches, 0.1, 0)
    splits = [split_of(patches, test, 7, run) for run in range(4)]
    assert {split.test for split in splits} == {test}
    assert len({split.dev for split in splits}) == 4
    assert [len(split.train) for split in splits] == [49] * 4


def test_run_on_train_and_dev_watches_nothing() -> None:
    patches = [f"N{n:02d}E000" for n in range(20)]
    split = split_of(patches, held_out(patches, 0.1, 0), 7, 0, dev_share=0.0)
    assert len(split.train) == 18
    assert not split.dev


def test_split_with_nothing_to_train_on_is_refused() -> None:
    with pytest.raises(InputError, match="none is left to train on"):
        split_of(["A", "B"], (0, 1), 0, 0)
