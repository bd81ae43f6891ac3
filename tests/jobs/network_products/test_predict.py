"""What networks predict: against the golden network, each run's own statistics, and one patch at a time in memory."""

from __future__ import annotations

import gc
import tracemalloc
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from phloem.errors import InputError, WorkError
from phloem.io.patches.patch_store import PatchStore
from phloem.io.patches.stored_patch import StoredPatch
from phloem.jobs.campaign.planning import open_or_plan
from phloem.jobs.network.trained_networks import TrainedNetworks
from phloem.jobs.network_products.output_names import QUANTITIES
from phloem.jobs.network_products.predict import (
    chosen_members,
    fullest_set_up,
    predicted,
    quantities,
    quantities_of_members,
)
from phloem.kernels.models.dalec_monthly.parameters import UNKNOWNS
from phloem.kernels.network.parameter_network import Layer, flat
from phloem.kernels.network.set_ups import columns
from phloem.names import PREDICTORS, STATUS
from tests.support.kernels.global_oracle import arrays, golden_network
from tests.support.patches import made_store, stored_patch
from tests.support.trainings import write_training

FULL = "PFT+CLIM+AGE+SOIL"


@pytest.mark.parametrize(("mode", "tolerance"), [("compat", 1e-11), ("strict", 1e-5)])
def test_quantities_of_the_published_network_are_the_public_codes(
    data_dir: Path, tmp_path: Path, networks: TrainedNetworks, mode: str, tolerance: float
) -> None:
    """In strict the bounds are those of the table, in compat those that single precision makes of them."""
    gold = arrays(data_dir / "oracle/global_network.nc")
    theirs = golden_network(data_dir / "oracle", "published_2026")
    first = theirs.embedding[0]
    wide = Layer(np.concatenate([first.w, np.zeros((2, 32))]), first.b)
    vector = np.asarray(flat(theirs._replace(embedding=(wide, *theirs.embedding[1:]))))
    # Places in both hemispheres, whose logistic function is 0 and 1 to the last bit, and statistics that lead there.
    standard = gold["predictors"][:, 0]
    south, north = np.unique(standard)
    count = len(standard)
    deviation = 1 / (north - south)
    mean = -south * deviation
    campaign = open_or_plan(write_training(tmp_path, mode=mode, precision="float64"), tmp_path / "made", [])
    place = networks.set_ups.index(FULL)
    shape = (*networks.weights.shape[:2], len(vector))
    weights = np.full(shape, np.nan)
    weights[place, 1] = vector
    means, deviations = np.zeros_like(networks.mean), np.ones_like(networks.mean)
    means[place, 1, 0], deviations[place, 1, 0] = mean, deviation
    ours = replace(networks, campaign=campaign, weights=weights, mean=means, deviation=deviations)
    patch = stored_patch("N00E000", 0, count, 12)
    patch = replace(
        patch,
        latitude=np.where(standard == north, 60.0, -700.0),
        predictors=dict(zip(PREDICTORS, gold["predictors"][:, 1:].T, strict=True)),
    )
    found = quantities(ours, FULL, 1, patch)
    assert found.shape == (40, count)
    np.testing.assert_allclose(found.T, gold["physical"][0], rtol=tolerance)


def test_each_network_standardises_by_its_own_run(networks: TrainedNetworks) -> None:
    patch = networks.store.read(2)
    found = quantities_of_members(networks, "PFT", [0, 1], patch)
    assert found.shape == (2, 40, len(patch))
    np.testing.assert_array_equal(found[1], quantities(networks, "PFT", 1, patch))
    assert not np.array_equal(networks.mean[0, 0], networks.mean[0, 1], equal_nan=True)
    swapped = replace(networks, mean=networks.mean[:, [1, 0, 2]], deviation=networks.deviation[:, [1, 0, 2]])
    assert not np.allclose(quantities(swapped, "PFT", 1, patch), found[1], rtol=1e-4)
    for quantity, one in zip(found.swapaxes(0, 1), UNKNOWNS, strict=True):
        assert (quantity >= one.lower * (1 - 1e-5)).all()
        assert (quantity <= one.upper * (1 + 1e-5)).all()


