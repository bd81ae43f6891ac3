import gc
import itertools
import os
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from phloem.errors import InputError, WorkError
from phloem.io.campaign.paths import CampaignPaths
from phloem.io.campaign.tile_schema import TileSchema
from phloem.io.campaign.tiles import load_tile
from phloem.io.files.atomic import CorruptFile
from phloem.io.grids.placed_cells import Grid
from phloem.io.merge import grid_bands as bands
from phloem.io.merge import grid_layout as merged_grid
from phloem.io.merge import tile_reader
from phloem.io.merge.member_statistics import circular_median_and_rcv, median_and_rcv
from phloem.io.merge.write_merged import merge_tiles
from phloem.kernels.calibrations.dalec_daily.tables import GRID as FIVE
from phloem.names import ALL_STREAMS, CELL_STATUS, STATUS, STREAMS
from tests.support.campaigns.campaign_samples import SCHEMA, TABLES
from tests.support.campaigns.grid_samples import (
    CELLS,
    COLUMNS,
    GLOBAL,
    LAND,
    ROWS,
    SOUTH,
    STEP,
    WEST,
    arrays,
    campaign,
    commit,
    place,
)
from tests.support.kernels.dalec_names import CIRCULAR_PARAMETERS, PARAMETERS, POOLS

PLAN = [CELLS[first : first + 6] for first in range(0, len(CELLS), 6)]
PLACE = np.array([LAND[cell] for cell in CELLS])


def cut(cells: list[str], marks: set[int]) -> list[list[str]]:
    """Cells in tiles that begin at the marks."""
    edges = [0, *sorted(marks - {0}), len(cells)]
    return [cells[a:b] for a, b in itertools.pairwise(edges)]


def contents(path: Path) -> dict[str, tuple[Any, ...]]:
    """All that a product says, but which tile a cell came from."""
    with netCDF4.Dataset(path) as file:
        file.set_auto_maskandscale(False)
        file.set_auto_chartostring(False)
        found: dict[str, tuple[Any, ...]] = {
            name: (v.dimensions, str(v.dtype), v[...].tolist() if v.dtype is str else v[...].tobytes(), str(v.__dict__))
            for name, v in file.variables.items()
            if name != "tile"
        }
        return found | {"attributes": (str(file.__dict__),)}


def small_blocks(patch: pytest.MonkeyPatch, rows: int, places: int, held: int) -> None:
    patch.setattr(merged_grid, "MAX_ROWS", rows)
    patch.setattr(merged_grid, "CHUNK_PLACES", places)
    patch.setattr(bands, "BUFFER_BYTES", held)


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("grid")
    return merge_tiles(campaign(root, PLAN), PLAN, TABLES, GLOBAL, grid=place())


def test_every_value_is_at_its_place(product: Path) -> None:
    source = arrays(CELLS)
    valid = np.isin(source["status"], (0, 1))
    rows, columns = PLACE.T
    with xr.open_dataset(product) as ds:
        assert {name: ds.sizes[name] for name in ("lat", "lon", "member", "parameter", "pool", "stream")} == {
            "lat": ROWS,
            "lon": COLUMNS,
            "member": 5,
            "parameter": len(PARAMETERS),
            "pool": len(POOLS),
            "stream": len(STREAMS),
        }
        assert ds["lat"].values.tolist() == [SOUTH + STEP * row for row in range(ROWS)]
        assert ds["lon"].values.tolist() == [WEST + STEP * column for column in range(COLUMNS)]
        assert ds["lon"].values[-1] > 180
        land = np.zeros((ROWS, COLUMNS), bool)
        land[rows, columns] = True
        compared = 0
        for name, variable in SCHEMA.variables.items():
            if variable.merged and variable.dimensions[0] == "cell" and name not in ("cell", "latitude", "longitude"):
                assert ds[name].dims == ("lat", "lon", *variable.dimensions[1:])
                assert np.array_equal(ds[name].values[rows, columns], source[name], equal_nan=True), name
                assert np.isnan(ds[name].values[~land]).all(), name
                assert ds[name].attrs["long_name"]
                compared += 1
        assert compared == 17
        assert ds["cell"].values[rows, columns].tolist() == CELLS
        assert set(ds["cell"].values[~land].tolist()) == {""}
        assert "coordinates" not in ds["parameters"].encoding, "no characters for CDO and iris"
        planned = [tile for tile, cells in enumerate(PLAN) for _ in cells]
        assert ds["tile"].values[rows, columns].tolist() == planned
        assert set(ds["attempt"].values[rows, columns]) == {1}
        assert set(ds["retried"].values[rows, columns].flat) == {-1}
        assert ds["members_calibrated"].values[rows, columns].tolist() == valid.sum(axis=1).tolist()
        few = screened = 0
        for (row, column), parameters, counts in zip(PLACE, source["parameters"], valid, strict=True):
            for p, name in enumerate(PARAMETERS):
                statistic = circular_median_and_rcv if name in CIRCULAR_PARAMETERS else median_and_rcv
                median, rcv = statistic(parameters[:, p], counts)
                found = ds.isel(lat=row, lon=column).sel(parameter=name)
                assert np.array_equal(found["parameters_median"], median, equal_nan=True)
                assert np.array_equal(found["parameters_rcv"], rcv, equal_nan=True)
                assert np.array_equal(found["parameters_screened"], median if rcv <= 0.3 else np.nan, equal_nan=True)
                few += bool(np.isnan(median))
                screened += bool(rcv > 0.3)
        assert few, "the sample must hold a cell with fewer than 3 calibrated members"
        assert screened, "the sample must hold screened parameters"
        grid = place().grid
        assert np.array_equal(ds["cell_area"].values, np.repeat(grid.areas()[:, None], COLUMNS, axis=1))
        assert np.array_equal(ds["lat_bnds"], grid.bounds()[0])
        assert np.array_equal(ds["lon_bnds"], grid.bounds()[1])


