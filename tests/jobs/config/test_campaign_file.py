"""The campaign file as a typed tree."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phloem.errors import InputError
from phloem.jobs.calibration.planned_cells import check_cells
from phloem.jobs.campaign.backend import resolve_backend
from phloem.jobs.config.campaign_file import Configuration, load_configuration
from phloem.jobs.config.engine import EngineSection
from phloem.jobs.config.paths import expand_path
from phloem.jobs.run.execute import own_gpus
from phloem.jobs.run.slurm.rounds import slurm_options
from tests.support.campaigns.campaigns import command, tower_file, write_campaign

SYNTHETIC: dict[str, Any] = {
    "campaign": {"name": "made"},
    "data": {"kind": "synthetic"},
    "optimiser": {"name": "adam"},
}
FAST = {**SYNTHETIC, "optimiser": {"name": "fast"}}
TOWER: dict[str, Any] = {"campaign": {"name": "made"}, "data": {"kind": "tower", "path": "towers"}}

SCIENCE = [
    ("campaign", "seed", 1),
    ("campaign", "members", 4),
    ("data", "cells", 13),
    ("data", "years", 5),
    ("experiment", "mode", "compat"),
    ("experiment", "precision", "float64"),
    ("experiment", "backend", "xla"),
    ("experiment", "steady_pools", ["wood"]),
    ("experiment", "edc4_sharpness", 1e4),
    ("optimiser", "iterations", 24_999),
    ("optimiser", "learning_rate", 6e-4),
    ("optimiser", "beta1", 0.8),
    ("optimiser", "beta2", 0.99),
    ("optimiser", "epsilon", 1e-7),
    ("optimiser", "sharpness", 29.0),
    ("optimiser", "sharpness_iterations", 9999),
    ("optimiser", "schedule", "constant-cosine"),
    ("optimiser", "cosine_start", 0.5),
    ("optimiser", "init", "uniform_u"),
    ("optimiser", "trace", 100),
]
"""Everything that a result of a synthetic campaign depends on."""

OF_FAST = [
    ("optimiser", "iterations", 999),
    ("optimiser", "starts", 3),
    ("optimiser", "tolerance", 2e-3),
    ("optimiser", "patience", 49),
    ("optimiser", "windows", [1, 2]),
    ("optimiser", "window_iterations", [200, 79]),
    ("optimiser", "sharpness", 29.0),
    ("optimiser", "sharpness_iterations", 119),
    ("optimiser", "init", "uniform_u"),
    ("optimiser", "trace", 100),
]
"""The same of the fast optimiser's own keys."""

GRID: dict[str, Any] = {
    "campaign": {"name": "made"},
    "data": {"kind": "grid", "path": "store"},
    "experiment": {"name": "growth-curve", "leaf_economics": {"alpha": -8.0, "gamma": 2.0, "sigma": 0.5}},
    "optimiser": {"name": "fast"},
}
OF_GRID = [
    ("experiment", "forcing_years", [1986, 2020]),
    ("experiment", "calibration_years", [2002, 2012]),
    ("experiment", "validation_years", [2013, 2018]),
    ("experiment", "years", 106),
    ("experiment", "initial_live_caps", "none"),
    ("experiment", "snapshot_spread", 0.25),
    ("experiment", "edc7", False),
    ("experiment", "window_means", ["gpp", "reco"]),
    ("experiment", "leaf_economics", {"alpha": -7.0, "gamma": 2.0, "sigma": 0.5}),
]
"""The same of the grid experiments' own keys."""