def test_predictors_that_a_set_up_does_not_see_may_be_anything(networks: TrainedNetworks) -> None:
    patch = networks.store.read(1)
    spoilt = {name: np.full(len(patch), np.nan) for name in PREDICTORS if name not in columns(("PFT",))}
    blind = replace(patch, predictors={**patch.predictors, **spoilt})
    np.testing.assert_array_equal(quantities(networks, "PFT", 0, blind), quantities(networks, "PFT", 0, patch))
    with pytest.raises(InputError, match=r"patch N00E005: predictor MAT is not finite"):
        quantities(networks, FULL, 0, blind)


def test_outputs_of_every_patch_come_in_order_and_without_the_rows_that_fill_it(networks: TrainedNetworks) -> None:
    found = list(predicted(networks, FULL, [1, 0], [4, 0, 2], ("gpp", "nee", "reco", "biomass", "wood")))
    assert [patch.name for patch, _ in found] == ["N00E020", "N00E000", "N00E010"]
    for _, outputs in found:
        assert list(outputs) == ["gpp", "nee", "reco", "biomass", "wood"]
        assert outputs["gpp"].shape == (2, 24, 6)
        np.testing.assert_array_equal(outputs["reco"], outputs["gpp"] + outputs["nee"])
        assert (outputs["biomass"] > outputs["wood"]).all()


def test_rows_of_a_full_patch_change_no_output(networks: TrainedNetworks, tmp_path: Path) -> None:
    wider = networks.store
    wider = replace(wider, facts={**wider.facts, "rows": 11})
    ((_, narrow),) = predicted(networks, FULL, [0], [3], tuple(QUANTITIES))
    ((_, wide),) = predicted(networks, FULL, [0], [3], tuple(QUANTITIES), wider)
    for name, values in narrow.items():
        np.testing.assert_allclose(wide[name], values, rtol=1e-4, atol=1e-5, err_msg=name)


def test_balance_of_carbon_closes_in_what_is_predicted(networks: TrainedNetworks) -> None:
    """Every month: the pools change by the flux to the atmosphere times the length of the month."""
    pools = ("labile", "foliar", "root", "wood", "litter", "som")
    ((_, o),) = predicted(networks, FULL, [0], [0], (*pools, "nbe"))
    total = sum(o[name].astype(float) for name in pools)[0]
    starts = (np.datetime64("2001-01") + np.arange(25)).astype("datetime64[D]")
    days = np.diff(starts).astype(float)[1:, None]
    change = np.diff(total, axis=0)
    np.testing.assert_allclose(change, -o["nbe"][0, 1:] * days, atol=2e-5 * np.abs(total).max())
    assert np.abs(change).max() > 100 * 2e-5


def test_output_that_is_not_finite_is_told_with_patch_cell_month_and_network(networks: TrainedNetworks) -> None:
    weights = networks.weights.copy()
    weights[networks.place(FULL), 1, -1] = np.nan
    spoilt = replace(networks, weights=weights)
    with pytest.raises(WorkError, match=r"patch N00E000, cell N00E000-\d, month \d+: \w+ of the network .*\.01"):
        list(predicted(spoilt, FULL, [0, 1], [0], ("gpp", "nee")))