@pytest.mark.parametrize("ordered", [True, False], ids=["row by row", "in any order"])
def test_tiles_order_and_memory_do_not_matter(
    tmp_path_factory: pytest.TempPathFactory, product: Path, ordered: bool
) -> None:
    expected = contents(product)
    tried: Counter[int] = Counter()

    @settings(max_examples=8, deadline=None)
    @given(
        st.just(CELLS) if ordered else st.permutations(CELLS),
        st.sets(st.integers(1, len(CELLS) - 1)),
        st.sampled_from([1, 2, 4, 16]),
        st.sampled_from([1, 8, 64]),
        st.sampled_from([1, 20_000, 2**30]),
    )
    def check(cells: list[str], marks: set[int], rows: int, columns: int, held: int) -> None:
        plan = cut(cells, marks)
        paths = campaign(tmp_path_factory.mktemp("many"), plan)
        with pytest.MonkeyPatch.context() as patch:
            small_blocks(patch, rows, rows * columns, held)
            found = contents(merge_tiles(paths, plan, TABLES, GLOBAL, grid=place(cells)))
        assert set(found) == set(expected)
        for name in expected:
            assert found[name] == expected[name], name
        tried[len(plan)] += 1

    check()
    assert len(tried) > 2


def reads(monkeypatch: pytest.MonkeyPatch, paths: CampaignPaths, plan: list[list[str]]) -> Counter[int]:
    """How often a merge reads each tile."""
    count: Counter[int] = Counter()

    def counted(paths: CampaignPaths, index: int, schema: TileSchema, commits: Any) -> Any:
        count[index] += 1
        return load_tile(paths, index, schema, commits)

    monkeypatch.setattr(tile_reader, "load_tile", counted)
    merge_tiles(paths, plan, TABLES, GLOBAL, grid=place())
    return count


def test_a_tile_is_read_once_where_the_plan_follows_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_blocks(monkeypatch, 1, 8, 1)
    paths = campaign(tmp_path / "rows", PLAN)
    rows_of = [len({LAND[cell][0] for cell in cells}) for cells in PLAN]
    assert min(rows_of) == 1 < max(rows_of), "bands of one row must cut some tiles and not others"
    ordered = reads(monkeypatch, paths, PLAN)
    ordered[0] -= 1  # looked at before, for its lengths
    assert [ordered[tile] for tile in range(len(PLAN))] == rows_of
    monkeypatch.setattr(bands, "BUFFER_BYTES", 2**30)
    ample = reads(monkeypatch, paths, PLAN)
    ample[0] -= 1
    assert set(ample.values()) == {1}


def refusal(paths: CampaignPaths, plan: list[list[str]], **options: Any) -> str:
    old = paths.merged.read_bytes() if paths.merged.exists() else None
    with pytest.raises(WorkError) as caught:
        merge_tiles(paths, plan, TABLES, GLOBAL, grid=place(), **options)
    assert (paths.merged.read_bytes() if paths.merged.exists() else None) == old
    assert not list(paths.root.glob("*.tmp"))
    return str(caught.value)


