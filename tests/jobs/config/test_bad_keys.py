"""Faults of all TOML files, explained by one text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from phloem.errors import InputError
from phloem.jobs.config.attribution_file import load_attribution_file
from phloem.jobs.config.benchmark_file import load_benchmark_file
from phloem.jobs.config.campaign_file import load_configuration
from phloem.jobs.config.ingest_file import load_ingest_file
from tests.support.kernels.dalec_names import TOWERS

Tree = dict[str, Any]

CAMPAIGN: Tree = {"campaign": {"name": "made"}, "data": {"kind": "synthetic"}}
MAP: Tree = {"kind": "map", "name": "m", "quantity": "lcma", "path": "m.nc", "variable": "x"}
STORE: Tree = {"store": {"years": [2003, 2004]}, "products": {"forcing": {"path": "f"}, "co2": {"path": "c"}}}
OWN: Tree = {"name": "a", "group": "b", "path": "c"}


def load_benchmark(path: Path, assignments: Sequence[str] = ()) -> Any:
    return load_benchmark_file(path, TOWERS, assignments)


def load_attribution(path: Path) -> Any:
    return load_attribution_file(path, TOWERS)


def faults(load: Callable[[Path], Any], tree: Tree, folder: Path) -> Sequence[str]:
    path = folder / "made.toml"
    path.write_text(tomli_w.dumps(tree))
    with pytest.raises(InputError) as found:
        load(path)
    first, *lines = str(found.value).split("\n  ")
    assert first.endswith(f"file {path}:")
    return lines


@pytest.mark.parametrize(
    ("load", "tree", "said"),
    [
        (load_configuration, {**CAMPAIGN, "members": 3}, "'members'. It goes into [campaign]. Valid here: campaign, "),
        (
            load_configuration,
            {**CAMPAIGN, "name": "x"},
            "into [campaign], [data.variables.NAME], [experiment], [optimiser] or",
        ),
        (load_configuration, {**CAMPAIGN, "tiles": {"iterations": 3}}, "It goes into [optimiser]. Valid here: cells, "),
        (
            load_configuration,
            {**CAMPAIGN, "optimiser": {"beta2": 0.9}},
            """'optimiser.beta2' of name = "fast". It goes with name = "adam". Valid here: name, iterations, starts""",
        ),
        (
            load_configuration,
            {**CAMPAIGN, "experiment": {"leaf_economics": {"alpha": 1.0, "gama": 1.0, "gamma": 1.0, "sigma": 1.0}}},
            "'experiment.leaf_economics.gama'. Did you mean 'gamma'? Valid here: alpha, gamma, sigma.",
        ),
        (load_configuration, {**CAMPAIGN, "experiment": {"alpha": 1.0}}, "It goes into [experiment.leaf_economics]."),
        (load_configuration, {**CAMPAIGN, "optimiser": "fast"}, "optimiser: must be a table (got 'fast')."),
        (load_configuration, {**CAMPAIGN, "optimiser": {"iterations": {}}}, "valid integer (got a table)."),
        (load_configuration, {**CAMPAIGN, "engine": {"sbatch": {"a": [1]}}}, "engine.sbatch.a: Input should be "),
        (load_benchmark, {"reference": [MAP], "quantity": "lcma"}, "It goes into [[reference]]."),
        (load_benchmark, {"reference": [MAP], "cell": 3}, "Did you mean 'cells'? Else it goes into [[reference]]"),
        (
            load_benchmark,
            {"reference": [MAP, {"kind": "withheld", "years": [2000, 2001]}]},
            """unknown key 'reference.1.years' of kind = "withheld". It goes with kind = "map" or "series".""",
        ),
        (
            load_benchmark,
            {"reference": [{"name": "x"}]},
            "[[reference]] x: missing key 'reference.0.kind': one of",
        ),
        (load_benchmark, {"reference": [3]}, "reference.0: must be a table (got 3)."),
        (load_benchmark, {"reference": [MAP], "stratum": [{**MAP, "pth": ""}]}, "[[stratum]] m: unknown key "),
        (load_ingest_file, {**STORE, "years": [1, 2]}, "'years'. It goes into [store]."),
        (load_ingest_file, {**STORE, "store": {"years": [2003, 2004], "north": 1.0}}, "It goes into [store.region]."),
        (load_ingest_file, {**STORE, "path": "x"}, "'path'. It goes into [products.NAME]."),
        (load_ingest_file, {**STORE, "products": {**STORE["products"], "Rs": {"path": "x"}}}, "products.Rs: String "),
        (load_attribution, {"folds": 3}, "'folds'. It goes into [attribution]. Valid here: attribution, "),
        (load_attribution, {"predictors": [{**OWN, "folds": 3}]}, "[[predictors]] a: unknown key 'predictors.0.f"),
        (load_attribution, {"attribution": {"group": "soil"}}, "'attribution.group'. It goes into [[predictors]]"),
    ],
)
def test_a_fault_is_explained_by_key_table_and_choice(
    tmp_path: Path, load: Callable[[Path], Any], tree: Tree, said: str
) -> None:
    assert said in faults(load, tree, tmp_path)[0]


def test_alternatives_that_say_the_same_are_one_line(tmp_path: Path) -> None:
    tree = {**STORE, "products": {**STORE["products"], "rs": {"path": [3, 4]}}}
    assert faults(load_ingest_file, tree, tmp_path) == [
        "products.rs.path: Input should be a valid string (got [3, 4]).",
        "products.rs.path.0: Input should be a valid string (got 3).",
        "products.rs.path.1: Input should be a valid string (got 4).",
    ]


def test_an_assignment_is_refused_alike_for_all_files(tmp_path: Path) -> None:
    for load, tree in ((load_configuration, CAMPAIGN), (load_benchmark, {"reference": [MAP]})):
        path = tmp_path / "made.toml"
        path.write_text(tomli_w.dumps(tree))
        key = next(iter(tree))
        for text, said in (("cells", "write key.path=value"), ("a..b=1", "write key"), (f"{key}.x", "write key")):
            with pytest.raises(InputError, match=said):
                load(path, [text])
        with pytest.raises(InputError, match="'cells' is a value, not a section"):
            load(path, ["cells=1", "cells.x=1"])
    with pytest.raises(InputError, match=r"--set 'attribution\.folds': write key=value, for example"):
        load_attribution_file(None, TOWERS, None, ["attribution.folds"])
    for text in ("folds=3", "attribution.folds=3"):
        assert load_attribution_file(None, TOWERS, None, [text]).attribution.folds == 3
