"""A synthetic Earth: its truth under the loss, the same bytes each time and after a kill, plausible, or refused."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phloem.errors import InputError
from phloem.io.files.journals import read_events
from phloem.io.patches.patch_store import PatchStore, open_patches
from phloem.io.patches.predictor_moments import mean_and_deviation
from phloem.io.patches.splits import held_out
from phloem.io.patches.stored_patch import LABEL_STREAMS, StoredPatch
from phloem.jobs.config.globe_file import Globe
from phloem.jobs.synthetic.globe.globe_store import MadeGlobe, make_globe
from phloem.jobs.synthetic.globe.globe_truth import ceiling, true_quantities
from phloem.kernels.models.dalec_monthly.parameters import PARAMETERS, UNKNOWNS
from phloem.kernels.models.dalec_monthly.records import CARBON
from phloem.kernels.network.parameter_network import first_weights
from phloem.kernels.network.patch_cells import MonthAxis, PatchCells, patch_of_cells
from phloem.kernels.network.patch_loss import TERMS
from phloem.kernels.network.patch_model import first_state, patch_model
from phloem.kernels.network.set_ups import GROUPS, columns
from phloem.kernels.network.training_loss import TrainingLoss
from phloem.names import PATCH_STREAMS, PERIOD, STATIC_STREAMS
from tests.support.processes import environment, until

SMALL = Globe(geography="made-up", patches=8, cells=10, step=1.0, years=4, towers=6, test_share=0.4)
CLEAN = SMALL.model_copy(update={"noise": 0.0, "patches": 4, "years": 3})
NOT_CONTENT = ("ingest.log", "ingest.lock", "ingest.jsonl")
"""Files that say when, or in which order."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> PatchStore:
    return make_globe(tmp_path_factory.mktemp("globe") / "store", SMALL)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> PatchStore:
    return make_globe(tmp_path_factory.mktemp("clean") / "store", CLEAN)


def files(root: Path) -> dict[str, bytes]:
    found = [path for path in root.rglob("*") if path.is_file() and path.name not in NOT_CONTENT]
    return {str(path.relative_to(root)): path.read_bytes() for path in found}


def quantities(store: PatchStore, place: int) -> np.ndarray:
    first = sum(store.table["cells"][:place])
    return true_quantities(store)[:, first : first + store.table["cells"][place]]


@dataclass(frozen=True)
class LossOfQuantities(TrainingLoss):
    """The loss of a training, of 40 quantities that stand in the place of what a network says."""

    logs: Any = None

    def _start(self, network: Any, patch: Any) -> tuple[Any, Any, Any]:
        count, pools = len(PARAMETERS), jnp.exp(self.logs[len(PARAMETERS) :])
        return patch_model(self.mode).inputs_of_logs(self.logs[:count]), first_state(pools), pools[: len(CARBON)]


def terms(store: PatchStore, place: int, factor: float = 1.0) -> dict[str, float]:
    """The loss of the true quantities; leaf mass and canopy efficiency times a factor."""
    patch = store.read(place)
    shape = patch.months, len(patch)

    def of_rows(stream: str, values: np.ndarray) -> np.ndarray:
        one = values[:, None] if stream in PATCH_STREAMS else values[None] if stream in STATIC_STREAMS else values
        return np.broadcast_to(np.asarray(one, float), shape)

    cells = PatchCells(
        latitude=patch.latitude,
        predictors=patch.predictors,
        forcing={**patch.forcing, "co2": store.co2},
        reference=(patch.predictors["MAT"], patch.predictors["MAP"] / PERIOD),
        labels={name: of_rows(name, values) for name, values in patch.labels.items()},
        weights={name: np.asarray(values, float) for name, values in patch.weights.items()},
    )
    statistics = mean_and_deviation(store.moments(range(len(store))), columns(list(GROUPS)))
    months = MonthAxis(store.first_month, store.months)
    made = patch_of_cells(cells, months, statistics, store.rows, dtype=np.float64)
    truth = quantities(store, place).copy()
    for name in ("lcma", "canopy_efficiency"):
        truth[[one.name for one in PARAMETERS].index(name)] *= factor
    rows = np.where(np.arange(store.rows) < len(patch), np.arange(store.rows), 0)
    network = first_weights(jax.random.key(0), len(statistics) - 1)
    found = LossOfQuantities(backend="cpu", logs=jnp.log(truth[:, rows])).terms(network, made)
    return {name: float(value) for name, value in found.items()}