def test_gaps_are_refused_or_labelled(tmp_path: Path) -> None:
    paths = campaign(tmp_path, PLAN)
    merge_tiles(paths, PLAN, TABLES, GLOBAL, grid=place())
    paths.tile(2).unlink()
    paths.tile(4).write_bytes(b"torn")
    assert f"tile 2 (missing; cells {PLAN[2][0]}" in refusal(paths, PLAN)
    paths.tile(2).write_bytes(b"torn")
    message = refusal(paths, PLAN)
    assert "2 of" in message
    assert "tile 4 (tile_00004.h5: " in message
    paths.tile(2).unlink()
    steps: list[tuple[int, int]] = []
    merged = merge_tiles(
        paths, PLAN, TABLES, GLOBAL, allow_holes=True, grid=place(), on_progress=lambda *step: steps.append(step)
    )
    assert steps == [(tile + 1, len(PLAN)) for tile in range(len(PLAN))]
    hole = np.array([cell in PLAN[2] + PLAN[4] for cell in CELLS])
    source = arrays(CELLS)
    rows, columns = PLACE.T
    with xr.open_dataset(merged) as ds:
        assert ds.attrs["missing_cells"] == hole.sum() == 12
        assert ((ds["status_map"].values[rows, columns] == CELL_STATUS["missing"]) == hole).all()
        assert (ds["status"].values[rows, columns][hole] == STATUS["missing"]).all()
        assert (ds["members_calibrated"].values[rows, columns][hole] == 0).all()
        assert ds["cell"].values[rows, columns].tolist() == CELLS
        for name in ("parameters", "loss", "nnse", "parameters_median", "loss_trace"):
            assert np.isnan(ds[name].values[rows, columns][hole]).all(), name
        assert np.array_equal(ds["loss"].values[rows, columns][~hole], source["loss"][~hole], equal_nan=True)
        assert np.isnan(ds["status_map"].values).sum() == ROWS * COLUMNS - len(CELLS)


def test_no_room_is_told_and_leaves_the_old_product(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = campaign(tmp_path, PLAN)
    merge_tiles(paths, PLAN, TABLES, GLOBAL, grid=place())

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bands, "_write_band", full)
    assert f"`phloem merge {paths.root}`" in refusal(paths, PLAN)


def test_cells_in_one_place_or_elsewhere_are_refused(tmp_path: Path) -> None:
    paths = campaign(tmp_path, PLAN)
    with pytest.raises(InputError, match=f"without a place on the grid: {PLAN[1][0]}"):
        merge_tiles(paths, PLAN, TABLES, GLOBAL, grid=place(PLAN[0]))
    latitudes, longitudes = [SOUTH, SOUTH], [WEST, WEST + 360]
    with pytest.raises(InputError, match="several cells in one place of the grid: x, y"):
        Grid.around(latitudes, longitudes, STEP).place(["x", "y"], latitudes, longitudes)
    # The tile says that a cell lies in the next row.
    moved = arrays(PLAN[1])
    moved["latitude"][3] += STEP
    paths.tile(1).unlink()
    commit(paths, 1, moved)
    assert f"tile 1 (holds other coordinates than planned: {PLAN[1][3]} (" in refusal(paths, PLAN)
    assert not paths.merged.exists()


def test_five_streams_and_no_mixture(tmp_path: Path) -> None:
    five = [arrays(cells, streams=5) for cells in PLAN]
    paths = CampaignPaths(tmp_path / "five").make()
    for index, tile in enumerate(five):
        commit(paths, index, tile)
    rows, columns = PLACE.T
    with xr.open_dataset(merge_tiles(paths, PLAN, FIVE, GLOBAL, grid=place())) as ds:
        assert tuple(ds["stream"].values) == ALL_STREAMS == (*STREAMS, "biomass")
        assert np.array_equal(
            ds["nnse"].sel(stream="biomass").values[rows, columns],
            np.concatenate([tile["nnse"][..., 4] for tile in five]),
        )
    with xr.open_dataset(merge_tiles(paths, PLAN, FIVE, GLOBAL)) as ds:
        assert tuple(ds["stream"].values) == ALL_STREAMS
        assert ds["nnse"].dims == ("cell", "member", "stream")
    paths.tile(3).unlink()
    commit(paths, 3, arrays(PLAN[3]))
    with pytest.raises(WorkError, match="'nnse': 4 along 'stream', where 5 are due"):
        merge_tiles(paths, PLAN, FIVE, GLOBAL, grid=place())


def test_lanes_that_were_calibrated_again(tmp_path: Path) -> None:
    paths = campaign(tmp_path, PLAN)
    source = arrays(CELLS)
    cell = next(n for n, status in enumerate(source["status"]) if 2 in status)
    member = int(np.argmax(source["status"][cell] == 2))
    batch = arrays([CELLS[cell]], salt=1)
    batch["status"][:] = STATUS["missing"]
    batch["status"][0, member] = STATUS["calibrated"]
    for name, variable in SCHEMA.variables.items():
        if variable.finite:
            batch[name] = np.nan_to_num(batch[name], nan=0.05)
    commit(paths, len(PLAN), batch, whole=False)
    row, column = PLACE[cell]
    with xr.open_dataset(merge_tiles(paths, PLAN, TABLES, GLOBAL, grid=place(), retries=[len(PLAN)])) as ds:
        one = ds.isel(lat=row, lon=column)
        assert one["retried"].values.tolist() == [len(PLAN) if m == member else -1 for m in range(5)]
        assert one["loss"].values[member] == batch["loss"][0, member]
        assert one["members_calibrated"] == np.isin(source["status"][cell], (0, 1)).sum() + 1
        assert (ds["retried"] == len(PLAN)).sum() == 1
    paths.tile(len(PLAN)).unlink()
    five = arrays([CELLS[cell]], streams=5)
    commit(paths, len(PLAN), five)
    with pytest.raises(CorruptFile, match="5 along 'stream', where 4 are due"):
        merge_tiles(paths, PLAN, TABLES, GLOBAL, grid=place(), retries=[len(PLAN)])