def test_members_that_are_taken(networks: TrainedNetworks) -> None:
    kept = networks.kept_members("PFT")
    assert len(kept) == 2
    assert chosen_members(networks, "PFT", "mean") == chosen_members(networks, "PFT", "all") == kept
    assert chosen_members(networks, "PFT", "2,0,2") == [2, 0]
    assert fullest_set_up(networks) == FULL
    status = networks.status.copy()
    status[0, 1] = STATUS["diverged"]
    lost = replace(networks, status=status)
    for wrong in ("1", "3", "-1"):
        with pytest.raises(InputError, match=f"has no network of run {wrong}; those with one are 0, 2"):
            chosen_members(lost, "PFT", wrong)
    with pytest.raises(InputError, match="median"):
        chosen_members(networks, "PFT", "median")
    with pytest.raises(InputError, match="members 'some'"):
        chosen_members(networks, "PFT", "some")
    with pytest.raises(InputError, match="no set-up"):
        chosen_members(networks, "SOIL", "all")


class TestScenarios:
    def other(self, networks: TrainedNetworks, root: Path, change: Any) -> PatchStore:
        """A store of the same patches, changed."""
        from phloem.io.patches.patch_store import PatchStorePaths, seal_patches, write_patch

        own, rows = networks.store, []
        for place in range(len(own)):
            south, west = (own.table[key][place] for key in ("south", "west"))
            rows.append(write_patch(PatchStorePaths(root), change(own.read(place)), south, west))
        return seal_patches(root, own.facts, rows)

    def test_copy_of_the_store_gives_the_same_bits(self, networks: TrainedNetworks, tmp_path: Path) -> None:
        same = self.other(networks, tmp_path / "same", lambda patch: patch)
        for (_, ours), (_, theirs) in zip(
            predicted(networks, FULL, [0], [1, 2]), predicted(networks, FULL, [0], [1, 2], store=same), strict=True
        ):
            for name, values in ours.items():
                np.testing.assert_array_equal(theirs[name], values, err_msg=name)

    def test_warmer_world_respires_faster_whatever_its_own_mean_climate_is(
        self, networks: TrainedNetworks, tmp_path: Path
    ) -> None:
        def warmer(patch: StoredPatch) -> StoredPatch:
            forcing = dict(patch.forcing)
            forcing["tasmin"], forcing["tasmax"] = forcing["tasmin"] + 3, forcing["tasmax"] + 3
            return replace(patch, forcing=forcing)

        def and_its_climate(patch: StoredPatch) -> StoredPatch:
            return replace(warmer(patch), predictors={**patch.predictors, "MAT": patch.predictors["MAT"] + 3})

        hot = self.other(networks, tmp_path / "hot", warmer)
        known = self.other(networks, tmp_path / "known", and_its_climate)
        # PFT does not see the mean temperature: the quantities are the same in all three.
        now, later, also = (
            next(iter(predicted(networks, "PFT", [0], [0], ("temperate",), store)))[1]["temperate"]
            for store in (networks.store, hot, known)
        )
        q = quantities(networks, "PFT", 0, networks.store.read(0))[9]
        np.testing.assert_allclose(later[0] / now[0], np.broadcast_to(np.exp(3 * q), now[0].shape), rtol=1e-5)
        np.testing.assert_array_equal(also, later)


def test_patches_that_are_done_with_leave_the_memory(
    networks: TrainedNetworks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At most the patch in hand, the one that is calculated and the one that is read, of however many."""
    alive: list[weakref.ref[StoredPatch]] = []
    read = PatchStore.read

    def watched(self: PatchStore, position: int) -> StoredPatch:
        patch = read(self, position)
        alive.append(weakref.ref(patch))
        return patch

    monkeypatch.setattr(PatchStore, "read", watched)
    many = made_store(tmp_path / "many", patches=12, cells=60, months=120)
    ours = replace(networks, store=many)
    peaks, most = [], 0
    for count in (4, 12):
        list(predicted(ours, FULL, [0], [0]))  # compiled, whatever was compiled before
        gc.collect()
        tracemalloc.start()
        for _ in predicted(ours, FULL, [0, 1], range(count)):
            most = max(most, sum(one() is not None for one in alive))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert len(alive) == 18
    assert most <= 3
    assert peaks[1] < 1.2 * peaks[0]
