import gc
import itertools
import os
import resource
import signal
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from phloem.errors import WorkError
from phloem.io.campaign.paths import CampaignPaths
from phloem.io.campaign.tile_schema import MEDIANS_RULE
from phloem.io.merge import write_merged as merge
from phloem.io.merge.member_statistics import circular_median_and_rcv, median_and_rcv
from phloem.io.merge.write_merged import merge_tiles
from phloem.names import STATUS, STREAMS
from tests.support.campaigns.campaign_samples import SCHEMA, TABLES, TRACE, commit, tile_arrays
from tests.support.kernels.dalec_names import CIRCULAR_PARAMETERS, LOSS_TERMS, PARAMETERS, POOLS

CELLS = [f"FI-{k:02d}" for k in range(11)] + ["Hyytiälä"]
GLOBAL = {
    "title": "test",
    "version": "0.1.0",
    "configuration_hash": "c0ffee",
    "seed": 7,
}


def cut(cells: list[str], marks: set[int]) -> list[list[str]]:
    """Cells in tiles that begin at the marks."""
    edges = [0, *sorted(marks - {0}), len(cells)]
    return [cells[a:b] for a, b in itertools.pairwise(edges)]


def campaign(root: Path, plan: list[list[str]], order: list[int] | None = None) -> CampaignPaths:
    paths = CampaignPaths(root).make()
    for index in order or range(len(plan)):
        commit(paths, index, plan[index])
    return paths


def arrays_of(path: Path) -> dict[str, tuple]:
    with xr.open_dataset(path, mask_and_scale=False) as ds:
        every = {name: variable.load() for name, variable in ds.variables.items()}
        return {
            str(name): (
                v.dims,
                str(v.dtype),
                v.values.tolist() if v.dtype.kind in "OUT" else v.values.tobytes(),
            )
            for name, v in every.items()
        } | {"attributes": tuple((k, str(v)) for k, v in ds.attrs.items())}


@pytest.fixture(scope="module")
def one_tile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("one")
    return merge_tiles(campaign(root, [CELLS]), [CELLS], TABLES, GLOBAL)


@pytest.mark.parametrize("block", [256, 5])
def test_partition_and_order_of_commits_do_not_matter(
    tmp_path_factory: pytest.TempPathFactory, one_tile: Path, block: int
) -> None:
    expected = arrays_of(one_tile)
    tried = []

    @settings(max_examples=12, deadline=None)
    @given(st.sets(st.integers(1, len(CELLS) - 1)), st.randoms())
    def check(marks: set[int], chance: Any) -> None:
        plan = cut(CELLS, marks)
        order = chance.sample(range(len(plan)), len(plan))
        paths = campaign(tmp_path_factory.mktemp("many"), plan, order)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(merge, "BLOCK_CELLS", block)
            found = arrays_of(merge_tiles(paths, plan, TABLES, GLOBAL))
        for name in set(expected) - {"tile"}:
            assert found[name] == expected[name], name
        assert set(found) == set(expected)
        tried.append(len(plan))

    check()
    assert len(set(tried)) > 2


def test_the_same_bytes_a_second_time(tmp_path: Path, one_tile: Path) -> None:
    assert merge_tiles(campaign(tmp_path, [CELLS]), [CELLS], TABLES, GLOBAL).read_bytes() == one_tile.read_bytes()