FREE = [
    ("campaign", "name", "other"),
    ("tiles", "cells", 3),
    ("tiles", "checkpoint_minutes", 0.5),
    ("engine", "workers", 2),
    ("engine", "devices", 2),
    ("engine", "gpus", 4),
    ("engine", "lanes", 1000),
    ("engine", "memory_gb", 3.5),
    ("engine", "hang_minutes", 2.0),
    ("engine", "address", "here:6379"),
    ("engine", "partition", "normal"),
    ("engine", "account", "ABC"),
    ("engine", "qos", "high"),
    ("engine", "gres", "gpu:1"),
    ("engine", "constraint", "avx512"),
    ("engine", "walltime", "2-00:00:00"),
    ("engine", "cpus_per_task", 56),
    ("engine", "throttle", 10),
    ("engine", "signal_seconds", 60),
    ("engine", "arrays", False),
    ("engine", "use_srun", True),
    ("engine", "memory", "4G"),
    ("engine", "tiles_per_task", 20),
    ("engine", "requeue", False),
    ("engine", "exclude", ["n1"]),
    ("engine", "setup", ["module load gcc"]),
    ("engine", "sbatch", {"mail_type": "END"}),
    ("failures", "worker_lost", 4),
    ("failures", "node_lost", 4),
    ("failures", "device_lost", 4),
    ("failures", "out_of_memory", 4),
    ("failures", "file_system", 4),
    ("failures", "hang", 4),
    ("failures", "bug", 4),
    ("failures", "max_failures", 4),
]


def configuration(base: dict[str, Any] = SYNTHETIC, *changes: tuple[str, str, Any]) -> Configuration:
    tree = {section: dict(keys) for section, keys in base.items()}
    for section, key, value in changes:
        tree.setdefault(section, {})[key] = value
    return Configuration.model_validate(tree)


@pytest.mark.parametrize("change", SCIENCE, ids=lambda c: f"{c[0]}.{c[1]}")
def test_the_fingerprint_changes_with_the_science(change: tuple[str, str, Any]) -> None:
    assert configuration(SYNTHETIC, change).fingerprint() != configuration().fingerprint()


@pytest.mark.parametrize("change", OF_FAST, ids=lambda c: f"{c[0]}.{c[1]}")
def test_the_fingerprint_changes_with_the_fast_optimiser(change: tuple[str, str, Any]) -> None:
    changed, plain = configuration(FAST, change), configuration(FAST)
    assert changed.fingerprint() != plain.fingerprint()
    options, before = changed.optimiser.for_kernels(), plain.optimiser.for_kernels()
    assert getattr(options, change[1]) != getattr(before, change[1]), "it reaches the kernels"
    assert options.steps == changed.optimiser.steps