class TestTruth:
    @pytest.mark.parametrize("place", range(4))
    def test_truth_without_noise_has_no_loss_but_the_constraints(self, clean: PatchStore, place: int) -> None:
        exact, off = terms(clean, place), terms(clean, place, 1.05)
        compared = [name for name in TERMS if name not in ("violation", "steady_state")]
        assert sum(exact[name] for name in compared) < 1e-7 * sum(off[name] for name in compared)
        assert {name for name in compared if off[name]} >= {"sif", "lai", "biomass", "fire", "et", "soil_carbon"}

    def test_all_terms_but_optical_depth_are_used(self, clean: PatchStore) -> None:
        used = {name for place in range(4) for name, value in terms(clean, place, 1.05).items() if value}
        assert used == set(TERMS) - {"vod"}

    def test_cells_are_near_a_steady_state(self, store: PatchStore) -> None:
        """Half of the pools within a factor of 1.6; a stand-in for it with every pool off by two would give 6."""
        each = np.array([terms(store, n)["steady_state"] / 10 / store.table["cells"][n] for n in range(len(store))])
        assert np.median(each) < 4.0

    def test_quantities_are_inside_their_bounds_and_vary(self, store: PatchStore) -> None:
        values = true_quantities(store)
        for one, row in zip(UNKNOWNS, values, strict=True):
            assert one.lower * 1.0005 < row.min(), one.name
            assert row.max() < one.upper * 0.9995, one.name
            assert row.std() > 0, one.name

    def test_ceiling_without_noise_is_one(self, clean: PatchStore) -> None:
        assert all(value == pytest.approx(1, abs=1e-6) for value in clean.facts["ceiling"].values())

    def test_ceiling_is_that_of_the_held_out_patches(self, store: PatchStore) -> None:
        test = held_out(store.names, 0.4, SMALL.seed)
        assert store.facts["test"] == [store.names[place] for place in test]
        assert ceiling(store, test) == store.facts["ceiling"]
        assert 0.5 < store.facts["ceiling"]["lai"] < 1
        label = np.concatenate([store.read(n).labels["lai"][24:].ravel() for n in test]).astype(float)
        spread = np.nansum((label - np.nanmean(label)) ** 2)
        noise = (1 - ceiling(store, test)["lai"]) * spread / np.isfinite(label).sum()
        assert 0.01 < noise < 0.01 + 0.08**2 * np.nanmean(label**2) * 1.5, "0.1 and 8 per cent"