def test_opened_with_xarray(one_tile: Path) -> None:
    source = tile_arrays(CELLS)
    with xr.open_dataset(one_tile) as ds:
        assert dict(ds.sizes) == {
            "cell": 12,
            "member": 5,
            "parameter": 30,
            "pool": 8,
            "stream": 4,
            "term": 5,
            "trace": TRACE,
        }
        assert set(ds.coords) == {
            *("cell", "member", "parameter", "pool", "stream", "term"),
            *("latitude", "longitude", "trace_iteration"),
        }
        assert ds.attrs == {
            **GLOBAL,
            "Conventions": "CF-1.11",
            "missing_cells": 0,
            "medians_rule": MEDIANS_RULE,
        }
        names = {"parameter": PARAMETERS, "pool": POOLS, "stream": STREAMS, "term": LOSS_TERMS}
        assert {name: tuple(ds[name].values) for name in names} == names
        assert ds["cell"].values.tolist() == CELLS
        for name, variable in SCHEMA.variables.items():
            if variable.merged and name != "cell":
                assert np.array_equal(ds[name].values, source[name], equal_nan=True), name
                assert ds[name].dtype == source[name].dtype, name
                assert ds[name].dims == variable.dimensions
                assert ds[name].attrs["long_name"]
        assert ds["latitude"].attrs["standard_name"] == "latitude"
        assert ds["latitude"].attrs["units"] == "degrees_north"
        flags = zip(ds["status"].flag_meanings.split(), ds["status"].flag_values.tolist(), strict=True)
        assert dict(flags) == STATUS
        one = ds.sel(cell="Hyytiälä", parameter="lcma", member=2)["parameters"]
        assert float(one) == source["parameters"][11, 2, PARAMETERS.index("lcma")] or np.isnan(one)
        assert ds["parameter_units"].values.tolist() == [parameter.unit for parameter in TABLES.parameters]
        assert ds["attempt"].values.tolist() == [1] * 12


def test_statistics_of_the_members_that_count(one_tile: Path) -> None:
    source = tile_arrays(CELLS)
    valid = np.isin(source["status"], (0, 1))
    with xr.open_dataset(one_tile) as ds:
        few = screened = 0
        for cell in range(len(CELLS)):
            for p, name in enumerate(PARAMETERS):
                statistic = circular_median_and_rcv if name in CIRCULAR_PARAMETERS else median_and_rcv
                median, rcv = statistic(source["parameters"][cell, :, p], valid[cell])
                found = ds.isel(cell=cell, parameter=p)
                assert np.array_equal(found["parameters_median"], median, equal_nan=True)
                assert np.array_equal(found["parameters_rcv"], rcv, equal_nan=True)
                kept = median if rcv <= 0.3 else np.nan
                assert np.array_equal(found["parameters_screened"], kept, equal_nan=True)
                few += bool(np.isnan(median))
                screened += bool(np.isnan(kept) and not np.isnan(median))
        assert few, "the sample must hold a cell with fewer than 3 calibrated members"
        assert screened, "the sample must hold screened parameters"
        pools = np.where(valid[..., None], source["initial_pools"], np.nan)
        enough = valid.sum(axis=1) >= 3
        assert np.allclose(ds["initial_pools_median"][enough], np.nanmedian(pools[enough], axis=1))
        assert ds["initial_pools_rcv"][enough].notnull().all()
        assert ds["initial_pools_median"][~enough].isnull().all()


PLAN = cut(CELLS, {3, 7, 9})


def refusal(paths: CampaignPaths, plan: list[list[str]], attributes: dict | None = None) -> str:
    old = paths.merged.read_bytes() if paths.merged.exists() else None
    with pytest.raises(WorkError) as caught:
        merge_tiles(paths, plan, TABLES, attributes or GLOBAL)
    assert (paths.merged.read_bytes() if paths.merged.exists() else None) == old
    assert not list(paths.root.glob("*.tmp"))
    return str(caught.value)


def test_a_gap_is_refused_and_the_old_product_stays(tmp_path: Path) -> None:
    paths = campaign(tmp_path, PLAN)
    merge_tiles(paths, PLAN, TABLES, GLOBAL)
    paths.tile(1).unlink()
    paths.tile(3).unlink()
    message = refusal(paths, PLAN)
    assert "2 of 4 tiles" in message
    assert "tile 1 (missing; cells FI-03, FI-04, FI-05, FI-06)" in message
    assert "tile 3 (missing" in message
    assert f"`phloem run {paths.root}`" in message