@pytest.mark.parametrize("change", OF_GRID, ids=lambda c: c[1])
def test_the_fingerprint_changes_with_the_grid_experiment(change: tuple[str, str, Any]) -> None:
    changed, plain = configuration(GRID, change), configuration(GRID)
    assert changed.fingerprint() != plain.fingerprint()
    with pytest.raises(ValueError, match=f"{change[1]} goes with the grid experiments"):
        configuration(SYNTHETIC, change)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ([("experiment", "leaf_economics", None)], "leaf-economics TRAITS.csv"),
        ([("experiment", "calibration_years", [2012, 2001])], "the first year comes first"),
        ([("experiment", "validation_years", [2014, 2019])], "begin with the year after"),
        ([("experiment", "years", 20)], "has the forcing of 2005"),
        ([("experiment", "initial_live_caps", [1.0, 2.0])], "at least 4 items"),
        ([("experiment", "initial_live_caps", [0.5, 9.0, 9.0, 9.0])], "0.5 for labile; above 1"),
        ([("experiment", "initial_live_caps", [9.0, 9.0, 9.0, 1e9])], "for wood; above 1, at most 100000"),
        ([("experiment", "name", "site"), ("experiment", "leaf_economics", None)], 'goes with data.kind = "tower"'),
        ([("data", "kind", "tower")], 'goes with data.kind = "grid"'),
        ([("data", "path", None)], "data.path is needed"),
    ],
)
def test_a_grid_experiment_that_cannot_be_is_refused(changes: list[tuple[str, str, Any]], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        configuration(GRID, *changes)


def test_a_frozen_grid_campaign_says_the_same(tmp_path: Path) -> None:
    one = configuration(GRID)
    (tmp_path / "grid.toml").write_text(one.to_toml())
    assert load_configuration(tmp_path / "grid.toml") == one
    assert "forcing_years" not in configuration().to_toml()


def test_the_optimiser_is_the_fast_one_unless_named() -> None:
    bare = {section: keys for section, keys in SYNTHETIC.items() if section != "optimiser"}
    assert configuration(bare) == configuration({**bare, "optimiser": {}}) == configuration(FAST)
    assert configuration(bare).optimiser.name == "fast"


@given(st.sets(st.sampled_from(range(len(FREE)))), st.integers(1, 50), st.floats(1e-3, 1e3))
def test_the_fingerprint_ignores_how_it_is_computed(chosen: set[int], cells: int, minutes: float) -> None:
    more = [("tiles", "cells", cells), ("tiles", "checkpoint_minutes", minutes)]
    changes = [FREE[number] for number in chosen] + more
    assert configuration(SYNTHETIC, *changes).fingerprint() == configuration().fingerprint()


@pytest.mark.parametrize("kind", ["tower", "grid"])
def test_what_is_said_of_variables_is_science_and_is_kept(kind: str, tmp_path: Path) -> None:
    of_kind = GRID if kind == "grid" else {**SYNTHETIC, "data": {"kind": "tower", "path": "towers"}}
    usual = configuration(of_kind)
    said = {"gpp": {"name": "GPP_f", "units": "gC m-2 d-1", "sign": -1}, "et": "LE_mm"}
    one = configuration(of_kind, ("data", "variables", said))
    assert one.fingerprint() != usual.fingerprint()
    assert configuration(of_kind, ("data", "variables", {})).fingerprint() == usual.fingerprint()
    (tmp_path / "one.toml").write_text(one.to_toml())
    assert load_configuration(tmp_path / "one.toml") == one
    (tmp_path / "two.toml").write_text(one.to_toml())
    with pytest.raises(InputError, match=r"data.variables.gpp.*sign"):
        load_configuration(tmp_path / "two.toml", ["data.variables.gpp.sign=3"])


def test_every_key_is_one_or_the_other() -> None:
    """A new key must be put into one of the two lists, and so be thought about."""
    listed = {(section, key) for section, key, _ in SCIENCE + FREE}
    only_choice = {("experiment", "name"), ("optimiser", "name"), ("engine", "name"), ("data", "domain")}
    only_choice |= {(section, key) for section, key, _ in OF_GRID}
    towers = {("data", "kind"), ("data", "path"), ("data", "sites"), ("data", "quality"), ("data", "reference")}
    towers |= {("data", "on_bad"), ("data", "variables"), ("data", "stamps")}
    every = {(section, key) for section, keys in configuration().model_dump().items() for key in keys}
    of_networks = {("data", "globe")}  # tests/jobs/network/test_table.py
    assert every == listed | only_choice | towers | of_networks
    fast = {("optimiser", key) for key in configuration(FAST).model_dump()["optimiser"]}
    assert fast == {(section, key) for section, key, _ in OF_FAST} | {("optimiser", "name")}


def test_the_fingerprint_of_towers() -> None:
    plain = configuration(TOWER).fingerprint()
    assert configuration(TOWER, ("data", "path", "elsewhere")).fingerprint() == plain
    assert configuration(TOWER, ("data", "quality", "keep")).fingerprint() != plain
    assert configuration().fingerprint() != plain
    default = configuration(TOWER, ("experiment", "calibration_years", [2001, 2012])).fingerprint()
    assert default != plain, "a tower's own years, though they are the grids' defaults"


@pytest.mark.parametrize(
    ("table", "change"),
    [
        (SYNTHETIC, ()),
        (FAST, ()),
        (TOWER, ()),
        (TOWER, (("experiment", "calibration_years", [2001, 2012]),)),
        (TOWER, (("experiment", "calibration_years", [2003, 2004]), ("experiment", "validation_years", [2005, 2005]))),
        (GRID, (("experiment", "edc7", False),)),
    ],
)
def test_a_configuration_that_is_kept_is_the_same_one(table: dict[str, Any], change: tuple[Any, ...]) -> None:
    """A campaign's frozen file and the rounds of a SLURM campaign keep it so."""
    one = configuration(table, *change)
    again = Configuration.model_validate(json.loads(json.dumps(one.written())))
    assert again == one
    assert again.fingerprint() == one.fingerprint()
    assert again.calibration.tower_years == one.calibration.tower_years


@given(st.sets(st.sampled_from(range(len(SCIENCE + FREE)))), st.floats(1e-12, 10))
def test_the_frozen_file_says_the_same(tmp_path_factory: pytest.TempPathFactory, chosen: set[int], rate: float) -> None:
    changes = [(SCIENCE + FREE)[number] for number in chosen]
    one = configuration(SYNTHETIC, ("optimiser", "learning_rate", rate), *changes)
    path = tmp_path_factory.getbasetemp() / "frozen.toml"
    path.write_text(one.to_toml())
    assert load_configuration(path) == one
    tree = tomllib.loads(one.to_toml())
    assert tree["optimiser"]["epsilon"] == one.optimiser.epsilon, "defaults are written out"


def test_set_overrides_the_file(tmp_path: Path) -> None:
    path = tmp_path / "made.toml"
    path.write_text(configuration().to_toml())
    texts = ["optimiser.iterations=7", "campaign.name=bare-words", 'experiment.mode="compat"', "tiles.cells = 2"]
    one = load_configuration(path, [*texts, 'experiment.steady_pools=["wood", "som"]'])
    assert (one.optimiser.iterations, one.campaign.name, one.experiment.mode) == (7, "bare-words", "compat")
    assert one.tiles.cells == 2
    assert one.experiment.pools == ("wood", "som")
    assert load_configuration(path, ["optimiser.iterations=8", "optimiser.iterations=9"]).optimiser.iterations == 9


def test_relative_paths_count_from_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tower_file(tmp_path / "towers", "AA-One")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    checked = check_cells(configuration(TOWER), tmp_path)
    assert checked.configuration.data.path == str(tmp_path / "towers")
    assert [Path(cell.source) for cell in checked.cells] == [tmp_path / "towers/AA-One.nc"]
    assert expand_path("../towers", tmp_path / "elsewhere") == tmp_path / "towers"
    assert expand_path("/absolute", tmp_path) == Path("/absolute")


def test_variables_in_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHLOEM_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("OF_MINE", "mine")
    for text in ("$PHLOEM_DATA/a", "${PHLOEM_DATA}/a"):
        assert expand_path(text, tmp_path) == tmp_path / "data/a"
    assert expand_path("$OF_MINE/a", tmp_path) == tmp_path / "mine/a"
    with pytest.raises(InputError, match="NOT_SET_HERE"):
        expand_path("$NOT_SET_HERE/a", tmp_path)


def test_a_site_file_stands_below_what_names_it_and_above_what_does_not(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text('[engine]\nname = "slurm"\npartition = "site"\nwalltime = "01:00:00"\n')
    path = tmp_path / "made.toml"
    text = configuration().to_toml().replace("[engine]", '[engine]\nsite = "site.toml"')
    path.write_text(text.replace('partition = ""\n', ""))
    own = load_configuration(path).engine
    assert (own.partition, own.name) == ("site", "local"), "a key of the campaign file outweighs its site file"
    frozen = tmp_path / "frozen.toml"
    frozen.write_text(configuration().to_toml())
    given = load_configuration(frozen, [f'engine.site="{tmp_path}/site.toml"', 'engine.walltime="02:00:00"']).engine
    assert (given.name, given.partition, given.walltime_minutes) == ("slurm", "site", 120)


def test_the_site_file_of_the_examples_is_valid() -> None:
    sites = Path(__file__).parents[3] / "examples/sites"
    for site in sites.glob("*.toml"):
        found = load_configuration(sites.parent / "fluxnet.toml", [f'engine.site="{site}"'])
        assert found.engine.name == "slurm"
        assert slurm_options(found).parameters()["partition"] == found.engine.partition != ""


@pytest.mark.parametrize("text", ["", "[engine]\n[data]\n", "x", 'engine = "slurm"'])
def test_a_wrong_site_file_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "site.toml").write_text(text)
    path = tmp_path / "made.toml"
    path.write_text(configuration().to_toml())
    with pytest.raises(InputError, match=r"engine\.site"):
        load_configuration(path, [f'engine.site="{tmp_path}/site.toml"'])


def test_gpus_go_with_the_backend_that_runs_on_them() -> None:
    asked = configuration(SYNTHETIC, ("engine", "gpus", 4), ("engine", "devices", 2))
    assert slurm_options(asked).parameters()["gres"] == "gpu:4"
    assert slurm_options(asked).parameters()["cpus_per_task"] == 8
    assert resolve_backend(asked).experiment.backend == "gpu"
    named = configuration(SYNTHETIC, ("engine", "gpus", 4), ("experiment", "backend", "xla"))
    assert resolve_backend(named).experiment.backend == "xla"
    visible = ["2", "3", "GPU-1a", "GPU-2b"]
    assert [own_gpus(visible, 2, slot)["CUDA_VISIBLE_DEVICES"] for slot in range(2)] == ["2,3", "GPU-1a,GPU-2b"]
    for wrong in (("experiment", "backend", "cpu"), ("engine", "devices", 3), ("engine", "workers", 5)):
        with pytest.raises(ValueError, match=r"engine\.gpus"):
            configuration(SYNTHETIC, ("engine", "gpus", 4), wrong)
    with pytest.raises(ValueError, match=r"goes with engine\.gpus"):
        configuration(SYNTHETIC, ("experiment", "backend", "gpu"))


def test_gpus_that_a_batch_job_names_itself_must_be_enough() -> None:
    slurm, four = ("engine", "name", "slurm"), ("engine", "gpus", 4)
    named = configuration(SYNTHETIC, slurm, four, ("engine", "gres", "gpu:h200:4"))
    assert slurm_options(named).parameters()["gres"] == "gpu:h200:4"
    beside = configuration(SYNTHETIC, slurm, four, ("engine", "gres", "lscratch:100"))
    assert slurm_options(beside).parameters()["gres"] == "lscratch:100,gpu:4"
    by_option = configuration(SYNTHETIC, slurm, four, ("engine", "sbatch", {"gpus-per-task": 4}))
    assert slurm_options(by_option).parameters()["gres"] is None
    for few in (("engine", "gres", "gpu:2"), ("engine", "sbatch", {"gpus-per-task": 2})):
        with pytest.raises(ValueError, match=r"engine\.gpus = 4, and engine\.gres or engine\.sbatch .* 2 a task"):
            configuration(SYNTHETIC, slurm, four, few)


@pytest.mark.parametrize(
    ("keys", "workers"),
    [
        ({}, 8),
        ({"devices": 2}, 4),
        ({"devices": 16}, 1),
        ({"gpus": 4}, 4),
        ({"gpus": 4, "devices": 4}, 1),
        ({"gpus": 4, "workers": 3}, 3),
    ],
)
def test_workers_of_a_machine_of_eight_cores(keys: dict[str, int], workers: int) -> None:
    assert EngineSection(**keys).workers_of(8) == workers


def test_gpus_that_are_not_there_are_missed_at_once(tmp_path: Path) -> None:
    if list(Path("/dev").glob("nvidia[0-9]*")):
        pytest.skip("this machine has a GPU")
    keys = ("--set", "engine.gpus=1", "--set", 'experiment.backend="xla"')
    refused = command("run", write_campaign(tmp_path, data={"cells": 1}), "--out", "made", *keys, folder=tmp_path)
    assert refused.returncode == 2
    assert "shows no GPU" in refused.stderr
