"""Packages are plain: each module is an attribute under its own name, and a package gives out no name of another."""

from __future__ import annotations

import ast
import contextlib
import importlib
import pkgutil
from pathlib import Path
from types import ModuleType

import pytest

import phloem

NAMES = [module.name for module in pkgutil.walk_packages(phloem.__path__, "phloem.")]
NEEDS_AN_ENGINE = ("phloem.hpc.ray_engine", "phloem.hpc.mpi_engine", "phloem.hpc.slurm_engine")


@pytest.mark.parametrize("name", [name for name in NAMES if not name.endswith("__main__")])
def test_a_module_is_an_attribute_of_its_package_and_a_module(name: str) -> None:
    optional = contextlib.suppress(ImportError) if name.startswith(NEEDS_AN_ENGINE) else contextlib.nullcontext()
    with optional:
        importlib.import_module(name)
        package, _, own = name.rpartition(".")
        found = getattr(importlib.import_module(package), own)
        assert isinstance(found, ModuleType)
        assert found.__name__ == name


@pytest.mark.parametrize(
    "path", sorted(Path(phloem.__path__[0]).glob("*/**/__init__.py")), ids=lambda path: path.parent.name
)
def test_the_file_of_a_package_re_exports_nothing(path: Path) -> None:
    """What a package gives out under a name of its own could hide the module of that name."""
    imports = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
    assert [node.module for node in imports if (node.module or "phloem").startswith("phloem")] == []