def test_a_checksum_mismatch_is_refused(tmp_path: Path) -> None:
    paths = campaign(tmp_path, PLAN)
    content = bytearray(paths.tile(2).read_bytes())
    content[4321] ^= 1
    paths.tile(2).write_bytes(content)
    message = refusal(paths, PLAN)
    assert "tile 2 (tile_00002.h5: journalled checksums are others" in message
    assert "cells FI-07, FI-08" in message


def test_duplicates_and_strangers_are_refused(tmp_path: Path) -> None:
    paths = campaign(tmp_path, PLAN)
    twice = [*PLAN[:3], [*PLAN[3], "FI-03"]]
    assert "more than once: FI-03 (tiles 1, 3)" in refusal(paths, twice)
    swapped = [PLAN[0][::-1], *PLAN[1:]]
    assert "tile 0 (holds other cells than planned" in refusal(paths, swapped)
    assert "computed with configuration c0ffee, not other" in refusal(
        paths, PLAN, {**GLOBAL, "configuration_hash": "other"}
    )
    commit(paths, 4, ["new"], members=3)
    assert "tile 4 (has 3 members" in refusal(paths, [*PLAN, ["new"]])
    assert "no cells" in refusal(paths, [])


def test_labelled_holes(tmp_path: Path) -> None:
    paths = campaign(tmp_path, PLAN, [1, 3, 2])
    paths.tile(2).write_bytes(b"torn")
    steps: list[tuple[int, int]] = []
    whole = tile_arrays(CELLS)
    merged = merge_tiles(paths, PLAN, TABLES, GLOBAL, allow_holes=True, on_progress=lambda *step: steps.append(step))
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    hole = np.array([cell in PLAN[0] + PLAN[2] for cell in CELLS])
    with xr.open_dataset(merged) as ds:
        assert ds.attrs["missing_cells"] == hole.sum() == 5
        assert ds["cell"].values.tolist() == CELLS
        assert (ds["status"][hole] == STATUS["missing"]).all()
        assert np.array_equal(ds["status"][~hole], whole["status"][~hole])
        for name in ("parameters", "loss", "nnse", "parameters_median", "parameters_rcv", "loss_trace"):
            assert ds[name][hole].isnull().all()
        assert np.array_equal(ds["loss"][~hole], whole["loss"][~hole], equal_nan=True)
        assert (ds["attempt"] == 0).values.tolist() == hole.tolist()
        assert ds["tile"].values.tolist() == np.repeat([0, 1, 2, 3], [3, 4, 2, 3]).tolist()
    for index in range(4):
        paths.tile(index).unlink(missing_ok=True)
    with pytest.raises(WorkError, match="4 of 4 tiles"):
        merge_tiles(paths, PLAN, TABLES, GLOBAL, allow_holes=True)


def test_no_room_is_told_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = campaign(tmp_path, PLAN)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limit[1]))
    try:
        message = refusal(paths, PLAN)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, handler)
    assert f"`phloem merge {paths.root}`" in message
    assert merge_tiles(paths, PLAN, TABLES, GLOBAL).exists()


def test_memory_holds_a_tile_and_not_the_campaign(tmp_path: Path) -> None:
    plan = [[f"{tile}.{k}" for k in range(4)] for tile in range(24)]
    paths = CampaignPaths(tmp_path).make()
    for index, cells in enumerate(plan):
        commit(paths, index, cells, trace=4000)
    tile_bytes = sum(a.nbytes for a in tile_arrays(plan[0], trace=4000).values())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merge, "BLOCK_CELLS", 8)
        for _ in range(3):  # what else this process does at the time, such as an import, is counted too
            gc.collect()
            tracemalloc.start()
            merged = merge_tiles(paths, plan, TABLES, GLOBAL)
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            if peak < 10 * tile_bytes:
                break
    assert os.path.getsize(merged) > 12 * tile_bytes
    assert peak < 10 * tile_bytes, f"{peak} bytes, where a tile has {tile_bytes} and the campaign 24 times more"
