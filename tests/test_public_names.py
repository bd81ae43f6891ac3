"""What `phloem` offers to notebooks and scripts: one list of names, described, and loaded when they are asked for."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import phloem

ROOT = Path(__file__).parents[1]
PUBLIC = [
    "CampaignPlots",
    "CampaignStatus",
    "Evaluation",
    "InputError",
    "OpenedCampaign",
    "OpenedExperiments",
    "WorkError",
    "__version__",
    "baselines",
    "evaluate",
    "open_campaign",
    "read_parameters",
    "run",
    "simulate",
    "write_parameters",
]
"""Scripts rely on these: one may come, none may go."""


def test_public_names_are_those_that_scripts_rely_on():
    assert phloem.__all__ == PUBLIC
    assert dir(phloem) == sorted(PUBLIC)


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_is_there_and_described_on_the_page(name):
    found = getattr(phloem, name)
    assert found is getattr(phloem, name)
    page = (ROOT / "docs/python.md").read_text().partition("## Public names")[2]
    assert re.search(rf"^\|[^|]*`{name}\b", page, re.M)
    if isinstance(found, ModuleType):
        assert found.__name__ == f"phloem.{name}"
        assert found.__doc__.strip()
    elif name != "__version__":
        assert found.__module__.startswith("phloem."), "what is public is the package's own"
        assert found.__doc__.strip()


@pytest.mark.parametrize(
    ("function", "first"),
    [
        ("simulate", ["drivers", "parameters"]),
        ("evaluate", ["drivers", "parameters"]),
        ("read_parameters", ["path"]),
        ("write_parameters", ["path", "parameters"]),
        ("open_campaign", ["path"]),
        ("run", ["config", "out"]),
    ],
)
def test_a_public_function_takes_these_first(function, first):
    assert list(inspect.signature(getattr(phloem, function)).parameters)[: len(first)] == first


@pytest.mark.parametrize("name", ["merged", "cells", "parameters", "simulate", "evaluate", "status", "plot"])
def test_an_opened_campaign_has(name):
    assert inspect.getdoc(getattr(phloem.OpenedCampaign, name))


def test_type_checkers_see_the_public_names_and_no_others():
    tree = ast.parse((ROOT / "phloem/__init__.py").read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.name: node.module for node in block.body for alias in node.names}
    assert sorted([*seen, "__version__"]) == PUBLIC
    homes = {name: getattr(phloem, name) for name in seen}
    assert {name: "phloem" if isinstance(home, ModuleType) else home.__module__ for name, home in homes.items()} == seen


def test_importing_phloem_loads_nothing_heavy():
    program = (
        "import sys; import phloem; dir(phloem); phloem.InputError; "
        "print(*sorted({name.partition('.')[0] for name in sys.modules} & set(sys.argv[1:])), "
        "*sorted(name for name in sys.modules if name.startswith('phloem')))"
    )
    heavy = ["jax", "numpy", "xarray", "pandas", "matplotlib", "netCDF4", "pydantic", "typer", "scipy"]
    done = subprocess.run([sys.executable, "-c", program, *heavy], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["phloem", "phloem.errors", "phloem.version"]


def test_an_unknown_name_is_refused_with_the_public_ones():
    with pytest.raises(AttributeError, match=r"no attribute 'simulte'; public are .*simulate"):
        phloem.simulte  # noqa: B018
    with pytest.raises(ImportError):
        exec("from phloem import posterior")
