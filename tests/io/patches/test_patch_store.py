from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from phloem.errors import InputError
from phloem.io.patches.patch_store import PatchStorePaths, box_name, open_patches, seal_patches, write_patch
from phloem.io.patches.stored_patch import StoredPatch
from tests.support.patches import made_store, stored_patch


def test_patch_that_was_written_is_read_as_it_was(tmp_path: Path) -> None:
    store = made_store(tmp_path, patches=3)
    wanted = stored_patch(store.names[1], seed=1)
    found = store.read(1)
    assert found.cells == wanted.cells
    for kind in ("predictors", "forcing", "labels", "weights"):
        ours, theirs = getattr(found, kind), getattr(wanted, kind)
        assert set(ours) == set(theirs)
        for name in theirs:
            np.testing.assert_array_equal(ours[name], theirs[name].astype(ours[name].dtype))


def test_store_counts_labels_and_names_streams(tmp_path: Path) -> None:
    store = made_store(tmp_path, patches=2)
    expected = sum(int(np.isfinite(store.read(n).labels["lai"]).sum()) for n in range(2))
    assert store.count_labels("lai") == expected > 0
    assert "vod" not in store.streams
    assert "nbe" in store.streams


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"test": ["N00E005"]}),
        ({"test": ["N00E005"]}, {"test": ["N00E000"]}),
        ({"published_splits": {"1": {"dev": []}}}, {"published_splits": {"1": {"dev": ["N00E005"]}}}),
        ({"published_index": {"1": {"N00E000": 3}}}, {"published_index": {"1": {"N00E000": 4}}}),
    ],
)
def test_store_that_holds_out_other_patches_is_another_store(
    tmp_path: Path, before: dict[str, Any], after: dict[str, Any]
) -> None:
    """A training that goes on over the same patches with another split would be scored on what it has learned from."""
    made = made_store(tmp_path, patches=3)
    one, same, other = (replace(made, facts={**made.facts, **facts}) for facts in (before, before, after))
    assert one.checksum == same.checksum != other.checksum
    assert replace(made, facts={**made.facts, "sources": {"lai": "x"}}).checksum == made.checksum


def test_moments_of_any_patches_are_those_of_their_cells(tmp_path: Path) -> None:
    store = made_store(tmp_path, patches=4)
    values = np.concatenate([store.read(n).predictors["MAT"] for n in (0, 2, 3)])
    count, mean, squares = store.moments([3, 0, 2])["MAT"]
    assert count == len(values)
    assert mean == pytest.approx(values.mean(), rel=1e-12)
    assert squares / count == pytest.approx(values.var(), rel=1e-12)


@pytest.mark.parametrize("damage", ["truncated", "altered", "gone", "exchanged"])
def test_patch_that_is_not_what_was_written_is_refused(tmp_path: Path, damage: str) -> None:
    store = made_store(tmp_path, patches=2)
    path = store.paths.patch(store.names[0])
    data = bytearray(path.read_bytes())
    if damage == "truncated":
        path.write_bytes(data[:-100])
    elif damage == "altered":
        data[-50] ^= 1
        path.write_bytes(data)
    elif damage == "gone":
        path.unlink()
    else:
        path.write_bytes(store.paths.patch(store.names[1]).read_bytes())
    with pytest.raises(InputError, match=r"N00E000\.h5: not what patches\.json says.*phloem ingest"):
        store.read(0)
    assert store.read(1).name == store.names[1]


def test_store_whose_index_is_damaged_is_read_from_the_copy_and_refused_without(tmp_path: Path) -> None:
    store = made_store(tmp_path, patches=2)
    index = store.paths.index
    index.write_bytes(index.read_bytes()[:-9])
    assert open_patches(tmp_path).names == store.names
    index.with_name("patches.copy.json").unlink()
    with pytest.raises(InputError, match="damaged"):
        open_patches(tmp_path)


def test_folder_without_store_is_refused_with_the_command_that_makes_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no patch store here.*--what patches"):
        open_patches(tmp_path)
    PatchStorePaths(tmp_path).journal.touch()
    with pytest.raises(InputError, match="not finished: run it again"):
        open_patches(tmp_path)


def _with(patch: StoredPatch, kind: str, name: str, values: np.ndarray | None) -> StoredPatch:
    changed = {**getattr(patch, kind), name: values}
    fields: dict[str, Any] = {kind: {key: one for key, one in changed.items() if one is not None}}
    return replace(patch, **fields)


def test_patch_that_no_training_can_read_is_refused_by_name(tmp_path: Path) -> None:
    patch, paths = stored_patch("N00E000", seed=0), PatchStorePaths(tmp_path)
    hole = patch.forcing["pr"].copy()
    hole[5, 2] = np.nan
    missing = np.where(np.arange(len(patch)) == 0, np.nan, patch.labels["lai"])
    cases = {
        "pr of cell .* is missing in month 5": _with(patch, "forcing", "pr", hole),
        "predictors: 'sand' is missing": _with(patch, "predictors", "sand", None),
        "predictors: 'rock' is none of NF": _with(patch, "predictors", "rock", patch.predictors["sand"]),
        "label 'gpp': valid are sif, nbe": _with(patch, "labels", "gpp", patch.labels["lai"]),
        r"nbe has the shape \(24, 6\), \(24,\) is due": _with(patch, "labels", "nbe", patch.labels["lai"]),
        "weights of lai: from 0 on": _with(
            _with(patch, "labels", "lai", missing), "weights", "lai", np.ones_like(missing)
        ),
        "6 cells, 5 names": replace(patch, cells=(patch.cells[1], *patch.cells[1:])),
    }
    for message, bad in cases.items():
        with pytest.raises(InputError, match=message):
            write_patch(paths, bad, 0.0, 0.0)
    assert not list(tmp_path.rglob("*.h5"))


def test_patches_of_one_name_are_refused(tmp_path: Path) -> None:
    row = write_patch(PatchStorePaths(tmp_path), stored_patch("N00E000", seed=0), 0.0, 0.0)
    with pytest.raises(InputError, match="2 patches with 1 names"):
        seal_patches(tmp_path, {}, [row, row])
    with pytest.raises(InputError, match="0 patches"):
        seal_patches(tmp_path, {}, [])


@pytest.mark.parametrize(
    ("south", "west", "name"),
    [(40.0, -5.0, "N40W005"), (-4.5, 120.0, "S04.5E120"), (0.0, 0.0, "N00E000"), (-88.0, -180.0, "S88W180")],
)
def test_box_names_tell_the_corner(south: float, west: float, name: str) -> None:
    assert box_name(south, west) == name
