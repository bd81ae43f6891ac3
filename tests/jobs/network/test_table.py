"""The tables of a training's campaign file: what a result depends on, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from phloem.errors import InputError
from phloem.jobs.campaign.backend import resolve_backend
from phloem.jobs.campaign.tile_size import settle_tiles
from phloem.jobs.config.campaign_file import Configuration, configuration_of
from phloem.jobs.network.table import NetworkTable, WeightsSection
from phloem.kernels.network.patch_loss import LossWeights
from phloem.kernels.network.set_ups import all_set_ups

OTHERS: dict[str, Any] = {
    "set_ups": ["PFT"],
    "mode": "compat",
    "precision": "float64",
    "backend": "xla",
    "epochs": 7,
    "schedule": "constant",
    "learning_rate": 1e-3,
    "order": "fixed",
    "patches_per_step": 2,
    "train_on": "train+dev",
    "dev_every": 3,
    "test_share": 0.2,
    "dev_share": 0.2,
    "folds": 5,
    "split": "published",
    "split_seed": 1,
    "leave_out": ["vod"],
    "weight_decay": 0.1,
    "choose": "best-dev",
    "weights": {"lai": 20.0},
}
"""Another value of every key on which a result depends."""


def configuration(data: dict[str, Any] | None = None, **experiment: Any) -> Configuration:
    tables = {
        "campaign": {"name": "made"},
        "data": data or {"kind": "patches", "path": "store"},
        "experiment": {"name": "network", **experiment},
    }
    return configuration_of(tables)


@pytest.mark.parametrize("key", list(OTHERS))
def test_result_depends_on_every_key_of_the_training(key: str) -> None:
    assert configuration(**{key: OTHERS[key]}).fingerprint() != configuration().fingerprint()


def test_result_does_not_depend_on_how_many_networks_count_and_where_patches_lie() -> None:
    usual = configuration()
    assert configuration(keep=3).fingerprint() == usual.fingerprint()
    assert configuration({"kind": "patches", "path": "elsewhere"}).fingerprint() == usual.fingerprint()
    known = set(NetworkTable.model_fields)
    assert known == {*OTHERS, "name", "keep"}, "a new key must be put into one of the two lists"


def test_result_depends_on_the_synthetic_earth() -> None:
    made: dict[str, Any] = {"kind": "synthetic", "domain": "globe"}
    usual = configuration(made)
    for key, value in {"years": 5, "seed": 3, "noise": 0.5, "geography": "made-up"}.items():
        assert configuration({**made, "globe": {key: value}}).fingerprint() != usual.fingerprint()
    assert configuration({**made, "globe": {}}).fingerprint() == usual.fingerprint()


def test_weights_are_those_of_the_loss() -> None:
    assert WeightsSection().model_dump() == vars(LossWeights())


def test_tile_is_a_run_where_nothing_else_is_said() -> None:
    assert configuration().tiles.cells == len(all_set_ups()) == 15
    assert configuration(set_ups=["PFT", "CLIM"]).tiles.cells == 2
    tables = {"campaign": {"name": "made"}, "data": {"kind": "synthetic"}, "experiment": {"name": "site"}}
    assert settle_tiles(configuration_of(tables), 100).tiles.cells == 12, "on cores, when it is planned"


def test_set_ups_are_named_in_the_order_of_their_columns() -> None:
    table = configuration(set_ups=["SOIL+PFT", "CLIM + AGE", "CONTROL"]).experiment
    assert isinstance(table, NetworkTable)
    assert table.set_ups == ["PFT+SOIL", "CLIM+AGE", "CONTROL"]


@pytest.mark.parametrize(
    ("experiment", "data", "message"),
    [
        ({"folds": 1}, None, "one part is all of the patches"),
        ({"folds": 3, "split": "published"}, None, "folds go with split"),
        ({"set_ups": []}, None, "at least 1 item"),
        ({"learning_rate": 0.0}, None, "greater than 0"),
        ({"epochs": 0}, None, "greater than 0"),
        ({"schedule": "cosin"}, None, "'constant'"),
        ({}, {"kind": "tower", "path": "x"}, "a patch store that"),
        ({}, {"kind": "patches"}, "data.path is needed"),
        ({}, {"kind": "patches", "path": "x", "sites": ["A"]}, "data.sites goes with"),
        ({}, {"kind": "patches", "path": "x", "globe": {}}, r"data.globe\] goes with"),
        ({}, {"kind": "synthetic", "domain": "globe", "globe": {"year": 3}}, "data.globe.year"),
    ],
)
def test_what_is_no_training_is_refused(experiment: dict, data: dict | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        configuration(data, **experiment)


@pytest.mark.parametrize(("name", "edc7"), [("site", {}), ("baseline", {"edc7": False})])
@pytest.mark.parametrize("data", [{"kind": "patches", "path": "x"}, {"kind": "synthetic", "domain": "globe"}])
def test_patches_are_refused_by_calibrations(name: str, edc7: dict[str, Any], data: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f'"{name}" goes with data.kind'):
        configuration_of({"campaign": {"name": "made"}, "data": data, "experiment": {"name": name, **edc7}})


def test_training_on_gpus_is_by_xla_and_its_plan_can_be_read_again() -> None:
    """Months have no printed CUDA, and `gpu` is no backend of this table."""
    tables = {"campaign": {"name": "made"}, "data": {"kind": "synthetic", "domain": "globe"}, "engine": {"gpus": 2}}
    planned = resolve_backend(configuration_of({**tables, "experiment": {"name": "network"}}))
    assert planned.experiment.time_loop == "xla"
    assert configuration_of(planned.written()) == planned