class TestBytes:
    def test_another_run_makes_the_same_files(self, store: PatchStore, tmp_path: Path) -> None:
        other = make_globe(tmp_path / "store", SMALL)
        assert other.checksum == store.checksum
        assert files(other.paths.root) == files(store.paths.root)

    def test_another_seed_makes_another_earth(self, clean: PatchStore, tmp_path: Path) -> None:
        other = make_globe(tmp_path / "store", CLEAN.model_copy(update={"seed": 1, "patches": 2}))
        assert not set(other.names) & set(clean.names) or other.checksum != clean.checksum

    def test_killed_run_goes_on_to_the_same_files(self, store: PatchStore, tmp_path: Path) -> None:
        root = tmp_path / "store"
        program = (
            "import sys; from pathlib import Path; from phloem.jobs.config.globe_file import Globe; "
            "from phloem.jobs.synthetic.globe.globe_store import make_globe; "
            "make_globe(Path(sys.argv[1]), Globe.model_validate_json(sys.argv[2]))"
        )
        command = [sys.executable, "-c", program, str(root), SMALL.model_dump_json()]
        with subprocess.Popen(command, env=environment()) as process:
            until(lambda: len(read_events(root / "ingest.jsonl")) >= 2 or process.poll() is not None, 120)
            os.kill(process.pid, signal.SIGKILL)
        done = len(read_events(root / "ingest.jsonl"))
        assert 2 <= done < len(store)
        with pytest.raises(InputError, match="not finished"):
            open_patches(root)
        damaged = store.paths.patch(str(read_events(root / "ingest.jsonl")[0]["row"]["name"])).name
        (root / "patches" / damaged).write_bytes(b"torn")
        assert make_globe(root, SMALL).checksum == store.checksum
        assert files(root) == files(store.paths.root)

    def test_finished_store_is_opened_again_as_it_is(self, store: PatchStore) -> None:
        before = files(store.paths.root)
        assert make_globe(store.paths.root, SMALL).checksum == store.checksum
        assert files(store.paths.root) == before

    @pytest.mark.parametrize("damage", [lambda path: path.write_bytes(path.read_bytes()[:-8]), Path.unlink])
    def test_finished_store_that_is_damaged_is_made_again_to_the_same_files(
        self, clean: PatchStore, tmp_path: Path, damage: Callable[[Path], object]
    ) -> None:
        shutil.copytree(clean.paths.root, tmp_path / "store")
        damage(tmp_path / "store" / "patches" / f"{clean.names[1]}.h5")
        assert not open_patches(tmp_path / "store").is_whole()
        assert make_globe(tmp_path / "store", CLEAN).is_whole()
        assert files(tmp_path / "store") == files(clean.paths.root)

    def test_patches_do_not_depend_on_their_number(self, store: PatchStore, tmp_path: Path) -> None:
        """First and last are in any even choice; towers are drawn among all cells, and differ."""
        other = make_globe(tmp_path / "store", SMALL.model_copy(update={"patches": 2}))
        for name in other.names:
            ours, theirs = (one.read(one.names.index(name)) for one in (other, store))
            for stream in set(ours.labels) - {"tower_gpp", "tower_reco", "tower_et"}:
                np.testing.assert_array_equal(ours.labels[stream], theirs.labels[stream], stream)

    def test_longer_records_begin_with_shorter_ones(self, store: PatchStore, tmp_path: Path) -> None:
        other = make_globe(tmp_path / "store", SMALL.model_copy(update={"patches": 2, "years": 5}))
        for name in other.names:
            ours, theirs = (one.read(one.names.index(name)) for one in (other, store))
            for variable, values in theirs.forcing.items():
                np.testing.assert_allclose(ours.forcing[variable][:48], values, rtol=1e-6, err_msg=variable)
            for stream in ("lai", "sif", "et", "biomass"):
                np.testing.assert_allclose(ours.labels[stream][:48], theirs.labels[stream], rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def patches(store: PatchStore) -> list[StoredPatch]:
    return [store.read(n) for n in range(len(store))]


class TestPlausible:
    @pytest.mark.parametrize(
        ("stream", "low", "high"),
        [("sif", 0.03, 0.8), ("lai", 0.3, 5), ("et", 0.2, 4), ("biomass", 100, 20_000), ("fire", 1e-3, 0.6),
         ("soil_carbon", 1000, 40_000), ("tower_gpp", 0.3, 9)],
    )  # fmt: skip
    def test_mean_of_stream_is_that_of_land(
        self, patches: list[StoredPatch], stream: str, low: float, high: float
    ) -> None:
        values = np.concatenate([one.labels[stream].ravel() for one in patches if stream in one.labels])
        assert low < np.nanmean(values) < high

    def test_forcing_is_possible(self, store: PatchStore, patches: list[StoredPatch]) -> None:
        for one in patches:
            f = one.forcing
            assert (f["tasmin"] < f["tasmax"]).all()
            assert -60 < f["tasmin"].min() <= f["tasmax"].max() < 50
            assert 0 <= f["rsds"].min() <= f["rsds"].max() < 38
            assert 0 <= f["vpd"].min() <= f["vpd"].max() < 80
            assert 0 <= f["pr"].min() <= f["pr"].max() < 80
            assert 0 <= f["burned_area"].min() <= f["burned_area"].max() <= 0.5
            mean = 0.5 * (f["tasmin"] + f["tasmax"]).mean(0)
            assert np.abs(mean - one.predictors["MAT"]).max() < 3
            np.testing.assert_allclose(sum(one.predictors[name] for name in GROUPS["PFT"]), 100)
            texture = sum(one.predictors[name] for name in ("sand", "silt", "clay"))
            np.testing.assert_allclose(texture, 100)
        assert store.co2[-12:].mean() - store.co2[:12].mean() == pytest.approx(2.1 * 3, abs=0.05)

    def test_labels_have_holes_of_their_kind(self, store: PatchStore, patches: list[StoredPatch]) -> None:
        for one in patches:
            dark = one.forcing["rsds"] < 3
            assert np.isnan(one.labels["sif"][dark]).all()
            assert np.isfinite(one.labels["et"]).all()
            assert ("nbe" in one.labels) is (len(one) >= 0.8 * store.rows)
            if "water_storage" in one.labels:
                assert np.isnan(one.labels["water_storage"][:15]).all(), "before GRACE"
                assert np.isfinite(one.labels["water_storage"][15:]).sum() == 33 - 3
        missing = np.mean([np.isnan(one.labels["lai"]).mean() for one in patches])
        assert 0.05 < missing < 0.4
        towers = [np.isfinite(one.labels["tower_gpp"]).any(0).sum() for one in patches if "tower_gpp" in one.labels]
        assert sum(towers) == SMALL.towers
        for one in patches:
            if "tower_gpp" in one.labels:
                assert one.weights["tower_gpp"].max() <= 1
        assert set(store.streams) == set(LABEL_STREAMS) - {"vod"}

    def test_shares_of_plants_are_known_and_differ(self, store: PatchStore) -> None:
        shares = store.facts["plant_shares"]
        assert shares["leaf_lifespan"] > 0.7
        assert shares["turnover_som"] < 0.6
        assert shares["vod_wood"] == pytest.approx(0, abs=1e-9)

    def test_summary_says_how_high_scores_can_be(self, store: PatchStore) -> None:
        text = "\n".join(MadeGlobe(store).lines())
        assert f"lai: {store.count_labels('lai')} labels, {store.facts['ceiling']['lai']:.3f}" in text
        assert "truth.nc" in text


class TestRefusals:
    def test_real_land_without_data_says_what_to_set(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PHLOEM_DATA", str(tmp_path / "nothing"))
        with pytest.raises(InputError, match=r"Set PHLOEM_DATA .*made-up"):
            make_globe(tmp_path / "store", Globe())
        assert not (tmp_path / "store").exists()

    def test_too_many_patches_are_refused_with_their_number(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"patches = 5000: this Earth has \d+"):
            make_globe(tmp_path / "store", SMALL.model_copy(update={"patches": 5000}))
        assert not (tmp_path / "store").exists()

    def test_store_begun_with_something_else_is_refused(self, store: PatchStore) -> None:
        before = files(store.paths.root)
        with pytest.raises(InputError, match="years: begun with 4, now 5"):
            make_globe(store.paths.root, SMALL.model_copy(update={"years": 5}))
        assert files(store.paths.root) == before

    def test_folder_of_something_else_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "notes.txt").write_text("mine")
        with pytest.raises(InputError, match="holds no store in the making"):
            make_globe(tmp_path, SMALL)
        assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_real_land_makes_a_store(data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHLOEM_DATA", str(data_dir))
    store = make_globe(tmp_path / "store", Globe(patches=3, cells=20, years=3, towers=2))
    assert len(store) == 3
    assert store.rows == 20
    assert store.step == 0.5
    assert "MCD12C1" in store.facts["sources"]["land"]
