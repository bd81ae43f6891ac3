"""Versions of JAX: which are refused, which are warned of, and that those here and in pyproject.toml are the same."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from phloem.jobs.installed_jax import BEYOND, OLDEST, compare, find_mismatch

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("version", ["0.10.0", "0.10.2", "0.11.0", "0.12.0.1"])
def test_equal_versions_in_bounds_are_accepted(version):
    assert compare(version, version, {"jax-cuda12-plugin": version, "jax-cuda13-plugin": None}) is None


@pytest.mark.parametrize(
    ("jax", "jaxlib", "plugin", "breaks", "word"),
    [
        (None, "0.12.0", None, True, "jax is not installed"),
        ("0.12.0", None, None, True, "jaxlib is not installed"),
        ("0.10.0", "0.10.2", None, True, "newer than jax 0.10.0"),
        ("0.12.0.1", "0.12.0", None, False, "older than jax 0.12.0.1"),
        ("0.9.2", "0.9.2", None, False, "untested"),
        ("0.13.0.dev20261101", "0.13.0.dev20261101", None, False, "untested"),
        ("1.0.0", "1.0.0", None, False, "untested"),
        ("0.12.0.1", "0.12.0.1", "0.11.0", False, "jax-cuda12-plugin 0.11.0"),
    ],
)
def test_a_mismatch_says_what_it_is_and_what_to_install(jax, jaxlib, plugin, breaks, word):
    found = compare(jax, jaxlib, {"jax-cuda12-plugin": plugin})
    assert found is not None
    assert found.breaks == breaks
    assert word in found.text
    assert found.remedy.startswith("pip install ")


def test_bounds_are_those_of_the_package():
    lines = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    wanted = next(r for r in map(Requirement, lines) if r.name == "jax").specifier
    assert {str(s) for s in wanted} == {">=" + ".".join(map(str, OLDEST)), "<" + ".".join(map(str, BEYOND))}


def test_what_is_installed_here_is_tested():
    assert find_mismatch() is None


@pytest.fixture
def of_another_version(tmp_path):
    """Environment in which a distribution named as given, of a version as given, is found before the installed one."""

    def make(name: str, version: str, **more: str) -> dict[str, str]:
        folder = tmp_path / f"{name}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        return {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}", **more}

    return make


def _status(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "phloem", "status", "no_such_campaign"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


def test_a_newer_jaxlib_ends_every_command_with_one_line(of_another_version):
    ended = _status(of_another_version("jaxlib", "99.0.0"))
    assert ended.returncode == 1
    assert ended.stderr.startswith("phloem: jaxlib 99.0.0 is newer than jax ")
    assert len(ended.stderr.splitlines()) == 1


def test_a_plugin_for_another_jaxlib_is_warned_of_and_can_be_silenced(of_another_version):
    environment = of_another_version("jax_cuda12_plugin", "0.1.0")
    assert "phloem: warning: jax-cuda12-plugin 0.1.0" in _status(environment).stderr
    assert "warning" not in _status({**environment, "PHLOEM_ANY_JAX": "1"}).stderr