def test_status_map(tmp_path: Path) -> None:
    wanted = {
        "all_calibrated": (0, 1, 0, 0, 0),
        "some_calibrated": (0, 1, 2, 2, 0),
        "too_few_calibrated": (0, 4, 2, 2, 0),
        "none_calibrated": (2, 2, 2, 2, 2),
        "set_aside": (4, 4, 4, 4, 4),
    }
    cells = CELLS[: len(wanted) + 1]
    tile = arrays(cells[:-1])
    for name, variable in SCHEMA.variables.items():
        if variable.finite:
            tile[name] = np.nan_to_num(tile[name], nan=0.05)
    tile["status"] = np.array(list(wanted.values()), "i1")
    paths = CampaignPaths(tmp_path).make()
    commit(paths, 0, tile)
    merged = merge_tiles(paths, [cells[:-1], cells[-1:]], TABLES, GLOBAL, allow_holes=True, grid=place())
    with xr.open_dataset(merged) as ds:
        flags = zip(ds["status_map"].flag_meanings.split(), ds["status_map"].flag_values.tolist(), strict=True)
        assert dict(flags) == CELL_STATUS
        found = ds["status_map"].values[tuple(PLACE[: len(cells)].T)]
        assert found.tolist() == [CELL_STATUS[name] for name in (*wanted, "missing")]
        assert np.isfinite(ds["status_map"].values).sum() == len(cells)


def test_chunks_suit_maps_and_places(product: Path) -> None:
    with netCDF4.Dataset(product) as file:
        for name in ("parameters", "parameters_median", "nnse", "status", "cell", "cell_area"):
            filters = file[name].filters()
            assert (filters["zlib"], filters["shuffle"], filters["fletcher32"]) == (True, True, True), name
    lengths = {**SCHEMA.lengths, "member": 5, "trace": 250}
    rows, columns = merged_grid.block_shape(720, SCHEMA, lengths)
    assert (rows, columns) == (16, 64)
    chunk = merged_grid._chunk(("lat", "lon", "member", "parameter"), [280, 720, 5, 30], 8, (rows, columns))
    assert chunk == [16, 64, 5, 1], "a map of one parameter reads no other parameter"
    fine, _ = merged_grid.block_shape(7200, SCHEMA, lengths)
    assert fine * 7200 * merged_grid.cell_bytes(SCHEMA, lengths) <= bands.BUFFER_BYTES


@pytest.mark.parametrize("shuffled", [False, True], ids=["row by row", "shuffled"])
def test_memory_holds_a_window_and_not_the_campaign(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shuffled: bool
) -> None:
    height, width, trace = 32, 4, 3000
    names = [f"{row} {column}" for row in range(height) for column in range(width)]
    latitudes = np.repeat(np.arange(height) * STEP, width)
    longitudes = np.tile(np.arange(width) * STEP, height)
    order = np.random.default_rng(0).permutation(len(names)) if shuffled else np.arange(len(names))
    paths = CampaignPaths(tmp_path).make()
    plan = []
    for index, part in enumerate(order.reshape(-1, 4)):
        plan.append([names[n] for n in part])
        tile = arrays(CELLS[:4], trace=trace)
        tile |= {"cell": np.array(plan[-1]), "latitude": latitudes[part], "longitude": longitudes[part]}
        commit(paths, index, tile)
    tile_bytes = sum(values.nbytes for values in tile.values())
    small_blocks(monkeypatch, 1, 8, 2 * tile_bytes)
    grid = Grid.around(latitudes, longitudes, STEP).place(names, latitudes, longitudes)
    for _ in range(3):  # what else this process does at the time, such as an import, is counted too
        gc.collect()
        tracemalloc.start()
        merged = merge_tiles(paths, plan, TABLES, GLOBAL, grid=grid)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        if peak < 10 * tile_bytes:
            break
    assert os.path.getsize(merged) > 15 * tile_bytes
    assert peak < 10 * tile_bytes, f"{peak} bytes, where a tile has {tile_bytes} and there are {len(plan)}"
