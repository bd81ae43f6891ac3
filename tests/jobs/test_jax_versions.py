"""Versions of JAX: those that do not work are refused before anything is imported, with what to install."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from phloem.jobs import jax_versions
from tests.support.campaigns.campaigns import command


def pretend(monkeypatch: pytest.MonkeyPatch, **versions: str | None) -> None:
    monkeypatch.setattr(jax_versions, "installed", lambda name: versions.get(name.replace("-", "_")))


@pytest.mark.parametrize("version", ["0.10.0", "0.10.2", "0.11.2", "0.12.0.1"])
def test_tested_versions_pass_in_silence(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    pretend(monkeypatch, jax=version, jaxlib=version, jax_cuda12_plugin=version)
    assert jax_versions.jax_problem() == jax_versions.jax_doubt() == ""


@pytest.mark.parametrize(
    ("versions", "words"),
    [
        ({}, "jax is not installed: pip install 'jax>=0.10,<0.13'"),
        ({"jax": "0.10.2"}, "without jaxlib: pip install 'jax==0.10.2' 'jaxlib==0.10.2'"),
        ({"jax": "0.9.2", "jaxlib": "0.9.2"}, "older than any that phloem works with: pip install"),
        ({"jax": "0.12.0.1", "jaxlib": "0.10.2"}, "jax 0.12.0.1 and jaxlib 0.10.2 do not go together"),
    ],
)
def test_versions_that_break_are_named_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch, versions: dict[str, str], words: str
) -> None:
    pretend(monkeypatch, **versions)
    assert words in jax_versions.jax_problem()


@pytest.mark.parametrize(
    ("versions", "words"),
    [
        ({"jax": "0.13.1", "jaxlib": "0.13.1"}, "newer than phloem was tested with"),
        (
            {"jax": "0.10.2", "jaxlib": "0.10.2", "jax_cuda12_plugin": "0.10.1"},
            "jax-cuda12-plugin 0.10.1 is not of jaxlib 0.10.2",
        ),
    ],
)
def test_untested_versions_are_doubted_and_not_refused(
    monkeypatch: pytest.MonkeyPatch, versions: dict[str, str], words: str
) -> None:
    pretend(monkeypatch, **versions)
    assert jax_versions.jax_problem() == ""
    assert words in jax_versions.jax_doubt()


def test_command_with_an_old_jax_is_refused_before_it_begins(tmp_path: Path) -> None:
    """A package folder in front of the real one says that an old jax is installed."""
    old = tmp_path / "jax-0.9.0.dist-info"
    old.mkdir()
    (old / "METADATA").write_text("Metadata-Version: 2.1\nName: jax\nVersion: 0.9.0\n")
    path = {"PYTHONPATH": str(tmp_path)}
    refused = command("plan", "nothing.toml", folder=tmp_path, **path)
    assert refused.returncode == 2
    assert "jax 0.9.0 is older" in refused.stderr
    assert "Traceback" not in refused.stderr
    tried = command("plan", "nothing.toml", folder=tmp_path, PHLOEM_ANY_JAX="1", **path)
    assert "jax 0.9.0" not in tried.stderr
    assert "nothing.toml" in tried.stderr


def test_bounds_of_the_package_are_those_that_are_checked() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    (wanted,) = (one for one in project["dependencies"] if one.startswith("jax>"))
    assert wanted in jax_versions.INSTALL
