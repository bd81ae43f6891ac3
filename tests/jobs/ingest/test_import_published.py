"""`phloem ingest --what published-patches`: what the store holds, what is refused, killed and resumed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from phloem.errors import InputError
from phloem.io.patches.patch_ingest import PatchIngest
from phloem.io.patches.patch_store import PatchStore, open_patches
from phloem.io.published.published_patches import published_order, published_split
from phloem.jobs.config.published_file import PublishedFile, load_published_file
from phloem.jobs.ingest.import_published import import_published
from tests.support.published_files import INDEX, MISSING, RUNS, values_of, write_published

MAPS = "differland_global_driver_v6.nc"
BOXES = {"S02E000": (0, 0), "S02E005": (0, 1), "S02E010": (0, 2), "N02E005": (1, 1), "N02E010": (1, 2)}
Files = dict[str, xr.Dataset]


def imported(path: Path, out: Path, **keys: Any) -> PatchStore:
    return import_published(PublishedFile(path=str(path), **keys), path.parent, out).store


@pytest.fixture(scope="module")
def maps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_published(tmp_path_factory.mktemp("published"))


@pytest.fixture(scope="module")
def store(maps: Path) -> PatchStore:
    return imported(maps, maps.parent / "store")


def content(out: Path) -> dict[str, bytes]:
    paths = [*out.glob("patches/*"), out / "patches.json", out / "dropped.csv"]
    return {path.name: path.read_bytes() for path in paths}


def test_boxes_with_a_number_are_patches_with_their_valid_cells(store: PatchStore) -> None:
    assert store.names == list(BOXES)
    assert (store.step, store.facts["box"], store.rows, store.months) == (1.0, [4.0, 5.0], 20, 24)
    assert str(store.first_month) == "2001-01"
    assert store.co2[:2].tolist() == [371.0, 371.1]
    # A row of the south is not valid, one cell has no sand, one no number.
    assert store.table["cells"] == [14, 15, 15, 20, 19]
    assert "1 cells" in store.paths.dropped.read_text()


@pytest.mark.parametrize("name", list(BOXES))
def test_numbers_of_a_patch_are_those_of_the_files(store: PatchStore, maps: Path, name: str) -> None:
    patch = store.read(store.names.index(name))
    rows = np.round(patch.latitude + 2 - 0.5).astype(int)
    columns = np.round(patch.longitude - 0.5).astype(int)
    assert (np.diff(rows * 100 + columns) > 0).all()
    pairs = {"tasmin": "T_min", "rsds": "SOLR", "vpd": "VPD", "pr": "PREC", "burned_area": "BURNED_AREA"}
    for ours, theirs in pairs.items():
        np.testing.assert_array_equal(patch.forcing[ours], values_of(maps, theirs)[:, rows, columns])
    for ours, theirs in {"MAT": "MAT", "forest_age": "tree_age_000_filled", "gravel": "GRAVEL", "NVG": "NVG"}.items():
        np.testing.assert_array_equal(patch.predictors[ours], values_of(maps, theirs)[rows, columns])
    lai = values_of(maps, "LAI")[:, rows, columns]
    np.testing.assert_array_equal(patch.labels["lai"], np.where(lai == MISSING, np.nan, lai))
    above, below = (values_of(maps, part)[:, rows, columns] for part in ("agb_yan", "bgb_yan"))
    biomass = np.where((above == MISSING) | (below == MISSING), np.nan, above + below)
    np.testing.assert_array_equal(patch.labels["biomass"], biomass)
    np.testing.assert_array_equal(patch.labels["soil_carbon"], values_of(maps, "initial_som")[rows, columns])


def test_coarse_streams_are_one_series_a_patch_and_none_where_the_flag_is_false(store: PatchStore, maps: Path) -> None:
    for place, name in enumerate(store.names):
        patch, (row, column) = store.read(place), BOXES[name]
        assert ("nbe" in patch.labels) == ("water_storage" in patch.labels) == (column != 1)
        assert "fire" in patch.labels
        if "nbe" in patch.labels:
            assert patch.labels["nbe"] == pytest.approx(values_of(maps, "NBE")[:, 4 * row, 5 * column], rel=1e-6)


def test_tower_weights_count_where_there_is_a_value_alone(store: PatchStore) -> None:
    """G22: months 2 (weight, no value) count nowhere; month 8 (value, no weight) counts once, as in the public code."""
    patch = store.read(0)
    cell = patch.cells.index(next(one for one in patch.cells if one.startswith("S00.50E001.50")))
    weights = patch.weights["tower_gpp"][:, cell]
    assert weights[2] == 0
    assert weights[3:9] == pytest.approx([0.4] * 5 + [1.0])
    assert patch.weights["tower_gpp"].sum() == pytest.approx(3.0)
    log = (store.paths.root / "ingest.log").read_text()
    assert "tower_gpp: weights where the value is missing: 1" in log
    assert "tower_gpp: values without a weight, which count once: 1" in log


def test_split_is_that_of_the_index(store: PatchStore) -> None:
    assert store.facts["test"] == ["N02E005"]
    assert set(store.facts["published_splits"]) == {"1", "2", "3"}
    # The greatest number is 3 and round(2.7) is 3: all are trained on, none watches.
    assert store.facts["published_splits"]["1"] == {"dev": []}
    for run in range(RUNS):
        numbers = [INDEX[run][BOXES[store.names[place]]] for place in published_order(store, run + 1)]
        assert numbers == sorted(numbers)
        assert len(numbers) == 4
    with pytest.raises(InputError, match="run 4"):
        published_order(store, 4)


def test_patches_above_nine_tenths_of_the_index_watch(tmp_path: Path) -> None:
    def change(files: Files) -> None:
        index = files["run_simulation_idx_v6.nc"]["run_simulation_idx"]
        index.values[:] = np.where(index.values >= 0, 10 * index.values, index.values)

    store = imported(write_published(tmp_path, change), tmp_path / "store")
    assert store.facts["published_splits"]["1"] == {"dev": ["S02E010"]}
    assert [store.names[place] for place in published_order(store, 1)] == ["S02E005", "N02E010", "S02E000"]
    split = published_split(store, 1)
    assert sorted(published_order(store, 1)) == list(split.train)
    assert [store.names[place] for place in (*split.dev, *split.test)] == ["S02E010", "N02E005"]


def test_label_choices_change_the_labels_alone(store: PatchStore, maps: Path, tmp_path: Path) -> None:
    labels = {
        "lai": "LAI_COPERNICUS", "nbe": "CAMS_NBE", "biomass": "IB_AGC+IB_BGC", "et": "none",
        "tower_gpp": "gpp_fluxnet_50percent",
    }  # fmt: skip
    other = imported(maps, tmp_path / "store", labels=labels)
    assert other.facts["label_variables"]["biomass"] == "IB_AGC+IB_BGC"
    assert "et" not in other.streams
    first, second = store.read(0), other.read(0)
    np.testing.assert_array_equal(first.forcing["tasmax"], second.forcing["tasmax"])
    assert np.nanmean(second.labels["lai"]) == pytest.approx(2.4, rel=0.05)
    assert np.nanmax(second.labels["tower_gpp"]) == np.nanmax(first.labels["tower_gpp"]) + len("_50percent")
    assert second.labels["nbe"] - first.labels["nbe"] == pytest.approx(len("CAMS_"), abs=1e-5)


def test_groups_that_need_not_be_there_leave_cells_in(maps: Path, tmp_path: Path) -> None:
    store = imported(maps, tmp_path / "store", require=["PFT", "CLIM"])
    assert store.table["cells"][0] == 15
    assert np.isnan(store.read(0).predictors["sand"]).sum() == 1


def test_memory_does_not_change_the_bytes(store: PatchStore, maps: Path, tmp_path: Path) -> None:
    small = imported(maps, tmp_path / "store", memory_gb=2e-4)
    assert small.checksum == store.checksum
    assert content(small.paths.root) == content(store.paths.root)
    with pytest.raises(InputError, match=r"memory_gb: a patch of 24 months takes"):
        imported(maps, tmp_path / "none", memory_gb=1e-6)


def drop(name: str) -> Callable[[Files], None]:
    return lambda files: files.update({MAPS: files[MAPS].drop_vars(name)})


def put(name: str, change: Callable[[xr.DataArray], Any]) -> Callable[[Files], None]:
    def apply(files: Files) -> None:
        files[MAPS] = files[MAPS].assign({name: change(files[MAPS][name])})

    return apply


def cut(**where: slice) -> Callable[[Files], None]:
    return lambda files: files.update({MAPS: files[MAPS].isel(where)})


def times(days: int) -> Callable[[Files], None]:
    def apply(files: Files) -> None:
        stamps = np.datetime64("2001-01-01", "ns") + np.arange(24) * np.timedelta64(days, "D")
        files[MAPS] = files[MAPS].assign_coords(time=stamps)

    return apply


def index_of(change: Callable[[np.ndarray], None]) -> Callable[[Files], None]:
    return lambda files: change(files["run_simulation_idx_v6.nc"]["run_simulation_idx"].values)


def several_numbers(index: np.ndarray) -> None:
    index[1, 0, 0] = 77


def other_test(index: np.ndarray) -> None:
    index[2, :4, :5] = -4


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (drop("T_max"), r"variable T_max: is missing"),
        (drop("bgb_yan"), r"variable bgb_yan: is missing \(labels.biomass; .*IB_AGC\+IB_BGC"),
        (drop("reco_fluxnet_weight"), r"variable reco_fluxnet_weight: is missing"),
        (cut(lat=slice(None, None, -1)), r"lat: goes from 5.5 to -1.5"),
        (cut(lat=slice(1, None)), r"lat: 7 cells .* no whole boxes of 4"),
        (cut(time=slice(0, 20)), r"time: 20 months .* whole years"),
        (lambda files: files.update({MAPS: files[MAPS].transpose("lat", "time", "lon")}), r"PREC: dimensions .*order"),
        (put("ET", lambda one: one.isel(time=0)), r"ET: dimensions \('lat', 'lon'\); \('time', 'lat', 'lon'\) are due"),
        (times(1), r"time: months that follow one another are due"),
        (put("VPD", lambda one: one / 10), r"VPD: at the median 0.12 times"),
        (put("PREC", lambda one: one * 30), r"PREC: a year has 29 times MAP"),
        (put("SOLR", lambda one: one / 0.0864), r"SOLR: .*where 0 to 50 are possible"),
        (put("T_min", lambda one: one + 273.15), r"T_min: .*where -95 to 60"),
        (put("NF", lambda one: one * 0 + 0.3), r""),
        (put("SOLR", lambda one: one.assign_attrs(units="W m-2")), r"SOLR: its attribute says 'W m-2'.*units.SOLR"),
        (put("BURNED_AREA", lambda one: one.where(one.lat > -1)), r"BURNED_AREA: is missing in the first year of"),
        (index_of(several_numbers), r"run 2: box S02E000 has several numbers"),
        (index_of(other_test), r"run 3: other patches, or others that are held out"),
    ],
)  # fmt: skip
def test_another_layout_is_refused_before_anything_is_written(
    tmp_path: Path, change: Callable[[Files], None], says: str
) -> None:
    path = write_published(tmp_path / "files", change)
    if not says:
        imported(path, tmp_path / "fine")  # one share below 1 is no sign that all are
        return
    with pytest.raises(InputError, match=says):
        imported(path, tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_all_that_is_wrong_is_refused_at_once(tmp_path: Path) -> None:
    def change(files: Files) -> None:
        for name in ("T_max", "CLAY", "LCSPP"):
            drop(name)(files)
        times(7)(files)

    with pytest.raises(InputError) as caught:
        imported(write_published(tmp_path / "files", change), tmp_path / "store")
    for name in ("T_max", "CLAY", "LCSPP", "time"):
        assert f"variable {name}: " in str(caught.value)


def test_shares_between_0_and_1_are_refused(tmp_path: Path) -> None:
    def change(files: Files) -> None:
        for name in ("NF", "DBF", "EBF", "MF", "SH", "SAV", "GRA", "WET", "CRO", "NVG"):
            put(name, lambda one: one / 100)(files)

    with pytest.raises(InputError, match=r"shares of plant types go up to 0.79; per cent are due"):
        imported(write_published(tmp_path / "files", change), tmp_path / "store")


def test_units_that_the_user_states_are_converted(store: PatchStore, tmp_path: Path) -> None:
    path = write_published(tmp_path / "files", put("SOLR", lambda one: (one / 0.0864).assign_attrs(units="W m-2")))
    other = imported(path, tmp_path / "store", units={"SOLR": "W m-2"})
    assert other.read(0).forcing["rsds"] == pytest.approx(store.read(0).forcing["rsds"], rel=1e-5)
    with pytest.raises(InputError, match=r"units.SOLR = 'K' does not lead to"):
        imported(path, tmp_path / "bad", units={"SOLR": "K"})


def test_a_hole_in_a_later_year_names_patch_and_cell(tmp_path: Path) -> None:
    def change(files: Files) -> None:
        files[MAPS]["PREC"].values[20, 5, 7] = MISSING

    with pytest.raises(InputError, match=r"patch N02E005: pr of cell N03.50E007.50 is missing in month 20"):
        imported(write_published(tmp_path / "files", change), tmp_path / "store")


def test_co2_of_other_months_is_refused(tmp_path: Path) -> None:
    path = write_published(tmp_path / "files")
    table = path.with_name("co2_mm_gl_01_23.csv")
    lines = table.read_text().splitlines()
    table.write_text("\n".join([lines[0], *lines[2:], "2003,1,2003.0,380"]) + "\n")
    with pytest.raises(InputError, match="begins in 2001-02, the maps in 2001-01"):
        imported(path, tmp_path / "store")
    table.write_text("\n".join(lines[:12]) + "\n")
    with pytest.raises(InputError, match="11 rows; row i is month i, so 24 are due"):
        imported(path, tmp_path / "store")


def test_tables_of_statistics_are_kept_and_compared(store: PatchStore, tmp_path: Path) -> None:
    path = write_published(tmp_path / "files")
    moments = store.moments(published_order(store, 1))
    mean, deviation = moments["MAT"][1], np.sqrt(moments["MAT"][2] / moments["MAT"][0])
    for name, value in (("predictor_mean_v6.csv", mean), ("predictor_std_v6.csv", deviation)):
        (path.parent / name).write_text("MAT,CLAY\n" + f"{float(value)!r},5.0\n" * 4)
    finished = import_published(PublishedFile(path=str(path)), path.parent, tmp_path / "store")
    assert finished.store.facts["published_statistics"]["mean"]["MAT"] == [mean] * 4
    differing = [note for note in finished.notes if "in the tables" in note]
    assert len(differing) == 1
    assert differing[0].startswith("clay: ")


def test_a_file_that_cannot_be_found_is_named(tmp_path: Path) -> None:
    path = write_published(tmp_path / "files")
    (path.parent / "era_valid_v6.nc").rename(path.parent / "mask.nc")
    with pytest.raises(InputError, match=r"valid is not said.*era_valid\*\.nc"):
        imported(path, tmp_path / "store")
    toml = tmp_path / "published.toml"
    toml.write_text('path = "files/differland_global_driver_v6.nc"\nvalid = "files/mask.nc"\nlabels.vod = "none"\n')
    assert len(import_published(load_published_file(toml), tmp_path, tmp_path / "store").store) == 5
    toml.write_text('path = "x.nc"\nlabels.gpp = "GPP"\n')
    with pytest.raises(InputError, match="there is no stream gpp; valid are sif"):
        load_published_file(toml)


def test_another_choice_does_not_go_on_in_the_same_folder(maps: Path, store: PatchStore) -> None:
    before = content(store.paths.root)
    with pytest.raises(InputError, match=r"labels.lai: begun with None, now 'LAI_COPERNICUS'"):
        imported(maps, store.paths.root, labels={"lai": "LAI_COPERNICUS"})
    assert content(store.paths.root) == before


@pytest.mark.parametrize("after", range(5))
def test_interrupted_after_any_patch_it_goes_on_to_the_same_bytes(
    store: PatchStore, maps: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    plain, written = PatchIngest.commit, []

    def commit(self: PatchIngest, patch: Any, name: str, *rest: Any) -> None:
        if len(written) == after:
            raise KeyboardInterrupt
        written.append(name)
        plain(self, patch, name, *rest)

    monkeypatch.setattr(PatchIngest, "commit", commit)
    with pytest.raises(KeyboardInterrupt):
        imported(maps, tmp_path / "store", memory_gb=2e-4)
    with pytest.raises(InputError, match="not finished" if after else "no patch store here"):
        open_patches(tmp_path / "store")
    assert len(written) == after
    after = 5
    imported(maps, tmp_path / "store")
    assert written == list(BOXES), "what is done is not done again"
    assert content(tmp_path / "store") == content(store.paths.root)


def test_killed_again_and_again_it_makes_the_same_bytes(
    store: PatchStore, maps: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    out, kills, amid = tmp_path / "store", 0, 0
    command = [sys.executable, "-m", "phloem", "ingest", str(maps), "--what", "published-patches", "--out", str(out)]
    for number in range(6):
        process = subprocess.Popen(command, env=dict(os.environ), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        before = len(list(out.glob("patches/*.h5")))
        while process.poll() is None and len(list(out.glob("patches/*.h5"))) == before:
            time.sleep(0.0005)
        process.send_signal(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
        found = sorted(out.glob("patches/*.h5"))
        amid += not (out / "patches.json").exists()
        if number % 2 and found:
            found[0].write_bytes(found[0].read_bytes()[:-100])  # and a torn file, made again by its checksum
    subprocess.run(command, env=dict(os.environ), check=True, capture_output=True)
    assert content(out) == content(store.paths.root)
    assert not list(out.rglob("*.tmp"))
    assert amid
    record_property("faults", f"import of published patches: {kills} SIGKILLs, {amid} of them before the end")
